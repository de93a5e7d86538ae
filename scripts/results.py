"""Writes the tables of results from the cards of the published weights; no result in them is typed by hand."""

import argparse
import sys
from pathlib import Path

from zoo import registry
from zoo.commands.listing import human_size

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- results: written by scripts/results.py -->", "<!-- end of results -->"

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


TABLES = {
    ROOT / "README.md": all_cards,
    ROOT / "docs" / "series.md": synthetic_series,
    ROOT / "docs" / "text.md": texts,
    ROOT / "docs" / "gan.md": gans,
}


def main() -> int:
    """Rewrites the tables; with ``--check`` only says whether they are up to date."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a table is out of date")
    options = parser.parse_args()
    code = 0
    for page, table in TABLES.items():
        before = page.read_text(encoding="utf-8")
        head, _, rest = before.partition(BEGIN)
        _, _, tail = rest.partition(END)
        if not rest or not tail:
            print(f"{page} lacks the lines {BEGIN!r} and {END!r}", file=sys.stderr)
            return 2
        after = f"{head}{BEGIN}\n\n{table()}\n\n{END}{tail}"
        if options.check:
            print(f"{page.name}: {'up to date' if after == before else 'out of date: run scripts/results.py'}")
            code = max(code, int(after != before))
        else:
            page.write_text(after, encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
