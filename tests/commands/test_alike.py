"""Python and the command line give equal answers: one question for each wing."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from conftest import Zoo
from PIL import Image

import zoo
from datamodules import CO2
from zoo.commands.origin import find_data


def column(path: Path, name: str) -> torch.Tensor:
    """A column of a CSV file."""
    with path.open(newline="") as file:
        return torch.tensor([float(row[name]) for row in csv.DictReader(file)])


def test_pictures_are_classified_alike(zoo_command: Zoo) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("picture.png")
    assert zoo_command("classify", "mobilenetv2_things", "picture.png", "--csv", "out.csv", "--top", 8)[0] == 0
    model: Any = zoo.load("mobilenetv2_things")
    for given in ("picture.png", pixels, torch.from_numpy(pixels).movedim(-1, 0), Image.open("picture.png")):
        found = model.probabilities(given)[0].sort(descending=True).values
        torch.testing.assert_close(column(Path("out.csv"), "probability"), found, rtol=0, atol=1e-6)


def test_series_are_continued_alike(zoo_command: Zoo) -> None:
    assert zoo_command("forecast", "lstm_co2", "--horizon", 9, "--csv", "out.csv")[0] == 0
    data = CO2()
    series = pandas.Series(data.values[:, 0].numpy(), pandas.DatetimeIndex(data.times))
    found = zoo.load("lstm_co2").forecast(series, 9)
    torch.testing.assert_close(
        column(Path("out.csv"), "forecast"), torch.tensor(found.to_numpy()), rtol=1e-6, atol=1e-6
    )


def test_texts_are_classified_alike(zoo_command: Zoo) -> None:
    texts = ["a great film", "dull from the first minute to the last"]
    command = ("classify", "sentiment_average_reviews", "--top", 1, "--csv", "out.csv", "--text", *texts)
    assert zoo_command(*command)[0] == 0
    found = zoo.load("sentiment_average_reviews").probabilities(pandas.Series(texts)).amax(1)
    torch.testing.assert_close(column(Path("out.csv"), "probability"), found, rtol=0, atol=1e-6)


def test_texts_are_measured_alike(zoo_command: Zoo) -> None:
    Path("text.txt").write_text("To be, or not to be: that is the question.\n")
    code, out, _ = zoo_command("perplexity", "char_rnn_shakespeare", "text.txt", "--json")
    assert code == 0
    found = zoo.load("char_rnn_shakespeare").perplexity(Path("text.txt").read_text())
    (measured,) = json.loads(out)
    assert {name: measured[name] for name in found} == pytest.approx(found)


def test_images_are_made_alike(zoo_command: Zoo) -> None:
    assert zoo_command("sample", "dcgan_digits", "--num", 2, "--seed", 5, "--files", "made")[0] == 0
    made = [np.asarray(Image.open(path).convert("L")) for path in sorted(Path("made").iterdir())]
    assert np.array_equal(np.stack(made), zoo.load("dcgan_digits").sample(2, seed=5)[:, 0].numpy())


def test_rows_are_embedded_alike(zoo_command: Zoo) -> None:
    assert zoo_command("embed", "pca_iris", "--csv", "out.csv")[0] == 0
    data: Any = find_data("pca_iris")
    flowers = pandas.DataFrame(data.splits["test"][0].numpy(), columns=["a", "b", "c", "d"])
    found = zoo.load("pca_iris").transform(flowers)[:, :2].float()
    written = torch.stack([column(Path("out.csv"), name) for name in ("component_1", "component_2")], 1)
    torch.testing.assert_close(written, found, rtol=1e-4, atol=1e-4)
