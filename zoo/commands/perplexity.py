"""``zoo perplexity``: how well language models, alone or mixed, predict a text."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import torch
from rich.table import Table
from torch import Tensor

from datamodules.text.corpus import CONTEXT, read_lines
from zoo.commands.arguments import Arguments
from zoo.commands.generate import load_language_model
from zoo.commands.origin import find_class, find_settings
from zoo.commands.tables import show_table
from zoo.errors import ZooError
from zoo.terminal import say
from zoo.text.language_model import LanguageModel
from zoo.text.mixture import fit_weights, mix, same_vocabulary
from zoo.text.surprise import measures

# Lines that are read at once, and tokens that are scored at once.
_LINES, _TOKENS = 20_000, 65_536


class Text(NamedTuple):
    """A text as a model reads it.

    Attributes:
        tokens: Its ids, ``(T,)``.
        characters: Its length, a line break counted as one.
    """

    tokens: Tensor
    characters: int


def perplexity(argv: list[str]) -> None:
    """Measures language models on a text: tokens, those out of vocabulary, perplexity, bits per character.

    Models of the same vocabulary can be mixed, A+B: the probability of a word is then the mean of theirs. Perplexities
    of models with different vocabularies cannot be compared, bits per character can.
    """
    parser = Arguments("perplexity", perplexity.__doc__)
    parser.add_argument(
        "name", metavar="NAME[+NAME...]", help="published models, run folders, checkpoints or ARPA files"
    )
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE", help="UTF-8 text")
    parser.add_argument("--split", choices=["train", "val", "test"], help="instead of FILE: of the data trained on")
    parser.add_argument("--data-root", help="folder for data sets, if not the one that the model was trained with")
    parser.add_argument(
        "--weights", type=float, nargs="+", metavar="W", help="of the mixed models, in order (default: equal)"
    )
    parser.add_argument(
        "--fit-weights", metavar="FILE|val", help="weights that are best for this text, which should be another one"
    )
    parser.add_argument("--json", action="store_true", help="print an array of objects")
    parser.add_device()
    options = parser.parse_args(argv)
    if (options.file is None) == (options.split is None):
        raise ZooError("name a text to measure: a FILE, or --split val for the data that the model was trained on")
    names = options.name.split("+")
    given = _check_weights(options.weights, options.fit_weights, names)
    models = [load_language_model(name, options.device) for name in names]
    if not same_vocabulary([model.tokenizer.vocabulary for model in models]):
        sizes = " and ".join(f"{model.vocab_size:,} ({name})" for name, model in zip(names, models, strict=True))
        raise ZooError(f"models to be mixed need the same vocabulary; these have {sizes} tokens of their own")

    def read(source: str | Path) -> Text:
        if source in ("train", "val", "test"):
            text = read_split(names[0], str(source), options.data_root)
        else:
            text = read_file(models[0], Path(source))
        if not len(text.tokens):
            raise ZooError(f"{source} holds no token")
        return text

    text = read(options.split or options.file)
    found = torch.stack([score(model, text.tokens) for model in models])
    rows = {name: found[place] for place, name in enumerate(names)}
    if len(models) > 1:
        shares = given if given is not None else torch.full((len(models),), 1 / len(models))
        if options.fit_weights is not None:
            other = read(options.fit_weights)
            shares = fit_weights(torch.stack([score(model, other.tokens) for model in models]))
        told = ", ".join(f"{share:.3f}" for share in shares.tolist())
        rows[f"{options.name} ({told})"] = mix(found, shares)
    unknown = models[0].is_unknown(text.tokens.long())
    table = {name: measures(log_probs, unknown, text.characters) for name, log_probs in rows.items()}
    if options.json:
        say(json.dumps([{"name": name, **figures} for name, figures in table.items()], indent=2))
    else:
        _print(table)


def _check_weights(given: list[float] | None, fitted_to: str | None, names: list[str]) -> Tensor | None:
    if (given is not None or fitted_to is not None) and len(names) == 1:
        raise ZooError("weights are for mixed models, A+B; leave them out")
    if given is not None and fitted_to is not None:
        raise ZooError("--weights and --fit-weights both say what the weights are; leave one out")
    if given is None:
        return None
    if len(given) != len(names) or min(given) < 0 or abs(sum(given) - 1) > 1e-6:
        raise ZooError(f"--weights are {given}, expected {len(names)} numbers that sum to one")
    return torch.tensor(given, dtype=torch.float64)


@torch.inference_mode()
def score(model: LanguageModel, tokens: Tensor) -> Tensor:
    """The log-probability of every token of a text of any length, ``(T,)``, on the CPU."""
    found = []
    for start, stop in pieces(tokens, model.tokenizer.end_id):
        found.append(model.score(tokens[start:stop], tokens[max(start - CONTEXT, 0) : start]).cpu())
    return torch.cat(found)


def pieces(tokens: Tensor, end: int | None) -> Iterator[tuple[int, int]]:
    """Cuts a text into pieces that are scored one after the other, behind ends of sentences if there are any."""
    start = 0
    while start < len(tokens):
        stop = min(start + _TOKENS, len(tokens))
        if end is not None and stop < len(tokens):
            ends = (tokens[start:stop].long() == end).nonzero()
            stop = start + int(ends[-1]) + 1 if len(ends) else stop
        yield start, stop
        start = stop


def read_file(model: LanguageModel, path: Path) -> Text:
    """Reads a file.

    Raises:
        ZooError: There is none.
    """
    if not path.is_file():
        raise ZooError(f"{path} is a folder, expected a text file" if path.is_dir() else f"no file {path}")
    lines, characters, found = read_lines(path), 0, []
    while block := list(islice(lines, _LINES)):
        characters += sum(len(line) + 1 for line in block)
        ids = chain.from_iterable(model.tokenizer.encode_lines(block))
        found.append(torch.tensor(list(ids), dtype=torch.int32))
    return Text(torch.cat(found) if found else torch.empty(0, dtype=torch.int32), characters)


def read_split(name: str, split: str, root: str | None) -> Text:
    """Reads a split of the data that a model was trained on.

    Raises:
        ZooError: It is not known, or no corpus.
    """
    origin, settings = find_settings(name)
    if settings is None:
        raise ZooError(f"{name} does not tell what it was trained on; name a FILE, or the run's folder")
    arguments = dict(settings["init_args"])
    if root is not None:
        arguments["root"] = root
    corpus = find_class(origin, settings["class_path"])(**arguments)
    return Text(corpus.tokens.ids[split], corpus.tokens.characters[split])


def _print(table: dict[str, dict[str, float]]) -> None:
    columns: Sequence[tuple[str, str, Callable[[float], str]]] = (
        ("tokens", "tokens", "{:,.0f}".format),
        ("out of vocabulary", "oov", "{:,.0f}".format),
        ("perplexity", "perplexity", "{:,.4f}".format),
        ("without those", "perplexity_without_oov", "{:,.4f}".format),
        ("bits/character", "bits_per_char", "{:.4f}".format),
    )
    shown = Table(box=None, header_style="bold", pad_edge=False)
    shown.add_column("model", overflow="fold")
    for title, _, _ in columns:
        shown.add_column(title, justify="right", no_wrap=True)
    for name, figures in table.items():
        shown.add_row(name, *_cells(figures, columns))
    show_table(shown)


def _cells(figures: dict[str, float], columns: Iterable[tuple[str, str, Callable[[float], str]]]) -> list[str]:
    return [form(figures[key]) for _, key, form in columns]
