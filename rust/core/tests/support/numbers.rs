//! Random inputs of kernels, and the comparison of their outputs with exact ones.

use a3crs_core::kernel::Isa;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Returns numbers in [-1, 1), a quarter of them exactly 0, as after a ReLU.
pub fn values(rng: &mut Xoshiro256PlusPlus, n: usize) -> Vec<f32> {
    (0..n).map(|_| if rng.random_bool(0.25) { 0.0 } else { rng.random_range(-1.0..1.0) }).collect()
}

pub fn rng(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

/// Returns NaNs, which a kernel must overwrite.
pub fn poison(n: usize) -> Vec<f32> {
    vec![f32::NAN; n]
}

pub fn exact(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x)).collect()
}

pub fn magnitude(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(x.abs())).collect()
}

/// Asserts that a sum of `terms` products in f32 is within `(terms + 2) * epsilon` of the sum of their magnitudes.
pub fn assert_close(isa: Isa, fast: &[f32], exact: &[f64], magnitude: &[f64], terms: usize) {
    let unit = (terms + 2) as f64 * f64::from(f32::EPSILON);
    for (i, ((fast, exact), magnitude)) in fast.iter().zip(exact).zip(magnitude).enumerate() {
        let error = (f64::from(*fast) - exact).abs();
        // The condition is not `error > bound`, because NaN must fail.
        assert!(error <= unit * magnitude, "{}: [{i}] is {fast}, should be {exact}", isa.name());
    }
}
