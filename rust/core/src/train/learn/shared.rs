//! Everything that the actor-learners of a run share.

use super::actor_state::{ActorState, Shelf};
use super::moments::{Moments, SharedMoments};
use super::normalise::Scale;
use super::pool::Pool;
use super::rewards::RewardScaler;
use super::segment::Segment;
use crate::env::ObsSpec;
use crate::rl::Experience;
use crate::shared::{Hogwild, Parameters};
use crate::sync::atomic::AtomicBool;
use crate::train::config::{RewardScale, TrainConfig};
use crate::train::setup::Setup;
use crate::train::turns::{Cores, Order, Rounds, Turns};
use std::sync::Mutex;

/// Segments of a round that are in flight at once: enough for the cores of most machines, and few enough that a gradient is not late.
const SEGMENTS_OF_ROUNDS: usize = 4;

/// Parameters without locks, and what surrounds them.
#[derive(Debug)]
pub struct Shared {
    /// theta, theta_target, the optimizer's statistics and T.
    pub parameters: Box<dyn Parameters>,
    /// True once the actors shall end early.
    pub stop: AtomicBool,
    /// The cores that the actors run on.
    pub cores: Cores,
    /// The order in which actors take turns, and the memory of their segments.
    pub order: Order<Segment>,
    /// Pools of actors that learn together: actor `i` belongs to pool `i % len`. None where each learns alone.
    pub pools: Vec<Mutex<Pool>>,
    /// The actors as they were after their last segment.
    pub actors: Vec<Shelf>,
    /// Statistics of all observations, where observations are normalised.
    pub observations: Option<SharedMoments>,
    /// Statistics of all discounted returns, where rewards are scaled by them.
    pub returns: Option<SharedMoments>,
}

impl Shared {
    /// Shared memory of a run that begins: theta by Torch's rule, g = 0, T = 0.
    pub fn new(setup: &Setup) -> Shared {
        let observations = normalised_dims(setup).map(Moments::new);
        let returns = matches!(setup.config.reward_scale, RewardScale::Running(_)).then(|| Moments::new(1));
        let actor = || new_actor(setup, observations.as_ref(), returns.as_ref());
        let actors = (0..setup.config.actors).map(|_| actor()).collect();
        Shared::going_on(setup, actors, observations.clone(), returns.clone(), 0)
    }

    /// Shared memory with these `actors` and statistics at T = `steps`, but theta as in [`Shared::new`].
    pub fn going_on(
        setup: &Setup,
        actors: Vec<ActorState>,
        observations: Option<Moments>,
        returns: Option<Moments>,
        steps: u64,
    ) -> Shared {
        let Setup { config, isa, .. } = setup;
        let cores = Cores::new(config.actors, setup.env.own_thread);
        let (theta, with_target) = (setup.initial_theta(), config.algo.row().reads_target);
        let parameters = Hogwild::new(*isa, &theta, with_target, config.optimizer_config(), config.actors);
        Shared {
            parameters: Box::new(parameters),
            stop: AtomicBool::new(false),
            order: order(setup, &cores, steps),
            pools: pools(setup),
            cores,
            actors: actors.into_iter().map(Shelf::new).collect(),
            observations: observations.map(SharedMoments::new),
            returns: returns.map(SharedMoments::new),
        }
    }
}

/// An actor that has not begun, where that much is known of observations and returns.
pub fn new_actor(setup: &Setup, observations: Option<&Moments>, returns: Option<&Moments>) -> ActorState {
    let reward_by = RewardScaler::first(setup.config.reward_scale, returns);
    ActorState::new(&setup.env, setup.net.state_len(), reward_by, observations.map(Scale::of))
}

/// The length of observations that are normalised; none where they are not.
fn normalised_dims(setup: &Setup) -> Option<usize> {
    match setup.env.obs {
        ObsSpec::Vector { len } if setup.config.normalize_obs => Some(len),
        ObsSpec::Vector { .. } | ObsSpec::Image { .. } => None,
    }
}

/// The pools of a method that learns from rollouts of several actors.
fn pools(setup: &Setup) -> Vec<Mutex<Pool>> {
    let (config, pools) = (&setup.config, setup.config.pools());
    let (t_max, width) = (config.segment_steps(&setup.env), setup.env.actions.width());
    let minibatch_steps = match config.algo.row().experience {
        Experience::All => 0,
        Experience::Segment | Experience::Pool => config.method.minibatch_steps,
    };
    let members = |pool| (pool..config.actors).step_by(pools).len();
    (0..pools).map(|pool| Mutex::new(Pool::new(&setup.net, t_max, width, members(pool), minibatch_steps))).collect()
}

/// Turns with the memory of as many segments as shall be in flight, in as many groups as wait for each other.
fn order(setup: &Setup, cores: &Cores, steps: u64) -> Order<Segment> {
    let TrainConfig { actors, segments_at_once, .. } = setup.config;
    let deterministic = setup.config.has_fixed_order();
    let at_once = match segments_at_once {
        0 if deterministic => SEGMENTS_OF_ROUNDS.min(actors), // the same on every machine
        0 if setup.env.own_process => actors,                 // a core is free while an actor waits
        0 => cores.segments_at_once(actors),
        n => n.min(actors),
    };
    let (t_max, width) = (setup.config.segment_steps(&setup.env), setup.env.actions.width());
    let row = setup.config.algo.row();
    let memory = |_| match row.experience {
        Experience::Segment => Segment::new(&setup.net, t_max, width, row.reads_target),
        Experience::Pool | Experience::All => Segment::of_pool(&setup.net, t_max, width),
    };
    if deterministic {
        return Order::Fixed(Rounds::new(actors, (0..at_once).map(memory).collect(), steps));
    }
    let groups = cores.groups().min(at_once);
    let share = |group| at_once / groups + usize::from(group < at_once % groups);
    let turns = |group| Turns::new(actors.div_ceil(groups), (0..share(group)).map(memory).collect());
    Order::Arrival((0..groups).map(turns).collect())
}
