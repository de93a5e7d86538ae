"""Former names of recipes, verbs and flags: they work for one minor release, with a warning, then say the new one."""

import pytest
from conftest import Zoo

from scripts import pages
from zoo import __version__, registry, renamed
from zoo.cli import VERBS, main
from zoo.errors import ZooError
from zoo.renamed import Renamed


@pytest.fixture(autouse=True)
def former(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that were never there, as if they had been given up in this version."""
    renamed.warn_once.cache_clear()
    monkeypatch.setitem(renamed.RECIPES, "convnet_digits", Renamed("cnn_digits", __version__))
    monkeypatch.setitem(renamed.VERBS, "describe", Renamed("show", __version__))
    monkeypatch.setitem(renamed.FLAGS, "--only_card", Renamed("--card", __version__))


@pytest.mark.parametrize(
    ("typed", "warned"),
    [
        ("show convnet_digits --card", "'convnet_digits' is called 'cnn_digits'"),
        ("describe cnn_digits --card", "'describe' is called 'show'"),
        ("show cnn_digits --only_card", "'--only_card' is called '--card'"),
    ],
)
def test_former_name_works_with_a_warning(typed: str, warned: str, zoo_command: Zoo) -> None:
    code, out, error = zoo_command(*typed.split())
    assert code == 0
    assert error == f"zoo: {warned} since version {__version__}; the former name works until the next minor release\n"
    assert zoo_command("show", "cnn_digits", "--card") == (0, out, "")


def test_value_of_a_former_flag_stays(capsys: pytest.CaptureFixture[str]) -> None:
    assert renamed.todays_arguments(["--only_card=--only_card", "only_card"]) == ["--card=--only_card", "only_card"]
    assert "is called" in capsys.readouterr().err


@pytest.mark.parametrize("version", ["0.9.0", "1.0.0"])
def test_one_minor_release_later_it_is_an_error(version: str) -> None:
    table = {"former": Renamed("new", "0.8.3")}
    with pytest.raises(ZooError, match=r"^'former' is called 'new' since version 0\.8\.3$"):
        renamed.todays("former", table, version)
    assert renamed.todays("new", table, version) == "new"


def test_new_names_are_there() -> None:
    assert all(new.name in registry.list_recipes() for new in renamed.RECIPES.values())
    assert all(new.name in VERBS for new in renamed.VERBS.values())


def test_site_has_the_table() -> None:
    assert f"| recipe | `convnet_digits` | `cnn_digits` | {__version__} |" in pages.former_names()


def test_unknown_names_are_told_as_before(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "convnet_digit"]) == 2
    assert "no recipe 'convnet_digit'" in capsys.readouterr().err
