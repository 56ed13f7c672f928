//! The Hogwild store: the only memory that threads race on.
//!
//! While a [`Slab`] is shared it is touched through [`Lanes`] alone, and no `&[f32]` into it ever exists. So a thread may read
//! a mixture of older and newer parameters, and updates of the same parameter may be lost, both of which the method allows
//! (Recht et al., 2011; section 4 of the A3C paper), but every f32 read is one that was written, and behaviour is defined.

mod lanes;

#[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
pub use lanes::Asm;
pub use lanes::{Lanes, Native, Relaxed};

use crate::kernel::buffer::Zeroed;
use crate::kernel::gradient::{Gradient, MAX_RANK, Outer};
use crate::kernel::simd::Simd;
use crate::kernel::{Isa, Kernel, LANE_PAD, dispatch};
use std::marker::PhantomData;

/// Shared parameters, touched in the way this build prefers.
pub type Store = Slab<Native>;

/// A 64-byte aligned row of `len` f32, `len` a multiple of [`LANE_PAD`], that any number of threads read and write without
/// locks. `L` is how they touch it.
#[derive(Debug)]
pub struct Slab<L: Lanes> {
    memory: Zeroed,
    lanes: PhantomData<L>,
}

/// An elementwise rule that the optimizer writes in the paper's symbols: one thread's gradient, the optimizer's statistic
/// (momentum or mean square) and theta, `S::LANES` of each.
pub trait Update: Copy {
    /// The statistic and theta after the step; implementations are `#[inline(always)]`.
    fn step<S: Simd>(self, simd: S, d_theta: S::V, statistic: S::V, theta: S::V) -> (S::V, S::V);

    /// The statistic after a step without a gradient, for a rule that then leaves theta where it is: theta is not
    /// written. The same bits as [`Update::step`] with 0.
    fn rest<S: Simd>(self, _simd: S, _statistic: S::V) -> Option<S::V> {
        None
    }
}

impl<L: Lanes> Slab<L> {
    /// `len` zeros.
    ///
    /// # Panics
    /// If `len` is 0 or not a multiple of [`LANE_PAD`].
    pub fn zeros(len: usize) -> Self {
        assert!(
            len > 0 && len.is_multiple_of(LANE_PAD),
            "a store of {len} values was asked for; pad the length to a positive multiple of {LANE_PAD}"
        );
        Slab { memory: Zeroed::new(len), lanes: PhantomData }
    }

    /// A copy of `values`.
    ///
    /// # Panics
    /// As [`Slab::zeros`].
    pub fn from_slice(values: &[f32]) -> Self {
        let slab = Self::zeros(values.len());
        // SAFETY: both are valid for `values.len()` f32, and nobody else knows the new slab yet.
        unsafe { slab.memory.start().as_ptr().copy_from_nonoverlapping(values.as_ptr(), values.len()) };
        slab
    }

    /// The number of f32.
    #[allow(clippy::len_without_is_empty, reason = "a slab is never empty")]
    pub fn len(&self) -> usize {
        self.memory.len()
    }

    /// `theta' <- theta`. `out`: `(len)`
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn read_into(&self, isa: Isa, out: &mut [f32]) {
        dispatch(isa, Copying { from: self.view(), to: out });
    }

    /// `theta <- values`, when a run is restored. `values`: `(len)`
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn write_from(&self, isa: Isa, values: &[f32]) {
        dispatch(isa, Copying { from: values, to: self.view() });
    }

    /// `theta_target <- theta`, between two stores.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn copy_from(&self, isa: Isa, other: &Self) {
        dispatch(isa, Copying { from: other.view(), to: self.view() });
    }

    /// One pass of `rule` over theta (`self`) and `statistic`, without locks; theta as it leaves it goes to `copy` as well.
    /// `d_theta` and `copy`: `(len)`
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn update<U: Update>(
        &self,
        isa: Isa,
        statistic: &Self,
        d_theta: Gradient<'_>,
        rule: U,
        copy: Option<&mut [f32]>,
    ) {
        dispatch(isa, Updating { theta: self.view(), statistic: statistic.view(), d_theta, rule, copy });
    }

    fn view(&self) -> View<'_, L> {
        View { start: self.memory.start().as_ptr(), len: self.memory.len(), slab: PhantomData }
    }
}

