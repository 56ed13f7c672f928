//! The store and the optimizers: the paper's formulas on one thread, the lock-free promises on many.
//!
//! Threads are joined by their handles even in a scope: ThreadSanitizer sees `pthread_join`, but not how a scope waits.

use a3crs_core::kernel::Isa;
use a3crs_core::kernel::gradient::{Gradient, Outer};
use a3crs_core::shared::clock::{Clock, crossed};
use a3crs_core::shared::optimizer::AsyncOptimizer;
use a3crs_core::shared::store::{Lanes, Native, Relaxed, Slab};
use a3crs_core::shared::{LocalState, OptimizerConfig, OptimizerKind, SharedOptimizer, Store, clip_scale, tear_test};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const LEN: usize = 1008; // a multiple of 16 and of no higher power of two
const THREADS: usize = 4;

fn config(kind: OptimizerKind) -> OptimizerConfig {
    OptimizerConfig { kind, decay: 0.99, eps: 0.1 }
}

/// Numbers in (-1, 1) that look random, different for each `seed`.
fn noise(seed: u64) -> Vec<f32> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(next).take(LEN).collect()
}

fn values<L: Lanes>(slab: &Slab<L>) -> Vec<f32> {
    let mut out = vec![f32::NAN; slab.len()];
    slab.read_into(Isa::available()[0], &mut out);
    out
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

/// theta and the optimizer's statistic after ten updates with the gradients `noise(1..=10)`, clipped and annealed.
fn ten_updates<L: Lanes>(kind: OptimizerKind, isa: Isa) -> (Vec<f32>, Vec<f32>) {
    let optimizer = AsyncOptimizer::<L>::new(config(kind), LEN);
    let (theta, mut local) = (Slab::from_slice(&noise(99)), optimizer.local_state());
    for step in 1..=10 {
        optimizer.apply(isa, &mut local, &theta, &noise(step), 0.5, 1e-2 / step as f32);
    }
    (values(&theta), optimizer.g().map_or_else(|| local.as_slice().to_vec(), values))
}

#[test]
fn each_optimizer_follows_the_papers_formula() {
    let (alpha, eps, scale) = (f64::from(0.99_f32), f64::from(0.1_f32), 0.5);
    for kind in OptimizerKind::ALL {
        let (mut theta, mut statistic): (Vec<f64>, _) = (noise(99).iter().map(|&x| x.into()).collect(), vec![0.0; LEN]);
        for step in 1..=10 {
            let eta = 1e-2 / step as f64;
            for ((theta, s), d_theta) in theta.iter_mut().zip(&mut statistic).zip(noise(step)) {
                let d = scale * f64::from(d_theta);
                if kind == OptimizerKind::MomentumSgd {
                    *s = alpha * *s + (1.0 - alpha) * d;
                    *theta -= eta * *s;
                } else {
                    *s = alpha * *s + (1.0 - alpha) * d * d;
                    *theta -= eta * d / (*s + eps).sqrt();
                }
            }
        }
        let (theta_32, statistic_32) = ten_updates::<Native>(kind, Isa::available()[0]);
        for (got, want) in theta_32.iter().zip(&theta).chain(statistic_32.iter().zip(&statistic)) {
            assert!((f64::from(*got) - want).abs() < 1e-6, "{}: {got} instead of {want}", kind.name());
        }
    }
}

#[test]
fn eps_is_added_inside_the_square_root() {
    let optimizer = SharedOptimizer::new(config(OptimizerKind::SharedRmsProp), 16);
    let (theta, mut local) = (Store::zeros(16), optimizer.local_state());
    optimizer.apply(Isa::available()[0], &mut local, &theta, &[0.01; 16], 1.0, 1.0);
    // Inside: 0.01 / sqrt(1e-6 + 0.1) = 0.0316; outside it would be 0.01 / (sqrt(1e-6) + 0.1) = 0.099.
    let step = -values(&theta)[0];
    assert!((step - 0.031_622_62).abs() < 1e-6, "the step was {step}");
}

#[test]
fn assembly_and_relaxed_atomics_give_the_same_bits_on_every_instruction_set() {
    for kind in OptimizerKind::ALL {
        let (theta, statistic) = ten_updates::<Relaxed>(kind, Isa::available()[0]);
        for isa in Isa::available() {
            for (path, run) in
                [("native", ten_updates::<Native>(kind, isa)), ("relaxed", ten_updates::<Relaxed>(kind, isa))]
            {
                assert_eq!(bits(&run.0), bits(&theta), "theta: {} {path} {}", kind.name(), isa.name());
                assert_eq!(bits(&run.1), bits(&statistic), "statistic: {} {path} {}", kind.name(), isa.name());
            }
        }
    }
}

#[test]
fn copies_keep_every_bit_on_every_path() {
    fn check<L: Lanes>(isa: Isa) {
        // Signalling NaN, infinity, the smallest subnormal, minus zero: a move must not look at what it moves.
        let mut odd = noise(5);
        odd[..4].copy_from_slice(&[0x7fa0_0001, 0x7f80_0000, 1, 0x8000_0000].map(f32::from_bits));
        let (theta, theta_target, mut out) = (Slab::<L>::zeros(LEN), Slab::<L>::zeros(LEN), vec![0.0; LEN]);
        theta.write_from(isa, &odd);
        theta_target.copy_from(isa, &theta);
        theta_target.read_into(isa, &mut out);
        assert_eq!(bits(&out), bits(&odd), "{}", isa.name());
        assert_eq!(bits(&values(&Slab::<L>::from_slice(&odd))), bits(&odd));
    }
    for isa in Isa::available() {
        check::<Native>(isa);
        check::<Relaxed>(isa);
    }
}

#[test]
fn with_one_thread_shared_rmsprop_is_rmsprop() {
    let isa = Isa::available()[0];
    let (shared, own) = (OptimizerKind::SharedRmsProp, OptimizerKind::RmsProp);
    assert_eq!(ten_updates::<Native>(shared, isa), ten_updates::<Native>(own, isa));
}

#[test]
fn a_second_thread_continues_the_shared_mean_squares_but_begins_its_own() {
    let isa = Isa::available()[0];
    let g_of_the_second = |kind| {
        let optimizer = SharedOptimizer::new(config(kind), 16);
        let (theta, mut first, mut second) = (Store::zeros(16), optimizer.local_state(), optimizer.local_state());
        optimizer.apply(isa, &mut first, &theta, &[1.0; 16], 1.0, 0.0);
        optimizer.apply(isa, &mut second, &theta, &[0.0; 16], 1.0, 0.0);
        optimizer.g().map_or_else(|| second.as_slice().to_vec(), values)[0]
    };
    assert!((g_of_the_second(OptimizerKind::SharedRmsProp) - 0.99 * 0.01).abs() < 1e-7);
    assert_eq!(g_of_the_second(OptimizerKind::RmsProp), 0.0);
}

#[test]
fn a_local_state_survives_a_checkpoint() {
    let optimizer = SharedOptimizer::new(config(OptimizerKind::MomentumSgd), LEN);
    let (theta, mut local) = (Store::zeros(LEN), optimizer.local_state());
    optimizer.apply(Isa::available()[0], &mut local, &theta, &noise(1), 1.0, 0.1);
    assert_eq!(LocalState::from_slice(local.as_slice()), local);
    assert!(local.as_slice().iter().any(|&m| m != 0.0));
}

#[test]
fn gradients_are_scaled_down_to_the_norm_and_never_up() {
    assert_eq!(clip_scale(80.0, 40.0), 0.5);
    assert_eq!(clip_scale(39.0, 40.0), 1.0);
    assert_eq!(clip_scale(0.0, 40.0), 1.0);
    assert_eq!(clip_scale(1e9, 0.0), 1.0, "0 means no clipping");
}

#[test]
#[should_panic(expected = "the gradient has 32 values, but the parameters are 16")]
fn a_gradient_of_another_length_is_refused() {
    let optimizer = SharedOptimizer::new(config(OptimizerKind::SharedRmsProp), 16);
    optimizer.apply(Isa::available()[0], &mut optimizer.local_state(), &Store::zeros(16), &[0.0; 32], 1.0, 0.1);
}

#[test]
#[should_panic(expected = "the optimizer's state has 0 values, but the parameters are 16")]
fn a_local_state_of_another_optimizer_is_refused() {
    let optimizer = SharedOptimizer::new(config(OptimizerKind::RmsProp), 16);
    let mut foreign = LocalState::from_slice(&[]);
    optimizer.apply(Isa::available()[0], &mut foreign, &Store::zeros(16), &[0.0; 16], 1.0, 0.1);
}

#[test]
#[should_panic(expected = "17 values")]
fn a_length_that_is_not_padded_is_refused() {
    Store::zeros(17);
}

#[test]
fn optimizers_and_their_configs_are_read_by_name() {
    for kind in OptimizerKind::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
        let text = serde_json::to_string(&config(kind)).unwrap();
        assert!(text.contains(&format!("\"{}\"", kind.name())), "{text}");
        assert_eq!(serde_json::from_str::<OptimizerConfig>(&text).unwrap(), config(kind));
    }
    let message = "adam".parse::<OptimizerKind>().unwrap_err();
    assert!(message.contains("adam") && message.contains("shared-rmsprop"), "{message}");
}

