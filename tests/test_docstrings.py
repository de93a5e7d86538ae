"""Docstrings, which help texts are made of, as people read them."""

import re

import pytest
from conftest import Zoo

from zoo.docstrings import markdown, plain

WRITTEN = "See :class:`Forecaster` and :func:`~zoo.gan.latent.walk`; ``same`` keeps :py:attr:`state`."


def test_markup_becomes_plain_text_or_markdown() -> None:
    assert plain(WRITTEN) == "See Forecaster and walk; 'same' keeps state."
    assert markdown(WRITTEN) == "See `Forecaster` and `walk`; `same` keeps `state`."


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["fit", "cnn_digits", "--model.help", "CNN"], "Classifies images with ConvNet. See Classifier for"),
        (["fit", "cnn_digits", "--data.help", "Digits"], "usage:"),
        (["fit", "--help"], "Trains a recipe, or goes on with a run"),
        (["classify", "--help"], "Names what is in pictures"),
    ],
    ids=" ".join,
)
def test_help_shows_no_markup(
    asked: list[str], told: str, capsys: pytest.CaptureFixture[str], zoo_command: Zoo
) -> None:
    with pytest.raises(SystemExit) as ended:
        zoo_command(*asked)
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert told in " ".join(shown.split())
    assert not re.search(":[a-z]+:`|``", shown)
