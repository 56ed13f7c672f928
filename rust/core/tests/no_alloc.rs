//! Absence of allocations in the step loop.

use a3crs_core::env::{ActionSpec, Aim, Catch, Chain, Env, EnvSpec};
use a3crs_core::nn::Net;
use a3crs_core::rl::ActionVector;
use a3crs_core::train::Actor;
use a3crs_core::train::config::{RewardScale, Running};
use a3crs_core::train::log::ActorStats;
use a3crs_core::train::{Action, ActorLearner, Algo, Setup, Shared};
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

fn allocations_of_a_hundred_segments<A: Action>(algo: Algo, net: Net, spec: EnvSpec, env: Box<dyn Env<A>>) -> u64 {
    let mut config = config(algo, 1_000_000, 1e-3);
    (config.network.net, config.normalize_obs, config.reward_scale) =
        (net, true, RewardScale::Running(Running::Running));
    if algo == Algo::A2c {
        config.actors = 1; // the others would be waited for
    }
    let setup = Setup::new(config, spec).unwrap();
    let (shared, stats) = (Shared::new(&setup), ActorStats::default());
    let mut rng = setup.actor_rng(0, 0);
    let method = setup.config.method::<A>(&mut rng);
    let actor = Actor { actor: 0, env, method, rng, stats: &stats };
    let mut learner = ActorLearner::new(&setup, &shared, actor);
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
            let spec = EnvSpec::new(catch.obs_spec(), ActionSpec::Discrete(3));
            let n = allocations_of_a_hundred_segments::<usize>(algo, net, spec, Box::new(catch));
            assert_eq!(n, 0, "{algo:?} {net:?} on images");
        }
        for net in [Net::Ff, Net::Lstm] {
            let chain = Chain::new(5, 20);
            let spec = EnvSpec::new(chain.obs_spec(), ActionSpec::Discrete(2));
            let n = allocations_of_a_hundred_segments::<usize>(algo, net, spec, Box::new(chain));
            assert_eq!(n, 0, "{algo:?} {net:?} on vectors");
        }
    }
    for algo in Algo::ALL.into_iter().filter(|algo| algo.row().continuous.is_some()) {
        for net in [Net::Ff, Net::Lstm] {
            let aim = Aim::new(3, 20);
            let n = allocations_of_a_hundred_segments::<ActionVector>(algo, net, aim.spec(), Box::new(aim));
            assert_eq!(n, 0, "{algo:?} {net:?} with continuous actions");
        }
    }
}
