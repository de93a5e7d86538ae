"""Measures what the zoo promises about speed and memory, prints a table and writes ``benchmarks.md``.

Timings on a shared machine are noisy, so throughput is only ever compared within one run: before every epoch of
``zoo fit`` each contender trains its own epoch, and the median of the rounds' ratios counts.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from scripts.benchmarks.checkout import RESULTS, ROOT, Checkout, find_stale
from scripts.benchmarks.report import Circumstances, Row, Size, document, section, sections

FOLDER = "scripts/benchmarks"


@dataclass(frozen=True)
class Benchmark:
    """A benchmark, imported when it runs.

    Attributes:
        wing: Name of the module that holds it.
        function: Name of the function there, which takes a ``Bench`` and returns rows.
        exercised: Files, folders or patterns of the code whose speed or memory it measures.
    """

    wing: str
    function: str
    exercised: tuple[str, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """All that its figures depend on."""
        return (f"{FOLDER}/{self.wing}.py", f"{FOLDER}/harness.py", *self.exercised)

    def run(self, folder: Path, size: Size) -> list[Row]:
        """Measures."""
        harness: Any = import_module("scripts.benchmarks.harness")
        wing = import_module(f"scripts.benchmarks.{self.wing}")
        rows: list[Row] = getattr(wing, self.function)(harness.Bench(folder, size))
        # What nearly nothing was measured of reaches no target and misses none.
        return [row.without_target() for row in rows] if size == "tiny" else rows


# What every training by ``zoo fit`` runs through.
FIT = ("zoo/base", "zoo/training", "zoo/commands/train.py", "datamodules/memory.py", "datamodules/module.py")
IMAGES = ("zoo/vision", "datamodules/vision")
SERIES = ("datamodules/series", "datamodules/windows.py")
BENCHMARKS = {
    "cnn": Benchmark("vision", "cnn", (*FIT, *IMAGES, "zoo/recipes/cnn_fashion_mnist.yaml")),
    "dense": Benchmark("vision", "dense", (*FIT, *IMAGES, "zoo/recipes/dense_fashion_mnist.yaml")),
    "accuracy": Benchmark(
        "vision",
        "accuracy",
        (*FIT, *IMAGES, "zoo/recipes/dense_fashion_mnist.yaml", "zoo/recipes/cnn_fashion_mnist.yaml"),
    ),
    "transfer": Benchmark("photos", "transfer", (*FIT, *IMAGES, "zoo/recipes/mobilenetv2_things.yaml")),
    "augmentation": Benchmark("photos", "augmentation", ("zoo/vision/augmentation.py",)),
    "folder": Benchmark("photos", "folder", ("datamodules/vision", "datamodules/memory.py")),
    "series": Benchmark("series", "series", (*FIT, *SERIES, "zoo/series", "zoo/recipes/*_synthetic.yaml")),
    "pooled": Benchmark("series", "pooled", (*FIT, *SERIES, "zoo/series", "zoo/recipes/lstm_csv.yaml")),
    "windows": Benchmark("series", "windows", (*SERIES, "datamodules/memory.py")),
    "inference": Benchmark("series", "inference", ("zoo/base", "zoo/series", "zoo/recipes/causal_conv_synthetic.yaml")),
    "ngram": Benchmark(
        "text",
        "ngram",
        ("zoo/text/backoff.py", "zoo/text/ngram_counts.py", "zoo/text/smoothing.py", "datamodules/text"),
    ),
    "language": Benchmark(
        "text",
        "language",
        (*FIT, "zoo/text", "datamodules/text", "datamodules/windows.py", "zoo/recipes/char_rnn_shakespeare.yaml"),
    ),
    "generation": Benchmark("text", "generation", ("zoo/base", "zoo/text", "datamodules/text/tokenizer.py")),
    "adversarial": Benchmark(
        "gan", "adversarial", (*FIT, "zoo/gan", "datamodules/vision", "zoo/recipes/dcgan_fashion_mnist.yaml")
    ),
    "kmeans": Benchmark("tabular", "kmeans", ("zoo/base", "zoo/tabular", "datamodules/memory.py")),
    "pca": Benchmark("tabular", "pca", ("zoo/base", "zoo/tabular", "datamodules/memory.py")),
    "table": Benchmark("tabular", "table", ("datamodules/table.py", "datamodules/arrow.py", "datamodules/tabular")),
    "scaling": Benchmark(
        "commands",
        "scaling",
        (
            *FIT,
            *IMAGES,
            "zoo/text",
            "datamodules/text",
            "datamodules/windows.py",
            "zoo/recipes/cnn_fashion_mnist.yaml",
            "zoo/recipes/char_rnn_shakespeare.yaml",
        ),
    ),
    "commands": Benchmark(
        "commands",
        "commands",
        ("zoo/__init__.py", "zoo/cli.py", "zoo/registry.py", "zoo/names.py", "zoo/commands/listing.py"),
    ),
    "memory": Benchmark("commands", "memory", (*FIT, *IMAGES, "zoo/recipes/cnn_fashion_mnist.yaml")),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, or says what should be measured again."""
    parser = argparse.ArgumentParser(prog="scripts/benchmark", description=__doc__, allow_abbrev=False)
    names = ", ".join(BENCHMARKS)
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, metavar="NAME", help=f"some of {names}")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--quick", dest="size", action="store_const", const="quick", help="fewer rounds, noisier figures")
    how.add_argument(
        "--tiny", dest="size", action="store_const", const="tiny",
        help="so little that the figures say nothing, but all of the code runs; written only where --out says",
    )  # fmt: skip
    how.add_argument(
        "--stale", action="store_true", help="measure nothing; name the sections whose code has changed since"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE",
        help=f"file to write, {RESULTS} by default; it keeps what it tells of benchmarks that do not run",
    )  # fmt: skip
    arguments = parser.parse_args(argv)
    chosen = {name: BENCHMARKS[name] for name in BENCHMARKS if name in (arguments.only or BENCHMARKS)}
    size: Size = arguments.size or "full"
    out: Path | None = arguments.out or (None if size == "tiny" else ROOT / RESULTS)
    before = out.read_text(encoding="utf-8") if out is not None and out.is_file() else ""
    return _tell_stale(chosen, before) if arguments.stale else _measure(chosen, size, out, before)


def _tell_stale(chosen: dict[str, Benchmark], before: str) -> int:
    checkout = Checkout()
    if not checkout.is_one:
        print(f"benchmark: {checkout.root} is no git checkout, so what has changed cannot be told", file=sys.stderr)
        return 2
    reasons = find_stale(sections(before), {name: one.paths for name, one in chosen.items()}, checkout)
    print("\n".join(f"{name} {reason}" for name, reason in reasons.items()) or "nothing is stale")
    return 0


def _measure(chosen: dict[str, Benchmark], size: Size, out: Path | None, before: str) -> int:
    from rich.console import Console
    from rich.table import Table

    console, commit = Console(), Checkout().commit()
    rows: list[Row] = []
    measured: dict[str, str] = {}
    for name, benchmark in chosen.items():
        circumstances, start = Circumstances.now(size, commit), time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            found = benchmark.run(Path(folder), size)
        console.print(f"{name} took {time.perf_counter() - start:.0f} s: {', '.join(row.figure for row in found)}")
        rows += found
        measured[name] = section(name, found, circumstances)
        if out is not None:
            # After each, so that one that fails takes none of the others with it.
            out.write_text(document(BENCHMARKS, measured, before), encoding="utf-8")
    table = Table("what", "figure", "target", "verdict")
    for row in rows:
        table.add_row(*row.cells)
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
