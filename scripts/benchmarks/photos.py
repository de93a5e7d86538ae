"""Photos: transfer learning, augmentation, pictures in a folder."""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from datamodules.vision.folder import ImageFolder
from scripts.benchmarks.harness import DATA, Bench, fit_seconds, memory_of
from scripts.benchmarks.report import Row
from zoo.base.processor import has_bfloat16
from zoo.vision.augmentation import Augmentation


def transfer(bench: Bench) -> list[Row]:
    """The frozen recipe, whose features are computed once."""
    rounds, epochs = bench.choose((3, 20), (3, 20), (1, 2))
    # Without Lightning's trial run of the validation, whose features would be computed before the clock starts.
    plain: tuple[str, ...] = ("--trainer.callbacks=null", "--trainer.num_sanity_val_steps=0")
    plain += (f"--data.root={DATA / 'things8'}",)
    plain += bench.if_tiny("--data.image_size=48", "--data.batch_size=8", f"--data.cache={bench.folder / 'cache'}")
    passes, cached, uncached, float32 = [], [], [], []
    for _ in range(rounds):
        cli = bench.cli("mobilenetv2_things", f"--trainer.max_epochs={epochs}", *plain)
        cli.datamodule.setup("fit")
        images = [cli.datamodule.splits[split][0] for split in ("train", "val")]
        with cli.trainer.precision_plugin.forward_context():
            passes.append(_feature_seconds(cli.model, images))
        float32.append(_feature_seconds(cli.model, images))
        cached.append(fit_seconds(cli))
        anew = ("--model.cache_features=false", "--trainer.max_epochs=1")
        uncached.append(epochs * fit_seconds(bench.cli("mobilenetv2_things", *anew, *plain)))
    cost = statistics.median(fit / one for fit, one in zip(cached, passes, strict=True))
    gain = statistics.median(slow / fast for slow, fast in zip(uncached, cached, strict=True))
    quicker = statistics.median(slow / fast for slow, fast in zip(float32, passes, strict=True))
    figure = f"{cost:.2f} x ({statistics.median(cached):.1f} to {statistics.median(passes):.1f} s)"
    recomputed = f"{gain:.1f} x ({statistics.median(uncached):.0f} s, {epochs} times one epoch)"
    what = f"mobilenetv2_things, {epochs} epochs"
    return [
        Row(f"{what}: to one pass of feature extraction, training and validation", figure, "<= 1.50 x", cost <= 1.5),
        Row(f"{what}: recomputing features in every epoch to computing them once", recomputed, ">= 10 x", gain >= 10),
        Row(
            "feature extraction as the recipe's timing chooses: gain over float32, channels first",
            f"{quicker:.2f} x",
            ">= 1.00 x",
            quicker >= 1 if has_bfloat16() else None,
        ),
    ]


def _feature_seconds(model: Any, images: Sequence[Tensor]) -> float:
    """Seconds that a model's backbone takes for all images."""
    model.eval()
    with torch.inference_mode():
        model.features(images[0][:64])
        start = time.perf_counter()
        for split in images:
            for part in split.split(64):
                model.features(part)
        return time.perf_counter() - start


def augmentation(bench: Bench) -> list[Row]:
    """The notes' augmentation, a batch at a time and image by image."""
    images = torch.randint(0, 256, (bench.choose(100, 100, 10), 3, 150, 150), dtype=torch.uint8)
    pictures = [Image.fromarray(image.movedim(0, -1).numpy()) for image in images]
    notes = Augmentation()
    warp = v2.RandomAffine([-40, 40], (0.2, 0.2), (0.8, 1.2), 0.2, v2.InterpolationMode.BILINEAR)
    one = v2.Compose([warp, v2.RandomHorizontalFlip()])
    contenders: dict[str, Callable[[], object]] = {
        "zoo": lambda: notes(images),
        "torchvision on tensors": lambda: [one(image) for image in images],
        "torchvision on PIL images": lambda: [one(picture) for picture in pictures],
    }
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(bench.choose(9, 3, 2)):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            rates[name].append(len(images) / (time.perf_counter() - start))
    medians = {name: statistics.median(found[1:]) for name, found in rates.items()}
    quickest = max(list(medians)[1:], key=lambda name: medians[name])
    ratio = medians["zoo"] / medians[quickest]
    figure = f"{ratio:.1f} x ({medians['zoo']:,.0f} to {medians[quickest]:,.0f} images/s)"
    what = f"augmentation of 150x150 colour images: one warp of the batch to {quickest}, bilinear both"
    keras = medians["zoo"] / 159
    return [
        Row(what, figure, ">= 10 x", ratio >= 10),
        Row(
            "the same to 159 images/s, once measured with Keras' ImageDataGenerator on another core",
            f"{keras:.0f} x", ">= 10 x", keras >= 10,
        ),
    ]  # fmt: skip


def folder(bench: Bench) -> list[Row]:
    """Pictures in a folder: decoded once, then mapped."""
    count = bench.choose(1000, 300, 20)
    data = _read(_write_photos(bench.folder / "photos", count, (640, 480)))
    seconds = []
    for epoch in range(2):
        start = time.perf_counter()
        loader: Any = data.train_dataloader()
        loader.sampler.set_epoch(epoch)
        for _ in loader:
            pass
        seconds.append(time.perf_counter() - start)
    ratio = seconds[0] / seconds[1]
    rows = [
        Row(
            f"ImageFolder of {count} JPEGs of 640x480: first epoch to second, data alone",
            f"{ratio:.0f} x ({seconds[0]:.1f} to {seconds[1]:.3f} s)", ">= 20 x", ratio >= 20,
        )
    ]  # fmt: skip
    if sys.platform == "linux":
        few, many = bench.choose((300, 3000), (300, 3000), (20, 40))
        held = {}
        for size in (few, many):
            photos = _write_photos(bench.folder / f"{size}", size, (160, 120))
            _read(photos).setup()  # decodes here, since that takes memory of its own
            held[size] = bench.in_own_process(_held_memory, photos)
        more = (held[many] - held[few]) / 1e6
        decoded = (many - few) * 3 * 150**2 / 1e6
        figure = f"{more:.0f} MB more of its own memory, {decoded:.0f} MB more pixels"
        rows.append(Row(f"ImageFolder of {many} pictures instead of {few}, an epoch", figure, "< 50 MB", more < 50))
    return rows


def _write_photos(folder: Path, count: int, size: tuple[int, int]) -> Path:
    """Writes JPEGs of two classes."""
    generator = np.random.default_rng(0)
    for number in range(count):
        path = folder / ("cat", "dog")[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(generator.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        coarse.resize(size, Image.Resampling.BICUBIC).save(path, quality=90)
    return folder


def _read(photos: Path) -> ImageFolder:
    """The data module, whose decoded pixels lie beside the photos."""
    return ImageFolder(str(photos), cache=str(photos.with_name(f"cache of {photos.name}")))


def _held_memory(photos: Path) -> int:
    """Bytes of anonymous memory that this process holds after an epoch, pages of mapped files left out."""
    data = _read(photos)
    data.setup()
    for _ in data.train_dataloader():
        pass
    return memory_of("RssAnon")
