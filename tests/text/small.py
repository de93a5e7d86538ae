"""A short text, its tokenizers, and one small language model of every kind."""

from typing import Any

import pytest
import torch

from datamodules.text.tokenizer import Tokenizer
from zoo.text.language_model import LanguageModel
from zoo.text.recurrent import RNNLM
from zoo.text.transformer import TransformerLM

TEXT = "the quick brown fox jumps over the lazy dog\nand the dog sleeps, it does\n" * 8
CHARACTERS = Tokenizer.fit_characters([TEXT])
WORDS = Tokenizer.fit_words(TEXT.split("\n"))


def recurrent(tokenizer: Tokenizer = CHARACTERS, **arguments: Any) -> RNNLM:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"embedding_size": 8, "hidden_size": 12, **arguments}
    return awake(RNNLM(vocab_size=tokenizer.vocab_size, tokenizer=tokenizer.json, **sizes))


def transformer(tokenizer: Tokenizer = CHARACTERS, **arguments: Any) -> TransformerLM:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"width": 16, "num_layers": 2, "num_heads": 2, "window": 32, **arguments}
    return awake(TransformerLM(vocab_size=tokenizer.vocab_size, tokenizer=tokenizer.json, **sizes))


def awake(model: Any) -> Any:
    """With weights that are far from zero, so that all of a network is seen."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model.eval()


MODELS = {
    "rnn": lambda **a: recurrent(cell="rnn", **a),
    "lstm": lambda **a: recurrent(**a),
    "gru": lambda **a: recurrent(cell="gru", tied=True, **a),
    "transformer": lambda **a: transformer(**a),
}
every_model = pytest.mark.parametrize("kind", MODELS)


def ids(text: str, model: LanguageModel) -> torch.Tensor:
    return torch.tensor(model.tokenizer.encode_text(text))
