"""What public methods are given: any kind of numbers, pictures, texts; and in one line what is none of them."""

import re
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from lightning import Trainer
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import zoo
from datamodules import CO2
from datamodules.errors import UserError
from datamodules.vision.pictures import read_picture
from zoo.base import processor
from zoo.base.processor import devices
from zoo.errors import ZooError
from zoo.gan.dcgan import ConditionalDCGAN
from zoo.series.linear import Linear
from zoo.series.stateful import Stateful
from zoo.tabular.backprop import Backprop
from zoo.tabular.kmeans import KMeans
from zoo.tabular.linear import LinearRegression
from zoo.tabular.pca import PCA
from zoo.text.ngram import NGramLM
from zoo.vision.grad_cam import GradCAM

FLOWERS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.1, 4.7, 1.5]]
DIGITS = np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8), dtype=np.uint8)

load: Callable[[str], Any] = cache(zoo.load)


def monthly(count: int) -> pandas.Series:
    """A series of months."""
    return pandas.Series(np.arange(count, dtype=float), pandas.date_range("2001-02", periods=count, freq="MS"))


def read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


WAYS: dict[str, Callable[[np.ndarray], Any]] = {
    "array": np.asarray,
    "read-only array": read_only,
    "array backwards": lambda array: array[::-1].copy()[::-1],
    "array of foreign bytes": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "lists": np.ndarray.tolist,
    "list of tensors": lambda array: [torch.from_numpy(row) for row in array.copy()],
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["dense_iris", "backprop_iris", "pca_iris", "kmeans_iris"])
def test_numbers_may_come_in_any_form(name: str, way: str) -> None:
    flowers = np.array(FLOWERS)
    given = WAYS[way](flowers)
    assert torch.equal(load(name)(given), load(name)(torch.from_numpy(flowers)))


@pytest.mark.parametrize("way", [way for way in WAYS if way != "lists"])
def test_images_may_be_arrays(way: str) -> None:
    model = load("cnn_digits")
    assert torch.equal(model.features(WAYS[way](DIGITS)), model.features(torch.from_numpy(DIGITS)))


def test_pictures_are_read_as_from_the_command_line(tmp_path: Path) -> None:
    model, path = load("cnn_digits"), tmp_path / "digit.png"
    picture = Image.fromarray(DIGITS[0, 0]).resize((20, 30))
    picture.save(path)
    wanted = model.probabilities(read_picture(path, 8, 1)[None])
    for given in (path, str(path), picture, [path], (picture,)):
        assert torch.equal(model.probabilities(given), wanted)
    assert len(model.classify([path, picture])) == 2
    assert GradCAM(zoo.load("cnn_digits"))(path).shape == (1, 1, 8, 8)


COLOURS = np.random.default_rng(1).integers(0, 256, (12, 20, 3), dtype=np.uint8)
GREY = COLOURS[..., 0]
OPAQUE = np.dstack([COLOURS, np.full((12, 20), 255, np.uint8)])


@pytest.mark.parametrize(
    ("given", "picture"),
    [
        (COLOURS, COLOURS),
        (COLOURS.transpose(2, 0, 1)[None], COLOURS),
        (COLOURS[None], COLOURS),
        ([COLOURS], COLOURS),
        ([COLOURS.transpose(2, 0, 1)], COLOURS),
        (torch.from_numpy(COLOURS).movedim(-1, 0), COLOURS),
        ([torch.from_numpy(COLOURS).movedim(-1, 0)], COLOURS),
        (torch.from_numpy(COLOURS), COLOURS),
        (COLOURS / 255, COLOURS),
        (torch.from_numpy(COLOURS).movedim(-1, 0).half() / 255, COLOURS),
        (OPAQUE, COLOURS),
        (GREY, GREY),
        (GREY[..., None], GREY),
        (GREY[None], GREY),
        (GREY[None, None], GREY),
        ([GREY], GREY),
        (torch.from_numpy(GREY), GREY),
        (GREY[None] / np.float32(255), GREY),
        (Image.fromarray(COLOURS).convert("RGBA"), COLOURS),
    ],
    ids=lambda one: f"{type(one).__name__} {getattr(one, 'dtype', '')}{tuple(getattr(one, 'shape', ()))}",
)
@pytest.mark.parametrize("name", ["cnn_digits", "mobilenetv2_things"])
def test_picture_is_the_same_however_it_is_held(name: str, given: Any, picture: np.ndarray) -> None:
    if name == "mobilenetv2_things" and np.shape(given)[:2] in ((1, 3), (1, 1)):
        pytest.skip("a batch of any size is taken as it is")
    model = load(name)
    wanted = model.probabilities(read_picture(Image.fromarray(picture), model.image_size, model.in_channels)[None])
    assert torch.equal(model.probabilities(given), wanted)


