"""``zoo forecast`` of runs that forecast quantiles: whose intervals end there, and whose do not."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Zoo

import zoo
from datamodules import CsvSeries
from zoo.series import DenseForecaster
from zoo.series.conformal import drifting_half_widths, rolled_misses, span_of, spreads

from .shop import fit
from .test_forecast import column, table

CALLS = """# Calls a day, which are rarely many and never fewer than none.
seed_everything: 0
model:
  class_path: zoo.series.DenseForecaster
  init_args: {quantiles: [0.1, 0.5, 0.9], hidden_sizes: [8], lr: 0.01}
data:
  class_path: datamodules.CsvSeries
  init_args: {path: PATH, value: calls, window: 7, horizon: 3, val: 0.2, test: 0.2}
trainer:
  max_epochs: 20
  callbacks:
    - class_path: lightning.pytorch.callbacks.ModelCheckpoint
      init_args: {monitor: val_mae, filename: best}
"""


@pytest.fixture(scope="session")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a file of them."""
    folder = tmp_path_factory.mktemp("calls")
    counts = np.random.RandomState(0).exponential(3, 600).round(2)
    (folder / "calls.csv").write_text("calls\n" + "\n".join(map(str, counts)) + "\n")
    (folder / "calls.yaml").write_text(CALLS.replace("PATH", str(folder / "calls.csv")))
    return fit(folder, str(folder / "calls.yaml"))


def test_intervals_end_at_corrected_quantiles(zoo_command: Zoo, tmp_path: Path, calls: Path) -> None:
    code, out, _ = zoo_command("forecast", calls, "--horizon", 3, "--csv", "out.csv")
    assert code == 0
    assert "; 80 % from quantiles 0.1 and 0.9, each corrected by itself" in out
    assert "; 95 % to both sides of the median, as quantiles 0.025 and 0.975 are not forecast" in out
    rows = table(tmp_path / "out.csv")
    middle, lower, upper = (column(rows, name) for name in ("forecast", "lower_80", "upper_80"))
    # Rarely many: there is more room above than below.
    assert (upper - middle > 1.5 * (middle - lower)).all()
    model = zoo.load(calls, kind=DenseForecaster)
    data = CsvSeries(str(calls.parent.parent / "calls.csv"), "calls", val=0.2, test=0.2, window=7, horizon=3)
    period, span = range(data.periods["val"].start, len(data.values)), span_of(1)
    before, now = spreads(data.values, period, span), spreads(data.values, [len(data.values)], span)[0]
    above = drifting_half_widths(rolled_misses(model, data.values, period, 3, 0.9), before, now, 80, ends=2)
    expected = model.forecast_quantiles(data.values, 3)[..., 2] + above
    torch.testing.assert_close(upper, expected.T)


def test_what_never_was_negative_is_not_at_any_level(zoo_command: Zoo, tmp_path: Path, calls: Path) -> None:
    assert zoo_command("forecast", calls, "--horizon", 3, "--csv", "out.csv")[0] == 0
    rows = table(tmp_path / "out.csv")
    assert min(float(row[name]) for row in rows for name in ("lower_80", "lower_95")) >= 0


def test_farther_than_quantiles_reach_is_told(zoo_command: Zoo, calls: Path) -> None:
    code, out, _ = zoo_command("forecast", calls, "--horizon", 5)
    assert (code, "; 80 % to both sides of the median, as quantiles are forecast 3 steps ahead" in out) == (0, True)
