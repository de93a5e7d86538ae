"""Differences that are noise are called noise, about as often as promised, and others are not."""

from pathlib import Path

import pytest
import torch

from zoo.comparison.leaderboard import Entry, Leaderboard
from zoo.comparison.noise import difference
from zoo.comparison.scores import read_scores
from zoo.errors import ZooError


@pytest.mark.parametrize("rows", [40, 1000])
def test_equal_models_are_told_apart_in_five_of_a_hundred_cases(rows: int) -> None:
    generator = torch.Generator().manual_seed(0)
    told_apart = 0
    for _ in range(400):
        ours, theirs = (torch.rand(rows, generator=generator).lt(0.8).float() for _ in range(2))
        found = difference(ours, theirs)
        assert found is not None
        told_apart += not found.is_noise
    assert 8 <= told_apart <= 36


def test_a_difference_on_the_same_rows_is_found_where_rows_alone_would_hide_it() -> None:
    generator = torch.Generator().manual_seed(0)
    difficulty = torch.randn(500, generator=generator) * 10
    found = difference(difficulty + 0.1 + 0.1 * torch.randn(500, generator=generator), difficulty)
    assert found is not None
    assert found.low > 0
    assert found.mean == pytest.approx(0.1, abs=0.02)


def test_seeds_that_differ_much_make_a_difference_noise() -> None:
    ours, theirs = torch.full((200,), 1.0), torch.full((200,), 0.9)
    assert not difference(ours, theirs).is_noise  # type: ignore[union-attr]
    assert difference(ours, theirs, [0.5, 1.5], [0.9, 0.9]).is_noise  # type: ignore[union-attr]


def test_other_rows_say_nothing() -> None:
    assert difference(torch.ones(3), torch.ones(4)) is None
    assert difference(torch.ones(1), torch.ones(1)) is None


@pytest.mark.parametrize(("metric", "best"), [("accuracy", "high"), ("mae", "low")])
def test_the_figure_says_which_way_is_better(metric: str, best: str, tmp_path: Path) -> None:
    entries = [Entry("high", tmp_path, [0.9]), Entry("low", tmp_path, [0.1])]
    board = Leaderboard(metric, "validation", entries, {"worse": (0.05, None), "better": (0.95, None)})
    assert board.best.name == best
    assert board.best_reference == ("better" if metric == "accuracy" else "worse")


def test_damaged_scores_are_told(tmp_path: Path) -> None:
    path = tmp_path / "scores.safetensors"
    path.write_bytes(b"damaged")
    with pytest.raises(ZooError, match=r"scores\.safetensors is damaged"):
        read_scores(tmp_path)
