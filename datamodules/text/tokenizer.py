"""Tokenizers: text to token ids and back; a fitted one is a string of JSON, so it can travel with data and weights.

Underneath are the `tokenizers` of Hugging Face. This file is what data modules and models of text share: both must read
a text alike.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np
import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers

from datamodules.errors import DataError

Side = Literal["pre", "post"]

PAD, UNKNOWN, START, END = "<pad>", "<unk>", "<s>", "</s>"
SENTENCES = (UNKNOWN, START, END)

# Runs of letters, which may hold apostrophes (o'er), numbers, dashes, and every other mark by itself.
WORDS = r"\p{L}+(?:['\u2019]\p{L}+)*|\p{N}+|--|[^\s\p{L}\p{N}]"
# What the notes' tokenizer takes for spaces.
FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'

# Marks that stand close to the word before them, and after them.
_CLOSING, _OPENING = ".,:;!?)]}", "([{"


class Tokenizer:
    """Text to token ids and back.

    Ids count from zero. Some tokens have a meaning: ``<pad>`` fills up, ``<unk>`` (or another name) stands for what is
    out of vocabulary, ``</s>`` ends a line, ``<s>`` is the context that a line begins with. Which of them there are
    tells how the tokenizer was fitted.

    Args:
        json: What :attr:`json` of another tokenizer gave, or the ``tokenizer.json`` of any Hugging Face tokenizer.

    Raises:
        DataError: It describes no tokenizer.
    """

    def __init__(self, json: str) -> None:
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(json)
        except Exception as error:  # the library raises nothing more special
            raise DataError(f"this describes no tokenizer: {' '.join(str(error).split())}") from error
        settings = self._tokenizer.padding, self._tokenizer.truncation
        self._padding, self._truncation = (setting or {} for setting in settings)
        # Padding is done here: words that are dropped must not count.
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    @classmethod
    def read(cls, path: str | PathLike[str]) -> "Tokenizer":
        """Reads a tokenizer from a file, as ``zoo export --to tokenizer`` writes it, or Hugging Face.

        Raises:
            DataError: There is no such file, or it describes no tokenizer.
        """
        try:
            return cls(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(f"cannot read the tokenizer {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise DataError(f"{path} holds no tokenizer: {error}") from error
        except DataError as error:
            raise DataError(f"{path} holds no tokenizer: {error}") from error

    @classmethod
    def fit_words(
        cls,
        texts: Iterable[str],
        vocab_size: int | None = None,
        special: Sequence[str] = SENTENCES,
        unknown: str = UNKNOWN,
        pattern: str | None = WORDS,
        filters: str = FILTERS,
        lower: bool = True,
    ) -> "Tokenizer":
        """Takes the most frequent words; of equally frequent ones those that appear first.

        Args:
            texts: Any number of texts; read once.
            vocab_size: Size of the vocabulary, special tokens included; all words if left out.
            special: Tokens with a meaning, in the order of their ids.
            unknown: The one of them that stands for other words; if it is ``<pad>``, other words are dropped.
            pattern: Regular expression of a word; None splits at spaces.
            filters: Characters taken for spaces where there is no pattern.
            lower: Change to lower case.
        """
        steps: list[normalizers.Normalizer] = [normalizers.Lowercase()] if lower else []
        if pattern is None:
            steps += [normalizers.Replace(mark, " ") for mark in filters]
            split = pre_tokenizers.Split(" ", "removed")
        else:
            split = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
        normalizer = normalizers.Sequence(steps)
        counts = count_words(texts, normalizer, split)
        for token in special:
            counts.pop(token, None)
        room = None if vocab_size is None else max(vocab_size - len(special), 0)
        words = [*special, *(word for word, _ in counts.most_common(room))]
        return cls._of_words(words, unknown, normalizer, split, _spaced())

    @classmethod
    def fit_characters(
        cls, texts: Iterable[str], vocab_size: int | None = None, special: Sequence[str] = (UNKNOWN,)
    ) -> "Tokenizer":
        """Takes the characters that occur (of too many the most frequent), in the order of their code points.

        Args:
            texts: Any number of texts; read once.
            vocab_size: Size of the vocabulary, special tokens included; all characters if left out.
            special: Tokens with a meaning, in the order of their ids; ``<unk>`` is one.
        """
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(text)
        room = None if vocab_size is None else max(vocab_size - len(special), 0)
        characters = sorted(character for character, _ in counts.most_common(room))
        split = pre_tokenizers.Split(Regex(r"(?m)."), "isolated")
        decoder = decoders.Sequence([decoders.Fuse(), decoders.Replace(END, "\n")])
        return cls._of_words([*special, *characters], UNKNOWN, None, split, decoder)

    @classmethod
    def fit_subwords(
        cls, texts: Iterable[str], vocab_size: int = 1000, special: Sequence[str] = SENTENCES, lower: bool = False
    ) -> "Tokenizer":
        """Merges bytes to ever longer pieces of words, most frequent pairs first (Sennrich et al., 2016).

        Args:
            texts: Any number of texts; read once.
            vocab_size: Size of the vocabulary, special tokens and the 256 bytes included.
            special: Tokens with a meaning, in the order of their ids.
            lower: Change to lower case.

        Raises:
            DataError: The vocabulary has no room for the bytes.
        """
        if vocab_size < 256 + len(special):
            raise DataError(f"a subword vocabulary of {vocab_size} has no room for 256 bytes; use 300 or more")
        found = tokenizers.Tokenizer(models.BPE())
        if lower:
            found.normalizer = normalizers.Lowercase()
        found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        found.decoder = decoders.Sequence([decoders.Replace(END, "\n"), decoders.ByteLevel()])
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=list(special),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        found.train_from_iterator(texts, trainer)
        return cls(found.to_str())

    @classmethod
    def of_vocabulary(cls, vocabulary: Sequence[str]) -> "Tokenizer":
        """Splits texts at spaces and knows these words, ``<unk>`` among them, by their places."""
        return cls._of_words(vocabulary, UNKNOWN, None, pre_tokenizers.Split(" ", "removed"), _spaced())

    @classmethod
    def _of_words(
        cls,
        words: Sequence[str],
        unknown: str,
        normalizer: normalizers.Normalizer | None,
        split: pre_tokenizers.PreTokenizer,
        decoder: decoders.Decoder,
    ) -> "Tokenizer":
        found = tokenizers.Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unknown))
        if normalizer is not None:
            found.normalizer = normalizer
        found.pre_tokenizer = split
        found.decoder = decoder
        return cls(found.to_str())

    def padded_to(self, length: int, padding: Side = "pre", truncating: Side = "pre") -> "Tokenizer":
        """The same tokenizer, whose :meth:`rows` have this length; it remembers that in its JSON.

        Args:
            length: Tokens in a row.
            padding: Side on which shorter texts are filled up with ``<pad>``.
            truncating: Side on which longer texts are cut.

        Raises:
            DataError: It has no token to pad with, or a row has no length.
        """
        if self.pad_id is None:
            raise DataError(f"the tokenizer has no {PAD} to fill up with; fit it with {PAD} among its special tokens")
        if length < 1:
            raise DataError(f"rows of {length} tokens, expected at least 1")
        found = tokenizers.Tokenizer.from_str(self._tokenizer.to_str())
        found.enable_padding(direction=_direction(padding), pad_id=self.pad_id, pad_token=PAD, length=length)
        found.enable_truncation(length, direction=_direction(truncating))
        return Tokenizer(found.to_str())

    @cached_property
    def json(self) -> str:
        """All there is to know of it."""
        found = tokenizers.Tokenizer.from_str(self._tokenizer.to_str())
        if self._padding:
            found.enable_padding(**self._padding)
            found.enable_truncation(**self._truncation)
        return found.to_str()

    @cached_property
    def vocabulary(self) -> list[str]:
        """The token of each id."""
        return [self._tokenizer.id_to_token(place) or "" for place in range(self.vocab_size)]

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        return self._tokenizer.get_vocab_size()

    @property
    def length(self) -> int | None:
        """Tokens in a row, if that is fixed; see :meth:`padded_to`."""
        return self._padding.get("length")

    @property
    def pad_id(self) -> int | None:
        """Id of ``<pad>``, if there is one."""
        return self._tokenizer.token_to_id(PAD)

    @property
    def start_id(self) -> int | None:
        """Id of ``<s>``, if there is one."""
        return self._tokenizer.token_to_id(START)

    @property
    def end_id(self) -> int | None:
        """Id of ``</s>``, if there is one: then every line is a sentence."""
        return self._tokenizer.token_to_id(END)

    @property
    def unknown_id(self) -> int | None:
        """Id of what is out of vocabulary; None if nothing is, as for subwords, or if it is dropped."""
        name = getattr(self._tokenizer.model, "unk_token", None)
        place = None if name is None else self._tokenizer.token_to_id(name)
        return None if place == self.pad_id else place

    @cached_property
    def is_characters(self) -> bool:
        """Whether every token is a character (a line's end, too), so that a loss per token is one per character."""
        special = {PAD, UNKNOWN, START, END}
        return all(len(token) == 1 for token in self.vocabulary if token not in special)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text; a line break means what it means to the split, see :meth:`encode_text` for lines."""
        found = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]
        dropped = self.pad_id
        if dropped is None:
            return found
        return [[place for place in ids if place != dropped] if dropped in ids else ids for ids in found]

    def encode_lines(self, lines: Sequence[str]) -> list[list[int]]:
        """The ids of lines that are given without their breaks, each with its end: ``</s>``, or a line break.

        Of words and subwords, blank lines are no sentences, so they have none.
        """
        end = self.end_id
        if end is None:
            return self.encode([f"{line}\n" for line in lines])
        return [[*ids, end] if ids or self.is_characters else [] for ids in self.encode(lines)]

    def encode_text(self, text: str) -> list[int]:
        """The ids of a text of several lines; the last line is not ended."""
        *lines, last = text.split("\n")
        return [place for ids in [*self.encode_lines(lines), *self.encode([last])] for place in ids]

    def rows(self, texts: Sequence[str]) -> np.ndarray:
        """The ids of each text, padded and cut to rows of one length, int64 ``(N, length)``.

        Raises:
            DataError: The length is not fixed; see :meth:`padded_to`.
        """
        if not self._padding:
            raise DataError("the tokenizer pads to no length; use padded_to(length)")
        padding, truncating = _side(self._padding["direction"]), _side(self._truncation["direction"])
        return pad(self.encode(texts), self._padding["length"], padding, truncating, self._padding["pad_id"])

    def decode(self, ids: Sequence[int]) -> str:
        """The text that the ids stand for: words with spaces between them, lines instead of ``</s>``."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=False)

    def stream(self) -> "TextStream":
        """Decodes ids one by one."""
        return TextStream(self._tokenizer)


class TextStream:
    """Turns ids into text one at a time: what is told together is what :meth:`Tokenizer.decode` tells at once.

    Args:
        tokenizer: Of Hugging Face.
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._stream = decoders.DecodeStream(skip_special_tokens=False)

    def step(self, place: int) -> str:
        """The text that an id adds; nothing while a character waits for its last byte."""
        return self._stream.step(self._tokenizer, place) or ""


def count_words(
    texts: Iterable[str], normalizer: normalizers.Normalizer, split: pre_tokenizers.PreTokenizer
) -> Counter[str]:
    """Counts words as a tokenizer of these parts would find them, in the order in which they appear."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(word for word, _ in split.pre_tokenize_str(normalizer.normalize_str(text)))
    return counts


def pad(
    sequences: Sequence[Sequence[int]],
    length: int | None = None,
    padding: Side = "pre",
    truncating: Side = "pre",
    value: int = 0,
) -> np.ndarray:
    """Brings sequences to one length.

    Args:
        sequences: Of ids.
        length: That of the longest if left out.
        padding: Side on which shorter ones are filled up.
        truncating: Side on which longer ones are cut.
        value: What to fill up with.

    Returns:
        int64 ``(N, length)``.
    """
    if length is None:
        length = max((len(sequence) for sequence in sequences), default=0)
    rows = np.full((len(sequences), length), value, dtype=np.int64)
    for row, sequence in zip(rows, sequences, strict=True):
        kept = sequence[max(len(sequence) - length, 0) :] if truncating == "pre" else sequence[:length]
        if len(kept):
            place = slice(length - len(kept), length) if padding == "pre" else slice(len(kept))
            row[place] = kept
    return rows


def _direction(side: Side) -> str:
    if side not in ("pre", "post"):
        raise DataError(f"side is {side!r}; there are pre, post")
    return "left" if side == "pre" else "right"


def _side(direction: str) -> Side:
    return "pre" if direction == "left" else "post"


def _spaced() -> decoders.Decoder:
    """Words with spaces between them, but none around what belongs close to its neighbour, and lines."""
    close = [decoders.Replace(f" {mark}", mark) for mark in _CLOSING]
    close += [decoders.Replace(f"{mark} ", mark) for mark in _OPENING]
    lines = decoders.Replace(Regex(f" ?{END} ?"), "\n")
    return decoders.Sequence([decoders.WordPiece(prefix="\0", cleanup=False), decoders.Fuse(), *close, lines])