#[test]
fn coefficients_outside_their_range_are_refused() {
    let good = config(OptimizerKind::RmsProp);
    assert_eq!(good.validate(), Ok(()));
    for (decay, eps) in [(1.0, 0.1), (-0.1, 0.1), (f32::NAN, 0.1), (0.99, 0.0), (0.99, f32::NAN)] {
        assert!(OptimizerConfig { decay, eps, ..good }.validate().is_err(), "decay {decay}, eps {eps}");
    }
    assert_eq!(OptimizerConfig { eps: 0.0, ..config(OptimizerKind::MomentumSgd) }.validate(), Ok(()));
}

/// Two writers, one reader, a few cache lines, which change with every write: whatever is read was written, whole, by one.
fn stress<L: Lanes>(isa: Isa) {
    let rows = &[0x1122_3344, 0xaabb_ccdd, 0x5a69_788f].map(|bits| [f32::from_bits(bits); 64]);
    let (store, stop) = (Slab::<L>::from_slice(&rows[0]), AtomicBool::new(false));
    let write = || {
        while !stop.load(Ordering::Relaxed) {
            rows.iter().for_each(|row| store.write_from(isa, row));
        }
    };
    thread::scope(|scope| {
        let writers = [scope.spawn(write), scope.spawn(write)];
        let mut out = [0.0; 64];
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(60) {
            store.read_into(isa, &mut out);
            let torn = out.iter().find(|x| rows.iter().all(|row| row[0].to_bits() != x.to_bits()));
            if torn.is_some() {
                stop.store(true, Ordering::Relaxed); // else the writers would keep the panic waiting
            }
            assert_eq!(torn.map(|x| x.to_bits()), None, "{}: nobody wrote this value", isa.name());
        }
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
    });
}

