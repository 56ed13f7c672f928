"""Points of a published curve: its height at any x, and the part of it up to an x."""

from itertools import pairwise

import polars as pl


def height_at(curve: pl.DataFrame, x: float, column: str = "score") -> float | None:
    """Returns the height of a curve at x, by linear interpolation; None outside the curve."""
    points = list(curve.drop_nulls(column).sort("x").select("x", column).iter_rows())
    for (left, low), (right, high) in pairwise(points):
        if left <= x <= right:
            return float(low + (high - low) * (x - left) / (right - left))
    return None


def until(curve: pl.DataFrame, end: float) -> pl.DataFrame:
    """Returns the points up to x = end, with an interpolated one at the end where the curve goes on."""
    inside = curve.filter(pl.col("x") <= end)
    if inside.is_empty() or inside.height == curve.height:
        return inside
    there = {"x": end} | {name: height_at(curve, end, name) for name in ("score", "low", "high")}
    last = pl.DataFrame([curve.row(0, named=True) | there], schema=curve.schema)
    return pl.concat([inside.filter(pl.col("x") < end), last])
