"""Texts on the way into a model: standard input, bytes that are no text, ids of another tokenizer."""

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import ROOT, Zoo

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
    code = "from zoo.commands.arguments import read_standard_input; read_standard_input()"
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
