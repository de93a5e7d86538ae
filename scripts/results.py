"""Writes the results table of the README from the cards of the published weights; nothing in it is typed by hand."""

import argparse
import sys
from pathlib import Path

from zoo import registry
from zoo.commands.listing import human_size

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- results: written by scripts/results.py -->", "<!-- end of results -->"


def table() -> str:
    """The table in Markdown, a line for each card."""
    lines = [
        "| recipe | data | metric | value | over seeds | parameters | size | training |",
        "|---|---|---|--:|--:|--:|--:|---|",
    ]
    for name in registry.list_models(pretrained=True):
        card = registry.card(name)
        metric, seeds, training = card["metric"], card.get("seeds", {}), card.get("training")
        value, balanced = card["metrics"][metric], card["metrics"].get("balanced_accuracy", 0.0)
        # Where classes are of very different size, accuracy alone flatters.
        figure = (
            f"{value:.4g} (balanced {balanced:.4g})" if balanced and abs(balanced - value) > 0.01 else f"{value:.4g}"
        )
        spread = f"{card['seeds_mean']:.4g} ± {card['seeds_std']:.2g} ({len(seeds)})" if len(seeds) > 1 else "-"
        how = f"{training['seconds']:.0f} s, {training['epochs']} epochs, {training['precision']}" if training else "-"
        lines.append(
            f"| `{name}` | {registry.entry(name).data} | {metric} | {figure} | {spread} "
            f"| {card['parameters']:,} | {human_size(card['bytes'])} | {how} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Rewrites the table; with ``--check`` only says whether it is up to date."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if the table is out of date")
    options = parser.parse_args()
    before = README.read_text(encoding="utf-8")
    head, _, rest = before.partition(BEGIN)
    _, _, tail = rest.partition(END)
    if not rest or not tail:
        print(f"{README} lacks the lines {BEGIN!r} and {END!r}", file=sys.stderr)
        return 2
    after = f"{head}{BEGIN}\n\n{table()}\n\n{END}{tail}"
    if options.check:
        print("up to date" if after == before else "out of date: run scripts/results.py")
        return int(after != before)
    README.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
