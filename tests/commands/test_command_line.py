"""The ``zoo`` command as a person meets it: listings, answers to bad input, pictures in, names out."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Zoo
from PIL import Image

import zoo
from zoo import registry, weights
from zoo.base.processor import devices
from zoo.cli import main
from zoo.measures import MEASURES
from zoo.vision import CNN


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"], ["show", "cnn_digits"], ["--help"], ["--version"]])
def test_listings_import_neither_torch_nor_lightning(arguments: list[str]) -> None:
    program = (
        "import sys; from zoo.cli import main; code = main(sys.argv[1:]); "
        "print([name for name in ('torch', 'lightning', 'matplotlib') if name in sys.modules]); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_list_as_json_has_every_recipe_with_all_keys(zoo_command: Zoo) -> None:
    code, out, _ = zoo_command("list", "--json")
    rows = json.loads(out)
    assert code == 0
    assert [row["name"] for row in rows] == zoo.list_models()
    keys = {"name", "family", "data", "metric", "value", "metrics", "parameters", "bytes"}
    assert all(keys <= row.keys() for row in rows)


def test_list_filters(zoo_command: Zoo) -> None:
    assert [row["name"] for row in json.loads(zoo_command("list", "*_iris", "--json")[1])] == [
        "backprop_iris",
        "dense_iris",
        "kmeans_iris",
        "pca_iris",
    ]
    published = json.loads(zoo_command("list", "--pretrained", "--json")[1])
    assert [row["name"] for row in published] == zoo.list_models(pretrained=True)
    assert all(row["value"] == row["metrics"][row["metric"]] for row in published)


def test_shown_recipe_is_the_file_itself(zoo_command: Zoo) -> None:
    code, out, _ = zoo_command("show", "cnn_digits", "--recipe")
    assert (code, out) == (0, registry.recipe("cnn_digits").path.read_text())


def test_own_copy_of_a_recipe_runs_under_its_own_name(zoo_command: Zoo, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(zoo_command("show", "dense_iris", "--recipe")[1])
    code, out, _ = zoo_command("fit", "mine.yaml", "--quiet", "--figures=false", "--trainer.max_epochs=1")
    assert code == 0
    (run,) = (tmp_path / "runs" / "mine").iterdir()
    assert "validate" in out
    assert json.loads((run / "results.json").read_text())["recipe"] == "mine"


def test_print_config_shows_overridden_settings_and_writes_nothing(
    zoo_command: Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        zoo_command("fit", "cnn_digits", "--model.dropout=0.125", "--print_config")
    assert stop.value.code == 0
    assert "dropout: 0.125" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["lst"], "no verb 'lst'; did you mean 'list'?"),
        (["show", "cnn_digit"], "no recipe 'cnn_digit'; did you mean 'cnn_digits'?"),
        (["fit", "cnn_fashon_mnist"], "did you mean 'cnn_fashion_mnist'?"),
        (["fit", "../zoo/recipes/cnn_digits"], "no recipe"),
        (["fit"], "needs a recipe"),
        (["fit", "mine.yaml"], "no file mine.yaml; 'zoo show NAME --recipe > mine.yaml' makes one"),
        (["fit", "cnn_digits", "--trainer.max_epoch=1"], "did you mean '--trainer.max_epochs'?"),
        (["fit", "cnn_digits", "--model.dropot=0.1"], "CNN takes no 'dropot'; did you mean 'dropout'?"),
        (["fit", "cnn_digits", "--model.dropout=lots"], "--model.dropout is 'lots', expected float"),
        (["fit", "cnn_digits", "--trainer.max_epochs=many"], "--trainer.max_epochs is 'many', expected int"),
        (
            ["fit", "cnn_digits", "--model.schedule=zigzag"],
            "--model.schedule is 'zigzag', expected 'constant' or 'cosine'",
        ),
        (["fit", "cnn_digits", "--data.batch_size=0"], "batch_size is 0, expected at least 1"),
        (["fit", "cnn_digits", "--model", "zoo.vision.cnn.CN"], "expected the path of a class"),
        (["fit", "cnn_digits", "--ckpt_path=gone.ckpt"], "no checkpoint at gone.ckpt"),
        (["fit", "cnn_digits", "--trainer.max_epochs=-1"], "set --trainer.max_epochs"),
        (["fit", "backprop_iris", "--model.architecture=[4,3]"], "no hidden layer"),
        (["fit", "backprop_iris", "--model.architecture=[4,5,2]"], "the last size must be 3, or 0"),
        (["fit", "--trainer.max_epochs=1", "dense_iris"], "the recipe comes first: zoo fit dense_iris"),
        (["fit", "dense_iris", "--trainer.strategy=dpp"], "dpp"),
        (["fit", "dense_iris", "--trainer.accelerator=cuda"], "CUDA"),
        (["fit", "dense_iris", "--trainer.devices=0"], "devices"),
        (["fit", "dense_iris", "--model.dropout=2"], "dropout probability has to be between 0 and 1"),
        (["fit", "dense_iris", "--trainer.callbacks.monitor=val_los"], "val_los"),
        (["fit", "dense_fashion_mnist", "--data.val_size=70000"], "cannot hold out 70000 of 60000 samples"),
        (["test", "mine.yaml"], "no file mine.yaml"),
        (["classify", "cnn_digits", "gone.png"], "no file gone.png"),
        (["classify", "cnn_digit", "gone.png"], "did you mean 'cnn_digits'?"),
        (["classify", "runs/cnn_digits/gone", "gone.png"], "no model at runs/cnn_digits/gone"),
        (["classify", "backprop_iris", "gone.png"], "takes no images"),
        (["classify", "cnn_digits"], "name pictures to classify (IMAGE), or texts (--text TEXT)"),
        (["export", "cnn_digits", "--to", "tflite", "x"], "invalid choice: 'tflite'"),
        (["publish", "nowhere"], "nowhere is no run folder"),
        (["lr-find", "cnn_digits", "--min_lr=2"], "expected 20 to 100,000 steps and 0 < min < max"),
    ],
)
def test_bad_input_is_told_in_one_line(zoo_command: Zoo, tmp_path: Path, arguments: list[str], told: str) -> None:
    code, _, err = zoo_command(*arguments)
    assert code == 2
    assert told in err
    assert len(err.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("*")), "bad input leaves nothing behind"


COMPUTES = {
    "classify pictures": ["classify", "cnn_digits", "gone.png"],
    "classify texts": ["classify", "sentiment_average_reviews", "--text", "a film"],
    "embed": ["embed", "pca_iris"],
    "forecast": ["forecast", "lstm_sunspots", "--horizon", "3"],
    "generate": ["generate", "char_rnn_shakespeare"],
    "perplexity": ["perplexity", "char_rnn_shakespeare", "gone.txt"],
    "sample": ["sample", "dcgan_digits"],
    "interpolate": ["interpolate", "dcgan_digits"],
}


@pytest.mark.parametrize("verb", COMPUTES)
def test_absent_device_is_told_with_those_that_are_there(zoo_command: Zoo, tmp_path: Path, verb: str) -> None:
    code, _, err = zoo_command(*COMPUTES[verb], "--device", "cuda:9")
    assert (code, err) == (2, f"zoo: no device 'cuda:9'; this machine has {', '.join(devices())}\n")
    assert not list(tmp_path.rglob("*"))


def test_traceback_on_request() -> None:
    with pytest.raises(zoo.ZooError):
        main(["show", "cnn_digit", "--traceback"])


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch of the embedded default."""
    root = tmp_path_factory.mktemp("runs")
    assert (
        main(
            [
                "fit",
                "cnn_digits",
                "--trainer.max_epochs=1",
                f"--trainer.default_root_dir={root}",
                "--quiet",
                "--figures=false",
            ]
        )
        == 0
    )
    (run,) = (root / "cnn_digits").iterdir()
    return run


