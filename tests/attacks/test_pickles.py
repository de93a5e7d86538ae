"""Checkpoints that would execute code when they are unpickled."""

import builtins
import contextlib
import importlib
import io
import os
import pickle
import random
import runpy
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT, Zoo

import zoo
from zoo import ZooError

from .conftest import Attack

RUN = ROOT / "tests" / "former" / "tabular" / "run"


class Gadget:
    """Calls something when it is unpickled."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> tuple[Any, ...]:
        function, *arguments = self.call
        return function, tuple(arguments)


def gadgets(proof: Path) -> list[Gadget]:
    """Ways to leave a proof."""
    program = f"open({str(proof)!r}, 'w').close()"
    script = proof.with_name("evil.py")
    script.write_text(program)
    return [
        Gadget(os.system, f"touch {proof}"),
        Gadget(subprocess.Popen, ["touch", str(proof)]),
        Gadget(subprocess.check_output, ["touch", str(proof)]),
        Gadget(builtins.exec, program),
        Gadget(builtins.eval, program),
        Gadget(builtins.open, str(proof), "w"),
        Gadget(io.open, str(proof), "w"),
        Gadget(os.open, str(proof), os.O_CREAT | os.O_WRONLY),
        Gadget(os.mkdir, str(proof)),
        Gadget(runpy.run_path, str(script)),
        Gadget(importlib.import_module, "evil"),
        Gadget(getattr, Gadget(importlib.import_module, "os"), "system"),
        Gadget(torch.save, {}, str(proof)),
        Gadget(torch.load, str(proof)),
        Gadget(Path.touch, proof),
        Gadget(map, Gadget(getattr, Gadget(importlib.import_module, "os"), "mkdir"), [str(proof)]),
    ]


def places(checkpoint: dict[str, Any]) -> list[Callable[[Any], None]]:
    """Where a checkpoint could hold one."""

    def within(holder: dict[Any, Any], key: Any) -> Callable[[Any], None]:
        return lambda gadget: holder.__setitem__(key, gadget)

    found = [within(checkpoint, key) for key in (*checkpoint, "more", 7)]
    for value in checkpoint.values():
        if isinstance(value, dict):
            found += [within(value, key) for key in (*value, "more")]
    return found


@pytest.fixture
def pickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[random.Random], Path]:
    """A checkpoint of a run with a gadget somewhere, in one of the forms that ``torch.load`` reads."""
    monkeypatch.syspath_prepend(tmp_path)
    ways = gadgets(tmp_path / "proof")

    def write(chance: random.Random) -> Path:
        checkpoint = torch.load(RUN / "checkpoints" / "last.ckpt", weights_only=True)
        chance.choice(places(checkpoint))(chance.choice(ways))
        path = tmp_path / "evil.ckpt"
        form = chance.choice(["archive", "archive", "legacy", "bare"])
        protocol = chance.randint(2, 5)
        if form == "bare":
            path.write_bytes(pickle.dumps(checkpoint, protocol=protocol))
        else:
            torch.save(checkpoint, path, _use_new_zipfile_serialization=form == "archive", pickle_protocol=protocol)
        return path

    return write


def test_pickles_execute_nothing(attack: Attack, pickled: Callable[[random.Random], Path], tmp_path: Path) -> None:
    def attempt(chance: random.Random) -> str | None:
        path = pickled(chance)
        try:
            zoo.load(path)
        except ZooError:
            return "it was executed" if (tmp_path / "proof").exists() else None
        return "it was loaded"

    attack("pickles", 30, 0.3, attempt)


def test_pickles_execute_nothing_in_a_run(
    attack: Attack, pickled: Callable[[random.Random], Path], tmp_path: Path, zoo_command: Zoo
) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    for name in ("config.yaml", "results.json"):
        (run / name).write_bytes((RUN / name).read_bytes())

    def attempt(chance: random.Random) -> str | None:
        content = pickled(chance).read_bytes()
        for name in ("last.ckpt", "best.ckpt"):
            (run / "checkpoints" / name).write_bytes(content)
        code, _, error = zoo_command(chance.choice(["fit", "test", "validate"]), run)
        if (tmp_path / "proof").exists():
            return "it was executed"
        return None if code == 2 and error.count("\n") == 1 else f"exit code {code}: {error}"

    attack("pickles", 5, 0.05, attempt)


def test_pickles_are_dangerous_without_the_zoo(pickled: Callable[[random.Random], Path], tmp_path: Path) -> None:
    executed = 0
    for number in range(20):
        path = pickled(random.Random(number))
        with contextlib.suppress(Exception):
            torch.load(path, weights_only=False)
        proof = tmp_path / "proof"
        if proof.exists():
            executed += 1
            proof.rmdir() if proof.is_dir() else proof.unlink()
    assert executed >= 10
