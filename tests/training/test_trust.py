"""A run folder may come from anywhere: nothing that its configuration names is run unless it is on the list."""

import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, Zoo
from lightning.pytorch import callbacks, loggers, strategies

from zoo import ZooError, registry
from zoo.training.trust import RunConfiguration

FORMER = ROOT / "tests" / "former"
EVIL = {"class_path": "evil.Cb", "init_args": {}}


def tampered(section: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Puts a value where ``a.b.c`` is."""

    def tamper(config: dict[str, Any]) -> None:
        *path, last = section.split("/")
        for name in path:
            config = config.setdefault(name, {})
        config[last] = value

    return tamper


def named(kind: str, /, **arguments: Any) -> dict[str, Any]:
    return {"class_path": f"lightning.pytorch.{kind}", "init_args": arguments}


def callback(kind: str, /, **arguments: Any) -> Callable[[dict[str, Any]], None]:
    return tampered("trainer/callbacks", [named(f"callbacks.{kind}", **arguments)])


def strategy(kind: str, /, **arguments: Any) -> Callable[[dict[str, Any]], None]:
    return tampered("trainer/strategy", named(f"strategies.{kind}Strategy", **arguments))


def logger(kind: str, /, **arguments: Any) -> Callable[[dict[str, Any]], None]:
    return tampered("trainer/logger", [named(f"loggers.{kind}Logger", **arguments)])


TAMPERS: dict[str, Callable[[dict[str, Any]], None]] = {
    "a class": tampered("trainer/callbacks", [EVIL]),
    "a class as a string": tampered("trainer/callbacks", ["evil.Cb"]),
    "a class as a string alone": tampered("trainer/callbacks", "evil.Cb"),
    "a bare name": tampered("trainer/callbacks", ["Cb"]),
    "a file of callbacks": tampered("trainer/callbacks", "other.yaml"),
    "another file": tampered("config", "other.yaml"),
    "a list of other files": tampered("config", ["other.yaml"]),
    "a file for the trainer": tampered("trainer", "other.yaml"),
    "a file for the model": tampered("model", "other.yaml"),
    "a file for arguments": tampered("model/init_args", "other.yaml"),
    "a model of its own": tampered("model/class_path", "evil.Cb"),
    "data of its own": tampered("data/class_path", "evil.Cb"),
    "a class of torch as model": tampered("model/class_path", "torch.nn.Linear"),
    "a data module as model": tampered("model/class_path", "datamodules.Iris"),
    "a dotted key": tampered("trainer.callbacks", [EVIL]),
    "a dotted key within": tampered("trainer/logger.class_path", "evil.Cb"),
    "a plus key": tampered("trainer/callbacks+", EVIL),
    "a plus key above": tampered("trainer.callbacks+", EVIL),
    "arguments by another name": tampered("model/dict_kwargs", {"x": EVIL}),
    "a key of another program": tampered("optimizer", EVIL),
    "a registry of models": tampered("trainer/model_registry", "evil"),
    "a profiler as a string": tampered("trainer/profiler", "this.s"),
    "a profiler": tampered("trainer/profiler", EVIL),
    "a strategy as a string": tampered("trainer/strategy", "evil.Cb"),
    "an accelerator as a string": tampered("trainer/accelerator", "evil.Cb"),
    "an accelerator": tampered("trainer/accelerator", EVIL),
    "a plugin": tampered("trainer/plugins", [EVIL]),
    "a plugin of Lightning": tampered("trainer/plugins", [named("plugins.environments.MPIEnvironment")]),
    "a logger": tampered("trainer/logger", [EVIL]),
    "a logger as a string": tampered("trainer/logger", "evil.Cb"),
    "a callback that calls": callback("LambdaCallback", setup="evil.f"),
    "pruning": callback("ModelPruning", pruning_fn="evil.f"),
    "averaging": callback("StochasticWeightAveraging", swa_lrs=0.1, avg_fn="evil.f"),
    "averaging by more arguments": callback("EMAWeightAveraging", kwargs=EVIL),
    "a throughput": callback("ThroughputMonitor", batch_size_fn="evil.f"),
    "a policy of FSDP": strategy("FSDP", auto_wrap_policy="evil.f"),
    "checkpointing of FSDP": strategy("FSDP", activation_checkpointing="evil.Cb"),
    "a hook of DDP": strategy("DDP", ddp_comm_hook="evil.f"),
    "an environment of DDP": strategy("DDP", cluster_environment=EVIL),
    "a class within arguments": tampered("model/init_args/classes", [EVIL]),
    "a class within a text": tampered("model/init_args/classes", "{class_path: evil.Cb}"),
    "a class within arguments of data": tampered("data/init_args/seed", EVIL),
    "checkpoints elsewhere": callback("ModelCheckpoint", dirpath="/tmp/elsewhere"),
    "checkpoints above": callback("ModelCheckpoint", filename="../../best"),
    "figures elsewhere": logger("CSV", save_dir="../elsewhere"),
    "figures sent away": logger("MLFlow", tracking_uri="http://example.com"),
    "figures in a file elsewhere": logger("MLFlow", tracking_uri="file:/etc"),
    "a checkpoint elsewhere": tampered("ckpt_path", "../../last.ckpt"),
}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that was killed, beside a module that leaves a proof if anything imports it."""
    proof = f"import pathlib; pathlib.Path({str(tmp_path / 'proof')!r}).touch()\n"
    (tmp_path / "evil.py").write_text(proof + "class Cb: pass\ndef f(*a): pass\n")
    (tmp_path / "other.yaml").write_text(yaml.safe_dump({"callbacks": [EVIL], **EVIL}))
    return shutil.copytree(FORMER / "tabular" / "run", tmp_path / "runs" / "backprop_iris" / "1")


@pytest.mark.parametrize("name", TAMPERS)
def test_tampered_run_runs_nothing(
    name: str, run: Path, zoo_command: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    config = registry.read_yaml(run / "config.yaml")
    TAMPERS[name](config)
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    for verb in ("fit", "test"):
        code, out, error = zoo_command(verb, run)
        assert (code, out) == (2, ""), name
        assert error.endswith("add --trust if the run is yours\n")
        assert len(error.splitlines()) == 1
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("verb", ["fit", "validate", "test", "publish", "lr-find", "backtest", "elbow"])
def test_every_verb_that_takes_a_run_looks_first(
    verb: str, run: Path, zoo_command: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    config = registry.read_yaml(run / "config.yaml")
    config["trainer"]["callbacks"] = ["evil.Cb"]
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    (run / "results.json").write_text('{"recipe": "backprop_iris", "fit": {"epochs": 1}}')
    more = {"publish": ["--to", str(tmp_path)], "elbow": ["--k", "1..3"], "backtest": ["--folds", "2"]}.get(verb, [])
    code, _, error = zoo_command(verb, run, *more)
    assert code == 2
    assert "which may run any code; add --trust" in error or "expected a class_path" in error
    assert not (tmp_path / "proof").exists()


GOOD: dict[str, dict[str, Any]] = {
    "callbacks": {
        "callbacks": [
            named("callbacks.ModelCheckpoint", monitor="val_loss", dirpath=None, train_time_interval=None),
            named("callbacks.EarlyStopping", monitor="val_loss", patience=3),
            named("callbacks.LearningRateMonitor", logging_interval="epoch"),
            named("callbacks.StochasticWeightAveraging", swa_lrs=0.1, avg_fn=None, device="cpu"),
            named("callbacks.RichProgressBar", theme={"description": "", "bar": "red"}, console_kwargs=None),
            {"class_path": "zoo.vision.Distillation", "init_args": {"teacher": "cnn_digits", "share": 0.9}},
        ]
    },
    "one callback": {"callbacks": named("callbacks.Timer", duration="00:01:00:00")},
    "loggers": {
        "logger": [
            named("loggers.CSVLogger", save_dir="logs", name="", version=""),
            named("loggers.WandbLogger", project="zoo", offline=True, save_dir="."),
            named("loggers.MLFlowLogger", tracking_uri="sqlite:///mlflow.db"),
        ]
    },
    "several processes": {"strategy": "ddp", "devices": 2, "accelerator": "gpu", "precision": "bf16-mixed"},
    "a strategy with settings": {"strategy": named("strategies.FSDPStrategy", sharding_strategy="FULL_SHARD")},
    "a time": {"max_time": {"hours": 1}, "val_check_interval": 0.5, "profiler": "simple"},
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_what_users_do_is_trusted(name: str, tmp_path: Path) -> None:
    config = registry.read_yaml(FORMER / "tabular" / "run" / "config.yaml")
    config["trainer"] |= GOOD[name]
    RunConfiguration(config, tmp_path / "config.yaml").check()


@pytest.mark.parametrize("folder", sorted(path.name for path in FORMER.iterdir() if path.is_dir()))
def test_runs_of_the_zoo_are_trusted(folder: str) -> None:
    path = FORMER / folder / "run" / "config.yaml"
    RunConfiguration(registry.read_yaml(path), path).check()


def test_trust_is_what_runs_foreign_code(
    run: Path, zoo_command: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trusted_callback.py").write_text(
        "from lightning.pytorch.callbacks import Callback\nclass Cb(Callback): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = registry.read_yaml(run / "config.yaml")
    config["trainer"]["callbacks"].append({"class_path": "trusted_callback.Cb"})
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert zoo_command("fit", run, "--quiet")[0] == 2
    assert zoo_command("fit", run, "--quiet", "--trust")[0] == 0


def test_run_goes_on_in_its_folder_wherever_its_writer_kept_runs(run: Path, zoo_command: Zoo, tmp_path: Path) -> None:
    config = registry.read_yaml(run / "config.yaml")
    config["trainer"]["default_root_dir"] = str(tmp_path / "elsewhere")
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert zoo_command("fit", run, "--quiet")[0] == 0
    assert not (tmp_path / "elsewhere").exists()
    assert "default_root_dir: null" in (run / "config.yaml").read_text()


def repeated(levels: int = 9) -> str:
    """Nine lines that stand for nine to the power of nine values."""
    lines = ["a0: &a0 [1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels + 1)]
    return "\n".join(lines) + "\n"


EXPLOSIVE = {
    "billions": (repeated(), "stand for more than 10,000 values"),
    "itself": ("more: &more [*more]\n", r"the alias \*more lies in what it stands for"),
    "itself, inside": ("more: &more {a: [{b: *more}]}\n", r"the alias \*more lies in what it stands for"),
    "itself, merged": ("more: &more {<<: *more}\n", r"the alias \*more lies in what it stands for"),
    "deep": (f"more: {'[' * 400}{']' * 400}\n", "nested deeper than 50 levels"),
    "deep, by indentation": (f"more:\n  {'- ' * 400}1\n", "nested deeper than 50 levels"),
}


@pytest.mark.parametrize("name", EXPLOSIVE)
@pytest.mark.parametrize("kind", ["run", "recipe", "--config"])
def test_yaml_does_not_explode(name: str, kind: str, run: Path, zoo_command: Zoo, tmp_path: Path) -> None:
    written, told = EXPLOSIVE[name]
    config = run / "config.yaml"
    config.write_text(config.read_text() + written)
    given: dict[str, list[object]] = {"run": [run], "recipe": [config], "--config": ["dense_iris", "--config", config]}
    began = time.process_time()
    code, _, error = zoo_command("fit", *given[kind], "--figures=false")
    assert time.process_time() - began < 5
    assert code == 2
    assert len(error.splitlines()) == 1
    assert re.search(told, error)


def test_yaml_that_repeats_a_little_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("a: &a {x: 1, y: [2, 3]}\nb: {<<: *a, x: 4}\nc: [*a, *a]\n")
    read = registry.read_yaml(tmp_path / "config.yaml")
    assert read["b"] == {"x": 4, "y": [2, 3]}
    assert read["c"] == [read["a"], read["a"]]


def test_list_names_classes_that_there_are() -> None:
    from zoo.training import trust

    for known, module in ((trust._CALLBACKS, callbacks), (trust._LOGGERS, loggers), (trust._STRATEGIES, strategies)):
        for path in known:
            assert path.startswith("zoo.") or hasattr(module, path.rpartition(".")[2])


def test_refusal_says_where() -> None:
    with pytest.raises(ZooError, match=r"run/config.yaml names 'os.system', which may run any code; add --trust"):
        RunConfiguration({"model": {"class_path": "os.system"}}, Path("run/config.yaml")).check()
