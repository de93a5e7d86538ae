"""ARPA files: how n-gram models are exchanged since Doug Paul's at Lincoln Laboratory (1992)."""

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from datamodules.files import written_whole
from datamodules.text.tokenizer import SENTENCES, START
from zoo.errors import ZooError
from zoo.text.backoff import BackOff
from zoo.text.smoothing import BackOffTable

# In place of a space within a token, since spaces part tokens.
_SPACE = "\u2581"
# What cannot happen, in the format's own words.
_NEVER = -99.0
_LOG10 = math.log(10)


def write_arpa(table: BackOff, vocabulary: Sequence[str], path: Path) -> None:
    """Writes a model at once or not at all.

    Args:
        table: The model.
        vocabulary: The token of each id.
        path: The file.
    """
    tokens = np.array([token.replace(" ", _SPACE) for token in vocabulary], dtype=object)
    runtime = table.runtime
    with written_whole(path) as scratch, scratch.open("w", encoding="utf-8", newline="\n") as file:
        file.write("\\data\\\n")
        file.writelines(f"ngram {order}={size}\n" for order, size in enumerate(table.sizes, start=1))
        for order in range(1, table.order + 1):
            file.write(f"\n\\{order}-grams:\n")
            columns = tokens[table.ngrams(order).cpu().numpy()].T.tolist()
            ngrams = columns[0] if order == 1 else map(" ".join, zip(*columns, strict=True))
            log_probs = _in_tens(runtime.log_probs[order - 1])
            if order == table.order:
                lines = map("%.7g\t%s\n".__mod__, zip(log_probs, ngrams, strict=True))
            else:
                back_offs = _in_tens(runtime.back_offs[order - 1])
                lines = map("%.7g\t%s\t%.7g\n".__mod__, zip(log_probs, ngrams, back_offs, strict=True))
            file.writelines(lines)
        file.write("\n\\end\\\n")


def _in_tens(values: Tensor) -> list[float]:
    """Natural logarithms as common ones; what cannot happen as the format has it."""
    found = (values / _LOG10).clamp(min=_NEVER)
    # Not -0.
    return (found + 0.0).tolist()


