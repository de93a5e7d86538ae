"""Prediction intervals: exact for small samples, honest for any distribution, from nothing but the period they name."""

import pytest
import torch
from torch import Tensor

from zoo.errors import ZooError
from zoo.series.baselines import Naive
from zoo.series.conformal import drifting_half_widths, fewest_errors, half_widths, rolled_errors, spreads
from zoo.series.recurrent import Recurrent


def naive(series: int = 1) -> Naive:
    return Naive(num_series=series)


@pytest.mark.parametrize(
    ("count", "level", "rank"), [(4, 80, 4), (19, 80, 16), (19, 95, 19), (20, 95, 20), (38, 95, 38), (99, 95, 95)]
)
def test_quantile_is_that_of_finite_samples(count: int, level: int, rank: int) -> None:
    errors = torch.arange(1.0, count + 1)[torch.randperm(count)]
    assert half_widths(errors[:, None, None], level).item() == rank


@pytest.mark.parametrize(("level", "held"), [(80, 16), (95, 19)])
def test_of_twenty_errors_as_many_are_held_by_the_other_nineteen_as_promised(level: int, held: int) -> None:
    errors = torch.randperm(20).float()
    others = [torch.cat([errors[:place], errors[place + 1 :]])[:, None, None] for place in range(20)]
    widths = torch.stack([half_widths(other, level).squeeze() for other in others])
    assert (errors <= widths).sum() == held


def test_each_step_and_each_series_has_its_own_width_from_what_was_checked() -> None:
    errors = torch.arange(1.0, 25)[:, None, None] * torch.tensor([[1.0, 10.0], [100.0, 1000.0]])
    errors[-5:, 1] = torch.nan
    assert half_widths(errors, 80).tolist() == [[20, 200], [1600, 16000]]


def test_too_few_errors_are_refused() -> None:
    errors = torch.ones(19, 2, 1)
    assert half_widths(errors, 95).tolist() == [[1], [1]]
    errors[-1, 1] = torch.nan
    with pytest.raises(ZooError, match=r"95 % intervals need 19 forecasts .* some step has 18; use a longer period or"):
        half_widths(errors, 95)
    assert [fewest_errors(level) for level in (50, 80, 90, 95, 99)] == [1, 4, 9, 19, 99]


def test_errors_are_those_of_each_step_within_the_period() -> None:
    values = torch.tensor([0.0, 1, 3, 6, 10, 15, 21, 28])[:, None]
    errors = rolled_errors(naive(), values, range(3, 6), 3)[..., 0]
    torch.testing.assert_close(
        errors, torch.tensor([[3.0, 7, 12], [4, 9, torch.nan], [5, *[torch.nan] * 2]]), equal_nan=True
    )


def test_nothing_behind_the_period_is_looked_at() -> None:
    torch.manual_seed(0)
    model, values = Recurrent(window=5, hidden_size=4, output="sequence"), torch.randn(60, 1)
    changed = torch.cat([values[:50], values[50:] + 100])
    before, after = (rolled_errors(model, series, range(30, 50), 4) for series in (values, changed))
    assert torch.equal(before.nan_to_num(-1), after.nan_to_num(-1))


@pytest.mark.parametrize("period", [range(0, 5), range(5, 5), range(5, 11)])
def test_period_outside_the_series_is_refused(period: range) -> None:
    with pytest.raises(ZooError, match=r"origins are|the period ends at 11"):
        rolled_errors(naive(), torch.zeros(10, 1), period, 2)


def walks(steps: int, count: int, heavy: bool, seed: int) -> Tensor:
    """Random walks, ``(steps, count)``, of normal steps or of Student's with three degrees of freedom."""
    torch.manual_seed(seed)
    steps_taken = torch.distributions.StudentT(3.0).sample((steps, count)) if heavy else torch.randn(steps, count)
    return steps_taken.cumsum(0)


@pytest.mark.parametrize("heavy", [False, True], ids=["normal", "heavy tails"])
@pytest.mark.parametrize("level", [80, 95])
def test_intervals_hold_the_truth_as_often_as_they_say(level: int, heavy: bool) -> None:
    # 200 walks, each calibrated on 400 points of its own and judged by the 1,000 that follow.
    values = walks(1401, 200, heavy, seed=level)
    model = naive(200)
    widths = half_widths(rolled_errors(model, values, range(1, 401), 5), level)
    errors = rolled_errors(model, values, range(401, 1401), 5)
    for step in (0, 4):
        fresh = errors[: 1000 - step, step]
        coverage = (fresh <= widths[step]).float().mean().item()
        # Errors several steps ahead overlap, which costs a little: the guarantee is for exchangeable ones.
        assert level / 100 - (0.01 if step else 0.005) < coverage < level / 100 + 0.01


def test_intervals_of_autoregressive_series_hold_whatever_the_model_makes_of_them() -> None:
    torch.manual_seed(0)
    values, noise = torch.zeros(1500, 100), torch.randn(1500, 100)
    for step in range(1, 1500):
        values[step] = 0.7 * values[step - 1] + noise[step]
    torch.manual_seed(1)
    # An untrained network forecasts badly; its intervals are wide, not wrong.
    model = Recurrent(num_series=100, window=10, hidden_size=8, output="sequence")
    widths = half_widths(rolled_errors(model, values, range(10, 510), 5), 95)
    errors = rolled_errors(model, values, range(510, 1500), 5)
    coverage = [(errors[: 990 - step, step] <= widths[step]).float().mean().item() for step in range(5)]
    assert min(coverage) > 0.935
    assert max(coverage) < 0.965


def test_diverged_forecasts_are_no_reason_for_narrow_intervals() -> None:
    errors = torch.arange(1.0, 101.0)[:, None, None].clone()
    errors[-15:] = torch.inf
    assert half_widths(errors, 80).item() == 81
    with pytest.raises(ZooError, match="grow beyond all bounds"):
        half_widths(errors, 95)


def test_spread_is_that_of_the_latest_changes() -> None:
    values = torch.tensor([0.0, 1, 3, 6, 6, 6, 6])[:, None]
    assert spreads(values, [3, 4, 6], 2)[:, 0].tolist() == pytest.approx([1.5, 2.5, 4 / 30])
    assert spreads(values, [2], 5)[:, 0].tolist() == [1.0]


def test_intervals_of_a_series_that_grows_hold_the_truth() -> None:
    torch.manual_seed(0)
    growth = torch.exp(0.004 * torch.arange(600.0))[:, None]
    values = (torch.randn(600, 300) * growth).cumsum(0)
    model = naive(300)
    calibrated, judged = range(200, 400), range(400, 600)
    errors, fresh = (rolled_errors(model, values[: one.stop], one, 1)[:, 0] for one in (calibrated, judged))
    plain = half_widths(errors[:, None], 80)
    before, now = spreads(values, calibrated, 30), spreads(values, judged, 30)
    drifting = torch.stack([drifting_half_widths(errors[:, None], before, one, 80)[0] for one in now])
    assert (fresh <= plain).float().mean() < 0.65
    assert 0.76 < (fresh <= drifting).float().mean() < 0.9


def test_series_that_never_changed_has_plain_intervals() -> None:
    errors = torch.arange(1.0, 31.0)[:, None, None]
    flat = torch.zeros(30, 1)
    assert drifting_half_widths(errors, flat, flat[0], 80) == half_widths(errors, 80)
    assert drifting_half_widths(errors, flat + 1, flat[0] + 2, 80) == 2 * half_widths(errors, 80)
