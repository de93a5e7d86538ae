"""Labelled sentences: honest splits, rows as the tokenizer makes them, and faults of a table named by line."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT
from text.verdicts import BAD, GOOD

from datamodules import MovieReviews, Sentences
from datamodules.errors import DataError
from datamodules.text.tokenizer import Tokenizer


def reviews(**arguments: Any) -> MovieReviews:
    return MovieReviews(str(ROOT / "data"), **arguments)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of labelled texts, sorted by class."""
    path = tmp_path / "texts.csv"
    rows = [f'"{GOOD}, number {number}",good' for number in range(60)]
    rows += [f"{BAD} number {number},bad" for number in range(100, 140)]
    path.write_text("text,label\n" + "\n".join(rows) + "\n")
    return path


def test_reviews_are_those_that_are_clearly_meant() -> None:
    texts, labels = reviews().read()
    assert (labels.count("positive"), labels.count("negative")) == (4598, 4575)
    listed = "\n".join(f"{label}\t{text}" for text, label in zip(texts, labels, strict=True))
    digest = hashlib.sha256(listed.encode()).hexdigest()
    assert digest == "11b210b2c82f0f7cedb944a21d1b71b1cdae3f84121ec40ee454d06ebd565dcf"


def test_splits_are_stratified_seeded_and_share_no_text() -> None:
    data = reviews()
    sizes = {split: len(texts) for split, texts in data.texts.items()}
    assert sum(sizes.values()) == 9173
    assert sizes["test"] == pytest.approx(917, abs=2)
    assert sizes["val"] == pytest.approx(917, abs=2)
    for _, labels in data.splits.values():
        assert labels.float().mean().item() == pytest.approx(4598 / 9173, abs=0.002)
    seen = {split: {text.lower() for text in texts} for split, texts in data.texts.items()}
    assert not seen["train"] & seen["test"]
    assert not seen["train"] & seen["val"]
    assert not seen["val"] & seen["test"]
    assert reviews(seed=1).texts["test"] != data.texts["test"]
    assert reviews().texts == data.texts


def test_what_is_out_of_vocabulary_tells_nothing_of_the_class() -> None:
    """Files are sorted by class; of the words that occur once, those of all classes have the same chance."""
    data = reviews(max_vocab_size=8000)
    ids, labels = data.splits["train"]
    vocabulary = Tokenizer(data.tokenizer)
    shares = [
        ids[labels == label].flatten().tolist().count(vocabulary.unknown_id) / int((ids[labels == label] > 0).sum())
        for label in (0, 1)
    ]
    assert shares[0] == pytest.approx(shares[1], rel=0.15)


def test_tokenizer_is_fitted_on_training_texts_alone(table: Path) -> None:
    data = Sentences(str(table))
    known = set(Tokenizer(data.tokenizer).vocabulary)
    numbers = {text.split()[-1] for text in data.texts["test"]}
    assert not numbers & known


@pytest.mark.parametrize("unit", ["words", "plain_words", "subwords"])
def test_rows_are_what_the_tokenizer_makes_of_the_texts(table: Path, unit: Any) -> None:
    data = Sentences(str(table), unit=unit, length=6, padding="pre", truncating="post", max_vocab_size=400)
    ids, labels = data.splits["val"]
    assert ids.shape[1] == 6
    assert torch.equal(ids, torch.from_numpy(Tokenizer(data.tokenizer).rows(data.texts["val"])))
    assert [data.classes[label] for label in labels] == [
        "good" if text.startswith("a truly") else "bad" for text in data.texts["val"]
    ]
    assert (data.num_classes, data.classes) == (2, ["bad", "good"])


def test_equal_texts_are_in_the_same_split(tmp_path: Path) -> None:
    rows = [f"text {number % 50}\t{'ab'[number % 2]}" for number in range(500)]
    (tmp_path / "texts.tsv").write_text("text\tlabel\n" + "\n".join(rows))
    texts = Sentences(str(tmp_path / "texts.tsv")).texts
    assert sum(map(len, texts.values())) == 500
    assert not set(texts["train"]) & (set(texts["val"]) | set(texts["test"]))


@pytest.mark.parametrize(
    ("content", "arguments", "told"),
    [
        (b"text,label\na,x\n\xff,y\n", {}, "line 3: byte 0xff is not UTF-8"),
        (b"", {}, "is empty; expected a CSV file"),
        (b"text,label\n", {}, "has no rows below its first line"),
        (b"texts,label\na,x\n", {}, "has no column 'text'; did you mean 'texts'?"),
        (b"text,label\na,x\n,y\n", {}, "line 3: no text in column 'text'"),
        (b"text,label\na,x\nb,\n", {}, "line 3: no class in column 'label'"),
        (b"text,label\na,x\nb,z\n", {"known_classes": ["x", "y"]}, "line 3: class 'z'; there are x, y"),
        (b"text,label\na,x\nb,x\n", {}, "all texts are of the class 'x'"),
        (b"text,label\na,x,1\n", {}, "line 2: 3 cells, expected 2"),
    ],
)
def test_faults_of_a_table_are_named(tmp_path: Path, content: bytes, arguments: dict[str, Any], told: str) -> None:
    path = tmp_path / "texts.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as refused:
        _ = Sentences(str(path), **arguments).splits
    assert told in str(refused.value)
    assert "texts.csv" in str(refused.value) or "class" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"length": 0}, "length is 0, expected at least 1"),
        ({"unit": "letters"}, "unit is 'letters'; there are words, plain_words, subwords"),
        ({"padding": "left"}, "padding is 'left'; there are pre, post"),
        ({"val": 0.5, "test": 0.5}, "expected shares that leave some texts for training"),
    ],
)
def test_senseless_settings_are_refused(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError, match=told):
        reviews(**arguments)
