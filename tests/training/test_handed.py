"""Data in hand: arrays, frames and texts that are trained on as files of them would be, and kept with the run."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from conftest import Zoo
from PIL import Image

import zoo
from datamodules import Digits
from zoo.training import handed

ONE: dict[str, Any] = {"trainer": {"max_epochs": 1}, "tune_precision": False, "figures": False, "quiet": True}
SMALL_RNN: dict[str, Any] = {"model": {"hidden_size": 8, "schedule": "constant"}, **ONE}

CONSTANT: dict[str, Any] = {"model": {"schedule": "constant"}, **ONE}

DAYS = pandas.date_range("2021-01-01", periods=400, freq="D")
BREAD = pandas.Series(100.0 + np.arange(400) % 7 * 5, DAYS, name="bread")
FLATS = pandas.DataFrame({"size": np.arange(300) % 71 + 0.5, "city": ["Rome", "Oslo", "Bonn"] * 100})
FLATS["target"] = np.where(FLATS["size"] > 30, "large", "small")
TEXTS = [f"a {('dull', 'great')[number % 2]} film {number}" for number in range(200)]
VERDICTS = [("bad", "good")[number % 2] for number in range(200)]
TALE = [f"once upon a time there were {number} bears" for number in range(300)]


def digits() -> tuple[np.ndarray, np.ndarray]:
    images, labels = Digits().splits["test"]
    return images[:, 0].numpy(), labels.numpy()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


GIVEN: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "series": ("lstm_csv", BREAD, SMALL_RNN),
    "table": ("logistic_table", FLATS, {"trainer": {"max_epochs": 1}, "quiet": True}),
    "text": ("char_rnn_text", TALE, SMALL_RNN),
    "sentences": ("sentiment_csv", pandas.DataFrame({"text": TEXTS, "label": VERDICTS}), CONSTANT),
    "pictures": ("cnn_digits", digits(), CONSTANT),
}


@pytest.mark.parametrize("kind", GIVEN)
def test_data_in_hand_is_kept_with_its_run_wherever_that_goes(kind: str, zoo_command: Zoo) -> None:
    recipe, data, settings = GIVEN[kind]
    run = zoo.fit(recipe, data=data, **settings)
    assert run.test(quiet=True)
    learnt_from = run.results["data"]
    Path("elsewhere").mkdir()
    moved = Path("elsewhere/run")
    shutil.move(run.folder, moved)
    assert zoo_command("test", moved, "--quiet", "--figures=false")[0] == 0
    resumed = zoo.fit(moved, trainer={"max_epochs": 2}, quiet=True)
    assert resumed.results["fit"]["epochs"] == 2
    assert resumed.results["data"] == learnt_from
    assert zoo_command("fit", moved, "--trainer.max_epochs=3", "--quiet")[0] == 0
    if kind == "series":
        assert zoo_command("forecast", moved, "--horizon", 2, "--no-intervals")[0] == 0


def test_series_is_what_a_file_of_it_is(zoo_command: Zoo) -> None:
    BREAD.to_csv("bread.csv", index_label="day")
    settings: dict[str, Any] = {"seed_everything": 1, **SMALL_RNN}
    typed = zoo.fit("lstm_csv", data={"path": "bread.csv", "time": "day", "period": 7}, **settings)
    wanted = typed.results["validate"]
    frame = pandas.DataFrame({"bread": BREAD})
    for given in (BREAD, frame, frame.tz_localize("UTC"), frame.astype("Float64")):
        assert zoo.fit("lstm_csv", data={"path": given, "period": 7}, **settings).results["validate"] == wanted
    values = BREAD.to_numpy()
    untimed: list[Any] = [values, values[:, None], values.tolist(), torch.tensor(values), BREAD.reset_index(drop=True)]
    for one in untimed:
        assert zoo.fit("lstm_csv", data={"path": one, "period": 7}, **settings).results["validate"] == wanted
    run = zoo.fit("lstm_csv", data=BREAD, **settings)
    code, out, _ = zoo_command("forecast", run.folder, "--horizon", 2, "--no-intervals")
    assert (code, "2022-02-05" in out) == (0, True)


def test_several_series_keep_their_names() -> None:
    frame = pandas.DataFrame({"bread": BREAD, 7: BREAD * 2 + np.arange(400) % 3})
    run = zoo.fit("lstm_csv", data=frame, **SMALL_RNN)
    assert (run.folder / "data" / "series.csv").read_text().startswith("time,bread,series 7\n2021-01-01T")
    model: Any = run.load()
    assert model.forecast(frame, 3).shape == (3, 2)


def test_texts_and_labels_come_in_several_ways() -> None:
    frame = pandas.DataFrame({"review": TEXTS, "verdict": VERDICTS})
    ways: list[Any] = [
        {"path": frame, "text": "review", "label": "verdict"},
        (TEXTS, VERDICTS),
        (pandas.Series(TEXTS), pandas.Series(VERDICTS)),
        (np.array(TEXTS), np.array(VERDICTS)),
        (TEXTS, list(np.array(VERDICTS))),
    ]
    found = [zoo.fit("sentiment_csv", data=way, **ONE).results["validate"] for way in ways]
    assert found == found[:1] * len(ways)


def test_pictures_of_any_kind_become_a_folder_a_class() -> None:
    images, labels = digits()
    names = [f"digit {label}" for label in labels]
    colour = np.stack([images] * 3, -1)
    grey: list[Any] = [(images, names), ([Image.fromarray(one) for one in images], np.array(names))]
    coloured: list[Any] = [(colour, tuple(names)), (torch.from_numpy(colour).movedim(-1, 1), pandas.Series(names))]
    # The split goes by the bytes of the files.
    for ways in ([*grey, (images / 255, names)], coloured):
        runs = [zoo.fit("cnn_digits", data=way, **ONE) for way in ways]
        assert all(run.results["validate"] == runs[0].results["validate"] for run in runs)
    model: Any = runs[0].load()
    assert (model.image_size, model.classes[0]) == (8, "digit 0")
    assert model.classify(images[0])[0] in names


def test_large_data_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handed, "_LARGEST", 100)
    run = zoo.fit("lstm_csv", data=BREAD, **SMALL_RNN)
    assert not (run.folder / "data").exists()
    assert run.test(quiet=True)["mae"] > 0
    with pytest.raises(zoo.ZooError, match="hand it over again"):
        zoo.fit(run.folder, trainer={"max_epochs": 2})
    assert zoo.open_run(run.folder).test(BREAD, quiet=True) == run.results["test"]
    again = zoo.fit(run.folder, data=BREAD, trainer={"max_epochs": 2}, quiet=True)
    assert again.results["fit"]["epochs"] == 2


def without(place: int) -> pandas.Series:
    return BREAD.drop(BREAD.index[place])


@pytest.mark.parametrize(
    ("recipe", "data", "told"),
    [
        ("dense_iris", pandas.DataFrame({"a": [1.0]}), "Iris is not for data of one's own; use a recipe of pictures"),
        ("lstm_csv", pandas.DataFrame({"day": ["a"], "bread": [2.0]}), "column 'day' holds "),
        ("lstm_csv", BREAD.where(BREAD < 130), "no number in column 'bread'; fill it in, or let --data.repair"),
        ("lstm_csv", without(7), "2021-01-09 follows 2021-01-07, expected a row every 1 day"),
        ("lstm_csv", BREAD[::-1], "2022-02-03 comes after 2022-02-04; expected ascending times"),
        ("lstm_csv", BREAD[:0], "the series is a Series, expected numbers"),
        ("lstm_csv", np.zeros((2, 2, 2)), "the series is float64 (2, 2, 2), expected numbers (T,) or (T, C)"),
        ("lstm_csv", {"path": {"bread": [1, 2]}}, "the series is a dict, expected numbers"),
        ("lstm_csv", pandas.DataFrame([[1.0, 2.0]], columns=["a", "a"]), "the columns are a, a; expected different"),
        ("lstm_csv", {"path": BREAD, "periot": 7}, "CsvSeries takes no 'periot'; it takes path"),
        ("lstm_csv", BREAD[:9], "series.csv"),
        ("sentiment_csv", pandas.DataFrame({"a": TEXTS}), "has the columns a, expected one 'text'; say which with"),
        ("sentiment_csv", TEXTS, "the data is a list of 200 str, expected texts and their labels"),
        ("sentiment_csv", (TEXTS, VERDICTS[:3]), "there are 200 rows and of labels 3, expected as many"),
        ("sentiment_csv", (TEXTS, [0.5] * 200), "among the labels is 0.5, expected names or whole numbers"),
        ("sentiment_csv", ([*TEXTS[1:], 3], VERDICTS), "among the texts is an int, expected texts alone"),
        ("sentiment_csv", (["", 0] * 100, VERDICTS), "among the texts is an int, expected texts alone"),
        ("sentiment_csv", (TEXTS, [None] * 200), "among the labels is None, expected names or whole numbers"),
        ("char_rnn_text", ["half of a \ud800"], "a text holds '\\ud800', half of a character"),
        ("char_rnn_text", [1, 2], "the texts are a list of 2 int, expected a list of texts, or the path of a file"),
        ("char_rnn_text", ["short"], "the train split of the corpus holds no token; it needs more text"),
        ("cnn_digits", digits()[0], "expected pictures and the class of each"),
        ("cnn_digits", (digits()[0], digits()[1][:5]), "there are 360 rows and of labels 5, expected as many"),
        ("cnn_digits", (digits()[0].astype(int), digits()[1]), "the pictures are int64 (360, 8, 8), expected arrays"),
        ("cnn_digits", (digits()[0] / 2.0, digits()[1]), "pixels are from 0 to 127.5; expected 0 (black) to 1"),
        ("cnn_digits", (digits()[0], ["../a"] * 360), "the class '../a' cannot name a folder; call it otherwise"),
        ("cnn_digits", (digits()[0], ["only"] * 360), "holds one class only, only; expected at least two"),
        ("cnn_digits", {"root": digits(), "class_path": "Iris"}, "Iris is not for data of one's own"),
    ],
)
def test_what_is_no_data_is_told_in_one_line_and_leaves_nothing(recipe: str, data: Any, told: str) -> None:
    with pytest.raises(zoo.ZooError) as caught:
        zoo.fit(recipe, data=data, **ONE)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not Path("runs").exists()


def test_data_in_hand_is_trained_on_in_one_process() -> None:
    with pytest.raises(zoo.ZooError, match="data in hand is trained on in one process; save it"):
        zoo.fit("lstm_csv", data=BREAD, trainer={"devices": 2, "accelerator": "cpu"})


@pytest.mark.parametrize("make", [lambda: BREAD.to_frame(), lambda: BREAD.to_numpy().copy()])
def test_what_is_handed_over_stays_as_it_is(make: Callable[[], Any]) -> None:
    given, kept = make(), make()
    zoo.fit("lstm_csv", data=given, **SMALL_RNN)
    assert given.equals(kept) if hasattr(given, "equals") else np.array_equal(given, kept)