def read_arpa(path: Path) -> tuple[list[str], list[Tensor], list[Tensor], BackOffTable]:
    """Reads a model.

    Args:
        path: The file.

    Returns:
        The vocabulary, whose first tokens are ``<unk>``, ``<s>`` and ``</s>``; for orders from 2 the last words of the
        n-grams in the order of all their words, and the rows of what precedes them; the table.

    Raises:
        ZooError: There is no such file, or it is malformed; the line is named.
    """
    try:
        with path.open(encoding="utf-8") as file:
            return _Reader(path, enumerate(file, start=1)).read()
    except OSError as error:
        raise ZooError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ZooError(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from error


class _Reader:
    """Reads the lines of a file one after the other.

    Args:
        path: For messages.
        lines: Numbered lines.
    """

    def __init__(self, path: Path, lines: Iterator[tuple[int, str]]) -> None:
        self.path, self.lines = path, lines
        self.number, self.line = 0, ""

    def read(self) -> tuple[list[str], list[Tensor], list[Tensor], BackOffTable]:
        sizes = self._header()
        ids: dict[str, int] = {token: place for place, token in enumerate(SENTENCES)}
        words, contexts = [], []
        table = BackOffTable([], [])
        rows: list[np.ndarray] = []
        for order, size in enumerate(sizes, start=1):
            ngrams, log_probs, back_offs = self._section(order, size, highest=order == len(sizes))
            if order == 1:
                for (token,) in ngrams:
                    ids.setdefault(token.replace(_SPACE, " "), len(ids))
                last = np.array([ids[token.replace(_SPACE, " ")] for (token,) in ngrams])
                values, weights = np.full(len(ids), _NEVER), np.zeros(len(ids))
                values[last], weights[last] = log_probs, back_offs
                values[ids[START]] = 0.0
                rows = [np.arange(len(ids))]
            else:
                try:
                    columns = [
                        np.array([ids[ngram[place].replace(_SPACE, " ")] for ngram in ngrams], dtype=np.int64)
                        for place in range(order)
                    ]
                except KeyError as error:
                    raise self._fault(f"{order}-grams hold {error}, which is no 1-gram") from error
                above = self._find(rows, columns[:-1], len(ids), order)
                wanted = above * len(ids) + columns[-1]
                sequence = np.argsort(wanted, kind="stable")
                keys = wanted[sequence]
                if len(keys) > 1 and bool((keys[1:] == keys[:-1]).any()):
                    raise self._fault(f"an n-gram of order {order} is listed twice")
                values, weights = log_probs[sequence], back_offs[sequence]
                rows.append(keys)
                words.append(torch.from_numpy(columns[-1][sequence]))
                contexts.append(torch.from_numpy(above[sequence]))
            table.log_probs.append(torch.from_numpy(values * _LOG10))
            if order < len(sizes):
                table.back_offs.append(torch.from_numpy(weights * _LOG10))
        if self.line.strip() != "\\end\\":
            raise self._fault(f"found {self.line.strip()[:40]!r}, expected \\end\\")
        return list(ids), words, contexts, table

    def _header(self) -> list[int]:
        while self._next() and self.line.strip() != "\\data\\":
            if self.line.strip():
                raise self._fault("expected \\data\\; is this an ARPA file?")
        sizes: list[int] = []
        while self._next() and not self.line.startswith("\\"):
            if not self.line.strip():
                continue
            found = re.fullmatch(r"ngram\s+(\d+)\s*=\s*(\d+)\s*", self.line.rstrip("\n"))
            if found is None or int(found[1]) != len(sizes) + 1:
                raise self._fault(f"found {self.line.strip()[:40]!r}, expected 'ngram {len(sizes) + 1}=COUNT'")
            sizes.append(int(found[2]))
        if not sizes:
            raise self._fault("no 'ngram 1=COUNT' after \\data\\; is this an ARPA file?")
        return sizes

    def _section(self, order: int, size: int, highest: bool) -> tuple[list[list[str]], np.ndarray, np.ndarray]:
        if self.line.strip() != f"\\{order}-grams:":
            raise self._fault(f"found {self.line.strip()[:40]!r}, expected \\{order}-grams:")
        ngrams, log_probs, back_offs = [], [], []
        while self._next() and not self.line.startswith("\\"):
            cells = self.line.split()
            if not cells:
                continue
            try:
                log_prob = float(cells[0])
                weight = float(cells[order + 1]) if len(cells) == order + 2 else 0.0
            except (ValueError, IndexError):
                log_prob = weight = math.nan
            if len(cells) not in (order + 1, order + 2) or not (log_prob <= 0 and math.isfinite(weight)):
                raise self._fault(f"expected a log-probability, {order} words and perhaps a back-off weight")
            if highest and len(cells) == order + 2 and weight:
                raise self._fault("the highest order has no back-off weights")
            ngrams.append(cells[1 : order + 1])
            log_probs.append(log_prob)
            back_offs.append(weight)
        if len(ngrams) != size:
            raise self._fault(f"found {len(ngrams)} {order}-grams, the header says {size}")
        return ngrams, np.array(log_probs, dtype=np.float64), np.array(back_offs, dtype=np.float64)

    def _find(self, rows: list[np.ndarray], columns: list[np.ndarray], size: int, order: int) -> np.ndarray:
        """The rows of contexts, word by word."""
        found = columns[0]
        for keys, column in zip(rows[1:], columns[1:], strict=True):
            wanted = found * size + column
            found = np.searchsorted(keys, wanted).clip(max=max(len(keys) - 1, 0))
            if not len(keys) or bool((keys[found] != wanted).any()):
                raise self._fault(f"a context of order {order} is not among the shorter n-grams")
        return found

    def _next(self) -> bool:
        self.number, self.line = next(self.lines, (self.number, ""))
        return bool(self.line)

    def _fault(self, told: str) -> ZooError:
        return ZooError(f"{self.path} line {self.number}: {told}")
