"""What data modules say of the data beside faults: repairs, what was found, what will be left alone."""

import logging

from lightning.pytorch.utilities import rank_zero_only

# Beside Lightning's loggers: what silences them shall hide no repair.
log = logging.getLogger("datamodules")


@rank_zero_only
def tell(message: str) -> None:
    """Says a line on the screen, once for all processes."""
    log.warning(message)