#[test]
fn a_value_read_during_writes_is_never_torn() {
    for isa in Isa::available() {
        stress::<Native>(isa);
        stress::<Relaxed>(isa);
    }
}

#[test]
fn the_tear_test_reads_and_finds_this_cpu_sound() {
    for isa in Isa::available() {
        let report = tear_test(isa, Duration::from_millis(20));
        assert!(report.reads > 0 && report.torn == 0, "{}: {report:?}", isa.name());
    }
}

/// Hogwild minimisation of `|theta - goal|^2 / 2` by several threads; returns how far theta ends from the goal.
fn minimise<L: Lanes>(kind: OptimizerKind) -> f32 {
    let isa = Isa::available()[0];
    let optimizer = AsyncOptimizer::<L>::new(OptimizerConfig { kind, decay: 0.9, eps: 0.1 }, LEN);
    let (theta, goal) = (Slab::<L>::zeros(LEN), noise(7));
    let learn = || {
        let (mut local, mut d_theta) = (optimizer.local_state(), vec![0.0; LEN]);
        for _ in 0..1000 {
            theta.read_into(isa, &mut d_theta);
            d_theta.iter_mut().zip(&goal).for_each(|(d, goal)| *d -= goal);
            optimizer.apply(isa, &mut local, &theta, &d_theta, 1.0, 0.02);
        }
    };
    thread::scope(|scope| {
        let learners: Vec<_> = (0..THREADS).map(|_| scope.spawn(learn)).collect();
        learners.into_iter().for_each(|learner| learner.join().unwrap());
    });
    values(&theta).iter().zip(&goal).map(|(theta, goal)| (theta - goal).abs()).fold(0.0, f32::max)
}

