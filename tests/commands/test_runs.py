"""``zoo runs``: what was trained, and what may go."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from conftest import ROOT, Zoo
from filelock import FileLock

FORMER = ROOT / "tests" / "former"


def make(root: Path, recipe: str, name: str, **results: object) -> Path:
    """A run of a recipe with some results."""
    folder = root / recipe / name
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "last.ckpt").write_bytes(bytes(1000))
    (folder / "config.yaml").write_text("trainer: {}\n")
    (folder / "results.json").write_text(json.dumps({"recipe": recipe, **results}))
    return folder


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five runs of two recipes, and a fold within a backtest."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "runs"
    for number, accuracy in enumerate((0.9, 0.95, 0.8)):
        figures = {"loss": 1 - accuracy, "accuracy": accuracy}
        make(root, "cnn_digits", str(number), fit={"epochs": 3}, test=figures)
    make(root, "cnn_digits", "killed")
    make(root, "naive_synthetic", "1", fit={"epochs": 1}, validate={"mae": 5.5})
    fold = make(root, "lstm_co2-backtest", "1", backtest={"folds": 2})
    make(fold, "fold-1", "", fit={"epochs": 1})
    return root


def folders(root: Path) -> set[str]:
    return {str(path.parent.relative_to(root)) for path in root.glob("*/*/results.json")}


def test_runs_are_listed_with_what_their_models_are_judged_by(zoo_command: Zoo, root: Path) -> None:
    code, out, _ = zoo_command("runs", "--json")
    assert code == 0
    found = {row["folder"]: row for row in json.loads(out)}
    assert found.keys() == {f"runs/{name}" for name in folders(root)}
    best = found["runs/cnn_digits/1"]
    assert (best["state"], best["figure"], best["value"], best["epochs"]) == ("finished", "test accuracy", 0.95, 3)
    assert found["runs/cnn_digits/killed"]["state"] == "unfinished"
    assert found["runs/naive_synthetic/1"]["figure"] == "validate mae"
    assert best["bytes"] > 1000
    assert "test accuracy" in zoo_command("runs", "digits")[1]
    assert [row["recipe"] for row in json.loads(zoo_command("runs", "naive*", "--json")[1])] == ["naive_synthetic"]


def test_runs_of_former_versions_are_listed(zoo_command: Zoo, tmp_path: Path) -> None:
    shutil.copytree(FORMER / "vision" / "run", tmp_path / "runs" / "cnn_digits" / "1")
    (row,) = json.loads(zoo_command("runs", "--json")[1])
    assert (row["recipe"], row["state"]) == ("cnn_digits", "unfinished")


def test_damaged_run_is_listed(zoo_command: Zoo, root: Path) -> None:
    (root / "cnn_digits" / "1" / "results.json").write_text("{")
    row = next(row for row in json.loads(zoo_command("runs", "--json")[1]) if row["folder"] == "runs/cnn_digits/1")
    assert (row["recipe"], row["state"], row["figure"]) == ("cnn_digits", "unfinished", None)


@pytest.mark.parametrize(
    ("rules", "goes"),
    [
        (["unfinished"], {"cnn_digits/killed"}),
        (["beyond=1"], {"cnn_digits/0", "cnn_digits/2"}),
        (["beyond=1", "unfinished"], {"cnn_digits/0", "cnn_digits/2", "cnn_digits/killed"}),
        (["older=30"], {"naive_synthetic/1"}),
        (["beyond=3"], set()),
    ],
)
def test_rules_name_what_goes_and_nothing_goes_unasked(
    zoo_command: Zoo, root: Path, rules: list[str], goes: set[str]
) -> None:
    old = time.time() - 40 * 86_400
    for path in (root / "naive_synthetic" / "1").rglob("*"):
        os.utime(path, (old, old))
    before = folders(root)
    asked = [argument for rule in rules for argument in ("--clean", rule)]
    code, out, _ = zoo_command("runs", *asked)
    assert code == 0
    assert {line.split()[2].removeprefix("runs/") for line in out.splitlines() if "runs/" in line} == goes
    assert ("nothing was removed" in out) == bool(goes)
    assert folders(root) == before
    assert zoo_command("runs", *asked, "--yes")[0] == 0
    assert folders(root) == before - goes
    assert (root / "naive_synthetic").exists() == ("naive_synthetic/1" not in goes)


def test_run_that_is_being_trained_stays(zoo_command: Zoo, root: Path) -> None:
    with FileLock(root / "cnn_digits" / "killed" / ".lock"):
        assert "being trained" in zoo_command("runs")[1]
        assert zoo_command("runs", "--clean", "unfinished", "--yes")[1] == "nothing to remove\n"
        _, _, err = zoo_command("runs", "--clean", "older=0", "--yes")
    assert err == "zoo: runs/cnn_digits/killed is being trained and stays\n"
    assert folders(root) == {"cnn_digits/killed"}


def test_caches_go(zoo_command: Zoo, root: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "lightning-zoo"
    (cache / "corpus-1").mkdir(parents=True)
    (cache / "corpus-1" / "train.ids").write_bytes(bytes(500))
    (cache / "a.pixels").write_bytes(bytes(700))
    assert "2 of 1.2 kB in all" in zoo_command("runs", "--clean", "caches", "--yes")[1]
    assert not list(cache.iterdir())
    assert folders(root)


def test_link_is_removed_and_not_what_it_leads_to(zoo_command: Zoo, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "precious"
    outside.mkdir()
    (outside / "thesis.txt").touch()
    (root / "cnn_digits" / "killed" / "link").symlink_to(outside)
    assert zoo_command("runs", "--clean", "unfinished", "--yes")[0] == 0
    assert (outside / "thesis.txt").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["--clean", "everything"],
            "--clean is 'everything', expected one of unfinished, older=DAYS, beyond=N, caches",
        ),
        (["--clean", "older"], "--clean is 'older', expected one of"),
        (["--clean", "older=x"], "--clean is 'older=x', expected a whole number behind =, such as 30"),
        (["--clean", "beyond=-1"], "--clean is 'beyond=-1', expected a whole number"),
        (["--clean", "caches=1"], "--clean is 'caches=1', expected one of"),
        (["--yes"], "--yes is for --clean RULE"),
        (["--root", "nowhere"], "no runs in nowhere; 'zoo fit cnn_digits' makes one"),
    ],
)
def test_what_is_wrong_is_told(zoo_command: Zoo, arguments: list[str], told: str) -> None:
    code, _, err = zoo_command("runs", *arguments)
    assert code == 2
    assert told in err
