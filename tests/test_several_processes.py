"""The life of a run of several processes, of every kind of training: trained, measured, resumed, published."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from conftest import Zoo
from several_processes import WHOLE
from tiny import EPOCHS, ROOT, tiny_cli

import zoo

# A recipe of each kind of training, and what is particular about it where there are several processes.
KINDS = {
    "cnn_digits": "a classifier",
    "dense_fashion_mnist": "distilled from a teacher",
    "mobilenetv2_folder": "a head on features that are shared out",
    "mobilenetv2_things_finetuned": "a backbone that thaws",
    "sentiment_bilstm_reviews": "texts of unequal length",
    "char_rnn_shakespeare": "streams whose state goes on, with Muon",
    "char_transformer_shakespeare_quick": "windows of a stream",
    "trigram_shakespeare": "counts that are added up",
    "lstm_synthetic": "a forecaster",
    "stateful_rnn_synthetic": "lanes of a series whose state goes on",
    "dcgan_digits": "two networks in turn",
    "wgan_gp_fashion_mnist": "two networks, and gradients of gradients",
    "kmeans_iris": "centres",
    "pca_iris": "a covariance that is added up",
    "linear_minibatch": "a line",
    "backprop_iris": "gradients by hand",
}
Launch = tuple[int, int]
TWO, FOUR, TWO_NODES = (1, 2), (1, 4), (2, 1)
CASES = [
    *((name, TWO) for name in KINDS),
    *((name, FOUR) for name in ("cnn_digits", "dcgan_digits", "kmeans_iris")),
    *((name, TWO_NODES) for name in ("cnn_digits", "char_rnn_shakespeare", "pca_iris")),
]
QUICK = [("cnn_digits", TWO)]


def told(case: tuple[str, Launch]) -> str:
    name, (nodes, processes) = case
    return f"{name}-{f'{nodes} nodes of ' if nodes > 1 else ''}{processes}"


cases = pytest.mark.parametrize(
    "case", [pytest.param(case, id=told(case), marks=() if case in QUICK else pytest.mark.slow) for case in CASES]
)


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Callable[[Launch], Path]:
    """Leads the recipes that are tested with a number of processes, which are started once for all of them."""
    tests = [item for item in request.session.items if isinstance(item, pytest.Function)]
    tests = [test for test in tests if test.module is request.module and "launched" in test.fixturenames]
    chosen: dict[Any, None] = {test.callspec.params["case"]: None for test in tests}

    @cache
    def launch(how: Launch) -> Path:
        (nodes, processes), out = how, tmp_path_factory.mktemp("launched")
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        torchrun = [sys.executable, "-m", "torch.distributed.run", f"--nnodes={nodes}", f"--nproc_per_node={processes}"]
        torchrun += ["--rdzv_backend=c10d", f"--rdzv_endpoint=localhost:{port}", "--rdzv_id=1"]
        program = [str(Path(__file__).with_name("several_processes.py")), str(out)]
        program += [name for name, where in chosen if where == how]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
        started = [
            subprocess.Popen([*torchrun, *program], env=environment, stderr=subprocess.PIPE, text=True)
            for _ in range(nodes)
        ]
        for node in started:
            error = node.communicate(timeout=1800)[1]
            assert node.returncode == 0, error[-3000:]
        return out

    return launch


@cases
def test_several_processes_lead_a_run(
    case: tuple[str, Launch], launched: Callable[[Launch], Path], tmp_path: Path, zoo_command: Zoo
) -> None:
    name, (nodes, processes) = case
    out = launched((nodes, processes))
    found = [json.loads((out / f"{name}.{rank}.json").read_text()) for rank in range(nodes * processes)]
    for one in found:
        assert "failed" not in one, one["failed"]
    first, run = found[0], out / name / "run"

    assert {one["whole"] for one in found} == {first["whole"]}, "processes end with other weights"
    assert {one["resumed"] for one in found} == {first["whole"]}, "a resumed run ends with other weights"
    assert first["epochs"] == EPOCHS
    assert first["results"]["fit"]["processes"] == nodes * processes

    alone = one_process(name, run, tmp_path)
    assert first["validate"] == pytest.approx(alone["validate"], rel=1e-4, abs=1e-5)
    assert first["test"] == pytest.approx(alone["test"], rel=1e-4, abs=1e-5)

    code, _, error = zoo_command("publish", run, "--to", tmp_path / "published")
    assert code == 0, error
    card = json.loads((tmp_path / "published" / name / "card.json").read_text())
    assert card["training"]["processes"] == nodes * processes
    # Large weights are stored in half precision, which leaves the figure alone that they are judged by.
    assert card["metrics"] == pytest.approx(alone["test"], rel=1e-3 if card["dtype"] == "float32" else 1e-2, abs=1e-4)
    assert type(zoo.load(tmp_path / "published" / name)).__name__ == card["model"]["class_path"].rpartition(".")[2]


def one_process(name: str, run: Path, tmp_path: Path) -> dict[str, Any]:
    """What a single process measures of a run's best checkpoint."""
    best = str(run / "checkpoints" / "best.ckpt")
    verbs = ("validate", "test")
    return {
        key: value
        for verb in verbs
        for key, value in tiny_cli(name, tmp_path / verb, verb, "--ckpt_path", best, *WHOLE).run().items()
    }
