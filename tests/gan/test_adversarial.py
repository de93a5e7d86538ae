"""Adversarial training: who learns when, the losses of the papers, what bounds the critic, what a run leaves."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.strategies import SingleDeviceStrategy
from PIL import Image
from tiny import tiny_cli
from torch import Tensor, nn

from datamodules import Digits
from zoo.errors import ZooError
from zoo.gan.averaging import share_gradients
from zoo.gan.dcgan import DCGAN, ConditionalDCGAN
from zoo.gan.health import FeatureNetwork
from zoo.gan.networks import Discriminator, Generator, constant
from zoo.gan.wgan import WGAN, WGANGP

from .small import BUILD, SMALL, Watch, batch, copied, every_gan, images, trainer, unchanged


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


def test_schedule_ends_with_the_steps_too(tmp_path: Path) -> None:
    model = DCGAN(**SMALL, schedule="cosine", critic_steps=3)
    settings: dict[str, Any] = {"max_epochs": -1, "max_steps": 20}
    fit = Trainer(
        **settings, logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu",
        enable_model_summary=False, default_root_dir=tmp_path, limit_val_batches=0,
    )  # fmt: skip
    fit.fit(model, datamodule=Digits(batch_size=100))
    assert max(group["lr"] for optimizer in fit.optimizers for group in optimizer.param_groups) < 1e-8


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


def test_saturating_loss_vanishes_where_the_other_does_not() -> None:
    scores = torch.full((8,), -12.0, requires_grad=True)  # the discriminator is sure
    gradients = {}
    for loss in ("saturating", "non_saturating"):
        (gradient,) = torch.autograd.grad(DCGAN(**SMALL, loss=loss).generator_loss(scores), scores)
        gradients[loss] = float(gradient.norm())
    assert gradients["saturating"] < 1e-4 * gradients["non_saturating"]


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
