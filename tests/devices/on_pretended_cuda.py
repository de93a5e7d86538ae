"""Trains and asks models on a pretended CUDA device: ``on_pretended_cuda.py OUT.json FOLDER NAME...``.

A name is that of a recipe or of one of :data:`CASES`. Into the file goes for each what went wrong, by what was tried.
"""

# First, since it changes what others import.
from devices import pretended  # isort: skip

import csv
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from PIL import Image
from tiny import EPOCHS, tiny_cli
from torch import Tensor

import zoo
from datamodules import Digits
from zoo import registry, weights
from zoo.base import processor
from zoo.cli import main as zoo_command
from zoo.errors import ZooError
from zoo.gan.sampling import ImageGenerator
from zoo.series.conformal import rolled_errors
from zoo.series.forecaster import Forecaster
from zoo.series.stateful import Stateful
from zoo.text.language_model import LanguageModel
from zoo.text.ngram import NGramLM
from zoo.text.sentiment import SentimentClassifier
from zoo.training.cli import ZooCLI
from zoo.vision.grad_cam import GradCAM
from zoo.vision.inputs import ImageInputs

# What is asked of a model on the device: its answer to inputs that lie where ``place`` puts them.
Place = Callable[[Tensor], Tensor]
Question = Callable[[Any, Place], Any]
Faults = dict[str, str]

ON_CUDA: dict[str, Any] = {"accelerator": "cuda", "inference_mode": False}
# Answers on the device and on the CPU may differ by so much: cells of recurrent networks are other kernels.
CLOSE: dict[str, Any] = {"rtol": 1e-3, "atol": 1e-4}


class WatchSteps(Callback):
    """Says when a training step is being taken."""

    def on_train_batch_start(self, *_: Any) -> None:
        pretended.Record.in_training_step = True

    def on_train_batch_end(self, *_: Any) -> None:
        pretended.Record.in_training_step = False


@contextmanager
def told(faults: Faults, tried: str) -> Iterator[None]:
    """Notes what is raised, and where."""
    try:
        yield
    except (Exception, pytest.fail.Exception) as error:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if any(room in frame.filename for room in pretended.ROOMS)]
        place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "outside the project"
        faults[tried] = f"{type(error).__name__}: {' '.join(str(error).split())} [{place}]"
    finally:
        pretended.Record.in_training_step = False


def on_recipe(name: str, folder: Path) -> Faults:
    """Trains a recipe on the device, resumes it, loads it, and asks it all that it can be asked."""
    faults: Faults = {}
    run = folder / name
    pretended.Record.waits.clear()
    with told(faults, "fit"):
        cli = tiny_cli(name, run, callbacks=[WatchSteps()], figures=True, deterministic=True, **ON_CUDA)
        cli.run(then_test=True)
        if cli.model.configure_optimizers() is not None and pretended.Record.waits:
            faults["waits"] = f"in training steps: {dict(pretended.Record.waits)}"
    if faults:
        return faults
    if registry.recipe(name).config["model"]["init_args"].get("schedule", "constant") in ("constant", "plateau"):
        with told(faults, "resume"):
            last = run / "checkpoints" / "last.ckpt"
            tiny_cli(name, run, "fit", f"--ckpt_path={last}", max_epochs=EPOCHS + 1, **ON_CUDA).run()
    with told(faults, "load"):
        ask(weights.load(run), weights.load(run, "cuda"), cli.datamodule, faults)
    if (registry.recipe(name).folder / "card.json").is_file():
        with told(faults, "golden"):
            golden = weights.load_golden(registry.recipe(name).folder)
            answer = weights.load(name, "cuda").answer(golden)
            torch.testing.assert_close(pretended.host(answer), golden["answer"], check_dtype=False, **CLOSE)
    return faults


def ask(on_cpu: Any, on_cuda: Any, data: Any, faults: Faults) -> None:
    """Compares the answers of a model on the device with those on the CPU, wherever what it is given lies."""
    for tried, question in questions(on_cpu, data).items():
        with told(faults, tried):
            wanted = question(on_cpu, lambda tensor: tensor)
            for place in ("cpu", "cuda"):
                answer = question(on_cuda, partial(torch.Tensor.to, device=place))
                if isinstance(answer, Tensor) and answer.device.type != "cuda":
                    raise AssertionError(f"the answer to what lies on {place} lies on {answer.device}")
                compare(pretended.host(answer), wanted)


def compare(found: Any, wanted: Any) -> None:
    """Raises unless two answers are alike."""
    if isinstance(wanted, Tensor) and not wanted.is_floating_point() and wanted.dtype == torch.uint8:
        torch.testing.assert_close(found.short(), wanted.short(), rtol=0, atol=1)
    elif isinstance(wanted, Tensor | tuple | float | dict):
        torch.testing.assert_close(found, wanted, equal_nan=True, **CLOSE)
    elif found != wanted:
        raise AssertionError(f"{found!r} on the device, {wanted!r} on the CPU")


