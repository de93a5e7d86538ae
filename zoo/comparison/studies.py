"""Studies of Optuna, in a journal file or on a PostgreSQL server: opened with care, shared by workers, and resumed.

What lies in a study may come from anywhere. Optuna keeps it as JSON, but for the state of its sampler ``CmaEsSampler``,
which it unpickles: that one is not offered here.
"""

import json
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import optuna
from filelock import FileLock, Timeout
from optuna.distributions import BaseDistribution
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning, OptunaError
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, GPSampler, GridSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import NullPool, create_engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from datamodules.errors import UserError
from zoo.comparison.space import Choice, Space
from zoo.errors import ZooError, in_brief, shortened
from zoo.training.run_folder import remove_run

PRUNERS: dict[str, Callable[[], BasePruner]] = {"median": MedianPruner, "hyperband": HyperbandPruner, "none": NopPruner}
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
# A worker of a server says so often that it lives; one that does not for so long is taken for dead. In seconds.
_HEARTBEAT, _GRACE = 30, 90
# Number of a lock on the server, which nobody else should use.
_MAKING_TABLES = 7_105_331
# Of a study: what it is a study of.
_ABOUT = "about"

optuna.logging.set_verbosity(optuna.logging.ERROR)


@contextmanager
def _experimenting() -> Iterator[None]:
    """Meanwhile nothing is said of what Optuna has had for years and may yet change."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


class _Lock(JournalFileOpenLock):
    """A lock that the system takes back from a worker that is killed; Optuna's own stay, and all others wait.

    Args:
        path: The journal.
    """

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path.with_name(f".{path.name}.lock"))

    def acquire(self) -> bool:
        """Waits for it."""
        self._lock.acquire()
        return True

    def release(self) -> None:
        """Gives it back."""
        self._lock.release()


def open_journal(path: Path) -> BaseStorage:
    """Opens a journal file, or begins one. What a worker that was killed did not write to its end is cut off.

    Args:
        path: The file.

    Raises:
        ZooError: It is damaged.
    """
    lock = _Lock(path)
    try:
        if path.exists():
            _cut_half_line(path, lock)
        storage = JournalStorage(JournalFileBackend(str(path), lock))
        storage.get_all_studies()
    except OSError:
        raise
    except Exception as error:  # a line that is no record of Optuna raises anything
        raise ZooError(f"{path} is damaged ({_brief(error)}); name another folder") from error
    return storage


def _cut_half_line(path: Path, lock: _Lock) -> None:
    content = path.read_bytes()
    if not content or content.endswith(b"\n"):
        return
    lock.acquire()
    try:
        content = path.read_bytes()
        with path.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)
    finally:
        lock.release()


def check_url(url: str) -> None:
    """Refuses what cannot be the address of a PostgreSQL server, and passwords, which would be kept in files.

    Args:
        url: Such as ``postgresql://user@host/database``.

    Raises:
        ZooError: It is no such address, or holds a password.
    """
    expected = "expected postgresql://USER@HOST/DATABASE"
    try:
        parts = urlsplit(url)
        secret = parts.password is not None or {"password", "sslpassword"} & {
            name for name, _ in parse_qsl(parts.query)
        }
        port, database = parts.port, parts.path
    except ValueError:
        raise ZooError(f"--storage is no address of a PostgreSQL server, {expected}") from None
    if secret:
        raise ZooError(
            "--storage holds a password, which would be kept in files; leave it out, and give it as PGPASSWORD in the "
            "environment or in ~/.pgpass"
        )
    if not re.fullmatch(r"postgresql(\+\w+)?", parts.scheme) or port == 0 or len(database) < 2:
        raise ZooError(f"--storage is no address of a PostgreSQL server, {expected}")


def open_server(url: str) -> BaseStorage:
    """Connects to a PostgreSQL server.

    Args:
        url: Its address, without a password; see :func:`check_url`.

    Raises:
        ZooError: It cannot be reached, or refuses.
    """
    check_url(url)
    address = re.sub(r"^postgresql:", "postgresql+psycopg:", url)
    connection: dict[str, Any] = {"pool_pre_ping": True, "connect_args": {"connect_timeout": 10}}
    try:
        engine = create_engine(address, poolclass=NullPool, connect_args=connection["connect_args"])
        with _experimenting(), engine.connect() as session:
            # Of workers that begin at the same time one makes the tables, and the others wait for it.
            session.execute(select(func.pg_advisory_lock(_MAKING_TABLES)))
            return RDBStorage(address, connection, heartbeat_interval=_HEARTBEAT, grace_period=_GRACE)
    except ImportError as error:
        raise ZooError(
            "studies on a server need psycopg; install it with: pip install 'lightning-zoo[sweep]'"
        ) from error
    except (SQLAlchemyError, OptunaError, RuntimeError) as error:
        raise ZooError(f"{url} cannot be used: {_said(error)}") from error


@contextmanager
def telling(where: str) -> Iterator[None]:
    """Meanwhile a server that is lost is told in one line.

    Args:
        where: What holds the study, in words.

    Raises:
        ZooError: It was lost.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        # Optuna, which then does not know how a trial ended, fails with an error of its own after that of the server.
        if (cause := _of_server(error)) is None:
            raise
        raise ZooError(f"{where} was lost: {_said(cause)}; when it is there again, the same command goes on") from error


