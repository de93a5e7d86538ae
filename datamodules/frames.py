"""What pandas holds, as numbers, texts and times; pandas itself is not imported. Any room may import this file."""

from typing import Any

import numpy as np

from datamodules.errors import DataError
from datamodules.series.timeline import on_one_clock


def is_frame(given: Any) -> bool:
    """Whether something is a ``DataFrame`` or a ``Series`` of pandas."""
    return type(given).__module__.partition(".")[0] == "pandas" and hasattr(given, "iloc")


def numbers(frame: Any) -> np.ndarray:
    """The numbers of a frame ``(N, F)``, or of a series ``(N,)``; NaN where one is missing.

    Raises:
        DataError: A column holds something else.
    """
    for name, dtype in _columns(frame):
        if getattr(dtype, "kind", "O") not in "biuf":
            raise DataError(f"{_called(name)} holds {dtype}, expected numbers; leave it out, or make numbers of it")
    values = frame.to_numpy()
    # Pandas' own types, which know what is missing, come as objects.
    return frame.to_numpy(dtype="float64", na_value=np.nan) if values.dtype.kind == "O" else values


def continued(frame: Any, values: np.ndarray, future: np.ndarray | None) -> Any:
    """Values that follow a frame, in one like it.

    Args:
        frame: A ``DataFrame``, or a ``Series``, whose index is one of times, of periods, or of numbers.
        values: ``(H, C)``, or ``(H,)`` of a series.
        future: The times of the values, ``datetime64``, as :func:`times` has them; None if it has none.

    Returns:
        A ``DataFrame`` or ``Series`` with the same columns or name, whose index goes on where that of the frame ends.
    """
    index, count = frame.index, len(values)
    if future is None:
        step = index[-1] - index[-2] if len(index) > 1 and getattr(index.dtype, "kind", "O") in "iu" else 1
        first = int(index[-1]) + step if getattr(index.dtype, "kind", "O") in "iu" else len(index)
        following = type(frame.reset_index(drop=True).index)(range(first, first + step * count, step))
    elif hasattr(index, "to_timestamp"):
        following = index[-1] + np.arange(1, count + 1)
    else:
        following = type(index)(future, name=index.name)
        known = times(frame)
        if index.tz is not None and known is not None:
            zone = index.tz if known[-1] == index[-1].tz_localize(None).to_numpy() else "UTC"
            following = following.tz_localize(zone).tz_convert(index.tz)
    if hasattr(frame, "columns"):
        return type(frame)(values, index=following, columns=frame.columns)
    return type(frame)(values, index=following, name=frame.name)


def texts(frame: Any) -> list[str]:
    """The texts of a series, or of a frame of one column.

    Raises:
        DataError: There are several columns, or something in it is no text.
    """
    columns = [name for name, _ in _columns(frame)]
    if len(columns) != 1:
        listed = ", ".join(map(str, columns))
        raise DataError(f"there are the columns {listed}; expected one of texts, such as frame['text']")
    found = list(frame.iloc[:, 0] if hasattr(frame, "columns") else frame)
    wrong = next((place for place, one in enumerate(found) if not isinstance(one, str)), None)
    if wrong is not None:
        raise DataError(f"{_called(columns[0])} holds {found[wrong]!r} in row {wrong}, expected a text in each")
    return found


def _columns(frame: Any) -> list[tuple[Any, Any]]:
    """Name and type of each column; a series is one."""
    return list(frame.dtypes.items()) if hasattr(frame, "columns") else [(frame.name, frame.dtype)]


def _called(name: Any) -> str:
    return "the series" if name is None else f"column {name!r}"


def times(frame: Any) -> np.ndarray | None:
    """The times of rows, ``datetime64[us]`` ``(N,)``; None if the index has none.

    Where they know their zone they are in UTC, but for those that are always of the same time of day: they are days of
    its calendar, as in a file. See :func:`~datamodules.series.timeline.on_one_clock`.

    Raises:
        DataError: A row has no time.
    """
    index = frame.index
    if hasattr(index, "to_timestamp"):  # periods begin then
        index = index.to_timestamp()
    if getattr(index.dtype, "kind", "O") != "M":
        return None
    if index.hasnans:
        raise DataError(f"row {int(np.flatnonzero(index.isna())[0])} has no time in the index; expected one in each")
    if index.tz is None:
        return index.to_numpy().astype("M8[us]")
    walls, moments = (one.to_numpy().astype("M8[us]") for one in (index.tz_localize(None), index.tz_convert(None)))
    return on_one_clock(walls, moments)
