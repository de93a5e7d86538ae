"""``scripts/gpu_check``: whether a GPU does what the CPU does, and how fast."""

import argparse
import contextlib
import hashlib
import io
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from lightning import LightningModule, Trainer
from torch import Tensor

import zoo
from datamodules.arguments import parameters
from scripts.benchmarks.__main__ import BENCHMARKS
from scripts.benchmarks.checkout import RESULTS, ROOT, Checkout
from scripts.benchmarks.harness import DATA, Batches, Bench, Race
from scripts.benchmarks.report import GPU, Circumstances, Row, document, section
from scripts.benchmarks.vision import HandWritten
from zoo import names, registry, weights
from zoo.base.processor import gpu_has_bfloat16, has_bfloat16
from zoo.cli import main as zoo_command
from zoo.registry import read_results
from zoo.training.cli import ZooCLI
from zoo.training.precision import float32_products

# A recipe of each kind of training, and whether it computes in bfloat16, too.
KINDS = {
    "cnn_fashion_mnist": True,
    "dense_fashion_mnist": True,
    "lstm_synthetic": True,
    "stateful_rnn_synthetic": True,
    "causal_conv_synthetic": True,
    "char_rnn_shakespeare": True,
    "char_transformer_shakespeare_quick": True,
    "trigram_shakespeare": False,
    "sentiment_bilstm_reviews": True,
    "dcgan_digits": True,
    "wgan_gp_fashion_mnist": True,
    "kmeans_iris": False,
    "pca_iris": False,
    "linear_minibatch": False,
    "backprop_iris": False,
}
TRANSFORMER = "char_transformer_shakespeare_quick"
_FEW = ("--trainer.max_epochs=1", "--trainer.limit_val_batches=2", "--figures=false", "--quiet")


class CheckError(Exception):
    """Something that was checked is not as it should be."""


@dataclass(frozen=True)
class Probe:
    """What a check gets to work with.

    Attributes:
        device: ``cuda`` or ``cpu``.
        folder: Temporary folder for runs.
        quick: Whether as little as possible is computed, so that the figures say nothing.
    """

    device: str
    folder: Path
    quick: bool

    @property
    def bench(self) -> Bench:
        """What benchmarks work with."""
        return Bench(self.folder, "tiny" if self.quick else "quick")

    def recipe(self, name: str, devices: int = 1, strategy: str = "auto") -> list[str]:
        """A recipe, where it is trained and on which data."""
        kind = names.find(registry.recipe(name).config["data"]["class_path"])
        root = [f"--data.root={DATA}"] if "root" in parameters(kind) else []
        small = [f"--data.{key}={value}" for key, value in kind.miniature.items()] if self.quick else []
        accelerator = "gpu" if self.device == "cuda" else self.device
        placing = [f"--trainer.accelerator={accelerator}", f"--trainer.devices={devices}"]
        return [name, *root, *small, *placing, f"--trainer.strategy={strategy}", "--tune_precision=false"]

    def fit(self, recipe: Sequence[str], *flags: str) -> Path:
        """Trains as ``zoo fit`` does, and returns the folder of the run."""
        root = Path(tempfile.mkdtemp(dir=self.folder))
        self.run("fit", *recipe, f"--trainer.default_root_dir={root}", *flags)
        (run,) = root.glob("*/*")
        return run

    def run(self, *arguments: object) -> str:
        """Runs a command in this process and returns its output.

        Raises:
            CheckError: It ended with an error.
        """
        out, error = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            code = zoo_command([str(argument) for argument in arguments])
        if code:
            raise CheckError((error.getvalue().strip().splitlines() or [f"exit code {code}"])[-1])
        return out.getvalue()

    def synchronize(self) -> None:
        """Waits until all that was asked of the GPU is done."""
        if self.device == "cuda":
            torch.cuda.synchronize()


Check = Callable[[], str]


def require(holds: bool, otherwise: str) -> None:
    """Ends a check.

    Raises:
        CheckError: What it wants does not hold.
    """
    if not holds:
        raise CheckError(otherwise)


