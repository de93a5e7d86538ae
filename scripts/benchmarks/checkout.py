"""What git knows of the code that is, and was, measured."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks.report import Commit, commit_of

ROOT = Path(__file__).parents[2]
RESULTS = "benchmarks.md"


@dataclass(frozen=True)
class Checkout:
    """A folder of which git may know the history.

    Args:
        root: The project's folder.
    """

    root: Path = ROOT

    @property
    def is_one(self) -> bool:
        """Whether it is the top of a checkout, and git is there to be asked."""
        asked = self._ask("rev-parse", "--show-prefix")
        return asked is not None and asked.returncode == 0 and not asked.stdout.strip()

    def commit(self) -> Commit | None:
        """What is checked out; None outside of a checkout, or before its first commit."""
        asked = self._ask("rev-parse", "--short=10", "HEAD") if self.is_one else None
        if asked is None or asked.returncode != 0:
            return None
        # The results themselves change with every section that is measured.
        return Commit(asked.stdout.strip(), self.has_changed("HEAD", [".", f":!{RESULTS}"]) is not False)

    def has_changed(self, commit: str, paths: Sequence[str]) -> bool | None:
        """Whether files differ from those of a commit.

        Args:
            commit: The commit.
            paths: Files, folders or patterns, from the root on.

        Returns:
            None where git does not know the commit.
        """
        asked = self._ask("diff", "--quiet", commit, "--", *paths)
        return {0: False, 1: True}.get(asked.returncode) if asked is not None else None

    def _ask(self, *arguments: str) -> subprocess.CompletedProcess[str] | None:
        try:
            return subprocess.run(["git", "-C", str(self.root), *arguments], capture_output=True, text=True)
        except OSError:  # there is no git
            return None


def find_stale(sections: Mapping[str, str], paths: Mapping[str, Sequence[str]], checkout: Checkout) -> dict[str, str]:
    """Finds the benchmarks that should be measured again.

    Args:
        sections: Markdown of what was measured, by name.
        paths: What each benchmark depends on, by name.
        checkout: The code as it is now.

    Returns:
        The reason, by name.
    """
    reasons = {name: _reason(sections.get(name), depends_on, checkout) for name, depends_on in paths.items()}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _reason(section: str | None, paths: Sequence[str], checkout: Checkout) -> str | None:
    if section is None:
        return "was never measured"
    commit = commit_of(section)
    if commit is None:
        return "does not say at which commit it was measured"
    changed = checkout.has_changed(commit.name, paths)
    if changed is None:
        return f"was measured at {commit.name}, which git does not know"
    if changed:
        return f"was measured at {commit.name}; its code has changed since"
    if commit.changed:
        return f"was measured at {commit.name} with changes that no commit holds"
    return None
