//! Gradient with respect to flat theta that keeps outer products as their factors.
//!
//! The fully connected layer holds 97 % of the Atari network's parameters. Its gradient over a segment of `n` steps has
//! rank `n`: `dW[i, j] = sum_t x[t, i] delta[t, j]`. The gradient of an LSTM, the other large layer, has the same form.
//! Writing it, reading it for its norm and reading it again for the update would cost as much memory traffic as the
//! update itself.

use super::activation::sum_of_squares;
use super::simd::Simd;
use super::{Isa, Kernel, dispatch};
use std::ops::Range;

/// Largest rank of an outer product that is kept as factors; with more steps it is written out.
pub const MAX_RANK: usize = 32;

/// Largest number of outer products in a gradient.
pub const MAX_OUTER: usize = 4;

/// Gradient d_theta. It is `dense`, except in the ranges of `outer`, where the contents of `dense` are unspecified.
#[derive(Clone, Copy, Debug)]
pub struct Gradient<'a> {
    dense: &'a [f32],
    /// Outer products in the order of theta, followed by none.
    outer: [Option<Outer<'a>>; MAX_OUTER],
}

/// Outer product `d_theta[start + i cols + j] = sum_t x[t, i] delta[t, j]` of `rank` terms.
#[derive(Clone, Copy, Debug)]
pub struct Outer<'a> {
    /// Index of its first element in theta.
    pub start: usize,
    /// Inputs of the layer, `(rank, rows)`.
    pub x: &'a [f32],
    /// Gradient with respect to the layer's outputs, `(rank, cols)`; `cols` is a multiple of [`super::LANE_PAD`].
    pub delta: &'a [f32],
    /// Number of terms, at most [`MAX_RANK`].
    pub rank: usize,
}

impl Outer<'_> {
    fn rows(&self) -> usize {
        self.x.len() / self.rank
    }

    /// Returns the length of a row.
    pub fn cols(&self) -> usize {
        self.delta.len() / self.rank
    }

    /// Returns the part of theta that it covers.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.rows() * self.cols()
    }

    /// Collects the terms of row `i` that are not zero: `x[t, i]` and the start of `delta[t, ..]`. Returns their
    /// number. After a ReLU about half are not zero.
    #[inline(always)]
    pub(crate) fn terms(&self, i: usize, terms: &mut [(f32, usize); MAX_RANK]) -> usize {
        let (rows, cols) = (self.rows(), self.cols());
        let mut n = 0;
        for t in 0..self.rank {
            let x = self.x[t * rows + i];
            if x != 0.0 {
                terms[n] = (x, t * cols);
                n += 1;
            }
        }
        n
    }

    /// Computes `sum_ij dW[i, j]^2 = sum_st (x_s . x_t) (delta_s . delta_t)`.
    fn sum_of_squares(&self, isa: Isa) -> f64 {
        let (rows, cols) = (self.rows(), self.cols());
        let mut sum = 0.0;
        for s in 0..self.rank {
            for t in 0..=s {
                let twice = if s == t { 1.0 } else { 2.0 };
                let x = dot(isa, &self.x[s * rows..][..rows], &self.x[t * rows..][..rows]);
                sum += twice * x * dot(isa, &self.delta[s * cols..][..cols], &self.delta[t * cols..][..cols]);
            }
        }
        if sum < 0.0 { 0.0 } else { sum } // negative by rounding only; NaN stays NaN
    }
}

impl<'a> Gradient<'a> {
    /// Adds an outer product; its range `outer.range()` is no longer read from `dense`.
    ///
    /// # Panics
    /// If `outer` does not lie within `dense` and after those added before, if its shapes do not fit each other, or if
    /// there are [`MAX_OUTER`] already.
    pub fn with_outer(mut self, outer: Outer<'a>) -> Self {
        let Outer { x, delta, rank, .. } = outer;
        assert!((1..=MAX_RANK).contains(&rank), "an outer product of rank {rank}, not 1 to {MAX_RANK}");
        assert!(x.len().is_multiple_of(rank) && delta.len().is_multiple_of(rank * super::LANE_PAD));
        let before = self.outers().last().map_or(0, |before| before.range().end);
        assert!(before <= outer.start && outer.range().end <= self.dense.len(), "outer products out of order");
        assert!(outer.start.is_multiple_of(super::LANE_PAD));
        let Some(free) = self.outer.iter_mut().find(|outer| outer.is_none()) else {
            panic!("more than {MAX_OUTER} outer products")
        };
        *free = Some(outer);
        self
    }

    /// Returns the number of parameters.
    #[allow(clippy::len_without_is_empty, reason = "a gradient is never empty")]
    pub fn len(&self) -> usize {
        self.dense.len()
    }

    /// Returns the outer products, in the order of theta.
    pub fn outers(&self) -> impl Iterator<Item = &Outer<'a>> {
        self.outer.iter().map_while(Option::as_ref)
    }

    /// Returns the dense part and the ranges in which it is valid, some of which may be empty.
    pub(crate) fn dense(&self) -> (&'a [f32], [Range<usize>; MAX_OUTER + 1]) {
        let mut ranges = [const { 0..0 }; MAX_OUTER + 1];
        let mut start = 0;
        for (range, outer) in ranges.iter_mut().zip(self.outers()) {
            let hole = outer.range();
            (*range, start) = (start..hole.start, hole.end);
        }
        ranges[MAX_OUTER] = start..self.dense.len();
        (self.dense, ranges)
    }

    /// Returns the square of the global L2 norm. It is not finite if an element is not finite.
    pub fn sum_of_squares(&self, isa: Isa) -> f64 {
        let (dense, ranges) = self.dense();
        let written: f64 = ranges.into_iter().map(|range| sum_of_squares(isa, &dense[range])).sum();
        written + self.outers().map(|outer| outer.sum_of_squares(isa)).sum::<f64>()
    }

    /// Writes out the whole gradient. This is slow.
    pub fn to_dense(&self) -> Vec<f32> {
        let mut d_theta = self.dense.to_vec();
        for outer in self.outers() {
            for (at, d) in d_theta[outer.range()].iter_mut().enumerate() {
                let (i, j) = (at / outer.cols(), at % outer.cols());
                let term = |t: usize| outer.x[t * outer.rows() + i] * outer.delta[t * outer.cols() + j];
                *d = (0..outer.rank).map(term).sum();
            }
        }
        d_theta
    }
}

