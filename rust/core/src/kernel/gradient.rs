//! A gradient by flat theta that is not written out where it is an outer product.
//!
//! The fully connected layer holds 97 % of the Atari network's parameters, and its gradient over a segment of `n` steps has
//! rank `n`: `dW[i, j] = sum_t x[t, i] delta[t, j]`. Writing it, reading it for its norm and reading it again for the update
//! would cost as much memory traffic as the update itself.

use super::activation::sum_of_squares;
use super::simd::Simd;
use super::{Isa, Kernel, dispatch};
use std::ops::Range;

/// An outer product of more steps than this is written out.
pub const MAX_RANK: usize = 32;

/// d_theta. It is `dense`, except in the range of `outer`, where `dense` holds anything.
#[derive(Clone, Copy, Debug)]
pub struct Gradient<'a> {
    dense: &'a [f32],
    outer: Option<Outer<'a>>,
}

/// `d_theta[start + i cols + j] = sum_t x[t, i] delta[t, j]`, for `rank` terms.
#[derive(Clone, Copy, Debug)]
pub struct Outer<'a> {
    /// Where it begins in theta.
    pub start: usize,
    /// The layer's inputs, `(rank, rows)`.
    pub x: &'a [f32],
    /// The gradient by its outputs, `(rank, cols)`; `cols` is a multiple of [`super::LANE_PAD`].
    pub delta: &'a [f32],
    /// Number of terms, at most [`MAX_RANK`].
    pub rank: usize,
}

impl Outer<'_> {
    fn rows(&self) -> usize {
        self.x.len() / self.rank
    }

    /// Length of a row.
    pub fn cols(&self) -> usize {
        self.delta.len() / self.rank
    }

    /// The part of theta it covers.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.rows() * self.cols()
    }

    /// The terms of row `i` that are not zero: `x[t, i]` and where `delta[t, ..]` begins. ReLU leaves about half.
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

    /// `sum_ij dW[i, j]^2 = sum_st (x_s . x_t) (delta_s . delta_t)`
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
        if sum < 0.0 { 0.0 } else { sum } // rounding; NaN stays NaN
    }
}

impl<'a> Gradient<'a> {
    /// A gradient whose range `outer.range()` is not in `dense`, `(parameters)`.
    ///
    /// # Panics
    /// If `outer` does not lie within `dense`, or its shapes do not fit each other.
    pub fn with_outer(dense: &'a [f32], outer: Outer<'a>) -> Self {
        let Outer { x, delta, rank, .. } = outer;
        assert!((1..=MAX_RANK).contains(&rank), "an outer product of rank {rank}, not 1 to {MAX_RANK}");
        assert!(x.len().is_multiple_of(rank) && delta.len().is_multiple_of(rank * super::LANE_PAD));
        assert!(outer.start.is_multiple_of(super::LANE_PAD) && outer.range().end <= dense.len());
        Gradient { dense, outer: Some(outer) }
    }

    /// Number of parameters.
    #[allow(clippy::len_without_is_empty, reason = "a gradient is never empty")]
    pub fn len(&self) -> usize {
        self.dense.len()
    }

    /// The outer product in it.
    pub fn outer(&self) -> Option<&Outer<'a>> {
        self.outer.as_ref()
    }

    /// What is written out, and the ranges in which it counts.
    pub(crate) fn dense(&self) -> (&'a [f32], [Range<usize>; 2]) {
        let hole = self.outer.as_ref().map_or(self.dense.len()..self.dense.len(), Outer::range);
        (self.dense, [0..hole.start, hole.end..self.dense.len()])
    }

    /// The square of its global L2 norm. Not finite where an element is not.
    pub fn sum_of_squares(&self, isa: Isa) -> f64 {
        let (dense, ranges) = self.dense();
        let written: f64 = ranges.into_iter().map(|range| sum_of_squares(isa, &dense[range])).sum();
        written + self.outer.as_ref().map_or(0.0, |outer| outer.sum_of_squares(isa))
    }

    /// Written out whole, slowly.
    pub fn to_dense(&self) -> Vec<f32> {
        let mut d_theta = self.dense.to_vec();
        let Some(outer) = &self.outer else { return d_theta };
        for (at, d) in d_theta[outer.range()].iter_mut().enumerate() {
            let (i, j) = (at / outer.cols(), at % outer.cols());
            let term = |t: usize| outer.x[t * outer.rows() + i] * outer.delta[t * outer.cols() + j];
            *d = (0..outer.rank).map(term).sum();
        }
        d_theta
    }
}

impl<'a> From<&'a [f32]> for Gradient<'a> {
    fn from(dense: &'a [f32]) -> Self {
        Gradient { dense, outer: None }
    }
}

impl<'a, const N: usize> From<&'a [f32; N]> for Gradient<'a> {
    fn from(dense: &'a [f32; N]) -> Self {
        Gradient { dense, outer: None }
    }
}

impl<'a> From<&'a Vec<f32>> for Gradient<'a> {
    fn from(dense: &'a Vec<f32>) -> Self {
        Gradient { dense, outer: None }
    }
}

/// `sum_i a[i] b[i]`, of two rows of equal length.
fn dot(isa: Isa, a: &[f32], b: &[f32]) -> f64 {
    struct Dot<'a>(&'a [f32], &'a [f32]);
    impl Kernel for Dot<'_> {
        type Out = f64;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> f64 {
            let Dot(a, b) = self;
            assert_eq!(a.len(), b.len());
            let whole = a.len() / (4 * S::LANES) * (4 * S::LANES);
            let mut sums = [s.splat(0.0); 4]; // four, so that an addition need not wait for the one before
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

    /// 7 rows of 32 columns at 16, two of the rows without a term.
    fn outer_of(x: &mut [f32; 21], delta: &mut [f32; 96]) -> Gradient<'static> {
        for (i, x) in x.iter_mut().enumerate() {
            *x = if i % 7 == 2 || i % 7 == 5 || i == 8 { 0.0 } else { i as f32 * 0.3 - 2.0 };
        }
        delta.iter_mut().enumerate().for_each(|(i, d)| *d = (i as f32 * 0.7).sin());
        let dense: &'static [f32] = Box::leak(vec![0.5; 16 + 7 * 32 + 16].into());
        let (x, delta) = (Box::leak(Box::new(*x)), Box::leak(Box::new(*delta)));
        Gradient::with_outer(dense, Outer { start: 16, x, delta, rank: 3 })
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
            let gradient = Gradient::with_outer(&dense, Outer { start: 0, x: &x, delta: &delta, rank: 1 });
            assert!(Isa::available().iter().all(|isa| !gradient.sum_of_squares(*isa).is_finite()));
        }
    }

    #[test]
    fn the_terms_of_a_row_are_those_that_are_not_zero() {
        let gradient = outer_of(&mut [0.0; 21], &mut [0.0; 96]);
        let (outer, mut terms) = (gradient.outer().unwrap(), [(0.0, 0); MAX_RANK]);
        assert_eq!(outer.terms(2, &mut terms), 0);
        assert_eq!(outer.terms(1, &mut terms), 2);
        assert_eq!([terms[0].1, terms[1].1], [0, 2 * 32]);
    }
}
