"""What a sweep searches: settings and where they lie, as texts such as ``1e-4..1e-2 log`` or ``[32, 64, 128]``."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

import yaml
from jsonargparse import get_loader

from zoo import registry
from zoo.errors import ZooError, shortened

# Texts to search in, by the name of the setting, such as ``model.lr``.
Texts = Mapping[str, str]

_EXAMPLE = "'model.lr=1e-4..1e-2 log' or 'model.hidden_size=[32, 64]'"
_RANGE = re.compile(r"(\S+?)\.\.(\S+)(?:\s+(?:(log)|step\s+(\S+)))?")
# Beyond it not every whole number is one to a float, which samplers compute in.
_LARGEST = 2**53


class Trial(Protocol):
    """What draws settings; Optuna's trials do."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Draws a whole number."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Draws a number."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """Draws one of a list."""


@dataclass(frozen=True)
class Range:
    """Numbers from one to another, both included.

    Attributes:
        low: The lowest; if all are whole, an ``int``.
        high: The highest.
        step: How far they lie apart; None if they may lie anywhere.
        log: Whether each power of ten is searched as much as any other.
    """

    low: float
    high: float
    step: float | None = None
    log: bool = False

    def draw(self, trial: Trial, name: str) -> Any:
        """Lets a trial choose."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, step=int(self.step or 1), log=self.log)
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)

    @property
    def first(self) -> float:
        """One of them."""
        return self.low


@dataclass(frozen=True)
class Choice:
    """One of a list: numbers, texts, truth values or nothing; lists and mappings as the text that a flag takes.

    Attributes:
        values: The list.
    """

    values: tuple[Any, ...]

    def draw(self, trial: Trial, name: str) -> Any:
        """Lets a trial choose."""
        return trial.suggest_categorical(name, self.values)

    @property
    def first(self) -> Any:
        """One of them."""
        return self.values[0]


Space = Range | Choice


def parse(texts: Iterable[str], section: Any = None) -> tuple[Texts, dict[str, Space]]:
    """Reads what is to be searched.

    Args:
        texts: What ``--search`` was given, each a name and where to search.
        section: What a recipe has under ``search``: the same by name. The command line goes before it.

    Returns:
        The texts and what they mean, both by name.

    Raises:
        ZooError: One says nothing that can be searched; or there is none.
    """
    found = dict(_of_section(section)) if section is not None else {}
    typed: dict[str, str] = {}
    for text in texts:
        name, equals, where = text.partition("=")
        name = name.strip().removeprefix("--")
        if not equals:
            raise ZooError(f"--search {shortened(text)} does not say where to search; expected such as {_EXAMPLE}")
        if name in typed:
            raise ZooError(f"--search names {name} twice")
        typed[name] = where.strip()
    found |= typed
    if not found:
        raise ZooError(f"there is nothing to search; name settings, such as --search {_EXAMPLE}")
    return found, {name: _space(name, text) for name, text in found.items()}


def _of_section(section: Any) -> Iterable[tuple[str, str]]:
    if not isinstance(section, dict) or not section:
        raise ZooError(
            f"search is {shortened(str(section))}, expected settings by name, such as search: {{model.lr: 1e-4..1e-2}}"
        )
    for name, where in section.items():
        text = where if isinstance(where, str) else yaml.safe_dump(where, default_flow_style=True, width=math.inf)
        yield str(name), text.strip()


def _space(name: str, text: str) -> Space:
    if not re.fullmatch(r"[A-Za-z]\w*(\.\w+)*", name, re.ASCII):
        raise ZooError(f"--search names {shortened(name)}, expected a setting, such as model.lr")
    if text.startswith("["):
        return _choice(name, text)
    found = _RANGE.fullmatch(text)
    if found is None:
        raise ZooError(
            f"--search {name} is {shortened(text)}, expected a range such as 1e-4..1e-2, with 'log' or 'step 2' behind "
            "it, or a list such as [32, 64]"
        )
    return _range(name, text, *found.groups())


def _range(name: str, text: str, low_text: str, high_text: str, log: str | None, step_text: str | None) -> Range:
    low, high = _number(name, low_text), _number(name, high_text)
    step = None if step_text is None else _number(name, step_text)
    if low >= high:
        raise ZooError(f"--search {name} is {text}, which is empty; expected the lower end first")
    if log is not None and low <= 0:
        raise ZooError(f"--search {name} is {text}, and there is no logarithm of {low_text}; begin above 0")
    if step is not None:
        if step <= 0:
            raise ZooError(f"--search {name} is {text}, expected a step of more than 0")
        steps = (Decimal(high_text) - Decimal(low_text)) // Decimal(str(step_text))
        last = Decimal(low_text) + steps * Decimal(str(step_text))
        if last != Decimal(high_text):
            raise ZooError(f"--search {name} is {text}, and such steps end at {last}; use {low_text}..{last}")
    if not all(isinstance(one, int) for one in (low, high, step) if one is not None):
        low, high = float(low), float(high)
    return Range(low, high, step, log is not None)


def _number(name: str, text: str) -> float:
    try:
        number = int(text) if re.fullmatch(r"[+-]?\d+", text, re.ASCII) else float(Decimal(text))
    except (ArithmeticError, ValueError):
        raise ZooError(f"--search {name} has {shortened(text)}, expected a number") from None
    if not math.isfinite(number) or (isinstance(number, int) and abs(number) > _LARGEST):
        raise ZooError(f"--search {name} has {shortened(text)}, expected a number that can be computed with")
    return number


def _choice(name: str, text: str) -> Choice:
    try:
        registry.check_extent(text)
        given = get_loader("yaml")(text)
    except yaml.YAMLError:
        given = None
    if not isinstance(given, list) or not given:
        raise ZooError(f"--search {name} is {shortened(text)}, expected a list such as [32, 64]")
    values = [_plain(one) for one in given]
    for place, value in enumerate(values):
        # To Python True is 1, and to a sampler they would be one choice.
        if value in values[:place]:
            raise ZooError(f"--search {name} has {shortened(str(given[place]))} twice")
        if isinstance(value, float) and not math.isfinite(value):
            raise ZooError(f"--search {name} has {value}, expected a number that can be computed with")
    return Choice(tuple(values))


def _plain(value: Any) -> Any:
    if isinstance(value, bool | int | float | str | None):
        return _as_number(value) if isinstance(value, str) else value
    return yaml.safe_dump(value, default_flow_style=True, width=math.inf).strip()


def _as_number(text: str) -> Any:
    """What was written as a number in a way that YAML takes for a text, such as ``1e-4`` in a recipe."""
    try:
        return float(text) if re.fullmatch(r"[+-]?[\d.]+[eE][+-]?\d+", text, re.ASCII) else text
    except ValueError:
        return text
