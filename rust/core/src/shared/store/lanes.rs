//! Reads and writes of one vector of shared `f32`.
//!
//! A plain racing access is undefined behaviour; relaxed `AtomicU32` accesses are defined, but LLVM does not merge them into
//! vector moves. Inline assembly may do whatever some valid Rust code could do in its place (its "story"). Ours, for every
//! `asm!` in this file:
//!
//! * load: `for i in (0..LANES, in any order) { lane[i] = AtomicU32::from_ptr(p.add(i)).load(Relaxed) }`
//! * store: `for i in (0..LANES, in any order) { AtomicU32::from_ptr(p.add(i)).store(lane[i], Relaxed) }`
//!
//! The compiler may assume no more than the story says: a store's `asm!` has no `nomem`, so it may write any
//! memory that a pointer has escaped to, and no plain access moves across it; a load's is `readonly`. `p` comes from the slab's
//! own allocation and covers the whole vector, which an exclusive reference never does while the slab is shared.
//!
//! [`Relaxed`] is that story as code. Guarantees of the hardware: on aarch64 `ld1`/`st1` are single-copy
//! atomic for each element; on x86-64 an aligned 16-byte move is atomic on every CPU with AVX, while for 32 and 64 bytes
//! neither vendor documents one for the lanes. No CPU is known to tear them; [`crate::shared::tear_test`] tests the one in use.

use crate::kernel::LANE_PAD;
use crate::kernel::simd::Simd;
use std::sync::atomic::{AtomicU32, Ordering};

/// Access to shared memory, one vector at a time.
///
/// # Safety
/// `load` and `store` behave as one relaxed atomic u32 access for each lane, and touch no other memory.
pub unsafe trait Lanes: Send + Sync + 'static {
    /// Reads `S::LANES` shared f32.
    ///
    /// # Safety
    /// `p` is valid for `S::LANES` f32 and aligned to all of them together; while the call runs, other threads access
    /// them through [`Lanes`] only.
    unsafe fn load<S: Simd>(simd: S, p: *mut f32) -> S::V;

    /// Writes `S::LANES` shared f32.
    ///
    /// # Safety
    /// As for [`Lanes::load`].
    unsafe fn store<S: Simd>(simd: S, p: *mut f32, v: S::V);
}

/// Relaxed `AtomicU32` accesses: works everywhere and is visible to Miri and ThreadSanitizer, but three to six times slower.
#[derive(Clone, Copy, Debug)]
pub struct Relaxed;

// SAFETY: the bodies are literally one relaxed atomic access for each lane.
unsafe impl Lanes for Relaxed {
    #[inline(always)]
    unsafe fn load<S: Simd>(simd: S, p: *mut f32) -> S::V {
        let mut lanes = [0.0; LANE_PAD];
        for (i, lane) in lanes[..S::LANES].iter_mut().enumerate() {
            // SAFETY: `p` is valid for this lane, an f32 is aligned like a u32, and others access it atomically.
            let shared = unsafe { AtomicU32::from_ptr(p.add(i).cast()) };
            *lane = f32::from_bits(shared.load(Ordering::Relaxed));
        }
        // SAFETY: `lanes` holds at least `S::LANES` f32, which divides `LANE_PAD`.
        unsafe { simd.load(lanes.as_ptr()) }
    }

    #[inline(always)]
    unsafe fn store<S: Simd>(simd: S, p: *mut f32, v: S::V) {
        let mut lanes = [0.0; LANE_PAD];
        // SAFETY: `lanes` has room for `S::LANES` f32, which divides `LANE_PAD`.
        unsafe { simd.store(lanes.as_mut_ptr(), v) };
        for (i, lane) in lanes[..S::LANES].iter().enumerate() {
            // SAFETY: `p` is valid for this lane, an f32 is aligned like a u32, and others access it atomically.
            let shared = unsafe { AtomicU32::from_ptr(p.add(i).cast()) };
            shared.store(lane.to_bits(), Ordering::Relaxed);
        }
    }
}

/// Vector moves in inline assembly, one instruction for a vector.
#[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
#[derive(Clone, Copy, Debug)]
pub struct Asm;

