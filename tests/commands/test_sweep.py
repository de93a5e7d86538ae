"""zoo sweep: settings that are tried by many trainings, by several workers, and after an interruption."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, Zoo

from zoo.comparison import trials as trials_module
from zoo.registry import read_results, read_yaml

optuna = pytest.importorskip("optuna")

BRIEF = ("--trainer.max_epochs=2",)
SEARCH = ("--search", "model.lr=1e-3..1e-1 log", "model.hidden_size=[4,8,16]")
IRIS = ("dense_iris", *SEARCH, *BRIEF)
PASSWORD = "open-sesame"


def study_of(folder: Path | str, name: str = "dense_iris") -> Any:
    from zoo.comparison.studies import find_study, open_journal

    return find_study(open_journal(Path(folder) / "study.journal"), str(folder), name)


def states(study: Any) -> dict[str, int]:
    found = [trial.state.name for trial in study.trials]
    return {name: found.count(name) for name in sorted(set(found))}


def settings(study: Any) -> list[Mapping[str, Any]]:
    return [trial.params for trial in study.trials]


def runs(folder: Path | str) -> list[str]:
    return sorted(path.name for path in Path(folder).glob("trial-*"))


def started(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """A worker of its own, as another terminal would start it."""
    return subprocess.Popen(
        [sys.executable, "-m", "zoo.cli", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_best_is_named_with_the_command_that_trains_it(zoo_command: Zoo) -> None:
    code, out, error = zoo_command("sweep", *IRIS, "--trials=4", "--keep=2", "--out=tried")
    assert (code, error) == (0, "")
    study = study_of("tried")
    assert states(study) == {"COMPLETE": 4}
    values = [trial.value for trial in study.trials]
    assert study.best_value == max(values)
    for trial in study.trials:
        assert 1e-3 <= trial.params["model.lr"] <= 1e-1
        assert trial.params["model.hidden_size"] in (4, 8, 16)
    # The best two are ordinary runs, without pictures; the others are gone.
    best = sorted(study.trials, key=lambda trial: (-trial.value, trial.number))[:2]
    assert runs("tried") == sorted(f"trial-{trial.number:04d}" for trial in best)
    for trial in best:
        run = Path("tried") / f"trial-{trial.number:04d}"
        results = read_results(run)
        assert results["validate"]["accuracy"] == trial.value
        assert "test" not in results
        assert not (run / "figures").exists()
        assert read_yaml(run / "config.yaml")["model"]["init_args"]["lr"] == trial.params["model.lr"]
    (line,) = [line for line in out.splitlines() if line.startswith("train it  zoo ")]
    code, _, error = zoo_command(*shlex.split(line.removeprefix("train it  zoo ")), "--quiet", "--figures=false")
    assert (code, error) == (0, "")
    (again,) = Path("runs/dense_iris").iterdir()
    assert read_results(again)["validate"]["accuracy"] == study.best_value


def test_same_command_goes_on_as_if_nothing_had_interrupted_it(
    zoo_command: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert zoo_command("sweep", *IRIS, "--trials=4", "--out=whole")[0] == 0
    cli, built = trials_module.ZooCLI, []

    def stop(*arguments: Any, **options: Any) -> Any:
        built.append(arguments)
        if len(built) == 3:
            raise KeyboardInterrupt
        return cli(*arguments, **options)

    monkeypatch.setattr(trials_module, "ZooCLI", stop)
    code, out, _ = zoo_command("sweep", *IRIS, "--trials=4")
    assert code == 130
    (line,) = [line for line in out.splitlines() if line.startswith("stopped; go on with: zoo ")]
    code, out, error = zoo_command(*shlex.split(line.removeprefix("stopped; go on with: zoo ")))
    assert (code, error) == (0, "")
    assert "trial 2: failed, since its process was ended; its settings are tried again" in out
    (folder,) = Path("runs/sweep").iterdir()
    study = study_of(folder)
    assert states(study) == {"COMPLETE": 4, "FAIL": 1}
    whole = settings(study_of("whole"))
    assert settings(study)[:4] == [*whole[:3], whole[2]]
    assert study.trials[3].state.name == "COMPLETE"
    assert not list(folder.glob(".trial*"))
    # More trials of a study that was complete.
    assert zoo_command("sweep", *IRIS, "--trials=5", "--out", folder)[0] == 0
    assert states(study_of(folder)) == {"COMPLETE": 5, "FAIL": 1}


def test_killed_trial_is_told_apart(zoo_command: Zoo) -> None:
    command = ("sweep", "dense_iris", *SEARCH, "--trials=2", "--out=killed", "--trainer.max_epochs=100000")
    worker = started(*command)
    deadline = time.monotonic() + 60
    while not Path("killed/trial-0000/metrics.csv").exists():
        assert worker.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    with Path("killed/study.journal").open("a") as file:
        file.write('{"op_code":')  # what it was about to write
    from zoo.comparison.studies import fail_killed

    study = study_of("killed")
    assert states(study) == {"RUNNING": 1}
    assert fail_killed(study, Path("killed")) == [0]
    assert states(study) == {"FAIL": 1, "WAITING": 1}
    assert runs("killed") == []


def test_bad_trials_are_given_up_and_marked(zoo_command: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials_module, "remove_run", lambda run: None)
    code, out, error = zoo_command(
        "sweep", "backprop_iris", "--search", "model.lr=[0.5,1e-7]", "--sampler=random", "--trials=12", "--out=tried",
        "--trainer.max_epochs=6",
    )  # fmt: skip
    assert (code, error) == (0, "")
    study = study_of("tried", "backprop_iris")
    found = states(study)
    assert found["PRUNED"] >= 1
    assert sum(found.values()) == 12  # which count, too
    assert "given up after" in out
    for trial in study.trials:
        fit = read_results(Path("tried") / f"trial-{trial.number:04d}")["fit"]
        assert fit.get("pruned", False) == (trial.state.name == "PRUNED")
        assert (fit["epochs"] < 6) == (trial.state.name == "PRUNED")


def test_diverged_trial_counts_as_bad_and_failed_ones_end_the_sweep(zoo_command: Zoo) -> None:
    command = ("sweep", "dense_iris", "--search", "model.lr=[1e-2,1e+30]", "--sampler=grid", *BRIEF, "--out=wild")
    code, out, error = zoo_command(*command)
    assert (code, error) == (0, "")
    assert re.search(r"given up since .* became NaN or infinite", out)
    assert states(study_of("wild")) == {"COMPLETE": 1, "PRUNED": 1}
    code, out, error = zoo_command(
        "sweep", "dense_iris", "--search", "model.hidden_size=4..8", "--pruner=none", *BRIEF, "--out=none",
        "--trainer.limit_val_batches=0",
    )  # fmt: skip
    assert code == 2
    assert "5 trials failed one after the other; the last: " in error
    assert error.count("\n") == 1


def test_grid_tries_every_value_once(zoo_command: Zoo) -> None:
    search = ("--search", "model.hidden_size=[4,8]", "model.lr=[0.1,0.01]")
    assert zoo_command("sweep", "dense_iris", *search, "--sampler=grid", *BRIEF, "--out=grid")[0] == 0
    study = study_of("grid")
    assert sorted(map(tuple, (one.values() for one in settings(study)))) == [(4, 0.01), (4, 0.1), (8, 0.01), (8, 0.1)]


def test_no_trial_begins_after_the_time(zoo_command: Zoo) -> None:
    code, _, error = zoo_command("sweep", *IRIS, "--trials=1000", "--timeout=1s", "--out=timed")
    assert (code, error) == (0, "")
    assert 1 <= len(study_of("timed").trials) < 100
    code, _, error = zoo_command("sweep", *IRIS, "--timeout=0s", "--out=never")
    assert code == 2
    assert "no trial is complete; allow for more with --trials or --timeout" in error


def test_series_is_judged_by_folds(zoo_command: Zoo) -> None:
    months = np.arange(96)
    rows = [f"{2000 + month // 12}-{month % 12 + 1:02d}-01,{100 + month % 12 * 5 + month}" for month in months]
    Path("sales.csv").write_text("\n".join(["month,sold", *rows]) + "\n")
    code, out, error = zoo_command(
        "sweep", "lstm_csv", "--search", "model.hidden_size=[2,4]", "--folds=2", "--trials=2", "--data.path=sales.csv",
        "--data.time=month", "--data.value=sold", "--data.period=12", "--data.horizon=3", "--data.window=12", *BRIEF,
        "--out=tried",
    )  # fmt: skip
    assert (code, error) == (0, "")
    trial = study_of("tried", "lstm_csv").best_trial
    figures = [read_results(Path(trial.user_attrs["run"]) / f"fold-{n}")["test"]["mae"] for n in (1, 2)]
    assert min(figures) <= trial.value <= max(figures)
    assert list(trial.intermediate_values) == [1, 2]
    assert "train it  zoo fit lstm_csv --data.path=sales.csv" in out


def test_recipe_may_say_what_to_search(zoo_command: Zoo) -> None:
    _, recipe, _ = zoo_command("show", "dense_iris", "--recipe")
    Path("mine.yaml").write_text(f"{recipe}\nsearch:\n  model.lr: 1e-3..1e-1 log\n  model.hidden_size: [4, 8]\n")
    assert zoo_command("sweep", "mine.yaml", "--trials=1", *BRIEF, "--out=tried")[0] == 0
    assert set(study_of("tried", "mine").trials[0].params) == {"model.lr", "model.hidden_size"}
    # A training takes no notice, and a run says nothing of it.
    assert zoo_command("fit", "mine.yaml", *BRIEF, "--quiet", "--figures=false")[0] == 0
    (run,) = Path("runs/mine").iterdir()
    assert "search" not in read_yaml(run / "config.yaml")
    assert zoo_command("test", run, "--quiet")[0] == 0


def test_study_is_drawn(zoo_command: Zoo) -> None:
    assert zoo_command("sweep", *IRIS, "--trials=3", "--out=tried")[0] == 0
    code, out, error = zoo_command("sweep", "--show", "tried")
    assert (code, error) == (0, "")
    assert "train it  zoo fit dense_iris" in out
    for name in ("history", "slices", "importances"):
        assert Path(f"tried/figures/{name}.png").read_bytes().startswith(b"\x89PNG")


def test_two_workers_share_a_journal(zoo_command: Zoo) -> None:
    command = ("sweep", *IRIS, "--trials=8", "--out=shared")
    _both_end_well([started(*command) for _ in range(2)])
    study = study_of("shared")
    found = states(study)
    assert found["COMPLETE"] + found.get("PRUNED", 0) == 8
    assert set(found) <= {"COMPLETE", "PRUNED", "FAIL"}  # of two that began the last one, one gives way
    drawn = [trial.params["model.lr"] for trial in study.trials if trial.params]
    assert len(set(drawn)) == len(drawn)  # the same seed, and yet nobody drew what another did
    assert len(runs("shared")) == 3


def _both_end_well(workers: list[subprocess.Popen[str]]) -> list[str]:
    outs = []
    for worker in workers:
        out, error = worker.communicate(timeout=180)
        assert worker.returncode == 0, error
        outs.append(out)
    return outs


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("", "'zoo sweep' needs one recipe or YAML file, first"),
        ("dense_iris", "there is nothing to search; name settings, such as --search"),
        ("dense_irris --search model.lr=0..1", "no recipe 'dense_irris'; did you mean 'dense_iris'?"),
        ("dense_iris --search model.hiden_size=1..4", "Dense takes no 'hiden_size'; did you mean 'hidden_size'?"),
        ("dense_iris --search modle.lr=0..1", "no flag '--modle.lr'"),
        ("dense_iris --search model.lr=[fast]", "--model.lr is 'fast', expected float"),
        ("dense_iris --search model.lr=1..0", "which is empty; expected the lower end first"),
        ("dense_iris --search model.lr=0..1 --model.lr 3", "--model.lr is given and searched; leave one out"),
        ("dense_iris --search data.fold=[1/2]", "--data.fold has no place in a sweep"),
        ("dense_iris --search model.lr=0..1 --ckpt_path x", "--ckpt_path has no place in a sweep"),
        ("dense_iris --search model.lr=0..1 --test", "--test has no place in a sweep"),
        ("dense_iris --search model.lr=0..1 --trainer.fast_dev_run true", "--trainer.fast_dev_run has no place"),
        ("dense_iris --search model.lr=0..1 --trainer.devices 2", "a trial trains on one device"),
        ("dense_iris --search model.lr=0..1 --sampler grid", "model.lr is a range; give it a list"),
        ("dense_iris --search model.lr=0..1 --sampler tpee", "argument --sampler: invalid choice: 'tpee'"),
        ("dense_iris --search model.lr=0..1 --sampler cmaes", "--sampler cmaes keeps its state in a form that can"),
        ("dense_iris --search model.lr=0..1 --trials 0", "--trials is 0, expected at least 1"),
        ("dense_iris --search model.lr=0..1 --timeout 5", "--timeout is '5', expected a time such as 90s, 5m or 2h"),
        ("dense_iris --search model.lr=0..1 --folds 2", "--folds is for series, and Iris is none"),
        ("dense_iris --search model.lr=0..1 --study a/b", "the study is called 'a/b', expected letters, digits"),
        ("dense_iris --search model.lr=0..1 --out taken", "--out taken is there and holds no sweep"),
        ("dense_iris --search model.lr=0..1 --storage redis://h/d", "no address of a PostgreSQL server"),
        ("dense_iris --search model.lr=0..1 --storage postgresql://u@h:x/d", "no address of a PostgreSQL server"),
        ("dense_iris --search model.lr=0..1 --storage postgresql://u:open-sesame@h/d", "PGPASSWORD"),
        ("dense_iris --search model.lr=0..1 --storage postgresql://h/d?password=open-sesame", "PGPASSWORD"),
        ("--show nothing", "no study nothing; expected the folder of a sweep"),
        ("--show taken", "expected the folder of a sweep"),
        ("--show taken dense_iris", "dense_iris has no place beside --show"),
        ("--show it --storage postgresql://h/d", "needs --out DIR"),
    ],
)
def test_what_cannot_be_searched_is_told_and_leaves_nothing(typed: str, told: str, zoo_command: Zoo) -> None:
    Path("taken").mkdir()
    Path("taken/precious").write_text("mine")
    code, _, error = zoo_command("sweep", *typed.split())
    assert code == 2
    assert told in error
    assert error.count("\n") == 1
    assert PASSWORD not in error
    assert [path.name for path in Path.cwd().rglob("*")] == ["taken", "precious"]


def test_without_optuna_it_is_told_what_to_install(zoo_command: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    code, _, error = zoo_command("sweep", *IRIS)
    assert code == 2
    assert error == "zoo: a sweep needs optuna; install it with: pip install 'lightning-zoo[sweep]'\n"


def test_a_folder_holds_one_sweep_and_a_journal_one_study(zoo_command: Zoo) -> None:
    _, recipe, _ = zoo_command("show", "dense_iris", "--recipe")
    Path("mine.yaml").write_text(f"{recipe}\nsearch: {{model.lr: 1e-3..1e-1 log}}\n")
    command = ("sweep", "mine.yaml", "--trials=1", *BRIEF, "--out=one")
    assert zoo_command(*command)[0] == 0
    code, _, error = zoo_command(*command, "--search", "model.lr=0..1")
    assert code == 2
    assert "--out one holds another sweep; it was made by: zoo sweep mine.yaml" in error
    Path("mine.yaml").write_text(f"{recipe}\nsearch: {{model.lr: 1e-3..1e-2 log}}\n")
    code, _, error = zoo_command(*command)
    assert code == 2
    assert 'one/study.journal holds another study: its search is {"model.lr": "1e-3..1e-1 log"}, not' in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("content", [b"{}\n", b"no journal\n", b"\x00\xff\n", b'{"op_code": 4}\n', b"[]\n", b"3\n"])
def test_damaged_journal_is_told(content: bytes, zoo_command: Zoo) -> None:
    assert zoo_command("sweep", *IRIS, "--trials=1", "--out=broken")[0] == 0
    journal = Path("broken/study.journal")
    journal.write_bytes(content + journal.read_bytes())
    for command in (("sweep", *IRIS, "--trials=2", "--out=broken"), ("sweep", "--show", "broken")):
        code, _, error = zoo_command(*command)
        assert code == 2
        assert "broken/study.journal is damaged" in error
        assert error.count("\n") == 1


def test_server_that_cannot_be_reached_is_told(zoo_command: Zoo) -> None:
    pytest.importorskip("psycopg")
    code, _, error = zoo_command("sweep", *IRIS, "--storage", f"postgresql://me@/db?host={Path.cwd()}")
    assert code == 2
    assert "cannot be used: connection" in error
    assert error.count("\n") == 1
    assert not Path("runs").exists()


def test_server_that_is_lost_is_told(zoo_command: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy.exc import OperationalError

    def lose(*_: Any) -> None:
        try:
            raise OperationalError("SELECT 1", {}, Exception("the connection is closed\nby the server"))
        except OperationalError as lost:
            raise UnboundLocalError from lost  # as Optuna does

    monkeypatch.setattr(trials_module.Sweep, "_tidy", lose)
    code, _, error = zoo_command("sweep", *IRIS, "--trials=2", "--out=lost")
    assert code == 2
    assert "was lost: the connection is closed by the server; when it is there again, the same command goes on" in error
    assert error.count("\n") == 1


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a PostgreSQL server of our own, that is reached by a socket and asks for a password."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    places = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    path = os.pathsep.join([*places, os.environ["PATH"]])
    initdb, control = shutil.which("initdb", path=path), shutil.which("pg_ctl", path=path)
    if initdb is None or control is None:
        pytest.skip("PostgreSQL is not installed")
    # A server refuses to be run by root, for whom the package's own user stands in.
    user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="zoo-server-", dir="/tmp"))
    secret = folder / "password"
    secret.write_text(PASSWORD)
    if user:
        for one in (folder, secret):
            shutil.chown(one, "postgres", "postgres")

    def run(*command: str) -> None:
        # Into a file: a server that goes on running would hold a pipe open.
        with tempfile.TemporaryFile("w+") as said:
            done = subprocess.run(command, cwd=folder, stdout=said, stderr=said, **user)  # type: ignore[call-overload]
            said.seek(0)
            assert done.returncode == 0, said.read()

    data = str(folder / "data")
    run(initdb, "-D", data, "-U", "zoo", "-A", "scram-sha-256", f"--pwfile={secret}", "--no-sync")
    log = str(folder / "log")
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    run(control, "-D", data, "-l", log, "-w", "-o", options, "start")
    try:
        yield f"postgresql://zoo@/postgres?host={folder}"
    finally:
        run(control, "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.mark.slow
def test_two_machines_share_a_server(server: str, zoo_command: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("sweep", *IRIS, "--trials=6", "--storage", server)
    workers = [started(*command, f"--out=machine-{number}", PGPASSWORD=PASSWORD) for number in (1, 2)]
    outs = _both_end_well(workers)
    assert all(f"trial {number}: " in "".join(outs) for number in range(6))
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    code, out, error = zoo_command("sweep", "--show", "dense_iris", "--storage", server, "--out=drawn")
    assert (code, error) == (0, "")
    found = re.search(r"trials    (\d+) complete(?:, (\d+) given up)?", out)
    assert found is not None
    assert int(found[1]) + int(found[2] or 0) == 6
    assert Path("drawn/figures/history.png").is_file()
    for path in Path.cwd().rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes()
    # The same command finds nothing left to do; another search is another study.
    assert zoo_command(*command)[0] == 0
    code, _, error = zoo_command("sweep", "dense_iris", "--search", "model.lr=0..1", *BRIEF, "--storage", server)
    assert code == 2
    assert "holds another study: its search is" in error
    assert "--study NAME" in error


def test_password_may_lie_in_a_file_and_a_wrong_one_is_told(
    server: str, zoo_command: Zoo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = ("sweep", *IRIS, "--trials=1", "--storage", server, "--study=by-file")
    monkeypatch.setenv("PGPASSWORD", "wrong")
    code, _, error = zoo_command(*command)
    assert code == 2
    assert "password authentication failed" in error
    assert error.count("\n") == 1
    monkeypatch.delenv("PGPASSWORD")
    kept = tmp_path / "pgpass"
    kept.write_text(f"*:*:*:zoo:{PASSWORD}\n")
    kept.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(kept))
    assert zoo_command(*command)[0] == 0
