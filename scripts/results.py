"""Writes tables and figures of README and guides from the cards of the published weights; none is typed by hand."""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from zoo import registry
from zoo.commands.listing import human_size

ROOT = Path(__file__).parent.parent

# What 'scripts/train' puts into .venv and takes, measured in a fresh checkout on Linux with two cores: 6,184 MB, 182 s.
GIGABYTES, MINUTES = 6.2, 3


def cost() -> str:
    """What the two commands of the first screen take."""
    return (
        f"They need nothing but Python 3.11 or newer. The first call fills `.venv` with {GIGABYTES:.0f} GB, most of it "
        f"PyTorch with CUDA, which takes {MINUTES} minutes on a quick line; later ones begin at once. "
        "`ZOO_PYTHON=python scripts/test` uses an environment that is already active."
    )


def expect() -> str:
    """What a first training ends with."""
    card = registry.card("cnn_digits")
    training, spread = card["training"], card["seeds_std"]
    return (
        f"It trains for {training['seconds']:.0f} seconds ({training['epochs']} epochs, {training['device']}), leaves "
        f"one folder with pictures, checkpoints and the resolved settings, and names about "
        f"{card['seeds_mean']:.0%} of the test pictures right: {card['seeds_mean']:.3f} ± {spread:.3f} over "
        f"{len(card['seeds'])} seeds, {card['metrics']['accuracy']:.4f} with the one that is published."
    )


# A row a family: what it does, a published model, and what that reaches in words that need no explanation.
FAMILIES: dict[str, tuple[str, str, Callable[[dict[str, float]], str]]] = {
    "vision": (
        "names what is in pictures",
        "mobilenetv2_things",
        lambda found: f"{found['accuracy']:.0%} of drawings of eight kinds of things named right",
    ),
    "series": (
        "continues series, with intervals",
        "lstm_co2",
        lambda found: f"CO2 in the air a year ahead, {found['mae']:.2f} ppm off on average",
    ),
    "text": (
        "goes on with texts, judges sentences",
        "sentiment_average_reviews",
        lambda found: f"{found['accuracy']:.0%} of sentences on films judged right",
    ),
    "gan": (
        "makes images of noise",
        "conditional_dcgan_fashion_mnist",
        lambda found: f"{found['asked_class']:.0%} of images recognised as the garment that was asked for",
    ),
    "tabular": (
        "lines, networks, components, clusters",
        "pca_iris",
        lambda found: f"two numbers for four of an iris, with {found['explained_variance']:.0%} of their variance",
    ),
}


def families() -> str:
    """What there is, a line for each family."""
    published = [registry.entry(name) for name in registry.list_models(pretrained=True)]
    lines = ["| family | what it does | pretrained | such as | which reaches |", "|---|---|--:|---|---|"]
    for family, (does, example, told) in FAMILIES.items():
        count = sum(one.family == family for one in published)
        lines.append(f"| {family} | {does} | {count} | `{example}` | {told(registry.card(example)['metrics'])} |")
    return "\n".join(lines)


# Mean absolute errors of the notes' own networks with their final settings, measured once in Keras, one initialisation
# each (of the stateful RNN three); the formulas are exact.
NOTES = {
    "naive_synthetic": "5.9379",
    "moving_average_synthetic": "7.1424",
    "seasonal_difference_synthetic": "4.5669",
    "linear_synthetic": "5.03",
    "dense_synthetic": "5.09",
    "rnn_synthetic": "5.40",
    "rnn_sequence_synthetic": "5.50",
    "stateful_rnn_synthetic": "6.04, 6.43, 6.98",
    "lstm_synthetic": "-",
    "gru_synthetic": "-",
    "stateful_lstm_synthetic": "5.70",
    "conv_lstm_synthetic": "5.19",
    "causal_conv_synthetic": "4.61",
    "wavenet_synthetic": "-",
}


def all_cards() -> str:
    """What every model reaches, a line for each card."""
    lines = [
        "| recipe | data | metric | value | over seeds | parameters | size | training |",
        "|---|---|---|--:|--:|--:|--:|---|",
    ]
    for name in registry.list_models(pretrained=True):
        card = registry.card(name)
        metric, seeds, training = card["metric"], card.get("seeds", {}), card.get("training")
        value, balanced = card["metrics"][metric], card["metrics"].get("balanced_accuracy", 0.0)
        # Where classes are of very different size, accuracy alone flatters.
        figure = f"{value:.4g}"
        if balanced and abs(balanced - value) > 0.01:
            figure += f" (balanced {balanced:.4g})"
        if metric == "perplexity_without_oov":
            figure += f" ({card['metrics']['perplexity']:.4g} with them)"
        if "mase" in card["metrics"]:
            figure += f" (MASE {card['metrics']['mase']:.3g})"
        spread = f"{card['seeds_mean']:.4g} ± {card['seeds_std']:.2g} ({len(seeds)})" if len(seeds) > 1 else "-"
        how = f"{training['seconds']:.0f} s, {training['epochs']} epochs, {training['precision']}" if training else "-"
        lines.append(
            f"| `{name}` | {registry.entry(name).data} | {metric} | {figure} | {spread} "
            f"| {card['parameters']:,} | {human_size(card['bytes'])} | {how} |"
        )
    return "\n".join(lines)


def synthetic_series() -> str:
    """What the forecasters reach on the series of the notes, beside the notes' own networks."""
    lines = ["| recipe | the notes, in Keras | here | over seeds |", "|---|--:|--:|--:|"]
    for name, notes in NOTES.items():
        card = registry.card(name)
        spread = "exact"
        if len(card["seeds"]) > 1:
            spread = f"{card['seeds_mean']:.3f} ± {card['seeds_std']:.2g} ({len(card['seeds'])})"
        lines.append(f"| `{name}` | {notes} | {card['metrics']['mae']:.4f} | {spread} |")
    return "\n".join(lines)


