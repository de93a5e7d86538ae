"""Settings that cannot be are one line and exit code 2, never a traceback, and leave no run behind."""

from pathlib import Path
from typing import Any

import pytest
from conftest import Zoo

import zoo
from zoo import cli
from zoo.training import run_folder

FLAGS = {
    "--trainer.devices=1e999": "`devices`",
    "--trainer.accelerator=tpu": "torch_xla",
    "--trainer.val_check_interval=0": "--trainer.val_check_interval is 0, expected more than 0",
    "--trainer.barebones=true": "--trainer.barebones keeps neither figures nor checkpoints",
    "--trainer.check_val_every_n_epoch=0": "--trainer.check_val_every_n_epoch is 0",
    "--trainer.accumulate_grad_batches=0": "--trainer.accumulate_grad_batches is 0",
    "--seed_everything=123456789012345678901234567890": "expected 0 to 4294967295",
    "--seed_everything=-5": "--seed_everything is -5, expected 0 to 4294967295",
    "--data.seed=99999999999999999999": "seed is 99999999999999999999, expected 0 to 4294967295",
    "--data.batch_size=99999999999999999999": "batch_size is 99999999999999999999, expected a whole number of 64 bits",
    "--data=null": "nothing to train on is named",
    "--trainer.overfit_batches=2": "--trainer.overfit_batches takes the batches of Digits apart, which come as wholes",
    "--model.lr=null": "lr is null, expected float",
    "--model.channels=null": "channels is null",
    "--model.channels=[0]": "CNN cannot begin on Digits with these settings",
    "--model.hidden_size=-1": "negative dimension",
    "--model.hidden_size=10000000000000": "there is not enough memory",
    "--model.hidden_size=9223372036854775807": "a number is too large",
}
FILES = {
    "trainer: true": "has trainer True, expected settings by name",
    "trainer: 1.5": "has trainer 1.5, expected settings by name",
    "trainer: [1]": "has trainer [1], expected settings by name",
    "model: {}": "no model is named; name one, such as --model CNN",
    "model: 5": "has model 5, expected settings by name",
    "data: [Digits]": "has data ['Digits'], expected settings by name",
    "data: {class_path: NoisyLine}": "CNN takes uint8 images (N, 1, 28, 28) from 0 (black) to 255, or pictures, not",
    "trainer: {callbacks: [[]]}": "--trainer.callbacks has '[[]]', expected the name of a class",
    "trainer: {callbacks: [{class_path: Timer}, 5]}": "--trainer.callbacks has '5', expected the name of a class",
    "trainer: {callbacks: [{class_path: Timer, init_args: {duration: '(1'}}, 5]}": "--trainer.callbacks has",
    f"trainer: {{max_epochs: {'x' * 5000}}}": "xx...xx",
    "data: {class_path: {a: 1}}": "--data has \"{'class_path': {'a': 1}}\", expected the name of a class",
}
MODEL = {"model": "model: {class_path: CNN}", "data": "data: {class_path: Digits}"}


@pytest.mark.parametrize("flag", FLAGS)
def test_flag_that_cannot_be_is_one_line(flag: str, zoo_command: Zoo) -> None:
    _is_one_line(zoo_command("fit", "cnn_digits", "--quiet", flag), FLAGS[flag])


def test_file_that_holds_no_settings_is_not_shown_whole(zoo_command: Zoo) -> None:
    Path("table.csv").write_text("text,label\n" + "a dull film,bad\n" * 300)
    code, _, error = zoo_command("fit", "cnn_digits", "--config=table.csv")
    assert code == 2
    assert "--config has 'text,label" in error
    assert len(error) < 300


@pytest.mark.parametrize("restarts", [12345678901234567890, 1_000_000_000, 0])
def test_number_that_would_take_for_ever_is_refused(restarts: int, zoo_command: Zoo) -> None:
    _is_one_line(zoo_command("fit", "kmeans_iris", f"--model.restarts={restarts}"), f"restarts is {restarts}, expected")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["fit", "lstm_synthetic", "--model.num_layers=2147483648"],
            "num_layers is 2147483648, expected at most 1,000",
        ),
        (["elbow", "kmeans_iris", "--k=1..2147483648"], "expected two numbers from 1 to 100,000"),
        (["lr-find", "dense_iris", "--steps=2147483648"], "expected 20 to 100,000 steps"),
        (
            ["sample", "dcgan_digits", "--num=2147483648"],
            "2147483648 images, expected a whole number from 1 to 1,000,000",
        ),
        (["interpolate", "dcgan_digits", "--frames=2147483648"], "expected 1, 2 and 1 at least, and 1,000,000 images"),
        (["generate", "bigram_shakespeare", "--num=2147483648"], "--num is 2147483648, expected 1 to 100,000"),
        (
            ["generate", "bigram_shakespeare", "--tokens=2147483648"],
            "tokens is 2147483648, expected 0 to 1,000,000,000",
        ),
        (["generate", "bigram_shakespeare", f"--seed={10**20}"], f"seed {10**20} is too large"),
    ],
)
def test_number_that_nobody_can_mean_is_refused(arguments: list[str], expected: str, zoo_command: Zoo) -> None:
    code, _, error = zoo_command(*arguments)
    assert (code, len(error.splitlines())) == (2, 1)
    assert expected in error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), "zoo: there is not enough memory; use smaller sizes\n"),
        (
            MemoryError("Unable to allocate 7.28 TiB for an array"),
            "zoo: there is not enough memory, 7.28 TiB were asked",
        ),
        (
            RuntimeError("can't allocate memory: you tried to allocate 64 bytes."),
            "zoo: there is not enough memory, 64 bytes",
        ),
        (OSError(36, "File name too long", "x" * 5000), "zoo: [Errno 36] File name too long: 'xxxx"),
        (OverflowError("int too big to convert"), "zoo: a number is too large (int too big to convert)"),
    ],
)
def test_what_may_come_from_anywhere_is_told(
    error: Exception, expected: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: list[str]) -> int:
        raise error

    monkeypatch.setattr(cli, "_run", fail)
    assert cli.main(["list"]) == 2
    told = capsys.readouterr().err
    assert told.startswith(expected)
    assert len(told) < 700