/// Writes `impl Lanes for Asm`, a row for each token: `token: its vector = a register class, feature, load, store;`.
/// A foreign token, which has no row, moves its lanes one by one. The comparison of types is settled at compile time.
#[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
macro_rules! asm_moves {
    ($($token:ty: $vector:ty = $register:ident, $feature:literal, $load:literal, $store:literal;)*) => {
        // SAFETY: each `asm!` is one move of an aligned vector, whose story is told at the top of this file.
        unsafe impl Lanes for Asm {
            #[inline(always)]
            unsafe fn load<S: Simd>(simd: S, p: *mut f32) -> S::V {
                $(if TypeId::of::<S>() == TypeId::of::<$token>() {
                    #[inline]
                    #[target_feature(enable = $feature)]
                    unsafe fn load(p: *mut f32) -> $vector {
                        let v;
                        // SAFETY: the caller grants the aligned vector at `p`; the instruction reads nothing else.
                        unsafe {
                            asm!($load, v = out($register) v, p = in(reg) p, options(nostack, preserves_flags, readonly))
                        }
                        v
                    }
                    // SAFETY: the caller grants the vector; the token `S` proves the feature.
                    let v = unsafe { load(p) };
                    // SAFETY: `S` is the token of this row, so `S::V` holds exactly the f32 of this register.
                    return unsafe { transmute_copy::<$vector, S::V>(&v) };
                })*
                // SAFETY: the caller's promises are the same.
                unsafe { Relaxed::load(simd, p) }
            }

            #[inline(always)]
            unsafe fn store<S: Simd>(simd: S, p: *mut f32, v: S::V) {
                $(if TypeId::of::<S>() == TypeId::of::<$token>() {
                    #[inline]
                    #[target_feature(enable = $feature)]
                    unsafe fn store(p: *mut f32, v: $vector) {
                        // SAFETY: the caller grants the aligned vector at `p`; the instruction writes nothing else.
                        unsafe { asm!($store, v = in($register) v, p = in(reg) p, options(nostack, preserves_flags)) }
                    }
                    // SAFETY: `S` is the token of this row, so `S::V` holds exactly the f32 of this register.
                    let v = unsafe { transmute_copy::<S::V, $vector>(&v) };
                    // SAFETY: the caller grants the vector; the token `S` proves the feature.
                    return unsafe { store(p, v) };
                })*
                // SAFETY: the caller's promises are the same.
                unsafe { Relaxed::store(simd, p, v) }
            }
        }
    };
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod x86_64 {
    use super::{Asm, Lanes, Relaxed};
    use crate::kernel::simd::{Avx2, Avx512, Scalar, Simd};
    use std::any::TypeId;
    use std::arch::asm;
    use std::arch::x86_64::{__m128, __m256, __m512};
    use std::mem::transmute_copy;

    asm_moves! {
        Avx512: __m512 = zmm_reg, "avx512f", "vmovaps {v}, zmmword ptr [{p}]", "vmovaps zmmword ptr [{p}], {v}";
        Avx2: __m256 = ymm_reg, "avx", "vmovaps {v}, ymmword ptr [{p}]", "vmovaps ymmword ptr [{p}], {v}";
        Scalar: __m128 = xmm_reg, "sse2", "movaps {v}, xmmword ptr [{p}]", "movaps xmmword ptr [{p}], {v}";
    }
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
mod aarch64 {
    use super::{Asm, Lanes, Relaxed};
    use crate::kernel::simd::{Neon, Scalar, Simd};
    use std::any::TypeId;
    use std::arch::aarch64::float32x4_t;
    use std::arch::asm;
    use std::mem::transmute_copy;

    asm_moves! {
        Neon: float32x4_t = vreg, "neon", "ld1 {{{v:v}.4s}}, [{p}]", "st1 {{{v:v}.4s}}, [{p}]";
        Scalar: float32x4_t = vreg, "neon", "ld1 {{{v:v}.4s}}, [{p}]", "st1 {{{v:v}.4s}}, [{p}]";
    }
}

/// Access to shared memory in this build.
#[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri), not(a3crs_portable_store)))]
pub type Native = Asm;

/// Access to shared memory in this build.
#[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri), not(a3crs_portable_store))))]
pub type Native = Relaxed;
