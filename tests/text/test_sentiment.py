"""Classifiers of texts: the sizes of the notes, no look at padding, the same answers for texts and their rows."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from datamodules.text.tokenizer import PAD, UNKNOWN, Tokenizer
from zoo import ZooError
from zoo.commands.export import export_onnx
from zoo.text.sentiment import SentimentClassifier, SentimentNet

from .verdicts import BAD, GOOD

READERS = ("flatten", "average", "conv", "lstm", "gru")
every_reader = pytest.mark.parametrize("reader", READERS)


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
