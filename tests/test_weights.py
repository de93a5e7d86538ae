"""What is loaded from disk is untrusted: damage is named, code is refused, and every honest file loads."""

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

import zoo
from datamodules import Iris
from zoo import weights
from zoo.errors import ZooError
from zoo.vision.dense import Dense


@pytest.fixture(scope="module")
def python_made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Dense]:
    """A checkpoint that a Python program wrote, and its model."""
    folder = tmp_path_factory.mktemp("python")
    data = Iris()
    model = Dense(in_features=4, num_classes=3, classes=data.classes, mean=data.mean, std=data.std, hidden_size=8)
    trainer = Trainer(
        max_epochs=1, logger=False, enable_progress_bar=False, enable_model_summary=False, accelerator="cpu",
        callbacks=[ModelCheckpoint(folder, filename="mine")],
    )  # fmt: skip
    trainer.fit(model, datamodule=data)
    return folder / "mine.ckpt", model.eval()


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Published weights of an untrained model."""
    model = Dense(in_features=4, num_classes=3)
    weights.save(model, tmp_path / "published", {"recipe": "mine"}, {"input": torch.rand(2, 4)})
    return tmp_path / "published"


def test_checkpoint_made_by_python_loads_alone(python_made: tuple[Path, Dense]) -> None:
    path, model = python_made
    flowers = Iris().splits["test"][0]
    assert torch.equal(zoo.load(path)(flowers), model(flowers))
    assert zoo.load(path, kind=Dense).classify(flowers[:3]) == model.classify(flowers[:3])


def test_checkpoint_made_by_python_resumes_from_the_command_line(
    python_made: tuple[Path, Dense], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo.cli import main

    monkeypatch.chdir(tmp_path)
    flags = [
        "--model.hidden_size=8",
        "--model.schedule=constant",
        "--trainer.max_epochs=2",
        "--quiet",
        "--figures=false",
    ]
    assert main(["fit", "dense_iris", "--ckpt_path", str(python_made[0]), *flags]) == 0


def test_lightning_itself_loads_our_checkpoints(python_made: tuple[Path, Dense]) -> None:
    path, model = python_made
    again = Dense.load_from_checkpoint(path, weights_only=True)
    assert torch.equal(again.state_dict()["network.5.weight"], model.state_dict()["network.5.weight"])


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999])
def test_flipped_bit_anywhere_in_a_checkpoint_is_named(
    python_made: tuple[Path, Dense], tmp_path: Path, share: float
) -> None:
    damaged = tmp_path / "damaged.ckpt"
    weights.write_checkpoint(torch.load(python_made[0], weights_only=True), damaged)
    assert zoo.load(damaged)
    content = bytearray(damaged.read_bytes())
    content[int(len(content) * share)] ^= 4
    damaged.write_bytes(content)
    with pytest.raises(ZooError, match="damaged"):
        zoo.load(damaged)


def test_flipped_bit_in_the_tensors_of_a_foreign_checkpoint_is_named(
    python_made: tuple[Path, Dense], tmp_path: Path
) -> None:
    content = bytearray(python_made[0].read_bytes())
    tensor = zoo.load(python_made[0]).state_dict()["network.5.weight"].numpy().tobytes()
    content[content.index(tensor) + 5] ^= 1
    (tmp_path / "damaged.ckpt").write_bytes(content)
    with pytest.raises(ZooError, match=r"is damaged: the checksum of .* does not match"):
        zoo.load(tmp_path / "damaged.ckpt")


def test_truncated_checkpoint_is_named(python_made: tuple[Path, Dense], tmp_path: Path) -> None:
    (tmp_path / "short.ckpt").write_bytes(python_made[0].read_bytes()[:2000])
    with pytest.raises(ZooError, match="is damaged or no checkpoint"):
        zoo.load(tmp_path / "short.ckpt")


class Evil:
    """Runs a command when unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


@pytest.mark.parametrize("packed", [True, False], ids=["torch archive", "bare pickle"])
def test_pickle_that_would_execute_code_is_refused(tmp_path: Path, packed: bool) -> None:
    proof = tmp_path / "executed"
    path = tmp_path / "evil.ckpt"
    evil = {"state_dict": {}, "class_path": "zoo.vision.Dense", "extra": Evil(f"touch {proof}")}
    if packed:
        torch.save(evil, path)
    else:
        path.write_bytes(pickle.dumps(evil))
    with pytest.raises(ZooError, match="refused" if packed else "no checkpoint"):
        zoo.load(path)
    assert not proof.exists()


@pytest.mark.parametrize("class_path", ["os.system", "subprocess.Popen", "torch.nn.Linear", "zoo.weights.load"])
def test_card_cannot_name_other_classes(published: Path, class_path: str) -> None:
    card = (published / "card.json").read_text()
    (published / "card.json").write_text(card.replace("zoo.vision.Dense", class_path))
    with pytest.raises(ZooError, match="refused"):
        zoo.load(published)


@pytest.mark.parametrize("file", ["model.safetensors", "golden.safetensors", "card.json"])
@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_damaged_published_file_is_named(published: Path, file: str, damage: str) -> None:
    path = published / file
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-20])
    read = weights.load_golden if file.startswith("golden") else weights.load_published
    with pytest.raises(ZooError, match=file):
        read(published)


def test_flipped_bit_in_published_weights_is_named(published: Path) -> None:
    path = published / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(ZooError, match=r"model\.safetensors is damaged, or of another version than its card: sha256"):
        zoo.load(published)


def test_saving_again_replaces_everything_at_once(published: Path) -> None:
    (published / "stale").touch()
    weights.save(Dense(in_features=2, num_classes=2), published, {"recipe": "new"}, {"input": torch.rand(1, 2)})
    assert {path.name for path in published.iterdir()} == {"model.safetensors", "golden.safetensors", "card.json"}
    assert zoo.load(published).in_features == 2
    assert [path.name for path in published.parent.iterdir()] == ["published"]


def test_published_weights_work_from_any_folder(published: Path, tmp_path: Path) -> None:
    shutil.move(published, tmp_path / "elsewhere")
    assert zoo.load(tmp_path / "elsewhere").num_classes == 3


def test_create_builds_untrained_models_of_other_sizes() -> None:
    model = zoo.create("cnn_digits", num_classes=5, in_channels=3)
    assert model(torch.zeros(2, 3, model.image_size, model.image_size, dtype=torch.uint8)).shape == (2, 5)
    with pytest.raises(ZooError, match="takes no argument 'dropot'; did you mean 'dropout'"):
        zoo.create("cnn_digits", dropot=0.1)
