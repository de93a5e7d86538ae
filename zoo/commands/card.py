"""A card as people read it, in Markdown: ``zoo show NAME --markdown``, and the pages of the documentation."""

from collections.abc import Iterator
from typing import Any

from zoo.measures import measure
from zoo.registry import Imported, Recipe
from zoo.terminal import human_size

# How a model is used from the command line, by what it is.
_USES = {
    "vision": "zoo embed {name} photos --csv features.csv",
    "series": "zoo forecast {name} --horizon 12 --csv next.csv --plot next.png",
    "text": 'zoo generate {name} --prompt "ROMEO:"',
    "gan": "zoo sample {name} --num 64 --out images.png",
}


def markdown(recipe: Recipe) -> str:
    """What is published of a recipe, in words and tables.

    Args:
        recipe: A recipe, or imported weights.
    """
    return "\n\n".join([f"# {recipe.name}", recipe.summary, *sections(recipe)]) + "\n"


def sections(recipe: Recipe) -> Iterator[str]:
    """What stands below the summary: what the weights reach, how they are used, how settings were chosen.

    Args:
        recipe: A recipe, or imported weights.
    """
    if recipe.card is None:
        yield "It learns from files of yours, so there are no published weights."
    else:
        yield "## What it reaches\n\n" + _table(_facts(recipe.card))
    yield "## Use it\n\n" + _uses(recipe)
    if recipe.about:
        yield "## How its settings were chosen\n\n" + recipe.about


def _facts(card: dict[str, Any]) -> dict[str, str]:
    """What a card says, as people say it."""
    metric, metrics = card.get("metric"), card.get("metrics", {})
    source = card.get("data", {}).get("source") or card.get("source") or {}
    name, url, terms = (source.get(key, "") for key in ("name", "url", "licence"))
    if url.startswith("http"):
        name, url = f"[{name}]({url})", ""
    classes = card.get("classes") or []
    shown = ", ".join(map(str, classes[:12])) + (f" and {len(classes) - 12} more" if len(classes) > 12 else "")
    lenders = ", ".join(f"{one['from']} (`{prefix}*`)" for prefix, one in card.get("borrows", {}).items())
    others = ", ".join(f"{_words(key)} {value:.4g}" for key, value in metrics.items() if key != metric)
    facts = {
        "measured": f"**{_figure(metric, metrics[metric])}** {measure(metric).words}" if metric else "",
        "over seeds": _seeds(card),
        "also measured": others,
        "measured with": f"`{card['measured_with']}`" if "measured_with" in card else "",
        "learnt from": ", ".join(filter(None, (name, url, terms))),
        "trained with": f"`{card['trained_with']}`" if "trained_with" in card else "",
        "begun with": _start(card.get("init_from") or {}),
        "training": _training(card.get("training") or {}),
        "architecture": f"`{card['model']['class_path']}`, {card['parameters']:,} parameters",
        "classes": shown,
        "weights": f"{human_size(card['bytes'])}, {card.get('dtype', 'float32')}, sha256 `{card['sha256'][:16]}...`",
        "borrows from": lenders,
        "licence": card.get("licence", ""),
        "versions": ", ".join(f"{package} {number}" for package, number in card.get("versions", {}).items()),
        "date": card.get("date", ""),
    }
    return {title: text for title, text in facts.items() if text}


def _seeds(card: dict[str, Any]) -> str:
    if len(card.get("seeds", {})) < 2:
        return ""
    mean, spread = (_figure(card["metric"], card[key]) for key in ("seeds_mean", "seeds_std"))
    return f"{mean} ± {spread}, {len(card['seeds'])} runs that differ by their seed alone; published is {card['seed']}"


def _start(start: dict[str, Any]) -> str:
    if not start:
        return ""
    return f"{start['name']} (sha256 `{start['sha256'][:16]}...`): {', '.join(start['taken'])}"


def _training(training: dict[str, Any]) -> str:
    if not training:
        return ""
    seconds = training["seconds"]
    duration = f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"
    return f"{duration}, {training['epochs']} epochs in {training['precision']}, {training['device']}"


def _figure(metric: str, value: float) -> str:
    return f"{value:.2%}" if measure(metric).is_share else f"{value:.4g}"


def _uses(recipe: Recipe) -> str:
    """What to type, and the same in Python."""
    typed = "\n".join(_commands(recipe))
    python = f'import zoo\n\nmodel = zoo.{"load" if recipe.card else "create"}("{recipe.name}")'
    return (f"```bash\n{typed}\n```\n\n" if typed else "") + f"```python\n{python}\n```"


def _commands(recipe: Recipe) -> list[str]:
    name, family, card = recipe.name, recipe.family, recipe.card
    commands = []
    if card is not None:
        if family == "text" and card.get("classes"):
            commands.append(f'zoo classify {name} --text "what a moving film"')
        elif family == "vision" and card.get("classes"):
            commands.append(f"zoo classify {name} photo.jpg")
        elif use := _USES.get(family):
            commands.append(use.format(name=name))
        if not isinstance(recipe, Imported):
            commands += [f"zoo test {name}", f"zoo fit {name} --test"]
    elif not isinstance(recipe, Imported):
        commands.append(f"zoo fit {name} ...")
    return commands


def _table(rows: dict[str, str]) -> str:
    cells = [("", ""), ("---", "---"), *rows.items()]
    return "\n".join(f"| {_cell(name)} | {_cell(text)} |" for name, text in cells)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _words(name: str) -> str:
    return name.replace("_", " ")