impl<'a, D: AsRef<[f32]> + ?Sized> From<&'a D> for Gradient<'a> {
    /// Wraps a dense gradient, `(parameters)`.
    fn from(dense: &'a D) -> Self {
        Gradient { dense: dense.as_ref(), outer: [None; MAX_OUTER] }
    }
}

/// Returns `sum_i a[i] b[i]` for two rows of equal length.
fn dot(isa: Isa, a: &[f32], b: &[f32]) -> f64 {
    struct Dot<'a>(&'a [f32], &'a [f32]);
    impl Kernel for Dot<'_> {
        type Out = f64;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> f64 {
            let Dot(a, b) = self;
            assert_eq!(a.len(), b.len());
            let whole = a.len() / (4 * S::LANES) * (4 * S::LANES);
            let mut sums = [s.splat(0.0); 4]; // four, so that an addition need not wait for the previous one
            for i in (0..whole).step_by(4 * S::LANES) {
                for (k, sum) in sums.iter_mut().enumerate() {
                    let at = i + k * S::LANES;
                    // SAFETY: `at + LANES <= whole`, which is within both rows.
                    *sum = unsafe { s.mul_add(s.load(a.as_ptr().add(at)), s.load(b.as_ptr().add(at)), *sum) };
                }
            }
            let vectors = s.sum(s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3])));
            let rest: f32 = a[whole..].iter().zip(&b[whole..]).map(|(a, b)| a * b).sum();
            f64::from(vectors) + f64::from(rest)
        }
    }
    dispatch(isa, Dot(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns two outer products of 7 rows of 32 columns, two of whose rows have no term. Before, between and after
    /// them are 16 dense elements each.
    fn outer_of(x: &mut [f32; 21], delta: &mut [f32; 96]) -> Gradient<'static> {
        for (i, x) in x.iter_mut().enumerate() {
            *x = if i % 7 == 2 || i % 7 == 5 || i == 8 { 0.0 } else { i as f32 * 0.3 - 2.0 };
        }
        delta.iter_mut().enumerate().for_each(|(i, d)| *d = (i as f32 * 0.7).sin());
        let dense: &'static [f32] = Box::leak(vec![0.5; 16 + 2 * 7 * 32 + 16 + 16].into());
        let (x, delta) = (Box::leak(Box::new(*x)), Box::leak(Box::new(*delta)));
        let outer = Outer { start: 16, x, delta, rank: 3 };
        Gradient::from(dense).with_outer(outer).with_outer(Outer { start: 16 + 7 * 32 + 16, ..outer })
    }

    #[test]
    fn the_norm_of_an_outer_product_is_that_of_its_elements() {
        let gradient = outer_of(&mut [0.0; 21], &mut [0.0; 96]);
        let expected: f64 = gradient.to_dense().iter().map(|d| f64::from(*d).powi(2)).sum();
        for isa in Isa::available() {
            let sum = gradient.sum_of_squares(isa);
            assert!((sum - expected).abs() < 1e-5 * expected, "{}: {sum} {expected}", isa.name());
        }
    }

    #[test]
    fn a_factor_that_is_not_finite_makes_the_norm_not_finite() {
        for bad in [f32::NAN, f32::INFINITY] {
            let (x, delta) = ([bad, 1.0], [1.0f32; 16]);
            let dense = [0.0; 32];
            let gradient = Gradient::from(&dense).with_outer(Outer { start: 0, x: &x, delta: &delta, rank: 1 });
            assert!(Isa::available().iter().all(|isa| !gradient.sum_of_squares(*isa).is_finite()));
        }
    }

    #[test]
    fn what_is_written_out_is_what_no_outer_product_covers() {
        let gradient = outer_of(&mut [0.0; 21], &mut [0.0; 96]);
        let (dense, ranges) = gradient.dense();
        let holes = gradient.outers().flat_map(Outer::range);
        let mut covered: Vec<usize> = ranges.into_iter().flatten().chain(holes).collect();
        covered.sort_unstable();
        assert_eq!(covered, (0..dense.len()).collect::<Vec<_>>());
        assert_eq!(gradient.to_dense().iter().filter(|d| **d == 0.5).count(), 3 * 16);
    }

    #[test]
    #[should_panic(expected = "out of order")]
    fn outer_products_that_overlap_are_refused() {
        let (dense, x, delta) = ([0.0; 32], [1.0; 2], [1.0f32; 16]);
        let outer = Outer { start: 0, x: &x, delta: &delta, rank: 1 };
        let _ = Gradient::from(&dense).with_outer(outer).with_outer(outer);
    }

    #[test]
    fn the_terms_of_a_row_are_those_that_are_not_zero() {
        let gradient = outer_of(&mut [0.0; 21], &mut [0.0; 96]);
        let (outer, mut terms) = (gradient.outers().next().unwrap(), [(0.0, 0); MAX_RANK]);
        assert_eq!(outer.terms(2, &mut terms), 0);
        assert_eq!(outer.terms(1, &mut terms), 2);
        assert_eq!([terms[0].1, terms[1].1], [0, 2 * 32]);
    }
}
