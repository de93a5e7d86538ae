"""What earlier versions have written loads and resumes for ever; see ``tests/former``."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from conftest import Zoo

import zoo
from zoo import registry, weights

FORMER = Path(__file__).parent / "former"
FOLDERS = sorted(path.name for path in FORMER.iterdir() if path.is_dir())
# Of a run on everything nothing is chosen until it has ended.
CHOSEN = [name for name in FOLDERS if name != "series_on_everything"]


@pytest.mark.parametrize("name", FOLDERS)
def test_published_weights_give_the_same_answers(name: str) -> None:
    folder = FORMER / name / "published"
    golden = weights.load_golden(folder)
    answer = zoo.load(folder).answer(golden)
    torch.testing.assert_close(answer, golden["answer"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CHOSEN)
def test_runs_and_checkpoints_hold_the_weights_that_were_published(name: str) -> None:
    published = zoo.load(FORMER / name / "published").state_dict()
    for source in (FORMER / name / "run", FORMER / name / "run" / "checkpoints" / "best.ckpt"):
        loaded = zoo.load(source).state_dict()
        assert loaded.keys() == published.keys()
        assert all(torch.equal(loaded[key], published[key]) for key in published)


@pytest.mark.parametrize("name", FOLDERS)
def test_killed_run_is_resumed(name: str, zoo_command: Zoo, tmp_path: Path) -> None:
    for data in FORMER.glob("*.*"):
        shutil.copy(data, tmp_path)
    run = shutil.copytree(FORMER / name / "run", tmp_path / "runs" / name)
    wanted = registry.read_yaml(run / "config.yaml")["trainer"]["max_epochs"]
    code, _, error = zoo_command("fit", run, "--quiet", "--figures=false")
    assert (code, error) == (0, ""), error
    training = json.loads((run / "results.json").read_text())["fit"]
    assert training["epochs"] == wanted or name == "series_on_everything"
    assert zoo.load(run).answer(weights.load_golden(FORMER / name / "published")).isfinite().all()
