"""Text of CSV files for readers that are fast and look at nothing twice: what they might take wrongly is refused."""

import codecs
import csv
import io
import re
from pathlib import Path

import numpy as np

from datamodules.table import delimiter_of

_HEAD, _TAIL = 1 << 24, 1 << 16
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)")


class UnclearError(Exception):
    """A file that a fast reader does not understand, or might understand otherwise than Python does."""


class NoNumberError(UnclearError):
    """A cell that is no number as programs write them.

    Args:
        message: What is wrong.
        column: Name of its column, if that is known.
    """

    def __init__(self, message: str, column: str | None = None) -> None:
        super().__init__(message)
        self.column = column


class PlainText(io.RawIOBase):
    """The rows below the names of columns, UTF-8, in which every line is a row; empty rows at the end are left out.

    Args:
        path: The file.

    Raises:
        UnclearError: It cannot be read, is no such text, or has quotation marks within cells; most of it is seen while
            it is read.

    Attributes:
        header: The names of the columns.
        delimiter: What stands between cells.
        skipped: Lines above the names.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise UnclearError(str(error)) from error
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._newlines = self._returns = self._pairs = self._quotes = 0
        self._last = b""
        start = self._read_head()
        self._end = self._find_end(start)
        self._file.seek(start)

    def _read_head(self) -> int:
        """Reads what is above the rows, and tells where these begin."""
        head = self._file.read(_HEAD)
        start = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
        first = _LINE.match(head, start)
        second = first and _LINE.match(head, first.end())
        try:
            lines = [found[0].decode() for found in (first, second) if found is not None]
            self.delimiter, self.skipped = delimiter_of(io.StringIO("".join(lines), newline=""))
            row = next(csv.reader(lines[self.skipped :][:1], delimiter=self.delimiter, strict=True), [])
        except (UnicodeDecodeError, csv.Error) as error:
            raise UnclearError(str(error)) from error
        last = second if self.skipped else first
        if last is None:
            raise UnclearError("there is no line below the names of columns")
        self.header = [name.strip() for name in row]
        return last.end()

    def _find_end(self, start: int) -> int:
        """Where the last row ends that is not empty."""
        size = self._file.seek(0, io.SEEK_END)
        tail_start = max(start, size - _TAIL)
        self._file.seek(tail_start)
        tail = self._file.read()
        filled = len(tail.rstrip(b" \t\r\n" + self.delimiter.encode()))
        line = _LINE.match(tail, filled)
        end = len(tail) if line is None else line.end()
        empty = tail[end:].splitlines()
        if not filled or any(row and row.count(self.delimiter.encode()) != len(self.header) - 1 for row in empty):
            raise UnclearError("rows at the end are not whole")
        return tail_start + end

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """As many bytes, checked; all if negative."""
        left = self._end - self._file.tell()
        chunk = self._file.read(left if size < 0 else min(size, left))
        try:
            self._decoder.decode(chunk, final=len(chunk) == left)
        except UnicodeDecodeError as error:
            raise UnclearError(str(error)) from error
        self._newlines += chunk.count(b"\n")
        self._returns += chunk.count(b"\r")
        self._pairs += (self._last[-1:] + chunk).count(b"\r\n")
        text = self._last + chunk
        if b'"' in text or self._quotes % 2:
            self._check_quotes(text)
            self._check_breaks(chunk)
        # C's way to write what is no number.
        if b"(" in text and re.search(rb"nan\(", text, re.IGNORECASE):
            raise UnclearError("nan( in a cell")
        self._last = text[-4:]
        return chunk

    def _check_quotes(self, text: bytes) -> None:
        """Refuses quotation marks that neither begin nor end a cell, nor stand beside another one."""
        characters = np.frombuffer(text, np.uint8)
        places = np.flatnonzero(characters[1:-1] == ord('"')) + 1
        edges = np.zeros(256, bool)
        edges[list(b'\r\n"' + self.delimiter.encode())] = True
        if not (edges[characters[places - 1]] | edges[characters[places + 1]]).all():
            raise UnclearError("a quotation mark within a cell")

    def _check_breaks(self, chunk: bytes) -> None:
        """Refuses line breaks within quotation marks."""
        characters = np.frombuffer(chunk, np.uint8)
        quotes = np.flatnonzero(characters == ord('"'))
        breaks = np.flatnonzero((characters == ord("\n")) | (characters == ord("\r")))
        if ((np.searchsorted(quotes, breaks) + self._quotes) % 2).any():
            raise UnclearError("a line break within a cell")
        self._quotes += len(quotes)

    @property
    def lines(self) -> int:
        """Number of lines that have been read; -1 if they end in different ways, or a quotation mark stands alone."""
        mixed = self._newlines and self._returns and not self._newlines == self._returns == self._pairs
        if mixed or self._quotes % 2:
            return -1
        return (self._newlines or self._returns) + (self._last[-1:] not in (b"\n", b"\r"))

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        super().close()
