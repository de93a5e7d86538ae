"""Every command that the README and the guides name does what it says, in miniature where that takes long.

A page's commands run one after the other in one folder, which holds what a reader would bring: photos, series, texts.
"""

import contextlib
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from tiny import flats, opinions, photos, tale

from scripts import headstart
from zoo.cli import main

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Patterns of commands that no test runs here, and why.
LEFT_OUT = {
    r"^scripts/train": "sets an environment up; test_distribution.py tests that",
    r"^scripts/test": "runs this very test",
    r"^pip install": "changes the environment; test_distribution.py builds and unpacks the wheels",
    r"^(torchrun|srun) ": "needs several nodes; test_processes.py and test_examples.py start torchrun on one",
    r"--storage postgresql": "needs a server; test_sweep.py starts one",
    r"--trainer\.accelerator gpu": "needs a GPU",
    r"--trainer\.devices 2": "starts processes, with which test_recipes.py trains every recipe",
    r"word_lstm_shakespeare\+ngram5_shakespeare": "takes minutes; tests/text mixes small models",
}
# What trains is cut short by these.
SHORT = (
    "--trainer.max_epochs=1",
    *(f"--trainer.limit_{split}_batches=2" for split in ("train", "val", "test")),
    "--trainer.accelerator=cpu",
    "--tune_precision=false",
)
# Runs that the guides speak of, and what makes them. With most schedules a run can only be resumed to its end.
RUNS = {
    "runs/cnn_digits/2026-11-22_12-00-00": "cnn_digits --model.schedule constant",
    "runs/cnn_digits/2026-11-22_13-00-00": "cnn_digits --seed_everything 1",
    "runs/mobilenetv2_folder/2026-11-22_12-00-00": "mobilenetv2_folder --data.root photos",
    "runs/char_rnn_text/2026-11-27_12-00-00": "char_rnn_text --data.path book.txt --model.hidden_size=8",
    "runs/sentiment_csv/2026-11-27_12-00-00": "sentiment_csv --data.path opinions.csv --data.text review "
    "--data.label verdict",
    "runs/lstm_csv/FIRST": "lstm_csv --data.path sales.csv --data.value bread --data.time day --data.period 7",
    "runs/lstm_csv/SHOPS": "lstm_csv --data.path shops.csv --data.time day --data.id shop --data.value sold",
    "runs/kmeans_table/FIRST": "kmeans_table --data.path flats.csv",
    "runs/linear_table/FIRST": "linear_table --data.path flats.csv --data.target price",
    "runs/lstm_csv/ALL": "lstm_csv --data.path sales.csv --data.value bread --data.time day --data.period 7 "
    "--data.fit_on all",
    "runs/lstm_csv/PRICED": "lstm_csv --data.path priced.csv --data.value bread --data.time day --data.period 7 "
    "--data.known price --data.calendar auto",
}


def commands(page: Path) -> list[str]:
    """The lines of a page's blocks of bash, without comments."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return list(filter(None, (" ".join(shlex.split(line, comments=True, posix=False)) for line in lines)))


ALL = [(page, line) for page in PAGES for line in commands(page)]


def left_out(line: str) -> bool:
    """Whether no test runs a command."""
    return any(re.search(pattern, line) for pattern in LEFT_OUT)


@pytest.fixture(scope="module")
def folders() -> dict[Path, Path]:
    """A folder for each page, made on first use."""
    return {}


@pytest.fixture
def folder(page: Path, folders: dict[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What a reader of the page would have before them."""
    if page not in folders:
        folders[page] = _furnished(tmp_path_factory.mktemp(page.stem))
        if page == headstart.PAGE:
            for trial in headstart.TRIALS.values():
                with contextlib.chdir(folders[page]):
                    trial.prepare()
    with contextlib.chdir(folders[page]):
        yield folders[page]


