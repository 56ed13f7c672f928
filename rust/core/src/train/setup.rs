//! A run before it starts: its settings, its network, its shared memory.

use super::actor_learner::Shared;
use super::checkpoint::Checkpoint;
use super::config::{RewardScale, TrainConfig};
use super::cores::Cores;
use super::error::TrainError;
use super::normalise::{Moments, SharedMoments};
use super::predict::Agent;
use super::turns::{SegmentMemory, Turns};
use crate::env::{EnvSpec, ObsSpec};
use crate::kernel::Isa;
use crate::nn::Network;
use crate::rl::ActorRng;
use crate::shared::clock::Clock;
use crate::shared::optimizer::SharedOptimizer;
use crate::shared::store::Store;
use rand::SeedableRng;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

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
        Shared {
            theta_target: with_target.then(|| Store::from_slice(&theta)),
            theta: Store::from_slice(&theta),
            optimizer: SharedOptimizer::new(self.config.optimizer_config(), theta.len(), self.config.actors),
            clock: Clock::at(0),
            updates: AtomicU64::new(0),
            target_refreshes: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            turns: self.turns(&cores, with_target),
            cores,
            observations: self.normalised_dims().map(|dims| SharedMoments::new(Moments::new(dims))),
            returns: self.has_running_rewards().then(|| SharedMoments::new(Moments::new(1))),
        }
    }

    /// The memory of as many segments as shall be in flight, in as many groups as wait for each other.
    fn turns(&self, cores: &Cores, with_target: bool) -> Vec<Turns> {
        let TrainConfig { actors, segments_at_once, .. } = self.config;
        let t_max = self.config.segment_steps(&self.env);
        let at_once = match segments_at_once {
            0 if self.env.own_process => actors, // a core is free while an actor waits
            0 => cores.segments_at_once(actors),
            n => n.min(actors),
        };
        let groups = cores.groups().min(at_once);
        let memory = |_| SegmentMemory::new(&self.net, t_max, with_target);
        let share = |group| at_once / groups + usize::from(group < at_once % groups);
        (0..groups).map(|group| Turns::new(actors.div_ceil(groups), (0..share(group)).map(memory).collect())).collect()
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
        shared
    }
}
