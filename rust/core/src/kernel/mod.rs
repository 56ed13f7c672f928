//! Numerical kernels on slices, without state, allocation, threads or reinforcement learning.
//!
//! # Shapes
//!
//! * Every tensor is a flat `f32` slice, row-major; a comment on the parameter gives its shape.
//! * Images are `(height, width, channel)`: one kernel row of a convolution then reads contiguous floats.
//! * Weights are `(input, output)`, for convolutions `(kernel_y, kernel_x, in_channel, out_channel)`. The outputs of a
//!   layer are the lanes of a vector, so their number is padded to a multiple of [`LANE_PAD`] ([`pad`]). The padding
//!   holds zeros and stays zero.
//! * `batch` counts consecutive images or rows: the steps of a segment.
//! * Backward kernels *overwrite* their outputs; they sum over the batch, never over calls.
//!
//! # The instruction set
//!
//! Each kernel is one generic body over [`simd::Simd`], called through [`dispatch`], the only place that chooses the
//! instruction set. `A3CRS_ISA=avx512|avx2|neon|scalar` overrides the choice (for tests and comparisons).

pub mod activation;
pub mod buffer;
pub mod changes;
pub mod conv2d;
mod functions;
pub mod gradient;
pub mod linear;
pub mod lstm;
pub mod naive;
pub mod simd;
mod tile;

use simd::Simd;
use std::sync::OnceLock;

/// Multiple to which layer widths are padded: the lanes of the widest vector.
pub const LANE_PAD: usize = 16;

/// Rounds `n` up to a multiple of [`LANE_PAD`].
pub const fn pad(n: usize) -> usize {
    n.div_ceil(LANE_PAD) * LANE_PAD
}

/// Instruction set that this CPU is known to have.
///
/// The field is private: a value exists only if [`Isa::detect`] or [`Isa::available`] found it. This makes [`dispatch`]
/// safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Scalar,
}

impl Isa {
    /// Returns the instruction sets of this CPU, the fastest first; the last is always `scalar`.
    pub fn available() -> Vec<Isa> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if avx2 && is_x86_feature_detected!("avx512f") {
                found.push(Isa(Kind::Avx512));
            }
            if avx2 {
                found.push(Isa(Kind::Avx2));
            }
        }
        #[cfg(target_arch = "aarch64")]
        found.push(Isa(Kind::Neon));
        found.push(Isa(Kind::Scalar));
        found
    }

    /// Returns the instruction set of this process: the fastest available, or the one named by `A3CRS_ISA`. The choice
    /// is made once.
    ///
    /// # Errors
    /// A message for the user if `A3CRS_ISA` names an instruction set that this CPU does not have.
    pub fn detect() -> Result<Isa, String> {
        static CHOSEN: OnceLock<Result<Isa, String>> = OnceLock::new();
        CHOSEN.get_or_init(|| Self::choose(std::env::var("A3CRS_ISA").ok().as_deref())).clone()
    }

    fn choose(wanted: Option<&str>) -> Result<Isa, String> {
        let available = Self::available();
        let Some(wanted) = wanted.filter(|w| !w.is_empty()) else { return Ok(available[0]) };
        available.iter().copied().find(|isa| isa.name() == wanted).ok_or_else(|| {
            let names: Vec<_> = available.iter().map(|isa| isa.name()).collect();
            format!("A3CRS_ISA={wanted:?} is not available on this CPU; it has {}", names.join(", "))
        })
    }

    /// Returns `avx512`, `avx2`, `neon` or `scalar`.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "neon",
            Kind::Scalar => "scalar",
        }
    }
}

/// Computation written once for every instruction set.
pub trait Kernel {
    /// Result of the computation.
    type Out;
    /// Runs the computation; implementations are `#[inline(always)]`.
    fn run<S: Simd>(self, simd: S) -> Self::Out;
}

/// Runs `kernel` with the instructions of `isa`.
#[inline]
pub fn dispatch<K: Kernel>(isa: Isa, kernel: K) -> K::Out {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx2,fma")]
    fn avx512<K: Kernel>(kernel: K) -> K::Out {
        // SAFETY: this function is only called where the CPU has the features it is compiled with.
        kernel.run(unsafe { simd::Avx512::new_unchecked() })
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn avx2<K: Kernel>(kernel: K) -> K::Out {
        // SAFETY: this function is only called where the CPU has the features it is compiled with.
        kernel.run(unsafe { simd::Avx2::new_unchecked() })
    }
    match isa.0 {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this kind exists only if the CPU reported AVX-512F, AVX2 and FMA.
        Kind::Avx512 => unsafe { avx512(kernel) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this kind exists only if the CPU reported AVX2 and FMA.
        Kind::Avx2 => unsafe { avx2(kernel) },
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => kernel.run(simd::Neon),
        Kind::Scalar => kernel.run(simd::Scalar),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_instruction_set_comes_first_and_scalar_is_always_there() {
        let available = Isa::available();
        assert_eq!(available.last().map(|isa| isa.name()), Some("scalar"));
        assert_eq!(Isa::choose(None), Ok(available[0]));
        assert_eq!(Isa::choose(Some("scalar")).map(Isa::name), Ok("scalar"));
    }

    #[test]
    fn an_unknown_instruction_set_is_refused_with_the_ones_there_are() {
        let message = Isa::choose(Some("mmx")).unwrap_err();
        assert!(message.contains("mmx") && message.contains("scalar"), "{message}");
    }
}
