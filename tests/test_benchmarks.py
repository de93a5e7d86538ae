"""``scripts/benchmark``: that every benchmark runs, what a section tells, and which sections are stale."""

import ast
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT

from scripts.benchmarks.__main__ import BENCHMARKS, FOLDER, main
from scripts.benchmarks.checkout import Checkout, find_stale
from scripts.benchmarks.report import Circumstances, Commit, Row, commit_of, document, section, sections

ROWS = [Row("a loop", "1.02", ">= 0.95", True), Row("another", "0.90", ">= 0.95", False), Row("seconds", "3.1 s")]
FAST = Circumstances("full", Commit("0123abcdef", changed=False), 0.25)


@pytest.mark.slow
@pytest.mark.parametrize("name", BENCHMARKS)
def test_all_of_a_benchmark_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "transfer" and not (ROOT / "data" / "things8").is_dir():
        pytest.skip("needs data/things8; scripts/things.py --download builds it")
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "benchmarks.md"
    assert main(["--only", name, "--tiny", "--out", str(out)]) == 0
    written = sections(out.read_text())
    assert list(written) == [name]
    figures = [line.split(" | ")[1] for line in written[name].splitlines() if line.startswith("| ")][2:]
    assert figures or (sys.platform != "linux" and name in ("windows", "inference", "kmeans", "pca"))
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_the_smallest_size_reaches_no_target_and_misses_none() -> None:
    assert [row.without_target().cells for row in ROWS[:2]] == [("a loop", "1.02", "", ""), ("another", "0.90", "", "")]


def test_a_name_that_is_unknown_is_told_with_those_that_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--only", "dnse"])
    assert stop.value.code == 2
    told = capsys.readouterr().err
    assert "'dnse'" in told
    assert all(name in told for name in BENCHMARKS)


# What a section tells -------------------------------------------------------------------------------------------------


def test_a_section_tells_on_what_and_of_which_code_it_was_measured() -> None:
    title, _, told, _, *table = section("dense", ROWS, FAST).splitlines()
    assert title == "## dense"
    for part in ("commit 0123abcdef,", "load 0.25 before", "threads used", "Python 3.", "torch 2.", "lightning 2."):
        assert part in told
    assert table[2] == "| a loop | 1.02 | >= 0.95 | met |"
    assert table[3] == "| another | 0.90 | >= 0.95 | missed |"
    assert table[4] == "| seconds | 3.1 s |  |  |"


@pytest.mark.parametrize("commit", [Commit("0123abcdef", changed=True), Commit("0123abcdef", changed=False), None])
def test_the_commit_is_read_as_it_was_written(commit: Commit | None) -> None:
    rows = [Row("since commit 7777777", "1.0")]
    assert commit_of(section("dense", rows, replace(FAST, commit=commit))) == commit


def test_a_document_keeps_what_was_not_measured_now() -> None:
    dense, cnn, again = (
        section(name, rows, FAST) for name, rows in (("dense", ROWS), ("cnn", ROWS), ("cnn", ROWS[:1]))
    )
    before = document(["cnn", "dense"], {"dense": dense, "cnn": cnn}, "")
    after = document(["cnn", "dense", "memory"], {"cnn": again}, before)
    assert sections(after) == {"cnn": f"{again}\n", "dense": dense}


def test_a_document_that_is_read_and_written_again_stays_as_it_is() -> None:
    text = (ROOT / "benchmarks.md").read_text()
    assert document(BENCHMARKS, {}, text) == text


# Which sections are stale ---------------------------------------------------------------------------------------------


