"""Benchmarks: `python -m bench` prints one line per figure. They are never part of the timed tests."""