def _of_server(error: BaseException) -> BaseException | None:
    """The error among the causes of another that came from where the study lies."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, SQLAlchemyError):
        seen = seen.__cause__ or seen.__context__
    return seen or (error if isinstance(error, OptunaError) else None)


def _said(error: BaseException) -> str:
    """What a server said, in one line; Optuna only says that something failed, and where to look."""
    found = _of_server(error) or error
    return _brief(getattr(found, "orig", None) or found)


def _brief(error: BaseException) -> str:
    return in_brief(" ".join(str(error).split()) or type(error).__name__, 300)


def open_study(storage: BaseStorage, where: str, name: str, about: Mapping[str, Any], upwards: bool) -> Study:
    """Opens a study, or begins it.

    Args:
        storage: Where it lies.
        where: The same in words.
        name: Its name.
        about: What it is a study of, as JSON knows it.
        upwards: Whether more is better.

    Raises:
        ZooError: It is a study of something else.
    """
    about = json.loads(json.dumps(about))
    names = [one.study_name for one in storage.get_all_studies()]
    if isinstance(storage, JournalStorage) and names not in ([], [name]):
        raise ZooError(f"{where} holds the study {shortened(names[0])}, not {name}; name another folder: --out DIR")
    direction = optuna.study.StudyDirection.MAXIMIZE if upwards else optuna.study.StudyDirection.MINIMIZE
    try:
        study = optuna.create_study(storage=storage, study_name=name, direction=direction)
        study.set_user_attr(_ABOUT, about)
    except DuplicatedStudyError:
        study = optuna.load_study(storage=storage, study_name=name)
    kept = about_of(study, where)
    # Another worker may have made it this very moment.
    for key, value in about.items() if kept else ():
        if kept.get(key) != value:
            theirs, ours = (in_brief(json.dumps(one), 100) for one in (kept.get(key), value))
            other = "folder: --out DIR" if isinstance(storage, JournalStorage) else "study: --study NAME"
            raise ZooError(f"{where} holds another study: its {key} is {theirs}, not {ours}; name another {other}")
    return study


def find_study(storage: BaseStorage, where: str, name: str | None = None) -> Study:
    """Finds a study to look at.

    Args:
        storage: Where it lies.
        where: The same in words.
        name: Its name; None for the only one.

    Raises:
        ZooError: It is not there, or not one that a sweep made.
    """
    names = [one.study_name for one in storage.get_all_studies()]
    found = names[0] if name is None and len(names) == 1 else name
    if found not in names:
        raise ZooError(f"{where} holds no study {'' if name is None else f'{shortened(name)}'}".rstrip())
    study = optuna.load_study(storage=storage, study_name=found)
    if not about_of(study, where):
        raise ZooError(f"{where} holds a study that no sweep of the zoo made")
    return study


def about_of(study: Study, where: str = "the study") -> dict[str, Any]:
    """What a study is of; nothing if that is not written yet.

    Args:
        study: The study.
        where: Where it lies, in words.

    Raises:
        ZooError: It is damaged.
    """
    about = study.user_attrs.get(_ABOUT, {})
    kinds = {"recipe": str, "metric": str, "flags": list, "search": dict}
    if about and not (isinstance(about, dict) and all(isinstance(about.get(key), kind) for key, kind in kinds.items())):
        raise ZooError(f"{where} holds a study that is damaged: it is about {shortened(str(about))}")
    return dict(about)


class Sampler(BaseSampler):
    """Any sampler, made anew for each trial with a seed of its number.

    Workers that are given the same seed draw different settings so, and a study that goes on draws what it would have
    drawn.

    Args:
        kind: ``tpe``, ``random``, ``grid`` or ``gp``.
        seed: The seed.
        spaces: What is searched.

    Raises:
        ZooError: It does not suit what is searched.
    """

    def __init__(self, kind: str, seed: int, spaces: Mapping[str, Space]) -> None:
        ranges = [name for name, space in spaces.items() if not isinstance(space, Choice)]
        if kind == "grid" and ranges:
            raise ZooError(f"--sampler grid tries every value of a list, and {ranges[0]} is a range; give it a list")
        self.kind, self.seed = kind, seed
        self._grid = {name: list(space.values) for name, space in spaces.items() if isinstance(space, Choice)}
        self._sampler: BaseSampler = RandomSampler(seed)

    @property
    def points(self) -> int | None:
        """How many settings there are, of a grid."""
        return math.prod(map(len, self._grid.values())) if self.kind == "grid" else None

    def _made(self, seed: int) -> BaseSampler:
        if self.kind == "grid":
            return GridSampler(self._grid, seed=self.seed)  # whose order must be the same for all
        if self.kind == "tpe":
            return TPESampler(seed=seed, constant_liar=True)
        return GPSampler(seed=seed) if self.kind == "gp" else RandomSampler(seed=seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Seeds."""
        sequence = np.random.SeedSequence([self.seed, trial.number])
        with _experimenting():
            self._sampler = self._made(int(sequence.generate_state(1)[0]))
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """As the sampler does."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As the sampler does."""
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """As the sampler does."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    # Nothing is kept from trial to trial, and a grid ends by its number of points: after_trial does nothing.


def ranked(study: Study) -> list[FrozenTrial]:
    """The trials that were complete, the best first."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    sign = -1 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1
    return sorted(complete, key=lambda trial: (sign * (trial.value or 0.0), trial.number))


