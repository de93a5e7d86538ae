"""Runs that the tests of ``zoo forecast`` go on from; each is trained once."""

from pathlib import Path

import pytest

from .shop import SHOP, fit, write_shop


@pytest.fixture(scope="session")
def naive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that repeats the last value of the synthetic series."""
    return fit(tmp_path_factory.mktemp("naive"), "naive_synthetic")


@pytest.fixture(scope="session")
def shop_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a shop's file and its recipe."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.yaml").write_text(SHOP.replace("PATH", str(write_shop(folder / "shop.csv"))))
    return folder


@pytest.fixture(scope="session")
def shop(shop_files: Path) -> Path:
    """A run on a shop's file."""
    return fit(shop_files, str(shop_files / "shop.yaml"))


@pytest.fixture(scope="session")
def shop_all(shop_files: Path) -> Path:
    """A run on the same file that kept nothing for validation."""
    return fit(shop_files, str(shop_files / "shop.yaml"), "--data.fit_on=all")
