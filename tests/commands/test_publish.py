"""``zoo publish`` writes into the folder that it is told, whatever a run calls itself."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, Zoo


@pytest.mark.parametrize("name", ["../out", "..", ".", "", "/tmp/out", ".hidden", "a/b", "a\\b", "a/../../b"])
def test_name_of_a_run_leads_nowhere_else(zoo_command: Zoo, tmp_path: Path, name: str) -> None:
    shutil.copytree(ROOT / "tests" / "former" / "tabular" / "run", tmp_path / "run")
    path = tmp_path / "run" / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"recipe": name, "fit": {"epochs": 2}}))
    before = sorted(tmp_path.rglob("*"))
    code, _, err = zoo_command("publish", "run", "--to", "published")
    assert code == 2
    assert err.count("\n") == 1
    assert "is no name for a folder" in err
    assert sorted(tmp_path.rglob("*")) == before