#[test]
fn several_threads_without_locks_find_the_minimum() {
    for kind in OptimizerKind::ALL {
        let (native, relaxed) = (minimise::<Native>(kind), minimise::<Relaxed>(kind));
        assert!(native < 1e-2 && relaxed < 1e-2, "{}: {native} and {relaxed} from the minimum", kind.name());
    }
}

#[test]
fn every_step_of_every_thread_has_its_own_ticket_and_each_interval_one_thread() {
    let clock = Clock::default();
    let walk = || {
        // By time, not by number: a thread that is done before the next one starts would prove nothing.
        let (start, mut ticks, mut sum, mut crossings) = (Instant::now(), 0, 0, 0);
        while start.elapsed() < Duration::from_millis(50) {
            for ticket in std::iter::repeat_with(|| clock.tick()).take(64) {
                ticks += 1;
                sum += u128::from(ticket);
                crossings += u64::from(crossed(ticket, 100));
            }
        }
        (ticks, sum, crossings)
    };
    let (ticks, sum, crossings) = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(walk)).collect();
        let walks = threads.into_iter().map(|thread| thread.join().unwrap());
        walks.fold((0, 0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2))
    });
    assert_eq!((clock.now(), crossings), (ticks, ticks / 100));
    let n = u128::from(ticks);
    assert_eq!(sum, n * (n + 1) / 2, "the tickets of {n} ticks are not 1 to {n}");
}

/// Needs `objdump`; where there is none, the other tests still hold the results.
#[test]
#[cfg(target_arch = "x86_64")]
fn the_compiled_update_contains_no_locked_instruction() {
    let binary = std::env::current_exe().unwrap();
    let Ok(objdump) = std::process::Command::new("objdump").arg("-d").arg(binary).output() else { return };
    let listing = String::from_utf8_lossy(&objdump.stdout);
    // `xchg` with memory locks by itself; between registers it is a nop.
    let locks = |line: &str| line.contains("lock ") || (line.contains("xchg ") && line.contains('('));
    // The updates alone take square roots of f32 vectors. What `objdump` puts between blank lines is one function.
    let updates: Vec<&str> = listing.split("\n\n").filter(|function| function.contains("vsqrtps")).collect();
    let locked: Vec<&str> = updates.iter().flat_map(|update| update.lines()).filter(|line| locks(line)).collect();
    assert!(listing.contains("lock xadd"), "the clock's addition is not in the listing, so it cannot be trusted");
    assert!(!updates.is_empty(), "no update was found in the listing");
    assert!(locked.is_empty(), "{locked:?}");
}

