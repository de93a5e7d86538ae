"""Texts that a model writes: token by token, each drawn from what it says may follow."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from datamodules.text.tokenizer import PAD, START, Tokenizer
from zoo.base.inputs import check_ids, told
from zoo.base.module import ZooModule
from zoo.base.seeds import seeded
from zoo.errors import ZooError
from zoo.text.sampling import Sampling
from zoo.text.tokenizer import StoredTokenizer

# Texts, and tokens of each, by far more than anybody reads.
MOST_TEXTS, _LONGEST = 100_000, 1_000_000_000

# What a model has read, whatever that is for it.
State = Any


class TextGenerator(ZooModule):
    """Base of the models that go on with a text; a subclass adds :meth:`advance`.

    The tokenizer is a part of the state, so that one file of weights is all it takes. A text begins as if a line had
    just ended.

    Args:
        vocab_size: Number of token ids.
        tokenizer: JSON of the tokenizer; left out for a model that will be filled with weights.

    Raises:
        ZooError: The tokenizer has another vocabulary.
    """

    not_kept = ("tokenizer",)  # it is a part of the weights

    def __init__(self, vocab_size: int, tokenizer: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.stored_tokenizer = StoredTokenizer(tokenizer)
        self.vocab_size = vocab_size
        if tokenizer is not None and self.tokenizer.vocab_size != vocab_size:
            raise ZooError(f"vocab_size is {vocab_size}, but the tokenizer has {self.tokenizer.vocab_size} tokens")

    @property
    def tokenizer(self) -> Tokenizer:
        """Text to token ids and back."""
        return self.stored_tokenizer.tokenizer

    @property
    def boundary(self) -> int:
        """The token that a text is thought to follow: the end of a line."""
        tokenizer = self.tokenizer
        if tokenizer.end_id is not None:
            return tokenizer.end_id
        newline = tokenizer.encode(["\n"])[0]
        return newline[0] if newline else tokenizer.unknown_id or 0

    def advance(self, tokens: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Reads tokens and says what may follow.

        Args:
            tokens: Ids, ``(N, T)``, at least one in each row.
            state: What this method returned for what lies before; None at the start.

        Returns:
            Log-probabilities of the next token up to a constant in each row, ``(N, V)``, and the state.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say what may follow")

    def forward(self, tokens: Tensor) -> Tensor:
        """What may follow after each text: log-probabilities up to a constant in each row, ``(N, V)``."""
        return self.advance(self.ids(tokens, 2))[0]

    @property
    def takes(self) -> str:
        """Ids of tokens."""
        return f"ids of tokens, whole numbers below {self.vocab_size:,}"

    def check(self, inputs: Tensor) -> None:
        """Refuses what are no ids.

        Raises:
            ZooError: They are not.
        """
        if inputs.is_floating_point() or inputs.dtype == torch.bool:
            raise self.refusal(inputs)
        check_ids(inputs, self.vocab_size, "token")

    def ids(self, tokens: Any, dimensions: int) -> Tensor:
        """What a public method is given as ids, int64 on the device of the model: one text ``(T,)`` or several.

        Raises:
            ZooError: They are no ids, or of another shape.
        """
        given = self.take(tokens)
        if given.ndim != dimensions or (dimensions == 2 and not given.shape[1]):
            wanted = "(N, T), T at least 1" if dimensions == 2 else "(T,)"
            raise ZooError(f"ids of tokens have shape {tuple(given.shape)}, expected {wanted}")
        return given.long()

    def generate(
        self,
        prompt: str = "",
        tokens: int = 200,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        repetition_penalty: float = 1.0,
        stop: str | Sequence[str] = (),
        seed: int | None = None,
        num: int = 1,
    ) -> list[str]:
        """Continues a text.

        Args:
            prompt: The text; nothing for the start of a line.
            tokens: Number of tokens to add.
            temperature: Below 1 prefers what is likely; 0 always takes the likeliest token.
            top_k: Draw from so many of the likeliest tokens only.
            top_p: Draw from the likeliest tokens only that together have this probability.
            repetition_penalty: Above 1 makes tokens rarer that have occurred, in the prompt, too; see
                :class:`Sampling`.
            stop: End before this text appears, or the first of several.
            seed: Equal seeds give equal texts; without one they always differ.
            num: Number of texts, each drawn by itself.

        Returns:
            The texts, without the prompt.

        Raises:
            ZooError: An option is out of range.
        """
        sampling = Sampling(temperature, top_k, top_p, repetition_penalty).check()
        writers = [_Writer(self.tokenizer, stop) for _ in range(num)]
        texts = [""] * num
        for drawn in self._draw(self._read_prompt(prompt), tokens, sampling, _generators(seed, num)):
            for place, (writer, token) in enumerate(zip(writers, drawn, strict=True)):
                texts[place] += writer.write(token)
            if all(writer.stopped for writer in writers):
                break
        return [text + writer.rest() for text, writer in zip(texts, writers, strict=True)]

    def stream(
        self,
        prompt: str = "",
        tokens: int = 200,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        repetition_penalty: float = 1.0,
        stop: str | Sequence[str] = (),
        seed: int | None = None,
        number: int = 0,
    ) -> Iterator[str]:
        """Continues a text piece by piece: together the pieces are ``generate(..., num=number + 1)[number]``.

        The arguments are those of :meth:`generate`.
        """
        sampling = Sampling(temperature, top_k, top_p, repetition_penalty).check()
        writer = _Writer(self.tokenizer, stop)
        for (token,) in self._draw(self._read_prompt(prompt), tokens, sampling, _generators(seed, number + 1)[number:]):
            if piece := writer.write(token):
                yield piece
            if writer.stopped:
                return
        if rest := writer.rest():
            yield rest

    def _read_prompt(self, prompt: str) -> list[int]:
        return [self.boundary, *self.tokenizer.encode_text(as_text(prompt, "the prompt"))]

    def _unwanted(self) -> list[int]:
        """Tokens that are no text."""
        vocabulary = self.tokenizer.vocabulary
        places = [place for place, token in enumerate(vocabulary) if token in (PAD, START)]
        unknown = self.tokenizer.unknown_id
        return places if unknown is None else [*places, unknown]

    @torch.inference_mode()
    def _draw(
        self, prompt: list[int], count: int, sampling: Sampling, generators: list[torch.Generator]
    ) -> Iterator[list[int]]:
        """Draws tokens one after the other, one for each generator at a time."""
        if not 0 <= count <= _LONGEST:
            raise ZooError(f"tokens is {count}, expected 0 to {_LONGEST:,} tokens to add")
        num, unwanted = len(generators), torch.tensor(self._unwanted(), dtype=torch.long, device=self.device)
        latest = torch.tensor([prompt] * num, device=self.device)
        occurred = None
        if sampling.repetition_penalty != 1:
            occurred = torch.zeros(num, self.vocab_size, dtype=torch.bool, device=self.device)
            # Not the line that is thought before the text.
            occurred.scatter_(1, latest[:, 1:], value=True)
        was_training, state = self.training, None
        self.eval()
        try:
            for _ in range(count):
                log_probs, state = self.advance(latest, state)
                log_probs = log_probs.float().index_fill(1, unwanted, -torch.inf)
                uniform = torch.stack([torch.rand(1, generator=generator) for generator in generators])
                drawn = sampling.draw(log_probs, uniform.to(self.device), occurred)
                latest = drawn[:, None]
                if occurred is not None:
                    occurred.scatter_(1, latest, value=True)
                yield drawn.tolist()
        finally:
            self.train(was_training)


def as_text(text: Any, name: str) -> str:
    """Refuses what is no text.

    Raises:
        ZooError: It is not.
    """
    if not isinstance(text, str):
        raise ZooError(f"{name} is {told(text)}, expected a text")
    return text


def _generators(seed: int | None, num: int) -> list[torch.Generator]:
    """A source of random numbers for each text, so that the others change nothing about it."""
    if not 1 <= num <= MOST_TEXTS:
        raise ZooError(f"num is {num}, expected 1 to {MOST_TEXTS:,}")
    seeds = torch.randint(2**62, (num,), generator=seeded(seed)).tolist()
    return [torch.Generator().manual_seed(each) for each in seeds]


class _Writer:
    """Turns tokens into text and ends before a stop text; holds back what may become one.

    Args:
        tokenizer: Decodes.
        stop: One or several texts.
    """

    def __init__(self, tokenizer: Tokenizer, stop: str | Sequence[str]) -> None:
        self.stops = [stop] if isinstance(stop, str) else list(stop)
        self.stops = [text for text in self.stops if text]
        self.stopped = False
        self._stream = tokenizer.stream()
        self._held = ""

    def write(self, token: int) -> str:
        """The text that is certain now."""
        if self.stopped:
            return ""
        self._held += self._stream.step(token)
        found = [place for text in self.stops if (place := self._held.find(text)) >= 0]
        if found:
            self.stopped, kept = True, self._held[: min(found)]
            self._held = ""
            return kept
        certain = len(self._held) - self._undecided()
        piece, self._held = self._held[:certain], self._held[certain:]
        return piece

    def _undecided(self) -> int:
        """How long the end of the text is that a stop text may begin with."""
        lengths = [
            length
            for text in self.stops
            for length in range(1, min(len(text), len(self._held) + 1))
            if self._held.endswith(text[:length])
        ]
        return max(lengths, default=0)

    def rest(self) -> str:
        """What was held back, at the end."""
        return self._held
