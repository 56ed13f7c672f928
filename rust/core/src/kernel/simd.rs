//! Vector types of the kernels, one token per instruction set.
//!
//! A token (`Avx512`, `Avx2`, `Neon`, `Scalar`) can only be obtained where the CPU has the instructions
//! ([`super::Isa::detect`]), so holding one proves that its intrinsics may be executed. Arithmetic is therefore safe;
//! only memory access through pointers is not. Every method is `#[inline(always)]`, so that it becomes part of the
//! `#[target_feature]` function that [`super::dispatch`] calls.

/// Vector of `LANES` f32 and its operations.
pub trait Simd: Copy + Send + Sync + 'static {
    /// Packed f32, `LANES` of them.
    type V: Copy;
    /// Number of f32 in [`Simd::V`]; divides 16.
    const LANES: usize;
    /// Number of vector registers of the instruction set, which limits the size of a register tile.
    const REGISTERS: usize;

    /// Returns a vector with `x` in every lane.
    fn splat(self, x: f32) -> Self::V;
    /// Returns `a + b`.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// Returns `a - b`.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// Returns `a * b`.
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// Returns `a / b`, correctly rounded.
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// Returns `sqrt(a)`, correctly rounded.
    fn sqrt(self, a: Self::V) -> Self::V;
    /// Returns `max(a, b)`; where `a` is NaN the result is `b`.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// Returns `a * b + c`, in one rounding where the CPU has it.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// Returns `x` where `gate > 0`, else 0.
    fn keep_where_positive(self, gate: Self::V, x: Self::V) -> Self::V;
    /// Returns the sum of the lanes.
    fn sum(self, a: Self::V) -> f32;
    /// Returns the sums of the lanes of four vectors. This costs less than four calls of [`Simd::sum`].
    fn sum4(self, a: [Self::V; 4]) -> [f32; 4] {
        a.map(|a| self.sum(a))
    }

    /// Reads `LANES` f32.
    ///
    /// # Safety
    /// `p` is valid for reading `LANES` f32 (any f32 alignment).
    unsafe fn load(self, p: *const f32) -> Self::V;
    /// Writes `LANES` f32.
    ///
    /// # Safety
    /// `p` is valid for writing `LANES` f32 (any f32 alignment).
    unsafe fn store(self, p: *mut f32, v: Self::V);
    /// Reads `LANES` bytes and converts each to f32.
    ///
    /// # Safety
    /// `p` is valid for reading `LANES` bytes.
    unsafe fn load_u8(self, p: *const u8) -> Self::V;
}

/// Token of CPUs without known vector instructions: four plain f32, which any compiler vectorises.
#[derive(Clone, Copy, Debug)]
pub struct Scalar;

impl Simd for Scalar {
    type V = [f32; 4];
    const LANES: usize = 4;
    const REGISTERS: usize = 16;

