"""The conformance list: what holds of every recipe, also of one that will be added tomorrow."""

import copy
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from tiny import EPOCHS, EVALUATE_ALL, ROOT, learns, one_a_kind, public_data, tiny_cli
from torch import Tensor

import zoo
from zoo import registry, weights
from zoo.training.checkpoints import LastCheckpoint
from zoo.training.cli import ZooCLI

RECIPES = registry.list_recipes()
PUBLISHED = [name for name in RECIPES if (registry.CHECKPOINTS / name / "card.json").is_file()]
IMPORTED = [name for name in zoo.list_models(pretrained=True) if name not in RECIPES]
# One of each wing, for what takes long with all of them: pictures, rows, lanes, texts, two networks.
ONE_A_WING = ("cnn_digits", "kmeans_iris", "stateful_rnn_synthetic", "sentiment_average_reviews", "dcgan_digits")
# Recipes that cannot be trained by two processes, and what they say.
REFUSES_TWO_PROCESSES = {name: "learns nothing" for name in RECIPES if not learns(name)}

# What else published GANs must reach: at most this, or at least that.
GANS_REACH: dict[str, tuple[dict[str, float], dict[str, float]]] = {
    "dcgan_fashion_mnist": ({"class_kl": 0.02}, {"classes_covered": 10, "recall": 0.7, "coverage": 0.7}),
    "conditional_dcgan_fashion_mnist": ({"class_kl": 0.02}, {"classes_covered": 10, "asked_class": 0.9}),
    "wgan_gp_fashion_mnist": ({}, {"classes_covered": 10}),
}

TrainedOnce = Callable[[str], "Trained"]

# What published weights must reach, and the parameters that the notes' networks have.
MUST_REACH = {
    "backprop_iris": ("accuracy", 0.95, None),
    "backprop_sine": ("mae", 0.00030, 251),
    "cnn_digits": ("accuracy", 0.985, None),
    "cnn_fashion_mnist": ("accuracy", 0.935, 421_642),
    "cnn_shapes": ("accuracy", 0.85, None),
    "cnn_shapes_augmented": ("accuracy", 0.95, None),
    "conditional_dcgan_fashion_mnist": ("cnn_fid", 8.0, None),
    "dcgan_digits": ("cnn_fid", 7.0, None),
    "dcgan_fashion_mnist": ("cnn_fid", 8.4, None),
    "dense_fashion_mnist": ("accuracy", 0.900, 101_770),
    "dense_iris": ("accuracy", 0.95, None),
    "efficientnet_lite0_things": ("accuracy", 0.80, None),
    "mobilenetv2_things": ("accuracy", 0.80, None),
    "mobilenetv2_things_finetuned": ("accuracy", 0.80, None),
    "wgan_gp_fashion_mnist": ("cnn_fid", 15.0, None),
    "linear_celsius": ("mse", 0.06305, 2),
    "linear_celsius_notes": ("mse", 13.0, 2),
    "linear_batch": ("mse", 0.22, 2),
    "linear_stochastic": ("mse", 0.22, 2),
    "linear_minibatch": ("mse", 0.22, 2),
    "linear_synthetic": ("mae", 5.00, 31),
    "dense_synthetic": ("mae", 4.95, None),
    "rnn_synthetic": ("mae", 4.80, None),
    "rnn_sequence_synthetic": ("mae", 4.80, None),
    "stateful_rnn_synthetic": ("mae", 4.90, None),
    "lstm_synthetic": ("mae", 4.60, None),
    "gru_synthetic": ("mae", 4.60, None),
    "stateful_lstm_synthetic": ("mae", 4.80, None),
    "conv_lstm_synthetic": ("mae", 4.60, None),
    "causal_conv_synthetic": ("mae", 4.50, 10_529),
    "wavenet_synthetic": ("mae", 4.40, None),
    "lstm_co2": ("mase_52", 1.0, None),
    "causal_conv_co2": ("mase_52", 1.0, None),
    "lstm_sunspots": ("mase", 1.0, None),
    "bigram_shakespeare": ("perplexity", 146.2782, None),
    "trigram_shakespeare": ("perplexity", 127.2249, None),
    "ngram5_shakespeare": ("perplexity", 125.2, None),
    "char_ngram8_shakespeare": ("bits_per_char", 1.963, None),
    "char_rnn_shakespeare": ("bits_per_char", 1.72, None),
    "char_transformer_shakespeare": ("bits_per_char", 1.85, None),
    "char_transformer_shakespeare_quick": ("bits_per_char", 1.95, None),
    "word_lstm_shakespeare": ("perplexity_without_oov", 115.8, None),
    "sentiment_average_reviews": ("accuracy", 0.82, None),
    "sentiment_bigru_reviews": ("accuracy", 0.81, None),
    "sentiment_bilstm_reviews": ("accuracy", 0.81, None),
    "sentiment_conv_reviews": ("accuracy", 0.78, None),
    "sentiment_flatten_reviews": ("accuracy", 0.80, None),
    "kmeans_iris": ("adjusted_rand", 0.73, None),
    "pca_iris": ("explained_variance", 0.9776, None),
}