def test_pictures_of_several_kinds_and_sizes_go_in_together(tmp_path: Path) -> None:
    model, path = load("cnn_digits"), tmp_path / "digit.png"
    Image.fromarray(GREY).save(path)
    several = [path, str(path), Image.open(path), GREY, torch.from_numpy(GREY), DIGITS[0], COLOURS]
    torch.testing.assert_close(model.probabilities(several), torch.cat([model.probabilities(one) for one in several]))
    many = np.stack([GREY] * 5)
    assert torch.equal(model.probabilities(many), model.probabilities([GREY] * 5))


def test_images_of_another_size_are_a_mistake_of_data(tmp_path: Path) -> None:
    data = TensorDataset(torch.zeros(2, 1, 9, 9, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64))
    trainer = Trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu")
    with pytest.raises(ZooError, match=r"not uint8 \(2, 1, 9, 9\)"):
        trainer.test(zoo.load("cnn_digits"), DataLoader(data, batch_size=2), verbose=False)


@pytest.mark.parametrize("name", ["dense_iris", "backprop_iris", "pca_iris", "kmeans_iris"])
def test_frames_are_rows(name: str) -> None:
    flowers = pandas.DataFrame(FLOWERS, columns=["a", "b", "c", "d"])
    wanted = load(name)(np.array(FLOWERS))
    for frame in (flowers, flowers.convert_dtypes(), flowers.set_index(pandas.Index(["x", "y"]))):
        assert torch.equal(load(name)(frame), wanted)


def test_series_of_pandas_are_continued() -> None:
    model = load("lstm_co2")
    values = CO2().values[-200:].numpy()
    weeks = pandas.date_range("2001-01-06", periods=200, freq="W-SAT")
    wanted = model.forecast(torch.from_numpy(values), 5)
    frame = pandas.DataFrame(values, weeks, ["co2"])
    local = frame.tz_localize("America/New_York")  # midnights, whose offset from UTC changes
    for given in (frame, frame.tz_localize("UTC"), local, frame.reset_index(drop=True), values, values.tolist()):
        assert (np.asarray(model.forecast(given, 5)) == wanted.numpy()).all()
    for given in (frame["co2"], values[:, 0], values[:, 0].tolist(), frame["co2"].to_period("W")):
        assert (np.asarray(model.forecast(given, 5)) == wanted[:, 0].numpy()).all()
    assert [str(time) for time in model.forecast(local, 2).index] == [
        f"{day} 00:00:00-05:00" for day in ("2004-11-06", "2004-11-13")
    ]
    assert torch.equal(model.forecast_from(frame, range(150, 153), 2), model.forecast_from(values, range(150, 153), 2))


def test_texts_of_pandas_are_classified() -> None:
    model, texts = load("sentiment_average_reviews"), ["a great film", "a dull film"]
    wanted = model.probabilities(texts)
    for given in (pandas.Series(texts), pandas.DataFrame({"text": texts}), tuple(texts), np.array(texts), iter(texts)):
        assert torch.equal(model.probabilities(given), wanted)
    assert torch.equal(model.probabilities(texts[0]), model.probabilities(texts[:1]))


def test_texts_are_taken_wherever_ids_are() -> None:
    model = load("sentiment_average_reviews")
    ids = torch.from_numpy(model.tokenizer.rows(["a great film", "a dull film"]))
    for given in (["a great film", "a dull film"], np.array(["a great film", "a dull film"]), ids.numpy().tolist()):
        assert torch.equal(model(given), model(ids))
    assert model.classify([]) == []


def test_ids_may_be_of_any_whole_type() -> None:
    model = load("char_rnn_shakespeare")
    ids = torch.tensor(model.tokenizer.encode_text("to be or not"))
    for given in (ids.numpy().astype(np.uint16), ids.int(), ids.tolist()):
        assert torch.equal(model.score(given, given[:3]), model.score(ids, ids[:3]))