@pytest.mark.parametrize("section", FILES)
def test_odd_section_of_a_file_is_one_line(section: str, zoo_command: Zoo) -> None:
    others = [text for key, text in MODEL.items() if not section.startswith(key)]
    Path("mine.yaml").write_text("\n".join([section, *others]) + "\n")
    told = zoo_command("fit", "mine.yaml", "--quiet")
    Path("mine.yaml").unlink()
    _is_one_line(told, FILES[section])


def test_file_without_a_trainer_trains(zoo_command: Zoo) -> None:
    Path("mine.yaml").write_text("\n".join(MODEL.values()) + "\n")
    assert zoo_command("fit", "mine.yaml", "--trainer.max_epochs=1", "--quiet", "--figures=false")[0] == 0


@pytest.mark.parametrize("given", [{"lr": None}, {"hidden_size": "many"}, {"hidden_size": None}, {"channels": None}])
def test_argument_from_python_is_one_line(given: dict[str, Any]) -> None:
    with pytest.raises(zoo.errors.UserError, match=f"^{next(iter(given))} is .*, expected "):
        zoo.create("cnn_digits", **given)


def test_what_nobody_foresaw_is_one_line_and_can_be_traced(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: list[str]) -> int:
        raise LookupError("first\nsecond")

    monkeypatch.setattr(cli, "_run", fail)
    assert cli.main(["list"]) == 2
    assert capsys.readouterr().err.startswith("zoo: unexpected LookupError: first second; --traceback shows where")
    with pytest.raises(LookupError):
        cli.main(["list", "--traceback"])


@pytest.mark.parametrize("error", [NotImplementedError("no flock"), OSError(38, "Function not implemented")])
def test_file_system_without_locks_is_told(
    error: Exception, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def acquire(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(run_folder.FileLock, "acquire", acquire)
    with run_folder.held(tmp_path):
        pass
    assert "cannot be locked" in capsys.readouterr().err


def _is_one_line(told: tuple[int, str, str], expected: str) -> None:
    code, out, error = told
    assert (code, out) == (2, "")
    assert len(error.splitlines()) == 1
    assert expected in error
    assert not list(Path.cwd().iterdir()), "a run that never began leaves nothing"


@pytest.mark.parametrize(
    ("verb", "flags", "told"),
    [
        ("validate", ("cnn_digits", "--trainer.limit_val_batches=0"), "--trainer.limit_val_batches leaves none"),
        ("test", ("cnn_digits", "--trainer.limit_test_batches=0"), "--trainer.limit_test_batches leaves none"),
        ("validate", ("runs/on/all",), "--data.fit_on all trains on everything"),
    ],
)
def test_split_of_which_nothing_is_left_is_told(verb: str, flags: tuple[str, ...], told: str, zoo_command: Zoo) -> None:
    short = ("--trainer.max_epochs=1", "--trainer.limit_train_batches=2", "--quiet", "--figures=false")
    if "runs/on/all" in flags:
        assert zoo_command("fit", "lstm_sunspots", "--data.fit_on=all", *short)[0] == 0
        Path("runs/on").mkdir()
        next(Path("runs/lstm_sunspots").iterdir()).rename("runs/on/all")
    assert zoo_command(verb, *flags) == (2, "", f"zoo: nothing is left to {verb} on: {told}\n")


def test_training_without_validation_ends_well(zoo_command: Zoo) -> None:
    short = ("--trainer.max_epochs=1", "--trainer.limit_train_batches=2", "--trainer.limit_val_batches=0", "--quiet")
    code, out, error = zoo_command("fit", "lstm_synthetic", *short, "--figures=false")
    assert (code, error) == (0, "")
    assert "validate" not in out
