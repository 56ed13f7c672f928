"""Published numbers and the names of games: the ground on which `runlog`, `paper` and the evaluations stand.

`games` parses names of Atari games, `atari57` has the benchmark's random and human scores, and `paper` the figures and
tables of Mnih et al. 2016. Nothing here needs the core or an environment.
"""
