"""What leaves the house: the wheel, torch.hub, the tables of the README, the set-up scripts."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from conftest import ROOT

import zoo
from zoo import registry


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel."""
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(out)]
    subprocess.run([*build, str(ROOT)], check=True, timeout=120, capture_output=True)
    (path,) = out.glob("*.whl")
    return path


def test_wheel_is_small_and_complete(wheel: Path) -> None:
    assert wheel.stat().st_size < 100_000_000
    names = set(zipfile.ZipFile(wheel).namelist())
    for recipe in registry.list_recipes():
        assert f"zoo/recipes/{recipe}.yaml" in names
    for published in zoo.list_models(pretrained=True):
        assert {f"zoo/checkpoints/{published}/{file}" for file in ("card.json", "model.safetensors")} <= names
    assert not [name for name in names if name.startswith(("tests", "scripts", "checkpoints"))]


@pytest.mark.slow
def test_wheel_works_from_any_folder(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    program = (
        "import zoo, torch; assert '/site/' in zoo.__file__; flower = torch.tensor([[5.1, 3.5, 1.4, 0.2]]); "
        "print(len(zoo.list_models(pretrained=True)), zoo.load('dense_iris').classify(flower))"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{len(zoo.list_models(pretrained=True))} ['setosa']\n"


def test_torch_hub_loads_by_name() -> None:
    model = torch.hub.load(str(ROOT), "cnn_digits", source="local")
    assert model.classify(torch.zeros(1, 1, 8, 8, dtype=torch.uint8))


def test_results_tables_are_up_to_date() -> None:
    check = [sys.executable, str(ROOT / "scripts" / "results.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True)
    pages = ("README.md", "series.md", "text.md", "gan.md")
    assert (done.returncode, done.stdout) == (0, "".join(f"{page}: up to date\n" for page in pages))


@pytest.mark.parametrize(("extra", "installed"), [("", "."), ("dev", ".[dev]")])
def test_set_up_installs_once_and_passes_no_argument_on(tmp_path: Path, extra: str, installed: str) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ncase "$1" in -c) echo {tmp_path};; *) echo "$@" >> {tmp_path}/calls;; esac\n')
    python.chmod(0o755)
    script = f'ZOO_EXTRA={extra} source "{ROOT}/scripts/environment.sh"; echo "$PYTHON"'
    for _ in range(2):
        environment = {**os.environ, "ZOO_PYTHON": str(python)}
        done = subprocess.run(
            ["bash", "-c", script, "train", "cnn_fashion_mnist", "--trainer.max_epochs=3"],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.splitlines()[-1] == str(python)
    (call,) = (tmp_path / "calls").read_text().splitlines()
    assert call.split()[-2:] == ["--editable", installed]


def test_unknown_interpreter_is_named(tmp_path: Path) -> None:
    environment = {**os.environ, "ZOO_PYTHON": "no-such-python"}
    done = subprocess.run([ROOT / "scripts" / "train"], env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "ZOO_PYTHON is 'no-such-python', which is no program" in done.stderr
