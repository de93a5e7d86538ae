"""What the columns of a table mean, as a part of a model's weights, so that a row in its own units is all it needs."""

from typing import Any

import torch
from torch import Tensor, nn

from datamodules.errors import DataError
from datamodules.tabular.schema import Schema
from zoo.errors import ZooError, listed


class StoredSchema(nn.Module):
    """Holds a schema's JSON as a tensor of bytes, which goes wherever the weights go; or nothing.

    Args:
        json: As :attr:`Schema.json` gives it; left out of a model that learns from no table, or will be filled.
    """

    json: Tensor | None

    def __init__(self, json: str | None = None) -> None:
        super().__init__()
        self.register_buffer("json", None if json is None else torch.tensor(list(json.encode()), dtype=torch.uint8))
        self._parsed: Schema | None = None

    @property
    def found(self) -> Schema | None:
        """The schema, if there is one.

        Raises:
            ZooError: It is damaged.
        """
        if self._parsed is None and self.json is not None:
            self._parsed = _parsed(self.json)
        return self._parsed

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        # Its length is known only now.
        given = state_dict.get(f"{prefix}json")
        if isinstance(given, Tensor):
            own, theirs = self.found, _parsed(given)
            if own is not None and own.features != theirs.features:
                odd = sorted(set(own.features) ^ set(theirs.features)) or own.features
                raise ZooError(
                    f"these weights were trained on other columns than those of this data ({listed(odd, 4)}); leave "
                    "the data and its settings as they were in training, or use 'zoo predict', which trains nothing"
                )
            self.json = torch.empty(given.shape, dtype=torch.uint8, device=given.device)
            self._parsed = None
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out the parsed schema, which is made again on demand."""
        return {**self.__dict__, "_parsed": None}


def _parsed(json: Tensor) -> Schema:
    try:
        return Schema.from_json(bytes(json.cpu().numpy()).decode())
    except (DataError, UnicodeDecodeError) as error:
        raise ZooError(f"the weights hold a damaged schema: {error}") from error
