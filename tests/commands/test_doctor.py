"""``zoo doctor``: what there is, and what is wrong."""

import shutil
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import Zoo

from zoo import registry
from zoo.commands import doctor


def test_healthy_installation_is_told_in_one_screen(zoo_command: Zoo) -> None:
    code, out, err = zoo_command("doctor")
    assert (code, err) == (0, "")
    assert out.endswith("\nnothing is wrong\n")
    assert len(out.splitlines()) < 25
    assert f"torch {metadata.version('torch')}" in out
    assert f"{len(registry.list_models(pretrained=True))} of" in out


def test_what_is_wrong_is_told_with_the_remedy(
    zoo_command: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = tmp_path / "checkpoints"
    for name in ("cnn_digits", "dense_iris", "dcgan_digits"):
        shutil.copytree(registry.CHECKPOINTS / name, checkpoints / name)
    (checkpoints / "cnn_digits" / "model.safetensors").write_bytes(b"damaged")
    (checkpoints / "dcgan_digits" / "model.safetensors").unlink()
    monkeypatch.setattr(registry, "CHECKPOINTS", checkpoints)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=7_000_000))
    known = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: {"timm": None, "pillow": "1.0"}.get(name, known(name)))
    code, out, _ = zoo_command("doctor")
    assert code == 1
    wrong = out.partition("what is wrong")[2]
    assert "cnn_digits/model.safetensors is damaged" in wrong
    assert "timm is not installed; install it with: pip install 'timm" in wrong
    assert "pillow is 1.0, expected >=" in wrong
    assert "has 7.0 MB free, where cache would be kept" in wrong
    assert "1 of gan come with: pip install lightning-zoo-weights-gan" in out
