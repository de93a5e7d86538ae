"""Models that begin with what fits of any other weights: what is taken, frozen, refused, recorded and resumed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from conftest import ROOT, Zoo
from lightning import LightningModule, Trainer
from safetensors.torch import save_file
from tiny import tiny_cli
from torch import Tensor

import zoo
from datamodules.text.tokenizer import Tokenizer
from zoo import ZooError, names, registry, weights
from zoo.base.optimization import Scheduled
from zoo.start import begin
from zoo.tabular import Backprop
from zoo.text import RNNLM, SentimentClassifier
from zoo.vision import CNN

DIGITS = ("cnn_digits", "--quiet", "--figures=false", "--trainer.max_epochs=3")


def _by_class(learning: bool) -> list[str]:
    """A published recipe of every class of models that learn by gradients, or of all others."""
    found: dict[type, str] = {}
    for name in registry.list_recipes():
        kind = names.find(registry.recipe(name).config["model"]["class_path"])
        if issubclass(kind, Scheduled) == learning and registry.recipe(name).card:
            found.setdefault(kind, name)
    return sorted(found.values())


LEARNING, OTHERS = _by_class(True), _by_class(False)
QUICK = ("backprop_iris", "char_rnn_shakespeare", "cnn_digits", "dcgan_digits", "conv_lstm_synthetic")
every_kind = pytest.mark.parametrize(
    "name", [pytest.param(one, marks=() if one in QUICK else pytest.mark.slow) for one in LEARNING]
)


def copied(model: LightningModule) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


# What is taken -------------------------------------------------------------------------------------------------------


@every_kind
def test_model_begins_with_all_of_its_own_weights(name: str) -> None:
    model, published = zoo.create(name), zoo.load(name)
    start = begin(model, name)
    assert (start.fresh, start.left) == ([], [])
    assert start.sha256 == registry.card(name)["sha256"]
    for key, value in published.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key


@pytest.mark.parametrize("name", OTHERS)
def test_models_without_gradients_refuse(name: str, zoo_command: Zoo) -> None:
    code, _, error = zoo_command("fit", name, "--init_from", name)
    assert (code, error.count("\n")) == (2, 1)
    assert "learns without gradients, so it can begin with no weights" in error
    assert not Path("runs").exists()


def test_classes_are_matched_by_name() -> None:
    sizes: dict[str, Any] = {"image_size": 8, "channels": [2], "hidden_size": 3, "mean": [0.2]}
    donor = CNN(num_classes=3, classes=["cat", "dog", "owl"], **sizes)
    model = CNN(num_classes=4, classes=["owl", "fox", "cat", "elk"], **{**sizes, "mean": [0.7]})
    before = copied(model)
    start = begin(model, kept(donor))
    head = max(int(key.split(".")[1]) for key in before if key.startswith("network."))
    for part in ("weight", "bias"):
        new, old, fresh = (
            state[f"network.{head}.{part}"] for state in (model.state_dict(), donor.state_dict(), before)
        )
        assert torch.equal(new, torch.stack([old[2], fresh[1], old[0], fresh[3]]))
    first = "network.0.weight"
    assert torch.equal(model.state_dict()[first], donor.state_dict()[first])
    assert model.mean.item() == pytest.approx(0.7), "a fact of the new data"
    assert f"2 of 4 classes of network.{head}" in start.taken
    assert start.left == ["1 classes"]


def test_one_logit_tells_two_classes_apart_in_their_order() -> None:
    sizes: dict[str, Any] = {"image_size": 8, "channels": [2], "hidden_size": 3, "num_classes": 2}
    donor = kept(CNN(classes=["bad", "good"], **sizes))
    assert begin(CNN(classes=["bad", "good"], **sizes), donor).fresh == []
    assert begin(CNN(classes=["good", "bad"], **sizes), donor).fresh == ["network.8"]


@pytest.mark.parametrize("tied", [False, True])
def test_tokens_are_matched_by_name(tied: bool) -> None:
    tokenizers = [Tokenizer.fit_characters([text]) for text in ("abcdefg", "xgfa")]
    donor, model = (
        RNNLM(vocab_size=one.vocab_size, tokenizer=one.json, embedding_size=4, hidden_size=4, num_layers=1, tied=tied)
        for one in tokenizers
    )
    torch.nn.init.normal_(donor.network.head.bias)
    before = copied(model)
    start = begin(model, kept(donor))
    old, new = (one.vocabulary for one in tokenizers)
    for key in ("network.embedding.weight", "network.head.bias"):
        for place, token in enumerate(new):
            expected = donor.state_dict()[key][old.index(token)] if token in old else before[key][place]
            assert torch.equal(model.state_dict()[key][place], expected), token
    assert model.tokenizer.vocabulary == new
    assert "4 of 5 tokens of network.embedding and network.head" in start.taken
    assert "4 tokens" in start.left


def test_sentiment_takes_tokens_and_classes() -> None:
    texts = (["a fine film", "a dull play"], ["a dull book", "fine"])
    tokenizers = [Tokenizer.fit_words(one, special=("<pad>", "<unk>")).padded_to(5) for one in texts]
    donor, model = (
        SentimentClassifier(
            num_classes=3, classes=classes, vocab_size=one.vocab_size, tokenizer=one.json, length=5, embedding_size=3
        )
        for one, classes in zip(tokenizers, (["bad", "fair", "good"], ["good", "bad", "odd"]), strict=True)
    )
    begin(model, kept(donor))
    assert torch.equal(model.network.head.weight[:2], donor.network.head.weight[[2, 0]])
    vectors = [
        dict(zip(one.vocabulary, net.embedding.weight, strict=True))
        for one, net in zip(tokenizers, (donor, model), strict=True)
    ]
    assert all(torch.equal(vectors[1][token], vectors[0][token]) for token in ("dull", "fine", "<pad>"))


def test_forecaster_keeps_the_steps_ahead_that_both_know() -> None:
    model, donor = zoo.create("lstm_co2", horizon=14), zoo.load("lstm_co2")
    start = begin(model, "lstm_co2")
    assert torch.equal(model.network.head.weight, donor.network.head.weight[:14])
    assert start.left == ["38 steps"]


def test_classes_of_a_conditional_gan() -> None:
    donor: Any = zoo.load("conditional_dcgan_fashion_mnist")
    model: Any = zoo.create("conditional_dcgan_fashion_mnist", num_classes=2, classes=["hat", "Bag"])
    begin(model, "conditional_dcgan_fashion_mnist")
    for network in ("generator", "average"):
        new, old = (getattr(one, network).dense.weight for one in (model, donor))
        assert torch.equal(new[:, : donor.latent_size], old[:, : donor.latent_size])
        assert torch.equal(new[:, -1], old[:, donor.latent_size + donor.classes.index("Bag")])
    assert torch.equal(
        model.discriminator.classes.weight[1], donor.discriminator.classes.weight[donor.classes.index("Bag")]
    )


def test_bias_without_its_kernel_is_left() -> None:
    model: Any = zoo.create("cnn_digits")
    before = model.network[8].bias.clone()
    assert "network.8" in begin(model, "cnn_fashion_mnist").fresh
    assert torch.equal(model.network[8].bias, before)


def test_backprop_without_classes_takes_its_last_layer_as_it_is() -> None:
    donor = Backprop(architecture=[1, 3, 1])
    assert begin(Backprop(architecture=[1, 3, 1]), kept(donor)).fresh == []


def test_bare_tensors_give_no_rows_whose_names_nobody_knows(tmp_path: Path) -> None:
    donor: Any = zoo.load("cnn_digits")
    save_file(donor.state_dict(), tmp_path / "bare.safetensors")
    model: Any = zoo.create("cnn_digits")
    start = begin(model, tmp_path / "bare.safetensors")
    assert (start.holds, start.fresh) == (None, ["network.11"])
    assert torch.equal(model.network[8].weight, donor.network[8].weight)


def test_create_begins_with_weights_and_draws_what_it_would_have_drawn() -> None:
    torch.manual_seed(0)
    plain: Any = zoo.create("cnn_digits")
    after, clothes = torch.rand(1), copied(zoo.load("cnn_fashion_mnist"))
    torch.manual_seed(0)
    begun: Any = zoo.create("cnn_digits", init_from="cnn_fashion_mnist")
    assert torch.equal(torch.rand(1), after)
    assert torch.equal(begun.network[11].weight, plain.network[11].weight)
    assert torch.equal(begun.network[3].weight, clothes["network.3.weight"])


def kept(model: LightningModule) -> Path:
    """A checkpoint of a model, in the current folder, as Lightning writes it."""
    path = Path(f"{id(model)}.ckpt").resolve()
    checkpoint: dict[str, Any] = {"state_dict": model.state_dict(), "hyper_parameters": dict(model.hparams)}
    checkpoint["class_path"] = names.path_of(type(model))
    torch.save(checkpoint, path)
    return path


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# What is frozen, and rates --------------------------------------------------------------------------------------------


@every_kind
def test_frozen_parameters_stay(name: str, tmp_path: Path) -> None:
    model = zoo.create(name)
    # What a backbone holds is frozen anyway.
    first = next(key for key, one in model.named_parameters() if one.requires_grad)
    cli = tiny_cli(name, tmp_path, "fit", "--freeze", first)
    before = copied(cli.model)
    cli.run()
    assert torch.equal(cli.model.state_dict()[first], before[first])
    others = [key for key, one in cli.model.named_parameters() if one.requires_grad]
    assert any(not torch.equal(cli.model.state_dict()[key], before[key]) for key in others)


AVERAGED = '--trainer.callbacks+={"class_path": "lightning.pytorch.callbacks.EMAWeightAveraging"}'


@pytest.mark.parametrize(
    "flags",
    [["--model.schedule=one_cycle"], ["--model.optimizer=muon"], ["--model.optimizer=sgd", AVERAGED]],
    ids=["one_cycle", "muon", "averaging"],
)
def test_frozen_parameters_stay_however_the_others_move(flags: list[str], tmp_path: Path) -> None:
    more = ["--freeze", "[network.0, '*.bias']", "--model.weight_decay=0.5", *flags]
    cli = tiny_cli("cnn_digits", tmp_path, "fit", *more)
    before = copied(cli.model)
    cli.run()
    for key, value in cli.model.state_dict().items():
        is_frozen = key.startswith("network.0.") or key.endswith(".bias") or not key.startswith("network.")
        assert torch.equal(value, before[key]) == is_frozen, key


@pytest.mark.parametrize("ends", ["network.embedding,network.head", "network.recurrent,network.head.bias"])
def test_muon_trains_what_is_left_of_either_kind(ends: str, tmp_path: Path) -> None:
    cli = tiny_cli("word_lstm_shakespeare", tmp_path, "fit", "--model.optimizer=muon", "--freeze", ends)
    before = copied(cli.model)
    cli.run()
    moved = {key for key, value in cli.model.state_dict().items() if not torch.equal(value, before[key])}
    assert moved
    assert not any(key.startswith(tuple(ends.split(","))) for key in moved)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "warmup_cosine", "one_cycle", "plateau"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "muon"])
def test_rates_by_pattern_keep_their_factor(optimizer: str, schedule: str, tmp_path: Path) -> None:
    flags = [
        f"--model.schedule={schedule}",
        f"--model.optimizer={optimizer}",
        "--lr_of=network.*=2,network.3.weight=10",
    ]
    cli = tiny_cli("cnn_digits", tmp_path, "fit", *flags, max_epochs=1)
    cli.run()
    rates: dict[str, float] = {}
    for group in cli.trainer.optimizers[0].param_groups:
        for one in group["params"]:
            rates |= {name: group["lr"] for name, other in cli.model.named_parameters() if other is one}
    assert rates["network.3.weight"] == pytest.approx(5 * rates["network.0.weight"])
    if schedule == "constant":
        assert rates["network.0.weight"] == pytest.approx(2 * cli.model.lr)


def test_thawing_backbone_leaves_what_is_frozen_by_name(tmp_path: Path) -> None:
    tuned = [key for key, one in zoo.create("mobilenetv2_things_finetuned").named_parameters() if "conv_head" in key]
    cli = tiny_cli("mobilenetv2_finetuned_folder", tmp_path, "fit", "--model.unfreeze_epoch=0", "--freeze", tuned[0])
    before = copied(cli.model)
    cli.run()
    moved = {
        key for key, _ in cli.model.named_parameters() if not torch.equal(cli.model.state_dict()[key], before[key])
    }
    assert tuned[0] not in moved
    assert any(key.startswith("network.backbone.") for key in moved)


# Runs -----------------------------------------------------------------------------------------------------------------


def run_of(command: tuple[int, str, str], folder: str) -> Path:
    assert command[0] == 0, command[2]
    (run,) = Path.cwd().glob("runs/*/*")
    return run.rename(Path.cwd() / folder)


def test_run_records_what_it_began_with_and_finishes_as_if_never_stopped(zoo_command: Zoo) -> None:
    origin = run_of(zoo_command("fit", *DIGITS), "origin")
    begun = ("--init_from", origin, "--freeze=network.0.*", "--lr_of=network.11.*=3", "--model.schedule=constant")
    whole = run_of(zoo_command("fit", *DIGITS, *begun), "whole")
    config = yaml.safe_load((whole / "config.yaml").read_text())
    assert (config["init_from"], config["model"]["init_args"]["freeze"]) == (str(origin), "network.0.*")
    start = json.loads((whole / "results.json").read_text())["init_from"]
    assert (start["name"], start["holds"], start["fresh"]) == (str(origin), "CNN", [])

    stopped = run_of(zoo_command("fit", *DIGITS, *begun, "--trainer.max_steps=27"), "stopped")
    shutil.rmtree(origin)
    assert zoo_command("fit", stopped, "--trainer.max_steps=-1", "--quiet")[0] == 0
    for name in ("best.ckpt", "last.ckpt"):
        ours, theirs = (weights.read_checkpoint(run / "checkpoints" / name) for run in (whole, stopped))
        assert all(torch.equal(value, theirs["state_dict"][key]) for key, value in ours["state_dict"].items())
    assert json.loads((stopped / "results.json").read_text())["init_from"] == start

    assert zoo_command("publish", whole, "--to", "published")[0] == 0
    card = registry.read_card(Path("published/cnn_digits"))
    assert card["init_from"] == start
    assert card["model"]["init_args"]["freeze"] == "network.0.*"
    assert zoo.load("published/cnn_digits").num_classes == 10


def test_line_says_what_was_taken(zoo_command: Zoo) -> None:
    told = zoo_command("fit", "cnn_digits", "--init_from=cnn_fashion_mnist", "--trainer.fast_dev_run=true")
    assert told[0] == 0, told[2]
    assert (
        "begins with cnn_fashion_mnist (CNN): took network.0, network.3; fresh network.8, network.11; "
        "left network.8, network.11\n" in told[1]
    )


def test_checkpoint_brings_what_it_was_frozen_with(zoo_command: Zoo) -> None:
    run = run_of(zoo_command("fit", *DIGITS, "--freeze=network.0", "--model.schedule=constant"), "run")
    last = run / "checkpoints" / "last.ckpt"
    moved = shutil.copy(last, "mine.ckpt")
    more = ("cnn_digits", "--quiet", "--figures=false", "--model.schedule=constant", "--trainer.max_epochs=4")
    assert zoo_command("fit", *more, "--ckpt_path", moved)[0] == 0
    shutil.rmtree("runs")
    refused(zoo_command("fit", *more, "--ckpt_path", moved, "--freeze=network.3"), "was trained with 'network.0'")


@pytest.mark.slow
def test_processes_agree_on_what_is_left_to_train(tmp_path: Path) -> None:
    flags = ["--init_from=cnn_fashion_mnist", "--freeze=network.0,network.11.bias", "--trainer.devices=2"]
    command = [sys.executable, "-m", "zoo.cli", "fit", *DIGITS, *flags, "--trainer.strategy=ddp"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (run,) = tmp_path.glob("runs/*/*")
    network, donor = zoo.load(run).state_dict(), zoo.load("cnn_fashion_mnist").state_dict()
    assert torch.equal(network["network.0.weight"], donor["network.0.weight"])
    assert not torch.equal(network["network.3.weight"], donor["network.3.weight"])


def test_run_folder_passes_the_door_of_trust(zoo_command: Zoo) -> None:
    origin = run_of(zoo_command("fit", *DIGITS), "origin")
    config = yaml.safe_load((origin / "config.yaml").read_text())
    config["trainer"]["callbacks"] = [{"class_path": "evil.Cb", "init_args": {}}]
    (origin / "config.yaml").write_text(yaml.safe_dump(config))
    refused(zoo_command("fit", *DIGITS, "--init_from", origin), "names 'evil.Cb', which may run any code; add --trust")
    assert zoo_command("fit", *DIGITS, "--init_from", origin, "--trust")[0] == 0


# What is refused ------------------------------------------------------------------------------------------------------


def refused(command: tuple[int, str, str], told: str) -> None:
    code, _, error = command
    assert (code, error.count("\n")) == (2, 1), error
    assert told in error
    assert not list(Path.cwd().glob("runs/*/*"))


class Bomb:
    """What would run code if it were unpickled."""

    def __reduce__(self) -> Any:
        return print, ("bang",)


def hostile(kind: str) -> Path:
    path = Path(f"{kind}.ckpt" if kind != "bare" else "bare.safetensors").resolve()
    model = zoo.load("cnn_digits")
    content: dict[str, Any] = {
        "state_dict": model.state_dict(), "hyper_parameters": dict(model.hparams), "class_path": "zoo.vision.CNN"
    }  # fmt: skip
    if kind == "text":
        path.write_text("no weights")
    elif kind == "bomb":
        torch.save({**content, "bomb": Bomb()}, path)
    elif kind == "class":
        torch.save({**content, "class_path": "os.system"}, path)
    elif kind == "nan":
        content["state_dict"]["network.3.bias"][0] = float("nan")
        torch.save(content, path)
    elif kind == "keys":
        torch.save({**content, "state_dict": {3: 4}}, path)
    elif kind == "foreign":
        torch.save({"state_dict": {"layer.weight": torch.ones(3), "layer.steps": 7}}, path)
    else:
        whole = registry.published_file(registry.entry("cnn_digits").folder, "model.safetensors").read_bytes()
        if kind == "truncated":
            torch.save(content, path)
            whole = path.read_bytes()
        path.write_bytes(whole[:-20])
    return path


HOSTILE = {
    "text": "is damaged or no checkpoint",
    "truncated": "is damaged or no checkpoint",
    "bare": "bare.safetensors is damaged",
    "bomb": "was refused: loading it would execute code",
    "class": "refused to build 'os.system'",
    "nan": "its network.3.bias holds values that are NaN or infinite; nothing was taken",
    "keys": "is no Lightning checkpoint",
    "foreign": "fits CNN: it holds layer.weight (3,); expected network.0.weight (32, 1, 3, 3)",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_odd_files_are_told(kind: str, zoo_command: Zoo) -> None:
    refused(zoo_command("fit", *DIGITS, "--init_from", hostile(kind)), HOSTILE[kind])


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--init_from=lstm_synthetic"], "holds a Recurrent of series, which CNN of vision cannot begin with"),
        (["--init_from=cnn_digitz"], "no recipe 'cnn_digitz'; did you mean 'cnn_digits'?"),
        (["--init_from=lstm_csv"], "nothing is published of 'lstm_csv'"),
        (["--init_from=mine/best.ckpt"], "no model at mine/best.ckpt"),
        (["--init_from=."], "no model at ."),
        (["--init_from=mobilenetv2_imagenet"], "nothing in mobilenetv2_imagenet fits CNN: it holds network.conv_stem"),
        (["--freeze=network.features.*"], "'network.features.*' fits no parameter of CNN; there are network.0"),
        (["--freeze=network"], "freeze network leaves CNN nothing to train"),
        (["--lr_of=network.features=3"], "lr_of 'network.features' fits no parameter of CNN"),
        (["--lr_of=network.0"], "lr_of is 'network.0', expected a pattern and a factor above 0"),
        (["--lr_of=network.0=nan"], "expected a pattern and a factor above 0"),
        (["--lr_of=network.0=-1"], "expected a pattern and a factor above 0"),
    ],
)  # fmt: skip
def test_wrong_flags_are_told(flags: list[str], told: str, zoo_command: Zoo) -> None:
    refused(zoo_command("fit", *DIGITS, *flags), told)


def test_nothing_fits_tells_sizes_that_differ() -> None:
    with pytest.raises(ZooError, match=r"they differ in hidden_size 32 \(here 64\), num_layers 2 \(here 1\)"):
        zoo.create("lstm_csv", init_from="lstm_synthetic")


def test_training_that_goes_on_does_not_begin(zoo_command: Zoo) -> None:
    run = ROOT / "tests" / "former" / "tabular" / "run"
    last = run / "checkpoints" / "last.ckpt"
    told = zoo_command("fit", "backprop_iris", "--ckpt_path", last, "--init_from=backprop_iris")
    refused(told, "--init_from begins a training, and")
    refused(zoo_command("fit", run, "--init_from=backprop_iris"), "--init_from begins a training, and")
    for flag in ("--init_from=backprop_iris", "--freeze=network", "--lr_of=network=2"):
        refused(zoo_command("test", run, flag), "is for zoo fit, which trains; 'zoo test' measures what is trained")


@pytest.mark.parametrize("flag", ["--freeze=network", "--lr_of=network=2"])
def test_models_without_gradients_have_nothing_to_freeze(flag: str, zoo_command: Zoo) -> None:
    refused(zoo_command("fit", "pca_iris", flag), "PCA learns without gradients, so --")


def test_own_trainer_freezes_too(tmp_path: Path) -> None:
    from datamodules import Iris

    data = Iris()
    model: Any = zoo.create("dense_iris", freeze=["network.2.*"], lr_of="network.5=3")
    before = copied(model)
    settings: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    Trainer(max_epochs=1, accelerator="cpu", default_root_dir=tmp_path, **settings).fit(model, datamodule=data)
    assert torch.equal(model.network[2].weight, before["network.2.weight"])
    assert not torch.equal(model.network[5].weight, before["network.5.weight"])


# A vocabulary that comes along by request -----------------------------------------------------------------------------


def test_tokenizer_of_the_weights_comes_along_by_request(zoo_command: Zoo) -> None:
    Path("book.txt").write_text("once upon a time there were bears\n" * 300)
    assert zoo_command("export", "char_rnn_shakespeare", "--to", "tokenizer", "tokens.json")[0] == 0
    text = ("char_rnn_text", "--data.path=book.txt", "--data.tokenizer_file=tokens.json", "--model.hidden_size=384")
    more = ("--init_from=char_rnn_shakespeare", "--trainer.fast_dev_run=true")
    code, shown, error = zoo_command("fit", *text, *more)
    assert code == 0, error
    assert "took network.recurrent, 85 of 85 tokens of network.embedding and network.head; fresh nothing" in shown


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot read the tokenizer tokens.json: No such file"),
        ("{}", "tokens.json holds no tokenizer"),
        (b"\xff\xfe", "tokens.json holds no tokenizer"),
    ],
)
def test_odd_tokenizer_files_are_told(content: str | bytes | None, told: str, zoo_command: Zoo) -> None:
    Path("book.txt").write_text("once upon a time\n" * 300)
    if content is not None:
        Path("tokens.json").write_bytes(content.encode() if isinstance(content, str) else content)
    refused(zoo_command("fit", "char_rnn_text", "--data.path=book.txt", "--data.tokenizer_file=tokens.json"), told)


def test_tokenizer_without_padding_is_not_for_rows(zoo_command: Zoo) -> None:
    Path("tokens.json").write_text(Tokenizer.fit_words(["a film"]).json)
    Path("opinions.csv").write_text(
        "text,label\n" + "".join(f"film {n},{'good' if n % 2 else 'bad'}\n" for n in range(40))
    )
    flags = ("--data.path=opinions.csv", "--data.text=text", "--data.label=label", "--data.tokenizer_file=tokens.json")
    refused(zoo_command("fit", "sentiment_csv", *flags), "the first token of tokens.json is not <pad>")


def test_only_models_of_text_have_a_tokenizer_to_export(zoo_command: Zoo) -> None:
    refused(zoo_command("export", "cnn_digits", "--to", "tokenizer", "tokens.json"), "has no tokenizer")


@pytest.mark.parametrize("given", [3, [4], {"network.0": 2}])
def test_odd_patterns_from_python_are_told(given: Any) -> None:
    for name in ("freeze", "lr_of"):
        with pytest.raises(ZooError, match="expected a pattern on names of parameters, or a list of such, not"):
            zoo.create("cnn_digits", **{name: given})
