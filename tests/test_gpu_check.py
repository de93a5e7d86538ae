"""``scripts/gpu_check``: that every check runs, here on the CPU, and what it says where there is no GPU."""

from pathlib import Path

import pytest
import torch
from conftest import ROOT

from scripts.benchmarks import gpu
from scripts.benchmarks.__main__ import BENCHMARKS
from scripts.benchmarks.gpu import CheckError, Probe, checks, main, require, row, several
from scripts.benchmarks.report import GPU, Circumstances, Row, document, section, sections


def test_without_a_gpu_there_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main([]) == 2
    told = capsys.readouterr()
    assert not told.out
    assert told.err.count("\n") == 1
    assert "--device cpu --quick" in told.err


@pytest.mark.slow
def test_all_checks_pass_on_the_cpu(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "benchmarks.md"
    code = main(["--device", "cpu", "--quick", "--out", str(out)])
    assert code == 0, capfd.readouterr().out
    written = sections(out.read_text())[GPU]
    probe = Probe("cpu", tmp_path, quick=True)
    for what in {**checks(probe), **several(probe)}:
        assert f"| {what} |" in written
    assert "no GPU" in written
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_one_check_passes_and_nothing_is_written_unasked(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    before = (ROOT / "benchmarks.md").read_bytes()
    assert main(["--device", "cpu", "--quick", "--only", "pca_iris: all"]) == 0
    assert "1 checks, 0 failed" in capfd.readouterr().out
    assert (ROOT / "benchmarks.md").read_bytes() == before


def test_check_that_fails_ends_with_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def off(*_: object) -> str:
        require(False, "cnn_digits is 3.0e-01 off")
        return ""

    monkeypatch.setattr(gpu, "golden", off)
    assert main(["--device", "cpu", "--quick", "--only", "golden"]) == 1
    out = capfd.readouterr().out
    assert "cnn_digits is 3.0e-01 off | as stored | missed" in out
    assert "1 checks, 1 failed" in out


def test_name_that_no_check_has_is_no_success(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--device", "cpu", "--quick", "--only", "golde "]) == 1


def test_whatever_a_check_raises_is_told_in_its_row() -> None:
    def breaks() -> str:
        raise RuntimeError("CUDA error:\n  an illegal memory access")

    assert row("a", breaks, "trains") == Row("a", "RuntimeError: CUDA error: an illegal memory access", "trains", False)
    assert row("a", lambda: "fine", "") == Row("a", "fine", "", None)


def test_command_that_fails_is_told_as_it_told(tmp_path: Path) -> None:
    with pytest.raises(CheckError, match="no recipe 'cnn_digts'"):
        Probe("cpu", tmp_path, quick=True).run("fit", "cnn_digts")


def test_benchmarks_say_that_no_gpu_was_there_until_one_was() -> None:
    without = document(BENCHMARKS, {}, "")
    assert "Nothing here was measured on a GPU" in without
    circumstances = Circumstances("full", None, None, "NVIDIA A100, CUDA 13.0")
    found = document(BENCHMARKS, {GPU: section(GPU, [Row("a", "b")], circumstances)}, without)
    assert "Nothing here was measured on a GPU" not in found
    assert "NVIDIA A100, CUDA 13.0" in sections(found)[GPU]
    assert document(BENCHMARKS, {}, found) == found


def test_page_says_what_it_holds() -> None:
    text = (ROOT / "benchmarks.md").read_text()
    assert ("Nothing here was measured on a GPU" in text) is (GPU not in sections(text))
