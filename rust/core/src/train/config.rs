//! A complete description of a run. There are no defaults here: they live in `python/a3crs/config.py` alone.

use super::error::TrainError;
use crate::catalogue::Entry;
use crate::env::EnvSpec;
use crate::nn::{Head, Net, Network};
use crate::rl::{A3c, ActorRng, Algorithm, Exploration, ValueBased};
use crate::shared::optimizer::{OptimizerConfig, OptimizerKind};
use serde::{Deserialize, Serialize};

/// The methods of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algo {
    /// Advantage actor-critic, Algorithm S3.
    A3c,
    /// Algorithm 1.
    OneStepQ,
    /// Section 4.
    OneStepSarsa,
    /// Algorithm S2.
    NStepQ,
}

impl Algo {
    /// All of them.
    pub const ALL: [Algo; 4] = [Algo::A3c, Algo::OneStepQ, Algo::OneStepSarsa, Algo::NStepQ];

    /// As a configuration and a person call it, and where the paper has it.
    pub const fn entry(self) -> Entry {
        match self {
            Algo::A3c => {
                Entry { name: "a3c", what: "asynchronous advantage actor-critic", paper: "section 4, Algorithm S3" }
            }
            Algo::OneStepQ => {
                Entry { name: "one-step-q", what: "asynchronous one-step Q-learning", paper: "section 4, Algorithm 1" }
            }
            Algo::OneStepSarsa => Entry {
                name: "one-step-sarsa",
                what: "asynchronous one-step Sarsa, on the action really taken next",
                paper: "section 4",
            },
            Algo::NStepQ => {
                Entry { name: "n-step-q", what: "asynchronous n-step Q-learning", paper: "section 4, Algorithm S2" }
            }
        }
    }

    /// Whether y holds a policy, and not only values of actions.
    pub const fn has_policy(self) -> bool {
        matches!(self, Algo::A3c)
    }

    /// As the configuration spells it.
    pub const fn name(self) -> &'static str {
        self.entry().name
    }
}

/// Everything that defines a run, in the paper's symbols. `_steps` are agent decisions summed over the actors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// The environment's name; the caller makes it.
    pub env: String,
    /// The environment's protocol; likewise.
    pub protocol: String,
    /// The method.
    pub algo: Algo,
    /// The network.
    pub net: Net,
    /// The optimizer.
    pub optimizer: OptimizerKind,
    /// Number of actor-learner threads.
    pub actors: usize,
    /// How many segments are in flight at once; the other actors wait for their turn. 0 is twice the cores.
    pub segments_at_once: usize,
    /// T_max.
    pub total_steps: u64,
    /// Longest segment between two updates (t_max, I_AsyncUpdate).
    pub t_max: usize,
    /// Discount.
    pub gamma: f32,
    /// Of A3C's lambda-return: 1 is the paper's n-step return.
    pub lambda: f32,
    /// beta, the weight of A3C's entropy.
    pub entropy_beta: f32,
    /// c_v, which multiplies A3C's `(G - V)^2`.
    pub value_coef: f32,
    /// eta at T = 0; falls linearly to 0 at T_max.
    pub lr: f32,
    /// alpha of momentum SGD.
    pub momentum: f32,
    /// alpha of RMSProp.
    pub rms_decay: f32,
    /// RMSProp's epsilon, inside the square root.
    pub rms_eps: f32,
    /// L2 norm to which a segment's gradient is clipped; 0 is no clipping.
    pub max_grad_norm: f32,
    /// Rewards are clipped to `[-reward_clip, reward_clip]` for learning; 0 is no clipping.
    pub reward_clip: f32,
    /// I_target of the value-based methods.
    pub target_interval_steps: u64,
    /// Steps over which the value-based methods anneal their exploration.
    pub explore_anneal_steps: u64,
    /// Everything random follows from it, but for the order in which threads run.
    pub seed: u64,
    /// Seconds between two checkpoints.
    pub checkpoint_secs: f64,
    /// How many numbered checkpoints are kept.
    pub keep_checkpoints: usize,
}

impl TrainConfig {
    /// The one place that turns a configuration into a network ...
    pub fn network(&self, env: &EnvSpec) -> Result<Network, TrainError> {
        let heads: &[Head] = match self.algo {
            Algo::A3c => &[Head { name: "policy", outputs: env.num_actions }, Head { name: "value", outputs: 1 }],
            Algo::OneStepQ | Algo::OneStepSarsa | Algo::NStepQ => &[Head { name: "q", outputs: env.num_actions }],
        };
        Ok(Network::new(self.net, &env.obs, heads)?)
    }

    /// ... and an actor's algorithm, which draws its own exploration ...
    pub fn algorithm(&self, rng: &mut ActorRng) -> Box<dyn Algorithm<usize>> {
        self.exploring(|| Exploration::draw(self.explore_anneal_steps, rng))
    }

    /// ... or the algorithm as it is evaluated.
    pub fn evaluated(&self) -> Box<dyn Algorithm<usize>> {
        self.exploring(|| Exploration::EVALUATION)
    }

    fn exploring(&self, explore: impl FnOnce() -> Exploration) -> Box<dyn Algorithm<usize>> {
        match self.algo {
            Algo::A3c => {
                Box::new(A3c { lambda: self.lambda, entropy_beta: self.entropy_beta, value_coef: self.value_coef })
            }
            Algo::OneStepQ => Box::new(ValueBased::one_step_q(explore())),
            Algo::OneStepSarsa => Box::new(ValueBased::one_step_sarsa(explore())),
            Algo::NStepQ => Box::new(ValueBased::n_step_q(explore())),
        }
    }

    /// The optimizer's part.
    pub fn optimizer_config(&self) -> OptimizerConfig {
        let decay = match self.optimizer {
            OptimizerKind::MomentumSgd => self.momentum,
            OptimizerKind::RmsProp | OptimizerKind::SharedRmsProp => self.rms_decay,
        };
        OptimizerConfig { kind: self.optimizer, decay, eps: self.rms_eps }
    }

    /// Refuses numbers with which nothing could run.
    pub fn check(&self, env: &EnvSpec) -> Result<(), TrainError> {
        self.optimizer_config().validate().map_err(TrainError::Config)?;
        let wrong = [
            (self.actors == 0, "actors must be at least 1"),
            (self.t_max == 0, "t_max must be at least 1"),
            (self.target_interval_steps == 0, "target_interval_steps must be at least 1"),
            (self.checkpoint_secs.is_nan() || self.checkpoint_secs <= 0.0, "checkpoint_secs must be positive"),
            (env.num_actions < 1, "the environment has no actions"),
            (env.frames_per_step < 1, "frames_per_step must be at least 1"),
        ];
        match wrong.iter().find(|(is_wrong, _)| *is_wrong) {
            Some((_, message)) => Err(TrainError::Config((*message).into())),
            None => Ok(()),
        }
    }
}
