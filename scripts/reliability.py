"""Attacks the zoo for an hour and writes ``docs/reliability.md`` from what the tests recorded.

``--only tests/fuzz`` does a part of it anew. ``--page`` writes the page from what is recorded, ``--check`` tells
whether it is that.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
RECORD, PAGE = ROOT / "docs" / "reliability.json", ROOT / "docs" / "reliability.md"
ATTACKS = ("tests/attacks", "tests/fuzz")
# Of the attacks of a kind that takes milliseconds; others are tried in proportion, see tests/attacks.
TRIES = 5000


class Promise(NamedTuple):
    """What users may rely on.

    Attributes:
        title: In a few words.
        promise: What holds, and where it ends.
        tested: How it is tested.
        evidence: Kinds of attacks, and files of tests.
    """

    title: str
    promise: str
    tested: str
    evidence: Sequence[str]


PROMISES = (
    Promise(
        "Nothing runs that a file names",
        "Weights, checkpoints, cards and run folders may come from a stranger. Loading them executes nothing, "
        "and a run's configuration imports nothing but what is on a list, unless you say `--trust`. A YAML file"
        " or a data set that you name yourself is yours: it may name anything.",
        "Pickles with every gadget we know, anywhere in a checkpoint, in each form that torch reads; "
        "configurations with foreign names in any place and every form of YAML, also with the oldest "
        "jsonargparse allowed.",
        (
            "pickles",
            "run folders",
            "tests/training/test_trust.py",
        ),
    ),
    Promise(
        "Damage is told, or mended",
        "Weights, golden tensors and checkpoints carry a sha256; a changed byte ends in a line that names the "
        "file. Caches of decoded pictures and of token ids are made anew. Cards and results are checked by a "
        "schema: what is still of the right form is believed, since text that people may edit carries no "
        "checksum.",
        "Bits flipped, bytes zeroed, lost, doubled, cut off and added, anywhere in the file.",
        (
            "damaged checkpoints",
            "damaged weights",
            "damaged facts",
            "damaged caches",
            "tests/test_schemas.py",
            "tests/test_weights.py",
        ),
    ),
    Promise(
        "A killed training is finished, exactly",
        "`zoo fit RUN` goes on with a run that was killed at any moment, and it ends with the metrics and, on "
        "the same kind of CPU and number of processes, with the weights of one that nobody touched, to the last"
        " bit. A run is trained by one command at a time, as far as the file system grants locks.",
        "SIGKILL at a random moment, up to three times in a row, compared bit by bit with an undisturbed run; "
        "stops inside an epoch; second processes.",
        (
            "kills",
            "tests/training/test_resumption.py",
            "tests/training/test_processes.py",
        ),
    ),
    Promise(
        "Bad input ends in one line",
        "Whatever is typed or lies in a file, a command ends with what was asked for, or with exit code 2 and a"
        " line that says what was found and what was expected: no traceback, no hang, nothing written outside "
        "of the run.",
        "Made-up flags, YAML, run folders, tables, texts and pictures, by a fuzzer.",
        (
            "made-up flags of training",
            "made-up flags of every verb",
            "made-up recipes",
            "made-up run folders",
            "made-up tables",
            "made-up texts",
            "made-up pictures",
            "tests/training/test_bad_settings.py",
            "tests/base/test_inputs.py",
        ),
    ),
    Promise(
        "Outputs are whole, names are harmless",
        "A file is written at once or not at all; a full disk names it. Control characters of class names, "
        "files and cards reach no terminal; text that a spreadsheet would execute is told, and escaped by "
        "`--csv-safe`. `zoo publish` writes into the folder that it is told. Ctrl-C gives exit code 130, "
        "SIGTERM 143, a closed pipe 141.",
        "File-size limits of the system, hostile names, closed pipes.",
        (
            "tests/commands/test_terminal.py",
            "tests/commands/test_publish.py",
        ),
    ),
    Promise(
        "What a model learnt from is remembered",
        "A run and its card hold a checksum of their data. `test`, `forecast`, `publish` and a resumption say "
        "when it has changed.",
        "Files that grow, shrink and change under every kind of data module.",
        ("tests/training/test_learnt_from.py",),
    ),
    Promise(
        "What was saved once loads for ever",
        "Checkpoints, published weights and runs of former versions load, resume and answer as they did.",
        "Files that former versions wrote are kept.",
        ("tests/test_former.py",),
    ),
    Promise(
        "Several processes give what one gives",
        "Every kind of training works with several processes, on one computer or more: measured on the same "
        "rows, resumed, published. One that is lost ends all of them, with a line.",
        "Two processes of the CPU for every kind, four for three kinds, two nodes by torchrun; processes that "
        "raise, hang and are killed.",
        (
            "tests/test_several_processes.py",
            "tests/training/test_lost_processes.py",
            "tests/training/test_processes.py",
        ),
    ),
    Promise(
        "A GPU gives what the CPU gives",
        "Training, measuring and every public method work on a CUDA device and agree with the CPU as far as "
        "rounding allows; bit-identical is promised of CPUs only.",
        "A pretended CUDA device, which computes on the CPU and raises where devices mix, over all recipes and "
        "public methods; `scripts/gpu_check` does so on a real one, and `benchmarks.md` says whether it was run.",
        (
            "tests/devices/test_pretended_cuda.py",
            "tests/training/test_device_settings.py",
        ),
    ),
)


def page(record: dict[str, Any]) -> str:
    """The page, in Markdown.

    Args:
        record: What :mod:`tests.record` wrote, each kind with the commit that it was tried on, and ``of``: when, and
            with which versions.
    """
    of, parts = record["of"], []
    evidence = {name for one in PROMISES for name in one.evidence}
    counts = [count for name, count in record["counts"].items() if name in evidence]
    commits = sorted({count["commit"] for count in counts})
    for one in PROMISES:
        rows = [(name, record["counts"].get(name)) for name in one.evidence]
        lines = ["| tried | tries | not withstood |", "|---|--:|--:|"]
        lines += [
            f"| {f'`{name}`' if '/' in name else name} | " + ("not yet | |" if count is None else _figures(count))
            for name, count in rows
        ]
        table = "\n".join(lines)
        parts.append(f"## {one.title}\n\n{one.promise}\n\nHow it is tested: {one.tested}\n\n{table}\n")
    tries, failures = (sum(count[name] for count in counts) for name in ("tries", "failures"))
    return (
        "# What is promised\n\n"
        "Each promise, how it is tested, and what came of the last long run: "
        f"{tries:,} tries, {failures:,} of which the zoo did not withstand, on {of['date']}, of commit "
        f"{', '.join(commits)}, with {of['versions']}. Written by `scripts/reliability.py` from `reliability.json`, "
        "which the tests wrote; a short form of every attack runs with `scripts/test`.\n\n" + "\n".join(parts)
    )


def _figures(count: dict[str, Any]) -> str:
    return f"{count['tries']:,} | {count['failures']:,} |"


def attack(tries: int, files: Sequence[str]) -> dict[str, Any]:
    """Runs attacks and tests; what they counted, and of what.

    Args:
        tries: Of kinds that take milliseconds.
        files: Of tests, and folders of such.
    """
    with TemporaryDirectory() as scratch:
        counts = Path(scratch) / "counts.json"
        tests = [sys.executable, "-m", "pytest", "--numprocesses", "auto", "-m", "", *files]
        command = [*tests, "--tries", str(tries), "--record", str(counts)]
        commit = _commit()
        subprocess.run(command, cwd=ROOT, check=False)
        found = json.loads(counts.read_text())
        return {"of": _circumstances(), "counts": {kind: count | {"commit": commit} for kind, count in found.items()}}


def _commit() -> str:
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()


def _circumstances() -> dict[str, str]:
    packages = ("torch", "lightning", "jsonargparse")
    python = ".".join(map(str, sys.version_info[:3]))
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "versions": ", ".join([f"Python {python}", *(f"{name} {version(name)}" for name in packages)]),
    }


def main(argv: list[str] | None = None) -> int:
    """Attacks, and writes the page.

    Returns:
        0, or 1 if the page is not what the record says (``--check``).
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=TRIES, help="of what takes milliseconds (default %(default)s)")
    parser.add_argument("--only", nargs="+", metavar="PATH", help="tests to run; what is recorded of others stays")
    parser.add_argument("--page", action="store_true", help="only write the page")
    parser.add_argument("--check", action="store_true", help="only tell whether the page is what is recorded")
    options = parser.parse_args(argv)
    if not (options.page or options.check):
        files = sorted({name for one in PROMISES for name in one.evidence if "/" in name})
        record = attack(options.tries, options.only or [*ATTACKS, *files])
        if options.only and RECORD.is_file():
            record["counts"] = json.loads(RECORD.read_text(encoding="utf-8"))["counts"] | record["counts"]
        RECORD.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    written = page(json.loads(RECORD.read_text(encoding="utf-8")))
    if options.check:
        return int(PAGE.read_text(encoding="utf-8") != written)
    PAGE.write_text(written, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
