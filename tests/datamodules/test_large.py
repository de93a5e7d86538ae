"""Large tables: what pyarrow reads equals what Python reads, from CSV and from Parquet."""

import subprocess
import sys
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules import arrow, table
from datamodules.errors import DataError
from datamodules.series.recording import read_csv

from .written import write

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

LONG: dict[str, Any] = {"value": "y", "time": "d", "id": "s", "ragged": True}
CSV = "s,d,y\n0012,2024-01-01,1\n0012,2024-01-02,2.5\nb c,2024-01-02,NA\nb c,2024-01-03,3\nb c,2024-01-04,-1e3\n"
EURO = CSV.replace(",", ";").replace(".", ",")


def outcome(path: Path, **options: Any) -> str:
    """What is read of a file, or what is told."""
    try:
        recording = read_csv(path, **options)
    except DataError as error:
        return str(error)
    return repr((recording._replace(values=np.empty(0)), recording.values.tolist()))


def never(*arguments: object) -> None:
    raise AssertionError("the reader in Python was asked")


@pytest.mark.parametrize(
    "text",
    [
        *(CSV, "\ufeff" + CSV, CSV.replace("\n", "\r\n"), CSV.replace("\n", "\r"), CSV.rstrip("\n")),
        *(CSV + end for end in ("\n\n", ",,\n", " , ,\n\r\n")),
        *(CSV.replace(",", sign) for sign in "\t|;"),
        *(EURO, "sep=;\n" + EURO),
        *(CSV.replace("b c", cell) for cell in ('"b c"', '"b ""c"""', '"b,c"', " b c ", "ö", "")),
        *(CSV.replace("2.5", cell) for cell in ("+2.5", " 2.5 ", '"2.5"', ".5", "inf", "#N/A", "x", "2'500.1", "2_5")),
        *(CSV.replace("2024-01-03", cell) for cell in ("2024-01-04", "2024-01-02", "2024-01-03T", "")),
        EURO.replace("2,5", "2.500"),
    ],
)  # fmt: skip
def test_plain_files_are_read_alike_by_pyarrow_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    path = write(tmp_path, text)
    expected = outcome(path, **LONG)
    monkeypatch.setattr(table, "LARGE", 0)
    monkeypatch.setattr(table, "read_columns", never)
    for block in (1 << 20, 40):
        monkeypatch.setattr(arrow, "_BLOCK", block)
        assert outcome(path, **LONG) == expected


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (CSV, "utf-16"),
        (CSV.replace("b c", "ö"), "latin-1"),
        (CSV.replace("\n", ",ö\n"), "latin-1"),
        (CSV.replace("\n", "\r", 2), "utf-8"),
        *((CSV.replace("b c", cell), "utf-8") for cell in ('"b" c', 'b "c" d', 'b "c', '"b\nc"', '"b', "b,c", "b\0c")),
        *((CSV + end, "utf-8") for end in (',""\n', '"","",""\n', ' , "" ,\n')),
        ("s,d,y\n", "utf-8"),
        ("s,d,y", "utf-8"),
        ("", "utf-8"),
        ("\n" + CSV, "utf-8"),
        ('"s\nt",d,y\n1,2024-01-01,3\n', "utf-8"),
        ("s,d,y,y\n1,2024-01-01,3,3\n", "utf-8"),
        ("s,d,z\n1,2024-01-01,3\n", "utf-8"),
    ],
)
def test_what_pyarrow_might_take_wrongly_is_read_by_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, encoding: str
) -> None:
    path = write(tmp_path, text, encoding)
    expected = outcome(path, **LONG)
    monkeypatch.setattr(table, "LARGE", 0)
    assert outcome(path, **LONG) == expected


def test_series_in_one_large_file_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "LARGE", 0)
    with pytest.raises(DataError, match="seems to hold 2 series, told apart by column 's'"):
        read_csv(write(tmp_path, CSV), "y", "d")
    with pytest.raises(DataError, match="lines 2, 3 are all of 2024-01-01"):
        read_csv(write(tmp_path, "d,y\n2024-01-01,1\n2024-01-01,2\n2024-01-02,3\n"), "y", "d")


def test_large_files_are_read_without_pyarrow_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, CSV)
    expected = outcome(path, **LONG)
    monkeypatch.setattr(table, "LARGE", 0)
    monkeypatch.setattr(arrow, "is_installed", lambda: False)
    assert outcome(path, **LONG) == expected


STORES, SALES = ["0012", "0012", "b c", "b c", "b c"], [1, 2.5, None, 3, -1000]
DAYS = [date(2024, 1, day) for day in (1, 2, 2, 3, 4)]
HOURS = [datetime(2024, 1, 1, hour) for hour in (1, 2, 2, 3, 4)]


