"""Tables of labelled texts as people have them: what is read, what is refused, and in which words."""

from pathlib import Path

import pytest

from datamodules import Sentences
from datamodules.errors import DataError
from datamodules.series.recording import read_csv

ROWS = [(f"word{number} {verdict}", verdict) for number in range(20) for verdict in ("nice", "awful")]


def table(path: Path, rows: list[tuple[str, str]], delimiter: str = "\t") -> str:
    path.write_text("".join(f"{text}{delimiter}{label}\n" for text, label in [("text", "label"), *rows]))
    return str(path)


def all_texts(data: Sentences) -> set[str]:
    return {text for texts in data.texts.values() for text in texts}


@pytest.mark.parametrize("text", ['"Frailty" is moving', '"never closed', 'in the "middle', '5" screens'])
def test_between_tabs_quotation_marks_are_a_part_of_the_text(tmp_path: Path, text: str) -> None:
    data = Sentences(table(tmp_path / "texts.tsv", [(text, "nice"), *ROWS]))
    assert all_texts(data) == {text, *(known for known, _ in ROWS)}


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_between_commas_quotation_marks_hold_a_text_together(tmp_path: Path, delimiter: str) -> None:
    data = Sentences(table(tmp_path / "texts.csv", [('"so, ""nice""; yes"', "nice"), *ROWS], delimiter))
    assert 'so, "nice"; yes' in all_texts(data)


def test_numbers_of_a_table_may_stand_between_quotation_marks_and_tabs(tmp_path: Path) -> None:
    (tmp_path / "series.tsv").write_text('day\tsold\n"1"\t"2.5"\n"2"\t"3.5"\n')
    assert read_csv(tmp_path / "series.tsv", "sold", "day").values[:, 0].tolist() == [2.5, 3.5]


def test_torn_text_is_told_what_holds_it_together(tmp_path: Path) -> None:
    path = table(tmp_path / "texts.csv", [("good, but long", "nice")], ",")
    with pytest.raises(DataError, match="line 2: 3 cells, expected 2 as in line 1; put texts that hold commas into"):
        _ = Sentences(path).splits


@pytest.mark.parametrize(
    ("labels", "classes"),
    [(["10", "9", "-1"], ["-1", "9", "10"]), (["b", "10", "9"], ["10", "9", "b"])],
)
def test_classes_are_in_the_order_that_people_expect(tmp_path: Path, labels: list[str], classes: list[str]) -> None:
    rows = [(f"text {number}", labels[number % 3]) for number in range(90)]
    assert Sentences(table(tmp_path / "texts.tsv", rows)).classes == classes


@pytest.mark.parametrize("others", [["so-so"], ["so-so", "SO-SO", "so-so"]])
def test_class_of_too_few_different_texts_is_named(tmp_path: Path, others: list[str]) -> None:
    rows = [*ROWS, *((text, "mixed") for text in others)]
    with pytest.raises(DataError, match=r"there are 1 different texts of class 'mixed', too few to be split"):
        _ = Sentences(table(tmp_path / "texts.tsv", rows)).splits


def test_class_that_nothing_is_of_is_named(tmp_path: Path) -> None:
    path = table(tmp_path / "texts.tsv", ROWS)
    with pytest.raises(DataError, match="there are 0 different texts of class 'mixed'"):
        _ = Sentences(path, known_classes=["nice", "mixed", "awful"]).splits


@pytest.mark.parametrize(("label", "told"), [("nicee", "did you mean 'nice'"), ("?", "there are nice, awful")])
def test_unknown_class_is_named_with_its_line(tmp_path: Path, label: str, told: str) -> None:
    path = table(tmp_path / "texts.tsv", [*ROWS, ("odd", label)])
    with pytest.raises(DataError) as refused:
        _ = Sentences(path, known_classes=["nice", "awful"]).splits
    assert f"line {len(ROWS) + 2}: class '{label}'; {told}" in str(refused.value)


@pytest.mark.parametrize("classes", [["nice"], ["nice", "awful", "nice"]])
def test_names_of_classes_must_differ(tmp_path: Path, classes: list[str]) -> None:
    with pytest.raises(DataError, match="expected at least two, all different"):
        Sentences(table(tmp_path / "texts.tsv", ROWS), known_classes=classes)
