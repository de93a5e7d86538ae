"""A table of one's own: what its columns hold, how it is split, what is learnt of its training rows, its faults."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules import Table, arrow
from datamodules import table as reading
from datamodules.errors import DataError
from datamodules.tabular.schema import Schema
from datamodules.tabular.sheet import read_sheet, sheet_of

CITIES = ("Rome", "Berlin", "Oslo")


def write(path: Path, rows: list[str], head: str = "size in m2,city,balcony,built,price") -> Path:
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


def flats(count: int = 100) -> list[str]:
    return [
        f"{30 + number % 71},{CITIES[number % 3]},{('no', 'yes')[number % 2]},2024-01-{1 + number % 28:02d},{number}.5"
        for number in range(count)
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "flats.csv", flats())


def schema_of(table: Table) -> Schema:
    return Schema.from_json(table.schema)


def test_columns_become_features_by_what_they_hold(path: Path) -> None:
    table = Table(str(path), target="price", features=["size*", "city", "balcony", "built"])
    assert schema_of(table).features == [
        "size in m2", "city=Berlin", "city=Oslo", "city=Rome", "balcony=yes",
        "built (day)", "built (sine of the year)", "built (cosine of the year)",
    ]  # fmt: skip
    features, price = table.splits["test"]
    assert (features.dtype, price.shape[1], features.shape[1]) == (torch.float64, 1, table.in_features)
    number = int(price[0].item())
    row = features[0].tolist()
    assert row[:5] == [30 + number % 71, *(float(CITIES[number % 3] == city) for city in sorted(CITIES)), number % 2]
    assert row[5] == (np.datetime64("2024-01-01") + number % 28).astype(int)


def test_shares_are_drawn_by_the_seed_and_leave_nothing_out(path: Path) -> None:
    rows = [Table(str(path), target="price", seed=seed).splits for seed in (0, 0, 1)]
    sizes = {split: len(parts[0]) for split, parts in rows[0].items()}
    assert sizes == {"train": 65, "val": 15, "test": 20}
    prices = [torch.cat([one[split][1] for split in sizes]).flatten() for one in rows]
    assert torch.equal(prices[0], prices[1])
    assert not torch.equal(prices[0], prices[2])
    assert len(prices[0].unique()) == 100


@pytest.mark.parametrize("fit_on", ["known", "all"])
def test_rows_of_validation_and_test_are_trained_on_and_learnt_from(tmp_path: Path, fit_on: Any) -> None:
    parts = ("train", "val", "test")
    file = write(
        tmp_path / "t.csv", [f"{number},city {number % 3},{parts[number % 3]}" for number in range(60)], "x,c,part"
    )
    table = Table(str(file), split="part", fit_on=fit_on)
    seen = [number for number in range(60) if fit_on == "all" or number % 3 < 2]
    assert table.splits["train"][0][:, 0].tolist() == seen
    assert table.mean[0] == pytest.approx(np.mean(seen))
    assert schema_of(table).features == ["x", "c=city 0", "c=city 1", "c=city 2"][: 1 + len(seen) // 20]
    assert set(table.checksums()) == ({"train", "test"} if fit_on == "known" else {"train"})
    assert table.val_dataloader() == []
    if fit_on == "known":
        (batch,) = table.test_dataloader()
        assert batch[0][:, 0].tolist() == list(range(2, 60, 3))
    else:
        with pytest.raises(DataError, match="fit_on all trains on every row, none is left to test on"):
            table.test_dataloader()


def test_classes_keep_their_shares_and_their_order(tmp_path: Path) -> None:
    rows = [f"{number},{(10, 9)[number % 4 == 0]}" for number in range(80)]
    table = Table(str(write(tmp_path / "t.csv", rows, "x,kind")), target="kind", predicts="classes")
    assert (table.classes, table.num_classes) == (["9", "10"], 2)
    assert [parts[1].double().mean().item() for parts in table.splits.values()] == pytest.approx([0.75] * 3)
    assert not hasattr(table, "target_mean")
    named = Table(table.path.as_posix(), target="kind", predicts="classes", class_names=["nine", "ten"])
    assert named.classes == ["nine", "ten"]


ODD = 70  # a row that is not in the first piece that is read of a large file


@pytest.mark.parametrize(
    ("change", "settings"),
    [
        (lambda rows: rows, {}),
        (lambda rows: rows, {"target": "city"}),
        (lambda rows: rows, {"target": "city", "weights": "size in m2"}),
        (lambda rows: rows, {"target": None, "categories": "size*"}),
        (lambda rows: rows, {"time": "size in m2"}),
        (lambda rows: rows, {"group": "size in m2"}),
        (lambda rows: [row.replace("30,", "NA,").replace("31,", " - ,") for row in rows], {"missing": "indicate"}),
        (lambda rows: [row.replace("30,", ",") for row in rows], {}),
        (lambda rows: [row.replace(f"{30 + ODD},", "much,") for row in rows], {}),
        (
            lambda rows: [row.replace(f"{30 + ODD},", "much,") for row in rows],
            {"categories": "size*", "most_values": 99},
        ),
        (lambda rows: [row.replace(f"{30 + ODD},", "inf,") for row in rows], {}),
        (lambda rows: [row.replace(f",{ODD}.5", ",") for row in rows], {}),
        (lambda rows: [row.replace(f",{ODD}.5", ",cheap") for row in rows], {}),
        (lambda rows: [row.replace("Rome", '"Rome"') for row in rows], {}),
        (lambda rows: [row.replace("Rome", 'Ro"me') for row in rows], {}),
        (lambda rows: [row.replace(",", ";").replace(".5", ",5") for row in rows], {}),
        (lambda rows: [row.replace(",", ";").replace(".5", ",5").replace("30;", "9.932;") for row in rows], {}),
        (lambda rows: [row.replace(",", ";").replace("30;", "9.932;").replace(".5", "") for row in rows], {}),
        (lambda rows: [row.replace("30,", "1'000,") for row in rows], {"thousands": "'"}),
        (lambda rows: [row.replace(",", "\t").replace(".5", ".500") for row in rows], {"decimal": ","}),
        (lambda rows: [row.replace(",", "\t") for row in rows], {"decimal": ".", "thousands": ","}),
        (lambda rows: rows, {"decimal": "!"}),
        (lambda rows: [*rows, ",,,,", ",,,,"], {}),
    ],
)
@pytest.mark.parametrize("block", [1 << 22, 600])
def test_large_files_are_read_like_small_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[list[str]], list[str]],
    settings: dict[str, Any], block: int,
) -> None:  # fmt: skip
    pytest.importorskip("pyarrow")
    rows = change(flats())
    head = "size in m2,city,balcony,built,price".replace(",", next(sign for sign in ";\t," if sign in rows[0]))
    path = write(tmp_path / "flats.csv", rows, head)
    monkeypatch.setattr(arrow, "_BLOCK", block)

    def read() -> Any:
        target = settings.get("target", "price")
        predicts = {None: None, "price": "number"}.get(target, "classes")
        try:
            table = Table(str(path), **{"target": target, "predicts": predicts, **settings})
            return table.schema, {split: [part.tolist() for part in parts] for split, parts in table.splits.items()}
        except DataError as error:
            return str(error)

    small = read()
    monkeypatch.setattr(reading, "LARGE", 10)
    assert read() == small


def test_numbers_of_a_large_file_are_no_texts_on_the_way(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(reading, "LARGE", 10)
    monkeypatch.setattr(arrow, "_BLOCK", 600)
    path.write_text(path.read_text().replace("100,Berlin", "much,Berlin"))
    columns = read_sheet(path, list, lambda name: True).columns
    assert [name for name, column in columns.items() if isinstance(column, np.ndarray)] == ["price"]
    assert columns["price"][ODD] == ODD + 0.5


@pytest.mark.parametrize("large", [1 << 22, 10])
def test_packed_file_is_read_whatever_its_size(path: Path, monkeypatch: pytest.MonkeyPatch, large: int) -> None:
    monkeypatch.setattr(reading, "LARGE", large)
    packed = path.with_name("flats.csv.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    ours, theirs = (Table(str(one), target="price").splits for one in (packed, path))
    assert all(torch.equal(ours[split][0], theirs[split][0]) for split in theirs)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda packed: packed[:-20], "flats.csv.gz is damaged: gzip cannot unpack it"),
        (lambda packed: packed[:12] + b"????" + packed[16:], "flats.csv.gz is damaged: gzip cannot unpack it"),
        (lambda packed: gzip.compress(b"a" * 2000), "unpacks to more than 0 MiB; unpack it first: gunzip --keep"),
    ],
)
def test_packed_file_that_cannot_be_unpacked_is_one_line(
    path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], bytes], says: str
) -> None:
    packed = path.with_name("flats.csv.gz")
    packed.write_bytes(change(gzip.compress(path.read_bytes()[:1000])))
    monkeypatch.setattr(reading, "_MOST_UNPACKED", 1500)
    with pytest.raises(DataError) as error:
        _ = Table(str(packed), target="price").splits
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_class_of_one_row_is_trained_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [f"{number},{'abc'[number % 3] if number else 'rare'}" for number in range(90)]
    table = Table(str(write(tmp_path / "t.csv", rows, "x,kind")), target="kind")
    assert table.classes == ["a", "b", "c", "rare"]
    assert (table.splits["train"][1] == 3).sum() == 1
    assert "none measured: rare" in caplog.text


def test_column_group_or_time_tells_the_split(tmp_path: Path) -> None:
    rows = [
        f"{number},{('train', 'val', 'test')[number % 3]},person {number // 5},{2000 + number}" for number in range(60)
    ]
    file = str(write(tmp_path / "t.csv", rows, "x,part,person,year"))
    by_column = Table(file, split="part", features="x").splits
    assert by_column["val"][0].flatten().tolist() == [float(x) for x in range(1, 60, 3)]
    groups = [
        set((parts[0].flatten() // 5).tolist()) for parts in Table(file, group="person", features="x").splits.values()
    ]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 12
    by_time = Table(file, time="year", features="x").splits
    assert by_time["test"][0].flatten().tolist() == [float(x) for x in range(48, 60)]
    assert by_time["val"][0].flatten().tolist() == [float(x) for x in range(39, 48)]


def test_what_stands_for_missing_cells_is_learnt_from_training_rows_alone(tmp_path: Path) -> None:
    rows = [f"{size},{city},{part}" for size, city, part in [
        ("1", "Rome", "train"), ("2", "Rome", "train"), ("", "", "train"), ("30", "Oslo", "train"),
        ("5000", "Bonn", "val"), ("", "Bonn", "test"), ("7000", "", "test"),
    ]]  # fmt: skip
    file = str(write(tmp_path / "t.csv", rows, "size,city,part"))
    with pytest.raises(DataError, match=r"t.csv lines 4, 7: nothing in column 'size'; fill it in"):
        _ = Table(file, split="part").splits
    table = Table(file, split="part", missing="indicate")
    assert schema_of(table).features == ["size", "size is missing", "city=Oslo", "city=Rome", "city is missing"]
    assert table.splits["train"][0][2].tolist() == [2, 1, 0, 1, 1]
    assert table.splits["test"][0].tolist() == [[2, 1, 0, 0, 0], [7000, 0, 0, 1, 1]]
    assert schema_of(Table(file, split="part", missing="fill")).features == ["size", "city=Oslo", "city=Rome"]


def test_values_that_no_training_row_had_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = ["1,Rome,train", "2,Oslo,train", "3,Bonn,val", "4,Bonn,test"]
    _ = Table(str(write(tmp_path / "t.csv", rows, "x,city,part")), split="part").splits
    assert (
        "2 rows have in column 'city' what no training row had, and count as none of its values: 'Bonn'" in caplog.text
    )


def test_constant_column_is_told_and_scaled_by_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = Table(str(write(tmp_path / "t.csv", [f"{number},7" for number in range(30)], "x,same")))
    assert table.std[1] == 1
    assert "nothing is learnt of it: same" in caplog.text


def test_german_file_is_read(tmp_path: Path) -> None:
    rows = [
        f"{number % 5}.{number:03d},50;{('ja', 'nein')[number % 2]};{1 + number % 28:02d}.03.2024"
        for number in range(60)
    ]
    table = Table(str(write(tmp_path / "t.csv", rows, "Preis in €;Balkon;Datum")), target="Preis in €", whole=True)
    assert table.splits["train"][1][:3].flatten().tolist() == [0.5, 1001.5, 2002.5]
    assert schema_of(table).features[:2] == ["Balkon=ja", "Datum (day)"]


def test_schema_survives_json_and_reads_frames_in_any_order(path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    table = Table(str(path), target="price", whole=True)
    schema = schema_of(table)
    assert schema.columns == Schema.from_json(schema.json).columns
    frame = pandas.read_csv(path, parse_dates=["built"])[["built", "city", "balcony", "size in m2"]]
    sheet = sheet_of(frame)
    assert sheet is not None
    assert np.array_equal(schema.encode(schema.read(sheet)), table.splits["train"][0].numpy())


@pytest.mark.parametrize(
    "damaged", ["", "[]", '{"columns": 3, "target": null}', '{"columns": [{"name": 1}], "target": 0}']
)
def test_damaged_schema_is_refused(damaged: str) -> None:
    with pytest.raises(DataError, match="damaged JSON"):
        Schema.from_json(damaged)


FAULTS: list[tuple[list[str], dict[str, Any], str]] = [
    (["1,a"], {"target": "x", "predicts": "number"}, "1 row cannot be split with val 0.15 and test 0.2"),
    (["1,a", "two,a", "3,b", "4,b"], {}, "line 3: 'two' in column 'x' is no number, unlike '1' in line 2"),
    (["1,a"] * 9, {"target": "kind"}, "1 different values in column 'kind', such as 'a'; expected 2 to 50 classes"),
    ([f"{n % 3},a" for n in range(9)], {"target": "x"}, "may be classes or a number to predict; say which with"),
    ([f"{n},a{n}" for n in range(60)], {}, "60 different texts in column 'kind', such as 'a0', more than a category"),
    (["1,a", "2,", "3,b"], {"target": "kind"}, "line 3: nothing in column 'kind', which is predicted"),
    (["1,", "2,", "3,"], {}, "nothing in column 'kind'; leave it out"),
    (["1,a"] * 9, {"features": "y*"}, "--data.features 'y*' fits no column; there are x, kind"),
    (["1,a"] * 9, {"target": "kinds"}, "no column 'kinds'; did you mean 'kind'?"),
    (["1,a"] * 9, {"target": "x", "features": ["x"]}, "column 'x' is the target and cannot be a feature, too"),
    (["1,a"] * 9, {"split": "kind"}, "'a' in column 'kind', expected train, val or test"),
    (["1,a"] * 9, {"group": "kind"}, "1 groups in column 'kind'"),
    (["1,a"] * 9, {"time": "x"}, "1 different times in column 'x'"),
    (["1,a"] * 9, {"time": "x", "group": "kind"}, "each say how rows are split; expected one of them"),
    (["1,a"] * 9, {"val": 0.5, "test": 0.5}, "expected shares above 0 that leave some rows to train on"),
    (["-1,a"] * 9, {"weights": "x", "whole": True}, "weights in column 'x' must be 0 or more"),
    (["1,a"] * 9, {"predicts": "number"}, "are about a target; name its column with --data.target"),
    (["1,a"] * 9, {"fit_on": "some"}, "fit_on is 'some'; there are train, known, all"),
    (["1,a"] * 9, {"fit_on": "all", "whole": True}, "whole trains on all rows by itself; leave out fit_on all"),
    (["1,a"] * 9, {"batch_size": "many"}, "batch_size is 'many', expected a number of rows, or auto"),
    (["1,a"] * 9, {"batch_size": 0}, "batch_size is 0, expected at least 1"),
    (["1,1e400"] * 9, {}, "infinite in column 'kind'"),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "settings", "says"), FAULTS)
def test_fault_is_one_line(rows: list[str], settings: dict[str, Any], says: str, tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", rows, "x,kind")
    with pytest.raises(DataError) as error:
        _ = Table(str(file), **settings).splits
    assert says in str(error.value)
    assert "\n" not in str(error.value)
