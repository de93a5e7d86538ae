"""Files of series as people have them, from the command line: what is asked, remembered and never hidden."""

import re
from pathlib import Path

import pytest
from conftest import Zoo

from .shop import DAYS, fit, write_shop

FLAGS = ("seasonal_naive_csv", "--data.time=day", "--data.window=14", "--data.period=7")


def german(path: Path, ids: str = "AB") -> Path:
    """Thousands of sales, as a German spreadsheet writes them: ``1.234``."""
    rows = [
        f"{day:%d.%m.%Y};{name};{number % 9 + 1}.{number:03d}\n"
        for name in ids
        for number, day in enumerate(DAYS.tolist())
    ]
    path.write_text("day;shop;sold\n" + "".join(rows))
    return path


def test_signs_and_series_are_asked_for_and_remembered(zoo_command: Zoo, tmp_path: Path) -> None:
    path = german(tmp_path / "sold.csv")
    code, _, err = zoo_command("fit", *FLAGS, f"--data.path={path}", "--data.value=sold")
    assert (code, "--data.thousands . (1000) or --data.decimal . (1.000)" in err) == (2, True)
    flags = [f"--data.path={path}", "--data.value=sold", "--data.thousands=."]
    code, _, err = zoo_command("fit", *FLAGS, *flags)
    assert (code, "told apart by column 'shop' (A, B)" in err) == (2, True)
    run = fit(tmp_path, *FLAGS, *flags, "--data.id=shop", "--data.series=B")
    code, out, _ = zoo_command("forecast", run, "--data", path, "--horizon", 1, "--no-intervals")
    assert (code, out.splitlines()[1].split()[0]) == (0, str(DAYS[-1] + 1))
    assert float(out.split()[-1]) > 1000
    code, _, err = zoo_command("forecast", run, "--data", path, "--series", "A", "--series", "B", "--horizon", 1)
    assert (code, "has 2 series (A, B)" in err) == (2, True)


def test_advice_is_in_the_flags_of_the_verb(zoo_command: Zoo, tmp_path: Path, naive: Path) -> None:
    arguments = ["forecast", naive, "--horizon", 1, "--time", "day", "--data", german(tmp_path / "sold.csv")]
    _, _, err = zoo_command(*arguments, "--value", "sold")
    assert "say which with --thousands . (1000) or --decimal . (1.000)" in err
    _, _, err = zoo_command(*arguments, "--value", "sold", "--decimal", ".")
    assert "all of them with --id shop, or one with --id shop --series A" in err
    assert zoo_command(*arguments, "--value", "sold", "--decimal", ".", "--id", "shop", "--series", "A")[0] == 0


def test_two_repairs_are_one_flag_of_forecast(zoo_command: Zoo, tmp_path: Path, naive: Path) -> None:
    hours = [f"2024-10-{day} {hour:02d}:{minute}" for day in (26, 27) for hour in range(24) for minute in ("00", "30")]
    again = hours.index("2024-10-27 03:00")
    hours[again:again] = ["2024-10-27 02:00", "2024-10-27 02:30"]
    (tmp_path / "x.csv").write_text("t,x\n" + "".join(f"{time},{place % 5}\n" for place, time in enumerate(hours)))
    arguments = ["forecast", naive, "--data", "x.csv", "--time", "t", "--horizon", 1]
    code, _, err = zoo_command(*arguments)
    assert (code, "or let --repair order duplicates take the mean" in err) == (2, True)
    assert zoo_command(*arguments, "--repair", "order", "duplicates")[0] == 0


def test_repair_is_told_even_quietly(zoo_command: Zoo, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_shop(tmp_path / "shop.csv")
    path.write_text(re.sub(r"(2024-03-03,)[^,]*", r"\1", path.read_text()))
    flags = [f"--data.path={path}", "--data.value=bread", "--data.repair=[missing]"]
    code, _, _ = zoo_command("fit", *FLAGS, *flags, "--quiet")
    assert code == 0
    assert "shop.csv was repaired: 1 missing cell interpolated (line 64)" in caplog.text