class Project:
    """A checkout in miniature."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.git("init", "--quiet")
        self.write("zoo/vision/cnn.py", "first")
        self.commit()

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        command = ["git", "-C", str(self.root), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def commit(self) -> None:
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "a change")

    def measure(self) -> str:
        return section("cnn", ROWS, replace(FAST, commit=Checkout(self.root).commit()))

    def stale(self, text: str | None, *paths: str) -> str | None:
        known = {} if text is None else {"cnn": text}
        return find_stale(known, {"cnn": paths or ("zoo/vision",)}, Checkout(self.root)).get("cnn")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def test_a_section_is_fresh_while_its_code_is_the_same(project: Project) -> None:
    measured = project.measure()
    project.write("zoo/text/rnn.py", "new")
    project.commit()
    assert project.stale(measured) is None


@pytest.mark.parametrize("is_committed", [True, False])
def test_a_section_is_stale_when_its_code_has_changed(project: Project, is_committed: bool) -> None:
    measured = project.measure()
    project.write("zoo/vision/cnn.py", "second")
    if is_committed:
        project.commit()
    assert "has changed" in str(project.stale(measured))


def test_a_section_is_stale_when_its_code_has_moved_away(project: Project) -> None:
    measured = project.measure()
    project.git("mv", "zoo/vision", "zoo/images")
    project.commit()
    assert "has changed" in str(project.stale(measured))


def test_patterns_name_code_too(project: Project) -> None:
    measured = project.measure()
    project.write("zoo/vision/cnn.py", "second")
    assert project.stale(measured, "zoo/*/c*.py") is not None
    assert project.stale(measured, "zoo/*/d*.py") is None


def test_a_section_is_stale_when_it_was_measured_with_changes(project: Project) -> None:
    project.write("zoo/vision/cnn.py", "second")
    measured = project.measure()
    project.write("zoo/vision/cnn.py", "first")
    assert "no commit holds" in str(project.stale(measured))


def test_results_that_were_written_are_no_changes_of_the_code(project: Project) -> None:
    project.write("benchmarks.md", "one section")
    project.commit()
    project.write("benchmarks.md", "two sections")
    assert project.stale(project.measure()) is None


def test_a_section_is_stale_without_a_commit(project: Project) -> None:
    assert "does not say" in str(project.stale(section("cnn", ROWS, replace(FAST, commit=None))))


def test_a_section_is_stale_when_its_commit_is_unknown(project: Project) -> None:
    assert "git does not know" in str(project.stale(section("cnn", ROWS, FAST)))


def test_what_was_never_measured_is_named(project: Project) -> None:
    assert "never" in str(project.stale(None))


def test_outside_of_a_checkout_nothing_can_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = Checkout(tmp_path)
    monkeypatch.setattr("scripts.benchmarks.__main__.Checkout", lambda: outside)
    assert main(["--stale"]) == 2
    told = capsys.readouterr()
    assert not told.out
    assert told.err.count("\n") == 1
    assert "no git checkout" in told.err


def test_a_folder_inside_of_a_checkout_is_none(project: Project) -> None:
    assert Checkout(project.root).is_one
    assert not Checkout(project.root / "zoo").is_one


def test_what_is_stale_is_told_without_torch() -> None:
    program = (
        "import sys; from scripts.benchmarks.__main__ import main; code = main(['--stale'])\n"
        "assert code in (0, 2) and not {'torch', 'lightning'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True)


# What a benchmark depends on ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BENCHMARKS)
def test_what_a_benchmark_depends_on_is_there(name: str) -> None:
    assert [path for path in BENCHMARKS[name].paths if not any(ROOT.glob(path))] == []


@pytest.mark.parametrize("wing", sorted({benchmark.wing for benchmark in BENCHMARKS.values()}))
def test_a_wing_depends_on_what_it_imports(wing: str) -> None:
    paths = {path for one in BENCHMARKS.values() if one.wing == wing for path in one.paths}
    covered = {file for path in paths for found in ROOT.glob(path) for file in (found, *found.rglob("*.py"))}
    imported = set(_imported(ROOT / FOLDER / f"{wing}.py"))
    # What makes a section, finds published weights or keeps Lightning quiet is not what is measured.
    elsewhere = {ROOT / path for path in (f"{FOLDER}/report.py", "zoo/weights.py", "zoo/training/plugins.py")}
    assert imported - covered - elsewhere == set()


def _imported(file: Path) -> Iterable[Path]:
    """The project's own files that a file imports."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] in ("zoo", "datamodules", "scripts"):
            module = ROOT / str(node.module).replace(".", "/")
            for path in (module.with_suffix(".py"), *(module / f"{alias.name}.py" for alias in node.names)):
                if path.is_file():
                    yield path
