"""``zoo elbow``: how the inertia of k-means falls with the number of clusters, and where it stops to pay."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import EarlyStopping
from rich.table import Table
from sklearn.metrics import silhouette_score

from zoo.commands.arguments import Arguments
from zoo.commands.outputs import write_figure
from zoo.commands.tables import show_table
from zoo.errors import ZooError, shortened
from zoo.tabular.drawing import draw_elbow
from zoo.tabular.kmeans import MOST_CLUSTERS, KMeans
from zoo.terminal import say
from zoo.training.cli import ZooCLI
from zoo.training.run_folder import write_results
from zoo.training.target import resolve

# A silhouette compares every row with every other; of more rows a random part is taken.
_MOST_COMPARED = 3000


def elbow(argv: list[str]) -> None:
    """Clusters the training data of a k-means recipe into more and more groups; draws the inertia, marks the knee.

    Every flag of 'zoo fit' may follow. The picture and the figures go into a run folder; no weights are kept.
    """
    parser = Arguments("elbow", elbow.__doc__)
    parser.add_argument("recipe", help="a recipe of k-means, a YAML file or a run folder")
    parser.add_argument("--k", default="1..10", metavar="A..B", help="numbers of clusters (default %(default)s)")
    options, flags = parser.parse_known_args(argv)
    counts = parse_range(options.k)
    target = resolve("elbow", [options.recipe, *flags])
    cli = ZooCLI(target.args, "elbow", target.recipe, None, target.quiet, description=elbow.__doc__)
    if not isinstance(cli.model, KMeans) or cli.folder is None:
        cli.leave_no_trace()
        raise ZooError(f"{type(cli.model).__name__} has no clusters to count; use a recipe of KMeans")
    with cli.telling():
        found = [_cluster(cli, count) for count in counts]
    inertias, silhouettes = [inertia for inertia, _ in found], [silhouette for _, silhouette in found]
    at = knee(counts, inertias)
    (cli.folder / "figures").mkdir(exist_ok=True)
    picture = cli.folder / "figures" / "elbow.png"
    write_figure(picture, draw_elbow(counts, inertias, at, f"{target.recipe}: how many clusters?"))
    table = Table("clusters", "inertia", "silhouette", box=None, header_style="")
    for count, inertia, silhouette in zip(counts, inertias, silhouettes, strict=True):
        table.add_row(str(count), f"{inertia:.5g}", "-" if silhouette is None else f"{silhouette:.4f}")
    show_table(table)
    figures = {
        str(count): {"inertia": one, "silhouette": other} for count, (one, other) in zip(counts, found, strict=True)
    }
    write_results(cli.folder, target.recipe, {"elbow": {"knee": at, "clusters": figures}})
    say(f"knee      {at if at is not None else 'none: three numbers of clusters are needed to see a bend'}")
    say(f"picture   {picture}")


def parse_range(text: str) -> list[int]:
    """The whole numbers of ``A..B``, both included.

    Raises:
        ZooError: It is no such range.
    """
    match = re.fullmatch(r"(\d{1,9})\.\.(\d{1,9})", text)
    low, high = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= low <= high <= MOST_CLUSTERS:
        raise ZooError(
            f"--k is {shortened(text)}, expected two numbers from 1 to {MOST_CLUSTERS:,}, the smaller one first, "
            "such as 1..10"
        )
    return list(range(low, high + 1))


def knee(counts: Sequence[int], inertias: Sequence[float]) -> int | None:
    """The number of clusters at which the curve is farthest below its chord (Satopaa et al., 2011).

    Args:
        counts: Numbers of clusters, ascending.
        inertias: Inertia of each.

    Returns:
        It, or None where the curve has no inner point or is straight.
    """
    if len(counts) < 3 or not inertias[0] > inertias[-1]:
        return None
    x, y = np.array(counts, dtype=float), np.array(inertias, dtype=float)
    below = 1 - (x - x[0]) / (x[-1] - x[0]) - (y - y[-1]) / (y[0] - y[-1])
    return int(counts[int(below.argmax())]) if below.max() > 1e-9 else None


def _cluster(cli: ZooCLI, count: int) -> tuple[float, float | None]:
    """Inertia and silhouette of the training data in so many clusters."""
    model = KMeans(**{**dict(cli.model.hparams), "num_clusters": count})
    trainer = Trainer(
        accelerator=cli.config["trainer"]["accelerator"],
        devices=1,
        max_epochs=cli.trainer.max_epochs,
        callbacks=[EarlyStopping("train_inertia_of_restarts", patience=2, check_on_train_epoch_end=True)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
    )
    torch.manual_seed(cli.config["seed_everything"])
    trainer.fit(model, datamodule=cli.datamodule)
    inputs: Any = cli.datamodule.splits["train"][0]
    model.cpu()
    inertia = sum(float(model(part).amin(1).double().sum()) for part in inputs[:].split(4096))
    if count == 1:
        return inertia, None
    at = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(0))[:_MOST_COMPARED]
    clusters = model.cluster(inputs[at]).numpy()
    return inertia, float(silhouette_score(model.seen(inputs[at], torch.float32).numpy(), clusters))
