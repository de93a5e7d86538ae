"""Measures what it is worth to begin with other weights, and writes that into ``docs/starting.md``.

    python -m scripts.headstart                      # everything, some twenty minutes on two cores
    python -m scripts.headstart --only text --seeds 1
    python -m scripts.headstart --files           # writes what the commands of the page are typed at

Each trial trains a recipe on a tenth of its data, and on all of it: with fresh weights, with what fits of others, and
with a part of that frozen. All are measured on the same test split, which has chosen nothing.
"""

import argparse
import contextlib
import io
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from scripts.results import ROOT, written
from zoo.cli import main as zoo
from zoo.registry import read_results

PAGE = ROOT / "docs" / "starting.md"
TENTH, ALL = "a tenth", "all"


class Trial(NamedTuple):
    """Something to learn, with and without a start.

    Attributes:
        learns: What, in words.
        fit: What to type after ``zoo fit``; files lie in the current folder.
        amounts: What is added for each amount of data, and how much that is, in words.
        origin: The weights to begin with.
        frozen: What is frozen in the third column.
        metric: The figure that counts, of the test split.
        meaning: What it means, in words.
        quick: What is added for a trial of a trial.
        prepare: Writes files into the current folder.
    """

    learns: str
    fit: Sequence[str]
    amounts: dict[str, tuple[Sequence[str], str]]
    origin: str
    frozen: str
    metric: str
    meaning: str
    quick: Sequence[str]
    prepare: Callable[[], None] = lambda: None

    def ways(self) -> dict[str, list[str]]:
        """The ways to begin, by the heads of their columns."""
        begun = ["--init_from", self.origin]
        return {
            "fresh weights": [],
            f"`--init_from {self.origin}`": begun,
            f"and `--freeze {self.frozen}`": [*begun, "--freeze", self.frozen],
        }


def write_temperatures() -> None:
    """Writes the sea's temperature off Peru: 500 months to train on, and the last fifty of these alone."""
    from statsmodels.datasets import elnino

    table = elnino.load().data.set_index("YEAR")
    months = [
        f"{int(year)}-{month:02},{value}"
        for year, row in table.iterrows()
        for month, value in enumerate(row.tolist(), 1)
        if value == value
    ]
    for name, count in (("sea", 500 + 232), ("sea_tenth", 50 + 232)):
        Path(f"{name}.csv").write_text("\n".join(["month,degrees", *months[-count:]]) + "\n")


