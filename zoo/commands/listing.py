"""``zoo list`` and ``zoo show``: what there is. Neither torch nor lightning is imported."""

import json
from typing import Any

from rich.syntax import Syntax
from rich.table import Table

from zoo import registry
from zoo.commands.arguments import Arguments
from zoo.commands.card import markdown
from zoo.commands.tables import Screen, show_table
from zoo.comparison.own import own_recipes
from zoo.errors import ZooError
from zoo.terminal import human_size, say, visible


def list_recipes(argv: list[str]) -> None:
    """Lists recipes with family, data, metric and its measured value, parameters and size of the weights."""
    parser = Arguments("list", list_recipes.__doc__)
    parser.add_argument("pattern", nargs="?", default="*", help="shell pattern, or a word that the name contains")
    parser.add_argument("--pretrained", action="store_true", help="only recipes with published weights")
    parser.add_argument("--own", action="store_true", help="only recipes for data of your own, as zoo auto takes them")
    parser.add_argument("--json", action="store_true", help="print an array of objects")
    options = parser.parse_args(argv)
    names = registry.list_models(options.pattern, options.pretrained)
    if options.own:
        names = [name for name in names if name in own_recipes()]
    rows = [summarise(registry.entry(name)) for name in names]
    if options.json:
        say(json.dumps(rows, indent=2))
        return
    if not rows:
        raise ZooError(f"no recipe matches '{options.pattern}'; 'zoo list' shows all")
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("name", "family", "data", "metric"):
        table.add_column(column, no_wrap=True)
    for column in ("value", "parameters", "size"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row["name"], row["family"], row["data"], row["metric"] or "-",
            "-" if row["value"] is None else f"{row['value']:.4g}",
            "-" if row["parameters"] is None else f"{row['parameters']:,}",
            "-" if row["bytes"] is None else human_size(row["bytes"]),
        )  # fmt: skip
    show_table(table)


def summarise(recipe: registry.Recipe) -> dict[str, Any]:
    """The line of a recipe in ``zoo list --json``; what is not published is None."""
    card = recipe.card or {}
    metric = card.get("metric")
    return {
        "name": recipe.name,
        "family": recipe.family,
        "data": recipe.data,
        "metric": metric,
        "value": card["metrics"][metric] if metric else None,
        "metrics": card.get("metrics", {}),
        "parameters": card.get("parameters"),
        "bytes": card.get("bytes"),
        "summary": recipe.summary,
    }


def show(argv: list[str]) -> None:
    """Shows a recipe as it is written, with its comments, and the card of its published weights."""
    parser = Arguments("show", show.__doc__)
    parser.add_argument("name", help="a recipe")
    parser.add_argument("--recipe", action="store_true", help="only the recipe: zoo show NAME --recipe > mine.yaml")
    parser.add_argument("--card", action="store_true", help="only the card, as JSON")
    parser.add_argument("--markdown", action="store_true", help="what is published, as people read it")
    options = parser.parse_args(argv)
    if options.recipe + options.card + options.markdown > 1:
        raise ZooError("--recipe, --card and --markdown each show something else; leave out all but one")
    recipe = registry.recipe(options.name) if options.recipe else registry.entry(options.name)
    if options.card:
        say(json.dumps(registry.card(options.name), indent=2, ensure_ascii=False))
        return
    if options.markdown:
        say(markdown(recipe), end="")
        return
    console = Screen()
    if options.recipe or not console.is_terminal:
        say(recipe.text, end="")
    else:
        console.print(Syntax(visible(recipe.text), "yaml", theme="ansi_light", background_color="default"))
    if options.recipe:
        return
    if recipe.card is None:
        say(f"\nNothing is published of {recipe.name} yet: 'zoo fit {recipe.name}' trains it.")
    else:
        say(f"\ncard of {recipe.folder}")
        say(
            json.dumps(
                {key: value for key, value in recipe.card.items() if key != "model"}, indent=2, ensure_ascii=False
            )
        )