# What KenLM reaches on the same words, validation and test, with and without what is out of vocabulary; measured once
# with its lmplz and query.
KENLM = {
    "bigram_shakespeare": "142.3332 (131.8968) / 146.2781 (136.1110)",
    "trigram_shakespeare": "124.4299 (115.1552) / 127.2248 (118.2404)",
    "ngram5_shakespeare": "122.1200 (113.0080) / 124.6301 (115.8133)",
}


def texts() -> str:
    """What the models of text reach: language models by words, by characters, classifiers."""
    cards = {name: registry.card(name) for name in registry.list_models("*_shakespeare*", pretrained=True)}
    words = [
        "### Words: perplexity with (without) what is out of vocabulary, validation / test",
        "",
        "| recipe | here | nothing pruned, validation | KenLM |",
        "|---|--:|--:|--:|",
    ]
    characters = [
        "### Characters: bits a character",
        "",
        "| recipe | validation | test | parameters | training |",
        "|---|--:|--:|--:|---|",
    ]
    for name, card in cards.items():
        found, measured = card["validation"], card["metrics"]
        if card["metric"] == "bits_per_char":
            training = card["training"]
            how = f"{training['seconds'] / 60:.0f} min, {training['device']}"
            bits = f"{found['bits_per_char']:.4f} | {measured['bits_per_char']:.4f}"
            characters.append(f"| `{name}` | {bits} | {card['parameters']:,} | {how} |")
            continue
        here = " / ".join(
            f"{figures['perplexity']:.4f} ({figures['perplexity_without_oov']:.4f})" for figures in (found, measured)
        )
        whole = "-"
        if "unpruned_perplexity" in found:
            whole = f"{found['unpruned_perplexity']:.4f} ({found['unpruned_perplexity_without_oov']:.4f})"
        words.append(f"| `{name}` | {here} | {whole} | {KENLM.get(name, '-')} |")
    sentences = [
        "### Film reviews: test accuracy",
        "",
        "| recipe | seed 0 | over seeds | parameters |",
        "|---|--:|--:|--:|",
    ]
    for name in registry.list_models("sentiment_*", pretrained=True):
        card = registry.card(name)
        spread = f"{card['seeds_mean']:.4f} ± {card['seeds_std']:.2g} ({len(card['seeds'])})"
        sentences.append(f"| `{name}` | {card['metrics']['accuracy']:.4f} | {spread} | {card['parameters']:,} |")
    return "\n".join([*words, "", *characters, "", *sentences])


def gans() -> str:
    """What the makers of images reach, and what simple means reach by the same figures."""
    columns = ("cnn_fid", "cnn_kid", "precision", "recall", "density", "coverage", "classes_covered", "class_kl")
    heads = ("distance (FID)", "KID", "precision", "recall", "density", "coverage", "classes", "KL of classes, nats")
    lines = [
        f"| recipe | {' | '.join(heads)} | recognised as asked | training |",
        f"|---|{'--:|' * len(heads)}--:|---|",
    ]
    calibrations = []
    for name in registry.list_models(pretrained=True):
        card = registry.card(name)
        if card["family"] != "gan":
            continue
        found, training = card["metrics"], card["training"]
        asked = f"{found['asked_class']:.1%}" if "asked_class" in found else "-"
        how = f"{training['epochs']} epochs, {training['seconds'] / 60:.0f} min, {training['precision']}"
        figures = " | ".join(f"{found[column]:.3g}" if column in found else "-" for column in columns)
        lines.append(f"| `{name}` | {figures} | {asked} | {how} |")
        calibrations += [
            f"| {registry.entry(name).data}: {what} | "
            + " | ".join(f"{figures[column]:.3g}" if column in figures else "-" for column in columns)
            + " | - | - |"
            for what, figures in card.get("calibration", {}).items()
        ]
    return "\n".join([*lines, *dict.fromkeys(calibrations)])


# What is written into each page, by the name that its place has there.
PAGES: dict[Path, dict[str, Callable[[], str]]] = {
    ROOT / "README.md": {"cost": cost, "expect": expect, "families": families},
    ROOT / "docs" / "start.md": {"cost": cost, "expect": expect},
    ROOT / "docs" / "results.md": {"results": all_cards},
    ROOT / "docs" / "series.md": {"results": synthetic_series},
    ROOT / "docs" / "text.md": {"results": texts},
    ROOT / "docs" / "gan.md": {"results": gans},
}


def written(text: str, place: str, content: str, script: str = "results") -> str | None:
    """A page with what a script writes into one of its places; None if it lacks that place."""
    begin, end = f"<!-- {place}: written by scripts/{script}.py -->", f"<!-- end of {place} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    return pattern.sub(lambda _: f"{begin}\n\n{content}\n\n{end}", text) if pattern.search(text) else None


def main() -> int:
    """Rewrites the tables; with ``--check`` only says whether they are up to date."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a table is out of date")
    options = parser.parse_args()
    code = 0
    for page, places in PAGES.items():
        before = after = page.read_text(encoding="utf-8")
        for place, content in places.items():
            found = written(after, place, content())
            if found is None:
                print(f"{page} has no place for {place!r}", file=sys.stderr)
                return 2
            after = found
        if options.check:
            print(f"{page.name}: {'up to date' if after == before else 'out of date: run scripts/results.py'}")
            code = max(code, int(after != before))
        else:
            page.write_text(after, encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
