//! One pass of an update over theta and the optimizer's statistics, and over theta' where the next segment begins with it.

use super::{Lanes, Sink, Source, Update, View, check_lengths};
use crate::kernel::Kernel;
use crate::kernel::gradient::{Gradient, MAX_RANK, Outer};
use crate::kernel::simd::Simd;

pub(super) struct Updating<'a, L: Lanes, U, const N: usize> {
    pub theta: View<'a, L>,
    pub statistics: [View<'a, L>; N],
    pub d_theta: Gradient<'a>,
    pub rule: U,
    pub copy: Option<&'a mut [f32]>,
}

impl<L: Lanes, U: Update<N>, const N: usize> Kernel for Updating<'_, L, U, N> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let len = self.theta.len();
        let lens =
            [("the gradient", self.d_theta.len()), ("the copy", self.copy.as_ref().map_or(len, |copy| copy.len()))];
        check_lengths::<S>(len, &lens);
        for statistic in &self.statistics {
            check_lengths::<S>(len, &[("the optimizer's state", statistic.len())]);
        }
        let Updating { theta, statistics, d_theta, rule, copy } = self;
        match copy {
            Some(copy) => Pass { theta, statistics, rule, copy }.over(simd, d_theta),
            None => Pass { theta, statistics, rule, copy: Nowhere }.over(simd, d_theta),
        }
    }
}

/// Rows that an update touches, apart from the gradient, so that the loops keep their pointers in registers across the `asm!`.
struct Pass<'a, L: Lanes, U, C, const N: usize> {
    theta: View<'a, L>,
    statistics: [View<'a, L>; N],
    rule: U,
    copy: C,
}

/// Sink of an update that copies theta nowhere.
struct Nowhere;

impl Sink for Nowhere {
    #[inline(always)]
    unsafe fn store<S: Simd>(&mut self, _simd: S, _i: usize, _v: S::V) {}
}

