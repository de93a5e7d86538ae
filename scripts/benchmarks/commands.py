"""Whole commands, as users type them."""

import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from scripts.benchmarks.harness import Bench
from scripts.benchmarks.report import Row

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
