//! A run before it starts: its settings, its network, its shared memory.

use super::actor_learner::Shared;
use super::actor_state::{ActorState, Shelf};
use super::checkpoint::Checkpoint;
use super::config::{RewardScale, TrainConfig};
use super::cores::Cores;
use super::error::TrainError;
use super::normalise::{Moments, RewardScaler, Scale, SharedMoments};
use super::order::Order;
use super::predict::Agent;
use super::rounds::Rounds;
use super::turns::{SegmentMemory, Turns};
use crate::env::{EnvSpec, ObsSpec};
use crate::kernel::Isa;
use crate::nn::Network;
use crate::rl::ActorRng;
use crate::shared::clock::Clock;
use crate::shared::optimizer::SharedOptimizer;
use crate::shared::refreshes::Refreshes;
use crate::shared::store::Store;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use rand::SeedableRng;

/// So many segments of a round are in flight at once: enough for the cores of most machines, and few enough that a gradient is not late.
const SEGMENTS_OF_ROUNDS: usize = 4;

/// A run, checked and ready to start.
#[derive(Debug)]
pub struct Setup {
    /// Its settings.
    pub config: TrainConfig,
    /// Its environment.
    pub env: EnvSpec,
    /// The network that follows from both.
    pub net: Network,
    /// The instruction set.
    pub isa: Isa,
}

impl Setup {
    /// Checks that a run of `config` on `env` can be.
    pub fn new(config: TrainConfig, env: EnvSpec) -> Result<Self, TrainError> {
        config.check(&env)?;
        let isa = Isa::detect().map_err(TrainError::Config)?;
        let net = config.network(&env)?;
        Ok(Setup { config, env, net, isa })
    }

    /// The random stream of `actor` in a run (re)started at step `start`: streams 2^128 draws apart, never shared.
    pub fn actor_rng(&self, start: u64, actor: usize) -> ActorRng {
        let mut rng = ActorRng::seed_from_u64(self.config.seed ^ start.rotate_left(32));
        (0..=actor).for_each(|_| rng.jump());
        rng
    }

    /// Fresh shared memory: theta by Torch's rule, g = 0, T = 0.
    pub fn shared(&self) -> Shared {
        let theta = Agent::fresh(self).theta;
        let with_target = !self.config.algo.has_policy(); // the rows of the table that read theta_target
        let cores = Cores::new(self.config.actors, self.env.own_thread);
        let observations = self.normalised_dims().map(Moments::new);
        let returns = self.has_running_rewards().then(|| Moments::new(1));
        let actor = |_| Shelf::new(self.actor_state(observations.as_ref(), returns.as_ref()));
        Shared {
            theta_target: with_target.then(|| Store::from_slice(&theta)),
            theta: Store::from_slice(&theta),
            optimizer: SharedOptimizer::new(self.config.optimizer_config(), theta.len(), self.config.actors),
            clock: Clock::at(0),
            updates: AtomicU64::new(0),
            target_refreshes: Refreshes::default(),
            stop: AtomicBool::new(false),
            order: self.order(&cores, with_target, 0),
            cores,
            actors: (0..self.config.actors).map(actor).collect(),
            observations: observations.clone().map(SharedMoments::new),
            returns: returns.clone().map(SharedMoments::new),
        }
    }

    /// An actor that has not begun, where that much is known of observations and returns.
    pub fn actor_state(&self, observations: Option<&Moments>, returns: Option<&Moments>) -> ActorState {
        let reward_by = RewardScaler::first(self.config.reward_scale, returns);
        ActorState::new(&self.env, self.net.state_len(), reward_by, observations.map(Scale::of))
    }

    /// Turns with the memory of as many segments as shall be in flight, in as many groups as wait for each other.
    fn order(&self, cores: &Cores, with_target: bool, steps: u64) -> Order {
        let TrainConfig { actors, segments_at_once, deterministic, .. } = self.config;
        let t_max = self.config.segment_steps(&self.env);
        let at_once = match segments_at_once {
            0 if deterministic => SEGMENTS_OF_ROUNDS.min(actors), // the same on every machine
            0 if self.env.own_process => actors,                  // a core is free while an actor waits
            0 => cores.segments_at_once(actors),
            n => n.min(actors),
        };
        let memory = |_| SegmentMemory::new(&self.net, t_max, with_target);
        if deterministic {
            return Order::Fixed(Rounds::new(actors, (0..at_once).map(memory).collect(), steps));
        }
        let groups = cores.groups().min(at_once);
        let share = |group| at_once / groups + usize::from(group < at_once % groups);
        let turns = |group| Turns::new(actors.div_ceil(groups), (0..share(group)).map(memory).collect());
        Order::Arrival((0..groups).map(turns).collect())
    }

    /// The length of observations that are normalised; none where they are not.
    fn normalised_dims(&self) -> Option<usize> {
        match self.env.obs {
            ObsSpec::Vector { len } if self.config.normalize_obs => Some(len),
            _ => None,
        }
    }

    fn has_running_rewards(&self) -> bool {
        matches!(self.config.reward_scale, RewardScale::Running(_))
    }

    /// Shared memory as `checkpoint` left it.
    pub fn restored(&self, checkpoint: &Checkpoint) -> Shared {
        let mut shared = self.shared();
        let going_on = |moments: &Option<Moments>| moments.clone().map(SharedMoments::new);
        // What a run of an older a3crs did without, it goes on without.
        shared.observations = shared.observations.and_then(|_| going_on(&checkpoint.observations));
        shared.returns = shared.returns.and_then(|_| going_on(&checkpoint.returns));
        shared.theta.write_from(self.isa, &checkpoint.theta);
        if let (Some(store), Some(values)) = (&shared.theta_target, &checkpoint.theta_target) {
            store.write_from(self.isa, values);
        }
        for (name, store) in shared.optimizer.statistics() {
            if let Some((_, values)) = checkpoint.statistics.iter().find(|(kept, _)| *kept == name) {
                store.write_from(self.isa, values);
            }
        }
        shared.clock.set(checkpoint.meta.steps);
        shared.updates.store(checkpoint.meta.updates, Relaxed);
        shared.order = self.order(&shared.cores, shared.theta_target.is_some(), checkpoint.meta.steps);
        let (observations, returns) = (checkpoint.observations.as_ref(), checkpoint.returns.as_ref());
        shared.actors = (0..self.config.actors)
            .map(|actor| {
                checkpoint.actors.get(actor).cloned().unwrap_or_else(|| self.actor_state(observations, returns))
            })
            .map(Shelf::new)
            .collect();
        shared
    }
}