def write_reviews() -> None:
    """Writes sentences of film reviews: 600 to train on, the first 60 of these alone, and others to judge by."""
    from datamodules import MovieReviews

    texts = MovieReviews(root=str(ROOT / "data")).read().texts
    for folder, count in (("reviews", 600), ("reviews_tenth", 60)):
        parts = {"train": texts[:count], "val": texts[600:750], "test": texts[750:1050]}
        Path(folder).mkdir()
        for split, lines in parts.items():
            Path(folder, f"{split}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


TRIALS = {
    "vision": Trial(
        "digits, by a network that has seen clothes",
        ["cnn_digits"],
        {TENTH: (["--data.train_size", "126"], "126 pictures"), ALL: ([], "1,257 pictures")},
        "cnn_fashion_mnist",
        "network.0,network.3",
        "accuracy",
        "share of the test pictures named right",
        ["--trainer.max_epochs=1"],
    ),
    "series": Trial(
        "the sea off Peru a month ahead, by a network that has seen sunspots",
        ["lstm_csv", "--data.time", "month", "--data.window", "33", "--data.horizon", "1", "--data.period", "12",
         "--data.val", "100", "--data.test", "132", "--model.hidden_size", "32"],
        {TENTH: (["--data.path", "sea_tenth.csv"], "50 months"), ALL: (["--data.path", "sea.csv"], "500 months")},
        "lstm_sunspots",
        "network.recurrent",
        "mae",
        "degrees off on average in the test period, less is better",
        ["--trainer.max_epochs=1"],
        write_temperatures,
    ),
    "text": Trial(
        "film reviews, by a network that has read Shakespeare",
        ["char_rnn_text", "--model.hidden_size", "384"],
        {
            TENTH: (["--data.path", "reviews_tenth"], "60 sentences"),
            ALL: (["--data.path", "reviews", "--trainer.max_epochs", "6"], "600 sentences, 6 epochs"),
        },
        "char_rnn_shakespeare",
        "network.recurrent",
        "bits_per_char",
        "bits a character of the test text, less is better",
        ["--trainer.max_epochs=1", "--data.eval_batch_size=256",
         *(f"--trainer.limit_{split}_batches=1" for split in ("train", "val", "test"))],
        write_reviews,
    ),
}  # fmt: skip


@contextlib.contextmanager
def in_folder_of(trial: Trial) -> Iterator[None]:
    """Meanwhile the current folder is one that holds the files of a trial, and is thrown away afterwards."""
    with TemporaryDirectory() as folder, contextlib.chdir(folder):
        trial.prepare()
        yield


def figure(trial: Trial, flags: Sequence[str], seed: int) -> float:
    """Trains once; what the best checkpoint reaches on the test split."""
    with TemporaryDirectory() as root:
        more = [
            "--test",
            "--quiet",
            "--figures=false",
            f"--trainer.default_root_dir={root}",
            f"--seed_everything={seed}",
        ]
        with contextlib.redirect_stdout(io.StringIO()) as shown:
            code = zoo(["fit", *trial.fit, *flags, *more])
        if code:
            raise SystemExit(f"zoo fit {' '.join([*trial.fit, *flags])} ended with {code}\n{shown.getvalue()}")
        (run,) = Path(root).glob("*/*")
        return float(read_results(run)["test"][trial.metric])


def table(trial: Trial, seeds: int, quick: bool = False) -> str:
    """What all ways to begin reach, a line for each amount of data, and the command of the second column."""
    ways = trial.ways()
    lines = [f"| trained on | {' | '.join(ways)} |", f"|---|{'--:|' * len(ways)}"]
    with in_folder_of(trial):
        for amount, (flags, told) in trial.amounts.items():
            cells = []
            for begin in ways.values():
                asked = [*flags, *begin, *(trial.quick if quick else ())]
                found = [figure(trial, asked, seed) for seed in range(seeds)]
                spread = f" ± {statistics.stdev(found):.2g}" if seeds > 1 else ""
                cells.append(f"{statistics.fmean(found):.4g}{spread}")
                print(f"{amount}, {' '.join(begin) or 'fresh'}: {cells[-1]}", file=sys.stderr)
            lines.append(f"| {amount}: {told} | {' | '.join(cells)} |")
    command = " ".join(["zoo fit", *trial.fit, *trial.amounts[TENTH][0], "--init_from", trial.origin])
    about = f"{trial.learns[0].upper()}{trial.learns[1:]}: {trial.meaning}; mean and deviation over {seeds} seeds."
    return "\n".join([f"```bash\n{command}\n```\n", about, "", *lines])


def main() -> None:
    """Measures trials and rewrites their part of the page."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--only", nargs="+", choices=TRIALS, default=list(TRIALS), help="measure these alone")
    parser.add_argument("--seeds", type=int, default=5, help="trainings of each kind (default %(default)s)")
    parser.add_argument("--files", action="store_true", help="only write the files that the commands name, here")
    options = parser.parse_args()
    if options.files:
        for trial in TRIALS.values():
            trial.prepare()
        return
    for name in options.only:
        found = written(PAGE.read_text(encoding="utf-8"), name, table(TRIALS[name], options.seeds), "headstart")
        if found is None:
            raise SystemExit(f"{PAGE} has no place for {name!r}")
        PAGE.write_text(found, encoding="utf-8")


if __name__ == "__main__":
    main()
