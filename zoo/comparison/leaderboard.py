"""The leaderboard: models by what they reached in validation, beside what costs nothing, as a table and a picture."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter
from rich.table import Table
from torch import Tensor

from zoo.comparison.noise import Difference, difference
from zoo.drawing import COLOURS
from zoo.measures import measure

COLUMNS = (
    "rank", "model", "validation", "spread", "seeds", "test", "difference", "low", "high", "within_noise",
    "parameters", "epochs", "seconds", "note", "run",
)  # fmt: skip
_MARKERS = "osD^v"
# References are drawn within so many times the range of the models.
_FAR = 2.5


@dataclass(frozen=True)
class Entry:
    """A model that was trained.

    Attributes:
        name: Of the recipe, or the folder of the run.
        run: Folder of the run that is to be used: the best seed's.
        figures: What it reached in validation, with each seed.
        tests: What it reached on the test split, with each seed; nothing if that was not measured.
        scores: How each row of the validation went, ``(N,)``, the mean over the seeds.
        parameters: Number of parameters.
        epochs: How many it trained, with each seed.
        seconds: How long it trained, all runs of a seed together.
        note: What a reader should know, such as that its time was over.
        recipes: Of an ensemble those that it is the mean of.
    """

    name: str
    run: Path
    figures: Sequence[float]
    tests: Sequence[float] = ()
    scores: Tensor | None = None
    parameters: int = 0
    epochs: Sequence[int] = ()
    seconds: float = 0.0
    note: str = ""
    recipes: Sequence[str] = ()

    @property
    def figure(self) -> float:
        """The mean over the seeds."""
        return statistics.fmean(self.figures)

    @property
    def test(self) -> float | None:
        """The mean over the seeds, if it was measured."""
        return statistics.fmean(self.tests) if self.tests else None


@dataclass(frozen=True)
class Leaderboard:
    """Entries and references by the figure that all are judged by.

    Attributes:
        metric: Its name.
        split: What it was measured on, in words.
        entries: The models.
        references: What costs nothing: by name what it reaches in validation, and on the test split.
        peers: What others' models reach, likewise; they are for comparison alone, never saved nor part of anything.
    """

    metric: str
    split: str
    entries: Sequence[Entry]
    references: Mapping[str, tuple[float, float | None]] = field(default_factory=dict)
    peers: Mapping[str, tuple[float, float | None]] = field(default_factory=dict)

    @property
    def _upwards(self) -> bool:
        return measure(self.metric).higher_is_better

    @cached_property
    def ranked(self) -> list[Entry]:
        """The best first."""
        return sorted(self.entries, key=lambda entry: entry.figure, reverse=self._upwards)

    @property
    def best(self) -> Entry:
        """The best one."""
        return self.ranked[0]

    @cached_property
    def best_reference(self) -> str | None:
        """The best of what costs nothing."""
        choose = max if self._upwards else min
        return choose(self.references, key=lambda name: self.references[name][0]) if self.references else None

    def is_better(self, one: float, other: float) -> bool:
        """Whether a figure is better than another."""
        return one > other if self._upwards else one < other

    def from_best(self, entry: Entry) -> Difference | None:
        """How far an entry is from the best one; None of that itself, and where it cannot be said."""
        best = self.best
        if entry is best or entry.scores is None or best.scores is None:
            return None
        return difference(entry.scores, best.scores, entry.figures, best.figures)

    def rows(self) -> list[dict[str, Any]]:
        """A row a model, then one a peer and a reference, by :data:`COLUMNS`; None where there is nothing to say."""
        rows = []
        for rank, entry in enumerate(self.ranked, start=1):
            gap = self.from_best(entry)
            spread = statistics.stdev(entry.figures) if len(entry.figures) > 1 else None
            values = (
                rank, entry.name, entry.figure, spread, len(entry.figures), entry.test, *(gap or (None,) * 3),
                gap.is_noise if gap else None, entry.parameters, max(entry.epochs, default=None),
                round(entry.seconds, 1), entry.note, str(entry.run),
            )  # fmt: skip
            rows.append(dict(zip(COLUMNS, values, strict=True)))
        for lines, note in ((self.peers, "only to compare with"), (self.references, "costs nothing")):
            for name, (figure, test) in lines.items():
                row: dict[str, Any] = {"model": name, "validation": figure, "test": test, "note": note}
                rows.append({column: row.get(column) for column in COLUMNS})
        return rows

    def table(self) -> Table:
        """For a terminal."""
        table = Table(box=None, header_style="bold", pad_edge=False)
        table.add_column("", justify="right", no_wrap=True)
        table.add_column("model", no_wrap=True)
        for column in (f"{self.split} {self.metric}", "test", "from the best", "parameters", "seconds"):
            table.add_column(column, justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
        for row in self.rows():
            spread = "" if row["spread"] is None else f" ± {row['spread']:.2g}"
            notes = [row["note"] or "", "within noise" if row["within_noise"] else ""]
            table.add_row(
                _text(row["rank"]),
                row["model"],
                f"{row['validation']:.5g}{spread}",
                _text(row["test"], ".5g"),
                _text(row["difference"], "+.3g"),
                _text(row["parameters"], ","),
                _text(row["seconds"], ".1f"),
                ", ".join(filter(None, notes)),
            )
        return table

    def draw(self) -> Figure:
        """Draws figures against training time; lines are peers and what costs nothing, whiskers the seeds."""
        figure = Figure(figsize=(8, 4.5), layout="constrained", dpi=110)
        axes = figure.subplots()
        for number, entry in enumerate(self.ranked):
            seconds, label = max(entry.seconds, 0.1), entry.name.replace("$", r"\$")
            colour, marker = COLOURS[number % len(COLOURS)], _MARKERS[number // len(COLOURS) % len(_MARKERS)]
            low, high = min(entry.figures), max(entry.figures)
            whiskers = [[entry.figure - low], [high - entry.figure]] if low < high else None
            axes.errorbar(
                [seconds], [entry.figure], whiskers,
                color=colour, marker=marker, capsize=4, label=label,
            )  # fmt: skip
        low, high = axes.get_ylim()
        for number, (name, (reference, _)) in enumerate({**self.references, **self.peers}.items()):
            # What is far worse than all would press the others together.
            near = abs(reference - (low + high) / 2) < _FAR * (high - low)
            look: dict[str, Any] = {
                "color": "black",
                "linewidth": 1,
                "linestyle": ("--", ":", "-.", (0, (1, 3)))[number % 4],
            }
            axes.plot([], label=name if near else f"{name}: {reference:.4g}, far off", **look)
            if near:
                axes.axhline(reference, **look)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(LogFormatter())
        axes.xaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.4)))
        axes.set_xlabel("seconds of training")
        better = "higher" if self._upwards else "lower"
        axes.set_ylabel(f"{self.split} {self.metric.replace('_', ' ')}; {better} is better")
        axes.grid(alpha=0.25)
        figure.legend(loc="outside right upper", frameon=False)
        return figure


def _text(value: Any, form: str = "") -> str:
    return "" if value is None else f"{value:{form}}"
