"""Linear probes: the head of each epoch is scikit-learn's logistic regression at that epoch's penalty."""

from typing import Any

import numpy as np
import pytest
import torch
from lightning import Trainer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from datamodules import ImageFolder, Shapes
from zoo.errors import ZooError
from zoo.vision import LinearProbe

from .test_transfer import CountImages, copy_of, fit, shapes


def build(**arguments: Any) -> LinearProbe:
    torch.manual_seed(1)
    return LinearProbe(**{"weights": None, "backbone": "mobilenetv2_035", "num_classes": 6, **arguments})


def two_kinds() -> Shapes:
    """The first two of six kinds of shapes, as the only ones."""
    data = shapes()
    for split, (images, labels) in data.splits.items():
        data.splits[split] = (images[labels < 2], labels[labels < 2])
    return data


def features(model: LinearProbe, data: Any, split: str) -> tuple[np.ndarray, np.ndarray]:
    images, labels = data.splits[split]
    with torch.inference_mode():
        return model.features(images[:]).double().numpy(), labels.numpy()


@pytest.mark.parametrize("classes", [2, 6])
@pytest.mark.parametrize("penalty", [100.0, 1.0])
def test_head_is_that_of_scikit_learn(classes: int, penalty: float) -> None:
    data, model = two_kinds() if classes == 2 else shapes(), build(num_classes=classes, penalties=[1000.0, penalty])
    fit(model, 2, data=data)
    rows, labels = features(model, data, "train")
    others, _ = features(model, data, "test")
    scaler = StandardScaler().fit(rows)
    theirs = LogisticRegression(C=1 / penalty, max_iter=5000, tol=1e-8).fit(scaler.transform(rows), labels)
    ours = model.eval().probabilities(data.splits["test"][0][:]).numpy()
    np.testing.assert_allclose(ours, theirs.predict_proba(scaler.transform(others)), atol=2e-3)


def test_backbone_stays_and_features_are_computed_once() -> None:
    model = build()
    before, count = copy_of(model.network.backbone), CountImages(model)
    fit(model, 5, [count])
    assert count.seen == 60 + 30
    assert all(torch.equal(value, before[name]) for name, value in model.network.backbone.state_dict().items())


def test_copies_are_beside_the_images_as_they_are() -> None:
    model = build(flip=True, rotation=30, augmented_copies=2)
    count = CountImages(model)
    fit(model, 2, [count])
    assert count.seen == 3 * 60 + 30
    plain = build()
    fit(plain, 2)
    assert not torch.equal(plain.network.head[-1].weight, model.network.head[-1].weight)  # type: ignore[arg-type]


def test_nothing_changes_after_the_last_penalty() -> None:
    heads = []
    for epochs in (2, 4):
        model = build(penalties=[100.0, 10.0])
        fit(model, epochs)
        heads.append(copy_of(model.network.head))
    for name, value in heads[0].items():
        assert torch.equal(value, heads[1][name])


def test_constant_features_do_no_harm() -> None:
    data = shapes()
    for split, (images, labels) in data.splits.items():
        data.splits[split] = (torch.zeros_like(images), labels)
    model = build(penalties=[1.0])
    fit(model, 1, data=data)
    counts = torch.bincount(data.splits["train"][1], minlength=6).float()
    found = model.eval().probabilities(data.splits["test"][0][:1])
    torch.testing.assert_close(found, (counts / counts.sum())[None], atol=1e-2, rtol=0)


@pytest.mark.parametrize("penalties", [[], [0.0], [10.0, -1.0], [float("inf")]])
def test_penalties_are_above_zero(penalties: list[float]) -> None:
    with pytest.raises(ZooError, match="expected numbers above 0"):
        build(penalties=penalties)


def test_every_class_needs_a_training_image() -> None:
    data = shapes()
    images, labels = data.splits["train"]
    data.splits["train"] = (images[labels != 3], labels[labels != 3])
    with pytest.raises(ZooError, match="no training image is of class 3"):
        fit(build(), 1, data=data)


def test_probe_is_tested_as_it_was_validated(tmp_path: Any) -> None:
    from tiny import photos

    data = ImageFolder(str(photos()), image_size=48, cache=str(tmp_path))
    model = build(num_classes=data.num_classes, image_size=48, classes=data.classes)
    trainer: Trainer = fit(model, 3, data=data)
    (figures,) = trainer.test(model, datamodule=data, verbose=False)
    assert 0 <= figures["test_accuracy"] <= 1
