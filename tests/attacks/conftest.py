"""How often is tried, and what came of it."""

import random
import time
from collections.abc import Callable

import pytest
from record import Tally

# Says what a try did to the zoo, if anything; its random numbers are its own, so that it can be made again.
Try = Callable[[random.Random], str | None]
Attack = Callable[[str, int, float, Try], None]


@pytest.fixture
def attack(request: pytest.FixtureRequest, tally: Tally) -> Attack:
    """Tries again and again, counts, and fails at the end if the zoo did not withstand each."""
    asked = request.config.getoption("--tries")

    def attack(kind: str, few: int, share: float, attempt: Try) -> None:
        count, faults, begun = tally.of(kind), [], time.monotonic()
        tries = few if asked is None else max(few, round(share * asked))
        for number in range(tries):
            try:
                fault = attempt(random.Random(f"{kind} {number}"))
            except Exception as error:
                fault = f"{type(error).__name__}: {error}"
            if fault is not None:
                faults.append(f"try {number}: {fault}")
        count.tries += tries
        count.failures += len(faults)
        count.seconds += time.monotonic() - begun
        told = "\n".join(faults[:20])
        assert not faults, f"{kind}: {len(faults)} of {tries} tries were not withstood:\n{told}"

    return attack