# Typed so that what type checkers would refuse can be tried.
FORECASTER: Any = Linear()
STATEFUL: Any = Stateful()
UNCOUNTED: Any = NGramLM(vocab_size=9)
GAN: dict[str, Any] = {"num_classes": 2, "image_size": 8, "latent_size": 6, "width": 4, "features": None}


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda: load("cnn_digits").classify(DIGITS.astype(np.int64)), "CNN takes uint8 images (N, 1, 8, 8) from 0"),
        (lambda: load("cnn_digits").classify(DIGITS.tolist()), "not int64 (3, 1, 8, 8)"),
        (lambda: load("cnn_digits").classify(DIGITS.astype(np.int64)), "pictures, not int64 (3, 1, 8, 8)"),
        (lambda: load("cnn_digits").classify(DIGITS.astype(np.float32)), "; expected 0 (black) to 1 of"),
        (lambda: load("cnn_digits").classify(torch.full((1, 8, 8), torch.nan)), "pixels are from nan to nan; expected"),
        (lambda: load("cnn_digits").classify(DIGITS / -255), "pixels are from -0.9765 to"),
        (lambda: load("cnn_digits").classify(DIGITS > 9), "pictures, not bool (3, 1, 8, 8)"),
        (lambda: load("cnn_digits").classify(np.zeros((2, 7, 8, 8), np.uint8)), "pictures, not uint8 (2, 7, 8, 8)"),
        (
            lambda: load("cnn_digits").classify(np.zeros((8, 8, 2), np.uint8).T[None]),
            "pictures, not uint8 (1, 2, 8, 8)",
        ),
        (lambda: load("cnn_digits").classify(np.zeros((3, 9, 9), np.uint8)), "or 3 grey ones; say which"),
        (lambda: load("cnn_digits").classify([DIGITS[0], "gone.png"]), "no file gone.png"),
        (lambda: load("cnn_digits").classify([DIGITS[0], DIGITS]), "pictures, not a list of 2 ndarray"),
        (lambda: load("cnn_digits").classify(np.zeros((0, 8, 8), np.uint8)), "pictures, not uint8 (0, 8, 8)"),
        (lambda: load("cnn_digits").train()(torch.zeros(2, 1, 9, 9, dtype=torch.uint8)), "not uint8 (2, 1, 9, 9)"),
        (lambda: load("cnn_digits").classify("gone.png"), "no file gone.png"),
        (lambda: load("cnn_digits").classify(None), "pictures, not None"),
        (lambda: load("cnn_digits").classify({}), "pictures, not a dict"),
        (lambda: load("cnn_digits").classify([]), "pictures, not float64 (0,)"),
        (lambda: load("cnn_digits").classify([Image.new("L", (8, 8)), 3]), "not a list of 2 Image and int"),
        (lambda: GradCAM(zoo.load("cnn_digits"))(np.zeros((8, 8, 3), int)), "not int64 (8, 8, 3)"),
        (lambda: load("mobilenetv2_imagenet").features(torch.zeros(1, 3, 32, 32).int()), "or pictures, not int32"),
        (lambda: load("mobilenetv2_things").classify(torch.zeros(1, 7)), "or features (N, 1280), not float32 (1, 7)"),
        (lambda: load("dense_iris").classify(["a.png"]), "Dense takes features (N, 4), or uint8 images of as many"),
        (lambda: load("dense_iris").classify(np.array([[1, 2, np.nan, 4]])), "row 0, column 2, is nan, expected"),
        (lambda: load("linear_celsius")([[np.inf]]), "row 0, column 0, is inf, expected finite numbers"),
        (lambda: load("dense_iris").classify(pandas.DataFrame([["a", 2, 3, 4]])), "column 0 holds "),
        (lambda: load("dense_iris").classify(pandas.DataFrame([[1, 2, 3]])), "of as many pixels, not int64 (1, 3)"),
        (lambda: load("dense_iris")(FLOWERS[0]), "not float64 (4,)"),
        (lambda: load("backprop_iris").classify([[1, 2, 3]]), "Backprop takes features (N, 4), not int64 (1, 3)"),
        (lambda: load("backprop_iris").classify([[1, 2, 3, 4], [1]]), "not a list of 2 list"),
        (lambda: load("linear_celsius")("38"), "LinearRegression takes features (N, 1), not a str"),
        (lambda: load("pca_iris").transform(np.zeros(4)), "PCA takes rows (N, 4), or images of as many pixels, not"),
        (lambda: load("pca_iris").transform(np.array(["a"])), "not <U1 (1,)"),
        (lambda: load("pca_iris").inverse_transform(np.zeros((2, 3))), "are float64 (2, 3), expected numbers (N, 2)"),
        (lambda: load("kmeans_iris").cluster([[1, 2, 3, float("nan")]]), "is nan, expected finite numbers"),
        (lambda: load("kmeans_iris").in_plane([[1, 2]]), "KMeans takes rows (N, 4)"),
        (lambda: KMeans().cluster(FLOWERS), "this KMeans has learnt nothing yet; train it first"),
        (lambda: PCA().inverse_transform(np.zeros((2, 2))), "this PCA has learnt nothing yet"),
        (lambda: UNCOUNTED.score([1, 2]), "this NGramLM has learnt nothing yet"),
        (lambda: NGramLM(vocab_size=9).generate("a"), "this model has no tokenizer"),
        (lambda: Linear().forecast(monthly(40)[::-1], 3), "after 2004-05-01; expected ascending times"),
        (lambda: Linear().forecast(monthly(40).drop(monthly(40).index[7]), 3), "follows 2001-08-01, expected equal"),
        (lambda: Linear().forecast(monthly(40).reset_index(), 3), "column 'index' holds datetime64"),
        (lambda: Linear().forecast(monthly(40).where(lambda one: one > 3), 3), "values that are NaN or infinite"),
        (lambda: Linear().forecast(monthly(40).set_axis([pandas.NaT] * 40), 3), "row 0 has no time in the index"),
        (lambda: Linear().forecast("to", 3), "the series is a str, expected numbers (T, C), or (T,)"),
        (lambda: FORECASTER.forecast(np.zeros(30), 2.5), "horizon is 2.5, expected a whole number"),
        (lambda: FORECASTER.forecast(np.zeros(30), "3"), "horizon is '3', expected a whole number"),
        (lambda: Linear().forecast(5.0, 3), "inputs have shape (), expected (N, T, 1)"),
        (lambda: Linear().forecast_from([["a"]], range(3), 3), "the series is a list of 1 list"),
        (lambda: Linear()(None), "Linear takes numbers (N, T, 1), not None"),
        (lambda: STATEFUL.read(np.zeros((2, 3))), "inputs have shape (2, 3), expected (N, T, 1)"),
        (lambda: load("char_rnn_shakespeare").score([0.5]), "RNNLM takes ids of tokens, whole numbers below"),
        (lambda: load("char_rnn_shakespeare").score([-1]), "token -1 is none of the"),
        (lambda: load("char_rnn_shakespeare").score([[1, 2]]), "ids of tokens have shape (1, 2), expected (T,)"),
        (lambda: load("char_rnn_shakespeare")([1, 2]), "have shape (2,), expected (N, T), T at least 1"),
        (lambda: load("char_rnn_shakespeare").generate(7), "the prompt is an int, expected a text"),
        (lambda: list(load("char_rnn_shakespeare").stream(None)), "the prompt is None, expected a text"),
        (lambda: load("char_rnn_shakespeare").perplexity(b"to be"), "the text is a bytes, expected a text"),
        (lambda: load("sentiment_average_reviews").classify({"good": 1}), "whole numbers below 8,000, not a dict"),
        (
            lambda: load("sentiment_average_reviews").classify(pandas.Series(["good", None])),
            "in row 1, expected a text",
        ),
        (
            lambda: load("sentiment_average_reviews").classify(pandas.DataFrame({"a": ["b"], "c": ["d"]})),
            "columns a, c;",
        ),
        (lambda: load("sentiment_average_reviews").classify(["good", None]), "texts, or rows of ids (N, 50), whole"),
        (lambda: load("sentiment_average_reviews").classify([[10**6]]), "token 1000000 is none of the"),
        (lambda: ConditionalDCGAN(**GAN)(np.zeros((2, 5))), "ConditionalDCGAN takes noise (N, 6), not float64 (2, 5)"),
        (lambda: ConditionalDCGAN(**GAN)(np.zeros((2, 6)), [0, 2]), "class 2 is none of the 2 that there are"),
        (lambda: ConditionalDCGAN(**GAN)(np.zeros((2, 6)), [0]), "labels are a list of 1 int, expected a whole"),
        (lambda: load("dcgan_digits").sample("4"), "'4' images, expected a whole number"),
    ],
)
def test_what_a_model_cannot_take_is_told_in_one_line(ask: Callable[[], Any], told: str) -> None:
    with pytest.raises(UserError) as caught:
        ask()
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_models_within_others_follow_what_they_are_moved_with() -> None:
    model = Backprop()
    nn.Sequential(model).to("meta")
    assert model.device.type == "meta"


