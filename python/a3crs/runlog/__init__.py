"""What runs have written, as Polars frames, and what follows from it.

`load` reads (`load.episodes("runs")`), `metrics`, `intervals` and `references` compute, `figures` draws, `paper` has
the paper's own figures and tables, and `comparison` puts these together. Reads files only: it needs neither the core
nor any environment, and works while a run goes on.
"""
