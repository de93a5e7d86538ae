"""``zoo completion``: what could be meant, in the shells that people have."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, Zoo

from scripts import flags
from zoo.cli import VERBS
from zoo.commands.completion import FLAGS, complete


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("f", ["fit", "forecast"]),
        ("fit cnn_dig", ["cnn_digits"]),
        ("classify sentiment_c", ["sentiment_conv_reviews"]),
        ("fit cnn_digits --model.dro", ["--model.dropout="]),
        ("fit cnn_digits --data.ba", ["--data.batch_size="]),
        ("fit cnn_digits --model=Dense --model.hi", ["--model.hidden_size="]),
        ("fit lstm_csv --data.pe", ["--data.period="]),
        ("fit cnn_digits --trainer.max_e", ["--trainer.max_epochs="]),
        ("fit cnn_digits --te", ["--test"]),
        ("embed pca_iris --split=t", ["--split=test", "--split=train"]),
        ("export cnn_digits --to=o", ["--to=onnx"]),
        ("completion z", ["zsh"]),
        ("nothing --x", []),
        ("fit no_recipe --model.", []),
        ("fit runs/", ["runs/cnn_digits/"]),
        ("test runs/cnn_digits/", ["runs/cnn_digits/1", "runs/cnn_digits/2"]),
    ],
)
def test_what_could_be_meant(typed: str, found: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in ("1", "2"):
        (tmp_path / "runs" / "cnn_digits" / number).mkdir(parents=True)
        (tmp_path / "runs" / "cnn_digits" / number / "config.yaml").touch()
    monkeypatch.chdir(tmp_path)
    *before, begun = typed.split(" ")
    assert complete(before, begun) == found


def test_every_verb_can_be_completed() -> None:
    assert set(complete([], "")) == VERBS.keys()
    for verb in VERBS:
        assert "--help" in complete([verb], "--h")


def test_flags_are_those_of_the_parsers() -> None:
    assert json.loads(FLAGS.read_text()) == flags.flags(), "run: python scripts/flags.py"


def test_answer_imports_neither_torch_nor_lightning() -> None:
    program = (
        "import sys; from zoo.cli import main; main(['completion', '--words=--m', '--before=fit\\ncnn_digits\\n']); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'lightning')))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True).returncode == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_work_in_their_shell(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    command = tmp_path / "zoo"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m zoo.cli "$@"\n')
    command.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    asked = {
        "bash": [
            "--norc", "-c",
            "source <(zoo completion bash); COMP_WORDS=(zoo fit cnn_dig); COMP_CWORD=2; COMP_LINE='zoo fit cnn_dig'; "
            'COMP_POINT=${#COMP_LINE}; _zoo_complete; echo "${COMPREPLY[@]}"',
        ],
        # Without a terminal there are no completions to ask for; the script must be one, and define its function.
        "zsh": ["-f", "-c", "autoload -U compinit; compinit -u; source <(zoo completion zsh); which -w _zoo_complete"],
        "fish": ["-c", 'source (zoo completion fish | psub); complete -C "zoo fit cnn_dig"'],
    }[shell]  # fmt: skip
    done = subprocess.run([shell, *asked], capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=60)
    expected = "_zoo_complete: function" if shell == "zsh" else "cnn_digits"
    assert done.stdout.strip() == expected, done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [([], "name a shell: bash, fish, zsh"), (["tcsh"], "invalid choice: 'tcsh'")],
)
def test_shell_must_be_known(zoo_command: Zoo, arguments: list[str], told: str) -> None:
    code, _, err = zoo_command("completion", *arguments)
    assert code == 2
    assert told in err
