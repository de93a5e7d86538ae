"""Whole commands, as users type them."""

import json
import os
import statistics
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from datamodules.module import usable_cores
from scripts.benchmarks.harness import DATA, Bench
from scripts.benchmarks.report import Row
from zoo.base.processor import has_bfloat16

ZOO = str(Path(sysconfig.get_path("scripts")) / "zoo")


def commands(bench: Bench) -> list[Row]:
    """Start-up of the commands that need no torch."""
    rows = []
    for arguments in (["list"], ["show", "cnn_digits"], ["--help"]):
        seconds = []
        for _ in range(bench.choose(5, 5, 1)):
            start = time.perf_counter()
            subprocess.run([ZOO, *arguments], check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - start)
        median = statistics.median(seconds)
        rows.append(Row(f"zoo {' '.join(arguments)}", f"{median:.2f} s", "< 0.30 s", median < 0.3))
    return rows


def memory(bench: Bench) -> list[Row]:
    """The highest memory use of a whole training process."""
    flags = ("--trainer.max_epochs=1", f"--trainer.default_root_dir={bench.folder}", *bench.fashion_mnist)
    # Linux lets a new process start with the peak of the one that it was forked from: hence a small one in between.
    between = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [sys.executable, "-c", between, ZOO, "fit", "cnn_fashion_mnist", *flags]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    gigabytes = int(done.stdout) * (1 if sys.platform == "darwin" else 1024) / 1e9
    return [
        Row("zoo fit cnn_fashion_mnist, one epoch: peak memory", f"{gigabytes:.2f} GB", "< 1.20 GB", gigabytes < 1.2)
    ]


def scaling(bench: Bench) -> list[Row]:
    """Samples a second of two processes to those of one; either computes with one thread, at the same batch size each.

    The time is what a run itself counts, from its first step to its last, with validation and checkpoints.
    """
    rounds = bench.choose(4, 2, 1)
    rows = []
    few = bench.if_tiny("--data.batch_size=2", "--data.window=16", "--model.hidden_size=16")
    for recipe, unit, batches, flags in (
        ("cnn_fashion_mnist", "images", bench.choose(200, 100, 2), bench.fashion_mnist),
        ("char_rnn_shakespeare", "characters", bench.choose(30, 15, 2), (f"--data.root={DATA}", *few)),
    ):
        precision = "bf16-mixed" if has_bfloat16() else "32-true"
        limits = (
            *("--tune_precision=false", f"--trainer.precision={precision}", "--trainer.max_epochs=2"),
            *(f"--trainer.limit_train_batches={batches}", "--trainer.limit_val_batches=2", "--figures=false"),
        )
        found: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(rounds):
            for processes in found:
                found[processes].append(_rate(bench.folder, recipe, processes, (*limits, *flags)))
        one, two = (statistics.median(rates) for rates in found.values())
        ratio = statistics.median(both / alone for alone, both in zip(*found.values(), strict=True))
        rows.append(
            Row(
                f"{recipe} in {precision}: zoo fit in two processes of one thread to one",
                f"{ratio:.2f} ({two:,.0f} to {one:,.0f} {unit}/s)",
                ">= 1.80",
                ratio >= 1.8 if usable_cores() >= 2 else None,
            )
        )
    return rows


def _rate(folder: Path, recipe: str, processes: int, flags: Sequence[str]) -> float:
    """Samples a second of a whole command."""
    root = folder / f"{recipe}-{processes}-{len(list(folder.iterdir()))}"
    strategy = "ddp" if processes > 1 else "auto"
    placing = ("--trainer.accelerator=cpu", f"--trainer.devices={processes}", f"--trainer.strategy={strategy}")
    command = [ZOO, "fit", recipe, *flags, *placing, f"--trainer.default_root_dir={root}", "--quiet"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    (run,) = root.glob("*/*")
    fit = json.loads((run / "results.json").read_text())["fit"]
    arguments = yaml.safe_load((run / "config.yaml").read_text())["data"]["init_args"]
    rows = arguments["batch_size"] * arguments.get("window", 1)
    return float(fit["steps"] * processes * rows / fit["seconds"])
