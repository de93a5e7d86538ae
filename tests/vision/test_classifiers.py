"""The image classifiers."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from conftest import ROOT
from lightning import Trainer

from datamodules import FashionMNIST
from zoo import weights
from zoo.errors import ZooError
from zoo.vision.augmentation import Augmentation
from zoo.vision.cnn import CNN
from zoo.vision.dense import Dense
from zoo.vision.distillation import Distillation
from zoo.vision.normalisation import normalise

IMAGES = torch.randint(0, 256, (6, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

FLIP = Augmentation(shift=0, rotation=0, shear=0, zoom=0)
SHIFT = Augmentation(flip=False, shift=2, rotation=0, shear=0, zoom=0)


@pytest.mark.parametrize(("model", "parameters"), [(Dense(), 101_770), (CNN(), 421_642)], ids=["Dense", "CNN"])
def test_networks_of_the_notes_have_their_parameters(model: torch.nn.Module, parameters: int) -> None:
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert model(IMAGES).shape == (6, 10)


def test_model_owns_its_normalisation() -> None:
    model = Dense(mean=[0.25], std=[0.5])
    by_hand = (IMAGES.float() / 255 - 0.25) / 0.5
    torch.testing.assert_close(model.normalise(IMAGES), by_hand)
    features = Dense(in_features=2, mean=[1.0, 2.0], std=[1.0, 4.0]).normalise(torch.tensor([[3.0, 6.0]]))
    assert features.tolist() == [[2.0, 1.0]]


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_channels_are_normalised_each_by_its_own(memory_format: torch.memory_format, dtype: torch.dtype) -> None:
    images = torch.randint(0, 256, (6, 3, 31, 31), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    mean, std = torch.tensor([0.1, 0.4, 0.7], dtype=dtype), torch.tensor([0.2, 0.3, 0.6], dtype=dtype)
    found = normalise(images.to(memory_format=memory_format), mean, std)
    assert found.is_contiguous(memory_format=memory_format)
    by_hand = (images.double() / 255 - mean.double().view(3, 1, 1)) / std.double().view(3, 1, 1)
    bound = 0.03 if dtype == torch.bfloat16 else 1e-5
    torch.testing.assert_close(found, by_hand.to(dtype), rtol=bound, atol=bound)


def test_two_classes_get_one_logit_and_a_sigmoid() -> None:
    model = Dense(num_classes=2, classes=["no", "yes"]).eval()
    logits = model(IMAGES)
    assert logits.shape == (6, 1)
    probabilities = model.probabilities(IMAGES)
    torch.testing.assert_close(probabilities[:, 1:], logits.sigmoid())
    torch.testing.assert_close(probabilities.sum(1), torch.ones(6))
    assert model.classify(IMAGES) == ["yes" if logit > 0 else "no" for logit in logits.squeeze(1).tolist()]
    labels = torch.tensor([0, 1, 1, 0, 1, 0])
    two_logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
    torch.testing.assert_close(
        model.loss(logits, labels, 0.1), F.cross_entropy(two_logits, labels, label_smoothing=0.1)
    )


def test_channels_last_changes_the_memory_not_the_result() -> None:
    model = CNN().eval()
    before = model(IMAGES)
    model.channels_last = True
    model.setup("validate")
    assert model.normalise(IMAGES.expand(-1, 3, -1, -1)).is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(model(IMAGES), before, rtol=1e-4, atol=1e-5)


def test_shift_moves_each_image_by_whole_pixels_and_repeats_the_border() -> None:
    torch.manual_seed(0)
    moved = SHIFT(IMAGES)
    padded = F.pad(IMAGES.float(), (2, 2, 2, 2), mode="replicate").byte()
    places = []
    for before, after in zip(padded, moved, strict=True):
        found = [(y, x) for y in range(5) for x in range(5) if torch.equal(before[:, y : y + 28, x : x + 28], after)]
        assert len(found) == 1
        places += found
    assert len(set(places)) > 1, "every image has its own draw"


def test_flip_mirrors_about_half_of_the_images() -> None:
    torch.manual_seed(0)
    images = IMAGES[:1].expand(400, -1, -1, -1)
    flipped = FLIP(images)
    mirrored = [not torch.equal(image, IMAGES[0]) for image in flipped]
    assert 150 < sum(mirrored) < 250
    assert torch.equal(flipped[mirrored.index(True)], IMAGES[0].flip(-1))


def test_classes_must_fit() -> None:
    with pytest.raises(ZooError, match="expected at least two and a name for each"):
        Dense(num_classes=3, classes=["a", "b"])
    with pytest.raises(ZooError, match="too small for 2 convolutions"):
        CNN(image_size=3)


def test_distilled_labels_mix_teacher_and_truth(tmp_path: Path) -> None:
    data = FashionMNIST(str(ROOT / "data"), train_size=40)
    teacher = CNN(classes=data.classes).eval()
    weights.save(teacher, tmp_path / "teacher", {}, {"input": IMAGES[:2]})
    images, truth = data.splits["train"]
    student = Dense(classes=data.classes)
    trainer = Trainer(
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        accelerator="cpu",
        callbacks=[Distillation(str(tmp_path / "teacher"), share=0.75)],
    )
    trainer.fit(student, datamodule=data)
    labels = data.splits["train"][1]
    torch.testing.assert_close(labels, 0.75 * teacher.probabilities(images) + 0.25 * F.one_hot(truth, 10))
    assert 0 <= trainer.callback_metrics["train_accuracy"] <= 1


def test_teacher_must_know_the_classes(tmp_path: Path) -> None:
    weights.save(CNN().eval(), tmp_path / "teacher", {}, {"input": IMAGES[:2]})
    student = Dense(classes=FashionMNIST.classes)
    callback = Distillation(str(tmp_path / "teacher"))
    trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu", callbacks=[callback])
    with pytest.raises(ZooError, match="does not tell the classes"):
        trainer.fit(student, datamodule=FashionMNIST(str(ROOT / "data"), train_size=40))


def test_probabilities_as_labels_equal_class_numbers() -> None:
    labels = torch.tensor([0, 1, 1, 0, 1, 0])
    for model in (Dense(num_classes=2), Dense(num_classes=3)):
        logits = model(IMAGES)
        soft = F.one_hot(labels, model.num_classes).float()
        torch.testing.assert_close(model.loss(logits, soft, 0.1), model.loss(logits, labels, 0.1))
