//! Cost of shared memory for an actor-learner: the snapshot and the update of the feed-forward Atari network, with
//! inline assembly and with relaxed atomics.

use a3crs_core::kernel::Isa;
use a3crs_core::shared::optimizer::AsyncOptimizer;
use a3crs_core::shared::store::{Lanes, Native, Relaxed, Slab};
use a3crs_core::shared::{OptimizerConfig, OptimizerKind};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

/// Number of parameters of the paper's feed-forward A3C network, padded.
const LEN: usize = 677_952;

fn shared_memory<L: Lanes>(c: &mut Criterion, path: &str) {
    let d_theta: Vec<f32> = (0..LEN).map(|i| (i % 7) as f32 * 1e-3).collect();
    let theta = Slab::<L>::from_slice(&d_theta);
    let mut snapshot = vec![0.0; LEN];
    for isa in Isa::available() {
        let mut group = c.benchmark_group(format!("{path}/{}", isa.name()));
        group.bench_function("theta' <- theta", |b| b.iter(|| theta.read_into(isa, black_box(&mut snapshot))));
        for kind in OptimizerKind::ALL {
            let optimizer =
                AsyncOptimizer::<L>::new(OptimizerConfig { kind, decay: 0.99, decay2: 0.999, eps: 0.1 }, LEN, 1);
            group.bench_function(kind.name(), |b| {
                b.iter(|| optimizer.apply(isa, 0, &theta, black_box(&d_theta), 1.0, 1e-4));
            });
        }
    }
}

fn update(c: &mut Criterion) {
    shared_memory::<Native>(c, "native");
    shared_memory::<Relaxed>(c, "relaxed");
}

criterion_group!(benches, update);
criterion_main!(benches);
