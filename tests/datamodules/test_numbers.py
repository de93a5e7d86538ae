"""Numbers in files of series: decimal signs, thousands and what stands where there is none."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.series.recording import read_csv

from .written import table, write


def values(folder: Path, *cells: str, delimiter: str = ";", **options: Any) -> list[float]:
    """What is read of a column."""
    text = table(("n", "note"), *((cell, "") for cell in cells), delimiter=delimiter)
    return read_csv(write(folder, text), "n", **options).values[:, 0].tolist()


@pytest.mark.parametrize(
    ("delimiter", "cells", "numbers"),
    [
        (";", ("1,5", "2,25"), [1.5, 2.25]),
        (";", ("1.234,56", "9.932"), [1234.56, 9932]),
        (";", ("1.234.567", "9.932"), [1234567, 9932]),
        (";", ("9.932", "0.5"), [9.932, 0.5]),
        (";", ("9.932", "0.932"), [9.932, 0.932]),
        (";", ("9.932", "10592"), [9.932, 10592]),
        (";", ("1,234", "5,678"), [1.234, 5.678]),
        (";", ("1,5E+05", "-1"), [1.5e5, -1]),
        (",", ("9.932", "10.592"), [9.932, 10.592]),
        (",", ('"1,234.5"', '"1,234"'), [1234.5, 1234]),
        (",", ('"1,234,567"', "12"), [1234567, 12]),
        (",", ('"1,5"', "12"), [1.5, 12]),
        ("\t", ("1.234,56", "9.932"), [1234.56, 9932]),
        (";", ("1 234,5", "12\u00a0345\u00a0678", "1\u202f000"), [1234.5, 12345678, 1000]),
        (",", ("1'234.5", "1\u2019234\u2019567"), [1234.5, 1234567]),
        (",", ("1_234", "\u22125", "+3"), [1234, -5, 3]),
    ],
)
def test_what_can_be_read_in_one_way_is(
    tmp_path: Path, delimiter: str, cells: tuple[str, ...], numbers: list[float]
) -> None:
    assert values(tmp_path, *cells, delimiter=delimiter) == numbers


@pytest.mark.parametrize(
    ("delimiter", "cell", "large", "small"),
    [(";", "9.932", 9932, 9.932), (",", '"9,932"', 9932, 9.932), ("\t", "-9,932", -9932, -9.932)],
)
def test_what_can_be_read_in_two_ways_is_asked(
    tmp_path: Path, delimiter: str, cell: str, large: float, small: float
) -> None:
    sign = "," if "," in cell else "."
    with pytest.raises(DataError) as refused:
        values(tmp_path, "12", cell, delimiter=delimiter)
    assert f"line 3: '{cell.strip(chr(34))}' in column 'n' may be {large} or {small}; say which" in str(refused.value)
    assert f"--data.thousands {sign} ({large}) or --data.decimal {sign} ({small})" in str(refused.value)
    assert values(tmp_path, "12", cell, delimiter=delimiter, thousands=sign) == [12, large]
    assert values(tmp_path, "12", cell, delimiter=delimiter, decimal=sign) == [12, small]


def test_another_column_tells_the_decimal_sign(tmp_path: Path) -> None:
    path = write(tmp_path, table(("price", "sold"), ("1,5", "9.932"), ("2,5", "8.100"), delimiter=";"))
    assert read_csv(path, ["sold", "price"]).values.tolist() == [[9932, 1.5], [8100, 2.5]]


@pytest.mark.parametrize(
    "word",
    [
        *("#N/A", "#NV", "#VALUE!", "#WERT!", "#DIV/0!", "#NAME?", "#REF!", "#N/A N/A", "<NA>", "NaT", "nan", "NULL"),
        *("None", "\\N", "?", "n.a.", "..", ":", "--", "1.#IND", "\u2013"),
    ],
)
def test_words_of_programs_for_missing_are_known(tmp_path: Path, word: str) -> None:
    with pytest.raises(DataError, match="line 3: no number in column 'n'"):
        values(tmp_path, "1", word, "3")


@pytest.mark.parametrize("cell", ["1_0", "12 34", "1'23", "1,23,4", "1.2.3", "5%", "#1", "0x1", "1 234 56", "x", "1-2"])
def test_what_is_no_number_is_refused(tmp_path: Path, cell: str) -> None:
    with pytest.raises(
        DataError, match=r"line 3: .* is not a number; expected digits with one decimal sign, or nothing"
    ):
        values(tmp_path, "1.5", cell)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"decimal": "x"}, "decimal is 'x', expected . or ,"),
        ({"thousands": ";"}, "thousands is ';', expected one of . , ' _ or a space"),
        ({"decimal": ".", "thousands": "."}, "decimal and thousands are both '.'; expected different signs"),
    ],
)
def test_signs_that_no_number_has_are_refused(tmp_path: Path, options: dict[str, str], told: str) -> None:
    with pytest.raises(DataError, match=told):
        values(tmp_path, "1", **options)


def test_many_numbers_are_those_that_were_written(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).normal(scale=1e6, size=500).round(2)
    written = [f"{number:,.2f}".translate(str.maketrans(",.", ".,")) for number in numbers]
    assert values(tmp_path, *written) == numbers.tolist()