/// A gradient over 16 + 6 x 32 + 16 parameters whose middle is an outer product of rank 2; rows 1 and 4 have no term.
fn with_outer<'a>(dense: &'a [f32], x: &'a [f32; 12], delta: &'a [f32]) -> Gradient<'a> {
    Gradient::with_outer(dense, Outer { start: 16, x, delta, rank: 2 })
}

#[test]
fn an_outer_product_updates_as_if_it_were_written_out_with_the_same_bits_on_every_instruction_set() {
    const LEN: usize = 16 + 6 * 32 + 16;
    let x = [1.0, 0.0, -0.5, 2.0, 0.0, 0.25, 0.0, 0.0, 3.0, 0.0, 0.0, -1.0];
    let delta: Vec<f32> = (0..64).map(|i| (i as f32).cos()).collect();
    let dense: Vec<f32> = (0..LEN).map(|i| (i as f32).sin()).collect();
    let start: Vec<f32> = (0..LEN).map(|i| i as f32 * 0.01 - 1.0).collect();
    for kind in OptimizerKind::ALL {
        let run = |isa: Isa, written_out: bool| {
            let optimizer = SharedOptimizer::new(OptimizerConfig { kind, decay: 0.9, eps: 0.1 }, LEN);
            let (theta, mut local) = (Store::from_slice(&start), optimizer.local_state());
            let (gradient, mut copy) = (with_outer(&dense, &x, &delta), vec![f32::NAN; LEN]);
            let whole = gradient.to_dense();
            for _ in 0..3 {
                let d_theta = if written_out { Gradient::from(&whole) } else { gradient };
                optimizer.apply_and_read(isa, &mut local, &theta, d_theta, 0.5, 0.1, &mut copy);
            }
            let mut values = vec![0.0; LEN];
            theta.read_into(isa, &mut values);
            assert_eq!(copy, values, "theta' is theta after the update");
            values
        };
        let reference = run(Isa::available()[0], false);
        for isa in Isa::available() {
            let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&run(isa, false)), bits(&reference), "{} {}", kind.name(), isa.name());
            for (a, b) in run(isa, true).iter().zip(&reference) {
                assert!((a - b).abs() < 1e-5, "{} {}: {a} {b}", kind.name(), isa.name());
            }
        }
        assert_ne!(reference[16], start[16]);
        assert_eq!(reference[16 + 32], start[16 + 32], "row 1 has no gradient and has never had one");
    }
}

#[test]
fn without_a_gradient_mean_squares_decay_and_a_momentum_carries_theta_on() {
    let (dense, delta) = ([0.0; 32], [1.0; 16]);
    let gradient = |x: &'static [f32; 1]| Gradient::with_outer(&dense, Outer { start: 0, x, delta: &delta, rank: 1 });
    for kind in OptimizerKind::ALL {
        let isa = Isa::available()[0];
        let optimizer = SharedOptimizer::new(OptimizerConfig { kind, decay: 0.5, eps: 0.1 }, 32);
        let (theta, mut local) = (Store::zeros(32), optimizer.local_state());
        optimizer.apply(isa, &mut local, &theta, gradient(&[2.0]), 1.0, 1.0);
        let mut before = [0.0; 32];
        theta.read_into(isa, &mut before);
        optimizer.apply(isa, &mut local, &theta, gradient(&[0.0]), 1.0, 1.0);
        let mut after = [0.0; 32];
        theta.read_into(isa, &mut after);
        if kind == OptimizerKind::MomentumSgd {
            assert_eq!(after[0], before[0] - 0.5, "m = 0.5 * 1");
        } else {
            assert_eq!(after, before);
            let mut g = [0.0; 32];
            match optimizer.g() {
                Some(store) => store.read_into(isa, &mut g),
                None => g.copy_from_slice(local.as_slice()),
            }
            assert_eq!(g[0], 1.0, "0.5 (0.5 * 2^2)");
        }
    }
}
