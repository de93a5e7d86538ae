"""What is measured of generated images: distances, precision and recall, classes; by hand and against torchmetrics."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning import Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics.image.fid import FrechetInceptionDistance

from datamodules import Digits
from zoo import weights
from zoo.errors import ZooError
from zoo.gan.calibration import calibrate
from zoo.gan.dcgan import DCGAN, ConditionalDCGAN
from zoo.gan.health import (
    FeatureNetwork,
    Seen,
    class_shares,
    compare,
    covered,
    frechet_distance,
    kernel_distance,
    missing_classes,
    prdc,
)
from zoo.gan.latent import draw_latent
from zoo.vision import CNN

from .small import SMALL, copied, images, unchanged


def test_frechet_distance_of_normal_features_is_known() -> None:
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(50_000, 3, generator=generator)
    fake = 2 * torch.randn(50_000, 3, generator=generator) + torch.tensor([1.0, 0.0, 2.0])
    # |mean|^2 = 5, and (1 - 2)^2 in each of three directions
    assert frechet_distance(real, fake) == pytest.approx(8, rel=0.02)
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-3)
    assert abs(float(kernel_distance(real[:5000], real[5000:10_000]))) < 0.05
    assert kernel_distance(real[:5000], fake[:5000]) > 1


def test_metrics_leave_the_random_numbers_alone() -> None:
    state = torch.random.get_rng_state()
    kernel_distance(torch.ones(20, 3), torch.zeros(20, 3))
    assert torch.equal(state, torch.random.get_rng_state())


def test_precision_recall_density_and_coverage_see_collapse_and_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(2500, 2, generator=generator)
    alike = prdc(real, torch.randn(2500, 2, generator=generator))
    assert min(alike["precision"], alike["recall"], alike["coverage"]) > 0.9
    assert alike["density"] == pytest.approx(1, abs=0.1)
    collapsed = prdc(real, real[:10].repeat(250, 1) + 1e-3 * torch.randn(2500, 2, generator=generator))
    assert collapsed["precision"] == 1
    assert collapsed["recall"] < 0.05
    assert collapsed["coverage"] < 0.05
    away = prdc(real, real + 100)
    assert [float(value) for value in away.values()] == [0, 0, 0, 0]


def test_density_and_coverage_by_hand() -> None:
    real, fake = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[0.5], [10.0], [10.5]])
    found = prdc(real, fake, neighbours=1)
    # balls of radius 1, 1 and 2: the first fake image lies in those of 0 and 1
    assert found["precision"] == pytest.approx(1 / 3)
    assert found["density"] == pytest.approx(2 / 3)
    assert found["coverage"] == pytest.approx(2 / 3)
    assert found["recall"] == pytest.approx(1)  # the ball about 0.5 reaches to 10


def test_classes_are_counted() -> None:
    shares = class_shares(torch.tensor([0] * 99 + [1]), 3)
    assert shares.tolist() == pytest.approx([0.99, 0.01, 0])
    assert covered(shares).tolist() == [True, False, False]


def test_feature_network_is_no_part_of_the_model(tmp_path: Path) -> None:
    model = DCGAN(**{**SMALL, "features": "cnn_digits"})
    before = model.state_dict().keys()
    fit = Trainer(
        max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu",
        enable_model_summary=False, default_root_dir=tmp_path, limit_train_batches=2, num_sanity_val_steps=0,
    )  # fmt: skip
    network = weights.load("cnn_digits")
    fit.fit(model, datamodule=Digits())
    assert model.state_dict().keys() == before
    assert model._feature_network is not None
    assert unchanged(model._feature_network._network, copied(network))
    assert not model._feature_network._network.training
    assert "cnn_fid" in {name.removeprefix("val_") for name in fit.callback_metrics}


def test_real_images_are_looked_at_once(tmp_path: Path) -> None:
    looked: list[int] = []
    model = DCGAN(**{**SMALL, "features": "cnn_digits"})
    model.setup("fit")
    network = model._feature_network
    assert network is not None
    look = network.look
    network.look = lambda images: looked.append(len(images)) or look(images)  # type: ignore[func-returns-value, method-assign]
    fit = Trainer(
        max_epochs=3, logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu",
        enable_model_summary=False, default_root_dir=tmp_path, limit_train_batches=2, num_sanity_val_steps=0,
    )  # fmt: skip
    data = Digits(eval_batch_size=90)
    fit.fit(model, datamodule=data)
    count = len(data.splits["val"][0])
    assert looked == [90, 90, count, count, count]


def test_distance_equals_that_of_torchmetrics_with_the_classifier() -> None:
    model = DCGAN(**{**SMALL, "features": "cnn_digits"})
    data = Digits()
    fit = Trainer(logger=False, enable_progress_bar=False, accelerator="cpu", enable_model_summary=False)
    found = fit.test(model, datamodule=data, verbose=False)[0]
    classifier = weights.load("cnn_digits", kind=CNN)

    class Features(nn.Module):
        num_features = 128

        def forward(self, shown: Tensor) -> Tensor:
            return classifier.features(shown)

    real = data.splits["test"][0]
    fid = FrechetInceptionDistance(Features())
    with torch.no_grad():
        fid.update(real, real=True)
        latent = draw_latent(len(real), 6, torch.Generator().manual_seed(0))
        fid.update((model(latent) * 255).round().byte(), real=False)
    assert found["test_cnn_fid"] == pytest.approx(float(fid.compute()), rel=1e-4)
    assert found["test_samples"] == len(real)


def test_calibration_orders_generators_as_one_would() -> None:
    data = Digits()
    found = calibrate(data.splits["train"], data.splits["test"], FeatureNetwork("cnn_digits", 1, 8))
    distances = [found[name]["cnn_fid"] for name in ("real train", "Gaussian by class", "Gaussian")]
    assert distances == sorted(distances)
    assert found["100 memorised"]["recall"] < found["real train"]["recall"]


def test_aborted_evaluation_leaves_nothing_behind() -> None:
    model = DCGAN(**{**SMALL, "features": "cnn_digits"})
    loader = DataLoader(TensorDataset(images(40)), 20)
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    whole = Trainer(accelerator="cpu", **quiet).validate(model, loader, verbose=False)[0]
    look, calls = FeatureNetwork.look, []

    def fails(self: FeatureNetwork, shown: Tensor) -> Any:
        calls.append(len(shown))
        if len(calls) == 2:
            raise RuntimeError("no more")
        return look(self, shown)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FeatureNetwork, "look", fails)
        with pytest.raises(RuntimeError, match="no more"):
            Trainer(accelerator="cpu", **quiet).validate(model, loader, verbose=False)
    assert Trainer(accelerator="cpu", **quiet).validate(model, loader, verbose=False)[0] == whole


def test_inception_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchmetrics.image.fid._TORCH_FIDELITY_AVAILABLE", False)
    with pytest.raises(ZooError, match="pip install torch-fidelity"):
        FeatureNetwork("inception", 1, 28)
    assert DCGAN(features="inception").metric == "inception_fid"


def test_figures_of_classes_by_hand() -> None:
    features = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    real = Seen(features, torch.arange(40) % 4)
    fake = Seen(features, torch.arange(40) % 2)
    found = compare(real, fake, "cnn", 4)
    assert found["classes_covered"] == 2
    assert float(found["class_kl"]) == pytest.approx(math.log(2), rel=1e-5)
    assert missing_classes(real, fake, ["a", "b", "c", "d"]) == ["c", "d"]
    assert compare(real, real, "cnn", 4)["classes_covered"] == 4


def test_part_that_is_compared_holds_all_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.gan.health._MOST_COMPARED", 1000)
    far_apart = torch.eye(10).repeat(200, 1) * 100 + torch.randn(2000, 10, generator=torch.Generator().manual_seed(0))
    others = far_apart.flip(0) + 0.01
    found = compare(Seen(far_apart, None), Seen(others, None), "cnn", 0)
    assert min(found["recall"], found["coverage"]) > 0.9


@pytest.mark.parametrize(("shift", "least", "most"), [(0, 0.95, 1.0), (1, 0.0, 0.05)])
def test_asked_class_is_the_share_that_is_recognised(
    shift: int, least: float, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Digits()
    pictures, labels = data.splits["train"]
    first = torch.stack([(labels == number).nonzero()[0, 0] for number in range(10)])
    model = ConditionalDCGAN(**{**SMALL, "features": "cnn_digits", "classes": data.classes})
    monkeypatch.setattr(model, "make", lambda latent, asked: pictures[first[(asked + shift) % 10]])
    (figures,) = Trainer(logger=False, accelerator="cpu", enable_progress_bar=False).validate(
        model, data, verbose=False
    )
    assert least <= figures["val_asked_class"] <= most


def test_inception_takes_three_channels_and_names_its_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    class Inception(nn.Module):
        def forward(self, pictures: Tensor) -> Tensor:
            assert pictures.shape[1:] == (3, 8, 8)
            assert pictures.dtype == torch.uint8
            return pictures.flatten(1).float()[:, :4]

    monkeypatch.setattr("zoo.gan.health.FrechetInceptionDistance", lambda size: SimpleNamespace(inception=Inception()))
    network = FeatureNetwork("inception", 1, 8)
    seen = network.look(images())
    assert seen.labels is None
    assert seen.features.shape == (16, 4)
    assert DCGAN(**{**SMALL, "features": "inception"}).metric == "inception_fid"
