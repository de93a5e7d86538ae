"""Series in files: how time goes on, every dialect of CSV, faults named by line, and what repairs them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules import CsvSeries
from datamodules.errors import DataError
from datamodules.notes import log
from datamodules.series.recording import Repair, read_csv
from datamodules.series.timeline import Timeline

from .written import write

# Timelines.


@pytest.mark.parametrize(
    ("times", "step", "following"),
    [
        (["2024-01-01", "2024-01-02", "2024-01-03"], "1 day", "2024-01-04"),
        (["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"], "1 month", "2024-05-31"),
        (["2023-02-28", "2023-03-31", "2023-04-30"], "1 month", "2023-05-31"),
        (["2024-01-15", "2024-02-15", "2024-03-15", "2024-04-15"], "1 month", "2024-05-15"),
        (["2023-01-01", "2023-04-01", "2023-07-01", "2023-10-01"], "3 months", "2024-01-01"),
        (["2024-07-01", "2024-08-01", "2024-09-01"], "1 month", "2024-10-01"),
        (["2019-07-01", "2020-07-01", "2021-07-01"], "1 year", "2022-07-01"),
        (["2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09"], "1 business day", "2024-01-10"),
        (["2024-01-04T16:00", "2024-01-05T16:00", "2024-01-08T16:00"], "1 business day", "2024-01-09T16:00:00"),
        (["2024-01-31", "2024-02-29", "2024-03-29", "2024-04-30", "2024-05-31"], "1 month", "2024-06-28"),
        (["2023-12-29", "2024-03-29", "2024-06-28"], "3 months", "2024-09-30"),
        (["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01", "2024-05-01", "2024-06-03"], "1 month", "2024-07-01"),
        (["2024-01-05", "2024-01-12", "2024-01-19"], "7 days", "2024-01-26"),
        (["2024-01-01T22:00", "2024-01-01T23:00", "2024-01-02"], "1 hour", "2024-01-02T01:00:00"),
        (["2024-01-01T00:30", "2024-01-01T01:00", "2024-01-01T01:30"], "30 minutes", "2024-01-01T02:00:00"),
    ],
)
def test_timeline_goes_on(times: Sequence[str], step: str, following: str) -> None:
    points = np.array(times, dtype="M8[us]")
    timeline = Timeline.find(points)
    assert timeline.step == step
    assert (timeline.at(np.arange(len(points))) == points).all()
    assert str(timeline.at(np.array([len(points)]))[0]) == following


# Files.


DAYS = [f"2024-{month:02d}-{day:02d}" for month in (1, 2, 3) for day in range(1, 29)]


def daily(*rows: str) -> str:
    """A file of the columns day and sold; every row is ``DAY,SOLD`` of January 2024."""
    return "\n".join(["day,sold", *(f"2024-01-{row}" for row in rows)]) + "\n"


def test_file_becomes_a_series_with_dates_continued(tmp_path: Path) -> None:
    rows = "\n".join(f"2024-{number // 28 + 1:02d}-01,{number}" for number in range(0, 280, 28))
    data = CsvSeries(str(write(tmp_path, f"month,sold\n{rows}\n")), time="month", window=3)
    assert (data.names, data.step, data.values[:, 0].tolist()) == (["sold"], "1 month", list(range(0, 280, 28)))
    assert [str(time) for time in data.future_times(3)] == ["2024-11-01", "2024-12-01", "2025-01-01"]
    assert data.source["name"] == "sold of sales.csv"
    assert data.period == 1, "no model shall take its own default for a season that nobody knows"
    assert data.private, "golden tensors of published weights shall hold no user's series"


def test_several_columns_become_channels_in_the_order_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, "t,a,b,c\n" + "".join(f"{number},{number},x,{-number}\n" for number in range(50)))
    data = CsvSeries(str(path), ["c", "a"], "t", window=5, period=7)
    assert (data.names, data.num_series, data.period) == (["c", "a"], 2, 7)
    assert data.values[3].tolist() == [-3, 3]
    assert data.naive_mae == [7.0, 7.0], "the naive forecast repeats the season"


@pytest.mark.parametrize(("period", "told"), [(0, "period is 0"), (40, "expected more than a season of 40")])
def test_season_must_fit_into_the_file(tmp_path: Path, period: int, told: str) -> None:
    with pytest.raises(DataError, match=told):
        CsvSeries(str(write(tmp_path, "x\n" + "1\n2\n" * 25)), window=5, period=period)


def test_rows_without_times_are_numbered(tmp_path: Path) -> None:
    data = CsvSeries(str(write(tmp_path, "x\n" + "1\n2\n" * 30)), window=5)
    assert (data.step, data.times[-1], data.future_times(2).tolist()) == (None, 59, [60, 61])


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("day,sold\n2024-01-01,1.5\n2024-01-02,2.5\n", "utf-8"),
        ("day,sold\r\n2024-01-01,1.5\r\n2024-01-02,2.5\r\n", "utf-8-sig"),
        ("day,sold\r2024-01-01,1.5\r2024-01-02,2.5\r", "utf-8"),
        ("day;sold\n2024-01-01;1,5\n2024-01-02;2,5\n", "utf-8"),
        ("day\tsold\n2024-01-01\t1.5\n2024-01-02\t2.5\n\n\n", "utf-8"),
        ("day|sold\n2024-01-01|1.5\n2024-01-02|2.5\n", "utf-8"),
        ("day\tsold\r\n2024-01-01\t1,5\r\n2024-01-02\t2,5\r\n", "utf-16"),
        ("sep=;\r\nday;sold\r\n2024-01-01;1,5\r\n2024-01-02;2,5\r\n", "utf-8-sig"),
        ('"day","sold"\n"2024-01-01","1.5"\n"2024-01-02"," 2.5 "', "utf-8"),
        ("day,sold\n20240101,1.5\n20240102,2.5\n", "utf-8"),
        ("day,sold\n2024-01-01T00:00+01:00,1.5\n2024-01-02T00:00+01:00,2.5\n", "utf-8"),
        ("day,sold\n2024-01-01T00:00Z,1.5\n2024-01-02T01:00+01:00,2.5\n", "utf-8"),
        ("day,sold,note\n2024-01-01,1.5,\"two\nlines\"\n2024-01-02,2.5,\n", "utf-8"),
    ],
    ids=[
        *("comma", "windows", "returns", "semicolon", "tab", "bar", "wide", "sep", "quoted", "compact", "offset"),
        *("summer", "lines"),
    ],
)  # fmt: skip
def test_dialects_of_csv_are_understood(tmp_path: Path, text: str, encoding: str) -> None:
    recording = read_csv(write(tmp_path, text, encoding), "sold", "day")
    assert recording.values[:, 0].tolist() == [1.5, 2.5]
    assert recording.timeline.step == "1 day"


@pytest.mark.parametrize(
    ("times", "step", "first"),
    [
        (["1700-01-01", "1701-01-01", "1702-01-01"], "1 year", "1700-01-01"),
        (["2024-01", "2024-02", "2024-03"], "1 month", "2024-01-01"),
        (["1700", "1701", "1702"], None, "1700"),
    ],
)
def test_times_may_be_old_or_coarse(tmp_path: Path, times: list[str], step: str | None, first: str) -> None:
    timeline = read_csv(write(tmp_path, "t,n\n" + "".join(f"{time},1\n" for time in times)), time="t").timeline
    assert (timeline.step, str(timeline.start)) == (step, first)


def test_empty_rows_below_the_last_are_no_rows(tmp_path: Path) -> None:
    assert read_csv(write(tmp_path, "n,note\n1,a\n2,\n,\n\n , \n"), "n").values[:, 0].tolist() == [1, 2]


def test_last_value_may_not_be_missing_unnoticed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 4: no number in column 'n'"):
        read_csv(write(tmp_path, "n,note\n1,a\n2,b\n,c\n"), "n")


def test_other_ways_of_writing_dates_can_be_described(tmp_path: Path) -> None:
    path = write(tmp_path, "day;sold\n03.02.2024;1\n04.02.2024;2\n")
    assert str(read_csv(path, time="day", time_format="%d.%m.%Y").timeline.start) == "2024-02-03"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; expected a CSV file whose first line names the columns"),
        ("day,sold\n", "has no rows below its first line"),
        ("1.5,2\n3,4\n", "line 1: 1.5, 2; expected the names of the columns"),
        ("day,sold\n2024-01-01,1\n2024-01-02,2,3\n", "line 3: 3 cells, expected 2 as in line 1; decimal commas need ;"),
        ("day,sold,sold\n2024-01-01,1,2\n", "has 2 columns 'sold'"),
        ("day,price\n2024-01-01,1\n", "has no column 'sold'; there are day, price"),
        ("day,sould\n2024-01-01,1\n", "has no column 'sold'; did you mean 'sould'?"),
        (daily("01,1", "02,many", "03,3", "04,few"), "lines 3, 5: 'many' in column 'sold' is not a number; expected"),
        (daily("01,1", "02,inf"), "line 3: infinite in column 'sold'"),
        ("sep=;\nday;sold\n2024-01-01;1\n2024-01-02;x\n", "line 4: 'x' in column 'sold' is not a number"),
        ("sep=;\nday;sold\n2024-01-01;1;2\n", "line 3: 3 cells, expected 2 as in line 2"),
        (daily("01,1", "02,", "03,n/a"), r"lines 3, 4: no number in column 'sold'; .* --data.repair\+=missing"),
        (daily("01,", "02,"), "has no number in column 'sold'"),
        (
            daily("01,", "02,2", "03,3", "04,"),
            r"lines 2, 5: .* --data.repair\+=missing interpolate and drop the 2 rows",
        ),
        (daily("01,1", "31st,2"), "line 3: '2024-01-31st' in column 'day'; expected a time such as 2024-01-31"),
        ("day,sold\n1,1\ntwo,2\n", "line 3: 'two' in column 'day'; expected a whole number as in the rows before"),
        (daily("01,1", "03,3", "02,2"), r"line 4: 2024-01-02 comes after 2024-01-03; .* --data.repair\+=order"),
        (daily("01,1", "02,2", "02,3"), r"lines 3, 4 are all of 2024-01-02, .*; .* --data.repair\+=duplicates"),
        (
            daily("01,1", "02,2", "05,5", "06,6"),
            r"line 4: 2024-01-05 follows 2024-01-02, expected a row every 1 day; 2 are absent in all, beside 4 that "
            r"are there; add them, or let --data.repair\+=gaps",
        ),
        (
            daily("01,1", "03,2", "05,3", "06,4"),
            "line 5: 2024-01-06 is no whole number of steps of 2 days after 2024-01-01; expected equal distances",
        ),
        ("day\tsold\n2024-01-01\t1,234.5\n2024-01-02\t1.234,5\n", "line 3: '1.234,5' in column 'sold' is not a num"),
        ('day,sold\n2024-01-01,"1\n', "line 2: unexpected end of data"),
    ],
)
def test_fault_of_a_file_is_named_by_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"sales.csv,? {message}"):
        read_csv(write(tmp_path, text), "sold", "day")


def test_many_faults_are_counted(tmp_path: Path) -> None:
    text = "sold\n" + "1\nx\n" * 9
    with pytest.raises(DataError, match="lines 3, 5, 7, 9, 11 and 4 more: 'x'"):
        read_csv(write(tmp_path, text))


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 3: 'x'"):
        read_csv(write(tmp_path, 'note,sold\n"of\ntwo lines",x\n'), "sold")


def test_other_encoding_is_named_by_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"sales\.csv line 3: byte 0xfc is not UTF-8; save the file in UTF-8"):
        read_csv(write(tmp_path, "ort,n\nUlm,1\nMünchen,2\n", "latin-1"), "n")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*none\.csv: No such file"):
        read_csv(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "has the columns day, sold, price; say which to forecast with --data.value, and which holds the times"),
        ({"value": "day", "time": "day"}, "column 'day' is named both as time and as value"),
        ({"value": ["sold", "sold"]}, "expected one column or several different ones"),
        ({"value": "sold", "repair": ["all"]}, "no repair 'all'; there are missing, order, duplicates, gaps"),
        ({"value": "sold", "time_format": "%Y"}, "no column of times is named; name it with --data.time"),
        ({"value": "sold", "time": "day", "time_format": "%d.%m.%Y"}, "expected a time written as %d.%m.%Y"),
    ],
)
def test_unclear_wishes_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_csv(write(tmp_path, "day,sold,price\n2024-01-01,1,2\n2024-01-02,1,2\n"), **options)


@pytest.mark.parametrize(
    ("rows", "repair", "values", "repaired"),
    [
        (["01,1", "02,", "03,nan", "04,4"], ["missing"], [1, 2, 3, 4], "2 missing cells interpolated (lines 3, 4)"),
        (
            ["01,", "02,2", "03,3", "04,", "05,"],
            ["missing"],
            [2, 3],
            "3 rows of 5 without a number dropped at the ends (lines 2, 5 to 6)",
        ),
        (["03,3", "01,1", "02,2"], ["order"], [1, 2, 3], "rows sorted"),
        (["01,1", "02,2", "02,4", "03,3"], ["duplicates"], [1, 3, 3], "1 duplicate averaged"),
        (
            ["01,1", "02,2", "05,5", "06,6"],
            ["gaps"],
            [1, 2, 3, 4, 5, 6],
            "2 absent steps interpolated (2024-01-03, 2024-01-04)",
        ),
        (
            ["06,6", "01,1", "02,2", "02,2", "05,"],
            ["gaps", "missing", "duplicates", "order"],
            [1, 2, 3, 4, 5, 6],
            "rows sorted, 1 duplicate averaged, 1 missing cell interpolated (line 6), "
            "2 absent steps interpolated (2024-01-03, 2024-01-04)",
        ),
        (["01,1", "02,", "02,2", "03,3"], ["duplicates"], [1, 2, 3], "1 duplicate averaged"),
    ],
    ids=["missing", "ends", "order", "duplicates", "gaps", "all", "missing duplicate"],
)
def test_file_is_repaired_as_asked(
    tmp_path: Path, rows: list[str], repair: list[Repair], values: list[float], repaired: str
) -> None:
    recording = read_csv(write(tmp_path, daily(*rows)), time="day", repair=repair)
    assert recording.values[:, 0].tolist() == values
    assert recording.repaired == repaired


def test_dates_move_on_when_missing_rows_are_dropped(tmp_path: Path) -> None:
    recording = read_csv(write(tmp_path, daily("01,", "02,2", "03,3")), time="day", repair=["missing"])
    assert str(recording.timeline.start) == "2024-01-02"


def test_months_are_interpolated_by_step_whatever_their_length(tmp_path: Path) -> None:
    text = "month,sold\n2024-01-31,1\n2024-02-29,2\n2024-04-30,4\n2024-05-31,5\n"
    assert read_csv(write(tmp_path, text), time="month", repair=["gaps"]).values[:, 0].tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("rows", "found", "cure"),
    [
        (
            ["01,1", "02,2", "31,3"],
            "4: before it 20 points are missing, from 2024-01-03 to 2024-01-30, and 20 of 23",
            "time",
        ),
        ([f"{day:02d},{'' if 9 < day < 15 else 1}" for day in range(1, 31)], "16: before it 5 points", "fill in cells"),
        (
            [f"{day:02d},{1 if day % 2 else ''}" for day in range(1, 32)],
            "4: before it 1 .*, and 15 of 31",
            "fill in cells",
        ),
    ],
    ids=["gap", "stretch", "many"],
)
@pytest.mark.parametrize("repair", [("gaps", "missing"), ()], ids=["allowed", "not allowed"])
def test_no_series_is_invented(tmp_path: Path, rows: list[str], found: str, cure: str, repair: Any) -> None:
    with pytest.raises(DataError, match=f"sales.csv line {found}.*; so many cannot be interpolated: .*{cure}"):
        read_csv(write(tmp_path, daily(*rows)), time="day", repair=repair)


def test_repair_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger=log.name)
    rows = [f"{day},{value}" for value, day in enumerate(DAYS) if value != 5]
    data = CsvSeries(str(write(tmp_path, "day,sold\n" + "\n".join(rows))), time="day", repair=["gaps"], window=4)
    assert "sales.csv was repaired: " in caplog.text
    assert data.source["repaired"] == data.recording.repaired


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, r"has 24 points for training of 30; a window of 30 .* need 31; use --data.window 23 at most"),
        ({"window": 4, "horizon": 12}, r"has 6 points for training of 30; .* need 16; use --data.horizon 8 at most"),
        ({"window": "auto", "horizon": 14, "fit_on": "train", "test": 10}, r"use --data.horizon 9 at most"),
        ({"window": 4, "horizon": 40}, r"has 30 points, too few to train on, .* use --data.horizon 9 at most"),
        (
            {"window": 14, "horizon": 9},
            r"has 12 points for training of 30; .* need 23; use --data.window 3 at most",
        ),
        (
            {"window": 4, "horizon": 7, "val": 3},
            r"has 3 points in val, expected at least the horizon of 7; use a larger --data.val",
        ),
        ({"mode": "lanes", "horizon": 12}, r"horizon is 12 in mode lanes, expected 1, .*; leave out --data.horizon"),
    ],
)
def test_file_that_is_too_short_says_what_fits(tmp_path: Path, options: dict[str, Any], told: str) -> None:
    path = write(tmp_path, "sold\n" + "1\n2\n" * 15)
    with pytest.raises(DataError, match=told):
        CsvSeries(str(path), **options)


def test_advice_on_what_fits_is_good(tmp_path: Path) -> None:
    path = write(tmp_path, "sold\n" + "1\n2\n" * 15)
    assert CsvSeries(str(path), window=23).window == 23
    assert CsvSeries(str(path), window=4, horizon=8).horizon == 8
    assert CsvSeries(str(path), window=21, horizon=3).horizon == 3
    assert CsvSeries(str(path), window=3, horizon=9).horizon == 9


def test_a_file_is_read_once_while_it_stays_the_same(tmp_path: Path) -> None:
    path = tmp_path / "series.csv"
    path.write_text("v\n" + "\n".join(map(str, range(60))))
    first, again = (CsvSeries(path=str(path), window=3, value=["v"]).recording for _ in range(2))
    assert first.values is again.values
    path.write_text("v\n" + "\n".join(map(str, range(1, 62))))
    assert CsvSeries(path=str(path), window=3, value=["v"]).recording.values[0, 0] == 1
