"""What beginning with other weights is worth is measured by a script, which works and writes into its page."""

import pytest

from scripts import headstart
from scripts.results import written


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) for name in headstart.TRIALS if name != "vision"] + ["vision"]
)
def test_trial_is_measured(name: str) -> None:
    trial = headstart.TRIALS[name]
    found = headstart.table(trial, seeds=1, quick=True).splitlines()
    assert found[1].startswith("zoo fit")
    assert found[1].endswith(f"--init_from {trial.origin}")
    figures = [[float(cell) for cell in line.split("|")[2:-1]] for line in found[-2:]]
    assert [len(row) for row in figures] == [3, 3]


@pytest.mark.parametrize("name", headstart.TRIALS)
def test_page_has_a_place_for_it(name: str) -> None:
    page = headstart.PAGE.read_text(encoding="utf-8")
    found = written(page, name, "| new |", "headstart")
    assert found is not None
    assert "| new |" in found
    assert f"zoo fit {' '.join(headstart.TRIALS[name].fit)}" in page, "measured"
