"""Adversarial networks: who learns when, what is measured, what is drawn."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Zoo
from lightning import Trainer
from lightning.pytorch.strategies import SingleDeviceStrategy
from PIL import Image, ImageSequence
from tiny import tiny_cli
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics.image.fid import FrechetInceptionDistance

from datamodules import Digits
from zoo import weights
from zoo.errors import ZooError
from zoo.gan.averaging import share_gradients
from zoo.gan.calibration import calibrate
from zoo.gan.dcgan import DCGAN, ConditionalDCGAN
from zoo.gan.diagnosis import diagnose
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
from zoo.gan.latent import draw_latent, walk
from zoo.gan.networks import Discriminator, Generator, constant
from zoo.gan.sampling import slug
from zoo.gan.wgan import WGAN, WGANGP

SMALL: dict[str, Any] = {"image_size": 8, "latent_size": 6, "width": 4, "features": None}
BUILD: dict[str, Any] = {
    "DCGAN": lambda **more: DCGAN(**{**SMALL, **more}),
    "saturating": lambda **more: DCGAN(**{**SMALL, "loss": "saturating", **more}),
    "conditional": lambda **more: ConditionalDCGAN(**{**SMALL, **more}),
    "WGAN": lambda **more: WGAN(**{**SMALL, **more}),
    "WGANGP": lambda **more: WGANGP(**{**SMALL, **more}),
}
every_gan = pytest.mark.parametrize("kind", BUILD)


def images(count: int = 16, channels: int = 1, size: int = 8) -> Tensor:
    return torch.randint(0, 256, (count, channels, size, size), generator=torch.Generator().manual_seed(0)).byte()


def batch(count: int = 16) -> tuple[Tensor, Tensor]:
    return images(count), torch.arange(count) % 10


def trainer(tmp_path: Path, **settings: Any) -> Trainer:
    return Trainer(
        max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu",
        enable_model_summary=False, default_root_dir=tmp_path, limit_val_batches=0, **settings,
    )  # fmt: skip


def copied(module: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in module.state_dict().items()}


def unchanged(module: nn.Module, before: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


class Watch(Digits):
    """Digits in one batch an epoch."""

    def train_dataloader(self) -> Any:
        return DataLoader([batch()], batch_size=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [28, 32])
@pytest.mark.parametrize("detail", [0, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_networks_work_alone_in_all_sizes(size: int, channels: int, detail: int) -> None:
    made = Generator(10, channels, size, width=4, detail_width=detail)(torch.randn(3, 10))
    assert made.shape == (3, channels, size, size)
    assert made.abs().max() <= 1
    assert Discriminator(channels, size, width=4, detail_width=detail)(made).shape == (3,)
    asked = torch.tensor([0, 1, 1])
    made = Generator(10, channels, size, width=4, detail_width=detail, num_classes=2)(torch.randn(3, 10), asked)
    assert Discriminator(channels, size, width=4, detail_width=detail, num_classes=2)(made, asked).shape == (3,)


@every_gan
def test_while_one_network_trains_the_other_stays_constant(kind: str, tmp_path: Path) -> None:
    seen: list[str] = []
    model = BUILD[kind](critic_steps=1)
    step = model._step

    def watched(name: str, network: nn.Module, optimizer: Any, loss: Tensor) -> None:
        other = model.generator if name == "discriminator" else model.discriminator
        before, mine, average = copied(other), copied(network), copied(model.average)
        gradients = [None if one.grad is None else one.grad.clone() for one in other.parameters()]
        seen.append(name)
        step(name, network, optimizer, loss)
        assert unchanged(other, before)
        for parameter, gradient in zip(other.parameters(), gradients, strict=True):
            assert parameter.grad is None if gradient is None else torch.equal(parameter.grad, gradient)
        assert unchanged(model.average, average)
        assert all(not torch.equal(mine[key], value) for key, value in network.named_parameters())
        assert all(parameter.grad is not None for parameter in network.parameters())

    model._step = watched
    trainer(tmp_path).fit(model, datamodule=Watch())
    assert seen == ["discriminator", "generator"]


@every_gan
def test_statistics_of_the_other_network_do_not_move_either(kind: str) -> None:
    model = BUILD[kind]()
    real, labels = model.to_signed(batch()[0]), model._labels(batch())
    generator, discriminator = copied(model.generator), copied(model.discriminator)
    model._discriminator_loss(real, labels)
    assert unchanged(model.generator, generator)
    has_statistics = any(True for _ in model.discriminator.buffers())
    assert unchanged(model.discriminator, discriminator) == (not has_statistics)
    discriminator = copied(model.discriminator)
    model._generator_loss(8, labels[:8] if labels is not None else None)
    assert unchanged(model.discriminator, discriminator)
    assert not unchanged(model.generator, generator)


@every_gan
def test_discriminator_step_builds_no_graph_of_the_generator(kind: str) -> None:
    model = BUILD[kind]()
    model._discriminator_loss(model.to_signed(batch()[0]), model._labels(batch())).backward()
    assert all(parameter.grad is None for parameter in model.generator.parameters())
    grown: list[bool] = []
    model.generator.register_forward_hook(lambda module, inputs, made: grown.append(made.requires_grad))
    model._discriminator_loss(model.to_signed(batch()[0]), model._labels(batch()))
    model._generator_loss(16, model._labels(batch()))
    assert grown == [False, True]


def test_constant_restores_what_it_froze() -> None:
    network = Discriminator(1, 8, width=4)
    network.dense.weight.requires_grad_(False)
    with constant(network):
        assert not any(parameter.requires_grad for parameter in network.parameters())
    assert [name for name, parameter in network.named_parameters() if not parameter.requires_grad] == ["dense.weight"]
    assert all(module.track_running_stats for module in network.modules() if isinstance(module, nn.BatchNorm2d))


def test_generator_waits_for_the_critic(tmp_path: Path) -> None:
    model = DCGAN(**SMALL, critic_steps=3)
    fit = trainer(tmp_path)
    data = Digits(batch_size=100)
    fit.fit(model, datamodule=data)
    batches = len(data.train_dataloader())
    assert model._updates == {"discriminator": batches, "generator": batches // 3}
    assert fit.global_step == batches + batches // 3


def test_losses_are_those_of_the_papers() -> None:
    real, fake = torch.tensor([0.3, -2.0]), torch.tensor([1.0, -0.5])
    d_real, d_fake = real.sigmoid(), fake.sigmoid()
    model = DCGAN(**SMALL)
    assert model.discriminator_loss(real, fake) == pytest.approx(
        float(-d_real.log().mean() - (1 - d_fake).log().mean()), rel=1e-5
    )
    assert model.generator_loss(fake) == pytest.approx(float(-d_fake.log().mean()), rel=1e-5)
    assert DCGAN(**SMALL, loss="saturating").generator_loss(fake) == pytest.approx(
        float((1 - d_fake).log().mean()), rel=1e-5
    )
    smooth = DCGAN(**SMALL, label_smoothing=0.1).discriminator_loss(real, fake)
    expected = -(0.9 * d_real.log() + 0.1 * (1 - d_real).log()).mean() - (1 - d_fake).log().mean()
    assert smooth == pytest.approx(float(expected), rel=1e-5)
    assert WGANGP(**SMALL).discriminator_loss(real, fake) == pytest.approx(float(fake.mean() - real.mean()))


def test_gradient_penalty_of_a_plane_is_known() -> None:
    model = WGANGP(**SMALL, gradient_penalty=10.0)
    plane = nn.Module()
    plane.forward = lambda x, labels=None: 3 * x.flatten(1)[:, 0] + 4 * x.flatten(1)[:, 1]
    model.discriminator = plane  # type: ignore[assignment]
    real, fake = torch.randn(5, 1, 8, 8), torch.randn(5, 1, 8, 8)
    assert model.penalty(real, fake, None) == pytest.approx(10 * (5 - 1) ** 2, rel=1e-4)
    slope = torch.zeros(64, requires_grad=True)  # a flat critic, where a root has no derivative
    plane.forward = lambda x, labels=None: x.flatten(1) @ slope
    assert torch.isfinite(torch.autograd.grad(model.penalty(real, fake, None), slope)[0]).all()


def test_gradient_penalty_stays_in_float32() -> None:
    model = WGANGP(**SMALL)
    real, fake = model.to_signed(images()), torch.randn(16, 1, 8, 8)
    model._noise = torch.Generator().manual_seed(0)
    exact = model.penalty(real, fake, None)
    model._noise = torch.Generator().manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = model.penalty(real, fake, None)
    assert mixed.dtype == torch.float32
    assert torch.equal(exact, mixed)


def test_critic_weights_stay_within_the_clip(tmp_path: Path) -> None:
    model = WGAN(**SMALL, clip=0.005, lr=0.1)
    trainer(tmp_path).fit(model, datamodule=Watch())
    assert max(float(parameter.abs().max()) for parameter in model.discriminator.parameters()) <= 0.005


def test_gradients_are_clipped_by_the_model(tmp_path: Path) -> None:
    norms: list[float] = []
    model = DCGAN(**SMALL, clip_norm=1e-3)
    model.on_before_optimizer_step = lambda optimizer: norms.append(  # type: ignore[method-assign]
        float(nn.utils.get_total_norm([p.grad for group in optimizer.param_groups for p in group["params"]]))
    )
    trainer(tmp_path).fit(model, datamodule=Watch())
    assert norms == pytest.approx([1e-3, 1e-3], rel=1e-3)


def test_average_follows_the_generator(tmp_path: Path) -> None:
    model = DCGAN(**SMALL, average_decay=0.5)
    first = copied(model.generator)
    trainer(tmp_path).fit(model, datamodule=Watch())
    decay = min(0.5, 2 / 11)
    for key, parameter in model.average.named_parameters():
        now = dict(model.generator.named_parameters())[key]
        torch.testing.assert_close(parameter, decay * first[key] + (1 - decay) * now)
        assert not parameter.requires_grad
        assert parameter.is_leaf


def test_samples_come_from_settled_statistics(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = DCGAN(**SMALL, lr=0.01)
    trainer(tmp_path).fit(model, datamodule=Digits())
    model.sample(1)
    inputs: list[Tensor] = []
    norm = model.average.layers[0]
    norm.register_forward_pre_hook(lambda module, given: inputs.append(given[0]))
    model(draw_latent(20_000, 6, torch.Generator().manual_seed(5)))
    spread = inputs[0].transpose(0, 1).flatten(1).var(1)
    torch.testing.assert_close(norm.running_var, spread, rtol=0.1, atol=1e-5)


def test_seed_truncation_and_classes_mean_what_they_say() -> None:
    model = BUILD["conditional"](classes=[*"abcdefgh", "Ankle boot", "T-shirt/top"])
    assert torch.equal(model.sample(5, seed=3), model.sample(5, seed=3))
    assert not torch.equal(model.sample(5, seed=3), model.sample(5, seed=4))
    assert not torch.equal(model.sample(5), model.sample(5))
    assert model.sample(5, seed=3).dtype == torch.uint8
    latent = draw_latent(5, 6, torch.Generator().manual_seed(3))
    asked = torch.full((5,), 8)
    expected = (model(latent, asked) * 255).round().to(torch.uint8)
    assert torch.equal(model.sample(5, seed=3, classes="ankle-boot"), expected)
    assert model.asked(4, ["t-shirt-top", "a"]).tolist() == [9, 0, 9, 0]
    assert draw_latent(1000, 6, torch.Generator(), truncation=0.5).abs().max() <= 0.5
    with pytest.raises(ZooError, match=r"no class 'ankle'; did you mean 'ankle-boot'\?"):
        model.sample(1, classes="ankle")
    with pytest.raises(ZooError, match="DCGAN knows no classes"):
        BUILD["DCGAN"]().sample(1, classes="ankle-boot")
    with pytest.raises(ZooError, match="truncation is 0"):
        model.sample(1, truncation=0)
    with pytest.raises(ZooError, match="0 images"):
        model.sample(0)


def test_walk_is_even_spherical_and_closed() -> None:
    points = torch.tensor([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    way = walk(points, 4)
    assert torch.allclose(way.norm(dim=1), torch.full((8,), 2.0))
    assert torch.allclose(way[0], points[0])
    assert torch.allclose(way[4], points[1])
    steps = (way - way.roll(-1, 0)).norm(dim=1)
    assert torch.allclose(steps, steps[:1].expand(8), atol=1e-5)
    assert torch.isfinite(walk(torch.ones(2, 3), 3)).all()


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
    classifier = weights.load("cnn_digits")

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


def test_checkpoint_without_evaluation_samples_as_the_model_does(tmp_path: Path) -> None:
    model = DCGAN(**SMALL, lr=0.01)
    fit = trainer(tmp_path)
    fit.fit(model, datamodule=Digits())
    fit.save_checkpoint(tmp_path / "some.ckpt")
    loaded = weights.load(tmp_path / "some.ckpt")
    assert torch.equal(loaded.sample(20, seed=1), model.sample(20, seed=1))
    latent = draw_latent(4, 6, torch.Generator().manual_seed(0))
    assert torch.equal(loaded(latent), model(latent))


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


def test_schedule_ends_with_the_steps_too(tmp_path: Path) -> None:
    model = DCGAN(**SMALL, schedule="cosine", critic_steps=3)
    settings: dict[str, Any] = {"max_epochs": -1, "max_steps": 20}
    fit = Trainer(
        **settings, logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu",
        enable_model_summary=False, default_root_dir=tmp_path, limit_val_batches=0,
    )  # fmt: skip
    fit.fit(model, datamodule=Digits(batch_size=100))
    assert max(group["lr"] for optimizer in fit.optimizers for group in optimizer.param_groups) < 1e-8


def test_classes_that_are_typed_alike_must_be_written_exactly() -> None:
    model = BUILD["conditional"](num_classes=4, classes=["A", "a", "$_$", "b"])
    assert model.asked(3, ["A", "a", "$_$"]).tolist() == [0, 1, 2]
    assert model.asked(1, "B").tolist() == [3]
    assert BUILD["conditional"](num_classes=2, classes=["T-shirt", "t shirt"]).asked(1, "t shirt").tolist() == [1]
    with pytest.raises(ZooError, match="may be any of T-shirt, t shirt; write it exactly"):
        BUILD["conditional"](num_classes=2, classes=["T-shirt", "t shirt"]).asked(1, "t-shirt")


@pytest.mark.slow
def test_processes_average_gradients_and_draw_their_own_noise(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_train_a_step, (tmp_path,), nprocs=2)
    (first, noise), (second, others) = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    alone, one = _gradients(0)
    _, other = _gradients(1)
    assert alone
    for key in one:
        torch.testing.assert_close(first[key], (one[key] + other[key]) / 2)
        assert torch.equal(first[key], second[key])
    assert not torch.equal(noise, others)


def _gradients(rank: int) -> tuple[WGANGP, dict[str, Tensor]]:
    """Gradients of the critic, penalty included, for the images of one process."""
    torch.manual_seed(0)
    model = WGANGP(**SMALL)
    model._noise = torch.Generator().manual_seed(rank)
    model._discriminator_loss(model.to_signed(images(32)[rank * 16 : rank * 16 + 16]), None).backward()
    return model, {key: one.grad for key, one in model.discriminator.named_parameters() if one.grad is not None}


def _train_a_step(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    model, gradients = _gradients(rank)
    share_gradients(list(gradients.values()))
    torch.manual_seed(0)
    model._trainer = SimpleNamespace(current_epoch=0)  # type: ignore[assignment]
    model.on_train_epoch_start()
    torch.save((gradients, model._draw(3)), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: DCGAN().to_signed(torch.rand(1, 1, 28, 28)), "images are torch.float32, expected uint8"),
        (lambda: DCGAN(image_size=30), "image_size is 30, expected a multiple of 4"),
        (lambda: DCGAN(loss="least_squares"), "no loss 'least_squares'; there are non_saturating, saturating"),
        (lambda: DCGAN(schedule="plateau"), "no schedule 'plateau'"),
        (lambda: DCGAN(critic_steps=0), "critic_steps is 0"),
        (lambda: WGAN(clip=0), "clip is 0"),
        (lambda: WGANGP(gradient_penalty=-1), "gradient_penalty is -1"),
        (lambda: DCGAN(latent_size=0), "latent_size is 0"),
        (lambda: DCGAN(width=0), "width is 0"),
        (lambda: DCGAN(discriminator_width=0), "width is 0"),
        (lambda: DCGAN(detail_width=-1), "detail_width is -1"),
        (lambda: DCGAN(discriminator_lr=0.0), "discriminator_lr is 0.0"),
        (lambda: DCGAN(clip_norm=-1), "clip_norm is -1"),
        (lambda: DCGAN(average_decay=1.5), "average_decay is 1.5"),
        (lambda: DCGAN(label_smoothing=5), "label_smoothing is 5"),
        (lambda: DCGAN(betas=[0.5]), "expected two numbers, such as 0.5 and 0.999"),
        (lambda: ConditionalDCGAN(num_classes=3, classes=["a", "b"]), "3 classes named"),
        (lambda: FeatureNetwork("cnn_fashion_mnist", 3, 28), "looks at images of 1 channels and 28 pixels"),
        (lambda: FeatureNetwork("dense_iris", 1, 8), "is a Dense, expected an image classifier"),
        (lambda: FeatureNetwork("cnn_digit", 1, 8), "did you mean 'cnn_digits'"),
    ],
)
def test_bad_arguments_are_named(build: Any, says: str) -> None:
    with pytest.raises(ZooError, match=says):
        build()


def test_inception_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchmetrics.image.fid._TORCH_FIDELITY_AVAILABLE", False)
    with pytest.raises(ZooError, match="pip install torch-fidelity"):
        FeatureNetwork("inception", 1, 28)
    assert DCGAN(features="inception").metric == "inception_fid"


HEALTHY = {
    "discriminator_accuracy": 0.8, "generator_gradient_norm": 1.0, "classes_covered": 10.0, "recall": 0.5, "fid": 10.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("last", "missing", "says"),
    [
        ({}, [], None),
        ({"discriminator_accuracy": 0.999, "generator_gradient_norm": 1e-3}, [], "vanishing gradient"),
        (
            {"classes_covered": 8.0},
            ["Bag"],
            "mode collapse: the samples cover 8 classes, at most 10 so far; Bag missing",
        ),
        (
            {"recall": 0.001},
            [],
            "mode collapse: the samples reach 0.1% of the real images (recall), at most 50.0% so far",
        ),
        ({"fid": 30.0}, [], "unstable convergence: fid is 30 and was 10 at best"),
    ],
)
def test_diseases_are_named_once(last: dict[str, float], missing: list[str], says: str | None) -> None:
    history = [HEALTHY, HEALTHY, HEALTHY, {**HEALTHY, **last}]
    found = diagnose(history, "fid", missing)
    assert found == [] if says is None else (len(found) == 1 and says in found[0])
    assert diagnose([*history, history[-1]], "fid", missing) == []


@pytest.mark.parametrize("bad", [{"classes_covered": 8.0, "classes_missing": 2.0}, {"recall": 0.0}])
def test_what_never_was_there_is_missed_after_five_evaluations(bad: dict[str, float]) -> None:
    history = [{**HEALTHY, **bad}] * 4
    assert diagnose(history, "fid", ["Bag", "Coat"]) == []
    (message,) = diagnose([*history, history[0]], "fid", ["Bag", "Coat"])
    assert message.startswith("mode collapse")
    assert diagnose([*history, *history], "fid", ["Bag", "Coat"]) == []


def test_epochs_without_evaluation_do_not_repeat_a_warning() -> None:
    unseen = {"discriminator_accuracy": 0.8, "generator_gradient_norm": 1.0}
    history = [HEALTHY, unseen, HEALTHY, unseen, {**HEALTHY, "classes_covered": 5.0}]
    said = [diagnose(history[: end + 1] if end < 5 else [*history, *[unseen, history[-1]] * 2][: end + 1], "fid", [])
            for end in range(9)]  # fmt: skip
    assert [len(messages) for messages in said] == [0, 0, 0, 0, 1, 0, 0, 0, 0]


def test_run_warns_of_a_collapse_and_remembers_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluations = iter([10.0, 10.0, 10.0, 6.0])

    def figures(*_: Any) -> dict[str, Tensor]:
        found = {"classes_covered": next(evaluations), "cnn_fid": 1.0, "recall": 0.5}
        return {name: torch.tensor(value) for name, value in found.items()}

    monkeypatch.setattr("zoo.gan.evaluation.compare", figures)
    cli = tiny_cli("dcgan_digits", tmp_path / "run", max_epochs=4)
    with pytest.warns(UserWarning, match="mode collapse: the samples cover 6 classes, at most 10 so far"):
        cli.trainer.fit(cli.model, cli.datamodule)
    cli.trainer.save_checkpoint(tmp_path / "a.ckpt")
    kept = weights.read_checkpoint(tmp_path / "a.ckpt")["adversarial"]["history"]
    assert [epoch["classes_covered"] for epoch in kept] == [10.0, 10.0, 10.0, 6.0]
    assert all(epoch["discriminator_loss"] > 0 for epoch in kept)


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


@pytest.mark.parametrize(
    ("kind", "named"),
    [("WGAN", "train_clipped_share"), ("WGANGP", "train_critic_slope"), ("WGAN", "train_critic_distance")],
)
def test_critics_tell_what_bounds_them(kind: str, named: str, tmp_path: Path) -> None:
    model = BUILD[kind](critic_steps=1, lr=0.01)
    run = trainer(tmp_path, limit_train_batches=5)
    run.fit(model, datamodule=Digits())
    value = float(run.callback_metrics[named])
    if named == "train_clipped_share":
        bound = torch.cat([one.detach().flatten() for one in model.discriminator.parameters()]).abs() >= model.clip
        assert value == pytest.approx(float(bound.float().mean()))
        assert 0.2 < value < 1
    else:
        assert value == pytest.approx(float(torch.stack(model._tally[named.removeprefix("train_")]).mean()), abs=1e-5)


def test_walks_of_classes_keep_to_their_class() -> None:
    model = BUILD["conditional"](num_classes=3, classes=["a", "b", "c"])
    frames = model.interpolate(points=2, frames=3, count=3, seed=4, classes=["c", "a"], truncation=0.5)
    starts = draw_latent(6, 6, torch.Generator().manual_seed(4), 0.5).view(3, 2, 6)
    for frame, point in ((0, 0), (3, 1)):
        expected = model.make(starts[:, point], torch.tensor([2, 0, 2]))
        assert (frames[frame].int() - expected.int()).abs().max() <= 1
    assert (frames[1].int() - model.make(starts[:, 0], torch.tensor([0, 2, 0])).int()).abs().max() > 1


def test_weights_are_settled_wherever_they_are_taken(tmp_path: Path) -> None:
    model, other = (DCGAN(**SMALL, lr=0.01) for _ in range(2))
    trainer(tmp_path).fit(model, datamodule=Digits())
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.sample(4, seed=0), model.sample(4, seed=0))
    images = model.sample(1)
    images[0] = 0  # they are the user's own


def test_bfloat16_scores_with_the_weights_of_now() -> None:
    torch.manual_seed(0)
    model = DCGAN(**SMALL)
    optimizer = torch.optim.SGD(model.discriminator.parameters(), 10.0)
    with torch.autocast("cpu", torch.bfloat16):
        model._discriminator_loss(model.to_signed(images()), None).backward()
        optimizer.step()
        model._noise = torch.Generator().manual_seed(3)
        found = model._generator_loss(16, None)
    with torch.autocast("cpu", torch.bfloat16):
        model._noise = torch.Generator().manual_seed(3)
        torch.testing.assert_close(found, model._generator_loss(16, None))


def test_channels_last_reaches_both_networks(tmp_path: Path) -> None:
    model = DCGAN(**SMALL, channels_last=True)
    trainer(tmp_path, limit_train_batches=1).fit(model, datamodule=Digits())
    kernels = [one for one in model.parameters() if one.ndim == 4 and min(one.shape[:2]) > 1]
    assert len(kernels) == 3  # with one channel either memory format is the other
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)


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


def test_saturating_loss_vanishes_where_the_other_does_not() -> None:
    scores = torch.full((8,), -12.0, requires_grad=True)  # the discriminator is sure
    gradients = {}
    for loss in ("saturating", "non_saturating"):
        (gradient,) = torch.autograd.grad(DCGAN(**SMALL, loss=loss).generator_loss(scores), scores)
        gradients[loss] = float(gradient.norm())
    assert gradients["saturating"] < 1e-4 * gradients["non_saturating"]


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
    code, _, err = zoo_command(
        "fit", "dcgan_digits", "--quiet", "--figures=false", "--trainer.accelerator", "cpu", *flags
    )
    assert code == 2
    assert says in err
    assert not list(tmp_path.iterdir())


def test_half_precision_that_scales_one_loss_is_refused() -> None:
    model = DCGAN(**SMALL)
    strategy = SingleDeviceStrategy(device=torch.device("cpu"))
    model._trainer = SimpleNamespace(strategy=strategy, precision="16-mixed")  # type: ignore[assignment]
    with pytest.raises(ZooError, match="use 32-true or bf16-mixed"):
        model.setup("fit")


def test_every_epoch_leaves_its_samples(tmp_path: Path) -> None:
    cli = tiny_cli("dcgan_digits", tmp_path / "run", figures=True, max_epochs=3)
    cli.run()
    figures = tmp_path / "run" / "figures"
    assert [path.name for path in sorted((figures / "samples").iterdir())] == [
        f"epoch_{epoch:04d}.png" for epoch in (1, 2, 3)
    ]
    assert Image.open(figures / "samples" / "epoch_0001.png").size == (78, 78)  # eight times 8 pixels, 2 between
    assert (figures / "samples_over_time.png").stat().st_size > 5_000
    assert (figures / "real.png").is_file()
    header = (tmp_path / "run" / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {"train_generator_loss", "train_discriminator_loss", "train_generator_gradient_norm", "val_recall"} <= {
        *header
    }


def test_schedule_moves_by_batches(tmp_path: Path) -> None:
    cli = tiny_cli("wgan_gp_fashion_mnist", tmp_path / "run")
    cli.run()
    rates = [group["lr"] for optimizer in cli.trainer.optimizers for group in optimizer.param_groups]
    assert max(rates) < 1e-8


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
    expected = weights.load("dcgan_digits").sample(3, seed=1, truncation=0.3)
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


def test_class_names_are_typed_plainly() -> None:
    assert [slug(name) for name in ("T-shirt/top", "Ankle boot", "7")] == ["t-shirt-top", "ankle-boot", "7"]
