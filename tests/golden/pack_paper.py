"""Packs the paper's figures into python/a3crs/published/data: `python tests/golden/pack_paper.py DIRECTORY`.

DIRECTORY holds what was read from the vector graphics of the paper's PDF (arXiv 1602.01783v2), calibrated on the grid
lines of each panel: figures_curves.csv (figure, panel, series, x, y, band_lo, band_hi) and figures_scatter.csv (figure,
method, game, learning_rate, score). Names become those of our settings, epochs become frames.
"""

import sys
from pathlib import Path

import polars as pl

DATA = Path(__file__).parents[2] / "python" / "a3crs" / "published" / "data"
FRAMES_PER_EPOCH = 4_000_000  # section 8
ALGOS = {"1-step Q": "one-step-q", "1-step SARSA": "one-step-sarsa", "n-step Q": "n-step-q", "A3C": "a3c", "DQN": "dqn"}
OPTIMIZERS = {"SGD": "momentum-sgd", "RMSProp": "rmsprop", "Shared RMSProp": "shared-rmsprop"}
AXES = {"1": "hours", "3": "frames", "4": "hours", "S5": "rank", "S6": "hours", "S9": "frames", "S10": "hours"}
SIXTEEN = ("1", "S5", "S6")  # these figures compare other things than threads


def curves(raw: pl.DataFrame) -> pl.DataFrame:
    method = pl.col("series").str.split(", ").list.first()
    variant = pl.col("series").str.split(", ").list.get(1, null_on_oob=True)
    of_threads = pl.col("figure").is_in(SIXTEEN) & ~pl.col("series").is_in(["DQN", "human tester"])
    x = (
        pl.col("x").round() + 0.0
    )  # no -0; points lie at whole hours, epochs and ranks; the axes were read to 1e-4 of their length
    assert (raw["x"] - raw["x"].round()).abs().max() < 2e-3
    return raw.select(
        "figure",
        game="panel",
        algo=method.replace(ALGOS).replace("human tester", "human"),
        actors=pl.when(of_threads).then(16).otherwise(variant.str.extract(r"^(\d+) thread").cast(pl.Int64)),
        optimizer=variant.replace_strict(OPTIMIZERS, default=None),
        axis=pl.col("figure").replace_strict(AXES),
        x=pl.when(pl.col("figure").replace_strict(AXES) == "frames").then(x * FRAMES_PER_EPOCH).otherwise(x),
        score="y",
        low="band_lo",
        high="band_hi",
    )


def learning_rates(raw: pl.DataFrame) -> pl.DataFrame:
    return raw.select(
        "figure", "game", pl.col("method").replace(ALGOS).alias("algo"), lr="learning_rate", score="score"
    )


if __name__ == "__main__":
    source = Path(sys.argv[1])
    for name, pack, file in (
        ("curves", curves, "figures_curves"),
        ("learning_rates", learning_rates, "figures_scatter"),
    ):
        packed = pack(pl.read_csv(source / f"{file}.csv", schema_overrides={"figure": pl.String}))
        packed = packed.with_columns(pl.col(pl.Float64).exclude("x").cast(pl.Float32))
        packed.write_parquet(DATA / f"{name}.parquet", compression="zstd", compression_level=19)
        print(name, packed.shape, packed.head(2), (DATA / f"{name}.parquet").stat().st_size)
