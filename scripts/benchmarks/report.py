"""What came out, in Markdown: a section a benchmark, each with when, on what and of which code it was measured."""

import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Literal, NamedTuple

Size = Literal["full", "quick", "tiny"]

# The section that scripts/gpu_check writes.
GPU = "gpu"
_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_COMMIT = re.compile(r"\bcommit ([0-9a-f]{7,40})( with changes)?\b")
_INTRODUCTION = """\
# Benchmarks

Written by scripts/benchmark; do not edit. `scripts/benchmark --stale` names the sections whose code has
changed since they were measured.

Throughput is a ratio of images or windows per second (in brackets the zoo's and the other's), both trained
in turns within one run; the median of the rounds counts, the first one warms up. The zoo's time is that of
its training epochs as `zoo fit` runs them, from their start to the start of validation; the other's is that
of its bare loop. Validation and the checkpoints written after it are left out, also of the time until an
accuracy; of transfer learning they are counted. Where other programs take the machine's cores, seconds and
ratios both suffer: measure on a quiet one. The load is the average of the minute before a benchmark began, to
which one that ran just before it has added.
"""
_NO_GPU = """\
Nothing here was measured on a GPU: `scripts/gpu_check` has not been run on one yet. It adds a section that names the
card.
"""


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        what: What was measured.
        figure: What came out.
        target: What was wanted; empty where the figure is only told.
        met: Whether it was reached; None where there is no target, or one that does not apply to this machine.
    """

    what: str
    figure: str
    target: str = ""
    met: bool | None = None

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """The line as text."""
        verdict = (
            "does not apply" if self.met is None and self.target else {None: "", True: "met", False: "missed"}[self.met]
        )
        return self.what, self.figure, self.target, verdict

    def without_target(self) -> "Row":
        """The line as one that is only told."""
        return replace(self, target="", met=None)


class Commit(NamedTuple):
    """The code that was measured.

    Attributes:
        name: Its hash, abbreviated.
        changed: Whether the files were others than that commit's.
    """

    name: str
    changed: bool


@dataclass(frozen=True)
class Circumstances:
    """Under which a benchmark begins.

    Attributes:
        size: How much it measures.
        commit: Of which code; None outside of a git checkout.
        load: Average number of processes that wanted a core in the minute before; None where no system tells.
        device: What computes beside the processor.
    """

    size: Size
    commit: Commit | None
    load: float | None
    device: str = ""

    @classmethod
    def now(cls, size: Size, commit: Commit | None) -> "Circumstances":
        """With the load of this moment."""
        return cls(size, commit, os.getloadavg()[0] if hasattr(os, "getloadavg") else None)

    def __str__(self) -> str:
        told = [f"{date.today().isoformat()}{'' if self.size == 'full' else f' (--{self.size})'}"]
        if self.commit is not None:
            told.append(f"commit {self.commit.name}{' with changes' if self.commit.changed else ''}")
        told += [self.device] * bool(self.device) + [machine()]
        if self.load is not None:
            told.append(f"load {self.load:.2f} before")
        return ", ".join(told)


def machine() -> str:
    """Processor, cores and bfloat16 support, in words."""
    import torch

    from zoo.base.processor import has_bfloat16

    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    bfloat16 = "with" if has_bfloat16() else "without"
    return f"{name}, {os.cpu_count()} cores ({torch.get_num_threads()} threads used), {bfloat16} bfloat16"


def versions() -> str:
    """Of what the zoo stands on."""
    import lightning
    import torch

    return f"Python {platform.python_version()}, torch {torch.__version__}, lightning {lightning.__version__}"


def section(name: str, rows: Sequence[Row], circumstances: Circumstances) -> str:
    """The rows of a benchmark, with when and on what they were measured, in Markdown."""
    header = ("what", "figure", "target", "verdict")
    lines = [header, ("---",) * len(header), *(row.cells for row in rows)]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"## {name}\n\n{circumstances}; {versions()}.\n\n{table}\n"


def sections(text: str) -> dict[str, str]:
    """The sections of a document, by the name of their benchmark."""
    _, *parts = _SECTION.split(text)
    return {name: f"## {name}{rest}" for name, rest in zip(parts[::2], parts[1::2], strict=True)}


def commit_of(text: str) -> Commit | None:
    """The code that a section was measured of, as it says before its table; None where it does not."""
    found = _COMMIT.search(text.partition("|")[0])
    return None if found is None else Commit(found[1], found[2] is not None)


def document(names: Iterable[str], measured: Mapping[str, str], before: str) -> str:
    """All sections, those that were not measured now as they were before, in Markdown.

    Args:
        names: Of the benchmarks, in order.
        measured: Sections by name.
        before: What the file has held so far.
    """
    known = {**sections(before), **measured}
    told = [_INTRODUCTION] if GPU in known else [_INTRODUCTION, _NO_GPU]
    return "\n".join([*told, *(known[name].rstrip("\n") + "\n" for name in (*names, GPU) if name in known)])
