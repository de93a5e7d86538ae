"""A tokenizer as a part of a model's weights, so that one file holds all that a pretrained model of text needs."""

from typing import Any

import torch
from torch import Tensor, nn

from datamodules.errors import DataError
from datamodules.text.tokenizer import Tokenizer
from zoo.base.rows import Rows
from zoo.errors import ZooError


class StoredTokenizer(nn.Module):
    """Holds a tokenizer's JSON as a tensor of bytes, which goes wherever the weights go.

    Args:
        json: As :attr:`Tokenizer.json` gives it; left out for a model that will be filled with weights.
    """

    json: Tensor

    def __init__(self, json: str | None = None) -> None:
        super().__init__()
        self.register_buffer("json", torch.tensor(list((json or "").encode()), dtype=torch.uint8))
        self._parsed: Tokenizer | None = None

    @property
    def is_filled(self) -> bool:
        """Whether there is a tokenizer."""
        return len(self.json) > 0

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer.

        Raises:
            ZooError: There is none.
        """
        if self._parsed is None:
            if not self.is_filled:
                raise ZooError("this model has no tokenizer; give it one: tokenizer=data.tokenizer")
            try:
                self._parsed = Tokenizer(bytes(self.json.cpu().numpy()).decode())
            except (DataError, UnicodeDecodeError) as error:
                raise ZooError(f"the weights hold a damaged tokenizer: {error}") from error
        return self._parsed

    def rows(self) -> Rows:
        """What the rows of an embedding stand for; nothing is known of them without a tokenizer."""
        return Rows("tokens", self.tokenizer.vocabulary if self.is_filled else [])

    def _check_same(self, found: Tensor) -> None:
        """Refuses weights whose ids stand for other tokens than those of the data that this model was made for."""
        if not self.is_filled or torch.equal(found.to(self.json), self.json):
            return
        trained = StoredTokenizer()
        trained.json = found
        # The same tokenizer may have been written by another version of the library.
        if trained.tokenizer.json != self.tokenizer.json:
            raise ZooError(
                "these weights were trained on the ids of another tokenizer than that of this data; leave the data and "
                "its settings (unit, max_vocab_size, length, seed, ...) as they were in training"
            )

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        # Its length is known only now.
        found = state_dict.get(f"{prefix}json")
        if isinstance(found, Tensor):
            self._check_same(found)
            self.json = torch.empty(found.shape, dtype=torch.uint8, device=self.json.device)
            self._parsed = None
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out the parsed tokenizer, which is made again on demand."""
        return {**self.__dict__, "_parsed": None}
