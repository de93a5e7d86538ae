"""Labelled sentences: texts as rows of token ids, for classifiers."""

import difflib
import hashlib
import io
import tarfile
import zipfile
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from datamodules.carrier import Carrier
from datamodules.errors import DataError
from datamodules.memory import InMemory, Split, stratified_split
from datamodules.paths import expanded
from datamodules.table import read_columns
from datamodules.text.tokenizer import PAD, UNKNOWN, Side, Tokenizer

Unit = Literal["words", "plain_words", "subwords"]

# As the notes' tokenizer has it.
OOV = "<OOV>"
# Every split wants one.
_LEAST_OF_A_CLASS = 3


class Labelled(NamedTuple):
    """Texts and their classes.

    Attributes:
        texts: The texts.
        labels: The name of each one's class.
    """

    texts: list[str]
    labels: list[str]


class LabelledSentences(InMemory):
    """Base of the labelled sentences; a subclass says how to :meth:`read` them.

    Splits are stratified, and equal texts are in the same split. The tokenizer is fitted on the training texts.
    Batches are ``(ids int64 (N, length), labels int64 (N,))``; id 0 fills up what is shorter.

    Args:
        unit: What a token is: ``words`` (runs of letters, numbers and single marks), ``plain_words`` (what is left
            between spaces when the usual marks are gone, as in the notes) or ``subwords`` (BPE).
        max_vocab_size: Size of the vocabulary with its special tokens.
        lower: Change to lower case.
        length: Tokens in a row.
        padding: Side on which shorter texts are filled up, ``pre`` or ``post``.
        truncating: Side on which longer texts are cut.
        val: Share of the texts for validation.
        test: Share of the texts for testing.
        tokenizer_file: A tokenizer to take as it is, such as ``zoo export NAME --to tokenizer`` writes it, whose first
            token is ``<pad>``; then nothing is fitted, and ``unit``, ``max_vocab_size`` and ``lower`` say nothing.

    Raises:
        DataError: A setting means nothing.
    """

    reader = "Sentences"

    def __init__(
        self,
        unit: Unit = "words",
        max_vocab_size: int = 8000,
        lower: bool = True,
        length: int = 50,
        padding: Side = "post",
        truncating: Side = "post",
        val: float = 0.1,
        test: float = 0.1,
        tokenizer_file: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._given = (
            None if tokenizer_file is None else Tokenizer.read(expanded(tokenizer_file, "--data.tokenizer_file"))
        )
        if self._given is not None and self._given.pad_id != 0:
            raise DataError(f"the first token of {tokenizer_file} is not {PAD}, which fills rows up; give another one")
        for name, value in (("length", length), ("max_vocab_size", max_vocab_size)):
            if value < 1:
                raise DataError(f"{name} is {value}, expected at least 1")
        for name, choice, known in (
            ("unit", unit, ("words", "plain_words", "subwords")),
            ("padding", padding, ("pre", "post")),
            ("truncating", truncating, ("pre", "post")),
        ):
            if choice not in known:
                raise DataError(f"{name} is {choice!r}; there are {', '.join(known)}")
        if not (val > 0 and test > 0 and val + test < 1):
            raise DataError(f"val {val} and test {test}; expected shares that leave some texts for training")
        self.unit, self.max_vocab_size, self.lower = unit, max_vocab_size, lower
        self.length, self.padding, self.truncating = length, padding, truncating
        self.val, self.test = val, test
        self._texts: dict[str, list[str]] = {}
        self._tokenizer: Tokenizer | None = None
        self._classes: list[str] | None = None

    def read(self) -> Labelled:
        """Reads all texts and their labels."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to read its texts")

    def load(self) -> dict[str, Split]:
        """Reads and splits the texts, fits the tokenizer, encodes."""
        texts, labels = self.read()
        classes = _in_order(set(labels)) if self._classes is None else self._classes
        if len(classes) < 2:
            raise DataError(f"all texts are of the class {classes[0]!r}; expected at least two classes")
        self._classes = classes
        numbers = np.array([classes.index(label) for label in labels])
        # Equal texts move together: each is where the first of them is.
        firsts: dict[str, int] = {}
        for place, text in enumerate(texts):
            firsts.setdefault(" ".join(text.lower().split()), place)
        unique = np.array(list(firsts.values()))
        counts = np.bincount(numbers[unique], minlength=len(classes))
        if counts.min() < _LEAST_OF_A_CLASS:
            raise DataError(
                f"there are {counts.min()} different texts of class {classes[counts.argmin()]!r}, too few to be split; "
                f"expected at least {_LEAST_OF_A_CLASS}"
            )
        rest, test = stratified_split(numbers[unique], self.test, self.seed)
        train, val = stratified_split(numbers[unique[rest]], self.val / (1 - self.test), self.seed)
        homes: dict[int, str] = {}
        for split, members in (("train", rest[train]), ("val", rest[val]), ("test", test)):
            homes |= dict.fromkeys(unique[members].tolist(), split)
        rows: dict[str, list[int]] = {"train": [], "val": [], "test": []}
        for place, text in enumerate(texts):
            rows[homes[firsts[" ".join(text.lower().split())]]].append(place)
        self._texts = {split: [texts[place] for place in places] for split, places in rows.items()}
        # Many words occur once, and of those the first ones are taken. Where a file is sorted by class they would be of
        # one class, and being out of vocabulary would tell of the other.
        order = np.random.default_rng(self.seed).permutation(len(self._texts["train"]))
        self._tokenizer = self._fit([self._texts["train"][place] for place in order])
        return {
            split: (torch.from_numpy(self._tokenizer.rows(self._texts[split])), torch.from_numpy(numbers[places]))
            for split, places in rows.items()
        }

    def _fit(self, texts: list[str]) -> Tokenizer:
        if self._given is not None:
            found = self._given
        elif self.unit == "subwords":
            found = Tokenizer.fit_subwords(texts, self.max_vocab_size, (PAD,), self.lower)
        elif self.unit == "words":
            found = Tokenizer.fit_words(texts, self.max_vocab_size, (PAD, UNKNOWN), lower=self.lower)
        else:
            special = (PAD, OOV)
            found = Tokenizer.fit_words(texts, self.max_vocab_size, special, OOV, pattern=None, lower=self.lower)
        return found.padded_to(self.length, self.padding, self.truncating)

    @property
    def texts(self) -> dict[str, list[str]]:
        """The texts of each split, as they are."""
        _ = self.splits
        return self._texts

    @property
    def tokenizer(self) -> str:
        """The tokenizer's JSON, padding included, which the model keeps."""
        _ = self.splits
        assert self._tokenizer is not None
        return self._tokenizer.json

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""
        _ = self.splits
        assert self._tokenizer is not None
        return self._tokenizer.vocab_size

    @property
    def classes(self) -> list[str]:
        """Names of the classes."""
        if self._classes is None:
            _ = self.splits
        assert self._classes is not None
        return self._classes

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)