/// A borrowed slab by value, so that a loop keeps the pointer in a register across the `asm!`.
struct View<'a, L: Lanes> {
    start: *mut f32,
    len: usize,
    slab: PhantomData<&'a Slab<L>>,
}

/// A row of f32, shared or private, that a pass reads a vector at a time.
trait Source {
    fn len(&self) -> usize;
    /// # Safety
    /// `i` is a multiple of `S::LANES`, and `i + S::LANES <= self.len()`.
    unsafe fn load<S: Simd>(&self, simd: S, i: usize) -> S::V;
}

/// A row that a pass writes.
trait Sink {
    /// # Safety
    /// As for [`Source::load`].
    unsafe fn store<S: Simd>(&mut self, simd: S, i: usize, v: S::V);
}

impl<L: Lanes> Source for View<'_, L> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.len
    }
    #[inline(always)]
    unsafe fn load<S: Simd>(&self, simd: S, i: usize) -> S::V {
        // SAFETY: the vector lies in the slab, which starts at a multiple of 64 bytes, so it is aligned; shared = `Lanes`.
        unsafe { L::load(simd, self.start.add(i)) }
    }
}

impl<L: Lanes> Sink for View<'_, L> {
    #[inline(always)]
    unsafe fn store<S: Simd>(&mut self, simd: S, i: usize, v: S::V) {
        // SAFETY: the vector lies in the slab, which starts at a multiple of 64 bytes, so it is aligned; shared = `Lanes`.
        unsafe { L::store(simd, self.start.add(i), v) }
    }
}

impl Source for &[f32] {
    #[inline(always)]
    fn len(&self) -> usize {
        (**self).len()
    }
    #[inline(always)]
    unsafe fn load<S: Simd>(&self, simd: S, i: usize) -> S::V {
        // SAFETY: the vector lies in the slice.
        unsafe { simd.load(self.as_ptr().add(i)) }
    }
}

impl Source for &mut [f32] {
    #[inline(always)]
    fn len(&self) -> usize {
        (**self).len()
    }
    #[inline(always)]
    unsafe fn load<S: Simd>(&self, simd: S, i: usize) -> S::V {
        // SAFETY: the vector lies in the slice.
        unsafe { simd.load(self.as_ptr().add(i)) }
    }
}

impl Sink for &mut [f32] {
    #[inline(always)]
    unsafe fn store<S: Simd>(&mut self, simd: S, i: usize, v: S::V) {
        // SAFETY: the vector lies in the slice, which is borrowed for writing.
        unsafe { simd.store(self.as_mut_ptr().add(i), v) }
    }
}

impl Sink for Nowhere {
    #[inline(always)]
    unsafe fn store<S: Simd>(&mut self, _simd: S, _i: usize, _v: S::V) {}
}

/// Refuses rows of different lengths, and lengths that are not whole vectors.
#[inline(always)]
fn check_lengths<S: Simd>(len: usize, others: &[(&str, usize)]) {
    const { assert!(LANE_PAD.is_multiple_of(S::LANES)) };
    for (name, other) in others {
        assert_eq!(*other, len, "{name} has {other} values, but the parameters are {len}; both must be as many");
    }
    assert!(len.is_multiple_of(LANE_PAD), "{len} values are no multiple of {LANE_PAD}");
}

struct Copying<F, T> {
    from: F,
    to: T,
}

impl<F: Source, T: Source + Sink> Kernel for Copying<F, T> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        check_lengths::<S>(self.from.len(), &[("the destination", self.to.len())]);
        for i in (0..self.from.len()).step_by(S::LANES) {
            // SAFETY: the vector that starts at `i` lies in both rows.
            unsafe { self.to.store(simd, i, self.from.load(simd, i)) };
        }
    }
}

struct Updating<'a, L: Lanes, U> {
    theta: View<'a, L>,
    statistic: View<'a, L>,
    d_theta: Gradient<'a>,
    rule: U,
    copy: Option<&'a mut [f32]>,
}

