"""The length of a season, found by autocorrelation."""

import numpy as np

from datamodules.series.timeline import Timeline

# Lengths that calendars make likely, by the unit of a step and how many of them a step has.
_LIKELY = {
    ("M", 1): (12,),
    ("M", 2): (6,),
    ("M", 3): (4,),
    ("M", 4): (3,),
    ("M", 6): (2,),
    ("D", 1): (7, 365),
    ("B", 1): (5,),
    ("D", 7): (52,),
    ("h", 1): (24, 168),
    ("h", 2): (12, 84),
    ("h", 3): (8, 56),
    ("h", 4): (6, 42),
    ("h", 6): (4, 28),
    ("h", 8): (3, 21),
    ("h", 12): (2, 14),
    ("m", 30): (48, 336),
    ("m", 20): (72, 504),
    ("m", 15): (96, 672),
    ("m", 10): (144, 1008),
    ("m", 5): (288, 2016),
    ("m", 1): (60, 1440),
}
# What a season must reach to be believed in, one that the calendar makes likely and any other: how many of them are
# known, and the autocorrelation.
_KNOWN_LIKELY, _KNOWN = 3, 8
_LEAST_LIKELY, _LEAST = 0.2, 0.5
# A likely length is taken if its autocorrelation reaches this share of the highest, a short one likewise.
_ALMOST, _NEARLY = 0.7, 0.9
# What is left of values by rounding.
_ROUNDING = 1e-9
# Of longer series the end tells.
_LONGEST = 50_000


def find_period(values: np.ndarray, timeline: Timeline) -> tuple[int, float]:
    """Finds the length of the strongest season of a series.

    Candidates are the lengths that the calendar makes likely and the peaks of the autocorrelation of the steps. Each is
    judged by the autocorrelation, at its lag, of what a moving average over that length leaves: neither a trend nor a
    slower wave remains there.

    Args:
        values: What is known, ``(T,)``, or ``(T, C)``: the mean over the series counts.
        timeline: When it was measured.

    Returns:
        Steps of a season, 1 if there is none, and the autocorrelation at that lag.
    """
    columns = np.asarray(values, dtype=np.float64).reshape(len(values), -1)[-_LONGEST:].T
    length = columns.shape[1]
    unit = "M" if timeline.unit == "BM" else timeline.unit
    likely = [lag for lag in _LIKELY.get((unit, timeline.every), ()) if lag * _KNOWN_LIKELY <= length]

    def strength(lag: int) -> float:
        found = float(np.mean([_seasonality(column, lag) for column in columns]))
        bound = max(_LEAST_LIKELY if lag in likely else _LEAST, 2.6 / np.sqrt(length - lag))
        return found if found > bound else 0.0

    found = {lag: strength(lag) for lag in {*likely, *_peaks(columns, length // _KNOWN)}}
    highest = max(found.values(), default=0.0)
    if not highest:
        return 1, 0.0
    usual = [lag for lag in likely if found[lag] >= _ALMOST * highest]
    if usual:
        return usual[0], found[usual[0]]
    lag = max(found, key=found.__getitem__)
    # Of a season of ten, twenty is one, too.
    parts = {part: strength(part) for count in range(2, lag // 3 + 1) if (part := round(lag / count)) > 2}
    lag = min((part for part in parts if parts[part] >= _NEARLY * highest), default=lag)
    return lag, {**found, **parts}[lag]


def _peaks(columns: np.ndarray, longest: int) -> list[int]:
    """The lags at which the steps of the series are most alike, ten at most."""
    if longest < 3:
        return []
    correlation = np.mean([_autocorrelation(np.diff(column)) for column in columns], axis=0)[: longest + 1]
    middle = correlation[1:-1]
    peaks = 1 + np.flatnonzero((middle > correlation[:-2]) & (middle >= correlation[2:]) & (middle > 0))
    peaks = peaks[peaks > 2]
    return [int(lag) for lag in peaks[np.argsort(-correlation[peaks])][:10]]


def _seasonality(values: np.ndarray, lag: int) -> float:
    """Autocorrelation at a lag of what a centred moving average of that length leaves."""
    weights = np.full(lag, 1 / lag) if lag % 2 else np.r_[0.5, np.ones(lag - 1), 0.5] / lag
    sums = np.cumsum(np.r_[0.0, values - values[0]])
    width = len(weights)
    level = (sums[width:] - sums[:-width]) / width if lag % 2 else np.convolve(values - values[0], weights, "valid")
    margin = width // 2
    rest = values[margin : margin + len(level)] - values[0] - level
    if rest.std() < _ROUNDING * np.abs(values).max():
        return 0.0
    before, after = rest[:-lag] - rest.mean(), rest[lag:] - rest.mean()
    scale = np.sqrt((before**2).mean() * (after**2).mean())
    return float((before * after).mean() / scale) if scale > 0 else 0.0


def _autocorrelation(values: np.ndarray) -> np.ndarray:
    """That of a series at lags from 0 on."""
    rest = values - values.mean()
    size = 1 << (2 * len(rest) - 1).bit_length()
    spectrum = np.fft.rfft(rest, size)
    sums = np.fft.irfft(spectrum * spectrum.conj(), size)[: len(rest)]
    return sums / sums[0] if sums[0] > 0 else np.zeros(len(rest))
