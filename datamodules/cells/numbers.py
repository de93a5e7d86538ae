"""How numbers are written in files: decimal signs, signs between thousands, and words where there is no number."""

import re
from collections.abc import Mapping
from contextlib import suppress
from itertools import compress
from pathlib import Path

import numpy as np

from datamodules.errors import DataError, listed
from datamodules.table import Coded, usual_decimal

# What people and programs write where there is no number, in lower case: pandas, R, SQL, statistics offices.
_MISSING = {
    *("", "na", "n/a", "n.a.", "n.a", "nan", "-nan", "<na>", "nat", "null", "(null)", "none", "nil", "\\n", "missing"),
    *("?", "-", "--", "---", "\u2013", "\u2014", ".", "..", "...", "\u2026", ":", "/"),
    *("1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),
}
# Excel's, in whatever language: #N/A, #NV, #VALUE!, #DIV/0!, #NAME?
_ERROR = re.compile(r"#[^\W\d]+(/[^\W_]|[^\W\d])*(?: n/a)?[!?]?", re.IGNORECASE)
# What is typed for what looks like it.
_PLAIN = str.maketrans({"\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u2019": "'", "\u2212": "-"})
# Nothing but thousands has these between digits.
_GROUPED = re.compile(r"[+-]?\d{1,3}([ '_])\d{3}(?:\1\d{3})*(?:[.,]\d*)?")
_SIGNED = re.compile(r"[+-]?([\d.,]+)(e[+-]?\d+)?", re.IGNORECASE)
_THOUSANDS = (".", ",", " ", "'", "_")
_OTHER = {".": ",", ",": "."}


def missing_words() -> list[str]:
    """Cells that say that there is no number, as they are mostly written."""
    return sorted({word for cell in _MISSING for word in (cell, cell.upper(), cell.title())} | {"NaN", "#N/A", "#NV"})


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is no number."""
    return cell.lower() in _MISSING or (cell[:1] == "#" and _ERROR.fullmatch(cell) is not None)


def is_number(cell: str) -> bool:
    """Whether a cell is a number as programs write them."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def may_be_number(cell: str) -> bool:
    """Whether a cell may be a number, whatever signs it has between its digits; one that lacks may be, too."""
    return _SIGNED.fullmatch(_clean(cell)) is not None or is_number(_clean(cell))


def check_signs(decimal: str | None, thousands: str | None) -> None:
    """Refuses signs that no number has.

    Raises:
        DataError: A sign is none, or both are the same.
    """
    if decimal not in (None, *_OTHER):
        raise DataError(f"decimal is '{decimal}', expected . or ,")
    if thousands not in (None, *_THOUSANDS):
        raise DataError(f"thousands is '{thousands}', expected one of . , ' _ or a space")
    if decimal is not None and decimal == thousands:
        raise DataError(f"decimal and thousands are both '{decimal}'; expected different signs")


def read_numbers(
    path: Path,
    columns: Mapping[str, Coded | np.ndarray],
    lines: np.ndarray,
    delimiter: str,
    decimal: str | None = None,
    thousands: str | None = None,
) -> dict[str, np.ndarray]:
    """The numbers of columns, each ``(T,)``, NaN where a cell says that there is none.

    Which sign is the decimal one is told by the cells: ``1.234,56`` can be read in one way only, ``9.932`` in two.
    Where no cell tells, the other columns may; semicolons between cells speak for decimal commas, other signs against.

    Args:
        path: The file.
        columns: Cells by name of the column, or numbers that are known.
        lines: The line of each row.
        delimiter: What stands between cells.
        decimal: The decimal sign, if it is known; see :func:`check_signs`.
        thousands: The sign between thousands, if it is known.

    Raises:
        DataError: A cell is no number, or may be one of two.
    """
    texts = {name: column for name, column in columns.items() if isinstance(column, Coded)}
    known = {name: column for name, column in columns.items() if isinstance(column, np.ndarray)}
    # What is known as a number was written with the sign that is usual there.
    fractions = texts and decimal is None and any((column % 1 > 0).any() for column in known.values())
    told = {usual_decimal(delimiter)} if fractions else set()
    read = _read_texts(path, texts, lines, delimiter, decimal, thousands, told)
    read |= {name: _finite(path, name, column, lines) for name, column in known.items()}
    return {name: read[name] for name in columns}


def _read_texts(
    path: Path,
    columns: Mapping[str, Coded],
    lines: np.ndarray,
    delimiter: str,
    decimal: str | None,
    thousands: str | None,
    told: set[str],
) -> dict[str, np.ndarray]:
    """The numbers of columns of texts, each ``(T,)``; of other columns some decimal signs are known."""
    if delimiter != ";" and decimal != "," and thousands is None:
        with suppress(ValueError):
            return {name: _by_programs(path, name, cells, cells.distinct, lines) for name, cells in columns.items()}
    if decimal is None and thousands in _OTHER:
        decimal = _OTHER[thousands]
    cleaned = {name: list(map(_clean, cells.distinct)) for name, cells in columns.items()}
    decimals = {name: decimal or _decimal_of(cells, delimiter) for name, cells in cleaned.items()}
    known = told | {sign for sign in decimals.values() if sign in _OTHER}
    numbers = {}
    for name, cells in cleaned.items():
        sign = decimals[name]
        if sign == "?":
            sign = next(iter(known)) if len(known) == 1 else _ask(path, name, columns[name], cells, lines)
        numbers[name] = _to_numbers(path, name, columns[name], cells, lines, sign or ".", thousands)
    return numbers


def _by_programs(path: Path, name: str, column: Coded, cells: list[str], lines: np.ndarray) -> np.ndarray:
    """Numbers of a column in which none lacks and none has another sign than a decimal point.

    Raises:
        ValueError: That is not so.
    """
    if any("_" in cell for cell in cells):
        raise ValueError
    numbers = np.array(list(map(float, cells)))
    return _finite(path, name, numbers[column.codes], lines)


def _clean(cell: str) -> str:
    """A cell without what stands between thousands and is no point or comma; ``nan`` for a missing number."""
    if is_missing(cell):
        return "nan"
    if cell.isascii() and cell.isdigit():
        return cell
    cell = cell.translate(_PLAIN)
    grouped = _GROUPED.fullmatch(cell)
    return cell.replace(grouped[1], "") if grouped else cell


def _decimal_of(cells: list[str], delimiter: str) -> str:
    """The decimal sign of a column; ``?`` if a cell may be one of two numbers, nothing if there is none."""
    found = {_sign_of(cell) for cell in cells} - {""}
    certain = found & {".", ","}
    usual = usual_decimal(delimiter)
    if certain:
        return certain.pop() if len(certain) == 1 else usual
    doubtful = {sign[1] for sign in found}
    # Where 10592 has no sign between its thousands, that of 9.932 is the decimal one.
    if len(doubtful) == 1 and (doubtful == {usual} or any(len(cell) > 3 and cell.isdigit() for cell in cells)):
        return doubtful.pop()
    return "?" if doubtful else ""


def _sign_of(cell: str) -> str:
    """The decimal sign of a number; ``?.`` or ``?,`` if it may be that between thousands, nothing if there is none."""
    found = _SIGNED.fullmatch(cell)
    if found is None:
        return ""
    mantissa = found[1]
    signs = [character for character in mantissa if character in _OTHER]
    if not signs:
        return ""
    sign = signs[0]
    if len(signs) > 1:
        grouped = re.fullmatch(rf"\d{{1,3}}(?:[{sign}]\d{{3}})+(?:[{_OTHER[sign]}]\d*)?", mantissa)
        return _OTHER[sign] if grouped else ""
    before, after = mantissa.split(sign)
    doubtful = not found[2] and len(after) == 3 and 1 <= len(before) <= 3 and before[0] != "0"
    return f"?{sign}" if doubtful else sign


def _ask(path: Path, name: str, column: Coded, cells: list[str], lines: np.ndarray) -> str:
    """Refuses a column whose numbers can be read in two ways."""
    place = next(place for place, cell in enumerate(cells) if _sign_of(cell)[:1] == "?")
    cell, sign = cells[place], _sign_of(cells[place])[1]
    large, small = cell.replace(sign, ""), cell.replace(sign, ".")
    raise DataError(
        f"{path} line {lines[column.rows([place])[0]]}: '{cell}' in column '{name}' may be {large} or {small}; say "
        f"which with --data.thousands {sign} ({large}) or --data.decimal {sign} ({small})"
    )


def _to_numbers(
    path: Path, name: str, column: Coded, cells: list[str], lines: np.ndarray, decimal: str, thousands: str | None
) -> np.ndarray:
    """Numbers of a column, NaN where a cell says that there is none."""
    if decimal == ".":
        with suppress(ValueError):
            return _by_programs(path, name, column, cells, lines)
    group = thousands or _OTHER[decimal]
    number = re.compile(
        rf"[+-]?(?:\d+|\d{{1,3}}(?:{re.escape(group)}\d{{3}})+)?(?:{re.escape(decimal)}\d*)?(?:e[+-]?\d+)?"
        "|nan|[+-]?inf(?:inity)?",
        re.IGNORECASE,
    )
    away = str.maketrans({group: "", decimal: "."})
    plain = [cell.translate(away) if number.fullmatch(cell) else "" for cell in cells]
    wrong = np.array([not is_number(cell) for cell in plain])
    if wrong.any():
        raise DataError(
            f"{path} {name_lines(lines[column.rows(np.flatnonzero(wrong))])}: "
            f"'{next(compress(column.distinct, wrong))}' in column '{name}' is not a "
            "number; expected digits with one decimal sign, or nothing"
        )
    return _finite(path, name, np.array(list(map(float, plain)))[column.codes], lines)


def _finite(path: Path, name: str, numbers: np.ndarray, lines: np.ndarray) -> np.ndarray:
    """Refuses infinite numbers."""
    if (wrong := np.isinf(numbers)).any():
        raise DataError(
            f"{path} {name_lines(lines[wrong])}: infinite in column '{name}'; expected a number, or nothing"
        )
    return numbers


def name_lines(lines: np.ndarray) -> str:
    """Lines of a file, of many the first ones."""
    return f"line{'s' if len(lines) > 1 else ''} {listed([str(line) for line in lines], 5)}"