def checks(probe: Probe) -> dict[str, tuple[Check, str]]:
    """All checks of one GPU, by what they look at, each with what is wanted of it."""
    found: dict[str, tuple[Check, str]] = {}
    precisions = ["32-true", *["bf16-mixed"] * (gpu_has_bfloat16() if probe.device == "cuda" else has_bfloat16())]
    for name, takes_bfloat16 in KINDS.items():
        for precision in precisions if takes_bfloat16 else precisions[:1]:
            found[f"{name}: a short fit in {precision}"] = _bound(short_fit, probe, name, precision), "trains"
    found["cnn_digits: compiled"] = _bound(compiled, probe), "trains"
    found["cnn_digits: stopped inside an epoch and resumed"] = _bound(resumed, probe), "within 2 % of uninterrupted"
    found["published weights on their golden inputs"] = _bound(golden, probe), "as stored"
    found["char_rnn_shakespeare: the likeliest text"] = _bound(generated, probe), "that of the CPU"
    found["dcgan_digits: samples of a seed"] = _bound(sampled, probe), "those of the CPU"
    for name in ("kmeans_iris", "pca_iris"):
        found[f"{name}: all that is measured"] = _bound(equals_cpu, probe, name), "that of the CPU"
    for name in ("cnn_fashion_mnist", "dense_fashion_mnist"):
        found[f"{name}: zoo fit to a hand-written loop on the same device"] = _bound(race, probe, name), ""
    return found


def _bound(check: Callable[..., str], *arguments: Any) -> Check:
    return lambda: check(*arguments)


def short_fit(probe: Probe, name: str, precision: str) -> str:
    """Trains a little and looks at what was measured."""
    start = time.perf_counter()
    limits = () if name.endswith("_iris") else (f"--trainer.limit_train_batches={4 if probe.quick else 50}",)
    run = probe.fit(probe.recipe(name), *_FEW, *limits, f"--trainer.precision={precision}")
    metrics = read_results(run)["validate"]
    odd = [key for key, value in metrics.items() if not math.isfinite(value) and "perplexity" not in key]
    require(not odd, f"{', '.join(odd)} not finite")
    metric = weights.load(run).metric
    return f"{metric} {metrics[metric]:.4g} after {time.perf_counter() - start:.1f} s"


def compiled(probe: Probe) -> str:
    """Trains a compiled network."""
    start = time.perf_counter()
    probe.fit(probe.recipe("cnn_digits"), *_FEW, "--trainer.limit_train_batches=4", "--model.compile=true")
    return f"{time.perf_counter() - start:.1f} s"


def resumed(probe: Probe) -> str:
    """Compares a run that was resumed with one that nothing interrupted."""
    recipe = [*probe.recipe("cnn_digits"), "--model.schedule=constant", "--figures=false", "--quiet"]
    steps = ("--trainer.limit_train_batches=10", "--trainer.max_epochs=3")
    whole, stopped = probe.fit(recipe, *steps), probe.fit(recipe, *steps, "--trainer.max_steps=15")
    probe.run("fit", stopped, "--trainer.max_steps=-1", "--quiet")
    one, other = (weights.read_checkpoint(run / "checkpoints" / "last.ckpt") for run in (whole, stopped))
    require(one["global_step"] == other["global_step"] == 30, f"ended at step {other['global_step']}, not 30")
    losses = [read_results(run)["validate"]["loss"] for run in (whole, stopped)]
    require(math.isclose(*losses, rel_tol=0.02), f"losses {losses[0]:.4f} and {losses[1]:.4f}")
    same = all(torch.equal(value, other["state_dict"][key]) for key, value in one["state_dict"].items())
    return "bit-identical" if same else f"losses {losses[0]:.5f} and {losses[1]:.5f}, not bit-identical"


def golden(probe: Probe) -> str:
    """Lets all published weights answer what they answered on a CPU when they were published."""
    chosen = zoo.list_models(pretrained=True)[:: 12 if probe.quick else 1]
    farthest, whose = 0.0, ""
    for name in chosen:
        stored = weights.load_golden(registry.entry(name).folder)
        with float32_products(tf32=False):
            answer = zoo.load(name, probe.device).answer({key: one.to(probe.device) for key, one in stored.items()})
        expected = stored["answer"].float()
        require(answer.shape == expected.shape, f"{name} answers in shape {tuple(answer.shape)}")
        scale = expected[expected.isfinite()].abs().max().clamp(min=1e-6)
        error = ((answer.cpu().float() - expected).nan_to_num(0.0).abs().max() / scale).item()
        require(error < 1e-3, f"{name} is {error:.1e} off")
        farthest, whose = max((farthest, whose), (error, name))
    return f"{len(chosen)} models, at most {farthest:.1e} of the range off ({whose})"


def generated(probe: Probe) -> str:
    """Compares the likeliest continuation of a text with the CPU's, and draws one of a seed twice."""
    tokens = 20 if probe.quick else 200
    with float32_products(tf32=False):
        texts = [
            zoo.load("char_rnn_shakespeare", device).generate("ROMEO:", tokens, temperature=0.0)[0]
            for device in ("cpu", probe.device)
        ]
        model = zoo.load("char_rnn_shakespeare", probe.device)
        drawn = [model.generate("ROMEO:", tokens, seed=1)[0] for _ in range(2)]
    differ = next((at for at, pair in enumerate(zip(*texts, strict=False)) if len(set(pair)) > 1), None)
    require(texts[0] == texts[1], f"goes on in another way from character {differ} on")
    require(drawn[0] == drawn[1] and len(drawn[0]) > 0, "equal seeds give different texts")
    return f"{len(texts[0])} characters"