def test_classify_names_pictures_of_any_mode(zoo_command: Zoo, tmp_path: Path, digits_run: Path) -> None:
    from datamodules import Digits

    images, _ = Digits().splits["test"]
    picture = Image.fromarray(images[0, 0].numpy()).resize((40, 40), Image.Resampling.NEAREST)
    files = []
    for mode in ("L", "RGB", "RGBA", "P", "CMYK", "I;16"):
        files.append(tmp_path / f"{mode.replace(';', '')}.{'tif' if mode in ('CMYK', 'I;16') else 'png'}")
        deep = Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)
        (deep if mode == "I;16" else picture.convert(mode)).save(files[-1])
    code, out, _ = zoo_command("classify", digits_run, *files, "--top", 2, "--csv", tmp_path / "out.csv")
    assert code == 0
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert len(rows) == 2 * len(files)
    assert {row["image"] for row in rows} == {str(file) for file in files}
    first = [row for row in rows if row["rank"] == "1"]
    assert len({row["class"] for row in first}) == 1, "the same picture in any mode is the same class"
    assert first[0]["class"] in out
    expected = weights.load(digits_run, kind=CNN).probabilities(images[:1]).max().item()
    assert float(first[0]["probability"]) == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize(("content", "told"), [(b"not an image", "is no image"), (None, "is damaged")])