def store(folder: Path, **columns: Any) -> Path:
    path = folder / "sales.parquet"
    parquet.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    ("s", "d", "y"),
    [
        (STORES, DAYS, SALES),
        (pa.array(STORES).dictionary_encode(), list(map(str, DAYS)), pa.array(SALES, pa.float32())),
        (
            STORES,
            pa.array(DAYS).cast(pa.timestamp("ns")),
            [None if one is None else Decimal(str(one)) for one in SALES],
        ),
        (STORES, DAYS, ["1", "2.5", "NA", "3", "-1000"]),
        (STORES, DAYS, ["1", "2,5", "", "3", "-1000"]),
    ],
    ids=["plain", "categories", "times", "texts", "commas"],
)
def test_parquet_is_read_like_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s: Any, d: Any, y: Any) -> None:
    expected = read_csv(write(tmp_path, CSV), **LONG)
    for rows in (1 << 18, 2):
        monkeypatch.setattr(arrow, "_ROWS", rows)
        found = read_csv(store(tmp_path, s=s, d=d, y=y), **LONG)
        assert (found.names, found.timeline) == (expected.names, expected.timeline)
        np.testing.assert_array_equal(found.values, expected.values)


def test_numbers_and_zones_of_parquet(tmp_path: Path) -> None:
    path = store(tmp_path, s=[1, 1, 2, 2, 2], d=pa.array(HOURS, pa.timestamp("ns", "Europe/Berlin")), y=[1, 2, 3, 4, 5])
    recording = read_csv(path, **LONG)
    assert recording.names == ["1", "2"]
    assert (str(recording.timeline.start), recording.timeline.step) == ("2024-01-01T01:00:00", "1 hour")


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"y": [True] * 5}, "lines 1, 2, 3, 4, 5: 'True' in column 'y' is not a number"),
        ({"y": [[1]] * 5}, "holds list<.*> in column 'y'; expected numbers, texts or times"),
        ({"y": [float("inf"), *SALES[1:]]}, "line 1: infinite in column 'y'"),
        ({"s": [None, *STORES[1:]]}, "line 1: column 's' is empty"),
        ({"d": [*DAYS[:4], None]}, "line 5: '' in column 'd'; expected a time"),
        ({"d": pa.array([*range(4), 4001], pa.timestamp("ns"))}, "Casting .* would lose data"),
        ({"s": [], "d": [], "y": []}, "has no rows"),
    ],
)  # fmt: skip
def test_fault_of_a_parquet_file_is_named(tmp_path: Path, columns: dict[str, Any], told: str) -> None:
    path = store(tmp_path, **{"s": STORES, "d": DAYS, "y": SALES} | columns)
    with pytest.raises(DataError, match=f"sales.parquet:? {told}"):
        read_csv(path, **LONG)


def test_other_files_are_no_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sales.parquet"
    with pytest.raises(DataError, match=r"cannot read .*sales.parquet: .*No such file"):
        read_csv(path, **LONG)
    path.write_text(CSV)
    with pytest.raises(DataError, match=r"pyarrow cannot read .*sales.parquet: Parquet magic bytes not found"):
        read_csv(path, **LONG)
    monkeypatch.setattr(arrow, "is_installed", lambda: False)
    with pytest.raises(DataError, match=r"needs pyarrow; install it with: pip install 'lightning-zoo\[arrow\]'"):
        read_csv(path, **LONG)


SERIES, POINTS = 10_000, 1000
# What reading adds at its peak, for importing alone takes a third of a gigabyte on some machines. The limit is the two
# gigabytes that are promised: it counts what threads and allocators reserve and never touch, too.
MEASURED = """
import re, resource, sys
from pathlib import Path
import numpy as np
from datamodules.series.recording import read_csv
def memory(kind):
    return int(re.search(kind + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
resource.setrlimit(resource.RLIMIT_DATA, (2_000_000_000,) * 2)
before = memory("VmRSS")
recording = read_csv(sys.argv[1], "sales", "date", id="store", ragged=True)
print(recording.values.shape, np.nansum(recording.values), np.isnan(recording.values).sum(), recording.names[12])
print(memory("VmHWM") - before)
"""


def write_many(folder: Path, kind: str) -> Path:
    """Ten million rows whose values are the numbers of days; every other series begins on the second day."""
    csv = pytest.importorskip("pyarrow.csv")
    path = folder / f"sales.{kind}"
    days = np.datetime_as_string(np.datetime64("2020-01-01") + np.arange(POINTS))
    columns = pa.schema([("store", pa.string()), ("date", pa.string()), ("sales", pa.float64())])
    with csv.CSVWriter(path, columns) if kind == "csv" else parquet.ParquetWriter(path, columns) as writer:
        for first in range(0, SERIES, 100):
            kept = np.arange(100 * POINTS) % (2 * POINTS) != POINTS
            stores = np.repeat([f"{number:05d}" for number in range(first, first + 100)], POINTS)[kept]
            sales = np.tile(np.arange(POINTS, dtype=float), 100)[kept]
            writer.write_table(pa.table([stores, np.tile(days, 100)[kept], sales], schema=columns))
    return path


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell memory otherwise")
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_ten_thousand_series_are_read_within_a_gigabyte_or_so(tmp_path: Path, kind: str) -> None:
    path = write_many(tmp_path, kind)
    done = subprocess.run([sys.executable, "-c", MEASURED, path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    values, growth = done.stdout.splitlines()
    assert values == f"(1000, 10000) {SERIES * POINTS * (POINTS - 1) / 2} 5000 00012"
    assert float(growth) < 870, growth
