"""What reaches a terminal, a pipe, a spreadsheet and a full disk: others' words and ends of files, and no harm."""

import ast
import csv
import io
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT, Zoo
from PIL import Image
from rich.table import Table

from zoo import registry, weights
from zoo.commands.outputs import write_csv
from zoo.commands.tables import Screen
from zoo.terminal import guarded, visible
from zoo.vision import CNN

# A class that colours, one that goes back to the start of its line, one that a spreadsheet would compute with.
COLOUR, CARRIAGE, FORMULA = "\x1b[31mred\x1b[0m", "cat\rdog\x07", '=HYPERLINK("http://x","y")'
STEERING = {chr(code) for code in (*range(32), *range(127, 160), 0x202E)} - {"\n", "\t"}


@pytest.fixture
def named(tmp_path: Path) -> str:
    """Published weights whose classes have such names."""
    torch.manual_seed(0)
    model = CNN(in_channels=1, image_size=28, num_classes=3, channels=(4, 4), classes=[COLOUR, CARRIAGE, FORMULA])
    card = {"recipe": "mine", "family": "vision", "classes": model.classes, "licence": f"free{COLOUR}"}
    weights.save(model, tmp_path / "mine", card, {"input": torch.zeros(1, 1, 28, 28, dtype=torch.uint8)})
    return "mine"


def picture(path: Path) -> Path:
    Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(path, format="PNG")
    return path


def test_names_do_not_steer_a_terminal(zoo_command: Zoo, tmp_path: Path, named: str) -> None:
    photo = picture(tmp_path / f"{COLOUR}.png")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "\u202egnp.exe").write_text("no picture")
    code, out, err = zoo_command("classify", named, photo.name, "more", "--csv", "out.csv")
    assert code == 0
    assert not STEERING & {*out, *err}
    assert all(visible(name) in out for name in (COLOUR, CARRIAGE, photo.name))
    assert "\\u202egnp.exe" in err
    code, out, err = zoo_command("classify", named, f"gone{CARRIAGE}.png")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert not STEERING & {*err}