def _furnished(folder: Path) -> Path:
    for name in ("data", "docs", "scripts"):
        (folder / name).symlink_to(ROOT / name)
    pictures = photos()
    for name in ("photos", "holiday"):
        (folder / name).symlink_to(pictures)
    (folder / "more" / "summer").mkdir(parents=True)
    with Image.open(next(pictures.rglob("*.png"))) as picture:
        picture.save(folder / "photo.png")
        picture.save(folder / "more" / "summer" / "beach.jpg")
    days = np.datetime64("2021-01-01") + np.arange(1200)
    sales = "\n".join(["day,bread", *(f"{day},{100 + number % 7 * 5}" for number, day in enumerate(days))]) + "\n"
    for name in ("sales.csv", "sales-of-today.csv"):
        (folder / name).write_text(sales)
    for name, kinds in (("shops.csv", ("north", "south")), ("new-shops.csv", ("west",))):
        sold = [f"{day},{shop},{100 + number % 7 * 5}" for shop in kinds for number, day in enumerate(days)]
        (folder / name).write_text("\n".join(["day,shop,sold", *sold]) + "\n")
    priced = [f"{day},{'' if number > 1180 else 100 + number % 7 * 5},{number % 3}" for number, day in enumerate(days)]
    (folder / "priced.csv").write_text("\n".join(["day,bread,price", *priced]) + "\n")
    (folder / "offers.csv").write_text("\n".join(["day,price", *(f"{day},2" for day in days[1181:])]) + "\n")
    (folder / "opinions.csv").write_text(opinions().read_text().replace("text,label", "review,verdict"))
    (folder / "flats.csv").write_text(flats().read_text().replace("target", "price").replace(",2\n", ",2.5\n"))
    (folder / "new-flats.csv").write_text((folder / "flats.csv").read_text())
    (folder / "book.txt").write_text(tale().read_text())
    (folder / "play.txt").write_text("To be, or not to be: that is the question.\n")
    return folder


def _make_run(path: str) -> None:
    """Trains what a guide speaks of, if it is not there yet."""
    if not Path(path).is_dir():
        _run(f"zoo fit {RUNS[path]}")
        made = max(Path(path).parent.iterdir(), key=lambda run: run.stat().st_mtime)
        made.rename(path)


def short(arguments: list[str]) -> list[str]:
    """Flags that cut a training short, if it is one and does not say itself how long it is."""
    if any(argument.endswith(".help") for argument in arguments):
        return []
    if "--epochs_of" in arguments:
        return [flag for flag in SHORT if "max_epochs" not in flag]
    if (arguments[0] == "compare" and arguments[1] in RUNS) or arguments[:2] == ["sweep", "--show"]:
        return []
    if arguments[0] == "sweep":
        return [*SHORT, "--trials=3"]
    if arguments[0] == "auto":
        return [*SHORT, "--budget=10s"]  # test_compare.py and its like look at all that it tries
    if arguments[1] in RUNS:
        return [*SHORT, "--trainer.max_epochs=2"]  # one more than it was trained for
    return [flag for flag in SHORT if flag.partition("=")[0] not in arguments]


def _run(line: str) -> str:
    """Runs a command as a shell would; a training is short."""
    line, redirected, out = line.partition(" > ")
    # The shell's own patterns; words that match nothing stay as they are, as in bash.
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, text=True, check=True)
    program, *arguments = done.stdout.split("\0")[:-1]
    if program != "zoo":
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout
    if arguments[0] in ("fit", "backtest", "elbow", "auto", "compare", "sweep"):
        arguments += short(arguments)
    told, wrong = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(wrong):
        try:
            code = main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
    assert code == 0, wrong.getvalue()
    if redirected:
        Path(out).write_text(told.getvalue())
    return told.getvalue()


def marked(page: Path, line: str) -> Any:
    """What a reader meets first is tested always."""
    return pytest.param(
        page, line, marks=[] if page.name == "README.md" else pytest.mark.slow, id=f"{page.stem}: {line}"
    )


@pytest.mark.parametrize(("page", "line"), [marked(*one) for one in ALL if not left_out(one[1])])
def test_command_does_what_it_says(page: Path, line: str, folder: Path) -> None:
    for run in RUNS:
        if run in line:
            _make_run(run)
    _run(line)


# Where Python stands by itself; the photos' guide speaks of pictures that a reader has.
PROGRAMS = [page for page in PAGES if "```python" in page.read_text(encoding="utf-8") and page.stem != "photos"]


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=() if page.stem == "README" else pytest.mark.slow) for page in PROGRAMS]
)
def test_python_runs(page: Path, folder: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    exec("".join(blocks), {})


def test_what_is_left_out_is_there() -> None:
    assert not [pattern for pattern in LEFT_OUT if not any(re.search(pattern, line) for _, line in ALL)]


def test_readme_shows_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"```bash\n([^\n]+)\n```\n\n```\n(.*?)```", text, re.DOTALL)
    assert shown
    for line, printed in shown:
        told = _run(line)
        assert [row.split() for row in told.splitlines()] == [row.split() for row in printed.splitlines()]
