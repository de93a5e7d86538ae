"""The one exception that a data module raises for data it cannot deliver."""


class DataError(Exception):
    """Bad or missing data, told in one line: what was found, what was expected, what to do."""