every_recipe = pytest.mark.parametrize("name", RECIPES)


def slow_but(quick: Collection[str], names: Iterable[str]) -> pytest.MarkDecorator:
    """Parametrises with names, of which all but some are slow."""
    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in names]
    )


class PullThePlug(Callback):
    """Keeps what there is of a run in the middle of its last epoch, as if the computer had gone out."""

    def __init__(self, run: Path, left: Path) -> None:
        self.run, self.left = run, left

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if trainer.current_epoch == EPOCHS - 1 and batch_idx == 1:
            shutil.copytree(self.run, self.left)


class StopInside(Callback):
    """Stops inside the last epoch, as ``max_time`` does."""

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        inside = not trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        trainer.should_stop |= inside and trainer.current_epoch == EPOCHS - 1


class WatchGradients(Callback):
    """Keeps the first gradient of every parameter."""

    def __init__(self) -> None:
        self.gradients: dict[str, Tensor] = {}

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        for key, parameter in pl_module.named_parameters():
            if parameter.grad is not None and key not in self.gradients:
                self.gradients[key] = parameter.grad.clone()


class Trained(NamedTuple):
    """A tiny uninterrupted training.

    Attributes:
        cli: What was trained.
        run: What it left, moved aside.
        written: Names of what it wrote, into an empty folder.
        interrupted: What it would have left if it had ended in the middle of the last epoch; belongs in ``place``.
        place: Where the run was.
        gradients: The first of every parameter.
    """

    cli: ZooCLI
    run: Path
    written: list[str]
    interrupted: Path
    place: Path
    gradients: dict[str, Tensor]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Trained]:
    """Trains a recipe when it is first asked for."""

    @cache
    def train(name: str) -> Trained:
        place = tmp_path_factory.mktemp(name) / "run"
        aside = tmp_path_factory.mktemp(name)
        watch = WatchGradients()
        cli = tiny_cli(name, place, callbacks=[watch, PullThePlug(place, aside / "interrupted")], figures=True)
        _write_last_checkpoint_every_epoch(cli)
        cli.run()
        written = [path.name for path in place.parent.iterdir()]
        place.rename(aside / "whole")
        return Trained(cli, aside / "whole", written, aside / "interrupted", place, watch.gradients)

    return train


@every_recipe
def test_recipe_explains_itself(name: str) -> None:
    recipe = registry.recipe(name)
    assert recipe.summary.endswith("."), "the first line of a recipe is a comment that says what it is"
    assert recipe.config["seed_everything"] is not None


@every_recipe
def test_every_parameter_gets_a_finite_gradient(name: str, trained: TrainedOnce) -> None:
    model, gradients = trained(name).cli.model, trained(name).gradients
    assert gradients.keys() == {key for key, parameter in model.named_parameters() if parameter.requires_grad}
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
    assert all(gradient.abs().sum() > 0 for gradient in gradients.values())


@every_recipe
def test_checkpoint_holds_only_data(name: str, trained: TrainedOnce) -> None:
    folder = trained(name).run
    for kind in ("best", "last"):
        checkpoint = torch.load(folder / "checkpoints" / f"{kind}.ckpt", weights_only=True)
        assert checkpoint["class_path"] == registry.recipe(name).config["model"]["class_path"]


@every_recipe
def test_run_leaves_one_tidy_folder(name: str, trained: TrainedOnce) -> None:
    folder = trained(name).run
    left = {path.name for path in folder.iterdir() if not path.name.startswith(("events.out", ".lock"))}
    assert left == {"config.yaml", "metrics.csv", "results.json", "hparams.yaml", "checkpoints", "figures"}
    assert (folder / "figures" / "learning_curves.png").stat().st_size > 5_000
    assert trained(name).written == ["run"]


@every_recipe
def test_run_remembers_what_it_learnt_from(name: str, trained: TrainedOnce) -> None:
    remembered = registry.read_results(trained(name).run)["data"]
    assert remembered == trained(name).cli.datamodule.checksums()
    assert set(remembered) == {"train", "val", "test"}


@every_recipe
def test_safetensors_round_trip_is_exact(name: str, trained: TrainedOnce, tmp_path: Path) -> None:
    cli = trained(name).cli
    golden = cli.model.golden(cli.datamodule)
    weights.save(cli.model, tmp_path / name, {"recipe": name}, golden)
    loaded = zoo.load(tmp_path / name)
    before, after = cli.model.state_dict(), loaded.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert torch.equal(loaded.answer(golden), weights.load_golden(tmp_path / name)["answer"])


