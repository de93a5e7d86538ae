"""What a sweep searches, as it is typed."""

from typing import Any

import pytest

from zoo.comparison.space import Choice, Range, Space, parse
from zoo.errors import ZooError


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1e-4..1e-2 log", Range(1e-4, 1e-2, log=True)),
        ("0..0.5", Range(0.0, 0.5)),
        ("0..0.5 step 0.1", Range(0.0, 0.5, 0.1)),
        ("-3..3", Range(-3, 3)),
        ("16..256 log", Range(16, 256, log=True)),
        ("16..64 step 16", Range(16, 64, 16)),
        ("1..2 step 0.5", Range(1.0, 2.0, 0.5)),
        ("[32, 64,128]", Choice((32, 64, 128))),
        ("[1e-4, 0.5]", Choice((1e-4, 0.5))),
        ("[adamw, muon]", Choice(("adamw", "muon"))),
        ("[true, false, null]", Choice((True, False, None))),
        ("[[4, 5, 3], [4, 8, 3]]", Choice(("[4, 5, 3]", "[4, 8, 3]"))),
    ],
)
def test_text_is_understood(text: str, meant: Space) -> None:
    _, found = parse([f"model.it={text}"])
    assert found == {"model.it": meant}
    assert repr(found["model.it"]) == repr(meant)  # whole numbers stay whole


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model.lr", "does not say where to search"),
        ("model.lr=0.1", "expected a range such as 1e-4..1e-2"),
        ("model.lr=", "expected a range such as 1e-4..1e-2"),
        ("model.lr=1e-2..1e-4", "is empty; expected the lower end first"),
        ("model.lr=3..3", "is empty; expected the lower end first"),
        ("model.lr=0..1 log", "there is no logarithm of 0; begin above 0"),
        ("model.lr=-1..1 log", "there is no logarithm of -1; begin above 0"),
        ("model.lr=1..10 log step 2", "expected a range such as 1e-4..1e-2"),
        ("model.lr=1..10 step 0", "expected a step of more than 0"),
        ("model.lr=0..0.5 step 0.2", "such steps end at 0.4; use 0..0.4"),
        ("model.lr=a..b", "has 'a', expected a number"),
        ("model.lr=0..1e999", "expected a number that can be computed with"),
        ("model.lr=0..nan", "expected a number that can be computed with"),
        ("model.lr=0..99999999999999999999", "expected a number that can be computed with"),
        ("model.lr=[]", "expected a list such as [32, 64]"),
        ("model.lr=[1, 2", "expected a list such as [32, 64]"),
        ("model.lr=[1, 2, 1]", "has '1' twice"),
        ("model.lr=[.inf]", "expected a number that can be computed with"),
        ("=1..2", "names '', expected a setting, such as model.lr"),
        ("model. lr=1..2", "names 'model. lr', expected a setting"),
    ],
)
def test_what_says_nothing_is_told_in_one_line(text: str, told: str) -> None:
    with pytest.raises(ZooError) as caught:
        parse([text])
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_section_of_a_recipe_says_the_same_and_the_command_line_goes_before_it() -> None:
    section = {"model.lr": "1e-4..1e-2 log", "model.hidden_size": [32, 64], "model.rate": ["1e-4", 0.5]}
    texts, spaces = parse(["model.hidden_size=1..4"], section)
    assert spaces == {
        "model.lr": Range(1e-4, 1e-2, log=True),
        "model.hidden_size": Range(1, 4),
        "model.rate": Choice((1e-4, 0.5)),
    }
    assert texts["model.lr"] == "1e-4..1e-2 log"


@pytest.mark.parametrize("section", [[], "model.lr", {}, 3])
def test_section_that_is_none_is_told(section: Any) -> None:
    with pytest.raises(ZooError, match=r"search is .*, expected settings by name"):
        parse([], section)


def test_a_setting_is_named_once() -> None:
    with pytest.raises(ZooError, match=r"names model\.lr twice"):
        parse(["model.lr=1..2", "--model.lr=1..3"])
    with pytest.raises(ZooError, match="there is nothing to search"):
        parse([])
