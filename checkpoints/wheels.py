"""Which files of the published weights go into which wheel; run by hatchling when one is built.

Cards and files below 1 MB come with ``lightning-zoo`` itself. Larger ones make a distribution a family, such as
``lightning-zoo-weights-text``, whose project in ``packages/`` names the family; ``zoo.registry`` finds them again.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# In bytes; from here on a file weighs on those who do not need it.
LARGE = 1_000_000


def files(checkpoints: Path, family: str | None) -> Iterator[Path]:
    """The files of a family's distribution; those of the zoo's own if there is none.

    Args:
        checkpoints: Folder of all published weights.
        family: Such as ``text``.
    """
    for card in sorted(checkpoints.glob("*/card.json")):
        of = json.loads(card.read_text(encoding="utf-8"))["family"]
        for file in sorted(card.parent.iterdir()):
            is_large = file.stat().st_size >= LARGE
            if is_large == (family is not None) and family in (None, of):
                yield file


class PublishedWeights(BuildHookInterface[Any]):
    """Adds the files to a wheel, and to the archive of the sources."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Names the files; an installation from a checkout in place has them already."""
        if version == "editable":
            return
        family = self.config.get("family")
        if self.target_name == "sdist":
            place = "checkpoints"
        else:
            place = "zoo/checkpoints" if family is None else f"lightning_zoo_weights/{family}"
        for file in files(Path(__file__).parent, family):
            build_data["force_include"][str(file)] = f"{place}/{file.parent.name}/{file.name}"
