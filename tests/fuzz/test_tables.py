"""Files of CSV: series, and texts with their classes."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from .given import DATA, QUIETLY, TRAININGS, run_of
from .harness import Command, Fuzz
from .odd import damaged, either, words

_CELLS = st.one_of(
    either(
        "1 -1 1.5 1,5 1.234,5 1,234.5 1'234 1e5 1e999 inf -inf nan NA null - ٣ ½ 1_000 0x1 $1 5% (5) =1+1 true good bad"
    ),
    either("2024-01-01 01.02.2024 2/1/2024 2024-13-01 20240101 2024-01-01T00:00:00Z 9999-12-31 0000-00-00 0001-01-01"),
    either(
        "201852 2018-W53 2018W52 2020Q1 2020-Q5 Q1-2020 202013 2020M01 Jan-2020 W1-9999 1704067200 9999999999999999"
    ),
    either("2024-10-27T02:00 2024-10-27T02:00+02:00 2024-10-27T02:00+01:00 31.12.9999 1/1/99 2024010124 #NV NaT 9.932"),
    st.sampled_from(["", " ", '"1"', '"1', 'a"b', "1 234", "2024-01-01 12:00+99:00", "99999999999999999999", "é"]),
    st.sampled_from(["a\0b", "\x1b[31m", "\ufeff", "x" * 200_000]),
)
_REPAIRS = ["missing", "order", "duplicates", "gaps"]
_FLAGS = ["--time=day", "--value=sold", "--time-format=%d.%m.%Y", "--no-intervals", "--id=day", "--series=1"]
_FLAGS += ["--decimal=,", "--decimal=x", "--thousands=.", "--thousands= "]
_ARGUMENTS = [f"--data.{argument}" for argument in ("time=null", "id=note", "series=[1]", "decimal=','", "thousands=.")]
_ENCODINGS = ["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1", "cp1252", "utf-7", "cp037"]


def test_tables(fuzz: Fuzz) -> None:
    cells = ("forecast", "naive_synthetic", "--horizon=3", "--data=odd.csv")
    long = b"day,sold" + b"x" * 200_000 + b"\n1,2\n"
    fuzz.check("tables", 0.15, tables(), known=[Command(cells, {"odd.csv": text}) for text in (b"day\rsold\r1", long)])


@st.composite
def tables(draw: Callable[..., Any]) -> Command:
    """A command that reads a table."""
    reader = draw(st.sampled_from(["lstm_csv", "sentiment_csv", "forecast", "perplexity"]))
    columns = {"sentiment_csv": ["text", "label"]}.get(reader, ["day", "sold"])
    original = DATA["opinions.csv" if reader == "sentiment_csv" else "sales.csv"]
    table = draw(st.one_of(damaged(original), spreadsheets(columns), edited(original)))
    if reader == "forecast":
        flags = draw(st.lists(st.sampled_from(_FLAGS), unique=True))
        repairs = draw(st.lists(st.sampled_from(_REPAIRS), unique=True))
        flags += ["--repair", *repairs] if repairs else []
        name = draw(st.sampled_from(["runs/series_csv/1", "naive_synthetic"]))
        arguments: tuple[str, ...] = ("forecast", name, "--horizon=3", "--data=odd.csv", *flags, "--csv=out.csv")
        return Command(arguments, {**DATA, **run_of("series_csv"), "odd.csv": table}, ("out.csv",))
    if reader == "perplexity":
        return Command(("perplexity", "bigram_shakespeare", "odd.csv"), {"odd.csv": table})
    settings = [flag for flag in TRAININGS[reader] if not flag.startswith("--data.path")]
    if reader == "lstm_csv":
        repairs = draw(st.lists(st.sampled_from(_REPAIRS), unique=True))
        others = draw(st.lists(st.sampled_from(_ARGUMENTS), unique=True, max_size=2))
        settings += [f"--data.repair=[{', '.join(repairs)}]", *others]
    return Command(("fit", reader, *settings, "--data.path=odd.csv", *QUIETLY), {"odd.csv": table})


@st.composite
def spreadsheets(draw: Callable[..., Any], columns: list[str]) -> bytes:
    """A table made of odd cells."""
    delimiter = draw(st.sampled_from([",", ",", ";", "\t", "|", " "]))
    end = draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n"]))
    spaced = [f" {name} " for name in columns]
    headers = [columns, columns, spaced, columns[:1], [*columns, columns[0]], ["", *columns], ["1", "2"], []]
    header = draw(st.sampled_from([*headers, [*columns, "note"], ["sep=;" + end + columns[0], *columns[1:]]]))
    usual = [either("2024-01-01 2024-01-02 2024-01-03 1 2"), either("1 2.5 good bad")]
    width = draw(st.sampled_from([2, 2, 2, 1, 3]))
    cells = st.one_of(_CELLS, words, *usual)
    rows = draw(st.lists(st.lists(cells, min_size=width, max_size=width) | st.lists(cells, max_size=4), max_size=8))
    text = end.join(delimiter.join(row) for row in [header, *rows, *rows[: draw(st.integers(0, 3))]])
    return text.encode(draw(st.sampled_from(_ENCODINGS)), "replace")


@st.composite
def edited(draw: Callable[..., Any], content: bytes) -> bytes:
    """A table, some of whose cells are odd, and whose lines are shuffled, missing or twice there."""
    lines = content.decode().splitlines()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        action = draw(st.sampled_from(["cell", "cell", "cell", "gone", "twice", "swapped", "one left"]))
        cells = lines[at].split(",")
        if action == "cell":
            cells[draw(st.integers(0, len(cells) - 1))] = draw(_CELLS | words)
            lines[at] = ",".join(cells)
        elif action == "gone":
            del lines[at : at + draw(st.integers(1, 3))]
        elif action == "twice":
            lines.insert(at, lines[at])
        elif action == "swapped":
            lines[at], lines[-1] = lines[-1], lines[at]
        else:
            lines = lines[: at + 1]
        lines = lines or [""]
    return "\n".join(lines).encode("utf-8", "replace")
