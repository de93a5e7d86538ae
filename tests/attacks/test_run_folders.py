"""Run folders whose configuration names code of a stranger, anywhere and in every form that YAML has."""

import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, Zoo

from zoo import registry

from .conftest import Attack

FORMER = ROOT / "tests" / "former"
FOLDERS = ("gan", "series", "tabular", "tabular_kmeans", "vision", "vision_distilled")
NAMES = (
    "evil.Cb",
    "evil.f",
    "evil",
    "Cb",
    "evil:Cb",
    "os.system",
    "builtins.exec",
    "subprocess.Popen",
    "zoo.cli.main",
    "lightning.pytorch.callbacks.LambdaCallback",
    "torch.nn.Linear",
    "torch.load",
    "pathlib.Path.touch",
)


def evil(chance: random.Random) -> Any:
    """A value that names code, or a file that does."""
    name = chance.choice(NAMES)
    kind = {"class_path": name}
    return chance.choice(
        [
            name,
            "other.yaml",
            "./other.yaml",
            kind,
            kind | {"init_args": {}},
            kind | {"init_args": {"setup": "evil.f"}},
            kind | {"dict_kwargs": {"x": 1}},
            {"class_path": "lightning.pytorch.callbacks.LambdaCallback", "init_args": {"setup": name}},
            {"class_path": "lightning.pytorch.callbacks.ModelPruning", "init_args": {"pruning_fn": name}},
            {"class_path": "lightning.pytorch.strategies.FSDPStrategy", "init_args": {"auto_wrap_policy": name}},
            str(kind),
            f"{{class_path: {name}}}",
            f"!!python/name:{name}",
            {"a": {"b": kind}},
        ]
    )


def places(config: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every key and index of a configuration."""
    items = config.items() if isinstance(config, dict) else enumerate(config) if isinstance(config, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def tamper(config: dict[str, Any], chance: random.Random) -> None:
    """Puts such values somewhere."""
    for _ in range(chance.choice([1, 1, 2])):
        *path, last = chance.choice(list(places(config)))
        holder: Any = config
        for key in path:
            holder = holder[key]
        value = evil(chance)
        if chance.random() < 0.3:
            value = [value]
        if isinstance(holder, dict) and chance.random() < 0.4:
            last = chance.choice([f"{last}+", f"{last}.class_path", f"{last}.init_args", "class_path", "dict_kwargs",
                                  "config", "callbacks", "__path__", "trainer.callbacks", f"more_{last}"])  # fmt: skip
        holder[last] = value


def test_run_folders_run_nothing(
    attack: Attack, zoo_command: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    proof = f"import pathlib; pathlib.Path({str(outside / 'proof')!r}).touch()\n"
    (outside / "evil.py").write_text(proof + "class Cb: pass\ndef f(*a): pass\n")
    monkeypatch.syspath_prepend(outside)
    work = tmp_path / "work"
    before = sorted(outside.rglob("*"))

    def attempt(chance: random.Random) -> str | None:
        shutil.rmtree(work, ignore_errors=True)
        run = work / "runs" / "mine" / "1"
        shutil.copytree(FORMER / chance.choice(FOLDERS) / "run", run)
        config = registry.read_yaml(run / "config.yaml")
        tamper(config, chance)
        config["trainer"] = config["trainer"] if isinstance(config.get("trainer"), dict) else {}
        (run / "config.yaml").write_text(yaml.safe_dump(config))
        (work / "other.yaml").write_text(yaml.safe_dump({"callbacks": [{"class_path": "evil.Cb"}]}))
        shutil.copy(work / "other.yaml", run)
        monkeypatch.chdir(work)
        code, _, error = zoo_command(chance.choice(["fit", "test", "validate"]), run, "--trainer.fast_dev_run=true")
        if "evil" in sys.modules or sorted(outside.rglob("*")) != before:
            return f"it ran: {config}"
        if code not in (0, 2) or "Traceback" in error or "zoo: unexpected" in error:
            return f"exit code {code}: {error}"
        return None

    attack("run folders", 25, 0.3, attempt)
