"""The verbs of the command line, a file each (those that only differ in a word share one)."""
