import polars as pl
import pytest

from a3crs.runlog.curves import height_at, until

CURVE = pl.DataFrame({"x": [0.0, 10.0, 20.0], "score": [0.0, 5.0, 25.0], "low": [None, 1.0, 3.0], "high": None})
CURVE = CURVE.with_columns(pl.col("high").cast(pl.Float64))


@pytest.mark.parametrize(("x", "height"), [(0, 0.0), (4, 2.0), (15, 15.0), (20, 25.0), (-1, None), (20.1, None)])
def test_a_height_is_linear_between_points_and_unknown_outside(x, height):
    assert height_at(CURVE, x) == height


def test_a_curve_is_cut_between_two_points():
    assert until(CURVE, 15).rows() == [(0, 0, None, None), (10, 5, 1, None), (15, 15, 2, None)]
    assert until(CURVE, 10).rows() == CURVE.rows()[:2]
    assert until(CURVE, 30).equals(CURVE)
    assert until(CURVE, -1).is_empty()
