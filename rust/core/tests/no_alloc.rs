//! Nothing allocates in the step loop.

use a3crs_core::env::{Catch, Chain, Env, EnvSpec, ObsSpec};
use a3crs_core::nn::Net;
use a3crs_core::train::actor_learner::Actor;
use a3crs_core::train::stats::ActorStats;
use a3crs_core::train::{ActorLearner, Algo, Setup};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use support::config;

mod support;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to the system's allocator; the counter neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        // SAFETY: the caller's obligations are the system allocator's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's obligations are the system allocator's.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations_of_a_hundred_segments(
    algo: Algo,
    net: Net,
    obs: ObsSpec,
    num_actions: usize,
    env: Box<dyn Env<usize>>,
) -> u64 {
    let mut config = config(algo, 1_000_000, 1e-3);
    config.net = net;
    let setup = Setup::new(config, EnvSpec { obs, num_actions, frames_per_step: 1, own_thread: false }).unwrap();
    let (shared, stats) = (setup.shared(), ActorStats::default());
    let mut rng = setup.actor_rng(0, 0);
    let algo = setup.config.algorithm(&mut rng);
    let actor = Actor { actor: 0, env, algo, rng, stats: &stats };
    let mut learner = ActorLearner::new(&setup.config, &setup.net, setup.isa, &shared, actor);
    let mut episodes = 0;
    let mut hear = |_| episodes += 1;
    learner.segment(&mut hear).unwrap();
    let before = ALLOCATIONS.with(Cell::get);
    for _ in 0..100 {
        learner.segment(&mut hear).unwrap();
    }
    let after = ALLOCATIONS.with(Cell::get);
    assert!(episodes > 0, "no episode ended: resets were not looked at");
    after - before
}

#[test]
fn acting_and_learning_do_not_allocate() {
    for algo in Algo::ALL {
        for net in Net::ALL {
            let catch = Catch::new(6, 6);
            let n = allocations_of_a_hundred_segments(algo, net, catch.obs_spec(), 3, Box::new(catch));
            assert_eq!(n, 0, "{algo:?} {net:?} on images");
        }
        for net in [Net::Ff, Net::Lstm] {
            let chain = Chain::new(5, 20);
            let n = allocations_of_a_hundred_segments(algo, net, chain.obs_spec(), 2, Box::new(chain));
            assert_eq!(n, 0, "{algo:?} {net:?} on vectors");
        }
    }
}