def test_classify_names_bad_pictures(
    zoo_command: Zoo, tmp_path: Path, digits_run: Path, content: bytes | None, told: str
) -> None:
    path = tmp_path / "bad.png"
    if content is None:
        Image.effect_noise((200, 200), 80).save(path)
        content = path.read_bytes()[:5000]
    path.write_bytes(content)
    code, _, err = zoo_command("classify", digits_run, path)
    assert code == 2
    assert str(path) in err
    assert told in err


def test_export_gives_what_the_model_gives(zoo_command: Zoo, tmp_path: Path, digits_run: Path) -> None:
    import onnxruntime

    from datamodules import Digits

    code, _, _ = zoo_command("export", digits_run, "--to", "onnx", tmp_path / "digits.onnx")
    assert code == 0
    images, _ = Digits().splits["test"]
    session = onnxruntime.InferenceSession(tmp_path / "digits.onnx")
    with torch.inference_mode():
        expected = weights.load(digits_run)(images[:7])
    (logits,) = session.run(None, {"input": images[:7].numpy()})
    torch.testing.assert_close(torch.from_numpy(logits), expected, rtol=1e-4, atol=1e-4)
    classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
    assert classes == [str(digit) for digit in range(10)]


def test_lr_find_suggests_and_draws(zoo_command: Zoo, tmp_path: Path) -> None:
    code, out, _ = zoo_command("lr-find", "dense_iris", "--steps", 60, "--quiet")
    assert code == 0
    (run,) = (tmp_path / "runs" / "dense_iris").iterdir()
    suggestion = json.loads((run / "results.json").read_text())["lr_find"]["suggestion"]
    assert 1e-5 < suggestion < 1
    assert f"{suggestion:.3g}" in out
    assert (run / "figures" / "learning_rate.png").stat().st_size > 5_000
    assert not list(run.glob("*.ckpt")), "the test leaves no checkpoint of its own"


def test_publish_and_use(zoo_command: Zoo, tmp_path: Path, digits_run: Path) -> None:
    code, out, _ = zoo_command("publish", digits_run, "--to", tmp_path / "checkpoints")
    assert code == 0
    folder = tmp_path / "checkpoints" / "cnn_digits"
    card = registry.read_card(folder)
    assert "accuracy" in out
    assert card["metrics"]["accuracy"] > 0.1
    assert card["seeds"] == {"0": card["metrics"]["accuracy"]}
    assert zoo.load(folder).classes == card["classes"]
    before = (folder / "card.json").read_bytes()
    code, _, err = zoo_command("publish", digits_run, "--to", tmp_path / "checkpoints")
    assert code == 2
    assert "exists; --overwrite replaces it" in err
    assert (folder / "card.json").read_bytes() == before


