"""Logs of runs as Polars frames, and the metrics and figures made of them.

`load` reads (`load.episodes("runs")`), `metrics`, `intervals` and `references` compute, `figures` draws, and
`comparison` combines these; `a3crs.published.paper` has the paper's own figures and tables. The package only reads
files: it loads neither the core nor an environment, and it may be used while a run is being trained.
"""
