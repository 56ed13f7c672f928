//! Helpers of the tests of the store and of the optimizers.

#![allow(dead_code, reason = "each test binary uses its own part")]

use a3crs_core::kernel::Isa;
use a3crs_core::shared::optimizer::AsyncOptimizer;
use a3crs_core::shared::store::{Lanes, Slab};
use a3crs_core::shared::{OptimizerConfig, OptimizerKind};

pub const LEN: usize = 1008; // a multiple of 16 and of no higher power of two

pub fn config(kind: OptimizerKind) -> OptimizerConfig {
    OptimizerConfig { kind, decay: 0.99, decay2: 0.999, eps: 0.1 }
}

/// Returns numbers in (-1, 1) that look random, different for each `seed`.
pub fn noise(seed: u64) -> Vec<f32> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(next).take(LEN).collect()
}

pub fn values<L: Lanes>(slab: &Slab<L>) -> Vec<f32> {
    let mut out = vec![f32::NAN; slab.len()];
    slab.read_into(Isa::available()[0], &mut out);
    out
}

pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

/// Returns the `n`th statistic of an optimizer.
pub fn statistic_of<L: Lanes>(optimizer: &AsyncOptimizer<L>, n: usize) -> Vec<f32> {
    values(optimizer.statistics().nth(n).unwrap().1)
}

/// Returns theta and the optimizer's statistic after ten updates with the gradients `noise(1..=10)`, clipped and
/// annealed.
pub fn ten_updates<L: Lanes>(kind: OptimizerKind, isa: Isa) -> (Vec<f32>, Vec<f32>) {
    let optimizer = AsyncOptimizer::<L>::new(config(kind), LEN, 1);
    let theta = Slab::from_slice(&noise(99));
    for step in 1..=10 {
        optimizer.apply(isa, 0, &theta, &noise(step), 0.5, 1e-2 / step as f32);
    }
    (values(&theta), statistic_of(&optimizer, 0))
}