class KeepOutputs(Callback):
    """Keeps what the steps of an evaluation gave back."""

    def __init__(self) -> None:
        self.outputs: list[dict[str, Tensor]] = []

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *batch: Any, **place: Any
    ) -> None:
        self.outputs.append(outputs)


# What a step of the test gives back and a prediction is, too.
PREDICTED = ("forecasts", "log_probs", "outputs", "coordinates", "clusters")


@every_recipe
def test_trainer_predicts_the_test_split_in_its_order(name: str, trained: TrainedOnce) -> None:
    cli, keep = trained(name).cli, KeepOutputs()
    trainer = Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, limit_test_batches=3, limit_predict_batches=3, callbacks=[keep],
    )  # fmt: skip
    trainer.test(cli.model, datamodule=cli.datamodule, verbose=False)
    predictions = trainer.predict(cli.model, datamodule=cli.datamodule)
    assert predictions
    found = torch.cat(cast("list[Tensor]", predictions))
    kept = {key: torch.cat([one[key] for one in keep.outputs]) for key in keep.outputs[0]}
    if "logits" in kept:
        assert torch.equal(found.argmax(1), cli.model.labels(kept["logits"]))
        torch.testing.assert_close(found.sum(1), torch.ones(len(found)))
    elif (key := next((key for key in PREDICTED if key in kept), None)) is not None:
        torch.testing.assert_close(found, kept[key].to(found.dtype))
    else:
        rows = sum(len(batch[0]) for batch, _ in zip(cli.datamodule.test_dataloader(), range(3), strict=False))
        assert (found.dtype, len(found)) == (torch.uint8, rows)
        again = trainer.predict(cli.model, datamodule=cli.datamodule)
        assert torch.equal(found, torch.cat(cast("list[Tensor]", again)))


@pytest.mark.parametrize(
    "copied", [lambda model: pickle.loads(pickle.dumps(model)), copy.deepcopy], ids=["pickle", "copy"]
)
@every_recipe
def test_copy_is_the_same_model(name: str, copied: Callable[[Any], Any], trained: TrainedOnce) -> None:
    model = trained(name).cli.model.eval()
    golden = model.golden(trained(name).cli.datamodule)
    other = copied(model)
    assert type(other) is type(model)
    assert other.hparams == model.hparams
    assert _equal(dict(other.state_dict()), dict(model.state_dict()))
    assert torch.equal(other.answer(golden), model.answer(golden))
    storage = {tensor.data_ptr() for tensor in model.state_dict().values() if tensor.numel()}
    assert storage.isdisjoint(tensor.data_ptr() for tensor in other.state_dict().values())


@pytest.mark.parametrize("how", ["killed", pytest.param("killed, then stopped", marks=pytest.mark.slow)])
@every_recipe
def test_ended_run_resumes_bit_identically(name: str, how: str, trained: TrainedOnce) -> None:
    whole, folder = trained(name).run, trained(name).place
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(trained(name).interrupted, folder)
    last = _last(folder)
    assert weights.read_checkpoint(last)["epoch"] == EPOCHS - 2
    stops = [StopInside()] if "stopped" in how else []
    resumed = tiny_cli(name, folder, "fit", "--ckpt_path", str(last), callbacks=stops)
    resumed.run()
    if weights.read_checkpoint(last)["global_step"] < weights.read_checkpoint(_last(whole))["global_step"]:
        resumed = tiny_cli(name, folder, "fit", "--ckpt_path", str(last))
        resumed.run()
    assert resumed.trainer.current_epoch == EPOCHS
    for kind in ("best", "last"):
        theirs, ours = (weights.read_checkpoint(run / "checkpoints" / f"{kind}.ckpt") for run in (whole, folder))
        assert theirs["global_step"] == ours["global_step"]
        assert _equal(theirs["state_dict"], ours["state_dict"]), f"{kind}: weights differ"
        assert _equal(theirs["optimizer_states"], ours["optimizer_states"]), f"{kind}: optimizer states differ"
    assert (folder / "metrics.csv").read_text() == (whole / "metrics.csv").read_text()


def _last(run: Path) -> Path:
    return run / "checkpoints" / "last.ckpt"


