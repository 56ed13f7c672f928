//! Register tile: a small matrix product whose result stays in registers.
//!
//! ```text
//! C[p][v] += sum over k of  A[p, k] * B[k, v]        P rows (scalars, broadcast)  x  NV vectors
//! ```
//!
//! Every convolution and every batched linear layer is this product with other strides. The kernels choose the sums
//! that are accumulated in one tile ([`multiply_add`] may be called many times) and the order of the tiles.
//!
//! A tile is fast if its `P * NV` accumulators fit the register file and are at least [`FMA_IN_FLIGHT`]; [`cover`]
//! picks `P` and `NV` accordingly.

use super::simd::Simd;
use super::{Isa, Kernel, dispatch};
use std::ops::Range;

/// Accumulators of a tile, in registers.
pub(super) type Tile<V, const P: usize, const NV: usize> = [[V; NV]; P];

/// Left factor of the product: element `(p, k)` lies at `ptr[p * row + k * col]`.
#[derive(Clone, Copy)]
pub(super) struct Strided {
    pub ptr: *const f32,
    pub row: usize,
    pub col: usize,
}

/// Number of independent multiply-adds that keep a core busy: 4 cycles of latency, 2 per cycle, and a few more because
/// scheduling is not ideal.
const FMA_IN_FLIGHT: usize = 10;

/// Computes `tile[p][v] += sum over k of a[p, k] * b[k * b_row + v]`, `k` in `0..len`.
///
/// # Safety
/// `a` is readable at every `(p < P, k < len)`, and `b` for `NV` vectors at every `k * b_row`.
#[inline(always)]
pub(super) unsafe fn multiply_add<S: Simd, const P: usize, const NV: usize>(
    simd: S,
    tile: &mut Tile<S::V, P, NV>,
    a: Strided,
    b: *const f32,
    b_row: usize,
    len: usize,
) {
    for k in 0..len {
        // SAFETY: `k < len`; the caller grants this row of `b`.
        let b: [S::V; NV] = unsafe { load(simd, b.add(k * b_row)) };
        for (p, row) in tile.iter_mut().enumerate() {
            // SAFETY: `p < P` and `k < len`; the caller grants this element of `a`.
            let a = simd.splat(unsafe { *a.ptr.add(p * a.row + k * a.col) });
            for (c, b) in row.iter_mut().zip(b) {
                *c = simd.mul_add(a, b, *c);
            }
        }
    }
}

/// Computes `tile[p][v] += sum over k of rows[p][k] * b[k * b_row + v]`, `k` in `0..len`, for rows at arbitrary
/// addresses.
///
/// # Safety
/// Each of `rows` is readable for `len`, and `b` for `NV` vectors at every `k * b_row`.
#[inline(always)]
pub(super) unsafe fn multiply_add_rows<S: Simd, const P: usize, const NV: usize>(
    simd: S,
    tile: &mut Tile<S::V, P, NV>,
    rows: [*const f32; P],
    b: *const f32,
    b_row: usize,
    len: usize,
) {
    // The addresses of many rows do not fit the registers, so each is loaded once for `TOGETHER` products.
    let together = if S::REGISTERS == 32 { len / TOGETHER * TOGETHER } else { 0 };
    // SAFETY: both loops stay below `len`; the caller guarantees the rest.
    unsafe {
        for k in (0..together).step_by(TOGETHER) {
            products::<S, P, NV, TOGETHER>(simd, tile, &rows, k, b.add(k * b_row), b_row);
        }
        for k in together..len {
            products::<S, P, NV, 1>(simd, tile, &rows, k, b.add(k * b_row), b_row);
        }
    }
}

/// Number of products of a row that are computed together.
const TOGETHER: usize = 1;

