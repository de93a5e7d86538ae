"""``zoo classify --text``: texts learned and classified, standard input, bytes that are no text, foreign tokenizers."""

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import ROOT, Zoo
from text.verdicts import BAD, GOOD

import zoo
from datamodules import Sentences
from datamodules.text.tokenizer import PAD, UNKNOWN, Tokenizer
from zoo import weights
from zoo.errors import ZooError
from zoo.text.sentiment import SentimentClassifier


def reader(*texts: str, length: int = 4) -> str:
    """JSON of a tokenizer that knows the words of some texts."""
    return Tokenizer.fit_words(texts, special=(PAD, UNKNOWN)).padded_to(length, "post", "post").json


def classifier(tokenizer: str) -> SentimentClassifier:
    return SentimentClassifier(Tokenizer(tokenizer).vocab_size, tokenizer, length=4).eval()


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Weights of a tiny model of text."""
    torch.manual_seed(0)
    golden = {"input": torch.ones(1, 4, dtype=torch.int64)}
    weights.save(classifier(reader("a great film")), tmp_path / "model", {"recipe": "model"}, golden)
    return tmp_path / "model"


def test_weights_do_not_go_with_the_ids_of_another_tokenizer() -> None:
    state = classifier(reader("good bad")).state_dict()
    classifier(reader("good bad")).load_state_dict(state)
    for other in (reader("bad good"), reader("good bad", length=5)):
        with pytest.raises(ZooError, match="trained on the ids of another tokenizer than that of this data"):
            classifier(other).load_state_dict(state)


def test_tokenizer_written_by_another_version_of_the_library_is_the_same() -> None:
    state = classifier(reader("good bad")).state_dict()
    spaced = reader("good bad").replace('"version"', ' "version"')
    classifier(spaced).load_state_dict(state)


def test_lines_of_standard_input_keep_their_places(
    zoo_command: Zoo, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a great film\r\n\na\x0bfilm\n"))
    code, _, _ = zoo_command("classify", published, "--text", "-", "--csv", "out.csv")
    assert code == 0
    with (tmp_path / "out.csv").open(newline="") as file:
        found = [row["text"] for row in csv.DictReader(file) if row["rank"] == "1"]
    assert found == ["a great film", "", "a\x0bfilm"]


@pytest.mark.parametrize("encoding", ["utf-8:strict", "utf-8:surrogateescape"])
def test_bytes_that_are_no_text_are_told(encoding: str) -> None:
    """Python decodes standard input strictly or lets bytes through, as the locale has it."""
    code = "from zoo.commands.inputs import read_standard_input; read_standard_input()"
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, input=b"fine\ncaf\xe9\n", env=environment, capture_output=True, check=False)
    told = done.stderr.decode().strip().splitlines()[-1]
    assert told.startswith("zoo.errors.ZooError: standard input")
    assert told.endswith("is not UTF-8 (byte 0xe9)")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["classify", "{model}", "--text", "-", "more"], "reads all texts from standard input; leave out the others"),
        (["classify", "{model}", "--text", "caf\udce9"], "--text line 1 is not UTF-8 (byte 0xe9)"),
        (["validate", "sentiment_csv", "--projector"], "--projector is for zoo fit"),
        (["fit", "sentiment_csv", "--data.path={table}", "--model.tokenizer=x"], "--model.tokenizer is for the data"),
    ],
)
def test_bad_requests_are_told_in_a_short_line(
    zoo_command: Zoo, published: Path, tmp_path: Path, arguments: list[str], told: str
) -> None:
    table = tmp_path / "texts.csv"
    table.write_text("text,label\n" + "".join(f"text {number},{'ab'[number % 2]}\n" for number in range(40)))
    code, _, err = zoo_command(*[argument.format(model=published, table=table) for argument in arguments])
    assert code == 2
    assert told in err
    assert len(err) < 300


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short training on somebody's table, with its embedding for the projector."""
    from zoo.cli import main

    folder = tmp_path_factory.mktemp("sentiment")
    rows = [f"{GOOD} {number},good" for number in range(100)] + [f"{BAD} {number},bad" for number in range(100)]
    (folder / "texts.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    arguments = ["--data.path", str(folder / "texts.csv"), "--trainer.default_root_dir", str(folder / "runs")]
    assert main(["fit", "sentiment_csv", *arguments, "--trainer.max_epochs=6", "--quiet", "--projector"]) == 0
    (found,) = (folder / "runs" / "sentiment_csv").iterdir()
    return found


def test_own_texts_are_learned_and_classified(zoo_command: Zoo, run: Path, tmp_path: Path) -> None:
    code, out, err = zoo_command("classify", run, "--text", GOOD, BAD, "--csv", tmp_path / "out.csv")
    assert (code, err) == (0, "")
    first = [row for row in csv.DictReader((tmp_path / "out.csv").open()) if row["rank"] == "1"]
    assert [(row["text"], row["class"]) for row in first] == [(GOOD, "good"), (BAD, "bad")]
    assert GOOD in out
    assert {path.stem for path in (run / "figures").glob("*.png")} >= {"learning_curves", "validation_confusion_matrix"}


def test_texts_come_from_standard_input(zoo_command: Zoo, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{BAD}\n{GOOD}\n"))
    _, out, _ = zoo_command("classify", run, "--text", "-", "--top", 1)
    assert [line.split()[-2] for line in out.splitlines()[1:]] == ["bad", "good"]


def test_projector_gets_the_words(run: Path) -> None:
    (metadata,) = run.rglob("metadata.tsv")
    model = zoo.load(run, kind=SentimentClassifier)
    assert metadata.read_text().splitlines() == model.tokenizer.vocabulary
    (tensors,) = run.rglob("tensors.tsv")
    rows = [list(map(float, line.split("\t"))) for line in tensors.read_text().splitlines()]
    torch.testing.assert_close(torch.tensor(rows), model.embedding.weight.detach(), rtol=1e-4, atol=1e-6)
    assert (run / "projector_config.pbtxt").is_file()


def test_published_weights_show_nobodys_texts(run: Path) -> None:
    data = Sentences(str(run.parents[2] / "texts.csv"))
    golden = zoo.load(run).golden(data)["input"]
    assert not any(torch.equal(row, known) for row in golden for known in data.splits["test"][0])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["classify", "{run}", "photo.png"], "takes texts, not images: zoo classify"),
        (["classify", "cnn_digits", "--text", "a"], "takes no texts: CNN was trained on other data"),
        (["classify", "{run}", "photo.png", "--text", "a"], "--text is instead of pictures"),
        (["classify", "{run}"], "name pictures to classify (IMAGE), or texts (--text TEXT)"),
        (["classify", "{run}", "--text", "a", "--top", "3"], "--top is 3, expected 1 to 2"),
        (["fit", "dense_iris", "--projector"], "--projector shows the embedding of words, and Dense has none"),
        (["fit", "sentiment_csv", "--data.path=gone.csv"], "cannot read gone.csv"),
        (["generate", "{run}"], "is no language model but a SentimentClassifier"),
        (["export", "{run}", "--to", "arpa", "x.arpa"], "ARPA is for n-gram models"),
    ],
)
def test_bad_requests_are_told_in_one_line(
    zoo_command: Zoo, tmp_path: Path, run: Path, arguments: list[str], told: str
) -> None:
    code, _, err = zoo_command(*[argument.format(run=run) for argument in arguments])
    assert code == 2
    assert told in err
    assert len(err.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("*")), "bad input leaves nothing behind"