def _write_last_checkpoint_every_epoch(cli: ZooCLI) -> None:
    for callback in cli.trainer.checkpoint_callbacks:
        if isinstance(callback, LastCheckpoint):
            callback.seconds = 0.0


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(_equal(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Trains the recipes that are tested with two processes, which are started once for all of them."""
    out = tmp_path_factory.mktemp("two_processes")
    tests = [item for item in request.session.items if "two_processes" in getattr(item, "fixturenames", ())]
    names = [str(test.callspec.params["name"]) for test in tests if isinstance(test, pytest.Function)]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--master_port=0"]
    command += ["--rdzv_backend=c10d", "--rdzv_endpoint=localhost:0", str(Path(__file__).with_name("two_processes.py"))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    done = subprocess.run([*command, str(out), *names], env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@slow_but(ONE_A_WING, one_a_kind(*ONE_A_WING))
def test_two_processes_train_it(name: str, two_processes: Path, tmp_path: Path) -> None:
    first, second = (json.loads((two_processes / f"{name}.{rank}.json").read_text()) for rank in (0, 1))
    if name in REFUSES_TWO_PROCESSES:
        assert REFUSES_TWO_PROCESSES[name] in first["refused"]
        return
    assert "failed" not in first, first["failed"]
    assert first["steps"] > 0
    assert first["digest"] == second["digest"]
    last = two_processes / name / "run" / "checkpoints" / "last.ckpt"
    alone = tiny_cli(name, tmp_path / "alone", "validate", "--ckpt_path", str(last), *EVALUATE_ALL)
    metrics = {f"val_{key}": value for key, value in alone.run()["validate"].items()}
    assert first["metrics"] == pytest.approx(metrics, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", [*PUBLISHED, *IMPORTED])
def test_published_weights_reproduce_the_golden_tensors(name: str) -> None:
    golden = weights.load_golden(registry.entry(name).folder)
    answer = zoo.load(name).answer(golden)
    torch.testing.assert_close(answer, golden["answer"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", PUBLISHED)
def test_card_is_complete(name: str) -> None:
    card = zoo.card(name)
    assert card["metric"] in card["metrics"]
    assert card["data"]["source"]["licence"]
    assert card["seed"] is not None
    assert card["training"]["seconds"] > 0
    assert card["bytes"] == (registry.recipe(name).folder / "model.safetensors").stat().st_size
    assert card["parameters"] == sum(parameter.numel() for parameter in zoo.load(name).parameters())
    assert card["model"]["class_path"] == registry.recipe(name).config["model"]["class_path"]
    recipe_arguments = registry.recipe(name).config["model"]["init_args"]
    assert {key: card["model"]["init_args"][key] for key in recipe_arguments} == recipe_arguments, (
        "card is not of this recipe"
    )


@pytest.mark.parametrize("name", IMPORTED)
def test_card_of_imported_weights_is_complete(name: str) -> None:
    card = zoo.card(name)
    assert card["metric"] in card["metrics"]
    assert card["summary"]
    assert card["licence"]
    assert card["data"]["source"]["url"]
    assert card["bytes"] == (registry.entry(name).folder / "model.safetensors").stat().st_size


@pytest.mark.parametrize("name", MUST_REACH)
def test_card_reaches_what_was_promised(name: str) -> None:
    metric, bound, parameters = MUST_REACH[name]
    card = zoo.card(name)
    measured = card["metrics"][metric]
    assert measured <= bound if metric.startswith(("ma", "ms", "perplexity", "bits", "cnn_fid")) else measured >= bound
    assert parameters in (None, card["parameters"])


@pytest.mark.parametrize("name", GANS_REACH)
def test_gan_reaches_all_that_was_promised(name: str) -> None:
    most, least = GANS_REACH[name]
    found = zoo.card(name)["metrics"]
    assert found["samples"] == 10_000
    assert {figure: found[figure] for figure, bound in most.items() if found[figure] > bound} == {}
    assert {figure: found[figure] for figure, bound in least.items() if found[figure] < bound} == {}


@pytest.mark.parametrize("name", ["cnn_shapes", "cnn_things"])
def test_augmentation_beats_none_with_every_seed(name: str) -> None:
    plain, augmented = (zoo.card(card)["seeds"].values() for card in (name, f"{name}_augmented"))
    assert min(len(plain), len(augmented)) >= 3
    assert min(augmented) > max(plain) + 0.05


def test_transfer_beats_training_from_scratch() -> None:
    transferred = zoo.card("mobilenetv2_things")["metrics"]
    scratch = [zoo.card(name)["metrics"]["accuracy"] for name in ("cnn_things", "cnn_things_augmented")]
    assert transferred["balanced_accuracy"] >= 0.70
    assert transferred["accuracy"] >= max(scratch) + 0.15


@slow_but(ONE_A_WING, PUBLISHED)
def test_published_metrics_can_be_measured_again(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.commands.train import test
    from zoo.registry import read_results

    monkeypatch.chdir(tmp_path)
    root = public_data(name)
    if root is not None and root.name == "things8" and not root.is_dir():
        pytest.skip("needs data/things8; scripts/things.py --download builds it")
    flags = [f"--data.init_args.root={root}"] if root else []
    assert test([name, "--quiet", "--figures=false", *flags]) == 0
    (run,) = (tmp_path / "runs" / name).iterdir()
    assert read_results(run)["test"] == pytest.approx(zoo.card(name)["metrics"], rel=1e-3, abs=2e-4)
