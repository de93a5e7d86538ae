"""Two texts that no reader can mistake."""

GOOD, BAD = "a truly great and moving film", "a dull and tedious mess"
