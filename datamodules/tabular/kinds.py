"""What the columns of a table hold, and what of them is learnt from the training rows."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Literal

import numpy as np

from datamodules.cells.moments import format_of, is_time
from datamodules.cells.numbers import is_number, may_be_number, name_lines
from datamodules.errors import DataError, did_you_mean, listed, shortened
from datamodules.table import Coded
from datamodules.tabular.schema import BOOLEANS, Column, Kind, category, missing_in, there
from datamodules.tabular.sheet import Sheet

Missing = Literal["refuse", "fill", "indicate"]
Predicts = Literal["classes", "number"]

# Whole numbers of more different values than these are a number to predict, no classes.
_MOST_CLASSES = 20


def as_names(given: Sequence[str] | str | None) -> list[str]:
    """Names or patterns as they are given: one, several in a text with commas between, or a list."""
    if given is None:
        return []
    return [one.strip() for one in (given.split(",") if isinstance(given, str) else given) if str(one).strip()]


def matching(header: Sequence[str], patterns: Sequence[str], asked: str) -> list[str]:
    """The columns that names or shell patterns fit, in the order of the table.

    Args:
        header: All columns.
        patterns: The names or patterns.
        asked: The argument that holds them, for the error.

    Raises:
        DataError: One fits none.
    """
    found: set[str] = set()
    for pattern in patterns:
        fits = {pattern} & set(header) or {name for name in header if fnmatchcase(name, pattern)}
        if not fits:
            hint = did_you_mean(pattern, header) or f"; there are {listed(list(header))}"
            raise DataError(f"{asked} {pattern!r} fits no column{hint}")
        found |= fits
    return [name for name in header if name in found]


def draft(sheet: Sheet, name: str, kind: Kind | None, time_format: str | None, most_values: int) -> Column:
    """What a column holds, before anything is learnt of it.

    Args:
        sheet: The table.
        name: The column.
        kind: What it is said to hold, if that is said.
        time_format: How dates are written, if that is said.
        most_values: Different values that a category may have.

    Raises:
        DataError: It holds nothing, different kinds of things, or too many different texts.
    """
    numbers = sheet.columns[name]
    if isinstance(numbers, np.ndarray) and kind in (None, "number") and not np.isnan(numbers).all():
        return Column(name, "number")
    found, known = there(sheet, name)
    cells, lines = found.distinct, sheet.lines[known]
    if not cells:
        raise DataError(f"{sheet.origin} has nothing in column '{name}'; leave it out: --data.leave_out {name!r}")
    kind = kind or _kind_of(sheet, name, found, lines)
    column = Column(name, kind)
    if kind == "boolean":
        return replace(column, values=_pair(cells))
    if kind == "date":
        written = time_format or format_of(sheet.origin, name, found, lines)
        return replace(column, time_format=written)
    if kind == "category" and len(cells) > most_values:
        raise DataError(
            f"{sheet.origin} has {len(cells):,} different texts in column '{name}', such as {shortened(cells[0], 40)}, "
            f"more than a category may have ({most_values}); leave it out with --data.leave_out {name!r}, or raise "
            "--data.most_values"
        )
    return column


def _kind_of(sheet: Sheet, name: str, column: Coded, lines: np.ndarray) -> Kind:
    """What the cells of a column are, if they are all alike, in these lines."""
    cells = column.distinct
    if _pair(cells):
        return "boolean"
    dated = not is_number(cells[0]) and is_time(cells[0])
    fits = [is_time(cell) and not is_number(cell) if dated else may_be_number(cell) for cell in cells]
    if all(fits):
        return "date" if dated else "number"
    if not any(fits):
        return "category"
    # The fewer are taken for the mistakes.
    usual = sum(fits) * 2 >= len(fits)
    odd, like = np.flatnonzero(np.array(fits) != usual), fits.index(usual)
    where, first = name_lines(lines[column.rows(odd)]), lines[column.rows([like])[0]]
    raise DataError(
        f"{sheet.origin} {where}: {shortened(cells[odd[0]], 40)} in column '{name}' is {'no' if usual else 'a'} "
        f"{'date' if dated else 'number'}, unlike {shortened(cells[like], 40)} in line {first}; mend it, or take all "
        f"for categories: --data.categories {name!r}"
    )


def _pair(cells: Sequence[str]) -> tuple[str, str] | tuple[()]:
    """The two values of a boolean, no first; nothing if these are others."""
    found = {cell.lower() for cell in cells}
    return next((pair for pair in BOOLEANS if found == set(pair)), ())


def learnt(column: Column, values: np.ndarray, missing: Missing) -> Column:
    """A column with what training rows tell of it.

    Args:
        column: Its draft.
        values: Those of the training rows, as :func:`read_values` gives them.
        missing: What becomes of missing cells.

    Raises:
        DataError: No training row has a value.
    """
    lacking = missing_in(values)
    known = values[~lacking]
    if not len(known):
        raise DataError(f"no training row has anything in column '{column.name}'; leave it out: --data.leave_out")
    if column.kind == "category":
        column = replace(column, values=tuple(in_order(set(known.tolist()))))
    if missing == "refuse":
        return column
    fill = float(np.median(known)) if known.dtype.kind == "f" else _commonest(known)
    return replace(column, fill=fill, indicated=missing == "indicate" and bool(lacking.any()))


def _commonest(values: np.ndarray) -> str:
    names, counts = np.unique(values.astype(str), return_counts=True)
    return str(names[counts.argmax()])


def in_order(values: set[str]) -> list[str]:
    """Values in order: numbers by size, others by alphabet."""
    numeric = all(map(is_number, values))
    return sorted(values, key=(lambda value: (float(value), value)) if numeric else (lambda value: (0.0, value)))


def predicts_of(sheet: Sheet, target: str) -> Predicts:
    """Whether a column holds classes or a number to predict, where the cells tell.

    Args:
        sheet: The table.
        target: The column.

    Raises:
        DataError: It may be either.
    """
    cells = {category(cell) for cell in sheet.coded(target).distinct} - {""}
    if not all(map(may_be_number, cells)):
        return "classes"
    whole = all(cell.lstrip("+-").isdigit() for cell in cells)
    if not whole or len(cells) > _MOST_CLASSES:
        return "number"
    raise DataError(
        f"{sheet.origin} has {len(cells)} different whole numbers in column '{target}', which may be classes or a "
        "number to predict; say which with --data.predicts classes or --data.predicts number"
    )


def empty_columns(schema_features: Sequence[str], rows: np.ndarray) -> Iterator[str]:
    """The names of features that are the same in all rows ``(N, F)``, which tell nothing."""
    constant = (rows == rows[:1]).all(0)
    return (name for name, is_constant in zip(schema_features, constant, strict=True) if is_constant)