def _in_order(labels: set[str]) -> list[str]:
    """Whole numbers by their value, names by their letters."""
    if all(label.removeprefix("-").isdecimal() for label in labels):
        return sorted(labels, key=lambda label: (int(label), label))
    return sorted(labels)


class Sentences(LabelledSentences):
    """Your own labelled texts from a CSV or TSV file, a row each. See :class:`LabelledSentences` for the batches.

    Between commas or semicolons, quotation marks hold a text together; between tabs, where they need not, they are a
    part of it.

    Args:
        path: The file, UTF-8; its first line names the columns.
        text: Column of the texts.
        label: Column of the classes.
        known_classes: Names of the classes that there may be, in this order; those that occur, in alphabetical order
            (numbers in that of their values), if left out.

    Raises:
        DataError: The file cannot be used: the line is named.
    """

    # Published golden tensors shall show nobody's texts.
    private = True
    needs = "sentences"
    miniature = LabelledSentences.miniature | {"max_vocab_size": 60}

    def __init__(
        self,
        path: str,
        text: str = "text",
        label: str = "label",
        known_classes: list[str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.path = expanded(path, "--data.path")
        self.text, self.label = text, label
        if known_classes is not None and len(set(known_classes)) < max(2, len(known_classes)):
            raise DataError(f"known_classes are {', '.join(known_classes)}; expected at least two, all different")
        self._classes = known_classes

    def read(self) -> Labelled:
        """Reads the file."""
        hint = 'put texts that hold commas into quotation marks, "such as this, or that"'
        columns = read_columns(self.path, lambda _: [self.text, self.label], hint, quotes_in_tabs=False)
        texts, labels = columns.cells[self.text], columns.cells[self.label]
        for line, text, label in zip(columns.lines.tolist(), texts, labels, strict=True):
            if not text:
                raise DataError(f"{self.path} line {line}: no text in column '{self.text}'")
            if not label:
                raise DataError(f"{self.path} line {line}: no class in column '{self.label}'")
            if self._classes is not None and label not in self._classes:
                close = difflib.get_close_matches(label, self._classes, n=1)
                known = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(self._classes)}"
                raise DataError(f"{self.path} line {line}: class {label!r}; {known}")
        return Labelled(texts, labels)

    @property
    def source(self) -> dict[str, str]:
        """Name and checksum of the file."""
        return {
            "name": self.path.name,
            "url": "local file",
            "licence": "that of your texts",
            "sha256": hashlib.sha256(self.path.read_bytes()).hexdigest(),
        }


class MovieReviews(LabelledSentences):
    """9,173 sentences of film reviews that people found clearly positive or negative (Hutto and Gilbert, 2014).

    Twenty people rated each of 10,605 sentences (Pang and Lee, 2005) from -4 to 4; those with a mean of at least 1 on
    either side are taken. They come within a package that is fetched once and verified by sha256. See
    :class:`LabelledSentences` for the batches.

    Args:
        root: Folder for data sets.
        download: Fetch what is not there.

    Raises:
        DataError: The texts cannot be had, or are damaged.
    """

    def __init__(self, root: str = "data", download: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.root, self.download = root, download
        self._classes = ["negative", "positive"]

    def prepare_data(self) -> None:
        """Fetches the texts."""
        _VADER.fetch(self.root, self.download)

    def read(self) -> Labelled:
        """Reads the sentences that are clearly positive or negative."""
        path = _VADER.fetch(self.root, self.download)
        with zipfile.ZipFile(path) as package:
            inner: Any = io.BytesIO(package.read("vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz"))
        with tarfile.open(fileobj=inner) as archive:
            file = archive.extractfile("hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt")
            assert file is not None
            rows = [line.split("\t") for line in file.read().decode().split("\r\n") if line]
        rated = [(text, float(rating)) for _, rating, text in rows]
        clear = [(text, "positive" if rating > 0 else "negative") for text, rating in rated if abs(rating) >= 1]
        texts, labels = zip(*clear, strict=True)
        return Labelled(list(texts), list(labels))

    @property
    def source(self) -> dict[str, str]:
        """Name, address, licence and checksum."""
        return {
            "name": "Sentences of film reviews with ratings by people (C.J. Hutto and E. Gilbert, 2014)",
            "url": "https://github.com/cjhutto/vaderSentiment",
            "licence": "MIT",
            "packaged as": f"{_VADER.package} {_VADER.version}",
            f"sha256 of {_VADER.file}": _VADER.sha256,
        }


_VADER = Carrier(
    package="vaderSentiment",
    version="0.5",
    file="vaderSentiment-0.5.zip",
    sha256="5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a",
)