def questions(model: Any, data: Any) -> dict[str, Question]:
    """What a model can be asked, by the methods that it has."""
    golden = model.golden(data)
    given = golden["input"]
    found: dict[str, Question] = {
        "answer": lambda model, place: model.answer({key: place(value) for key, value in golden.items()}),
    }
    if isinstance(model, LanguageModel):
        return found | of_texts(model, given)
    found["forward"] = lambda model, place: model(place(given)).detach()
    if isinstance(model, ImageGenerator):
        return found | {
            "sample": lambda model, place: model.sample(3, seed=1),
            "sample truncated": lambda model, place: model.sample(3, seed=1, truncation=0.7),
            "interpolate": lambda model, place: model.interpolate(3, 2, seed=1),
            "progress": lambda model, place: model.progress(),
        }
    if isinstance(model, Forecaster):
        return found | of_series(model)
    for method in ("probabilities", "classify", "transform", "cluster", "in_plane", "features"):
        if hasattr(model, method) and not (method == "classify" and model.classes is None):
            found[method] = partial(_call, method, given)
    if hasattr(model, "inverse_transform"):
        coordinates = torch.ones(2, len(model.components))
        found["inverse_transform"] = lambda model, place: model.inverse_transform(place(coordinates))
    if isinstance(model, SentimentClassifier):
        found["classify texts"] = lambda model, place: model.classify(["a great film", "a dull film"])
    if isinstance(model, ImageInputs) and given.ndim == 4:
        found["classify a picture"] = lambda model, place: model.classify(Image.new("RGB", (9, 7)))
        if any(isinstance(layer, torch.nn.Conv2d) for layer in model.modules()):
            found["heat map"] = lambda model, place: GradCAM(model)(place(given))
    for number in ("weight", "bias"):
        if isinstance(getattr(type(model), number, None), property):
            found[number] = partial(_get, number)
    return found


def of_series(model: Forecaster) -> dict[str, Question]:
    """What a forecaster can be asked."""
    steps = max(model.window, model.shortest) + 60
    history = torch.rand(steps, model.num_series, generator=torch.Generator().manual_seed(0)) + 1
    last = range(max(model.window, model.shortest), steps)
    found: dict[str, Question] = {
        "forecast": lambda model, place: model.forecast(place(history), 7),
        "forecast of an array": lambda model, place: model.forecast(history.numpy(), 7),
        "forecast_from": lambda model, place: model.forecast_from(place(history), last, 3),
        "rolled_errors": lambda model, place: rolled_errors(model, place(history), last, 3),
    }
    return found | {"read": partial(_read, history[None])} if isinstance(model, Stateful) else found


def _read(history: Tensor, model: Stateful, place: Place) -> Tensor:
    model.reset()
    return torch.cat([model.read(place(part)) for part in history.split(20, dim=1)], 1).detach()


def of_texts(model: LanguageModel, given: Tensor) -> dict[str, Question]:
    """What a language model can be asked."""
    found: dict[str, Question] = {
        "forward": lambda model, place: model(place(given[None, :9])).detach(),
        "score": lambda model, place: model.score(place(given)).detach(),
        "score after others": lambda model, place: model.score(place(given[5:]), place(given[:5])).detach(),
        "perplexity": lambda model, place: model.perplexity("the king\n"),
        "generate": lambda model, place: model.generate(
            "the ", tokens=5, seed=1, num=2, top_k=5, top_p=0.9, repetition_penalty=1.1
        ),
        "stream": lambda model, place: list(model.stream("a", tokens=5, seed=1)),
    }
    return found | {"ARPA": _arpa} if isinstance(model, NGramLM) else found


def _arpa(model: NGramLM, place: Place) -> str:
    with tempfile.TemporaryDirectory() as folder:
        model.save_arpa(Path(folder) / "model.arpa")
        return (Path(folder) / "model.arpa").read_text()


def _call(method: str, given: Tensor, model: Any, place: Place) -> Any:
    with torch.no_grad():
        return getattr(model, method)(place(given))


def _get(attribute: str, model: Any, place: Place) -> Any:
    return getattr(model, attribute)


# What is no recipe ----------------------------------------------------------------------------------------------------


def diverging_line(folder: Path) -> None:
    """The advice of a line that diverges, which looks at the data."""
    flags = ("--model.init_args.lr=1e6", "--trainer.max_epochs=60", "--trainer.limit_train_batches=1.0")
    with pytest.raises(ZooError, match=r"of this data, in full batches, one below .* converges"):
        tiny_cli("linear_batch", folder, "fit", *flags, **ON_CUDA).run()


def half_precision(folder: Path) -> None:
    """Gradients made by hand, under the gradient scaler of 16-mixed."""
    figures = {}
    for precision in ("32-true", "16-mixed"):
        cli = _whole("backprop_iris", folder / precision, precision=precision, max_epochs=40)
        figures[precision] = cli.run(then_test=True)["test"]["accuracy"]
    assert min(figures.values()) > 0.9, figures