    #[inline(always)]
    fn splat(self, x: f32) -> [f32; 4] {
        [x; 4]
    }
    #[inline(always)]
    fn add(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    fn sub(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] - b[i])
    }
    #[inline(always)]
    fn mul(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] * b[i])
    }
    #[inline(always)]
    fn div(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] / b[i])
    }
    #[inline(always)]
    fn sqrt(self, a: [f32; 4]) -> [f32; 4] {
        a.map(f32::sqrt)
    }
    #[inline(always)]
    fn max(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn mul_add(self, a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        // Two roundings: `f32::mul_add` is a library call on a CPU without FMA.
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    fn keep_where_positive(self, gate: [f32; 4], x: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| if gate[i] > 0.0 { x[i] } else { 0.0 })
    }
    #[inline(always)]
    fn sum(self, a: [f32; 4]) -> f32 {
        (a[0] + a[2]) + (a[1] + a[3])
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> [f32; 4] {
        // SAFETY: the caller grants 4 readable f32; `read_unaligned` asks for no alignment.
        unsafe { p.cast::<[f32; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: [f32; 4]) {
        // SAFETY: the caller grants 4 writable f32; `write_unaligned` asks for no alignment.
        unsafe { p.cast::<[f32; 4]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn load_u8(self, p: *const u8) -> [f32; 4] {
        // SAFETY: the caller grants 4 readable bytes.
        unsafe { p.cast::<[u8; 4]>().read_unaligned() }.map(f32::from)
    }
}

#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Simd;
    use std::arch::x86_64::*;

    /// Token of AVX2 with FMA. It is obtained only through `Isa`, which checks the CPU.
    #[derive(Clone, Copy, Debug)]
    pub struct Avx2(());

    /// Token of AVX-512F. It is obtained only through `Isa`, which checks the CPU.
    #[derive(Clone, Copy, Debug)]
    pub struct Avx512(());

    impl Avx2 {
        /// Creates the token without a check.
        ///
        /// # Safety
        /// The CPU has AVX2 and FMA.
        pub(crate) unsafe fn new_unchecked() -> Self {
            Avx2(())
        }
    }

    impl Avx512 {
        /// Creates the token without a check.
        ///
        /// # Safety
        /// The CPU has AVX-512F, AVX2 and FMA.
        pub(crate) unsafe fn new_unchecked() -> Self {
            Avx512(())
        }
    }

    /// Defines `fn name(self, args) -> Self::V { intrinsic(args) }` for each row.
    macro_rules! arithmetic {
        ($v:ty; $($name:ident($($arg:ident),+) = $intrinsic:ident;)*) => { $(
            #[inline(always)]
            fn $name(self, $($arg: $v),+) -> $v {
                // SAFETY: the token proves the CPU has the instruction; it touches no memory.
                unsafe { $intrinsic($($arg),+) }
            }
        )* };
    }

    impl Simd for Avx512 {
        type V = __m512;
        const LANES: usize = 16;
        const REGISTERS: usize = 32;

        arithmetic! { __m512;
            add(a, b) = _mm512_add_ps;
            sub(a, b) = _mm512_sub_ps;
            mul(a, b) = _mm512_mul_ps;
            div(a, b) = _mm512_div_ps;
            sqrt(a) = _mm512_sqrt_ps;
            max(a, b) = _mm512_max_ps;
            mul_add(a, b, c) = _mm512_fmadd_ps;
        }
        #[inline(always)]
        fn splat(self, x: f32) -> __m512 {
            // SAFETY: the token proves the CPU has AVX-512F.
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        fn keep_where_positive(self, gate: __m512, x: __m512) -> __m512 {
            // SAFETY: the token proves the CPU has AVX-512F.
            unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(gate, _mm512_setzero_ps()), x) }
        }
        #[inline(always)]
        fn sum(self, a: __m512) -> f32 {
            // SAFETY: the token proves the CPU has AVX-512F.
            unsafe { _mm512_reduce_add_ps(a) }
        }
        #[inline(always)]
        fn sum4(self, [a, b, c, d]: [__m512; 4]) -> [f32; 4] {
            // SAFETY: the token proves the CPU has AVX-512F; an __m128 holds four f32.
            unsafe {
                let ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
                let cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
                let (ab, cd) = (_mm512_castps_pd(ab), _mm512_castps_pd(cd));
                let low = _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd));
                let abcd = _mm512_add_ps(low, _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)));
                let upper = _mm512_castps512_ps256(_mm512_shuffle_f32x4::<0b11_10_11_10>(abcd, abcd));
                let half = _mm256_add_ps(_mm512_castps512_ps256(abcd), upper);
                std::mem::transmute(_mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps::<1>(half)))
            }
        }
        #[inline(always)]
        unsafe fn load(self, p: *const f32) -> __m512 {
            // SAFETY: the caller grants 16 readable f32; the token proves AVX-512F.
            unsafe { _mm512_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut f32, v: __m512) {
            // SAFETY: the caller grants 16 writable f32; the token proves AVX-512F.
            unsafe { _mm512_storeu_ps(p, v) }
        }
        #[inline(always)]
        unsafe fn load_u8(self, p: *const u8) -> __m512 {
            // SAFETY: the caller grants 16 readable bytes; the token proves AVX-512F.
            unsafe { _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(p.cast()))) }
        }
    }

    impl Simd for Avx2 {
        type V = __m256;
        const LANES: usize = 8;
        const REGISTERS: usize = 16;

        arithmetic! { __m256;
            add(a, b) = _mm256_add_ps;
            sub(a, b) = _mm256_sub_ps;
            mul(a, b) = _mm256_mul_ps;
            div(a, b) = _mm256_div_ps;
            sqrt(a) = _mm256_sqrt_ps;
            max(a, b) = _mm256_max_ps;
            mul_add(a, b, c) = _mm256_fmadd_ps;
        }
        #[inline(always)]
        fn splat(self, x: f32) -> __m256 {
            // SAFETY: the token proves the CPU has AVX.
            unsafe { _mm256_set1_ps(x) }
        }
        #[inline(always)]
        fn keep_where_positive(self, gate: __m256, x: __m256) -> __m256 {
            // SAFETY: the token proves the CPU has AVX.
            unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(gate, _mm256_setzero_ps()), x) }
        }
        #[inline(always)]
        fn sum(self, a: __m256) -> f32 {
            // SAFETY: the token proves the CPU has AVX.
            unsafe {
                let half = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
                let pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
                _mm_cvtss_f32(_mm_add_ss(pair, _mm_shuffle_ps::<1>(pair, pair)))
            }
        }
        #[inline(always)]
        fn sum4(self, [a, b, c, d]: [__m256; 4]) -> [f32; 4] {
            // SAFETY: the token proves the CPU has AVX; an __m128 holds four f32.
            unsafe {
                let abcd = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
                std::mem::transmute(_mm_add_ps(_mm256_castps256_ps128(abcd), _mm256_extractf128_ps::<1>(abcd)))
            }
        }
        #[inline(always)]
        unsafe fn load(self, p: *const f32) -> __m256 {
            // SAFETY: the caller grants 8 readable f32; the token proves AVX.
            unsafe { _mm256_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut f32, v: __m256) {
            // SAFETY: the caller grants 8 writable f32; the token proves AVX.
            unsafe { _mm256_storeu_ps(p, v) }
        }
        #[inline(always)]
        unsafe fn load_u8(self, p: *const u8) -> __m256 {
            // SAFETY: the caller grants 8 readable bytes; the token proves AVX2.
            unsafe { _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(p.cast()))) }
        }
    }
}

