"""Base of the series whose test and validation period are cut off their end."""

from typing import Any

from datamodules.series.periods import divide
from datamodules.series.recording import Recording
from datamodules.series.series import Series


class DividedSeries(Series):
    """Base of the series that are held out from the end on. See :class:`Series` for the arguments not listed.

    Args:
        recording: The series.
        val: Validation period: a fraction of the series, of a horizon at least, a number of points, or the date of its
            first point.
        test: Test period, at the end: likewise.

    Raises:
        DataError: A period has no points, or the date cannot be understood.
    """

    def __init__(
        self, recording: Recording, val: int | float | str = 0.1, test: int | float | str = 0.1, **options: Any
    ) -> None:
        least = options.get("horizon", 1)
        self._shares = {"val": val, "test": test}
        super().__init__(recording=recording, periods=divide(recording, val, test, least), **options)

    def _room(self) -> str:
        """The same; periods that are as long as the horizon shrink with it."""
        length, least = len(self.values), 1 + sum(self.differences)
        stretched = [
            split
            for split, share in self._shares.items()
            if isinstance(share, float) and len(self.periods.get(split, ())) == self.horizon > round(share * length)
        ]
        whole = sum(map(len, self.periods.values())) == length
        if not stretched or not whole or self.periods["train"].stop - self.horizon >= least:
            return super()._room()
        others = sum(len(period) for split, period in self.periods.items() if split not in ("train", *stretched))
        least = self._window_asked if isinstance(self._window_asked, int) else least
        return f"use --data.horizon {max((length - others - least) // (len(stretched) + 1), 1)} at most"
