"""What measures the figures in docs/figures/, and makes the pages of docs/ from them.

Each is a program, run from the repository's root: ``python -m benchmarks.live.run --help``.
"""
