"""A series that is not like the one a model was trained on is told before it is forecast or measured."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Zoo

from .shop import DAYS, write_shop


def changed(path: Path, factor: float = 1, constant: float = 0, step: str = "D") -> Path:
    """Sales of a shop in another unit, or at other times."""
    head, *lines = write_shop(path, 1, DAYS + 40).read_text().splitlines()
    times = np.datetime64("2025-02-09T00") + np.arange(len(lines)).astype(f"m8[{step}]")
    rows = [[float(cell) * factor + constant for cell in line.split(",")[1:]] for line in lines]
    table = [f"{time},{bread},{cakes}" for time, (bread, cakes) in zip(times, rows, strict=True)]
    path.write_text("\n".join([head, *table]) + "\n")
    return path


@pytest.mark.parametrize(
    ("change", "flags", "told"),
    [
        ({}, [], None),
        ({}, ["--value", "cakes", "--value", "bread"], "columns cakes, bread, not columns bread, cakes"),
        ({"factor": 100}, [], "'bread' is about "),
        ({"factor": 0.001}, [], "'bread' is about "),
        ({"constant": 5000}, [], "'bread' is about "),
        ({"step": "h"}, [], "steps of 1 hour, not 1 day"),
    ],
    ids=["alike", "columns", "cents", "thousands", "level", "hours"],
)
def test_what_going_on_cannot_explain_is_told(
    zoo_command: Zoo, tmp_path: Path, shop: Path, change: dict[str, Any], flags: list[str], told: str | None
) -> None:
    path = changed(tmp_path / "other.csv", **change)
    code, _, err = zoo_command("forecast", shop, "--data", path, "--horizon", 1, "--no-intervals", *flags)
    assert code == 0
    if told is None:
        assert err == ""
    else:
        assert f"other.csv is not like what '{shop}' was trained on: {told}" in err
        assert len(err.splitlines()) == 1


def test_measuring_on_another_unit_is_told(zoo_command: Zoo, tmp_path: Path, shop: Path) -> None:
    assert "is not like" not in zoo_command("test", shop, "--quiet")[2]
    path = changed(tmp_path / "other.csv", 100)
    _, _, err = zoo_command("test", shop, "--quiet", f"--data.path={path}")
    assert "other.csv is not like what " in err
    assert "'bread' is about " in err


def test_level_is_known_even_where_the_file_is_gone(zoo_command: Zoo, tmp_path: Path, naive: Path) -> None:
    (tmp_path / "x.csv").write_text("x\n" + "5000\n5001\n" * 20)
    _, _, err = zoo_command("forecast", naive, "--data", "x.csv", "--horizon", 1)
    assert "'x' is about 5000 and changes by 1 a step, not about " in err
