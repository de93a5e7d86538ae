"""Series that begin and end at different times."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.series import ragged
from datamodules.series.recording import read_csv

from .written import table, write

NAN = float("nan")
DAYS = [f"2024-01-{day:02d}" for day in range(1, 31)]
LONG: dict[str, Any] = {"value": "y", "time": "ds", "id": "store", "ragged": True}


def long(**series: Iterable[int]) -> list[tuple[str, str, int]]:
    """Rows of series, each of some days of January, whose values are the days."""
    return [(name, DAYS[day - 1], day) for name, days in series.items() for day in days]


def stores(folder: Path, rows: Iterable[tuple[object, ...]]) -> Path:
    return write(folder, table(("store", "ds", "y"), *rows))


@pytest.mark.parametrize("key", [None, lambda row: row[1]], ids=["by series", "by time"])
def test_each_series_lies_where_it_lies(tmp_path: Path, key: Any) -> None:
    rows = sorted(long(B=[4, 5, 6], A=[2, 3], C=[5, 6, 7, 8]), key=key)
    recording = read_csv(stores(tmp_path, rows), **LONG)
    found = dict(zip(recording.names, recording.values.T.tolist(), strict=True))
    assert recording.values.dtype == np.float64
    assert str(recording.timeline.start) == "2024-01-02"
    for name, expected in {
        "A": [2, 3, NAN, NAN, NAN, NAN, NAN],
        "B": [NAN, NAN, 4, 5, 6, NAN, NAN],
        "C": [NAN, NAN, NAN, 5, 6, 7, 8],
    }.items():
        assert found[name] == pytest.approx(expected, nan_ok=True)


def test_steps_that_no_series_has_lie_between_them(tmp_path: Path) -> None:
    recording = read_csv(stores(tmp_path, long(A=[1, 2, 3], B=[7, 8, 9])), **LONG)
    assert np.isnan(recording.values).all(1).tolist() == [False] * 3 + [True] * 3 + [False] * 3


def test_columns_may_begin_and_end_with_empty_cells(tmp_path: Path) -> None:
    path = write(tmp_path, "d,a,b\n2024-01-01,,\n2024-01-02,1,\n2024-01-03,2,3\n2024-01-04,,4\n")
    recording = read_csv(path, ["a", "b"], "d", ragged=True)
    assert recording.values.T.tolist() == [
        pytest.approx([1, 2, NAN], nan_ok=True),
        pytest.approx([NAN, 3, 4], nan_ok=True),
    ]
    assert str(recording.timeline.start) == "2024-01-02"
    assert recording.repaired == ""


def test_rows_without_times_may_be_ragged(tmp_path: Path) -> None:
    recording = read_csv(write(tmp_path, "a,b\n,\n1,\n2,3\n,4\n"), ["a", "b"], ragged=True)
    assert (recording.values.shape, recording.timeline.start) == ((3, 2), 1)


def test_there_may_be_any_number_of_series(tmp_path: Path) -> None:
    rows = [(f"{number:04d}", day, number) for number in range(300) for day in DAYS[number % 7 : 20]]
    recording = read_csv(stores(tmp_path, rows), **LONG)
    assert recording.names == [f"{number:04d}" for number in range(300)]
    assert np.isnan(recording.values).sum(0).tolist() == [number % 7 for number in range(300)]
    assert np.nanmean(recording.values, axis=0).tolist() == list(range(300))


def test_several_values_of_each_series_are_named_by_both(tmp_path: Path) -> None:
    path = write(tmp_path, table(("store", "ds", "y", "z"), *((*row, -row[2]) for row in long(A=[1, 2, 3], B=[2, 3]))))
    recording = read_csv(path, **LONG | {"value": ["y", "z"]})
    assert recording.names == ["A y", "A z", "B y", "B z"]
    assert recording.values[2].tolist() == [3, -3, 3, -3]


def test_some_series_may_be_chosen(tmp_path: Path) -> None:
    path = stores(tmp_path, long(A=[1, 2], B=range(3, 9), C=[9, 4]))
    recording = read_csv(path, **LONG, series=["B"])
    assert (recording.names, recording.values[:, 0].tolist()) == (["B"], [3, 4, 5, 6, 7, 8])


@pytest.mark.parametrize(
    ("rows", "repair", "told"),
    [
        (long(A=[1, 2], B=[3, 2]), (), r"line 5: 2024-01-02 comes after 2024-01-03 in series 'B'; .*\+=order"),
        (long(A=[1, 2], B=[2, 3, 3]), (), "lines 5, 6 are all of 2024-01-03 in series 'B', and there are 3 rows of 2"),
        (long(A=[1, 2], B=[3], C=[4]), (), "has 1 value in series 'B', and so few in 1 other; expected 2 at least"),
        ([*long(A=[1, 2]), ("B", DAYS[0], "")], (), "has 0 values in series 'B'; expected 2"),
        (
            long(A=range(1, 20), B=[2, 3, 5, 8], C=[1, 3]),
            (),
            r"line 23: there is no value of 2024-01-04 in series 'B', the first of 3 that lack between its first and "
            r"its last; 1 other series lack some, too; fill in what lacks, or let --data.repair\+=gaps interpolate",
        ),
        (
            [*long(A=[1, 2]), ("A", DAYS[2], ""), *long(A=[4, 6])],
            ("gaps",),
            r"line 4: there is no value of 2024-01-03 in series 'A', the first of 2 .* let --data.repair\+=missing int",
        ),
        (long(A=range(1, 30), B=[1, 9]), ("gaps",), "line 32: before it 7 points are missing in series 'B', from"),
        ([*long(A=[1, 2]), ("B", "2024-01-02 12:00", 1), *long(B=[3])], (), ".* 2024-01-01 12:00 in series 'A'"),
    ],
)  # fmt: skip
def test_fault_of_a_series_is_named(tmp_path: Path, rows: Any, repair: Any, told: str) -> None:
    with pytest.raises(DataError, match=rf"sales.csv {told}"):
        read_csv(stores(tmp_path, rows), **LONG, repair=repair)


def test_what_lacks_within_a_series_is_interpolated_as_allowed(tmp_path: Path) -> None:
    rows = [*long(A=[1, 2, 5, 6], B=[2, 3]), ("B", DAYS[3], ""), *long(B=[5, 5, 7])]
    recording = read_csv(stores(tmp_path, rows), **LONG, repair=["missing", "gaps", "duplicates"])
    assert recording.values.T.tolist() == [
        pytest.approx([1, 2, 3, 4, 5, 6, NAN], nan_ok=True),
        pytest.approx([NAN, 2, 3, 4, 5, 6, 7], nan_ok=True),
    ]
    assert recording.repaired == (
        "1 duplicate averaged in series 'B', 1 missing cell and 3 absent steps interpolated in series 'A', 'B'"
    )


def test_rows_of_series_are_sorted_as_allowed(tmp_path: Path) -> None:
    recording = read_csv(stores(tmp_path, long(A=[3, 2, 1], B=[2, 3, 1])), **LONG, repair=["order"])
    assert recording.values.tolist() == [[1, 1], [2, 2], [3, 3]]
    assert recording.repaired == "rows sorted in series 'A', 'B'"


def test_series_that_lie_too_far_apart_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ragged, "_CELLS", 1000)
    rows = [*long(A=[1, 2]), ("B", "2054-01-03", 1), ("B", "2054-01-04", 1)]
    with pytest.raises(
        DataError, match="2 series and 4 values, but 10962 steps of 1 day lie between 2024-01-01 and 2054"
    ):
        read_csv(stores(tmp_path, rows), **LONG)


def test_all_series_lack_the_hour_that_clocks_skip(tmp_path: Path) -> None:
    hours = [f"2024-03-31 {hour:02d}:00" for hour in range(24) if hour != 2]
    with pytest.raises(DataError, match=r"2024-03-31 02:00 is absent, as when clocks are put forward"):
        read_csv(stores(tmp_path, [(name, hour, 1) for name in "AB" for hour in hours]), **LONG)
