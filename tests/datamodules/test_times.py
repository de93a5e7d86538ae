"""Times in files of series: notations, dates of one reading only, offsets from UTC and changes of clocks."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.series.recording import Recording, Repair, read_csv

from .written import table, write

DAYS = [date(2024, 2, 26) + timedelta(number) for number in range(40)]


def read(
    folder: Path, times: list[str], time_format: str | None = None, repair: list[Repair] | None = None
) -> Recording:
    """A series that has these times."""
    text = table(("t", "n"), *((time, place) for place, time in enumerate(times)), delimiter=";")
    return read_csv(write(folder, text), "n", "t", time_format, repair or ())


def following(recording: Recording, count: int = 2) -> list[str]:
    """How the times go on."""
    line, length = recording.timeline, len(recording.values)
    return line.write(line.at(np.arange(length, length + count)))


@pytest.mark.parametrize(
    ("times", "step", "next_ones"),
    [
        (["201850", "201851", "201852"], "7 days", ["201901", "201902"]),
        (["2018-W51", "2018-W52"], "7 days", ["2019-W01", "2019-W02"]),
        (["2020W52", "2020W53"], "7 days", ["2021W01", "2021W02"]),
        (["2018-51", "2018-52"], "7 days", ["2019-01", "2019-02"]),
        (["W51 2018", "W52 2018"], "7 days", ["W01 2019", "W02 2019"]),
        (["2020Q2", "2020Q3"], "3 months", ["2020Q4", "2021Q1"]),
        (["2020-Q2", "2020-Q3"], "3 months", ["2020-Q4", "2021-Q1"]),
        (["Q2 2020", "Q3 2020"], "3 months", ["Q4 2020", "Q1 2021"]),
        (["3Q 2020", "4Q 2020"], "3 months", ["1Q 2021", "2Q 2021"]),
        (["KW 51/2018", "KW 52/2018"], "7 days", ["KW 01/2019", "KW 02/2019"]),
        (["51/2018", "52/2018"], "7 days", ["01/2019", "02/2019"]),
        (["Oct-20", "Nov-20"], "1 month", ["Dec-20", "Jan-21"]),
        (["2020-10", "2020-11"], "1 month", ["2020-12", "2021-01"]),
        (["202010", "202011"], "1 month", ["202012", "202101"]),
        (["2020M10", "2020M11"], "1 month", ["2020M12", "2021M01"]),
        (["10/2020", "11/2020"], "1 month", ["12/2020", "01/2021"]),
        (["Oct 2020", "Nov 2020"], "1 month", ["Dec 2020", "Jan 2021"]),
        (["October 2020", "November 2020"], "1 month", ["December 2020", "January 2021"]),
        (["2020", "2021"], None, ["2022", "2023"]),
        (["2020.0", "2021.0"], None, ["2022", "2023"]),
        (["1704067200", "1704070800"], "1 hour", ["1704074400", "1704078000"]),
        (["1704067200000", "1706745600000", "1709251200000"], "1 month", ["1711929600000", "1714521600000"]),
        (["2024010122", "2024010123"], "1 hour", ["2024-01-02 00:00", "2024-01-02 01:00"]),
        (["202401012345", "202401020000"], "15 minutes", ["2024-01-02 00:15", "2024-01-02 00:30"]),
        (
            ["2024-01-01 22:00:00 UTC", "2024-01-01 23:00:00 UTC"],
            "1 hour",
            ["2024-01-02 00:00+00:00", "2024-01-02 01:00+00:00"],
        ),
        (["2024-01-01T00:00:00.000000000", "2024-01-02T00:00:00.000000000"], "1 day", ["2024-01-03", "2024-01-04"]),
        (["180051", "180052", "180053", "180054"], None, ["180055", "180056"]),
    ],
)
def test_times_go_on_as_they_are_written(
    tmp_path: Path, times: list[str], step: str | None, next_ones: list[str]
) -> None:
    recording = read(tmp_path, times)
    assert (recording.timeline.step, following(recording)) == (step, next_ones)


@pytest.mark.parametrize(
    "written",
    [
        *("%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%Y/%m/%d", "%Y.%m.%d", "%m/%d/%y", "%d.%m.%y", "%d-%b-%Y"),
        *("%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%y", "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M %p"),
    ],
)
def test_dates_of_one_reading_are_read(tmp_path: Path, written: str) -> None:
    assert following(read(tmp_path, [day.strftime(written) for day in DAYS])) == ["2024-04-06", "2024-04-07"]


def test_dates_without_zeros_are_read(tmp_path: Path) -> None:
    assert following(read(tmp_path, [f"{day.month}/{day.day}/{day.year}" for day in DAYS]))[0] == "2024-04-06"


@pytest.mark.parametrize("mark", [".", "/", "-"])
def test_dates_of_two_readings_are_asked(tmp_path: Path, mark: str) -> None:
    times = [f"01{mark}{month:02d}{mark}2024" for month in range(1, 13)]
    ours, theirs = (f"%{one}{mark}%{two}{mark}%Y" for one, two in ("dm", "md"))
    with pytest.raises(DataError) as refused:
        read(tmp_path, times)
    told = f"line 3: '{times[1]}' in column 't' may be 2024-02-01 or 2024-01-02; say which with --data.time_format"
    assert told in str(refused.value)
    assert f"'{ours}' (2024-02-01) or --data.time_format '{theirs}' (2024-01-02)" in str(refused.value)
    assert read(tmp_path, times, ours).timeline.step == "1 month"
    assert read(tmp_path, times, theirs).timeline.step == "1 day"


@pytest.mark.parametrize(
    ("times", "told"),
    [
        (["2018-W51", "2018-W53"], "line 3: '2018-W53' in column 't'; expected a week as in the rows before"),
        (["2018Q3", "2018Q5"], "line 3: '2018Q5' in column 't'; expected a quarter as in the rows before"),
        (["Jan 2020", "Fbe 2020"], "line 3: 'Fbe 2020' in column 't'; expected a month as in the rows before"),
        (["30.01.2024", "31.01.2024", "soon"], "line 4: 'soon' in column 't'; expected a time written as %d.%m.%Y"),
        (["2018-W51", "2019-W01"], None),
        (["2018Q1", "2018Q2", "2018Q4"], "line 4: 2018Q4 follows 2018Q2, expected a row every 3 months"),
        (["2024-01-01 00:00+01:00", "2024-01-02 00:00"], "line 3: .* has no offset from UTC, unlike the rows before"),
    ],
)
def test_faults_are_told_as_the_file_writes_them(tmp_path: Path, times: list[str], told: str | None) -> None:
    if told is None:
        assert read(tmp_path, times).timeline.step == "14 days"
        return
    with pytest.raises(DataError, match=told):
        read(tmp_path, times)


def hours(zone: str, first: str, count: int, minutes: int = 60) -> list[datetime]:
    """Points at equal distances, as clocks of a zone show them."""
    start = datetime.fromisoformat(f"{first}+00:00")
    return [(start + number * timedelta(minutes=minutes)).astimezone(ZoneInfo(zone)) for number in range(count)]


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "Australia/Sydney"])
@pytest.mark.parametrize("weekend", [True, False])
def test_local_midnights_are_days(tmp_path: Path, zone: str, weekend: bool) -> None:
    days = [datetime(2022, 1, 3, tzinfo=ZoneInfo(zone)) + timedelta(number) for number in range(320)]
    recording = read(tmp_path, [str(day) for day in days if weekend or day.weekday() < 5])
    assert recording.timeline.step == ("1 day" if weekend else "1 business day")
    assert following(recording) == (["2022-11-19", "2022-11-20"] if weekend else ["2022-11-21", "2022-11-22"])


def test_local_midnights_in_utc_are_days(tmp_path: Path) -> None:
    days = [datetime(2022, 1, 3, tzinfo=ZoneInfo("America/New_York")) + timedelta(number) for number in range(320)]
    utc = [day.astimezone(UTC) for day in days if day.weekday() < 5]
    for times in ([f"{day:%Y-%m-%d %H:%M}" for day in utc], [str(int(day.timestamp())) for day in utc]):
        recording = read(tmp_path, times)
        assert (recording.timeline.step, len(recording.values)) == ("1 business day", len(utc))


@pytest.mark.parametrize("minutes", [15, 60])
def test_hours_with_offsets_are_regular_in_utc(tmp_path: Path, minutes: int) -> None:
    moments = hours("Europe/Berlin", "2024-03-30", 200, minutes)
    recording = read(tmp_path, [str(moment) for moment in moments])
    assert recording.timeline.step == f"{minutes} minutes".replace("60 minutes", "1 hour")
    assert recording.timeline.start == np.datetime64("2024-03-30")


def test_four_times_a_day_on_the_wall_are_regular(tmp_path: Path) -> None:
    start, zone = datetime(2024, 3, 1, tzinfo=ZoneInfo("Europe/Berlin")), timedelta(hours=6)
    assert read(tmp_path, [str(start + number * zone) for number in range(200)]).timeline.step == "6 hours"


@pytest.mark.parametrize(
    ("first", "minutes", "told", "repair"),
    [
        ("2024-10-26", 60, "line 26: 2024-10-27 02:00 comes twice, as when clocks are put back; ", ["duplicates"]),
        ("2024-10-26", 15, "2024-10-27 02:00 comes twice, as when clocks are put back; ", ["order", "duplicates"]),
        ("2024-03-30", 60, "line 27: 2024-03-31 02:00 is absent, as when clocks are put forward; ", ["gaps"]),
        ("2024-03-30", 15, "2024-03-31 02:00 is absent, as when clocks are put forward; ", ["gaps"]),
    ],
)
def test_change_of_clocks_is_told(tmp_path: Path, first: str, minutes: int, told: str, repair: list[Repair]) -> None:
    times = [f"{moment:%Y-%m-%d %H:%M}" for moment in hours("Europe/Berlin", first, 3000 // minutes, minutes)]
    with pytest.raises(DataError) as refused:
        read(tmp_path, times)
    assert told in str(refused.value)
    assert "write every time with its offset from UTC" in str(refused.value)
    assert " ".join(f"--data.repair+={word}" for word in repair) in str(refused.value)
    assert read(tmp_path, times, repair=repair).timeline.step == f"{minutes} minutes".replace("60 minutes", "1 hour")
