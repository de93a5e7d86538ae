"""Labelled sentences and their classifiers: honest splits, faults by line, the notes' sizes, no look at padding."""

import csv
import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT, Zoo
from torch import Tensor

import zoo
from datamodules import MovieReviews, Sentences
from datamodules.errors import DataError
from datamodules.text.tokenizer import PAD, UNKNOWN, Tokenizer
from zoo import ZooError
from zoo.commands.export import export_onnx
from zoo.text.sentiment import SentimentClassifier, SentimentNet

GOOD, BAD = "a truly great and moving film", "a dull and tedious mess"
READERS = ("flatten", "average", "conv", "lstm", "gru")
every_reader = pytest.mark.parametrize("reader", READERS)


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


def network(reader: Any, **arguments: Any) -> SentimentNet:
    torch.manual_seed(0)
    found = SentimentNet(40, reader=reader, length=12, embedding_size=6, hidden_size=5, **arguments).eval()
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return found


def padded(rows: list[list[int]], length: int, side: str) -> Tensor:
    filled = [[0] * (length - len(row)) + row if side == "pre" else row + [0] * (length - len(row)) for row in rows]
    return torch.tensor(filled)


@pytest.mark.parametrize("pooling", ["last", "average", "maximum"])
@pytest.mark.parametrize("reader", ["average", "conv", "lstm", "gru"])
def test_padding_does_not_matter_wherever_it_is(reader: str, pooling: Any) -> None:
    net = network(reader, pooling=pooling, num_layers=2 if reader in ("lstm", "gru") else 1)
    rows = [[3, 4, 5, 6], [7], [9, 8, 7, 6, 5, 4, 3]]
    expected = net(padded(rows, 7, "post"))
    for length, side in ((12, "post"), (7, "pre"), (20, "pre")):
        torch.testing.assert_close(net(padded(rows, length, side)), expected)
    alone = torch.cat([net(torch.tensor([row])) for row in rows])
    torch.testing.assert_close(alone, expected)


@every_reader
def test_empty_texts_have_an_answer(reader: str) -> None:
    assert bool(network(reader)(torch.zeros(2, 12, dtype=torch.int64)).isfinite().all())


@pytest.mark.parametrize("reader", ["lstm", "gru"])
def test_both_directions_are_those_of_torch(reader: Any) -> None:
    net = network(reader)
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[reader]
    theirs = kind(6, 5, batch_first=True, bidirectional=True)
    assert net.recurrent is not None
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            part = net.recurrent.backwards if name.endswith("_reverse") else net.recurrent.forwards
            parameter.copy_(part[0].get_parameter(name.removesuffix("_reverse")))
    ids = torch.randint(1, 40, (3, 12))
    _, state = theirs(net.embedding(ids))
    last = state[0] if isinstance(state, tuple) else state
    torch.testing.assert_close(net.head(torch.cat([last[0], last[1]], 1)), net(ids))


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        ({"vocab_size": 1000, "length": 100, "reader": "flatten", "dense_size": 6}, 25_613),
        ({"vocab_size": 500, "reader": "average", "dense_size": 6, "masked": False}, 8_109),
        ({"vocab_size": 1000, "reader": "average", "dense_size": 6, "masked": False}, 16_109),
        ({"vocab_size": 4000, "reader": "average", "masked": False}, 64_017),
        ({"vocab_size": 4000, "reader": "conv", "masked": False}, 65_313),
        # Keras has one bias where torch has two: 4 * 16 more in each direction.
        ({"vocab_size": 1000, "reader": "lstm", "dense_size": 6}, 20_429 + 128),
        ({"vocab_size": 1000, "reader": "lstm", "num_layers": 2, "dense_size": 6}, 26_701 + 256),
        ({"vocab_size": 4000, "reader": "gru", "hidden_size": 32}, 73_665),
    ],
)
def test_the_notes_networks_are_a_flag_away(arguments: dict[str, Any], parameters: int) -> None:
    assert sum(parameter.numel() for parameter in SentimentNet(**arguments).parameters()) == parameters


def test_unmasked_average_is_that_of_the_notes() -> None:
    net = network("average", masked=False)
    ids = padded([[3, 4]], 12, "post")
    torch.testing.assert_close(net(ids), net.head(net.embedding(ids).mean(1)))


def test_words_are_dropped_in_training_only() -> None:
    net = network("average", word_dropout=0.5)
    ids = torch.randint(1, 40, (4, 12))
    assert torch.equal(net(ids), net(ids))
    net.train()
    assert not torch.equal(net(ids), net(ids))


def classifier(reader: Any = "average", **arguments: Any) -> SentimentClassifier:
    tokenizer = Tokenizer.fit_words([GOOD, BAD], special=(PAD, UNKNOWN)).padded_to(10, "post", "post")
    torch.manual_seed(0)
    return SentimentClassifier(tokenizer.vocab_size, tokenizer.json, length=10, reader=reader, **arguments).eval()


def test_texts_and_their_rows_have_the_same_probabilities() -> None:
    model = classifier(classes=["bad", "good"])
    rows = torch.from_numpy(model.tokenizer.rows([GOOD, BAD]))
    assert torch.equal(model.probabilities([GOOD, BAD]), model.probabilities(rows))
    torch.testing.assert_close(model.probabilities(GOOD).sum(1), torch.ones(1))
    positive = model(rows).squeeze(1) > 0
    assert model.classify([GOOD, BAD]) == [("bad", "good")[int(one)] for one in positive]


def test_more_than_two_classes_share_the_probability() -> None:
    model = classifier(num_classes=3)
    assert model(torch.ones(2, 10, dtype=torch.int64)).shape == (2, 3)
    torch.testing.assert_close(model.probabilities([GOOD, BAD]).sum(1), torch.ones(2))


@pytest.mark.parametrize(
    "reader", [*READERS[:3], *(pytest.param(reader, marks=pytest.mark.slow) for reader in READERS[3:])]
)
def test_export_gives_what_the_model_gives(reader: str, tmp_path: Path) -> None:
    import onnxruntime

    model = classifier(reader)
    export_onnx(model, tmp_path / "model.onnx")
    rows = torch.from_numpy(model.tokenizer.rows([GOOD, BAD, ""]))
    (logits,) = onnxruntime.InferenceSession(tmp_path / "model.onnx").run(None, {"input": rows.numpy()})
    torch.testing.assert_close(torch.from_numpy(logits), model(rows), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: SentimentNet(9, reader="mean"), "no reader 'mean'; there are flatten, average"),  # type: ignore[arg-type]
        (lambda: SentimentNet(9, reader="gru", pooling="max"), "no pooling 'max'"),  # type: ignore[arg-type]
        (lambda: network("flatten")(torch.ones(1, 9, dtype=torch.int64)), "rows of 9 tokens, expected 12"),
        (lambda: SentimentClassifier(9, classifier().tokenizer.json), "vocab_size is 9, but the tokenizer has"),
    ],
)
def test_senseless_networks_are_refused(build: Any, told: str) -> None:
    with pytest.raises(ZooError, match=told):
        build()


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
    model = zoo.load(run)
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
