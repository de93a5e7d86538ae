"""A module in the current folder is loaded if somebody names it, it alone, and by nobody else's word."""

import os
import py_compile
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, Zoo

from zoo.errors import ZooError
from zoo.training.beside import load_beside

TABLE = (ROOT / "docs" / "examples" / "mytable.py").read_text()
ROWS = "a,b,c\n" + "".join(f"{number},{number * number % 7},{number % 3}\n" for number in range(40))
LOUD = "from pathlib import Path\nPath('ran').touch()\n"
FIT = ("--data.path", "rows.csv", "--figures=false", "--trainer.max_epochs=1")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text(ROWS)
    before = set(sys.modules)
    searched = list(sys.path)
    yield tmp_path
    assert sys.path == searched
    for name in set(sys.modules) - before:
        if name.startswith("mytable"):
            del sys.modules[name]


def test_flag_loads_the_module_beside_and_says_so(folder: Path, zoo_command: Zoo) -> None:
    (folder / "mytable.py").write_text(TABLE)
    code, _, error = zoo_command("fit", "pca_iris", "--data", "mytable.Table", *FIT, "--quiet")
    assert code == 0, error
    assert error.count("mytable.Table is loaded from mytable.py in this folder") == 1
    [run] = (folder / "runs" / "pca_iris").iterdir()
    del sys.modules["mytable"]
    code, _, error = zoo_command("test", run, "--quiet")
    assert code == 2
    assert "names 'mytable.Table', which may run any code; add --trust" in error
    assert "mytable" not in sys.modules
    code, _, error = zoo_command("test", run, "--quiet", "--trust")
    assert code == 0, error


def test_recipe_file_passed_by_name_loads_it(folder: Path, zoo_command: Zoo) -> None:
    (folder / "mytable.py").write_text(TABLE)
    recipe = (ROOT / "zoo" / "recipes" / "pca_iris.yaml").read_text().partition("\ndata:")[0]
    data = "\ndata:\n  class_path: mytable.Table\n  init_args:\n    path: rows.csv\ntrainer:\n  max_epochs: 1\n"
    (folder / "mine.yaml").write_text(recipe + data)
    code, _, error = zoo_command("fit", "mine.yaml", "--quiet", "--figures=false")
    assert code == 0, error
    assert "is loaded from mytable.py" in error


@pytest.mark.parametrize(
    "name", ["json.Table", "numpy.Table", "pkg.mytable.Table", "mytable", "..mytable.Table", "a-b.C"]
)
def test_other_names_load_nothing(folder: Path, name: str) -> None:
    (folder / "pkg").mkdir()
    for file in ("json.py", "numpy.py", "pkg/__init__.py", "pkg/mytable.py", "mytable.py", "a-b.py"):
        (folder / file).write_text(LOUD)
    load_beside(name)
    assert not (folder / "ran").exists()


def test_package_beside_is_not_loaded(folder: Path) -> None:
    (folder / "mytable").mkdir()
    (folder / "mytable" / "__init__.py").write_text(LOUD)
    load_beside("mytable.Table")
    assert not (folder / "ran").exists()


def test_link_is_refused(folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "other.py").write_text(LOUD)
    (folder / "mytable.py").symlink_to(folder / "elsewhere" / "other.py")
    with pytest.raises(ZooError, match="is a link to"):
        load_beside("mytable.Table")
    assert not (folder / "ran").exists()


def test_compiled_file_in_its_place_is_not_run(folder: Path) -> None:
    file = folder / "mytable.py"
    file.write_text(LOUD)
    py_compile.compile(str(file), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    file.write_text("Table = 1\n")
    load_beside("mytable.Table")
    assert not (folder / "ran").exists()
    assert sys.modules["mytable"].Table == 1


def test_what_it_imports_does_not_come_from_the_folder(folder: Path, zoo_command: Zoo) -> None:
    (folder / "mytable_helper.py").write_text(LOUD)
    (folder / "mytable.py").write_text("import mytable_helper\n")
    code, _, error = zoo_command("fit", "pca_iris", "--data", "mytable.Table", *FIT)
    assert code == 2
    assert "mytable.py cannot be loaded (ModuleNotFoundError: No module named 'mytable_helper')" in error
    assert not (folder / "ran").exists()
    assert "mytable" not in sys.modules


def test_its_own_failure_is_told_in_a_line(folder: Path, zoo_command: Zoo) -> None:
    (folder / "mytable.py").write_text(TABLE.replace("self.rows = ", "self.source = "))  # a property of the class
    code, _, error = zoo_command("fit", "pca_iris", "--data", "mytable.Table", *FIT)
    assert code == 2
    assert "mytable.Table cannot be made (AttributeError: " in error.splitlines()[-1]


@pytest.mark.slow
def test_several_processes_load_it(folder: Path) -> None:
    (folder / "mytable.py").write_text(TABLE)
    start = folder / "elsewhere" / "start.py"  # whose folder is the one that Python searches, not the current one
    start.parent.mkdir()
    start.write_text("import sys; from zoo.cli import main; sys.exit(main())")
    command = [str(start), "fit", "pca_iris"]
    done = subprocess.run(
        [sys.executable, *command, "--data", "mytable.Table", *FIT, "--trainer.devices=2", "--trainer.accelerator=cpu"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
