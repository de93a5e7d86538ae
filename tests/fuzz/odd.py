"""Strategies for what people and programs give by mistake: odd values, and trees and files that came to harm."""

import copy
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy


def either(text: str) -> SearchStrategy[str]:
    """One of the words of a text."""
    return st.sampled_from(text.split())


# Of no text that reaches a program as an argument: no zero. How line breaks are shown is tested where they are.
_CHARACTERS = st.characters(exclude_characters="\0\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029", exclude_categories=["Cs"])
# Numbers that are small or absurd: those between can be meant, and are work.
_SMALL = st.integers(-3, 9)
_ABSURD = st.sampled_from([-1 << 70, -1 << 63, -1 << 31, 1 << 31, 1 << 32, 1 << 63, 10**19, 10**20, 10**40, 10**400])
_FLOATS = either("inf -inf nan -0.0 5e-324 1e-12 1e300 -1e300 1e38 0.1 0.5 1.5 -2.5").map(float)

# What means something somewhere.
_KNOWN_WORDS = either("""
    val_loss val_mae train_loss min max none all vector sequence adamw muon one_cycle relu {epoch} a/b a\\b
    zoo.vision.CNN zoo.series.Naive datamodules.Digits lightning.pytorch.callbacks.Timer sales.csv opinions.csv
    lightning.pytorch.callbacks.LearningRateMonitor lightning.pytorch.loggers.CSVLogger backprop_iris
""")

# What is no number, no name and no YAML, or is where one would not expect it.
_ODD_WORDS = either("""
    null true False ~ none auto .nan -.inf 1e999 -1e999 1e-999 0x10 0o7 1_000 1,5 1.2.3 ٣ ½ +1 --1 1e [] {} [1 {a [null]
    [[1]] {a:1} [{}] *a !!python/name:os.system @ ` % | > # ' " CNN Digits EarlyStopping zoo.vision.CNN zoo zoo. .CNN
    datamodules.Digits os.system cpu cuda cuda:99 adamw nowhere nowhere/x there.txt there.txt/x there.txt/ - -- -x --x =
    %s %d {0} ${x} $HOME 2020-01-01 12:30:45 1:2 00:00:01:00 01:99:00:00
""")
_ODD_TEXTS = st.sampled_from([
    *("", " ", "1 2", "[1, a]", "{a: 1}", "{class_path: x}", "{class_path: torch.nn.Linear}", "{class_path: 5}"),
    *("{class_path: Digits, init_args: 5}", "&a [*a]", "!x y", "? x", ": ", "- -", "a: b: c", "x" * 300, "x" * 5000),
    *("\x1b[31m", "\x7f", "\ufeff", "\u202e", "e\u0301", "\uff11", "\U0001f600", "\udcff"),
])  # fmt: skip

words = st.text(_CHARACTERS, max_size=12).filter(lambda word: not word.startswith(("/", "~", "..")))

# What a file of YAML or JSON may hold in place of what belongs there.
_PLAIN = st.none() | st.booleans() | _SMALL | _ABSURD | _FLOATS | words | _ODD_WORDS | st.sampled_from(["", "x" * 999])
_KEYS = words | st.sampled_from(["class_path", "init_args"])
values: SearchStrategy[Any] = st.recursive(
    _PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=4,
)

# What may stand behind a flag.
texts: SearchStrategy[str] = st.one_of(st.one_of(_SMALL, _ABSURD, _FLOATS).map(str), _ODD_WORDS, _ODD_TEXTS, words)


def like(value: Any) -> SearchStrategy[Any]:
    """Other values of the same kind: what a parser lets through, and what comes after it has to judge."""
    if isinstance(value, bool) or value is None:
        return st.booleans()
    if isinstance(value, int):
        return _SMALL | _ABSURD
    if isinstance(value, float):
        return _FLOATS | st.floats()
    if isinstance(value, str):
        return words | _KNOWN_WORDS
    if isinstance(value, list) and value:
        return st.lists(st.sampled_from(value) | like(value[0]), max_size=4)
    return values


def _places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to all that lies in a tree, itself first."""
    found = [path]
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in inner:
        found += _places(value, (*path, key))
    return found


@st.composite
def changed(draw: Callable[..., Any], tree: Any, values: SearchStrategy[Any] = values, most: int = 2) -> Any:
    """A tree of dicts and lists in which something is missing, something else, elsewhere or too much."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, most))):
        places = _places(tree)
        *above, key = draw(st.sampled_from(places)) or (None,)
        if key is None:
            return draw(values | st.just(tree))
        home = tree
        for step in above:
            home = home[step]
        action = draw(either("like like like another gone wrapped renamed more moved"))
        if action == "like":
            home[key] = draw(like(home[key]))
        elif action == "another":
            home[key] = draw(values)
        elif action == "gone":
            del home[key]
        elif action == "wrapped":
            home[key] = [home[key]] if draw(st.booleans()) else {draw(words): home[key]}
        elif action == "moved":
            source: Any = tree
            for step in draw(st.sampled_from(places)):
                source = source[step]
            home[key] = copy.deepcopy(source)
        elif isinstance(home, list):
            home.append(draw(values))
        elif action == "renamed":
            home[draw(words)] = home.pop(key)
        else:
            home[draw(words)] = draw(values)
    return tree


@st.composite
def damaged(draw: Callable[..., Any], content: bytes) -> bytes:
    """A file that was cut, overwritten in part, or is another one altogether."""
    kind = draw(either("cut overwritten overwritten inserted repeated another UTF-16"))
    at = draw(st.integers(0, len(content)))
    piece = draw(st.binary(min_size=1, max_size=8) | words.map(lambda word: word.encode("utf-8", "replace")))
    if kind == "cut":
        return content[:at]
    if kind == "overwritten":
        return content[:at] + piece + content[at + len(piece) :]
    if kind == "inserted":
        return content[:at] + piece + content[at:]
    if kind == "repeated":
        return content + content[at:]
    if kind == "UTF-16":
        return content.decode("utf-8", "replace").encode("utf-16")
    return draw(st.binary(max_size=40))
