"""``zoo sample`` and ``zoo interpolate``: what they write and refuse, and what ``zoo fit`` refuses of two networks."""

from pathlib import Path

import numpy as np
import pytest
from conftest import Zoo
from PIL import Image, ImageSequence

from zoo import weights
from zoo.gan import DCGAN


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--trainer.gradient_clip_val", "1"], "use --model.clip_norm 1"),
        (["--trainer.accumulate_grad_batches", "2"], "use a larger --data.batch_size"),
        (["--trainer.precision", "bf16-true"], "use 32-true or bf16-mixed"),
        (["--model.features", "null"], "watches val_cnn_fid, which is not measured without features"),
        (["--model.features", "mobilenetv2_things"], "is a Transfer, expected an image classifier such as a CNN"),
        (["--model.features", "cnn_fashion_mnist"], "looks at images of 1 channels and 28 pixels, these have 1 and 8"),
    ],
)
def test_what_two_networks_cannot_have_is_named(flags: list[str], says: str, zoo_command: Zoo, tmp_path: Path) -> None:
    code, _, err = zoo_command("fit", "dcgan_digits", "--quiet", "--figures=false", "--trainer.accelerator=cpu", *flags)
    assert code == 2
    assert says in err
    assert not list(tmp_path.iterdir())


def test_samples_and_walks_are_written(zoo_command: Zoo, tmp_path: Path) -> None:
    code, out, _ = zoo_command("sample", "dcgan_digits", "--num", 10, "--seed", 1, "--files", "each", "--out", "a.png")
    assert code == 0
    assert "wrote a.png (10 images)" in out
    assert len(list((tmp_path / "each").iterdir())) == 10
    assert Image.open(tmp_path / "each" / "01.png").size == (8, 8)
    assert zoo_command("sample", "dcgan_digits", "--num", 10, "--seed", 1, "--out", "b.png")[0] == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    code, _, _ = zoo_command("sample", "dcgan_digits", "--num", 3, "--seed", 1, "--truncation", 0.3, "--files", "near")
    assert code == 0
    expected = weights.load("dcgan_digits", kind=DCGAN).sample(3, seed=1, truncation=0.3)
    for number, image in enumerate(expected, start=1):
        written = np.asarray(Image.open(tmp_path / "near" / f"{number}.png").convert("L"))
        assert (written == image[0].numpy()).all()
    code, out, _ = zoo_command("interpolate", "dcgan_digits", "--points", 3, "--frames", 4, "--num", 4)
    assert code == 0
    assert len(list(ImageSequence.Iterator(Image.open(tmp_path / "walk.gif")))) == 12


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["sample", "dcgan_digits", "--class", "7"], "knows no classes"),
        (["sample", "cnn_digits"], "makes no images, it is a CNN"),
        (["sample", "dcgan_digits", "--out", "a.jpg"], "--out is a.jpg, expected a name that ends in .png"),
        (["sample", "dcgan_digits", "--files", "."], "exists and is not an empty folder"),
        (["sample", "dcgan_digits", "--truncation", "-1"], "truncation is -1"),
        (["sample", "dcgan_digits", "--seed", "99999999999999999999"], "seed 99999999999999999999 is too large"),
        (["sample", "dcgan_digits", "--files", "no/where"], "no folder no to make where in"),
        (["lr-find", "dcgan_digits"], "DCGAN trains two networks"),
        (["interpolate", "dcgan_digits", "--points", "1"], "1 points"),
    ],
)
def test_bad_requests_are_named(arguments: list[str], says: str, zoo_command: Zoo, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    code, _, err = zoo_command(*arguments)
    assert code == 2
    assert says in err
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