def sampled(probe: Probe) -> str:
    """Compares images of a seed with the CPU's."""
    with float32_products(tf32=False):
        ours, theirs = (zoo.load("dcgan_digits", device).sample(16, seed=0).cpu() for device in (probe.device, "cpu"))
    far = (ours.int() - theirs.int()).abs().max().item()
    require(far <= 2, f"{far} of 255 off")
    return f"{len(ours)} images, at most {far} of 255 off"


def equals_cpu(probe: Probe, name: str) -> str:
    """Compares what a training without gradients finds with what it finds on a CPU."""
    flags = ("--figures=false", "--quiet")
    ours, theirs = (
        read_results(one.fit(one.recipe(name), *flags))["validate"] for one in (probe, replace(probe, device="cpu"))
    )
    for key, value in theirs.items():
        require(math.isclose(ours[key], value, rel_tol=1e-4, abs_tol=1e-6), f"{key} {ours[key]:.6g}, not {value:.6g}")
    return ", ".join(f"{key} {value:.5g}" for key, value in ours.items())


class OnDevice(HandWritten):
    """The hand-written loop on the device, whose batches are copied to it as bytes.

    Args:
        probe: Says which device.
        cli: The recipe, not run yet.
        rounds: How often it will train.
        batches: Batches it trains on each time.
    """

    def __init__(self, probe: Probe, cli: ZooCLI, rounds: int, batches: int) -> None:
        super().__init__(cli, rounds, batches)
        self.probe = probe
        self.network.to(probe.device)
        if probe.device == "cuda":
            self.images = self.images.pin_memory()

    def train(self) -> int:
        """Trains for a round, to its end."""
        with float32_products(tf32=self.probe.device == "cuda"):
            seen = super().train()
            self.probe.synchronize()
        return seen

    def _from_tensors(self) -> Batches:
        device = self.probe.device
        mean, std = (255 * one.to(device).view(-1, 1, 1) for one in (self.model.mean, self.model.std))
        for rows in torch.randperm(len(self.labels)).split(self.batch_size):
            images: Tensor = self.images[rows].to(device, non_blocking=True)
            if self.model.augmentation:
                images = self.model.augmentation(images)
            yield images.float().sub_(mean).div_(std), self.labels[rows].to(device, non_blocking=True)


