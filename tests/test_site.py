"""The site: pages that scripts make, the pictures of the gallery, and that nothing is fetched to read it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from PIL import Image

from scripts import pages, portraits
from zoo import registry
from zoo.cli import VERBS
from zoo.measures import MEASURES


def test_every_published_model_has_a_picture() -> None:
    pictures = list(portraits.FOLDER.glob("*.webp"))
    assert sorted(path.stem for path in pictures) == registry.list_models(pretrained=True)
    assert sum(path.stat().st_size for path in pictures) < 3_000_000


@pytest.mark.parametrize(
    "name", ["cnn_digits", *(pytest.param(one, marks=pytest.mark.slow) for one in ("pca_iris", "dcgan_digits"))]
)
def test_picture_is_drawn(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # where cards say the data lies
    assert portraits.main([name, "--out", str(tmp_path)]) == 0
    with Image.open(tmp_path / f"{name}.webp") as picture:
        assert picture.width <= portraits.WIDTH
        assert len(set(picture.convert("L").tobytes())) > 10


def test_cover_is_laid_out() -> None:
    assert portraits.cover(portraits.FOLDER).width == 2 * portraits.WIDTH


@pytest.mark.parametrize("verb", VERBS)
def test_page_of_a_command_has_its_arguments(verb: str) -> None:
    page = pages.command_page(verb)
    assert page.startswith(f"# zoo {verb}\n")
    for action in pages.parser_of(verb)._actions:
        for option in action.option_strings:
            assert action.help == "==SUPPRESS==" or option in page


def test_page_of_a_recipe_has_facts_and_the_recipe() -> None:
    page = pages.recipe_page(registry.entry("cnn_digits"))
    card = registry.card("cnn_digits")
    assert f"**{card['metrics']['accuracy']:.2%}** of the test split named right" in page
    assert f"{card['parameters']:,}" in page
    assert registry.entry("cnn_digits").text.strip() in page


def test_every_metric_of_a_card_has_words() -> None:
    assert {registry.card(name)["metric"] for name in registry.list_models(pretrained=True)} <= MEASURES.keys()


@pytest.mark.parametrize(("asked", "typed"), [([], "build"), (["serve"], "serve")])
def test_script_installs_what_it_needs_and_is_strict(asked: list[str], typed: str, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ncase "$1" in -c) echo {tmp_path};; *) echo "$@" >> {tmp_path}/calls;; esac\n')
    python.chmod(0o755)
    environment = {**os.environ, "ZOO_PYTHON": str(python), "ZOO_EXTRA": ""}
    subprocess.run([ROOT / "scripts" / "docs", *asked], env=environment, capture_output=True, check=True)
    installed, built = (tmp_path / "calls").read_text().splitlines()
    assert installed.endswith("--editable .[docs]")
    assert built == f"-m mkdocs {typed} --strict"


@pytest.mark.slow
def test_site_is_built_and_read_without_a_network(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    made = list(tmp_path.rglob("*.html"))
    assert len(made) > len(registry.list_models()) + len(VERBS)
    for page in made:
        text = page.read_text(encoding="utf-8")
        assert not re.findall(
            r'<(?:script|img|source)[^>]*\ssrc="?https?:|<link[^>]*rel="?stylesheet[^>]*https?:', text
        )
