"""A card as people read it, in Markdown: ``zoo show NAME --markdown``, and the pages of the documentation."""

from typing import Any

from zoo.registry import Recipe

# How a model is used from the command line, by what it is.
_USES = {
    "vision": "zoo classify {name} photo.jpg",
    "series": "zoo forecast {name} --horizon 12 --csv next.csv --plot next.png",
    "gan": "zoo sample {name} --num 16 --out images.png",
}


def markdown(recipe: Recipe) -> str:
    """What is published of a recipe, in words and tables.

    Args:
        recipe: A recipe, or imported weights.
    """
    card = recipe.card
    parts = [f"# {recipe.name}", recipe.summary]
    if recipe.about:
        parts.append(recipe.about)
    if card is None:
        parts.append(f"Nothing is published of it yet: `zoo fit {recipe.name}` trains it.")
        return "\n\n".join(parts) + "\n"
    parts.append(_table(_facts(recipe, card)))
    parts.append("## Use\n\n```bash\n" + "\n".join(_commands(recipe)) + "\n```")
    parts.append(f'```python\nimport zoo\n\nmodel = zoo.load("{recipe.name}")\n```')
    parts.append("## What it reaches\n\n" + _table(_figures(card), ("on the test split", "value")))
    if len(card.get("seeds", {})) > 1:
        seeds = ", ".join(f"{value:.5g}" for value in card["seeds"].values())
        parts.append(
            f"With {len(card['seeds'])} seeds the {_words(card['metric'])} is {card['seeds_mean']:.5g} ± "
            f"{card['seeds_std']:.2g} ({seeds}); what is published is seed {card['seed']}."
        )
    if "measured_with" in card:
        parts.append(f"Measured with `{card['measured_with']}`, to be repeated by anybody.")
    return "\n\n".join(parts) + "\n"


def _facts(recipe: Recipe, card: dict[str, Any]) -> dict[str, str]:
    source = card.get("data", {}).get("source", {})
    training = card.get("training", {})
    classes = card.get("classes") or []
    shown = ", ".join(map(str, classes[:12])) + (f" and {len(classes) - 12} more" if len(classes) > 12 else "")
    lenders = ", ".join(f"{one['from']} (`{prefix}*`)" for prefix, one in card.get("borrows", {}).items())
    facts = {
        "family": recipe.family,
        "architecture": f"`{card['model']['class_path']}`",
        "parameters": f"{card['parameters']:,}",
        "weights": f"{card['bytes']:,} bytes, {card.get('dtype', 'float32')}, sha256 `{card['sha256'][:16]}...`",
        "shares weights with": lenders,
        "classes": shown,
        "data": source.get("name", ""),
        "data from": source.get("url", ""),
        "licence of the data": source.get("licence", ""),
        "licence of the weights": card.get("licence", ""),
        "trained with": f"`{card['trained_with']}`" if "trained_with" in card else "",
        "training": ", ".join(
            part.format(training[key])
            for key, part in (("epochs", "{} epochs"), ("seconds", "{:.0f} s"), ("precision", "{}"), ("device", "{}"))
            if training.get(key) is not None
        ),
        "versions": ", ".join(f"{package} {number}" for package, number in card.get("versions", {}).items()),
        "date": card.get("date", ""),
    }
    return {name: text for name, text in facts.items() if text}


def _figures(card: dict[str, Any]) -> dict[str, str]:
    figures = card.get("metrics", {})
    first = card.get("metric")
    order = sorted(figures, key=lambda name: (name != first, name))
    return {_words(name): f"**{figures[name]:.5g}**" if name == first else f"{figures[name]:.5g}" for name in order}


def _commands(recipe: Recipe) -> list[str]:
    card = recipe.card or {}
    commands = []
    if card.get("classes") and recipe.family in ("vision", "text"):
        use = 'zoo classify {name} --text "a sentence"' if recipe.family == "text" else _USES["vision"]
        commands.append(use.format(name=recipe.name))
    elif recipe.family == "text":
        commands.append(f'zoo generate {recipe.name} --prompt "Once" --tokens 100')
    elif recipe.family in ("series", "gan"):
        commands.append(_USES[recipe.family].format(name=recipe.name))
    if recipe.path.is_file():
        commands += [f"zoo test {recipe.name}", f"zoo fit {recipe.name} --test"]
    return commands or [f"zoo show {recipe.name}"]


def _table(rows: dict[str, str], header: tuple[str, str] = ("", "")) -> str:
    cells = [header, ("---", "---"), *rows.items()]
    return "\n".join(f"| {_cell(name)} | {_cell(text)} |" for name, text in cells)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _words(name: str) -> str:
    return name.replace("_", " ")
