//! Hogwild store under threads: equal bits on every code path, and the guarantees without locks on many threads.
//!
//! Threads are joined by their handles even in a scope: ThreadSanitizer sees `pthread_join`, but not the waiting of a
//! scope.

use a3crs_core::kernel::Isa;
use a3crs_core::shared::clock::{Clock, crossed};
use a3crs_core::shared::optimizer::AsyncOptimizer;
use a3crs_core::shared::store::{Lanes, Native, Relaxed, Slab};
use a3crs_core::shared::{OptimizerConfig, OptimizerKind, SharedOptimizer, Store, tear_test};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use support::store::{LEN, bits, config, noise, statistic_of, ten_updates, values};

mod support {
    pub mod store;
}

const THREADS: usize = 4;

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
        // Signalling NaN, infinity, the smallest subnormal and minus zero: a move must copy bits unchanged.
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

/// Applies the gradients `noise(1..)` by threads that share g, in turns or concurrently without order.
fn shared_g(isa: Isa, updates: usize, in_turns: bool) -> (Vec<f32>, Vec<f32>) {
    let optimizer = SharedOptimizer::new(config(OptimizerKind::SharedRmsProp), LEN, THREADS);
    let (theta, done) = (Store::from_slice(&noise(99)), AtomicUsize::new(0));
    let learn = &|actor: usize| {
        for n in (actor..updates).step_by(THREADS) {
            while in_turns && done.load(Ordering::Acquire) != n {
                thread::yield_now();
            }
            optimizer.apply(isa, actor, &theta, &noise(n as u64 + 1), 1.0, 1e-3);
            done.fetch_add(1, Ordering::Release);
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|actor| scope.spawn(move || learn(actor))).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    (values(&theta), statistic_of(&optimizer, 0))
}

#[test]
fn shared_mean_squares_are_those_of_a_sequential_twin_whoever_applies_the_update() {
    const UPDATES: usize = 200;
    for isa in Isa::available() {
        let twin = AsyncOptimizer::<Relaxed>::new(config(OptimizerKind::SharedRmsProp), LEN, 1);
        let theta = Slab::from_slice(&noise(99));
        (1..=UPDATES).for_each(|n| twin.apply(isa, 0, &theta, &noise(n as u64), 1.0, 1e-3));
        let (theta, g) = (values(&theta), statistic_of(&twin, 0));
        let turns = shared_g(isa, UPDATES, true);
        assert_eq!((bits(&turns.0), bits(&turns.1)), (bits(&theta), bits(&g)), "{}: in turns", isa.name());
        // Racing threads lose updates: some where threads meet, and for the few elements that an interrupted thread
        // held in registers, all updates that the others made meanwhile. In any order g is a mean of squares that
        // occurred.
        let racing = shared_g(isa, UPDATES, false).1;
        let mut largest = vec![0f32; LEN];
        for n in 1..=UPDATES as u64 {
            noise(n).iter().zip(&mut largest).for_each(|(x, largest)| *largest = largest.max(x * x));
        }
        assert!(racing.iter().zip(&largest).all(|(raced, largest)| (0.0..=*largest).contains(raced)), "{}", isa.name());
        let near = racing.iter().zip(&g).filter(|(raced, g)| **raced > 0.3 * **g && **raced < 1.5 * **g).count();
        assert!(near > LEN * 9 / 10, "{}: {near} of {LEN} mean squares are near their twins", isa.name());
    }
}

#[test]
#[should_panic(expected = "17 values")]
fn a_length_that_is_not_padded_is_refused() {
    Store::zeros(17);
}

/// Stress test of two writers and one reader on a few cache lines that change with every write. Each value read must be
/// one that a single writer wrote as a whole.
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
                stop.store(true, Ordering::Relaxed); // otherwise the writers would block the panic
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

/// Minimises `|theta - goal|^2 / 2` by several Hogwild threads; returns the final distance of theta from the goal.
fn minimise<L: Lanes>(kind: OptimizerKind) -> f32 {
    let isa = Isa::available()[0];
    let optimizer =
        AsyncOptimizer::<L>::new(OptimizerConfig { kind, decay: 0.9, decay2: 0.999, eps: 0.1 }, LEN, THREADS);
    let (theta, goal) = (Slab::<L>::zeros(LEN), noise(7));
    let learn = &|actor: usize| {
        let mut d_theta = vec![0.0; LEN];
        for _ in 0..1000 {
            theta.read_into(isa, &mut d_theta);
            d_theta.iter_mut().zip(&goal).for_each(|(d, goal)| *d -= goal);
            optimizer.apply(isa, actor, &theta, &d_theta, 1.0, 0.02);
        }
    };
    thread::scope(|scope| {
        let learners: Vec<_> = (0..THREADS).map(|actor| scope.spawn(move || learn(actor))).collect();
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
        // The loop is bounded by time, not by count: a thread that ends before the next one starts would test nothing.
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

/// Disassembles the test with `objdump`. On machines without it, the other tests still check the results.
#[test]
#[cfg(target_arch = "x86_64")]
fn the_compiled_update_contains_no_locked_instruction() {
    let binary = std::env::current_exe().unwrap();
    let Ok(objdump) = std::process::Command::new("objdump").arg("-d").arg(binary).output() else { return };
    let listing = String::from_utf8_lossy(&objdump.stdout);
    // `xchg` with a memory operand locks implicitly; between registers it is a nop.
    let locks = |line: &str| line.contains("lock ") || (line.contains("xchg ") && line.contains('('));
    // Only the updates take square roots of f32 vectors. `objdump` separates functions by blank lines.
    let updates: Vec<&str> = listing.split("\n\n").filter(|function| function.contains("vsqrtps")).collect();
    let locked: Vec<&str> = updates.iter().flat_map(|update| update.lines()).filter(|line| locks(line)).collect();
    assert!(listing.contains("lock xadd"), "the clock's addition is not in the listing, so it cannot be trusted");
    assert!(!updates.is_empty(), "no update was found in the listing");
    assert!(locked.is_empty(), "{locked:?}");
}
