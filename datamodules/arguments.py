"""Constructors whose arguments are told once in a line of inheritance, and kept as hyperparameters.

A class declares its own arguments and hands all others to its base as ``**options``, by name::

    class Shapes(Images):
        def __init__(self, image_size: int = 64, **options: Any) -> None:
            super().__init__(**options)

An argument of the base whose default differs is declared again; one that the class decides itself is handed up by it,
``super().__init__(mode="lanes", **options)``, and nobody else can give it. Any room of the zoo may import this file.
"""

import ast
import inspect
import textwrap
from collections.abc import Mapping, Sequence
from functools import cache
from inspect import Parameter
from numbers import Integral, Real
from os import PathLike
from typing import Any, ClassVar, Literal, Self, cast, get_args, get_origin

import numpy as np
from lightning.pytorch.core.mixins import HyperparametersMixin

from datamodules.errors import UserError, did_you_mean

# What a plain type is given as.
_PLAIN: dict[Any, Any] = {int: Integral, float: Real, bool: (bool, np.bool_), str: (str, PathLike)}
# Layers are built one by one: of more, that alone would last for ever.
_DEEPEST = 1000
_BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def parameters(kind: type) -> Mapping[str, Parameter]:
    """All that the constructor of a class takes: its own arguments, then those that it hands to its bases."""
    # To the type checker classes of torch modules cannot be hashed.
    return _parameters(cast(Any, kind))


@cache
def _parameters(kind: type) -> Mapping[str, Parameter]:
    found: dict[str, Parameter] = {}
    decided: set[str] = set()
    by_position = 0
    for base in kind.__mro__:
        init = base.__dict__.get("__init__")
        if init is None:
            continue
        own = list(inspect.signature(init).parameters.values())[1:]
        decided |= {parameter.name for parameter in own[:by_position]}
        for parameter in own:
            if parameter.kind in (*_BY_POSITION, Parameter.KEYWORD_ONLY) and parameter.name not in decided:
                found.setdefault(parameter.name, parameter)
        if not any(parameter.kind is Parameter.VAR_KEYWORD for parameter in own):
            break
        names, by_position = _handed_up(init)
        decided |= names
    return found


def _handed_up(init: Any) -> tuple[set[str], int]:
    """The names of the arguments that a constructor gives its base itself, and how many it gives by position."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(init)))
    except (OSError, SyntaxError):  # typed into an interpreter that keeps no source
        return set(), 0
    for node in ast.walk(tree):
        match node:
            case ast.Call(ast.Attribute(ast.Call(ast.Name("super")), "__init__"), positions, given):
                return {keyword.arg for keyword in given if keyword.arg is not None}, len(positions)
    return set(), 0


def given_and_defaults(kind: type, args: tuple[Any, ...], options: Mapping[str, Any]) -> dict[str, Any]:
    """The value of every argument in a call of a class's constructor, whether it was given or not.

    Raises:
        TypeError: The class takes no argument of some name.
    """
    known = parameters(kind)
    for name in options:
        if name not in known:
            raise TypeError(f"{kind.__name__} got an unexpected keyword argument {name!r}{did_you_mean(name, known)}")
    positions = [name for name, parameter in known.items() if parameter.kind in _BY_POSITION]
    given = {**dict(zip(positions, args, strict=False)), **options}
    defaults = {name: parameter.default for name, parameter in known.items()}
    return {name: value for name, value in {**defaults, **given}.items() if value is not Parameter.empty}


def _check_kind(name: str, value: Any, parameter: Parameter) -> None:
    """Refuses nothing where there must be something, and text for a number or the other way round.

    Raises:
        UserError: It is such a value.
    """
    expected = parameter.annotation
    plain = _PLAIN.get(expected)
    if value is parameter.default or not (plain or get_origin(expected) in (list, Literal, Sequence)):
        return
    if value is None or (plain is not None and not isinstance(value, plain)):
        found = "null" if value is None else repr(value)
        wanted = " or ".join(map(str, get_args(expected))) if get_origin(expected) is Literal else expected
        raise UserError(f"{name} is {found}, expected {getattr(wanted, '__name__', wanted) if plain else wanted}")


def _check_extent(name: str, value: Any) -> None:
    """Refuses whole numbers that nothing of the zoo could count to, and seeds that NumPy does not take.

    Raises:
        UserError: It is such a number.
    """
    if isinstance(value, list | tuple):
        for one in value:
            _check_extent(name, one)
    elif isinstance(value, int) and not isinstance(value, bool):
        if name == "seed" and not 0 <= value < 1 << 32:
            raise UserError(f"seed is {value}, expected 0 to {(1 << 32) - 1}")
        if name == "num_layers" and value > _DEEPEST:
            raise UserError(f"num_layers is {value}, expected at most {_DEEPEST:,}")
        if not -(1 << 63) <= value < 1 << 63:
            raise UserError(f"{name} is {value}, expected a whole number of 64 bits")


class KeepsArguments(HyperparametersMixin):
    """A Lightning object whose hyperparameters are all arguments of its constructor, defaults included.

    So a default that a later version changes never changes what was built before. The constructor of a base calls
    :meth:`keep_arguments`; those of its subclasses do nothing.

    Attributes:
        not_kept: Names of arguments that are found elsewhere, such as in the weights.
    """

    not_kept: ClassVar[tuple[str, ...]] = ()
    _arguments: dict[str, Any]

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """Notes the arguments; what copies an object gives none."""
        made = super().__new__(cls)
        arguments = given_and_defaults(cls, args, options)
        for name, value in arguments.items():
            _check_kind(name, value, parameters(cls)[name])
            _check_extent(name, value)
        object.__setattr__(made, "_arguments", arguments)
        return made

    def keep_arguments(self) -> None:
        """Makes hyperparameters of the arguments."""
        kept = {name: value for name, value in self._arguments.items() if name not in self.not_kept}
        del self._arguments
        self.save_hyperparameters(kept)
        self._hparams_name = "kwargs"  # how load_from_checkpoint hands them to the constructor: by name