#[cfg(target_arch = "aarch64")]
pub use neon::Neon;

#[cfg(target_arch = "aarch64")]
mod neon {
    use super::Simd;
    use std::arch::aarch64::*;

    /// Token of NEON, which every aarch64 CPU has.
    #[derive(Clone, Copy, Debug)]
    pub struct Neon;

    impl Simd for Neon {
        type V = float32x4_t;
        const LANES: usize = 4;
        const REGISTERS: usize = 32;

        #[inline(always)]
        fn splat(self, x: f32) -> float32x4_t {
            // SAFETY: NEON is part of the aarch64 baseline.
            unsafe { vdupq_n_f32(x) }
        }
        #[inline(always)]
        fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
            // SAFETY: NEON is part of the aarch64 baseline.
            unsafe { vaddq_f32(a, b) }
        }
        #[inline(always)]
        fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
            // SAFETY: NEON is part of the aarch64 baseline.
            unsafe { vsubq_f32(a, b) }
        }
        #[inline(always)]
        fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
            // SAFETY: NEON is part of the aarch64 baseline.
            unsafe { vmulq_f32(a, b) }
        }
        #[inline(always)]
        fn div(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
            // SAFETY: NEON is part of the aarch64 baseline.
            unsafe { vdivq_f32(a, b) }
        }
        #[inline(always)]
        fn sqrt(self, a: float32x4_t) -> float32x4_t {
            // SAFETY: NEON is part of the aarch64 baseline.
            unsafe { vsqrtq_f32(a) }
        }
        #[inline(always)]
        fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
            // SAFETY: NEON is part of the aarch64 baseline. (`vmaxq_f32` would keep NaN.)
            unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) }
        }
        #[inline(always)]
        fn mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
            // SAFETY: NEON is part of the aarch64 baseline.
            unsafe { vfmaq_f32(c, a, b) }
        }
        #[inline(always)]
        fn keep_where_positive(self, gate: float32x4_t, x: float32x4_t) -> float32x4_t {
            // SAFETY: NEON is part of the aarch64 baseline.
            unsafe { vbslq_f32(vcgtzq_f32(gate), x, vdupq_n_f32(0.0)) }
        }
        #[inline(always)]
        fn sum(self, a: float32x4_t) -> f32 {
            // SAFETY: NEON is part of the aarch64 baseline.
            unsafe { vaddvq_f32(a) }
        }
        #[inline(always)]
        fn sum4(self, [a, b, c, d]: [float32x4_t; 4]) -> [f32; 4] {
            // SAFETY: NEON is part of the aarch64 baseline; a float32x4_t holds four f32.
            unsafe { std::mem::transmute(vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d))) }
        }
        #[inline(always)]
        unsafe fn load(self, p: *const f32) -> float32x4_t {
            // SAFETY: the caller grants 4 readable f32.
            unsafe { vld1q_f32(p) }
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut f32, v: float32x4_t) {
            // SAFETY: the caller grants 4 writable f32.
            unsafe { vst1q_f32(p, v) }
        }
        #[inline(always)]
        unsafe fn load_u8(self, p: *const u8) -> float32x4_t {
            // SAFETY: the caller grants 4 readable bytes.
            let lanes = unsafe { p.cast::<[u8; 4]>().read_unaligned() }.map(f32::from);
            // SAFETY: `lanes` holds 4 f32.
            unsafe { vld1q_f32(lanes.as_ptr()) }
        }
    }
}
