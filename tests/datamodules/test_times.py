"""Times in files of series: notations, dates of one reading only, offsets from UTC and changes of clocks."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.series import month_names
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
        (["Okt 2024", "Nov 2024"], "1 month", ["Dez 2024", "Jan 2025"]),
        (["Jan 2024", "Feb 2024", "Mär 2024", "Apr 2024"], "1 month", ["Mai 2024", "Jun 2024"]),
        (["März 2024", "April 2024"], "1 month", ["Mai 2024", "Juni 2024"]),
        (["DEZ.23", "JAN.24"], "1 month", ["FEB.24", "MÄR.24"]),
        (["juin 2024", "juillet 2024"], "1 month", ["août 2024", "septembre 2024"]),
        (["ene-24", "feb-24", "mar-24"], "1 month", ["abr-24", "may-24"]),
        (["2024 Ott", "2024 Nov"], "1 month", ["2024 Dic", "2025 Gen"]),
        (["fevereiro 2024", "março 2024"], "1 month", ["abril 2024", "maio 2024"]),
        (["maart 2024", "april 2024"], "1 month", ["mei 2024", "juni 2024"]),
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


@pytest.mark.parametrize(
    "written", ["5. Okt 2024", "5 Okt. 2024", "5. Oktober 2024", "5-Okt-2024", "5-Oct-2024", "5 oct 24"]
)
def test_days_of_named_months_are_read_in_other_languages(tmp_path: Path, written: str) -> None:
    recording = read(tmp_path, [written.replace("5", str(day), 1) for day in (28, 29, 30)])
    assert following(recording) == ["2024-10-31", "2024-11-01"]


def test_no_name_means_two_months() -> None:
    names = [(*names.split(),) for table in (month_names._NAMES, month_names._SHORT) for names in table.values()]
    assert {month_names.number_of(name) for months in names for name in months} == set(range(1, 13))
    for months in names:
        assert [month_names.number_of(name) for name in months] == list(range(1, 13))


@pytest.mark.parametrize(
    ("days", "step", "next_one"),
    [
        (["45292", "45293", "45294"], "1 day", "2024-01-04"),
        (["45292.0", "45323.0", "45352.0"], "1 month", "2024-04-01"),
        (["45293", "45294", "45295", "45296", "45299"], "1 business day", "2024-01-09"),
        (["45292.0416666667", "45292.0833333333", "45292.125"], "1 hour", "2024-01-01 04:00"),
        (["45292,9999999", "45294", "45295"], "1 day", "2024-01-05"),
    ],
)
def test_days_that_excel_counts_are_read_if_said_so(tmp_path: Path, days: list[str], step: str, next_one: str) -> None:
    recording = read(tmp_path, days, "excel")
    assert (recording.timeline.step, following(recording, 1)) == (step, [next_one])


@pytest.mark.parametrize(
    ("days", "time_format", "told"),
    [
        (["45293", "45294", "45295", "45296", "45299"], None, "45299 follows 45296.*; {hint}"),
        (["45292", "45323", "45352"], None, "45323 is no whole number of steps of 29 after 45292.*; {hint}"),
        (["45292.5", "45293.5"], None, "lines 2, 3: '45292.5' in column 't'; expected a time such as .*; {hint}"),
        (["45292", "59"], "excel", "line 3: '59' in column 't'; expected a time written as excel"),
    ],
)
def test_days_that_excel_may_count_are_asked(
    tmp_path: Path, days: list[str], time_format: str | None, told: str
) -> None:
    hint = "if these are days as Excel counts them, say so with --data.time_format excel"
    with pytest.raises(DataError, match=told.format(hint=hint)):
        read(tmp_path, days, time_format)


LAST_DAYS = "01-31 02-28 03-29 04-30 05-31 06-29 07-31 08-31 09-28 10-31 11-30 12-31"
FIRST_DAYS = "01-02 02-01 03-01 04-02 05-01 06-01 07-02 08-01 09-04 10-01 11-01 12-03"


@pytest.mark.parametrize("hour", ["", " 16:00"])
@pytest.mark.parametrize(
    ("days", "moved", "next_one", "place", "rule"),
    [
        (LAST_DAYS, ["2018-03-29"], "2019-01-31", "last", ["2018-03-30", "2018-04-30"]),
        (FIRST_DAYS, ["2018-01-02", "2018-09-04"], "2019-01-01", "first", ["2018-03-01", "2018-04-02"]),
    ],
)
def test_trading_days_at_the_ends_of_months_may_be_moved_by_holidays(
    tmp_path: Path, hour: str, days: str, moved: list[str], next_one: str, place: str, rule: list[str]
) -> None:
    recording = read(tmp_path, [f"2018-{day}{hour}" for day in days.split()])
    assert (recording.timeline.step, following(recording, 1)) == ("1 month", [next_one + hour])
    assert recording.timeline.write(recording.timeline.at(np.array([2, 3]))) == [day + hour for day in rule]
    assert recording.repaired == (
        f"{', '.join(day + hour for day in moved)} taken for the {place} business day of the month"
    )


def test_a_trading_month_may_lack(tmp_path: Path) -> None:
    days = [f"2018-{day}" for day in LAST_DAYS.split() if day != "05-31"]
    with pytest.raises(DataError, match="2018-06-29 follows 2018-04-30, expected a row every 1 month; 1 are absent"):
        read(tmp_path, days)
    assert len(read(tmp_path, days, repair=["gaps"]).values) == 12


@pytest.mark.parametrize(
    "days", ["2018-01-05 2018-02-08 2018-03-05 2018-04-09", "2018-01-31 2018-02-14 2018-03-14 2018-04-30 2018-05-02"]
)
def test_other_days_of_months_are_no_trading_days(tmp_path: Path, days: str) -> None:
    with pytest.raises(DataError, match=r"points are missing|no whole number of steps"):
        read(tmp_path, days.split())
