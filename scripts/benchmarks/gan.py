"""Adversarial networks against a hand-written loop."""

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from scripts.benchmarks.harness import Bench, Race
from scripts.benchmarks.report import Row
from zoo.base.processor import has_bfloat16
from zoo.training.cli import ZooCLI


class HandWrittenAdversaries:
    """A float32 PyTorch loop with the networks and optimizers of a DCGAN recipe, no more.

    Args:
        cli: The recipe, not run yet.
        batches_a_round: Batches it trains on each time.
    """

    def __init__(self, cli: ZooCLI, batches_a_round: int) -> None:
        model: Any = cli.model
        cli.datamodule.setup("fit")
        self.images, _ = cli.datamodule.splits["train"]
        self.batch_size, self.batches_a_round = cli.datamodule.batch_size, batches_a_round
        self.latent_size = model.latent_size
        self.generator, self.discriminator = (copy.deepcopy(one) for one in (model.generator, model.discriminator))
        self.optimizers = [
            torch.optim.Adam(network.parameters(), model.lr, model.betas, fused=True)
            for network in (self.discriminator, self.generator)
        ]

    def train(self) -> int:
        """Trains for a round and returns on how many images."""
        seen = 0
        for rows in torch.randperm(len(self.images)).split(self.batch_size)[: self.batches_a_round]:
            real = self.images[rows].float() / 127.5 - 1
            with torch.no_grad():
                fake = self.generator(torch.randn(len(real), self.latent_size))
            loss = F.softplus(-self.discriminator(real)).mean() + F.softplus(self.discriminator(fake)).mean()
            self._step(0, loss)
            self.discriminator.requires_grad_(False)
            fake = self.generator(torch.randn(len(real), self.latent_size))
            self._step(1, F.softplus(-self.discriminator(fake)).mean())
            self.discriminator.requires_grad_(True)
            seen += len(real)
        return seen

    def _step(self, number: int, loss: Tensor) -> None:
        self.optimizers[number].zero_grad()
        loss.backward()
        self.optimizers[number].step()


def adversarial(bench: Bench) -> list[Row]:
    """A DCGAN, in float32 and in bfloat16, against a hand-written loop."""
    rounds, batches = bench.choose((6, 100), (4, 20), (2, 2))
    limits = (f"--trainer.max_epochs={rounds}", f"--trainer.limit_train_batches={batches}", "--trainer.callbacks=null")
    small = bench.if_tiny("--model.width=8", "--model.detail_width=8", "--model.discriminator_detail_width=8")
    name, rows = "dcgan_fashion_mnist", []
    for precision, target in (("32-true", 0.95), ("bf16-mixed", None)) if has_bfloat16() else (("32-true", 0.95),):
        plain = ("--tune_precision=false", f"--trainer.precision={precision}", "--data.val_size=500")
        cli = bench.cli(name, *limits, *bench.fashion_mnist, *plain, *small)
        race = Race({"loop": HandWrittenAdversaries(cli, batches).train})
        bench.fit(cli, race)
        rows += [
            race.row(f"{name} in {precision}: zoo fit to hand-written float32 loop", "loop", target),
            Row(f"{name} in {precision}: images a second and thread", f"{race.rate / torch.get_num_threads():,.0f}"),
        ]
    return rows
