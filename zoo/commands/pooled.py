"""Which of many series can be continued, each by itself."""

import torch

from datamodules.errors import listed
from datamodules.series.series import Series
from zoo.errors import ZooError
from zoo.series.forecaster import Forecaster
from zoo.terminal import warn


def going_on(model: Forecaster, data: Series) -> list[int]:
    """The places of the series that go on at the end of the others, and are long enough; the rest is told.

    Args:
        model: What is to continue them.
        data: The series.

    Raises:
        ZooError: There is none.
    """
    least = model.shortest + model.reach
    is_over = data.values[-1].isnan()
    is_short = ~is_over & ((~data.values.isnan()).sum(0) < least)
    last = data.recording.timeline.write(data.times[-1:])[0]
    for left, why in ((is_over, f"end before {last}"), (is_short, f"have less than {least} points")):
        if left.any():
            names = [data.names[place] for place in left.nonzero().flatten().tolist()]
            told = f"{len(names)} of {len(data.names)} series in {data.recording.name} {why}"
            warn(f"{told}: {listed(names, 3)}; left out")
    places: list[int] = torch.nonzero(~is_over & ~is_short).flatten().tolist()
    if not places:
        raise ZooError(f"{data.recording.name} has no series of {least} points that goes on until {last}")
    return places