def name_of(trial: int) -> str:
    """The name of a trial's folder."""
    return f"trial-{trial:04d}"


def hold(run: Path) -> FileLock:
    """Takes a lock that the system takes back when this process ends, however it does, so that others can tell.

    Args:
        run: The trial's folder.
    """
    lock = _lock_of(run)
    lock.acquire()
    return lock


def let_go(lock: FileLock) -> None:
    """Gives a lock back, once Optuna knows how the trial ended."""
    lock.release(force=True)
    Path(lock.lock_file).unlink(missing_ok=True)


def _lock_of(run: Path) -> FileLock:
    return FileLock(run.with_name(f".{run.name}.lock"))


def fail_killed(study: Study, folder: Path) -> list[int]:
    """Marks trials failed whose process was ended, and has their settings tried once more.

    Args:
        study: The study.
        folder: Where trials run here; those of other machines are known by the server's heartbeat alone.

    Returns:
        The numbers of those that were found.
    """
    found = []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        run = folder / name_of(trial.number)
        lock = _lock_of(run)
        if not Path(lock.lock_file).exists():
            continue
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        with suppress(RuntimeError, ValueError):  # another worker has found it, too
            study.tell(trial.number, state=TrialState.FAIL)
            found.append(trial.number)
            if trial.params and not trial.user_attrs.get("again"):
                study.enqueue_trial(trial.params, user_attrs={"again": True})
        remove_run(run)
        let_go(lock)
    with _experimenting():
        optuna.storages.fail_stale_trials(study)
    return found
