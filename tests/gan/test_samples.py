"""Images on request: seeds, truncation, classes by name, walks, the same from wherever the weights are taken."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from datamodules import Digits
from zoo import weights
from zoo.errors import ZooError
from zoo.gan.dcgan import DCGAN
from zoo.gan.latent import draw_latent, walk
from zoo.gan.sampling import slug

from .small import BUILD, SMALL, trainer


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


def test_checkpoint_without_evaluation_samples_as_the_model_does(tmp_path: Path) -> None:
    model = DCGAN(**SMALL, lr=0.01)
    fit = trainer(tmp_path)
    fit.fit(model, datamodule=Digits())
    fit.save_checkpoint(tmp_path / "some.ckpt")
    loaded = weights.load(tmp_path / "some.ckpt", kind=DCGAN)
    assert torch.equal(loaded.sample(20, seed=1), model.sample(20, seed=1))
    latent = draw_latent(4, 6, torch.Generator().manual_seed(0))
    assert torch.equal(loaded(latent), model(latent))


def test_classes_that_are_typed_alike_must_be_written_exactly() -> None:
    model = BUILD["conditional"](num_classes=4, classes=["A", "a", "$_$", "b"])
    assert model.asked(3, ["A", "a", "$_$"]).tolist() == [0, 1, 2]
    assert model.asked(1, "B").tolist() == [3]
    assert BUILD["conditional"](num_classes=2, classes=["T-shirt", "t shirt"]).asked(1, "t shirt").tolist() == [1]
    with pytest.raises(ZooError, match="may be any of T-shirt, t shirt; write it exactly"):
        BUILD["conditional"](num_classes=2, classes=["T-shirt", "t shirt"]).asked(1, "t-shirt")


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


def test_class_names_are_typed_plainly() -> None:
    assert [slug(name) for name in ("T-shirt/top", "Ankle boot", "7")] == ["t-shirt-top", "ankle-boot", "7"]
