"""Tools of those who work on the zoo; nothing here is installed."""
