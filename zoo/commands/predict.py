"""``zoo predict``: rows of a table in; classes, numbers with intervals, components or clusters out."""

import re
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from datamodules.errors import DataError
from datamodules.tabular.sheet import Sheet, read_sheet
from zoo import weights
from zoo.base.conformal import fewest_errors
from zoo.commands.arguments import Arguments
from zoo.commands.outputs import add_csv_flags, check_outputs, write_csv
from zoo.commands.tables import show_table
from zoo.errors import ZooError, listed
from zoo.tabular.features import RowInputs
from zoo.tabular.regression import Regression
from zoo.terminal import say, warn

# Rows that are looked at together, and rows and columns that are shown.
_PORTION, _SHOWN, _WIDE = 4096, 10, 8


def predict(argv: list[str]) -> None:
    """Asks a model that was trained on a table about the rows of another.

    Columns are found by their names, in whatever order; those that the model does not know are left alone, and go into
    the output in front of what it says: the class and the probability of each, the number and an interval around it,
    coordinates, or the cluster. Rows are in their own units, as in training. An output that exists is replaced.
    """
    parser = Arguments("predict", predict.__doc__)
    parser.add_argument("name", help="a run folder of a table recipe, published weights or a checkpoint file")
    parser.add_argument("rows", type=Path, metavar="ROWS.csv", help="the rows, a CSV, TSV or Parquet file")
    add_csv_flags(parser, "what the model says of all rows")
    parser.add_argument(
        "--level",
        type=int,
        metavar="N",
        help="per cent of the truth that the intervals of numbers hold (default 95, or 80 if few rows were validated "
        "on; 0: none)",
    )
    parser.add_argument("--decimal", metavar="SIGN", help="the decimal sign, where the file does not tell")
    parser.add_argument("--thousands", metavar="SIGN", help="the sign between thousands, likewise")
    parser.add_device()
    options = parser.parse_args(argv)
    check_outputs(options.csv, None)
    if options.csv is not None and options.csv.exists() and options.csv.samefile(options.rows):
        raise ZooError(f"--csv {options.csv} is the file of the rows and would be overwritten; name another")
    model = load_reader(options.name, options.device)
    sheet = read_rows(model, options.rows, options.decimal, options.thousands)
    level = _level(model, options.level)
    try:
        features = model.read(sheet, options.decimal, options.thousands)
    except DataError as error:
        raise DataError(re.sub(r"--data\.(decimal|thousands)", r"--\1", str(error))) from error
    found: dict[str, list[Any]] = {}
    with torch.inference_mode():
        for part in features.split(_PORTION):
            for name, cells in model.answers(part, level).items():
                found.setdefault(name, []).extend(cells)
    others = _others(model, sheet, found)
    _show(found, sheet)
    if options.csv is not None:
        columns = {
            "line": sheet.lines.tolist(),
            **others,
            **{name: list(map(_cell, one)) for name, one in found.items()},
        }
        write_csv(options.csv, list(columns), zip(*columns.values(), strict=True), options.csv_safe)
        say(f"table     {options.csv}")


def load_reader(name: str, device: str = "cpu") -> Any:
    """Loads a model that knows the columns of a table.

    Raises:
        ZooError: It learnt from something else; or there is no such device.
    """
    model = weights.load(name, device)
    if not isinstance(model, RowInputs) or model.schema.found is None:
        raise ZooError(
            f"'{name}' knows no columns: {type(model).__name__} was not trained on a table of your own; train a recipe "
            "such as dense_table"
        )
    return model


def read_rows(model: RowInputs, path: Path, decimal: str | None = None, thousands: str | None = None) -> Sheet:
    """All columns of a file that holds those which a model knows.

    Raises:
        DataError: It cannot be read, or lacks a column.
    """
    schema = model.schema.found
    assert schema is not None
    needed = [column.name for column in schema.columns]
    new: list[str] = []

    def choose(header: list[str]) -> list[str]:
        new[:] = [name for name in header if name not in needed and header.count(name) == 1 and name]
        return [*needed, *new]

    numeric = {column.name for column in schema.columns if column.kind == "number"}
    sheet = read_sheet(path, choose, numeric.__contains__, decimal, thousands)
    unknown = [name for name in new if name != schema.target]
    if unknown:
        warn(f"{path} has {listed(unknown)} beside the columns that the model knows; left alone")
    return sheet


def _level(model: RowInputs, asked: int | None) -> int | None:
    """Per cent that intervals shall hold; None where there are to be none."""
    if not isinstance(model, Regression):
        if asked is not None:
            raise ZooError(f"--level is for models that predict a number, and this is a {type(model).__name__}")
        return None
    if asked is not None:
        return asked or None
    levels = [level for level in (95, 80) if len(model.residuals) >= fewest_errors(level)]
    if not levels:
        held = f"only {len(model.residuals)} rows were" if len(model.residuals) else "no row was"
        warn(f"no intervals: {held} held out to measure errors on, and they take {fewest_errors(80)}")
    return levels[0] if levels else None


def _others(model: RowInputs, sheet: Sheet, found: dict[str, list[Any]]) -> dict[str, list[str]]:
    """The columns that the model does not know, which must not be taken for what it says."""
    schema = model.schema.found
    assert schema is not None
    known = {column.name for column in schema.columns}
    others = {name: sheet.cells(name) for name in sheet.columns if name not in known}
    return {f"{name} in {sheet.origin.name}" if name in found else name: cells for name, cells in others.items()}


def _cell(value: Any) -> Any:
    return f"{value:.7g}" if isinstance(value, float) else value


def _show(found: dict[str, list[Any]], sheet: Sheet) -> None:
    """Prints the first rows."""
    names = list(found)[:_WIDE]
    table = Table("line", *names, box=None, header_style="bold", pad_edge=False)
    for place in range(min(sheet.num_rows, _SHOWN)):
        table.add_row(str(sheet.lines[place]), *(_text(found[name][place]) for name in names))
    show_table(table)
    more = [f"{sheet.num_rows - _SHOWN:,} more rows"] * (sheet.num_rows > _SHOWN)
    more += [f"{len(found) - _WIDE:,} more columns"] * (len(found) > _WIDE)
    if more:
        say(f"... and {' and '.join(more)}; --csv OUT writes all")


def _text(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)
