//! Hogwild store: the only memory that threads access without synchronisation.
//!
//! While a [`Slab`] is shared it is touched through [`Lanes`] alone, and no `&[f32]` into it ever exists. So a thread may read
//! a mixture of older and newer parameters, and updates of the same parameter may be lost, both of which the method allows
//! (Recht et al., 2011; section 4 of the A3C paper), but every f32 read is one that was written, and behaviour is defined.

mod lanes;
mod update;

#[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
pub use lanes::Asm;
pub use lanes::{Lanes, Native, Relaxed};

use crate::kernel::buffer::Zeroed;
use crate::kernel::gradient::Gradient;
use crate::kernel::simd::Simd;
use crate::kernel::{Isa, Kernel, LANE_PAD, dispatch};
use std::marker::PhantomData;

/// Shared parameters with the memory accesses of this build.
pub type Store = Slab<Native>;

/// 64-byte aligned row of `len` f32, `len` a multiple of [`LANE_PAD`], that any number of threads read and write without
/// locks, through the accesses of `L`.
#[derive(Debug)]
pub struct Slab<L: Lanes> {
    memory: Zeroed,
    lanes: PhantomData<L>,
}

/// Elementwise rule of an optimizer in the paper's symbols: one thread's gradient, `N` statistics (momentum, mean square)
/// and theta, `S::LANES` of each.
pub trait Update<const N: usize>: Copy {
    /// Returns the statistics and theta after the step; implementations are `#[inline(always)]`.
    fn step<S: Simd>(self, simd: S, d_theta: S::V, statistics: [S::V; N], theta: S::V) -> ([S::V; N], S::V);

    /// Returns the statistics after a step without a gradient, for a rule that then leaves theta as it is: theta is not
    /// written. The bits are those of [`Update::step`] with 0. A rule that moves theta without a gradient returns `None`.
    fn rest<S: Simd>(self, _simd: S, _statistics: [S::V; N]) -> Option<[S::V; N]> {
        None
    }
}

impl<L: Lanes> Slab<L> {
    /// Creates a slab of `len` zeros.
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

    /// Creates a copy of `values`.
    ///
    /// # Panics
    /// As [`Slab::zeros`].
    pub fn from_slice(values: &[f32]) -> Self {
        let slab = Self::zeros(values.len());
        // SAFETY: both are valid for `values.len()` f32, and no other thread has the new slab yet.
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

    /// One pass of `rule` over theta (`self`) and `statistics`, without locks; the updated theta is written to `copy` as well.
    /// `d_theta` and `copy`: `(len)`
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn update<U: Update<N>, const N: usize>(
        &self,
        isa: Isa,
        statistics: [&Self; N],
        d_theta: Gradient<'_>,
        rule: U,
        copy: Option<&mut [f32]>,
    ) {
        dispatch(
            isa,
            update::Updating { theta: self.view(), statistics: statistics.map(Slab::view), d_theta, rule, copy },
        );
    }

    fn view(&self) -> View<'_, L> {
        View { start: self.memory.start().as_ptr(), len: self.memory.len(), slab: PhantomData }
    }
}

/// Borrowed slab by value, so that a loop keeps the pointer in a register across the `asm!`.
struct View<'a, L: Lanes> {
    start: *mut f32,
    len: usize,
    slab: PhantomData<&'a Slab<L>>,
}

/// Row of f32, shared or private, that a pass reads one vector at a time.
trait Source {
    fn len(&self) -> usize;
    /// # Safety
    /// `i` is a multiple of `S::LANES`, and `i + S::LANES <= self.len()`.
    unsafe fn load<S: Simd>(&self, simd: S, i: usize) -> S::V;
}

/// Row of f32 that a pass writes one vector at a time.
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
