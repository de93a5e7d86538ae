"""Reports of the parser and of Lightning, told in one line: what was found, what was expected, what to type."""

import inspect
import re
from importlib import import_module
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NoReturn

import yaml
from jsonargparse import get_loader, set_loader
from lightning import Trainer
from lightning.pytorch.cli import LightningArgumentParser

from datamodules.arguments import parameters
from datamodules.errors import UserError
from zoo import names, registry
from zoo.docstrings import plain
from zoo.errors import ZooError, did_you_mean, lack_of_memory, shortened
from zoo.training import beside
from zoo.training.facts import FACTS
from zoo.training.processes import ONE_PROCESS

# Flags whose value is a class.
_OF_CLASSES = {
    "--model": names.MODELS,
    "--model.class_path": names.MODELS,
    "--model.help": names.MODELS,
    "--data": names.DATA,
    "--data.class_path": names.DATA,
    "--data.help": names.DATA,
    "--trainer.callbacks": names.CALLBACKS,
    "--trainer.callbacks+": names.CALLBACKS,
}


class ZooParser(LightningArgumentParser):
    """A parser that reports bad input as a :class:`ZooError` in one line instead of printing its usage.

    It takes the bare names of the zoo's classes, and class paths of former times, in flags and in files.
    """

    MODE = "zoo"
    parsed: list[str] = []

    def parse_args(self, args: Any = None, *rest: Any, **options: Any) -> Any:
        """Brings names up to date, loads what lies beside, and keeps what is parsed, for the sake of :meth:`error`."""
        ZooParser.parsed = in_full(list(args or []))
        for class_path in beside.named(ZooParser.parsed, sections("data", ZooParser.parsed)):
            beside.load_beside(class_path)
        return super().parse_args(ZooParser.parsed, *rest, **options)

    def format_help(self, *rest: Any) -> str:
        """The help, as people read it."""
        return plain(super().format_help(*rest))

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raises what argparse would print."""
        found = told(ex) if ex is not None else None
        raise found or ZooError(one_line(message, self.parsed)) from ex


def _load(text: str) -> Any:
    """Parses a configuration file, or what a flag gives as one."""
    registry.check_extent(text)
    content = names.updated(get_loader("yaml")(text))
    if isinstance(content, dict) and "model" in content:
        content.pop("search", None)  # what zoo sweep would try instead of what the recipe says
    return content


set_loader(ZooParser.MODE, _load, (yaml.YAMLError,))


def in_full(args: list[str]) -> list[str]:
    """The same arguments, with the whole paths of classes that are given by bare or former names."""
    found, flag = [], ""
    for argument in args:
        name, equals, value = argument.partition("=")
        if name in _OF_CLASSES and equals:
            argument = f"{name}={names.in_full(value, _OF_CLASSES[name])}"
        elif flag in _OF_CLASSES:
            argument = names.in_full(argument, _OF_CLASSES[flag])
        found.append(argument)
        flag = argument
    return found


def one_line(message: str, args: list[str]) -> str:
    """Turns jsonargparse's report into one line: what was found, what was expected, what to type.

    Args:
        message: The report, several lines about every type of a union.
        args: The arguments that were parsed.
    """
    key = _first(r'Parser key "([^"]+)"', message) or ""
    if option := _first(r"Option '([^']+)' is not accepted", message):
        flag = _flag_of(option, args)
        found = _class_of(flag.removeprefix("--").partition(".")[0], args)
        if found is None:
            return f"{flag} is not accepted"
        accepted = [name for name in parameters(found) if name not in FACTS]
        hint = did_you_mean(option, accepted) or f"; it takes {', '.join(accepted) or 'nothing but what the data says'}"
        return f"{flag}: {found.__name__} takes no '{option}'{hint}"
    if match := re.search(r'Parser key "([^"]+)":\s+Expected a (.+?)\. Got value: (.*)', message):
        option, expected, value = match.groups()
        return f"{_flag_of(option, args)} is {shortened(value.strip())}, expected {_plain_type(expected)}"
    if match := re.search(r"Problem with given class_path '([^']+)':\s*(.*)", message):
        hint = _class_hint(key, match[1])
        return f"--{key} is {shortened(match[1])}, expected the path of a class: {match[2].strip()}{hint}"
    if (value := _first(r"Given value: (.*)", message)) and key:
        if f"--{key}" in _OF_CLASSES and value.isidentifier():
            return f"--{key} is {value!r}, expected the name of a class{_class_hint(key, value)}"
        if f"--{key}" in _OF_CLASSES or "Not a valid subclass" in message:
            # Of a list it is one member that is wrong.
            odd = shortened(_odd_member(value))
            return f"--{key} has {odd}, expected the name of a class, or its class_path and init_args"
        expected = " or ".join(_plain_type(name) for name in re.findall(r"Expected an? (.+)", message))
        flag = f"--{key}" if "." in key else _flag_of(key, args)
        return f"{flag} is {shortened(value)}, expected {expected or 'something else'}"
    if flags := _first(r"(?i)unrecognized arguments: (.*)", message):
        flag = flags.split()[0].partition("=")[0]
        return f"no flag '{flag}'{did_you_mean(flag, _known_flags(args))}; '--help' shows all"
    if path := _first(r"File does not exist: '?([^']+)'?", message):
        return f"no file {path}"
    if content := _first(r"(?s)Unexpected config: (.*)", message):
        return (
            f"--config has {shortened(content.strip())}, expected the path of a YAML file that holds settings by name"
        )
    return " ".join(message.split())


def _odd_member(value: str) -> str:
    """What is left of a list of classes behind those that were understood already, as they are written."""
    start, rest = "Namespace", value.removeprefix("[")
    while rest.startswith(f"{start}("):
        depths = list(accumulate({"(": 1, ")": -1}.get(sign, 0) for sign in rest.removeprefix(start)))
        if 0 not in depths:  # a text within has a parenthesis
            return value
        rest = rest[len(start) + depths.index(0) + 1 :].removeprefix(", ")
    return rest.removesuffix("]") if value.startswith(f"[{start}(") else value


def _class_hint(key: str, path: str) -> str:
    """The name of a class of the zoo that may be meant."""
    known = names.known(_OF_CLASSES.get(f"--{key}", names.CALLBACKS))
    return (
        did_you_mean(path.rpartition(".")[2], known)
        or f"; 'dir({'datamodules' if key == 'data' else 'zoo'})' lists them"
    )


def _flag_of(option: str, args: list[str]) -> str:
    """The flag that set an option; without one it stands in a configuration file."""
    flags = [argument.partition("=")[0] for argument in args if argument.startswith("--")]
    for flag in flags:
        if flag.split(".")[-1].removesuffix("+") == option:
            return flag
    for key in ("model", "data"):
        for section in sections(key, args):
            if option in section.get("init_args", {}):
                return f"{key}.init_args.{option}"
    return option


def files(args: list[str]) -> list[dict[str, Any]]:
    """What the configuration files say."""
    files = [Path(value) for flag, value in pairwise([*args, ""]) if flag == "--config" and Path(value).is_file()]
    return [registry.read_yaml(file) for file in files]


def sections(key: str, args: list[str]) -> list[dict[str, Any]]:
    """What the configuration files say under ``key``."""
    return [section for file in files(args) if isinstance(section := file.get(key), dict)]


def _first(pattern: str, text: str) -> str | None:
    match = re.search(pattern, text)
    return match.group(1) if match else None


def _plain_type(name: str) -> str:
    name = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", name.strip().rstrip("."))
    name = re.sub(r"Literal\[([^\]]*)\]", lambda match: " or ".join(match[1].split(", ")), name)
    return name.replace("NoneType", "null").replace("typing.", "")


def _class_of(key: str, args: list[str]) -> type | None:
    """The class that ``--model``, ``--data`` or a configuration file names under ``key``."""
    named = [section["class_path"] for section in sections(key, args) if "class_path" in section]
    named += [value for flag, value in pairwise([*args, ""]) if flag in (f"--{key}", f"--{key}.class_path")]
    class_path = named[-1] if named else ""
    module, _, name = class_path.rpartition(".")
    return getattr(import_module(module), name, None) if module else None


def _known_flags(args: list[str]) -> list[str]:
    trainer = [f"--trainer.{name}" for name in inspect.signature(Trainer).parameters]
    settings = ["--seed_everything", "--ckpt_path", "--tune_precision", "--tf32", "--epochs_of", "--figures"]
    return [*settings, "--config", "--quiet", "--test", "--print_config", *trainer]


def reason(error: BaseException) -> str:
    """What an error of a library says, in one line; of a report about a union the reason inside."""
    if (lack := lack_of_memory(error)) is not None:
        return lack
    if "not compatible with an interactive environment" in str(error):
        return ONE_PROCESS
    # Below is where in its own code a library of C++ failed.
    text = str(error).partition("\nException raised from")[0]
    inner = [line.strip() for line in re.findall(r"^ +- (.*)", text, re.MULTILINE) if "NoneType" not in line]
    found = " ".join((inner[-1] if "Union subtypes" in text and inner else text).split())
    if path := _first(r"^Problem with given class_path '([^']+)':$", found):  # what its constructor said is left out
        first = _first_cause(error)
        return f"{path} cannot be made ({type(first).__name__}: {first})"
    return found


def _first_cause(error: BaseException) -> BaseException:
    """The error that led to all others."""
    while (earlier := error.__cause__ or error.__context__) is not None:
        error = earlier
    return error


def told(error: BaseException) -> BaseException | None:
    """The error among the causes of another that was told to the user."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, UserError):
        seen = seen.__cause__ or seen.__context__
    return seen