impl<L: Lanes, U: Update<N>, C: Sink, const N: usize> Pass<'_, L, U, C, N> {
    #[inline(always)]
    fn over<S: Simd>(mut self, simd: S, d_theta: Gradient<'_>) {
        let (dense, ranges) = d_theta.dense();
        for range in ranges {
            for i in range.step_by(S::LANES) {
                // SAFETY: the ranges are whole vectors within the gradient, and so within all three rows.
                unsafe { self.step(simd, i, dense.load(simd, i)) };
            }
        }
        // A closure would be compiled without the instruction set, unless it happens to be inlined.
        for outer in d_theta.outers() {
            self.outer(simd, outer);
        }
    }

    /// # Safety
    /// The vector that starts at `i` lies in all rows.
    #[inline(always)]
    unsafe fn step<S: Simd>(&mut self, simd: S, i: usize, d_theta: S::V) {
        // SAFETY: as the caller promises.
        unsafe {
            let (statistics, theta) = (self.load_statistics(simd, i), self.theta.load(simd, i));
            let (statistics, theta) = self.rule.step(simd, d_theta, statistics, theta);
            self.store_statistics(simd, i, statistics);
            self.theta.store(simd, i, theta);
            self.copy.store(simd, i, theta);
        }
    }

    /// # Safety
    /// The vector that starts at `i` lies in all rows.
    #[inline(always)]
    unsafe fn rest<S: Simd>(&mut self, simd: S, i: usize) {
        // SAFETY: as the caller promises.
        unsafe {
            match self.rule.rest(simd, self.load_statistics(simd, i)) {
                Some(statistics) => {
                    self.store_statistics(simd, i, statistics);
                    self.copy.store(simd, i, self.theta.load(simd, i));
                }
                None => self.step(simd, i, simd.splat(0.0)),
            }
        }
    }

    /// # Safety
    /// The vector that starts at `i` lies in all rows.
    #[inline(always)]
    unsafe fn load_statistics<S: Simd>(&self, simd: S, i: usize) -> [S::V; N] {
        let mut loaded = [simd.splat(0.0); N];
        for (v, row) in loaded.iter_mut().zip(&self.statistics) {
            // SAFETY: as the caller promises.
            *v = unsafe { row.load(simd, i) };
        }
        loaded
    }

    /// # Safety
    /// The vector that starts at `i` lies in all rows.
    #[inline(always)]
    unsafe fn store_statistics<S: Simd>(&mut self, simd: S, i: usize, statistics: [S::V; N]) {
        for (v, row) in statistics.into_iter().zip(&mut self.statistics) {
            // SAFETY: as the caller promises.
            unsafe { row.store(simd, i, v) };
        }
    }

    /// The part of theta whose gradient is an outer product, row by row.
    #[inline(always)]
    fn outer<S: Simd>(&mut self, simd: S, outer: &Outer<'_>) {
        let (cols, mut terms) = (outer.cols(), [(0.0, 0); MAX_RANK]);
        for (i, row) in outer.range().step_by(cols).enumerate() {
            let n = outer.terms(i, &mut terms);
            // SAFETY: the row lies within the gradient, and so within all rows, and is whole vectors; each term's `delta` has
            // `cols` values.
            unsafe {
                match n {
                    0 => self.resting_row(simd, row, cols),
                    1 => self.row::<S, 1>(simd, outer, row, &terms),
                    2 => self.row::<S, 2>(simd, outer, row, &terms),
                    3 => self.row::<S, 3>(simd, outer, row, &terms),
                    4 => self.row::<S, 4>(simd, outer, row, &terms),
                    5 => self.row::<S, 5>(simd, outer, row, &terms),
                    _ => self.long_row(simd, outer, row, &terms[..n]),
                }
            }
        }
    }

    /// A row without a gradient.
    ///
    /// # Safety
    /// The row lies within all rows and is whole vectors.
    #[inline(always)]
    unsafe fn resting_row<S: Simd>(&mut self, simd: S, row: usize, cols: usize) {
        for j in (0..cols).step_by(S::LANES) {
            // SAFETY: as the caller promises.
            unsafe { self.rest(simd, row + j) };
        }
    }

    /// A row of `TERMS` terms, as many as a segment of the paper's has steps: their factors stay in registers.
    ///
    /// # Safety
    /// The row lies within all rows and is whole vectors; each term's `delta` has `cols` values.
    #[inline(always)]
    unsafe fn row<S: Simd, const TERMS: usize>(
        &mut self,
        simd: S,
        outer: &Outer<'_>,
        row: usize,
        terms: &[(f32, usize); MAX_RANK],
    ) {
        let mut x = [simd.splat(0.0); TERMS];
        let mut deltas = [outer.delta.as_ptr(); TERMS];
        for ((x, delta), term) in x.iter_mut().zip(&mut deltas).zip(terms) {
            (*x, *delta) = (simd.splat(term.0), delta.wrapping_add(term.1));
        }
        for j in (0..outer.cols()).step_by(S::LANES) {
            // SAFETY: as the caller promises.
            unsafe {
                let mut d = simd.mul(x[0], simd.load(deltas[0].add(j)));
                for (x, delta) in x[1..].iter().zip(&deltas[1..]) {
                    d = simd.add(d, simd.mul(*x, simd.load(delta.add(j)))); // not fused: the same bits everywhere
                }
                self.step(simd, row + j, d);
            }
        }
    }

    /// A row of any number of terms.
    ///
    /// # Safety
    /// As for `row`.
    #[inline(always)]
    unsafe fn long_row<S: Simd>(&mut self, simd: S, outer: &Outer<'_>, row: usize, terms: &[(f32, usize)]) {
        for j in (0..outer.cols()).step_by(S::LANES) {
            let mut d = simd.splat(0.0);
            // SAFETY: as the caller promises.
            unsafe {
                for &(x, delta) in terms {
                    d = simd.add(d, simd.mul(simd.splat(x), simd.load(outer.delta.as_ptr().add(delta + j))));
                }
                self.step(simd, row + j, d);
            }
        }
    }
}
