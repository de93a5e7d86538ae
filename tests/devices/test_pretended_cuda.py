"""Everything that the zoo does on a GPU, on one that is pretended: see :mod:`pretended`.

It runs in processes of its own, since it changes torch for whoever is in the same one.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from itertools import groupby
from pathlib import Path

import pytest
import torch
from conftest import ROOT
from tiny import one_a_kind

from zoo import registry

HERE = Path(__file__).parent
# What is tried beside the recipes; see on_pretended_cuda.py.
CASES = ("diverging_line", "half_precision", "bfloat16", "no_float64", "distillation", "verbs")
# Those of each wing that are tried by default, as quick as any.
QUICK = {
    "cnn_digits", "dense_iris", "lstm_sunspots", "naive_synthetic", "sentiment_csv",
    "dcgan_digits", "backprop_iris", "pca_iris", "diverging_line", "distillation",
}  # fmt: skip
# More than so many take a process for each wing.
TOGETHER = 12

pytestmark = pytest.mark.skipif(
    torch.__version__.partition("+")[0] != "2.14.1" or torch.version.cuda is None or sys.platform != "linux",
    reason="the pretended device reaches into torch 2.14.1 for CUDA on Linux",
)

Faults = dict[str, str]


def _wing(name: str) -> str:
    return "none" if name in CASES else registry.recipe(name).family


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Callable[[str], Faults]:
    """Runs what is to be tested, in as few processes as is prudent; what went wrong, by what was tried."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    chosen = [item.callspec.params["name"] for item in items if "faults" in item.fixturenames]
    names = sorted(map(str, chosen), key=_wing)
    groups = [names] if len(names) <= TOGETHER else [list(group) for _, group in groupby(names, _wing)]

    @cache
    def run(place: int) -> tuple[dict[str, Faults], str]:
        folder = tmp_path_factory.mktemp("pretended")
        out = folder / "faults.json"
        command = [sys.executable, str(HERE / "on_pretended_cuda.py"), str(out), str(folder), *groups[place]]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests")))}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1800)
        return json.loads(out.read_text()) if out.is_file() else {}, done.stderr[-3000:]

    def of(name: str) -> Faults:
        found, said = run(next(place for place, group in enumerate(groups) if name in group))
        assert name in found, f"the process ended before {name}, after {list(found)}: {said}"
        return found[name]

    return of


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in (*one_a_kind(*QUICK), *CASES)],
)
def test_it_works_on_a_gpu(name: str, faults: Callable[[str], Faults]) -> None:
    assert faults(name) == {}