def test_types_of_numbers_are_the_models_own() -> None:
    line = LinearRegression()
    assert line(np.array([[1], [2]])).dtype == torch.float32
    assert Backprop().double()(FLOWERS).dtype == torch.float64


@pytest.mark.parametrize("device", ["cuda:77", "abacus", "", "cpu:3"])
def test_absent_device_is_told_with_those_that_are_there(device: str) -> None:
    told = re.escape(f"no device '{device}'; this machine has {', '.join(devices())}")
    for move in (partial(zoo.load, "pca_iris"), PCA().to, lambda device: PCA().to(device=device)):
        with pytest.raises(ZooError, match=told):
            move(device)


@pytest.mark.parametrize(("there", "auto"), [(["cpu"], "cpu"), (["cpu", "cuda:0", "cuda:1"], "cuda:0")])
def test_auto_is_the_first_accelerator(there: list[str], auto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "devices", lambda: there)
    assert processor.find_device("auto") == torch.device(auto)
    assert [str(processor.find_device(one)) for one in (*there, "cpu:0")] == [*there, "cpu:0"]


def test_what_needs_float64_is_refused_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "devices", lambda: ["cpu", "mps"])
    with pytest.raises(ZooError, match="PCA computes in float64, which mps does not have; use the CPU"):
        PCA().to("mps")
