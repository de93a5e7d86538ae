"""The record of what was tried against the zoo, from which ``docs/reliability.md`` is written."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock


@dataclass
class Count:
    """Tries of a kind.

    Attributes:
        tries: How many.
        failures: How many of them the zoo did not withstand.
        seconds: How long they took.
    """

    tries: int = 0
    failures: int = 0
    seconds: float = 0.0


class Tally:
    """Counts tries and failures by kind.

    Args:
        path: JSON file that the counts go into; what it says of other kinds stays.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.counts: dict[str, Count] = {}

    def of(self, kind: str) -> Count:
        """What is counted of a kind."""
        return self.counts.setdefault(kind, Count())

    def write(self) -> None:
        """Writes what was counted, once all is done; several processes may."""
        if self.path is None or not self.counts:
            return
        with FileLock(f"{self.path}.lock"):
            known: dict[str, Any] = json.loads(self.path.read_text()) if self.path.is_file() else {}
            for kind, count in self.counts.items():
                known[kind] = asdict(count) | {"seconds": round(count.seconds)}
            self.path.write_text(json.dumps(dict(sorted(known.items())), indent=2) + "\n")
