"""``zoo classify``: which files it takes, what it writes, what it draws and what it explains."""

import csv
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import Zoo
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn

import zoo
from datamodules import Digits
from zoo import weights
from zoo.commands import classify
from zoo.drawing import SheetPicture
from zoo.vision.cnn import CNN
from zoo.vision.grad_cam import GradCAM


@pytest.fixture(scope="module")
def digits() -> Tensor:
    """Real pictures of digits."""
    return Digits().splits["test"][0]


@pytest.fixture
def photos(tmp_path: Path, digits: Tensor) -> Path:
    """A folder such as people have: subfolders, numbers of one and two figures, things that are no pictures."""
    folder = tmp_path / "photos"
    for place, name in enumerate(("10.png", "9.png", "More/2.png", "b.png", ".hidden.png", ".cache/1.png")):
        save(digits[place], folder / name)
    (folder / "notes.txt").write_text("no picture")
    (folder / "More" / "broken.png").write_bytes((folder / "b.png").read_bytes()[:50])
    return folder


def save(image: Tensor, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image[0].numpy()).save(path)
    return path


def images_of(table: Path) -> list[str]:
    return [row["image"] for row in csv.DictReader(table.open()) if row["rank"] == "1"]


@pytest.mark.usefixtures("photos")
def test_folders_give_all_their_pictures_in_natural_order(zoo_command: Zoo, tmp_path: Path) -> None:
    code, out, err = zoo_command("classify", "cnn_digits", "photos", "--csv", "out.csv")
    assert code == 0
    found = images_of(tmp_path / "out.csv")
    assert found == ["photos/9.png", "photos/10.png", "photos/b.png", "photos/More/2.png"]
    assert all(name in out for name in found)
    assert err == (
        "zoo: skipped 2 of 6 files, not readable as pictures: photos/More/broken.png, photos/notes.txt; for one, "
        "photos/More/broken.png is damaged: image file is truncated\n"
    )


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("photos/*.png", ["9.png", "10.png", "b.png"]),
        ("photos/**/[0-9].png", ["9.png", "More/2.png"]),
        ("photos/**", ["9.png", "10.png", "b.png", "More/2.png"]),
        ("photos/M*", ["More/2.png"]),
        ("photos/.cache/*", [".cache/1.png"]),
    ],
)
def test_patterns(zoo_command: Zoo, tmp_path: Path, pattern: str, names: list[str]) -> None:
    code, _, _ = zoo_command("classify", "cnn_digits", tmp_path / pattern, "--csv", "out.csv")
    assert code == 0
    assert images_of(tmp_path / "out.csv") == [str(tmp_path / "photos" / name) for name in names]


def test_file_whose_name_is_a_pattern_is_that_file(zoo_command: Zoo, tmp_path: Path, digits: Tensor) -> None:
    save(digits[0], tmp_path / "digit[1].png")
    code, out, _ = zoo_command("classify", "cnn_digits", "digit[1].png")
    assert (code, "digit[1].png" in out) == (0, True)


def test_batches_change_nothing(zoo_command: Zoo, tmp_path: Path, digits: Tensor) -> None:
    for place, image in enumerate(digits[:70]):
        save(image, tmp_path / "many" / f"{place}.png")
    code, out, _ = zoo_command("classify", "cnn_digits", "many", "--top", 1, "--csv", "out.csv")
    assert code == 0
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert [row["image"] for row in rows] == [f"many/{place}.png" for place in range(70)]
    expected = zoo.load("cnn_digits").probabilities(digits[:70]).amax(1)
    torch.testing.assert_close(torch.tensor([float(row["probability"]) for row in rows]), expected, rtol=0, atol=1e-5)
    head, *lines = out.splitlines()
    assert head.split() == ["image", "class", "probability"]
    assert len(lines) == 70
    assert {len(line) for line in lines} == {len(head)}, "all batches have the same columns"


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["cnn_digits", "photos/*.gif"], "no file matches 'photos/*.gif'"),
        (["cnn_digits", "gone/**/*.png"], "no file matches 'gone/**/*.png'"),
        (["cnn_digits", "photos/.cache"], "none of the 1 files found can be read as a picture"),
        (["cnn_digits", "empty"], "no file in the folder empty"),
        (["cnn_digits", "photos", "gone.png"], "no file gone.png"),
        (["cnn_digits", "photos/notes.txt"], "photos/notes.txt is no image that can be read"),
        (["cnn_digits", "photos", "--csv", "empty"], "--csv empty is a folder, expected a file to write"),
        (["cnn_digits", "photos", "--csv", "gone/out.csv"], "no folder gone to write out.csv into"),
        (["cnn_digits", "photos", "--plot", "gone/out.png"], "no folder gone to write out.png into"),
        (["cnn_digits", "photos", "--plot", "out.gif"], "--plot is out.gif, expected a name that ends in .png"),
        (["cnn_digits", "photos", "--plot", "o.png", "--csv", "o.png"], "--csv and --plot both name o.png"),
        (["cnn_digits", "photos", "--plot", "photos/b.png"], "photos/b.png is among the pictures to classify"),
        (["cnn_digits", "photos", "--explain"], "add --plot OUT.png"),
        (["dense_fashion_mnist", "photos", "--explain", "--plot", "o.png"], "Dense has no convolutions"),
    ],
)
def test_bad_input_is_told_in_one_line_before_anything_is_written(
    zoo_command: Zoo, tmp_path: Path, arguments: list[str], told: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "photos/.cache/1.png").write_bytes(b"no picture")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    code, out, err = zoo_command("classify", *arguments)
    assert code == 2
    assert out == ""
    assert told in err
    assert len(err.splitlines()) == 1
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_failure_leaves_the_files_of_an_earlier_call_alone(zoo_command: Zoo, tmp_path: Path, photos: Path) -> None:
    (tmp_path / "out.csv").write_text("earlier")
    code, _, _ = zoo_command("classify", "cnn_digits", "photos", photos / "notes.txt", "--csv", "out.csv")
    assert code == 2
    assert (tmp_path / "out.csv").read_text() == "earlier"


