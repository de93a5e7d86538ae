"""Files with a row for each time and series."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules import CsvSeries
from datamodules.errors import DataError
from datamodules.series.recording import read_csv

from .written import table, write

DAYS = [f"2024-01-{day:02d}" for day in range(1, 31)]
HEAD = ("unique_id", "ds", "y")


def long(names: Iterable[str] = "AB", days: list[str] = DAYS) -> list[tuple[str, str, float]]:
    """Rows of several series; that of B counts from 100, and so on."""
    return [(name, day, 100 * place + at) for place, name in enumerate(names) for at, day in enumerate(days)]


@pytest.mark.parametrize("key", [None, lambda row: row[1]], ids=["by series", "by time"])
@pytest.mark.parametrize("repair", [(), ("order", "duplicates", "missing", "gaps")], ids=["strict", "repaired"])
def test_several_series_are_no_duplicates(tmp_path: Path, key: Any, repair: Any) -> None:
    path = write(tmp_path, table(HEAD, *sorted(long(), key=key)))
    with pytest.raises(DataError) as refused:
        read_csv(path, "y", "ds", repair=repair)
    assert "seems to hold 2 series, told apart by column 'unique_id' (A, B): 60 rows of 30 times" in str(refused.value)
    assert "all of them with --data.id unique_id, or one with --data.id unique_id --data.series A" in str(refused.value)


def test_numbers_tell_series_apart_where_all_times_repeat(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="3 series, told apart by column 'unique_id'"):
        read_csv(write(tmp_path, table(HEAD, *long("123"))), "y", "ds")


def test_a_few_duplicates_are_no_series(tmp_path: Path) -> None:
    rows = [(row % 3, day, row) for row, day in enumerate([*DAYS, DAYS[-1]])]
    with pytest.raises(DataError, match=r"lines 31, 32 are all of 2024-01-30.*\+=duplicates take the mean"):
        read_csv(write(tmp_path, table(HEAD, *rows)), "y", "ds")


@pytest.mark.parametrize(
    ("series", "names", "first"),
    [(None, ["A", "B", "C"], [0, 100, 200]), ("B", ["B"], [100]), (["C", "A"], ["C", "A"], [200, 0])],
)
def test_series_become_columns(tmp_path: Path, series: Any, names: list[str], first: list[float]) -> None:
    data = CsvSeries(
        str(write(tmp_path, table(HEAD, *long("ABC")))), time="ds", id="unique_id", series=series, window=4
    )
    assert (data.names, data.values[0].tolist(), data.step) == (names, first, "1 day")


def test_several_values_of_several_series_are_named_by_both(tmp_path: Path) -> None:
    rows = [(name, day, y, 2 * y) for name, day, y in long()]
    path = write(tmp_path, table((*HEAD, "z"), *rows))
    options: dict[str, Any] = {"time": "ds", "id": "unique_id"}
    assert read_csv(path, ["y", "z"], **options).names == ["A y", "A z", "B y", "B z"]
    alone = read_csv(path, ["y", "z"], series="B", **options)
    assert (alone.names, alone.values[1].tolist()) == (["y", "z"], [101, 202])


def test_other_times_of_a_series_take_a_repair(tmp_path: Path) -> None:
    path = write(tmp_path, table(HEAD, *long("A"), *long("BC", DAYS[3:9] + DAYS[10:])))
    options: dict[str, Any] = {"time": "ds", "id": "unique_id"}
    with pytest.raises(DataError, match=r"lacks 4 of 30 times in series 'B', the first 2024-01-01; .*\+=missing"):
        read_csv(path, **options)
    assert len(read_csv(path, series="A", **options).values) == 30
    recording = read_csv(path, repair=["missing"], **options)
    assert recording.values.shape == (27, 3)
    assert not np.isnan(recording.values).any()
    assert str(recording.timeline.start) == "2024-01-04"
    assert recording.repaired.startswith("3 rows of 30 without a number dropped at the ends (lines 2 to 4), 2 missing")


@pytest.mark.parametrize(
    ("rows", "options", "told"),
    [
        (long(), {"series": "C"}, "has no series 'C' in column 'unique_id'; there are A, B"),
        (long(), {"series": ["A", "A"]}, "expected one or several different ones"),
        (long(), {"id": None, "series": "A"}, "no column tells series apart; name it with --data.id"),
        (long(), {"time": None}, "id is 'unique_id', but no column of times is named; name it with --data.time"),
        (long(), {"value": ["unique_id"]}, "column 'unique_id' is named both as id and as value"),
        (
            long([f"s{number}" for number in range(101)], DAYS[:3]),
            {},
            "has 101 series .* 100 at most; name some with",
        ),
        ([*long(), ("", DAYS[0], 1)], {}, "line 62: column 'unique_id' is empty"),
        ([*long(), ("B", DAYS[-1], 1)], {}, "lines 61, 62 are all of 2024-01-30 in series 'B'"),
    ],
)
def test_unclear_series_are_refused(tmp_path: Path, rows: Any, options: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError, match=told):
        read_csv(write(tmp_path, table(HEAD, *rows)), **{"value": "y", "time": "ds", "id": "unique_id", **options})
