"""``zoo embed``: rows of data, pictures and words in the plane, along components or beside what they are like."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from zoo import weights
from zoo.commands.arguments import Arguments
from zoo.commands.origin import find_data
from zoo.commands.outputs import add_csv_flags, check_outputs, write_csv, write_figure
from zoo.commands.predict import load_reader, read_rows
from zoo.commands.tsne import arrange, check_seen, has_words, seen_by, spread, words_of
from zoo.errors import ZooError
from zoo.tabular.drawing import draw_embedding
from zoo.tabular.kmeans import KMeans
from zoo.tabular.pca import PCA
from zoo.terminal import say, warn

# Rows that are looked at together.
_PORTION = 4096


class Plane(NamedTuple):
    """Rows in the plane.

    Attributes:
        coordinates: ``(N, 2)``.
        clusters: Cluster of each row, ``(N,)``; None of what has none.
        shares: Share of the variance along each axis, where it is known.
        centroids: Centroids of the clusters, ``(K, 2)``; None where they are not in the plane.
        axis: What each axis is called, in front of its number.
        rows: Which row of the data each is, ``(N,)``; all of them if left out.
        words: What each row is called, where it is a word.
    """

    coordinates: Tensor
    clusters: Tensor | None = None
    shares: Sequence[float] = ()
    centroids: Tensor | None = None
    axis: str = "component"
    rows: Tensor | None = None
    words: Sequence[str] | None = None


def embed(argv: list[str]) -> None:
    """Draws the data that a model was trained on, or the rows of a table, in the plane.

    Of PCA along its first two components, coloured by class; of k-means along the first two principal components of
    the rows, coloured by cluster, with the centroids. With --method tsne rows of a table, pictures by what the last
    layer of their classifier sees, or words by their embedding lie near what they are like; how far apart groups lie
    means nothing then. Outputs that exist are replaced.
    """
    parser = Arguments("embed", embed.__doc__)
    parser.add_argument("name", help="a published model, a run folder or a checkpoint file in one")
    parser.add_argument(
        "rows", type=Path, nargs="?", metavar="ROWS.csv", help="rows of a table to draw in place of what was trained on"
    )
    parser.add_argument(
        "--method", choices=("components", "tsne"), default="components",
        help="along components, of PCA and k-means, or by t-SNE (default %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--perplexity", type=float, metavar="N", help="of t-SNE: about how many neighbours count (default 30)"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="of t-SNE (default 0)")
    default = Path("embedding.png")
    parser.add_argument(
        "--plot", type=Path, nargs="?", const=default, default=default, metavar="OUT.png",
        help="picture to draw (default %(default)s)",
    )  # fmt: skip
    add_csv_flags(parser, "the coordinates")
    parser.add_argument("--split", choices=("train", "val", "test"), help="default test")
    parser.add_argument("--root", metavar="DIR", help="where the data lies, if not where it lay in training")
    parser.add_device()
    parser.add_argument("--trust", action="store_true", help="the run may name data from outside the zoo")
    options = parser.parse_args(argv)
    check_outputs(options.csv, options.plot)
    is_tsne = options.method == "tsne"
    for flag, value in {"--perplexity": options.perplexity, "--seed": options.seed}.items():
        if value is not None and not is_tsne:
            raise ZooError(f"{flag} is for --method tsne; name that, or leave {flag} out")
    model: Any = weights.load(options.name, options.device) if is_tsne else load_embedder(options.name, options.device)
    if is_tsne:
        check_seen(options.name, model)
    if is_tsne and has_words(model):
        _refuse_rows(options)
        inputs, labels = None, None
    elif options.rows is None:
        inputs, labels = _read(options.name, options.split or "test", options.root, options.trust)
    elif options.split is not None or options.root is not None:
        raise ZooError(
            f"--split and --root say which of the trained data to draw, and {options.rows} is named; leave them out"
        )
    else:
        loaded = load_reader(options.name, options.device)
        inputs, labels = loaded.read(read_rows(loaded, options.rows)), None
    with torch.inference_mode():
        if is_tsne:
            plane = _of_neighbours(model, inputs, options.perplexity, options.seed or 0)
        else:
            plane = _of_components(model, inputs) if isinstance(model, PCA) else _of_clusters(model, inputs)
    names: Sequence[str] | None = getattr(model, "classes", None)
    if labels is not None and plane.rows is not None:
        labels = labels[plane.rows]
    colours = torch.zeros(len(plane.coordinates), dtype=torch.long) if labels is None else labels
    if plane.clusters is not None:
        colours, names = plane.clusters, [f"cluster {number}" for number in range(model.num_clusters)]
    figure = draw_embedding(
        plane.coordinates, colours, names, plane.shares, plane.centroids, plane.axis, plane.words or ()
    )
    of = (
        "the vocabulary"
        if plane.words
        else options.rows.name
        if options.rows is not None
        else f"the {options.split or 'test'} split"
    )
    title = f"{options.name}: {len(colours):,} {'words' if plane.words else 'rows'} of {of}"
    figure.axes[0].set_title(title, fontsize=10, parse_math=False)
    if options.csv is not None:
        columns = _columns(plane, labels, names)
        write_csv(options.csv, list(columns), zip(*columns.values(), strict=True), options.csv_safe)
    write_figure(options.plot, figure)
    say(f"picture   {options.plot}")


def load_embedder(name: str, device: str = "cpu") -> Any:
    """Loads a model that has a plane to draw in.

    Raises:
        ZooError: It does something else, has learnt nothing yet, or knows one direction only; or there is no such
            device.
    """
    model = weights.load(name, device)
    if not isinstance(model, PCA | KMeans):
        raise ZooError(
            f"'{name}' has no plane to draw in: {type(model).__name__} is neither PCA nor k-means; use such as "
            "pca_iris, or --method tsne"
        )
    if not model.is_fitted:
        raise ZooError(f"'{name}' has learnt nothing yet; train it first")
    if isinstance(model, PCA) and len(model.components) < 2:
        raise ZooError(f"'{name}' has one component, and a plane takes two; train it with --model.num_components 2")
    if model.in_features < 2:
        raise ZooError(f"'{name}' was trained on rows of one feature, and a plane takes two")
    return model


def _refuse_rows(options: Any) -> None:
    """Refuses to be told which rows to draw where words are drawn."""
    for flag, value in {"ROWS.csv": options.rows, "--split": options.split, "--root": options.root}.items():
        if value is not None:
            raise ZooError(f"'{options.name}' has words, whose embedding t-SNE draws; leave out {flag}")


def _read(name: str, split: str, root: str | None, trust: bool) -> tuple[Any, Tensor | None]:
    """Inputs of a split, and their classes, if they have any."""
    data: Any = find_data(name, trust, **({} if root is None else {"root": root}))
    data.prepare_data()
    data.setup()
    splits = getattr(data, "splits", None)
    if not isinstance(splits, dict) or split not in splits:
        raise ZooError(f"{type(data).__name__} has no rows of a {split} split to draw")
    inputs, *others = splits[split]
    labelled = bool(others) and others[0].ndim == 1 and not others[0].dtype.is_floating_point
    return inputs, others[0][:] if labelled else None


def _of_components(model: PCA, inputs: Any) -> Plane:
    found = [model.transform(part)[:, :2].cpu() for part in inputs.split(_PORTION)]
    return Plane(torch.cat(found), shares=model.explained_variance_ratio[:2].tolist())


def _of_neighbours(model: Any, inputs: Any, perplexity: float | None, seed: int) -> Plane:
    """Rows, or without any words, near what they are like; of very many a part."""
    if inputs is None:
        vectors, words = words_of(model)
        return Plane(arrange(vectors, perplexity, seed), axis="t-SNE", words=words)
    at = spread(len(inputs))
    if len(at) < len(inputs):
        warn(f"t-SNE arranges {len(at):,} of {len(inputs):,} rows, spread evenly over them")
    picked = inputs[at]
    clusters = model.cluster(picked).cpu() if isinstance(model, KMeans) else None
    return Plane(arrange(seen_by(model, picked), perplexity, seed), clusters, axis="t-SNE", rows=at)


def _of_clusters(model: KMeans, inputs: Any) -> Plane:
    clusters = torch.cat([model.cluster(part).cpu() for part in inputs.split(_PORTION)])
    coordinates, centroids = (points.cpu() for points in model.in_plane(inputs[:]))
    return Plane(coordinates, clusters, centroids=centroids)


def _columns(plane: Plane, labels: Tensor | None, classes: Sequence[str] | None) -> dict[str, list[Any]]:
    """The table, a list for each column."""
    rows = range(len(plane.coordinates)) if plane.rows is None else plane.rows.tolist()
    columns: dict[str, list[Any]] = {"row": list(rows)}
    if plane.words is not None:
        columns = {"token": list(plane.words)}
    for number in (0, 1):
        columns[f"{plane.axis.lower().replace('-', '')}_{number + 1}"] = [
            f"{value:.7g}" for value in plane.coordinates[:, number].tolist()
        ]
    if plane.clusters is not None:
        columns["cluster"] = plane.clusters.tolist()
    if labels is not None:
        numbers = labels.tolist()
        columns["class"] = [classes[number] for number in numbers] if classes else numbers
    return columns
