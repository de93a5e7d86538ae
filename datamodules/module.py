"""What every data module is: an object that its arguments rebuild, and that can be tried in seconds."""

from typing import Any, ClassVar, Literal

from lightning import LightningDataModule

from datamodules.arguments import KeepsArguments
from datamodules.checksums import Checksum

Needs = Literal["pictures", "series", "text", "sentences"]


class DataModule(KeepsArguments, LightningDataModule):
    """Base of every data module.

    Attributes:
        miniature: Arguments for a quick try, a little of everything: with few batches an epoch takes a second. A
            subclass adds to those of its base what it has more.
        needs: What a user brings, for a class that reads nothing else: ``pictures`` in a folder a class, ``series`` in
            a CSV file, ``text``, or a table of labelled ``sentences``.
    """

    miniature: ClassVar[dict[str, Any]] = {"batch_size": 8, "eval_batch_size": 16}
    needs: ClassVar[Needs | None] = None

    def checksums(self) -> dict[str, Checksum]:
        """What each split holds, in a few characters; of data that nothing tells of, nothing.

        A run remembers them: whoever measures it, continues a series or publishes it is told when they have changed.
        """
        return {}

    def __str__(self) -> str:
        """The call that made it.

        Lightning would load all splits to tell their sizes, and jsonargparse asks for every fact that it hands on.
        """
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.hparams.items())
        return f"{type(self).__name__}({arguments})"