@pytest.mark.usefixtures("photos")
def test_model_that_names_no_classes_is_refused(zoo_command: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "load", lambda name, device: SimpleNamespace(image_size=8, in_channels=1))
    code, _, err = zoo_command("classify", "backbone", "photos")
    assert (code, "'backbone' names no classes" in err) == (2, True)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The contact sheets that a command draws."""
    figures: list[Figure] = []
    draw = classify.draw_contact_sheet

    def noted(pictures: Sequence[SheetPicture], heading: str) -> Figure:
        figures.append(draw(pictures, heading))
        return figures[-1]

    monkeypatch.setattr(classify, "draw_contact_sheet", noted)
    return figures


def test_contact_sheet_shows_pictures_with_names(
    zoo_command: Zoo, tmp_path: Path, digits: Tensor, drawn: list[Figure]
) -> None:
    for place, image in enumerate(digits[:50]):
        save(image, tmp_path / "many" / f"{place}.png")
    code, _, _ = zoo_command("classify", "cnn_digits", "many", "--plot", "sheet.png")
    assert code == 0
    assert drawn[0].get_suptitle() == "cnn_digits: the first 48 of 50 pictures"
    model = zoo.load("cnn_digits")
    names = [axes.get_xlabel().splitlines()[0] for axes in drawn[0].axes]
    assert names == model.classify(digits[:48])
    assert Image.open(tmp_path / "sheet.png").width > 1000


def test_contact_sheet_keeps_proportions(zoo_command: Zoo, tmp_path: Path, drawn: list[Figure]) -> None:
    picture = Image.new("RGB", (90, 30))
    picture.save(tmp_path / "wide.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    picture.save(tmp_path / "upright.jpg", exif=turned)
    code, _, _ = zoo_command("classify", "cnn_digits", "wide.png", "upright.jpg", "--plot", "sheet.png")
    assert code == 0
    assert [axes.get_aspect() for axes in drawn[0].axes] == [pytest.approx(1 / 3), pytest.approx(3)]


def test_explained_sheet_of_a_model_of_two_classes(zoo_command: Zoo, tmp_path: Path, photos: Path) -> None:
    torch.manual_seed(0)
    model = CNN(in_channels=3, image_size=16, num_classes=2, classes=["no", "yes"]).eval()
    weights.save(model, tmp_path / "binary", {}, {"input": torch.zeros(2, 3, 16, 16, dtype=torch.uint8)})
    pictures = [tmp_path / "plain.png", tmp_path / "coloured.png"]
    for path, flags in zip(pictures, ([], ["--explain"]), strict=True):
        code, _, _ = zoo_command("classify", "binary", photos / "9.png", photos / "b.png", "--plot", path, *flags)
        assert code == 0
    plain, coloured = (np.asarray(Image.open(path).convert("RGB")).astype(int) for path in pictures)
    assert np.ptp(plain, axis=2).max() == 0, "pictures of digits are grey"
    assert np.ptp(coloured, axis=2).max() > 100


def test_explaining_names_the_missing_package(zoo_command: Zoo, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classify, "find_spec", lambda name: None)
    code, _, err = zoo_command("classify", "cnn_digits", photos, "--plot", "sheet.png", "--explain")
    assert (code, "lightning-zoo[explain]" in err) == (2, True)


class Brightness(nn.Module):
    """Says yes to bright images, or no if ``sign`` is negative; for 2 classes with 1 or 2 logits."""

    def __init__(self, sign: float, num_logits: int) -> None:
        super().__init__()
        keep, squeezed = nn.Conv2d(1, 1, 3, padding=1, bias=False), nn.Conv2d(1, 1, 1, bias=False)
        decide = nn.Linear(1, num_logits, bias=False)
        nn.init.dirac_(keep.weight)
        nn.init.dirac_(squeezed.weight)
        with torch.no_grad():
            decide.weight.copy_(torch.tensor([[sign], [-sign]])[:num_logits])
        self.network = nn.Sequential(
            keep, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), squeezed, nn.Flatten(), decide
        )

    def take(self, images: Tensor) -> Tensor:
        return images

    def normalise(self, images: Tensor) -> Tensor:
        return images / 255

    def forward(self, images: Tensor) -> Tensor:
        return self.network(self.normalise(images))

    def example_input(self) -> Tensor:
        return torch.zeros(1, 1, 8, 8, dtype=torch.uint8)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("num_logits", [1, 2])
def test_heat_lies_on_what_the_predicted_class_is_seen_in(sign: float, num_logits: int) -> None:
    images = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    images[0, :, 1:3, 5:7] = 250
    images[1, :, 6:, :2] = 100
    heat = GradCAM(Brightness(sign, num_logits).eval())(images)
    torch.testing.assert_close(heat[:2], (images[:2] > 0).float())
    assert torch.equal(heat[2], torch.zeros(1, 8, 8)), "in a black image there is nothing to see"
