"""Every option of generation changes the distribution as it is defined, and draws are of that distribution."""

import math

import pytest
import torch

from zoo import ZooError
from zoo.text.sampling import Sampling

LOG_PROBS = torch.tensor([[0.5, 0.25, 0.15, 0.1], [0.1, 0.2, 0.3, 0.4]]).log()


def test_without_options_the_model_speaks() -> None:
    torch.testing.assert_close(Sampling().distribution(LOG_PROBS), LOG_PROBS.exp())
    shifted = Sampling().distribution(LOG_PROBS + torch.tensor([[3.0], [-7.0]]))
    torch.testing.assert_close(shifted, LOG_PROBS.exp())


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_temperature_is_a_power(temperature: float) -> None:
    powers = LOG_PROBS.exp() ** (1 / temperature)
    expected = powers / powers.sum(1, keepdim=True)
    torch.testing.assert_close(Sampling(temperature).distribution(LOG_PROBS), expected)


def test_temperature_of_zero_is_greedy() -> None:
    expected = torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 1.0]])
    assert torch.equal(Sampling(0.0).distribution(LOG_PROBS), expected)
    assert Sampling(0.0).draw(LOG_PROBS, torch.rand(2, 1)).tolist() == [0, 3]


def test_top_k_keeps_the_likeliest() -> None:
    expected = torch.tensor([[2 / 3, 1 / 3, 0, 0], [0, 0, 3 / 7, 4 / 7]])
    torch.testing.assert_close(Sampling(top_k=2).distribution(LOG_PROBS), expected)
    torch.testing.assert_close(Sampling(top_k=99).distribution(LOG_PROBS), LOG_PROBS.exp())


@pytest.mark.parametrize(
    ("top_p", "expected"),
    [
        (0.45, [[1.0, 0, 0, 0], [0, 0, 3 / 7, 4 / 7]]),
        (0.74, [[2 / 3, 1 / 3, 0, 0], [0, 2 / 9, 3 / 9, 4 / 9]]),
        (1e-9, [[1.0, 0, 0, 0], [0, 0, 0, 1.0]]),
        (1.0, [[0.5, 0.25, 0.15, 0.1], [0.1, 0.2, 0.3, 0.4]]),
    ],
)
def test_top_p_keeps_the_fewest_that_reach_it(top_p: float, expected: list[list[float]]) -> None:
    torch.testing.assert_close(Sampling(top_p=top_p).distribution(LOG_PROBS), torch.tensor(expected))


@pytest.mark.parametrize("shift", [0.0, 5.0])
def test_repetition_penalty_is_a_power_of_what_occurred(shift: float) -> None:
    occurred = torch.tensor([[True, False, False, False], [False, False, True, True]])
    powers = torch.where(occurred, LOG_PROBS.exp() ** 1.5, LOG_PROBS.exp())
    found = Sampling(repetition_penalty=1.5).distribution(LOG_PROBS + shift, occurred)
    torch.testing.assert_close(found, powers / powers.sum(1, keepdim=True))


def test_options_apply_one_after_the_other() -> None:
    """First repetition, then temperature, then top k, then top p."""
    occurred = torch.zeros(2, 4, dtype=torch.bool)
    occurred[0, 0] = True
    values = torch.tensor([0.5**3, 0.25, 0.15, 0.1])  # penalised ...
    values = values**2  # ... sharpened ...
    values[[0, 3]] = 0  # ... the two likeliest, and both are needed for 90 %
    found = Sampling(0.5, 2, 0.9, 3.0).distribution(LOG_PROBS, occurred)[0]
    torch.testing.assert_close(found, values / values.sum())


def test_draws_follow_the_distribution() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = Sampling().draw(LOG_PROBS[:1].expand(100_000, 4), torch.rand(100_000, 1, generator=generator))
    shares = drawn.bincount(minlength=4) / len(drawn)
    torch.testing.assert_close(shares, LOG_PROBS[0].exp(), atol=0.01, rtol=0)


@pytest.mark.parametrize("number", [0.0, 1 - 2**-24])
def test_impossible_tokens_are_never_drawn(number: float) -> None:
    log_probs = torch.tensor([[-math.inf, 0.0, -1.0, -math.inf]])
    assert Sampling().draw(log_probs, torch.tensor([[number]])).item() in (1, 2)


@pytest.mark.parametrize(
    ("sampling", "told"),
    [
        (Sampling(temperature=-1), "temperature is -1, expected 0"),
        (Sampling(temperature=math.nan), "temperature is nan"),
        (Sampling(top_k=0), "top_k is 0, expected at least 1"),
        (Sampling(top_p=0.0), "top_p is 0.0, expected more than 0"),
        (Sampling(top_p=1.1), "at most 1"),
        (Sampling(repetition_penalty=0), "repetition_penalty is 0, expected more than 0"),
    ],
)
def test_senseless_options_are_refused(sampling: Sampling, told: str) -> None:
    with pytest.raises(ZooError, match=told):
        sampling.check()
