"""A table of one's own: numbers, categories, booleans and dates, of which a column may be predicted."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.cells.numbers import name_lines
from datamodules.checksums import of_file
from datamodules.errors import DataError, listed, shortened
from datamodules.memory import InMemory, Split
from datamodules.notes import tell
from datamodules.paths import expanded
from datamodules.table import Coded
from datamodules.tabular.division import (
    Division,
    FitOn,
    by_column,
    by_group,
    by_share,
    by_time,
    check_shares,
    fitted_on,
)
from datamodules.tabular.kinds import (
    Missing,
    Predicts,
    as_names,
    draft,
    empty_columns,
    in_order,
    learnt,
    matching,
    predicts_of,
)
from datamodules.tabular.schema import Column, Kind, Schema, category, read_values
from datamodules.tabular.sheet import Sheet, read_sheet

# An epoch of about so many steps learns much and takes little; a batch is a power of two within these bounds.
_STEPS, _SMALLEST, _LARGEST = 30, 16, 1024


class _Goal(NamedTuple):
    """What is predicted.

    Attributes:
        values: Class numbers int64 ``(N,)``, or numbers float64 ``(N, 1)``.
        classes: Names of the classes; None of numbers.
    """

    values: np.ndarray
    classes: list[str] | None


class Table(InMemory):
    """A table from a Parquet file, or from a CSV or TSV file whose first line names the columns.

    A column holds numbers, in whatever notation can be read in one way only, dates, pairs such as yes and no, or texts,
    each of which becomes a feature of its own. What is learnt of it, such as the values of a category and what stands
    for a missing cell, is that of the training rows alone; ``schema`` hands it to the model, which then takes rows as
    they stand in the file. Batches are ``(features float64 (N, F),)``, followed by the target, class numbers int64
    ``(N,)`` or float64 ``(N, 1)``, if there is one, and by weights float64 ``(N,)``, if there are.

    Args:
        path: The file.
        target: Column to predict; none for what learns without one.
        predicts: Whether the target holds ``classes`` or a ``number``; not needed where its cells tell.
        features: Columns to learn from, or patterns such as ``x*``; all others if left out.
        leave_out: Columns, or patterns, that are no features.
        val: Share of the rows for validation.
        test: Share of the rows for testing.
        split: Column that says ``train``, ``val`` or ``test`` of each row, in place of shares drawn at random.
        group: Column whose rows of equal value stay together, such as those of one person.
        time: Column of times: the last rows are tested on, those before them validated on.
        whole: All rows in every split, for what learns without a target and is asked about these rows.
        fit_on: ``known`` trains on the rows of validation, too, ``all`` on those of the test as well, for models that
            validation chooses nothing of, or for as long as another run says (``--epochs_of``).
        categories: Columns, or patterns, to be taken for categories although they hold numbers.
        dates: Columns, or patterns, to be taken for dates, such as ``2024Q1``.
        time_format: How dates are written, if not like 2024-01-31, as for ``strptime``: ``%d.%m.%Y``.
        missing: What becomes of missing cells: they are refused; ``fill`` takes the median of numbers and dates, the
            commonest value of others; ``indicate`` also adds a feature that says so.
        most_values: Different values that a category may have.
        class_names: Names of the classes, in the order of their values, if these are but numbers.
        weights: Column that says how much each row counts in training.
        decimal: The decimal sign, ``.`` or ``,``, where the file does not tell.
        thousands: The sign between thousands, likewise.
        batch_size: Rows in a training batch of one process; ``auto`` chooses by their number, 16 to 1024.
        eval_batch_size: Rows in a validation or test batch of one process.

    Raises:
        DataError: The file cannot be used, a setting means nothing, or there are too few rows.
    """

    # Published weights shall show nobody's rows.
    private = True
    needs = "table"
    reader = "Table"

    def __init__(
        self,
        path: str,
        target: str | None = None,
        predicts: Predicts | None = None,
        features: list[str] | str | None = None,
        leave_out: list[str] | str | None = None,
        val: float = 0.15,
        test: float = 0.2,
        split: str | None = None,
        group: str | None = None,
        time: str | None = None,
        whole: bool = False,
        fit_on: FitOn = "train",
        categories: list[str] | str | None = None,
        dates: list[str] | str | None = None,
        time_format: str | None = None,
        missing: Missing = "refuse",
        most_values: int = 50,
        class_names: list[str] | None = None,
        weights: str | None = None,
        decimal: str | None = None,
        thousands: str | None = None,
        batch_size: int | Literal["auto"] = "auto",
        eval_batch_size: int = 4096,
        **options: Any,
    ) -> None:
        if isinstance(batch_size, str) and batch_size != "auto":
            raise DataError(f"batch_size is {batch_size!r}, expected a number of rows, or auto")
        super().__init__(
            batch_size=_SMALLEST if isinstance(batch_size, str) else batch_size,
            eval_batch_size=eval_batch_size,
            **options,
        )
        self.path = expanded(path, "--data.path")
        self.target, self.features_asked, self.left_out = target, as_names(features), as_names(leave_out)
        self.predicts_asked, self.class_names = predicts, class_names
        self.val, self.test, self.whole, self.fit_on = val, test, whole, fit_on
        self.split, self.group, self.time, self.weights = split, group, time, weights
        self.categories, self.dates, self.time_format = as_names(categories), as_names(dates), time_format
        self.missing, self.most_values = missing, most_values
        self.decimal, self.thousands = decimal, thousands
        self._chooses_batch_size = batch_size == "auto"
        self._check_settings()

    def _check_settings(self) -> None:
        check_shares(self.val, self.test)
        given = {name: getattr(self, name) for name in ("split", "group", "time") if getattr(self, name) is not None}
        if len(given) > 1 or (given and self.whole):
            named = [f"{name} {column}" for name, column in given.items()] + ["whole"] * self.whole
            raise DataError(f"{' and '.join(named)} each say how rows are split; expected one of them")
        if self.fit_on not in get_args(FitOn):
            raise DataError(f"fit_on is {self.fit_on!r}; there are {', '.join(get_args(FitOn))}")
        if self.whole and self.fit_on != "train":
            raise DataError(f"whole trains on all rows by itself; leave out fit_on {self.fit_on}, or whole")
        if self.target is None and (self.predicts_asked is not None or self.class_names is not None):
            raise DataError("predicts and class_names are about a target; name its column with --data.target")
        if self.most_values < 2:
            raise DataError(f"most_values is {self.most_values}, expected at least 2")

    def load(self) -> dict[str, Split]:
        """Reads the table, splits it, learns of the training rows what columns mean, and makes numbers of all."""
        chosen: list[str] = []
        texts = {self.split, self.group, *([self.target] if self.predicts_asked != "number" else [])}

        def choose(header: list[str]) -> list[str]:
            chosen[:] = self._features(header)
            texts.update(self._said(header))
            named = [self.target, self.split, self.group, self.time, self.weights]
            return list(dict.fromkeys([*chosen, *(name for name in named if name is not None)]))

        sheet = read_sheet(self.path, choose, lambda name: name not in texts, self.decimal, self.thousands)
        goal = self._goal(sheet)
        said = self._said(list(sheet.columns))
        drafts = [draft(sheet, name, said.get(name), self.time_format, self.most_values) for name in chosen]
        values = read_values(sheet, drafts, self.decimal, self.thousands)
        division = fitted_on(self._division(sheet, goal), self.fit_on)
        train = division["train"]
        columns = [learnt(column, values[column.name][train], self.missing) for column in drafts]
        schema = Schema(columns, self.target)
        features = schema.encode(schema.checked(sheet, values))
        for note in schema.unseen(values):
            tell(f"{self.path}: {note}")
        if empty := list(empty_columns(schema.features, features[train])):
            tell(f"{self.path}: the same in every training row, so that nothing is learnt of it: {listed(empty)}")
        self._learnt = schema, goal
        if self._chooses_batch_size:
            self.batch_size = _batch_size(len(train))
        parts = [features, *([] if goal is None else [goal.values]), *self._weights(sheet)]
        return {split: tuple(torch.from_numpy(part[rows]) for part in parts) for split, rows in division.items()}

    def test_dataloader(self) -> DataLoader[Split]:
        """Batches of the test split, in order.

        Raises:
            DataError: It was trained on.
        """
        if self.fit_on == "all":
            raise DataError("fit_on all trains on every row, none is left to test on; use --data.fit_on train or known")
        return super().test_dataloader()

    def _features(self, header: list[str]) -> list[str]:
        """The columns to learn from."""
        roles = {"target": self.target, "split": self.split, "group": self.group, "weights": self.weights}
        if self.features_asked:
            chosen = matching(header, self.features_asked, "--data.features")
        else:
            chosen = [name for name in header if name not in (*roles.values(), self.time)]
        without = set(matching(header, self.left_out, "--data.leave_out")) if self.left_out else set()
        chosen = [name for name in chosen if name not in without]
        for role, name in roles.items():
            if name in chosen:
                raise DataError(f"column '{name}' is the {role} and cannot be a feature, too; choose other features")
        if not chosen:
            raise DataError(f"{self.path} has no column to learn from; there are {listed(header)}")
        return chosen

    def _said(self, header: list[str]) -> dict[str, Kind]:
        """What columns are said to hold."""
        found: dict[str, Kind] = dict.fromkeys(matching(header, self.dates, "--data.dates"), "date")
        return found | dict.fromkeys(matching(header, self.categories, "--data.categories"), "category")

    def _goal(self, sheet: Sheet) -> _Goal | None:
        """What is predicted, of every row."""
        if self.target is None:
            return None
        column = sheet.columns[self.target]
        if isinstance(column, Coded):
            empty = np.array([category(cell) == "" for cell in column.distinct])[column.codes]
        else:
            empty = np.isnan(column)
        if empty.any():
            raise DataError(
                f"{self.path} {name_lines(sheet.lines[empty])}: nothing in column '{self.target}', which is predicted; "
                "fill it in, or leave these rows out"
            )
        if (self.predicts_asked or predicts_of(sheet, self.target)) == "number":
            if self.class_names is not None:
                raise DataError(f"column '{self.target}' is a number, so it has no class_names; leave them out")
            number = read_values(sheet, [Column(self.target, "number")], self.decimal, self.thousands)
            return _Goal(number[self.target][:, None], None)
        distinct, codes = sheet.coded(self.target)
        cells = list(map(category, distinct))
        found = in_order(set(cells))
        if not 2 <= len(found) <= max(self.most_values, 2):
            raise DataError(
                f"{self.path} has {len(found):,} different values in column '{self.target}', such as "
                f"{shortened(found[0], 40)}; expected 2 to {self.most_values} classes, or --data.predicts number"
            )
        names = self.class_names or found
        if len(names) != len(found):
            raise DataError(f"{len(names)} class_names for {len(found)} classes: {listed(found)}")
        places = {value: place for place, value in enumerate(found)}
        return _Goal(np.array([places[cell] for cell in cells])[codes], names)

    def _division(self, sheet: Sheet, goal: _Goal | None) -> Division:
        count = sheet.num_rows
        if self.whole:
            return dict.fromkeys(("train", "val", "test"), np.arange(count))
        if self.split is not None:
            return by_column(self.path, self.split, sheet.cells(self.split), sheet.lines)
        if self.group is not None:
            return by_group(self.path, self.group, sheet.cells(self.group), self.val, self.test, self.seed)
        if self.time is not None:
            kind = self._said(list(sheet.columns)).get(self.time)
            column = draft(sheet, self.time, kind, self.time_format, count)
            if column.kind not in ("number", "date"):
                raise DataError(f"{self.path} has no times in column '{self.time}'; expected dates or numbers")
            schema = Schema([column])
            times = schema.checked(sheet, read_values(sheet, [column], self.decimal, self.thousands))[self.time]
            return by_time(self.path, self.time, times, self.val, self.test)
        labels = goal.values if goal is not None and goal.classes is not None else None
        division = by_share(count, self.val, self.test, self.seed, labels)
        if labels is not None and goal is not None and goal.classes is not None:
            held = np.bincount(labels[division["test"]], minlength=len(goal.classes))
            if rare := [name for name, count in zip(goal.classes, held, strict=True) if not count]:
                tell(
                    f"{self.path}: too few rows to be split, so that all are trained on, none measured: {listed(rare)}"
                )
        return division

    def _weights(self, sheet: Sheet) -> list[np.ndarray]:
        if self.weights is None:
            return []
        column = Column(self.weights, "number")
        found = Schema([column]).checked(sheet, read_values(sheet, [column], self.decimal, self.thousands))
        weights = found[self.weights]
        if (odd := weights < 0).any() or not weights.any():
            where = f" {name_lines(sheet.lines[odd])}" if odd.any() else ""
            raise DataError(
                f"{self.path}{where}: weights in column '{self.weights}' must be 0 or more, some of them more"
            )
        return [weights]

    @cached_property
    def _understood(self) -> tuple[Schema, _Goal | None]:
        _ = self.splits
        return self._learnt

    @property
    def schema(self) -> str:
        """What columns mean, as :attr:`Schema.json`."""
        return self._understood[0].json

    @property
    def in_features(self) -> int:
        """Number of features."""
        return self.splits["train"][0].shape[1]

    @property
    def mean(self) -> list[float]:
        """Mean of each feature over the training rows."""
        return self._train.mean(0).tolist()

    @property
    def std(self) -> list[float]:
        """Standard deviation of each feature over the training rows; 1 of one that is constant."""
        return _spread(self._train).tolist()

    @property
    def _train(self) -> Tensor:
        return self.splits["train"][0]

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes."""
        return self._stated(self._understood[1] and self._understood[1].classes, "classes")

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def target_mean(self) -> float:
        """Mean of the training targets."""
        return float(self._targets.mean())

    @property
    def target_std(self) -> float:
        """Standard deviation of the training targets; 1 where they are constant."""
        return float(_spread(self._targets))

    @property
    def _targets(self) -> Tensor:
        goal = self._understood[1]
        self._stated(goal is not None and goal.classes is None, "number to predict")
        return self.splits["train"][1]

    def _stated(self, fact: Any, name: str) -> Any:
        """A fact, if the table has it; a model's own default stands for one that it has not."""
        if not fact:
            raise AttributeError(f"this table has no {name}")
        return fact

    @property
    def source(self) -> dict[str, str]:
        """Name and checksum of the file."""
        return {
            "name": Path(self.path).name,
            "url": "local file",
            "licence": "that of your data",
            "sha256": of_file(self.path),
        }


def _spread(rows: Tensor) -> Tensor:
    """Standard deviation of each column, 1 of one that is constant, ``(F,)``."""
    if len(rows) < 2:
        return torch.ones_like(rows[0])
    # Of equal numbers, rounding leaves one that is not quite zero.
    return torch.where((rows == rows[:1]).all(0), 1.0, rows.std(0))


def _batch_size(count: int) -> int:
    """The power of two that makes an epoch of about so many steps as are wanted."""
    wanted = max(count // _STEPS, 1)
    return min(max(1 << (wanted.bit_length() - 1), _SMALLEST), _LARGEST)