def test_only_a_run_that_ended_is_published(zoo_command: Zoo, tmp_path: Path, digits_run: Path) -> None:
    shutil.copytree(digits_run, tmp_path / "run")
    (tmp_path / "run" / "results.json").write_text('{"recipe": "cnn_digits"}')
    code, _, err = zoo_command("publish", tmp_path / "run", "--to", tmp_path / "checkpoints")
    assert (code, "is not trained to its end" in err) == (2, True)
    code, _, err = zoo_command("publish", digits_run, digits_run, "--to", tmp_path / "checkpoints")
    assert (code, "expected different ones" in err) == (2, True)
    assert not (tmp_path / "checkpoints").exists()


def test_run_folder_that_names_foreign_code_is_refused(zoo_command: Zoo, tmp_path: Path, digits_run: Path) -> None:
    shutil.copytree(digits_run, tmp_path / "run")
    config = tmp_path / "run" / "config.yaml"
    config.write_text(config.read_text().replace("lightning.pytorch.callbacks.EarlyStopping", "evil.Callback"))
    code, _, err = zoo_command("test", tmp_path / "run")
    assert (code, "names 'evil.Callback', which may run any code" in err) == (2, True)


def test_folder_of_the_same_name_does_not_hide_a_model(zoo_command: Zoo, tmp_path: Path) -> None:
    (tmp_path / "cnn_digits").mkdir()
    assert zoo.load("cnn_digits").image_size == 8
    assert zoo_command("fit", "cnn_digits", "--trainer.max_epochs=1", "--quiet", "--figures=false")[0] == 0


@pytest.mark.parametrize(
    "name", [name for name in zoo.list_models("*_mnist", pretrained=True) if zoo.card(name)["family"] == "vision"]
)
def test_published_image_models_classify_files(zoo_command: Zoo, tmp_path: Path, name: str) -> None:
    Image.new("L", (60, 60)).save(tmp_path / "black.png")
    code, out, _ = zoo_command("classify", name, tmp_path / "black.png")
    assert code == 0
    assert sum(row in out for row in zoo.card(name)["classes"]) >= 3


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["cnn_digits", "--model.mean", "[0.9]"],
            "--model.mean is for the data to say, which says [0.305]; leave it out",
        ),
        (["cnn_shapes", "--model.image_size=32"], "which says 64; use --data.image_size"),
    ],
)
def test_facts_of_the_data_cannot_be_given_to_the_model(
    arguments: list[str], expected: str, zoo_command: Zoo, tmp_path: Path
) -> None:
    code, _, err = zoo_command("fit", *arguments)
    assert code == 2
    assert expected in err
    assert not (tmp_path / "runs").exists()


def test_facts_of_the_data_cannot_stand_in_a_recipe(zoo_command: Zoo, tmp_path: Path) -> None:
    recipe = registry.recipe("cnn_digits").text.replace("init_args:", "init_args:\n    mean: [0.9]", 1)
    (tmp_path / "mine.yaml").write_text(recipe)
    code, _, err = zoo_command("fit", "mine.yaml")
    assert code == 2
    assert "model.init_args.mean is for the data to say" in err


@pytest.mark.parametrize("name", zoo.list_models())
def test_card_is_shown_as_people_read_it(name: str, zoo_command: Zoo) -> None:
    code, out, _ = zoo_command("show", name, "--markdown")
    assert code == 0
    assert out.startswith(f"# {name}\n\n")
    card = registry.entry(name).card
    assert ("## What it reaches" in out) == (card is not None)
    if card is not None and card.get("metric"):
        assert MEASURES[card["metric"]].words in out
    assert "None" not in out


def test_one_view_at_a_time(zoo_command: Zoo) -> None:
    code, _, err = zoo_command("show", "cnn_digits", "--card", "--markdown")
    assert code == 2
    assert "each show something else" in err
