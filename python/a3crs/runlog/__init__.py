"""What a run has written, as Polars frames: `load.episodes(run)`, `load.progress(run)`, `load.evals(run)`.

Reads files only: it needs neither the core nor any environment, and works while the run goes on.
"""
