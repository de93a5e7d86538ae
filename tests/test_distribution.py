"""What leaves the house: the wheel, torch.hub, the tables of the README, the set-up scripts."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import torch
from conftest import ROOT

import zoo
from zoo import registry

PACKAGES = ROOT / "checkpoints" / "packages"
FAMILIES = sorted(path.name for path in PACKAGES.iterdir() if path.name != "all")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The project's wheel, and those of large weights by family."""
    out = tmp_path_factory.mktemp("wheels")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(out)]
    subprocess.run([*build, ROOT, *PACKAGES.iterdir()], check=True, timeout=240, capture_output=True)
    found = {path.name.partition("-")[0].removeprefix("lightning_zoo"): path for path in out.glob("*.whl")}
    return {name.removeprefix("_weights_"): path for name, path in found.items()}


@pytest.fixture(scope="module")
def wheel(wheels: dict[str, Path]) -> Path:
    """The project's wheel."""
    return wheels[""]


def test_wheel_is_small_and_complete(wheel: Path) -> None:
    assert wheel.stat().st_size < 20_000_000
    names = set(zipfile.ZipFile(wheel).namelist())
    for recipe in registry.list_recipes():
        assert f"zoo/recipes/{recipe}.yaml" in names
    for published in zoo.list_models(pretrained=True):
        assert f"zoo/checkpoints/{published}/card.json" in names
    assert not [name for name in names if name.startswith(("tests", "scripts", "checkpoints"))]


def test_every_published_file_is_in_one_wheel(wheels: dict[str, Path]) -> None:
    found = []
    for wheel in wheels.values():
        assert wheel.stat().st_size < 100_000_000
        names = (name.split("/")[-2:] for name in zipfile.ZipFile(wheel).namelist() if "dist-info" not in name)
        found += ["/".join(name) for name in names if name[-1].endswith(".safetensors")]
    published = list(registry.CHECKPOINTS.glob("*/*.safetensors"))
    assert sorted(found) == sorted(f"{path.parent.name}/{path.name}" for path in published)


def test_distributions_of_weights_have_the_zoo_s_version() -> None:
    projects = {path.parent.name: tomllib.loads(path.read_text())["project"] for path in PACKAGES.glob("*/*.toml")}
    assert {project["version"] for project in projects.values()} == {zoo.__version__}
    assert projects["all"]["dependencies"] == [f"lightning-zoo-weights-{family}" for family in FAMILIES]
    assert {registry.entry(name).family for name in zoo.list_models()} >= set(FAMILIES)


@pytest.mark.parametrize("has_weights", [False, True])
def test_large_weights_are_found_or_told_what_to_install(
    wheels: dict[str, Path], tmp_path: Path, has_weights: bool
) -> None:
    for name in ("", "gan") if has_weights else ("",):
        zipfile.ZipFile(wheels[name]).extractall(tmp_path / "site")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    command = [sys.executable, "-P", "-m", "zoo.cli", "sample", "dcgan_digits", "--num", "1"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    if has_weights:
        assert (done.returncode, done.stdout) == (0, "wrote samples.png (1 images)\n")
    else:
        told = (
            "model.safetensors of 'dcgan_digits' is not installed; it comes with: pip install lightning-zoo-weights-gan"
        )
        assert (done.returncode, done.stderr) == (2, f"zoo: {told}\n")


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
    pages = ("README.md", "start.md", "results.md", "series.md", "text.md", "gan.md")
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