class DeviceRace(Race):
    """A race whose clock waits for the device.

    Args:
        probe: Says which device.
        contenders: See :class:`Race`.
    """

    def __init__(self, probe: Probe, contenders: dict[str, Callable[[], int]]) -> None:
        super().__init__(contenders)
        self.probe = probe

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Times the contenders, then starts the zoo's clock."""
        self.probe.synchronize()
        super().on_train_epoch_start(trainer, pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops the clock when the last step is done."""
        self.probe.synchronize()
        super().on_validation_start(trainer, pl_module)


def race(probe: Probe, name: str) -> str:
    """Images a second, in float32 both; a distillation's teacher is left out."""
    rounds, batches = (2, 3) if probe.quick else (6, 300)
    recipe = [*probe.recipe(name), "--trainer.precision=32-true", f"--trainer.limit_train_batches={batches}"]
    cli = probe.bench.cli(*recipe, f"--trainer.max_epochs={rounds}", "--figures=false")
    trainer: Any = cli.trainer
    trainer.callbacks = [one for one in trainer.callbacks if type(one).__name__ != "Distillation"]
    clock = DeviceRace(probe, {"loop": OnDevice(probe, cli, rounds, batches).train})
    probe.bench.fit(cli, clock)
    return clock.row(name, "loop", None).figure


# Two devices ----------------------------------------------------------------------------------------------------------


def several(probe: Probe) -> dict[str, tuple[Check, str]]:
    """Checks of two devices, where there are two: every kind of training by DDP, and the transformer by FSDP."""
    on_gpus = probe.device == "cuda"
    if on_gpus and torch.cuda.device_count() < 2:
        return {}
    trainings = [(name, "ddp") for name in (KINDS if on_gpus else ("cnn_fashion_mnist", "pca_iris"))]
    if on_gpus:
        trainings.append((TRANSFORMER, "fsdp"))
    outcome: dict[str, str] = {}

    def check(training: str) -> str:
        if not outcome:
            outcome.update(_launch(probe, [" ".join(one) for one in trainings]))
        require(training in outcome, f"ended before: {outcome['said']}")
        return outcome[training]

    wanted = {"ddp": "equal weights", "fsdp": "trains"}
    return {
        f"{name}: two processes, {strategy}": (_bound(check, f"{name} {strategy}"), wanted[strategy])
        for name, strategy in trainings
    }


def _launch(probe: Probe, trainings: Sequence[str]) -> dict[str, str]:
    """Trains in two processes that are started once for all trainings."""
    out = probe.folder / "several.json"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    program = ["-m", "scripts.benchmarks.gpu", "--device", probe.device, *(["--quick"] if probe.quick else [])]
    done = subprocess.run(
        [*torchrun, *program, "--out", str(out), "--together", *trainings], cwd=ROOT, capture_output=True, text=True
    )
    told = [line for line in done.stderr.splitlines() if "Error" in line] or ["nothing was said"]
    return {"said": told[0], **(json.loads(out.read_text()) if out.is_file() else {})}


def train_together(probe: Probe, trainings: Sequence[str], out: Path) -> None:
    """What each of two launched processes does; the first one writes what came of it, training by training."""
    found: dict[str, str] = {}
    for training in trainings:
        name, strategy = training.split()
        start = time.perf_counter()
        limits = () if name.endswith("_iris") else (f"--trainer.limit_train_batches={2 if probe.quick else 20}",)
        cli = probe.bench.cli(*probe.recipe(name, 2, strategy), *_FEW[:-1], *limits)
        with contextlib.redirect_stdout(io.StringIO()):
            cli.run()
        if strategy == "ddp":
            digests: list[Any] = [None, None]
            dist.all_gather_object(digests, _digest(cli.model))
            require(digests[0] == digests[1], f"{training}: processes ended with other weights")
        found[training] = f"{time.perf_counter() - start:.1f} s"
        if cli.trainer.is_global_zero:
            out.write_text(json.dumps(found))


def _digest(model: LightningModule) -> str:
    sha256 = hashlib.sha256()
    for _, tensor in sorted(model.state_dict().items()):
        sha256.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha256.hexdigest()


# All together ---------------------------------------------------------------------------------------------------------


def row(what: str, check: Check, wanted: str) -> Row:
    """What came of a check; whatever it raises is told in its row."""
    try:
        return Row(what, check(), wanted, True if wanted else None)
    except Exception as error:  # a fault of any library is what is looked for
        said = " ".join(str(error).split())[:200]
        return Row(what, said if isinstance(error, CheckError) else f"{type(error).__name__}: {said}", wanted, False)


def main(argv: Sequence[str] | None = None) -> int:
    """Checks a GPU; 0 if all is well, 1 if something is not, 2 if there is none."""
    parser = argparse.ArgumentParser(prog="scripts/gpu_check", description=__doc__, allow_abbrev=False)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="where to compute")
    parser.add_argument("--quick", action="store_true", help="so little that the figures say nothing")
    parser.add_argument("--only", metavar="TEXT", default="", help="only checks whose name holds this text")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help=f"file whose section to write; {RESULTS} of a whole check of a GPU"
    )
    parser.add_argument("--together", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.device == "cuda" and not torch.cuda.is_available():
        print("gpu_check: torch finds no GPU here; --device cpu --quick tries the checks without", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        probe = Probe(options.device, Path(folder), options.quick)
        if options.together:
            train_together(replace(probe, folder=options.out.parent), options.together, options.out)
            return 0
        circumstances = Circumstances.now("quick" if options.quick else "full", Checkout().commit())
        rows = []
        for what, (check, wanted) in {**checks(probe), **several(probe)}.items():
            if options.only in what:
                rows.append(row(what, check, wanted))
                print(" | ".join(rows[-1].cells), flush=True)
    whole = options.device == "cuda" and not options.quick and not options.only
    out = options.out or (ROOT / RESULTS if whole else None)
    if out is not None:
        before = out.read_text(encoding="utf-8") if out.is_file() else ""
        found = section(GPU, rows, replace(circumstances, device=_card(options.device)))
        out.write_text(document(BENCHMARKS, {GPU: found}, before), encoding="utf-8")
    failed = sum(one.met is False for one in rows)
    print(f"{len(rows)} checks, {failed} failed")
    return 1 if failed or not rows else 0


def _card(device: str) -> str:
    """The graphics processors, in words."""
    if device == "cpu":
        return "no GPU"
    count, name = torch.cuda.device_count(), torch.cuda.get_device_name()
    return f"{f'{count} ' if count > 1 else ''}{name}, CUDA {torch.version.cuda}"


if __name__ == "__main__":
    sys.exit(main())
