"""Benchmarks of speed and memory, a file a wing.

Data flows one way: :mod:`report` and :mod:`checkout` say what a section of ``benchmarks.md`` tells, :mod:`harness`
measures, each wing has its benchmarks, :mod:`__main__` the list of them. Only the harness and the wings import torch,
and they are imported when something is measured.
"""
