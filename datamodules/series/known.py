"""Series that everybody has: the course's, generated, and two that come with statsmodels."""

import hashlib
from typing import Any

import numpy as np
import statsmodels
from statsmodels.datasets import co2, sunspots

from datamodules.series.divided import DividedSeries
from datamodules.series.recording import Recording
from datamodules.series.series import Series
from datamodules.series.timeline import Timeline


def synthetic_series() -> np.ndarray:
    """The course's series, 1,461 values in float64: trend, a season of 365 steps and noise.

    The generator is NumPy's old one, whose stream will never change.
    """
    time = np.arange(4 * 365 + 1)
    phase = (time % 365) / 365
    season = 40 * np.where(phase < 0.4, np.cos(phase * 2 * np.pi), 1 / np.exp(3 * phase))
    noise = 5 * np.random.RandomState(42).randn(len(time))
    return 10 + 0.05 * time + season + noise


class SyntheticSeries(Series):
    """The series of the notes, generated: trend + season of 365 steps + noise of standard deviation 5; 1,461 steps.

    Training is on steps 0 to 999. The notes report on the 461 steps from 1000 on and have no others: these are both
    ``val`` and ``test``, so a checkpoint that they chose is measured on what chose it. To choose hyperparameters use
    ``inner``, which never looks beyond step 999 until the test. See :class:`Series` for the batches and the arguments
    not listed.

    Args:
        inner: Train on steps 0 to 799 and validate on 800 to 999; the test stays where it is.
    """

    period = 365
    source = {
        "name": "generated: 10 + 0.05 t + season of 365 steps + 5 * noise of NumPy's RandomState(42), 1,461 steps",
        "url": "https://github.com/tensorflow/examples/tree/master/courses/udacity_intro_to_tensorflow_for_deep_learning",
        "licence": "CC0-1.0",
    }

    def __init__(self, inner: bool = False, **options: Any) -> None:
        values = synthetic_series()[:, None]
        recording = Recording("the synthetic series", values, ["value"], Timeline())
        notes = range(1000, len(values))
        periods = {"train": range(1000), "val": notes, "test": notes}
        if inner:
            periods = {"train": range(800), "val": range(800, 1000), "test": notes}
        super().__init__(recording=recording, periods=periods, **options)


class CO2(DividedSeries):
    """Carbon dioxide in the air above Mauna Loa, weekly, 29 March 1958 to 29 December 2001, in ppm; from statsmodels.

    Of the 2,284 weeks 59 have no measurement and are interpolated linearly. See :class:`DividedSeries` for the batches
    and the arguments not listed.

    Args:
        window: Number of points that a window shows, or that a chunk of the lanes has.
    """

    period = 52
    naive_lag = 52

    def __init__(self, window: int = 104, **options: Any) -> None:
        column = co2.load().data["co2"]
        measured = column.to_numpy(dtype=np.float64)
        weeks, there = np.arange(len(measured)), np.isfinite(measured)
        values = np.interp(weeks, weeks[there], measured[there])[:, None]
        self.interpolated = int((~there).sum())
        recording = Recording("CO2", values, ["co2"], Timeline(np.datetime64(column.index[0].date()), 7))
        super().__init__(recording=recording, window=window, **options)

    @property
    def source(self) -> dict[str, str]:
        """Name, authors, licence and checksum."""
        return {
            "name": "weekly CO2 above Mauna Loa, 1958 to 2001 (C.D. Keeling and T.P. Whorf, 2004), "
            f"{self.interpolated} weeks interpolated",
            "url": "http://cdiac.ornl.gov/trends/co2/sio-keel-flask/sio-keel-flaskmlo_c.html",
            "licence": "public domain",
            **_packaged(self.recording),
        }


class Sunspots(DividedSeries):
    """Sunspots of each year from 1700 to 2008, in cycles of about eleven years; from statsmodels.

    See :class:`DividedSeries` for the batches and the arguments not listed.

    Args:
        window: Number of points that a window shows, or that a chunk of the lanes has.
    """

    # The length of a cycle is no constant: nine to fourteen years.
    period = 11

    def __init__(self, window: int = 22, **options: Any) -> None:
        values = np.array(sunspots.load().data["SUNACTIVITY"], dtype=np.float64)[:, None]
        recording = Recording("Sunspots", values, ["sunspots"], Timeline(np.datetime64("1700", "Y"), 1, "Y"))
        super().__init__(recording=recording, window=window, **options)

    @property
    def source(self) -> dict[str, str]:
        """Name, address, licence and checksum."""
        return {
            "name": "yearly sunspots, 1700 to 2008 (National Geophysical Data Center)",
            "url": "http://www.ngdc.noaa.gov/stp/solar/solarda3.html",
            "licence": "public domain",
            **_packaged(self.recording),
        }


def _packaged(recording: Recording) -> dict[str, str]:
    return {
        "bundled with": f"statsmodels {statsmodels.__version__}",
        "sha256 of values": hashlib.sha256(recording.values.astype("<f8").tobytes()).hexdigest(),
    }
