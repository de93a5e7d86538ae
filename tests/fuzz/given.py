"""What commands are given that would end well: tiny trainings, a user's data, and runs of earlier versions."""

import json
from pathlib import Path

from conftest import ROOT

_FORMER = ROOT / "tests" / "former"

# A series, texts and a tale.
DATA = {path.name: path.read_bytes() for path in _FORMER.glob("*.*") if path.suffix != ".md"}

# Recipes that train for a moment, and what makes them do so.
TRAININGS: dict[str, tuple[str, ...]] = {
    "backprop_iris": (),
    "kmeans_iris": (),
    "pca_iris": (),
    "linear_minibatch": (),
    "cnn_digits": ("--model.channels=[4]", "--model.hidden_size=8"),
    "lstm_synthetic": ("--model.hidden_size=4", "--data.window=16"),
    "stateful_rnn_synthetic": ("--model.hidden_size=4", "--data.window=16"),
    "seasonal_naive_co2": (),
    "lstm_csv": ("--data.path=sales.csv", "--data.time=day", "--model.hidden_size=4"),
    "sentiment_csv": ("--data.path=opinions.csv", "--data.max_vocab_size=60"),
    "char_rnn_text": ("--data.path=tale.txt", "--model.hidden_size=8", "--model.embedding_size=8"),
    "dcgan_digits": ("--model.width=4", "--model.discriminator_width=4"),
}
QUIETLY = ("--quiet", "--figures=false")

RUNS = sorted(path.name for path in _FORMER.iterdir() if path.is_dir())


def run_of(name: str, finished: bool = False) -> dict[str, bytes]:
    """The files of a run, in ``runs/NAME/1``, and of what was published of it.

    Args:
        name: The run.
        finished: Whether it says that it was trained to its end; it was killed in its second epoch.
    """
    files = {f"runs/{name}/1/{path}": content for path, content in _below(_FORMER / name / "run").items()}
    if finished:
        place = f"runs/{name}/1/results.json"
        training = {"epochs": 2, "steps": 22, "seconds": 0.5, "precision": "32-true", "max_epochs": 2, "best_epoch": 1}
        files[place] = json.dumps({**json.loads(files[place]), "fit": training}).encode()
    return files | {f"published/{path}": content for path, content in _below(_FORMER / name / "published").items()}


def _below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
