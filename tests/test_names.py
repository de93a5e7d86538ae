"""Public names: where classes are imported from, what is recorded of them, what may be typed."""

import importlib.util
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT, Zoo

import zoo
from datamodules import Digits
from zoo import ZooError, names, weights
from zoo.vision import CNN, Dense

PUBLIC = [
    f"{package}.{name}"
    for package in (*names.CALLBACKS, *names.DATA)
    for name in import_module(package).__all__
    if name[0].isupper()
]


@pytest.mark.parametrize("path", PUBLIC)
def test_public_class_is_recorded_by_its_public_path(path: str) -> None:
    assert names.path_of(names.find(path)) == path


@pytest.mark.parametrize("path", names.FORMER)
def test_former_path_leads_to_the_class_of_today(path: str) -> None:
    assert names.find(path) is names.find(names.FORMER[path])


def test_packages_list_what_they_export() -> None:
    assert {"vision", "series", "text", "gan", "tabular", "load", "create"} <= set(dir(zoo))
    assert {"CNN", "Dense", "Transfer"} <= set(dir(zoo.vision))
    assert "DCGAN" in dir(zoo.gan)
    assert "Digits" in dir(import_module("datamodules"))


@pytest.mark.parametrize("package", ["zoo", *names.MODELS, "zoo.training", *names.DATA])
def test_importing_a_package_imports_no_torch(package: str) -> None:
    code = f"import sys, {package}; dir({package}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="CNNN"):
        _ = zoo.vision.CNNN  # type: ignore[attr-defined]


TINY = ["--trainer.max_epochs=1", "--trainer.accelerator=cpu", "--trainer.limit_train_batches=1", "--figures=false"]


@pytest.mark.parametrize("given", ["bare", "public", "former"])
def test_classes_may_be_given_by_any_of_their_names(given: str, zoo_command: Zoo, tmp_path: Path) -> None:
    model, data = {
        "bare": ("Dense", "Iris"),
        "public": ("zoo.vision.Dense", "datamodules.Iris"),
        "former": ("zoo.vision.dense.Dense", "datamodules.tabular.Iris"),
    }[given]
    (tmp_path / "mine.yaml").write_text(f"model:\n  class_path: {model}\ndata:\n  class_path: {data}\n")
    for arguments in (["mine.yaml"], ["--model", model, "--data", data], [f"--model={model}", f"--data={data}"]):
        code, out, error = zoo_command("fit", *arguments, *TINY)
        assert (code, error) == (0, "")
        run = Path(out.partition("run folder ")[2].splitlines()[0])
        config = (run / "config.yaml").read_text()
        assert "class_path: zoo.vision.Dense\n" in config
        assert "class_path: datamodules.Iris\n" in config
        checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
        assert checkpoint["class_path"] == "zoo.vision.Dense"


def test_callback_may_be_given_by_its_bare_name(zoo_command: Zoo) -> None:
    flags = ["--trainer.callbacks+=Distillation", "--trainer.callbacks.teacher=cnn_digits", *TINY]
    code, out, error = zoo_command("fit", "--model=Dense", "--data=Digits", *flags)
    assert (code, error) == (0, "")
    run = Path(out.partition("run folder ")[2].splitlines()[0])
    assert "class_path: zoo.vision.Distillation\n" in (run / "config.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--model=CN"], "--model is 'CN', expected the name of a class; did you mean 'CNN'?"),
        (["--data=Digts"], "--data is 'Digts', expected the name of a class; did you mean 'Digits'?"),
        (["--model=zoo.vision.CN"], "did you mean 'CNN'?"),
        (["--model=MLP"], "'MLP' may be any of zoo.vision.MLP, zoo.series.MLP; give the whole path"),
        (["--trainer.callbacks+=Distilation"], "did you mean 'Distillation'?"),
        (["--model.roation=3"], "--model.roation: CNN takes no 'roation'; did you mean 'rotation'?"),
        (["--data.eval_batchsize=3"], "Digits takes no 'eval_batchsize'; did you mean 'eval_batch_size'?"),
    ],
)  # fmt: skip
def test_mistyped_names_are_told_in_one_line(arguments: list[str], told: str, zoo_command: Zoo) -> None:
    code, _, error = zoo_command("fit", "cnn_digits", *arguments)
    assert code == 2
    assert told in error
    assert len(error.splitlines()) == 1


def test_card_records_the_public_path(tmp_path: Path) -> None:
    data, model = Digits(), CNN(image_size=8, channels=[2], hidden_size=4)
    weights.save(model, tmp_path / "mine", {}, model.golden(data))
    assert json.loads((tmp_path / "mine" / "card.json").read_text())["model"]["class_path"] == "zoo.vision.CNN"


def test_load_refuses_another_kind_than_the_wanted_one() -> None:
    assert isinstance(zoo.load("cnn_digits", kind=CNN), CNN)
    with pytest.raises(ZooError, match="cnn_digits holds a CNN, expected a Dense"):
        zoo.load("cnn_digits", kind=Dense)


def _stub() -> Any:
    spec = importlib.util.spec_from_file_location("stubs", ROOT / "scripts" / "stubs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.stub()


def test_stub_knows_all_names() -> None:
    assert (ROOT / "zoo" / "__init__.pyi").read_text() == _stub(), "run: python scripts/stubs.py"


@pytest.mark.slow
def test_type_checkers_know_what_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import zoo\n"
        "from datamodules import Digits\n"
        "from zoo.vision import CNN\n"
        "def program(run: str) -> None:\n"
        "    reveal_type(zoo.load('cnn_digits'))\n"
        "    reveal_type(zoo.load(run))\n"
        "    reveal_type(zoo.load(run, kind=CNN))\n"
        "    reveal_type(zoo.create('lstm_co2'))\n"
        "    reveal_type(zoo.list_models())\n"
        "    reveal_type(Digits(batch_size=3))\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", "program.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    kinds = ("vision.cnn.CNN", "base.module.ZooModule", "vision.cnn.CNN", "series.recurrent.Recurrent")
    for kind in (*(f"zoo.{kind}" for kind in kinds), "list[str]", "datamodules.vision.images.Digits"):
        assert f'Revealed type is "{kind}"' in done.stdout
