"""What the files of the zoo say: cards of published weights, results of runs, checkpoints; from wherever they come."""

import re
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], bool]


def _is(*kinds: type) -> Check:
    # True is a number to Python, but not to whoever reads a card.
    return lambda value: isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _each(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _named(check: Check) -> Check:
    return lambda value: isinstance(value, dict) and all(check(one) for one in value.values())


def _optional(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _record(**checks: Check) -> Check:
    """A record that has at least these."""
    return lambda value: isinstance(value, dict) and all(name in value and checks[name](value[name]) for name in checks)


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def _is_size(value: Any) -> bool:
    return _is(int)(value) and value >= 0


_TEXT, _NUMBER, _FIGURES = _is(str), _is(int, float), _named(_is(int, float, bool, str, type(None)))
_CHECKSUM = _record(shape=lambda value: _each(_is_size)(value) and len(value) > 0, sha256=_is_sha256)
_CHECKSUMS = _named(lambda value: _CHECKSUM(value) and _TEXT(value.get("until", "")))
_START = _record(
    name=_TEXT, holds=_optional(_TEXT), sha256=_is_sha256, **dict.fromkeys(("taken", "fresh", "left"), _each(_TEXT))
)
_OBJECT = _record(class_path=_TEXT, init_args=_is(dict))

_CARD: dict[str, Check] = {
    "recipe": _TEXT,
    "about": _TEXT,
    "summary": _TEXT,
    "family": _TEXT,
    "metric": _TEXT,
    "metrics": _named(_NUMBER),
    "measured_with": _TEXT,
    "seed": _is(int),
    "seeds": _named(_NUMBER),
    "seeds_mean": _NUMBER,
    "seeds_std": _optional(_NUMBER),
    "calibration": _is(dict),
    "classes": _optional(_each(_TEXT)),
    "data": lambda value: _named(lambda _: True)(value) and _is_known_data(value),
    "trained_with": _TEXT,
    "init_from": _START,
    "training": _FIGURES,
    "validation": _named(_NUMBER),
    "curve": _named(_each(_NUMBER)),
    "licence": _TEXT,
    "versions": _named(_TEXT),
    "date": _TEXT,
    "dtype": lambda value: value in ("float16", "float32"),
    "model": _OBJECT,
    "borrows": _named(_record(**{"from": _TEXT, "sha256": _is_sha256})),
    "parameters": _is_size,
    "bytes": _is_size,
    "sha256": _is_sha256,
    "sha256_golden": _is_sha256,
}
_NEEDED = ("model", "sha256", "parameters", "bytes")

_RESULTS: dict[str, Check] = {
    "recipe": _TEXT,
    "command": _TEXT,
    "ms_a_step": _named(_NUMBER),
    "init_from": _START,
    "data": _CHECKSUMS,
    "fit": _FIGURES,
    "validate": _named(_NUMBER),
    "validate_of_each": _named(_named(_NUMBER)),
    "test": _named(_NUMBER),
    "test_of_each": _named(_named(_NUMBER)),
}

_CHECKPOINT: dict[str, Check] = {
    "state_dict": lambda value: _is(dict)(value) and all(map(_TEXT, value)),
    "class_path": _TEXT,
    "hyper_parameters": lambda value: _is(dict)(value) and all(map(_TEXT, value)),
    "callbacks": _is(dict),
    "loops": _is(dict),
    "epoch": _is_size,
    "global_step": _is_size,
    "pytorch-lightning_version": _TEXT,
}


def _is_known_data(data: Mapping[str, Any]) -> bool:
    kinds = {"class_path": _TEXT, "init_args": _is(dict), "source": _is(dict), "checksums": _CHECKSUMS}
    return all(check(data[name]) for name, check in kinds.items() if name in data)


def fault_of_card(card: Any) -> str | None:
    """What is wrong with a card, in words; None if it is as ``zoo publish`` writes it."""
    if not isinstance(card, dict):
        return "it holds no facts by name"
    missing = [name for name in _NEEDED if name not in card]
    odd = f"it does not say '{missing[0]}'" if missing else _first_odd(card, _CARD)
    if odd is None and "metric" in card and card["metric"] not in (card.get("metrics") or [card["metric"]]):
        return f"its metrics do not hold its 'metric' {_short(card['metric'])}"
    return odd


def fault_of_results(results: Any) -> str | None:
    """What is wrong with the results of a run, in words; None if they are as the command line writes them."""
    return _first_odd(results, _RESULTS) if isinstance(results, dict) else "it holds no results by name"


def fault_of_checkpoint(checkpoint: Any) -> str | None:
    """What is wrong with a checkpoint, in words; None if it is as Lightning, or ``torch.save``, writes it."""
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        return "it holds no 'state_dict'"
    return _first_odd(checkpoint, _CHECKPOINT)


def _first_odd(content: Mapping[str, Any], checks: Mapping[str, Check]) -> str | None:
    odd = next((name for name, check in checks.items() if name in content and not check(content[name])), None)
    return None if odd is None else f"its '{odd}' is {_short(content[odd])}"


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
