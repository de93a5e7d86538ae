"""Docstrings as people read them: help texts are made of them, and so is the site. Imports nothing that takes time."""

import re

_ROLE = re.compile(r":(?:\w+:)+`(~?)([^`]+)`")


def plain(text: str) -> str:
    """Text without the markup of docstrings: ``:class:`ConvNet` `` is ConvNet, and code stands in quotes.

    Args:
        text: What a help text shows, wrapped already or not.
    """
    return _ROLE.sub(_named, text).replace("``", "'")


def markdown(text: str) -> str:
    """The same as Markdown, where what was named by a role is code."""
    return _ROLE.sub(lambda found: f"`{_named(found)}`", text).replace("``", "`")


def _named(found: re.Match[str]) -> str:
    """What a role names; ``~`` leaves the modules out."""
    shortened, name = found.groups()
    return name.rpartition(".")[2] if shortened else name
