"""Texts, prompts and tables of n-grams."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from .given import DATA, QUIETLY, TRAININGS
from .harness import Command, Fuzz
from .odd import damaged, words

_ARPA = b"""\\data\\
ngram 1=4
ngram 2=3

\\1-grams:
-1\t<unk>
-99\t<s>\t-0.3
-0.5\t</s>
-0.7\ta\t-0.3

\\2-grams:
-0.2\t<s> a
-0.4\ta a
-0.6\ta </s>

\\end\\
"""
_PIECES = ["\n", "\r", "\0", " ", "\u2028", "\x85", "\ud800", "\U0010ffff", "<s>", "</s>", "<unk>", "x" * 9999]


def test_texts(fuzz: Fuzz) -> None:
    mixed = ("perplexity", "bigram_shakespeare+trigram_shakespeare", "tale.txt", "--fit-weights=odd.txt")
    fuzz.check("texts", 0.1, texts_given(), known=[Command(mixed, {**DATA, "odd.txt": b"\r"})])


def odd_texts() -> st.SearchStrategy[bytes]:
    """Bytes that may be a text."""
    written = st.lists(words | st.sampled_from([*_PIECES, "a b c d e f g h\n" * 9]), max_size=20).map("".join)
    encodings = st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252"])
    return st.one_of(st.builds(_encoded, written, encodings), damaged(DATA["tale.txt"]), st.binary(max_size=60))


def _encoded(text: str, encoding: str) -> bytes:
    return text.encode(encoding, "replace" if encoding == "cp1252" else "surrogatepass")


@st.composite
def texts_given(draw: Callable[..., Any]) -> Command:
    """A command that reads a text."""
    content = draw(odd_texts())
    reader = draw(st.sampled_from(["fit", "perplexity", "weights", "prompt", "opinions", "arpa"]))
    if reader == "fit":
        unit = draw(st.sampled_from(["characters", "words", "subwords"]))
        settings = [flag for flag in TRAININGS["char_rnn_text"] if not flag.startswith("--data.path")]
        settings += [f"--data.unit={unit}", "--data.window=8", "--data.path=odd.txt"]
        return Command(("fit", "char_rnn_text", *settings, *QUIETLY), {"odd.txt": content})
    name = draw(st.sampled_from(["bigram_shakespeare", "char_ngram8_shakespeare"]))
    if reader == "perplexity":
        return Command(("perplexity", name, "odd.txt"), {"odd.txt": content})
    if reader == "weights":
        mixed = ("perplexity", "bigram_shakespeare+trigram_shakespeare", "tale.txt", "--fit-weights=odd.txt")
        return Command(mixed, {**DATA, "odd.txt": content})
    if reader == "prompt":
        return Command(("generate", name, "--prompt=-", "--tokens=2"), given=content)
    if reader == "opinions":
        arguments = ("classify", "sentiment_average_reviews", "--text", "-", "--csv=out.csv")
        return Command(arguments, {}, ("out.csv",), content)
    arpa = draw(damaged(_ARPA) | st.just(content))
    verb = draw(st.sampled_from([("generate", "odd.arpa", "--tokens=2"), ("perplexity", "odd.arpa", "tale.txt")]))
    return Command(verb, {**DATA, "odd.arpa": arpa})