impl<L: Lanes, U: Update> Kernel for Updating<'_, L, U> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let len = self.theta.len();
        let lens = [
            ("the gradient", self.d_theta.len()),
            ("the optimizer's state", self.statistic.len()),
            ("the copy", self.copy.as_ref().map_or(len, |copy| copy.len())),
        ];
        check_lengths::<S>(len, &lens);
        let Updating { theta, statistic, d_theta, rule, copy } = self;
        match copy {
            Some(copy) => Pass { theta, statistic, rule, copy }.over(simd, d_theta),
            None => Pass { theta, statistic, rule, copy: Nowhere }.over(simd, d_theta),
        }
    }
}

/// What an update touches; of its own, so that the loops keep it in registers across the `asm!`.
struct Pass<'a, L: Lanes, U, C> {
    theta: View<'a, L>,
    statistic: View<'a, L>,
    rule: U,
    copy: C,
}

/// Where theta is not copied to.
struct Nowhere;

impl<L: Lanes, U: Update, C: Sink> Pass<'_, L, U, C> {
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
            let (s, t) = self.rule.step(simd, d_theta, self.statistic.load(simd, i), self.theta.load(simd, i));
            self.statistic.store(simd, i, s);
            self.theta.store(simd, i, t);
            self.copy.store(simd, i, t);
        }
    }

    /// # Safety
    /// The vector that starts at `i` lies in all rows.
    #[inline(always)]
    unsafe fn rest<S: Simd>(&mut self, simd: S, i: usize) {
        // SAFETY: as the caller promises.
        unsafe {
            match self.rule.rest(simd, self.statistic.load(simd, i)) {
                Some(s) => {
                    self.statistic.store(simd, i, s);
                    self.copy.store(simd, i, self.theta.load(simd, i));
                }
                None => self.step(simd, i, simd.splat(0.0)),
            }
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

    /// A row of `N` terms, as many as a segment of the paper's has steps: their factors stay in registers.
    ///
    /// # Safety
    /// The row lies within all rows and is whole vectors; each term's `delta` has `cols` values.
    #[inline(always)]
    unsafe fn row<S: Simd, const N: usize>(
        &mut self,
        simd: S,
        outer: &Outer<'_>,
        row: usize,
        terms: &[(f32, usize); MAX_RANK],
    ) {
        let mut x = [simd.splat(0.0); N];
        let mut deltas = [outer.delta.as_ptr(); N];
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// Adds 1 to the vector `nth` of a slab, `times` times.
    struct Adding<'a, L: Lanes> {
        slab: &'a Slab<L>,
        nth: usize,
        times: usize,
    }

    impl<L: Lanes> Kernel for Adding<'_, L> {
        type Out = ();
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            let (mut view, i) = (self.slab.view(), self.nth * S::LANES);
            assert!(i + S::LANES <= view.len());
            for _ in 0..self.times {
                // SAFETY: the vector that starts at `i` lies in the slab, as asserted.
                unsafe { view.store(simd, i, simd.add(view.load(simd, i), simd.splat(1.0))) };
            }
        }
    }

    fn add_side_by_side<L: Lanes>(isa: Isa) {
        const TIMES: usize = 20_000;
        let slab = Slab::<L>::zeros(4 * LANE_PAD);
        thread::scope(|scope| {
            for nth in 0..4 {
                let slab = &slab;
                scope.spawn(move || dispatch(isa, Adding { slab, nth, times: TIMES }));
            }
        });
        let mut sums = [0.0; 4 * LANE_PAD];
        slab.read_into(isa, &mut sums);
        let written = sums.iter().filter(|&&sum| sum != 0.0).count();
        assert!(sums[..written].iter().all(|&sum| sum == TIMES as f32), "{}: {sums:?}", isa.name());
        assert!(written >= LANE_PAD, "{}: four vectors hold at least {LANE_PAD} values, not {written}", isa.name());
    }

    #[test]
    fn threads_that_add_to_neighbouring_vectors_lose_nothing() {
        for isa in Isa::available() {
            add_side_by_side::<Native>(isa);
            add_side_by_side::<Relaxed>(isa);
        }
    }

    #[test]
    fn a_slab_starts_on_a_cache_line() {
        for len in [16, 48, 1008] {
            assert_eq!(Store::zeros(len).memory.start().addr().get() % 64, 0);
        }
    }
}
