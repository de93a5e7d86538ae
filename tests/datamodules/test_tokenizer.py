"""Tokenizers: what the notes' own gave, texts that come back, all of it within a string of JSON."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import normalizers, pre_tokenizers

from datamodules.errors import DataError
from datamodules.text.tokenizer import FILTERS, PAD, SENTENCES, UNKNOWN, Tokenizer, count_words, pad

GOLDEN: dict[str, Any] = json.loads(Path(__file__).with_name("golden_text.json").read_text())
OOV = "<OOV>"
TEXT = "To be, or not to be: that\nis the (only) question -- o'er and o'er.\n\n'Tis über 42!"


def keras(num_words: int = 100, oov: bool = True) -> Tokenizer:
    """The notes' tokenizer."""
    special = (PAD, OOV) if oov else (PAD,)
    return Tokenizer.fit_words(GOLDEN["sentences"], num_words, special, OOV if oov else PAD, pattern=None)


def test_words_get_the_numbers_of_the_notes() -> None:
    assert GOLDEN["filters"] == FILTERS
    vocabulary = keras().vocabulary
    assert {word: number for number, word in enumerate(vocabulary) if number} == GOLDEN["word_index"]


def test_all_words_are_counted_however_few_are_kept() -> None:
    split = pre_tokenizers.Split(" ", "removed")
    steps = [normalizers.Lowercase(), *(normalizers.Replace(mark, " ") for mark in FILTERS)]
    counts = count_words(GOLDEN["sentences"], normalizers.Sequence(steps), split)
    assert len(counts) + 1 == GOLDEN["num_words5_word_index_len"]


@pytest.mark.parametrize(
    ("inputs", "expected"), [("sentences", "sequences"), ("oov_inputs", "oov"), ("test_inputs", "test_seq")]
)
def test_sentences_become_the_sequences_of_the_notes(inputs: str, expected: str) -> None:
    assert keras().encode(GOLDEN[inputs]) == GOLDEN[expected]


def test_few_words_leave_the_rest_out_of_vocabulary() -> None:
    assert keras(5).encode(GOLDEN["sentences"]) == GOLDEN["num_words5_sequences"]


def test_without_a_token_for_them_unknown_words_are_dropped() -> None:
    tokenizer = keras(5, oov=False)
    assert tokenizer.encode(GOLDEN["sentences"]) == GOLDEN["num_words5_no_oov"]
    assert tokenizer.unknown_id is None


def test_padding_is_that_of_the_notes() -> None:
    sequences = GOLDEN["sequences"]
    assert pad(sequences).tolist() == GOLDEN["pad"]
    assert pad(sequences, 3).tolist() == GOLDEN["pad_maxlen3"]
    assert pad(sequences, 15, "post")[0].tolist() == GOLDEN["pad15_post_first"]
    assert pad(sequences, 15, "pre")[0].tolist() == GOLDEN["pad15_pre_first"]
    assert pad(sequences, 3, truncating="post").tolist() == [sequence[:3] for sequence in sequences]
    assert pad([]).shape == (0, 0)


def test_padding_travels_within_the_tokenizer() -> None:
    padded = Tokenizer(keras().padded_to(10).json)
    assert padded.length == 10
    assert padded.rows(GOLDEN["test_inputs"]).tolist() == GOLDEN["test_pad10"]
    behind = Tokenizer(keras().padded_to(4, "post", "post").json)
    assert behind.rows(["my dog", "do you like ice cream"]).tolist() == [[5, 8, 0, 0], [11, 12, 13, 3]]


TOKENIZERS = {
    "words": Tokenizer.fit_words([TEXT]),
    "characters": Tokenizer.fit_characters([TEXT]),
    "subwords": Tokenizer.fit_subwords([TEXT], 300, ()),
    "character_lines": Tokenizer.fit_characters(TEXT.split("\n"), special=SENTENCES),
    "subword_lines": Tokenizer.fit_subwords(TEXT.split("\n"), 300),
}
every_tokenizer = pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)


@every_tokenizer
def test_text_comes_back(tokenizer: Tokenizer) -> None:
    decoded = tokenizer.decode(tokenizer.encode_text(TEXT))
    expected = TEXT
    if tokenizer is TOKENIZERS["words"]:
        expected = "to be, or not to be: that\nis the (only) question -- o'er and o'er.\n' tis über 42!"
    elif tokenizer is TOKENIZERS["subword_lines"]:
        expected = TEXT.replace("\n\n", "\n")
    assert decoded == expected


@every_tokenizer
def test_pieces_add_up_to_the_text(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode_text(TEXT)
    stream = tokenizer.stream()
    assert "".join(stream.step(token) for token in ids) == tokenizer.decode(ids)


@every_tokenizer
def test_json_is_all_there_is_to_know(tokenizer: Tokenizer) -> None:
    again = Tokenizer(tokenizer.json)
    assert again.vocabulary == tokenizer.vocabulary
    assert again.encode_text(TEXT) == tokenizer.encode_text(TEXT)
    assert again.json == tokenizer.json


def test_bytes_of_a_character_wait_for_each_other() -> None:
    tokenizer = Tokenizer.fit_subwords(["plain"], 300, ())
    stream = tokenizer.stream()
    pieces = [stream.step(token) for token in tokenizer.encode_text("a€b")]
    assert [piece for piece in pieces if piece] == ["a", "€", "b"]
    assert len(pieces) == 5


def test_lines_end_where_lines_are_sentences() -> None:
    words = TOKENIZERS["words"]
    assert [token for token in words.encode_text("be\n\nor\nnot") if token == words.end_id] == [words.end_id] * 2
    assert words.encode_lines(["", "be"]) == [[], [*words.encode(["be"])[0], words.end_id]]
    characters = TOKENIZERS["character_lines"]
    assert characters.encode_lines([""]) == [[characters.end_id]]
    stream = TOKENIZERS["characters"]
    assert stream.end_id is None
    assert stream.encode_lines(["b"]) == stream.encode(["b\n"])


def test_tokenizers_know_their_unit() -> None:
    assert [tokenizer.is_characters for tokenizer in TOKENIZERS.values()] == [False, True, False, True, False]
    assert TOKENIZERS["subwords"].unknown_id is None
    assert TOKENIZERS["words"].vocabulary[TOKENIZERS["words"].unknown_id or 0] == UNKNOWN


def test_vocabulary_is_the_most_frequent_first_seen() -> None:
    assert Tokenizer.fit_words(["b a b c a d"], 5).vocabulary == [*SENTENCES, "b", "a"]
    assert Tokenizer.fit_words(["d c b a"], 5).vocabulary == [*SENTENCES, "d", "c"]
    assert Tokenizer.fit_words(["<unk> a </s>"]).vocabulary[:3] == list(SENTENCES)
    assert Tokenizer.fit_characters(["cabbage"], 3).vocabulary == [UNKNOWN, "a", "b"]


def test_case_is_kept_on_request() -> None:
    assert "To" in Tokenizer.fit_words([TEXT], lower=False).vocabulary


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda: Tokenizer("{}"), "this describes no tokenizer"),
        (lambda: Tokenizer("not even JSON"), "this describes no tokenizer"),
        (lambda: Tokenizer.fit_subwords(["a"], 100), "no room for 256 bytes; use 300 or more"),
        (lambda: TOKENIZERS["words"].padded_to(5), "no <pad> to fill up with"),
        (lambda: keras().padded_to(0), "rows of 0 tokens"),
        (lambda: keras().rows(["a"]), r"pads to no length; use padded_to\(length\)"),
    ],
)
def test_senseless_requests_are_refused(spoil: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        spoil()
