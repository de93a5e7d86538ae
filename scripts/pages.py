"""Makes the pages of the site that nobody writes: of every recipe, of every command, of every class; a hook of mkdocs.

Recipes become pages from their YAML, the card of their weights and the picture in ``docs/portraits``, commands from
their parsers, classes from their docstrings. ``mkdocs.yml`` names the hook and has all else.
"""

import argparse
import html
import json
import re
from collections.abc import Iterator
from importlib import import_module
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import griffe
import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import zoo
from zoo import registry, renamed
from zoo.cli import VERBS
from zoo.commands import card
from zoo.docstrings import markdown
from zoo.training.messages import ZooParser

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
FAMILIES = {
    "vision": "Pictures",
    "series": "Series",
    "text": "Texts",
    "gan": "Images from noise",
    "tabular": "Tables",
}
# What is imported, by the page that it is on.
PACKAGES = {
    "zoo": "Train, load and create",
    "zoo.vision": "Pictures",
    "zoo.series": "Series",
    "zoo.text": "Texts",
    "zoo.gan": "Images from noise",
    "zoo.tabular": "Tables",
    "datamodules": "Data",
    "zoo.base": "Base of all models",
    "zoo.training": "Training",
}
# A run of hours writes it, see scripts/reliability.py; until it has, there is none.
WRITTEN_LATER = "reliability.md"
WIDE = ("recipes/index.md", "results.md", "benchmarks.md")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Puts the pages that are made into the navigation."""
    models: list[Any] = ["recipes/index.md"]
    for family, recipes in _by_family():
        models.append({FAMILIES[family]: [f"recipes/{recipe.name}.md" for recipe in recipes]})
    reference = [
        {"Commands": ["commands/index.md", *(f"commands/{verb}.md" for verb in VERBS)]},
        {"Python": [{package: f"python/{package}.md"} for package in PACKAGES]},
    ]
    written = (DOCS / WRITTEN_LATER).is_file()
    for section in config.nav or []:
        for title, pages in section.items():
            if isinstance(pages, list):
                pages.extend({"Models": models, "Reference": reference}.get(title, []))
                pages[:] = [page for page in pages if page != WRITTEN_LATER or written]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages."""
    for path, content in pages():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(text: str, page: Page, **_: Any) -> str:
    """Shows a program where a line of its own links to it, and leaves the width to pages of pictures and tables."""
    if page.file.src_uri in WIDE:
        page.meta["hide"] = ["toc"]
    # A guide names a file at the top of the repository, whose page lies beside it here.
    text = re.sub(r"\]\(\.\./(\w+\.md)\)", lambda found: f"]({found[1].lower()})", text)
    text = text.replace("<!-- former names -->", former_names())
    return re.sub(r"^\[`(docs/examples/\w+\.py)`\]\(.*\)$", _program, text, flags=re.MULTILINE)


def _program(found: re.Match[str]) -> str:
    path = found[1]
    return f'```python title="{path}"\n{(ROOT / path).read_text(encoding="utf-8").strip()}\n```'


def pages() -> Iterator[tuple[str, str]]:
    """All pages that are made: where they are, and their Markdown."""
    yield "index.md", _as_page((ROOT / "README.md").read_text(encoding="utf-8"))
    for path in ("CONTRIBUTING.md", "CHANGELOG.md", "benchmarks.md"):
        yield path.lower(), (ROOT / path).read_text(encoding="utf-8")
    yield "tour.md", tour()
    yield "recipes/index.md", gallery()
    for name in registry.list_models():
        yield f"recipes/{name}.md", recipe_page(registry.entry(name))
    yield "commands/index.md", commands()
    for verb in VERBS:
        yield f"commands/{verb}.md", command_page(verb)
    for package, title in PACKAGES.items():
        yield f"python/{package}.md", package_page(package, title)


def _as_page(text: str) -> str:
    """A file at the top of the repository as a page beside the guides."""
    text = text.replace("(docs/examples/tour.ipynb)", "(tour.md)")
    text = re.sub(r"\]\((?:docs/)?([\w./#-]+)\)", lambda found: f"]({found[1]})", text)
    return text.replace("(CONTRIBUTING.md)", "(contributing.md)").replace("(CHANGELOG.md)", "(changelog.md)")


def tour() -> str:
    """The notebook, to read."""
    cells = nbformat.read(DOCS / "examples" / "tour.ipynb", as_version=4).cells
    parts = [cell.source if cell.cell_type == "markdown" else f"```python\n{cell.source}\n```" for cell in cells]
    parts.insert(1, "To run it: `docs/examples/tour.ipynb`, with Jupyter or any editor that knows notebooks.")
    return "\n\n".join(parts)


def _by_family() -> list[tuple[str, list[registry.Recipe]]]:
    order = list(FAMILIES)
    entries = sorted(
        map(registry.entry, registry.list_models()), key=lambda entry: (order.index(entry.family), entry.name)
    )
    return [(family, list(group)) for family, group in groupby(entries, key=lambda entry: entry.family)]


def gallery() -> str:
    """Every model with its picture, family by family."""
    parts = [
        "# Models\n\nEvery picture was made by published weights: what a model says of test pictures, how it continues "
        "a series, which letters surprise it, what it makes of noise. A click leads to the recipe, to what it reaches "
        "and to how it is used. *The notes* are teaching notes for Keras, from which the zoo grew."
    ]
    for family, recipes in _by_family():
        cards = []
        for recipe in recipes:
            picture = f'<img src="../portraits/{recipe.name}.webp" alt="" loading="lazy">' if recipe.card else ""
            cards.append(
                f'<a class="{family}" href="{recipe.name}.html">{picture}<span>{recipe.name}</span>'
                f"<span>{html.escape(recipe.summary)}</span></a>"
            )
        parts.append("\n".join([f"## {FAMILIES[family]}", "", '<div class="gallery">', *cards, "</div>"]))
    return "\n\n".join(parts)