def bfloat16(folder: Path) -> None:
    """One of each wing in bf16-mixed."""
    for name in ("cnn_digits", "lstm_synthetic", "char_transformer_shakespeare_quick", "dcgan_digits", "dense_iris"):
        tiny_cli(name, folder / name, precision="bf16-mixed", **ON_CUDA).run(then_test=True)


def no_float64(folder: Path) -> None:
    """A device without double precision, as Apple's: what needs it is refused, all else goes on the CPU."""
    refused = ("pca_iris", "kmeans_iris", "bigram_shakespeare")
    trained = ("cnn_digits", "lstm_sunspots", "char_transformer_shakespeare_quick", "sentiment_csv", "dcgan_digits")
    processor.WITHOUT_FLOAT64.add("cuda")
    pretended.Record.float64 = False
    try:
        for name in (*trained, "linear_batch", "backprop_iris"):
            tiny_cli(name, folder / name, figures=True, **ON_CUDA).run(then_test=True)
        weights.load("char_rnn_shakespeare", "cuda", kind=LanguageModel).generate("the ", tokens=5, seed=1, top_p=0.9)
        for name in refused:
            with pytest.raises(ZooError, match="computes in float64, which cuda does not have; use the CPU"):
                tiny_cli(name, folder / name, **ON_CUDA).run()
        for name, kind in (("pca_iris", "PCA"), ("kmeans_iris", "KMeans")):
            with pytest.raises(ZooError, match=f"{kind} computes in float64"):
                weights.load(name, "cuda")
    finally:
        processor.WITHOUT_FLOAT64.discard("cuda")
        pretended.Record.float64 = True


def distillation(folder: Path) -> None:
    """A teacher, which computes where its student will."""
    taught: list[torch.device] = []

    class Watched(zoo.vision.Distillation):
        def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
            load = weights.load
            weights.load = lambda name, device: taught.append(torch.device(device)) or load(name, device)  # type: ignore
            try:
                super().setup(trainer, pl_module, stage)
            finally:
                weights.load = load

    tiny_cli("cnn_digits", folder, callbacks=[Watched("cnn_digits")], **ON_CUDA).run()
    assert [device.type for device in taught] == ["cuda"], taught


def verbs(folder: Path) -> None:
    """The verbs that compute with a model, told to do so on the device."""
    os.chdir(folder)
    digit = Digits().splits["test"][0][0, 0]
    Image.fromarray(digit.numpy()).save("digit.png")
    commands = {
        "classify": ["cnn_digits", "digit.png", "--plot", "sheet.png", "--explain", "--csv", "CSV"],
        "embed": ["kmeans_iris", "--csv", "CSV"],
        "forecast": ["lstm_sunspots", "--horizon", "3", "--csv", "CSV"],
        "generate": ["char_rnn_shakespeare", "--tokens", "20", "--seed", "1"],
        "sample": ["dcgan_digits", "--num", "4", "--seed", "1"],
        "interpolate": ["dcgan_digits", "--num", "1", "--points", "2", "--frames", "2", "--seed", "1"],
    }
    for verb, arguments in commands.items():
        tables = []
        for device in ("cpu", "cuda"):
            table = Path(f"{verb}-{device}.csv")
            filled = [str(table) if argument == "CSV" else argument for argument in arguments]
            assert zoo_command([verb, *filled, "--device", device]) == 0, f"zoo {verb} --device {device}"
            tables.append(_numbers(table) if table.is_file() else [])
        np.testing.assert_allclose(tables[1], tables[0], rtol=1e-3, atol=1e-3, err_msg=verb)


def _numbers(table: Path) -> list[float]:
    """All numbers of a CSV file."""
    with table.open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    return [float(cell) for cell in cells if cell.replace(".", "").replace("-", "").replace("e", "").isdigit()]


def _whole(name: str, folder: Path, **trainer: Any) -> ZooCLI:
    """A recipe on all of its data."""
    limits = {"limit_train_batches": 1.0, "limit_val_batches": 1.0, "limit_test_batches": 1.0}
    return tiny_cli(name, folder, **{**ON_CUDA, **limits, **trainer})


CASES: dict[str, Callable[[Path], None]] = {
    one.__name__: one for one in (diverging_line, half_precision, bfloat16, no_float64, distillation, verbs)
}


def main(out: Path, folder: Path, names: list[str]) -> None:
    """Tries all, one after the other; the file is whole after each."""
    pretended.enter()
    found: dict[str, Faults] = {}
    for name in names:
        if name in CASES:
            faults: Faults = {}
            with told(faults, name):
                (folder / name).mkdir(parents=True)
                CASES[name](folder / name)
            found[name] = faults
        else:
            found[name] = on_recipe(name, folder)
        out.write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # what torch does at its end would meet what was replaced