/// Adds the products of `K` elements of each row to the tile.
///
/// # Safety
/// The conditions of [`multiply_add_rows`] hold for the `K` elements from `k` on; `b` is at the first of them.
#[inline(always)]
unsafe fn products<S: Simd, const P: usize, const NV: usize, const K: usize>(
    simd: S,
    tile: &mut Tile<S::V, P, NV>,
    rows: &[*const f32; P],
    k: usize,
    b: *const f32,
    b_row: usize,
) {
    // SAFETY: granted by the caller.
    unsafe {
        let mut factors = [[simd.splat(0.0); NV]; K];
        for (i, factors) in factors.iter_mut().enumerate() {
            *factors = load(simd, b.add(i * b_row));
        }
        for (sums, row) in tile.iter_mut().zip(rows) {
            let a = row.add(k);
            for (i, factors) in factors.iter().enumerate() {
                let a = simd.splat(*a.add(i));
                for (sum, b) in sums.iter_mut().zip(factors) {
                    *sum = simd.mul_add(a, *b, *sum);
                }
            }
        }
    }
}

/// Loads `NV` vectors from `p` on.
///
/// # Safety
/// `p` is valid for reading `NV` vectors.
#[inline(always)]
pub(super) unsafe fn load<S: Simd, const NV: usize>(simd: S, p: *const f32) -> [S::V; NV] {
    let mut vectors = [simd.splat(0.0); NV];
    for (v, vector) in vectors.iter_mut().enumerate() {
        // SAFETY: `v < NV`; granted by the caller.
        *vector = unsafe { simd.load(p.add(v * S::LANES)) };
    }
    vectors
}

/// Writes the vectors from `p` on.
///
/// # Safety
/// `p` is valid for writing `NV` vectors.
#[inline(always)]
pub(super) unsafe fn store<S: Simd, const NV: usize>(simd: S, p: *mut f32, vectors: &[S::V; NV]) {
    for (v, vector) in vectors.iter().enumerate() {
        // SAFETY: `v < NV`; granted by the caller.
        unsafe { simd.store(p.add(v * S::LANES), *vector) };
    }
}

/// Writes a tile whose rows are `row` apart.
///
/// # Safety
/// `p` is valid for writing `NV` vectors at every `i * row`, `i < P`.
#[inline(always)]
pub(super) unsafe fn store_tile<S: Simd, const P: usize, const NV: usize>(
    simd: S,
    p: *mut f32,
    row: usize,
    tile: &Tile<S::V, P, NV>,
) {
    for (i, vectors) in tile.iter().enumerate() {
        // SAFETY: `i < P`; granted by the caller.
        unsafe { store(simd, p.add(i * row), vectors) };
    }
}

/// Matrix product that is computed in tiles.
pub(super) trait Tiled {
    /// Computes all rows of the columns `columns` (a multiple of `NV` vectors) in tiles of `P x NV`; `P` is at most the
    /// number of rows.
    ///
    /// # Safety
    /// `columns` lies within the columns given to [`cover`].
    unsafe fn run<S: Simd, const P: usize, const NV: usize>(&mut self, simd: S, columns: Range<usize>);
}

/// Computes a `rows x columns` product in tiles that suit the instruction set. Columns at the end that do not fill a
/// vector are left to the caller.
pub(super) fn cover<T: Tiled>(isa: Isa, rows: usize, columns: usize, product: T) {
    dispatch(isa, Cover { rows, columns, product });
}

struct Cover<T> {
    rows: usize,
    columns: usize,
    product: T,
}

