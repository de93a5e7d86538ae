"""The programs in ``docs/examples`` do what they say."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT
from nbclient import NotebookClient

EXAMPLES = ROOT / "docs" / "examples"
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")


def output(*arguments: object, folder: Path) -> str:
    """What a program prints; it runs in an empty folder."""
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def figure(name: str, told: str) -> float:
    """A figure that a program printed."""
    found = re.search(rf"{name}\D+([\d.]+)", told)
    assert found, told
    return float(found[1])


@pytest.mark.parametrize(
    ("program", "accuracy"),
    [
        ("own_trainer.py", 0.97),
        pytest.param("own_model.py", 0.9, marks=pytest.mark.slow),
        pytest.param("new_model.py", 0.9, marks=pytest.mark.slow),
        pytest.param("new_data.py", 0.9, marks=pytest.mark.slow),
    ],
)
def test_program_trains_a_model_that_is_good(program: str, accuracy: float, tmp_path: Path) -> None:
    assert figure("test_accuracy", output(EXAMPLES / program, folder=tmp_path)) > accuracy


@pytest.mark.slow
def test_two_processes_by_torchrun(tmp_path: Path) -> None:
    told = output(*TORCHRUN, EXAMPLES / "two_processes.py", folder=tmp_path)
    assert told.count("accuracy on all validation pictures") == 1
    assert figure("validation pictures", told) > 0.9


@pytest.mark.slow
def test_notebook_runs_from_top_to_bottom(tmp_path: Path) -> None:
    notebook = nbformat.read(EXAMPLES / "tour.ipynb", as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, resources=resources).execute()
    told = "".join(part.get("text", "") for cell in notebook.cells for part in cell.get("outputs", []))
    assert figure("after five epochs", told) > 90


def test_notebook_is_kept_without_outputs() -> None:
    notebook = nbformat.read(EXAMPLES / "tour.ipynb", as_version=4)
    assert not [cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")]
