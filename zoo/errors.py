"""The one exception that the zoo raises for what its user can mend."""

from datamodules.errors import UserError
from datamodules.errors import did_you_mean as did_you_mean
from datamodules.errors import shortened as shortened


class ZooError(UserError):
    """Bad input, told in one line: what was found, what was expected, what to type."""
