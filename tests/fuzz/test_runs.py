"""Run folders and published weights whose files are damaged, missing, or those of another run."""

import io
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import yaml
from hypothesis import strategies as st

from .given import DATA, QUIETLY, RUNS, run_of
from .harness import Command, Fuzz
from .odd import changed, damaged, values
from .test_yaml import odd_yaml

# What can be done with a run, or with what is published.
VERBS: list[tuple[str, ...]] = [
    ("fit", "RUN", *QUIETLY),
    ("fit", "RUN", *QUIETLY),
    ("validate", "RUN", *QUIETLY),
    ("test", "RUN", *QUIETLY),
    ("publish", "RUN", "--to=out"),
    ("forecast", "MODEL", "--horizon=2"),
    ("forecast", "MODEL", "--horizon=2", "--data=sales.csv"),
    ("generate", "MODEL", "--tokens=2"),
    ("perplexity", "MODEL", "tale.txt"),
    ("perplexity", "MODEL", "--split=val"),
    ("classify", "MODEL", "--text", "fine"),
    ("classify", "MODEL", "a.png"),
    ("embed", "MODEL"),
    ("sample", "MODEL", "--num=2"),
    ("export", "MODEL", "--to=arpa", "out"),
]
ODD_TENSORS = st.sampled_from([torch.zeros(0), torch.zeros(3), torch.full((2, 2), torch.nan), torch.ones(4, 3).long()])


def test_run_folders(fuzz: Fuzz) -> None:
    fuzz.check("run folders", 0.15, run_folders())


@st.composite
def run_folders(draw: Callable[..., Any]) -> Command:
    """A command on a run, one or two of whose files came to harm."""
    name = draw(st.sampled_from(RUNS))
    original = run_of(name, finished=draw(st.booleans()))
    files: dict[str, bytes | None] = {**DATA, **original}
    places = sorted(original)
    for path in draw(st.lists(st.sampled_from(places), min_size=1, max_size=2, unique=True)):
        action = draw(st.sampled_from(["odd", "odd", "odd", "gone", "a folder", "of another"]))
        content = files.pop(path)
        if action == "a folder":
            files[path] = None
        elif action == "of another":
            files[path] = draw(st.sampled_from(sorted(_alike(path))))
        elif action == "odd":
            files[path] = draw(odd(path, content or b""))
    verb = draw(st.sampled_from(VERBS))
    checkpoints = [f"runs/{name}/1/checkpoints/{one}.ckpt" for one in ("best", "last")]
    model = draw(st.sampled_from([f"runs/{name}/1", f"runs/{name}/1", "published", "published", *checkpoints]))
    arguments = [f"runs/{name}/1" if one == "RUN" else model if one == "MODEL" else one for one in verb]
    return Command(tuple(arguments), files, ("out", "embedding.png", "samples.png"))


def odd(path: str, content: bytes) -> st.SearchStrategy[bytes]:
    """A file of a run that says something else, or was damaged."""
    bytewise = damaged(content)
    if path.endswith(".yaml"):
        return odd_yaml(yaml.safe_load(content))
    if path.endswith(".json"):
        return bytewise | changed(json.loads(content)).map(lambda tree: json.dumps(tree).encode())
    if path.endswith(".ckpt"):
        return bytewise | changed(_checkpoint(content), values | ODD_TENSORS).map(_saved)
    return bytewise


@cache
def _checkpoint(content: bytes) -> Any:
    return torch.load(io.BytesIO(content), weights_only=True)


def _saved(tree: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(tree, buffer)
    return buffer.getvalue()


def _alike(path: str) -> set[bytes]:
    """Files of other runs that have the same name."""
    name = path.rpartition("/")[2]
    return {content for other in RUNS for found, content in run_of(other).items() if found.endswith(f"/{name}")}
