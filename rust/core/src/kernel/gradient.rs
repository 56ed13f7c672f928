//! A gradient by flat theta that is not written out where it is an outer product.
//!
//! The fully connected layer holds 97 % of the Atari network's parameters, and its gradient over a segment of `n` steps has
//! rank `n`: `dW[i, j] = sum_t x[t, i] delta[t, j]`. So has an LSTM's, the other large layer. Writing it, reading it for its norm and reading it again for the update
//! would cost as much memory traffic as the update itself.

use super::activation::sum_of_squares;
use super::simd::Simd;
use super::{Isa, Kernel, dispatch};
use std::ops::Range;

/// An outer product of more steps than this is written out.
pub const MAX_RANK: usize = 32;

/// A gradient has at most so many outer products.
pub const MAX_OUTER: usize = 4;

/// d_theta. It is `dense`, except in the ranges of `outer`, where `dense` holds anything.
#[derive(Clone, Copy, Debug)]
pub struct Gradient<'a> {
    dense: &'a [f32],
    /// In the order of theta; none after the first none.
    outer: [Option<Outer<'a>>; MAX_OUTER],
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
    /// The same gradient, but that its range `outer.range()` is not in `dense`.
    ///
    /// # Panics
    /// If `outer` does not lie within `dense` and behind those added before, if its shapes do not fit each other, or if there
    /// are [`MAX_OUTER`] already.
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

    /// Number of parameters.
    #[allow(clippy::len_without_is_empty, reason = "a gradient is never empty")]
    pub fn len(&self) -> usize {
        self.dense.len()
    }

    /// The outer products in it, in the order of theta.
    pub fn outers(&self) -> impl Iterator<Item = &Outer<'a>> {
        self.outer.iter().map_while(Option::as_ref)
    }

    /// What is written out, and the ranges in which it counts; some of them are empty.
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

    /// The square of its global L2 norm. Not finite where an element is not.
    pub fn sum_of_squares(&self, isa: Isa) -> f64 {
        let (dense, ranges) = self.dense();
        let written: f64 = ranges.into_iter().map(|range| sum_of_squares(isa, &dense[range])).sum();
        written + self.outers().map(|outer| outer.sum_of_squares(isa)).sum::<f64>()
    }

    /// Written out whole, slowly.
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
    /// `(parameters)`
    fn from(dense: &'a D) -> Self {
        Gradient { dense: dense.as_ref(), outer: [None; MAX_OUTER] }
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

    /// Twice 7 rows of 32 columns, two of the rows without a term; between, before and after them 16 written out.
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