def test_names_that_are_no_text_are_shown_and_kept(zoo_command: Zoo, tmp_path: Path, named: str) -> None:
    name = os.fsencode(tmp_path) + b"/photo\xff.png"
    photo = picture(tmp_path / "photo.png")
    try:
        photo.rename(os.fsdecode(name))
    except OSError:
        pytest.skip("this file system takes names of UTF-8 only")
    code, out, _ = zoo_command("classify", named, os.fsdecode(name), "--csv", "out.csv")
    assert code == 0
    assert "photo\\udcff.png" in out
    with (tmp_path / "out.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        assert {row["image"] for row in csv.DictReader(file)} == {os.fsdecode(name)}


def test_cards_do_not_steer_a_terminal_and_stay_json(
    zoo_command: Zoo, tmp_path: Path, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / named).rename(tmp_path / "cnn_digits")
    monkeypatch.setattr(registry, "CHECKPOINTS", tmp_path)
    code, out, _ = zoo_command("show", "cnn_digits", "--card")
    assert code == 0
    assert not STEERING & set(out)
    assert json.loads(out) == json.loads((tmp_path / "cnn_digits" / "card.json").read_text(encoding="utf-8"))


def test_tables_colour_what_rich_colours_only() -> None:
    table = Table("name", box=None)
    table.add_row(f"{COLOUR} [bold]x[/bold] :cat:")
    screen = Screen(width=100)
    screen.file = io.StringIO()
    screen.print(table)
    assert f"{visible(COLOUR)} [bold]x[/bold] :cat:" in screen.file.getvalue()


def test_logs_and_warnings_do_not_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    import logging

    made = logging.getLogRecordFactory()
    with guarded():
        logging.getLogger("lightning.pytorch").warning("read %s", COLOUR)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            text = warnings.formatwarning(COLOUR, UserWarning, "file", 1, "")
    assert visible(COLOUR) in text
    assert "\x1b[31m" not in text + capsys.readouterr().err
    assert logging.getLogRecordFactory() is made


@pytest.mark.parametrize("path", sorted((ROOT / "zoo").rglob("*.py")), ids=lambda path: path.name)
def test_everything_is_shown_through_one_door(path: Path) -> None:
    doors = {"terminal.py": {"print"}, "tables.py": {"Console"}}
    called = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not called & {"print", "Console"} - doors.get(path.name, set())


CELLS = [FORMULA, "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "\uff1d1", "a=b", "-", "", "-1.5", "+3e-7", "-inf"]


def test_table_tells_of_formulas_and_reads_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(cell, -1.5, number) for number, cell in enumerate(CELLS)]
    write_csv(tmp_path / "plain.csv", ("name", "value", "row"), rows, safe=False)
    assert "7 cells of" in capsys.readouterr().err
    with (tmp_path / "plain.csv").open(encoding="utf-8", newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == CELLS
    write_csv(tmp_path / "safe.csv", ("name", "value", "row"), rows, safe=True)
    assert capsys.readouterr().err == ""
    with (tmp_path / "safe.csv").open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["name"].removeprefix("'") for row in found] == CELLS
    assert [row["name"][:1] == "'" for row in found] == [True] * 6 + [False] + [True] + [False] * 4
    assert {row["value"] for row in found} == {"-1.5"}


def test_classify_escapes_formulas_if_asked(zoo_command: Zoo, tmp_path: Path, named: str) -> None:
    picture(tmp_path / "=1.png")
    code, _, err = zoo_command("classify", named, "=1.png", "--csv", "out.csv")
    assert code == 0
    assert "would be executed by a spreadsheet" in err
    assert "--csv-safe" in err
    code, _, err = zoo_command("classify", named, "=1.png", "--csv", "out.csv", "--csv-safe")
    assert (code, err) == (0, "")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["image"] for row in rows} == {"'=1.png"}
    assert f"'{FORMULA}" in {row["class"] for row in rows}


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """Lets no file grow beyond a number of bytes, as a full disk does."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("command", "file"),
    [
        ("embed pca_iris --csv rows.csv --plot rows.png", "rows.csv"),
        ("sample dcgan_digits --num 4 --seed 1 --out images.png", "images.png"),
        ("export bigram_shakespeare --to arpa model.arpa", "model.arpa"),
        ("forecast naive_synthetic --horizon 30 --no-intervals --csv ahead.csv", "ahead.csv"),
    ],
)
def test_full_disk_names_the_file_and_leaves_no_half(zoo_command: Zoo, tmp_path: Path, command: str, file: str) -> None:
    with at_most(500):
        code, _, err = zoo_command(*command.split())
    assert code == 2
    assert err.startswith(f"zoo: {tmp_path / file} cannot be written: ") or err.startswith(f"zoo: {file} cannot")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [100, 3_000, 9_000])
def test_full_disk_ends_a_training_with_the_name_of_its_folder(zoo_command: Zoo, tmp_path: Path, size: int) -> None:
    with at_most(size):
        code, _, err = zoo_command("fit", "dense_iris", "--trainer.max_epochs=2", "--quiet")
    assert code == 2
    assert "runs/dense_iris/" in err
    assert "cannot be written: " in err
    assert err.count("\n") == 1
    for checkpoint in tmp_path.rglob("*.ckpt"):
        weights.read_checkpoint(checkpoint)
    assert not [path for path in tmp_path.rglob(".*") if path.name != ".lock"]


@pytest.mark.parametrize("command", ["list", "show cnn_digits", "list --json"])
def test_reader_that_has_seen_enough_ends_it_quietly(command: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "zoo.cli", *command.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=60) == 141


def test_full_device_is_told_of_the_output() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with full.open("wb") as out:
        done = subprocess.run([sys.executable, "-m", "zoo.cli", "list"], stdout=out, stderr=subprocess.PIPE, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr.decode().startswith("zoo: standard output cannot be written: ")


def test_interrupt_gives_the_code_that_shells_know(zoo_command: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("zoo.registry.list_models", interrupt)
    assert zoo_command("list")[0] == 130