impl<T: Tiled> Kernel for Cover<T> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        macro_rules! run {
            ($nv:literal vectors, rows $($p:literal)+, $columns:expr) => {
                match rows_of_tile(self.rows, $nv, &[$($p),+]) {
                    // SAFETY: the columns lie within those given to `cover`.
                    $($p => unsafe { self.product.run::<S, $p, $nv>(simd, $columns) },)+
                    _ => unreachable!("the tile is one of the list"),
                }
            };
        }
        // Adjacent vectors share the broadcast of `a`, and rows share the load of `b`; both take the remaining
        // registers.
        let wide = if S::LANES >= 8 { 2 * S::LANES } else { 4 * S::LANES };
        let (most, all) = (self.columns / wide * wide, self.columns / S::LANES * S::LANES);
        if most > 0 {
            match (S::LANES, S::REGISTERS) {
                (16, _) => run!(2 vectors, rows 10 9 8 6 5 4 2 1, 0..most),
                (8, _) => run!(2 vectors, rows 6 5 4 2 1, 0..most),
                (_, 32) => run!(4 vectors, rows 6 5 4 2 1, 0..most),
                _ => run!(4 vectors, rows 2 1, 0..most),
            }
        }
        if all > most {
            match S::REGISTERS {
                32 => run!(1 vectors, rows 16 12 8 4 1, most..all),
                _ => run!(1 vectors, rows 8 4 1, most..all),
            }
        }
    }
}

/// Returns the height of the tile that covers `rows` in the fewest cycles. `heights` descend to 1; the largest wins a
/// tie.
#[inline]
fn rows_of_tile(rows: usize, vectors: usize, heights: &[usize]) -> usize {
    let cycles = |p: usize| rows.div_ceil(p) * (p * vectors).max(FMA_IN_FLIGHT);
    heights.iter().copied().filter(|&p| p <= rows).min_by_key(|&p| cycles(p)).unwrap_or(1)
}

/// Returns the starts of the tiles of `size` that cover `0..n`, where `size <= n`. The last tile is moved back to end
/// at `n`. It computes some rows a second time, which costs less than a tile of another shape.
#[inline(always)]
pub(super) fn starts(n: usize, size: usize) -> impl Iterator<Item = usize> {
    (0..n).step_by(size).map(move |first| first.min(n - size))
}

/// Computes `sums[j] = sum over i of x[i, j]` for `x` of shape `(rows, sums.len())`, whose width is a multiple of
/// [`super::LANE_PAD`]. This is the gradient of a bias.
pub(super) fn column_sums(isa: Isa, x: &[f32], sums: &mut [f32]) {
    struct ColumnSums<'a>(&'a [f32], &'a mut [f32]);
    impl Kernel for ColumnSums<'_> {
        type Out = ();
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            let ColumnSums(x, sums) = self;
            let columns = sums.len();
            for column in (0..columns).step_by(S::LANES) {
                let mut sum = [simd.splat(0.0); 4];
                for four in x.chunks(4 * columns) {
                    for (sum, row) in sum.iter_mut().zip(four.chunks_exact(columns)) {
                        // SAFETY: `row` has `columns` elements, a multiple of `LANES`, of which `column` starts a
                        // vector.
                        *sum = simd.add(*sum, unsafe { simd.load(row.as_ptr().add(column)) });
                    }
                }
                let total = simd.add(simd.add(sum[0], sum[1]), simd.add(sum[2], sum[3]));
                // SAFETY: as for `row`.
                unsafe { simd.store(sums.as_mut_ptr().add(column), total) };
            }
        }
    }
    dispatch(isa, ColumnSums(x, sums));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_wastes_neither_rows_nor_the_latency_of_the_multiplier() {
        let heights = [20, 16, 12, 8, 4, 1];
        assert_eq!([20, 32, 21, 9, 3].map(|rows| rows_of_tile(rows, 1, &heights)), [20, 16, 12, 8, 1]);
        let heights = [10, 9, 8, 6, 5, 4, 2, 1];
        assert_eq!([9, 64, 7, 3].map(|rows| rows_of_tile(rows, 2, &heights)), [9, 8, 5, 2]);
    }

    #[test]
    fn the_tiles_cover_everything_and_stay_inside() {
        assert_eq!(starts(9, 4).collect::<Vec<_>>(), [0, 4, 5]);
        assert_eq!(starts(8, 4).collect::<Vec<_>>(), [0, 4]);
        assert_eq!(starts(0, 1).count(), 0);
    }
}