def recipe_page(recipe: registry.Recipe) -> str:
    """A recipe: what it is, its picture, what its weights reach, how to use them, and the YAML."""
    parts = [f"# {recipe.name}\n\n{recipe.summary}"]
    if recipe.card is not None:
        parts.append(f"![made by the published weights](../portraits/{recipe.name}.webp)")
    parts += card.sections(recipe)
    if not isinstance(recipe, registry.Imported):
        parts.append(f"## Recipe\n\n```yaml\n{recipe.text.strip()}\n```")
    if recipe.card is not None:
        whole = json.dumps(recipe.card, indent=2, ensure_ascii=False)
        parts.append('??? note "The whole card"\n\n' + _indented(f"```json\n{whole}\n```"))
    return "\n\n".join(parts) + "\n"


def former_names() -> str:
    """The table of what was called otherwise."""
    kinds = {"recipe": renamed.RECIPES, "verb": renamed.VERBS, "flag": renamed.FLAGS}
    rows = [
        f"| {kind} | `{former}` | `{new.name}` | {new.since} |"
        for kind, table in kinds.items()
        for former, new in table.items()
    ]
    return (
        "\n".join(["| | former name | name | since |", "|---|---|---|---|", *rows]) if rows else "None was renamed yet."
    )


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in text.splitlines())


def commands() -> str:
    """All verbs."""
    lines = [f"| [`zoo {verb}`]({verb}.md) | {summary} |" for verb, (_, summary) in VERBS.items()]
    return "\n".join(
        ["# Commands", "", "Made from the parsers, as `zoo VERB --help` is.", "", "| | |", "|---|---|", *lines, ""]
    )


class _Found(BaseException):
    """The parser of a verb, where the verb would parse."""


def parser_of(verb: str) -> argparse.ArgumentParser:
    """The parser that a verb makes.

    Args:
        verb: Such as ``fit``.
    """

    def stop(parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        raise _Found(parser)

    module, _, function = VERBS[verb][0].partition(":")
    with (
        patch.object(argparse.ArgumentParser, "parse_args", stop),
        patch.object(argparse.ArgumentParser, "parse_known_args", stop),
        patch.object(ZooParser, "parse_args", stop),
    ):
        try:
            getattr(import_module(module), function)(["--help"])
        except _Found as found:
            return found.args[0]
    raise LookupError(f"zoo {verb} parses nothing")


def command_page(verb: str) -> str:
    """A verb: what it does, how it is called, and its arguments."""
    parser = parser_of(verb)
    usage = " ".join(parser.format_usage().removeprefix("usage:").split())
    parts = [f"# zoo {verb}", _paragraphs(parser.description or ""), f"```\n{_wrapped(usage)}\n```"]
    for group in parser._action_groups:
        rows = [_argument(parser, action) for action in group._group_actions if action.help != argparse.SUPPRESS]
        if rows:
            parts.append(f"## {_title(group)}\n\n| | |\n|---|---|\n" + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _title(group: Any) -> str:
    """What a group of arguments is called; those of LightningCLI's objects carry their docstrings."""
    section = group._group_actions[0].dest.partition(".")[0]
    if section in ("trainer", "model", "data"):
        return f"Of the {section}"
    title = group.title or ""
    return f"{title[:1].upper()}{title[1:]}"


def _wrapped(usage: str) -> str:
    """A usage whose options each begin on a line where they would not fit into one."""
    return usage if len(usage) <= 90 else re.sub(r" (?=\[-)", "\n    ", usage)


def _paragraphs(docstring: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in markdown(docstring).split("\n\n"))


def _argument(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """A line of the table of arguments."""
    formatter = parser._get_formatter()
    options = [f"`{option}`" for option in action.option_strings]
    default = action.dest.upper() if options else action.dest
    value = "" if action.nargs == 0 else formatter._format_args(action, default)
    # A value that may be left out, and is written next to its flag, begins with a backspace.
    value = html.escape(value.replace("\b", ""), quote=False).replace("|", "&#124;")
    called = " ".join(filter(None, (", ".join(options), value and f"<code>{value}</code>")))
    told = markdown(" ".join(formatter._expand_help(action).split())) if action.help else ""
    return f"| {called} | {_cell(told)} |"


def _cell(text: str) -> str:
    return text.replace("|", "&#124;").replace("<", "&lt;").replace("*", "&#42;")


def package_page(package: str, title: str) -> str:
    """What a package offers, from the docstrings of where it is, under the names by which it is imported.

    What can be imported from ``zoo`` itself is on its page alone.
    """
    module = import_module(package)
    found = [name for name in dir(module) if package == "zoo" or not hasattr(zoo, name)]
    offered = [(name, getattr(module, name)) for name in found if not name.startswith("_")]
    # Functions first, since they are what most people look for.
    offered.sort(key=lambda one: (isinstance(one[1], type), one[0]))
    return f"# {title}\n\n" + "\n".join(
        f"::: {thing.__module__}.{thing.__qualname__}\n    options:\n      heading: {package}.{name}\n"
        for name, thing in offered
        if not isinstance(thing, ModuleType) and callable(thing)
    )


class Readable(griffe.Extension):
    """Docstrings of the code as Markdown, for mkdocstrings."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Replaces the markup."""
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)
