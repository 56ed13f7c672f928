//! A complete description of a run. There are no defaults here: they live in `python/a3crs/config.py` alone.

use super::error::TrainError;
use crate::catalogue::Entry;
use crate::env::{ActionSpec, EnvSpec};
use crate::kernel::activation::Activation;
use crate::nn::{Head, Net, NetSpec, Network, Part};
use crate::rl::{
    A3c, ActionVector, ActorRng, Algorithm, Covariance, Exploration, GaussianA3c, MAX_ACTION_DIMS, ValueBased,
};
use crate::shared::optimizer::{OptimizerConfig, OptimizerKind};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// All whole numbers up to this are f32, as which checkpoints have actions.
const MOST_ACTIONS: usize = 1 << 24;

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

/// The longest segment between two updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TMax {
    /// So many steps, from whose last state returns bootstrap.
    Steps(usize),
    /// Section 9: whole episodes, without bootstrapping.
    Whole(Whole),
}

/// `"episode"` in a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Whole {
    /// To its end.
    Episode,
}

/// What multiplies rewards before they are clipped.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RewardScale {
    /// A number.
    By(f32),
    /// 1 / the running deviation of the discounted return.
    Running(Running),
}

/// `"running"` in a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Running {
    /// As the run goes on.
    Running,
}

/// A kind of action, with its rows of the table in [`crate::rl`].
pub trait Action: Copy + Send + 'static {
    /// The method of `config`, exploring so.
    fn algorithm(config: &TrainConfig, explore: impl FnOnce() -> Exploration) -> Box<dyn Algorithm<Self>>;
    /// Any action.
    ///
    /// # Panics
    /// If `actions` are of the other kind.
    fn random(actions: ActionSpec, rng: &mut ActorRng) -> Self;
    /// As numbers, into a row of as many as an action of this kind has.
    fn write(&self, row: &mut [f32]);
    /// From such a row.
    fn read(row: &[f32]) -> Self;
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
    /// Units of each hidden layer; empty: the network's own.
    pub hidden: Vec<usize>,
    /// Behind convolutions and hidden layers.
    pub activation: Activation,
    /// LSTM cells; 0: the network's own.
    pub cells: usize,
    /// The optimizer.
    pub optimizer: OptimizerKind,
    /// Number of actor-learner threads.
    pub actors: usize,
    /// How many segments are in flight at once; the other actors wait for their turn. 0 leaves it to the environment: one
    /// a core where it has a thread of its own, all where it has a process, else two a core.
    pub segments_at_once: usize,
    /// Whether updates come in a fixed order, so that the run can be repeated bit for bit.
    pub deterministic: bool,
    /// T_max.
    pub total_steps: u64,
    /// Longest segment between two updates (t_max, I_AsyncUpdate).
    pub t_max: TMax,
    /// Discount.
    pub gamma: f32,
    /// Of A3C's lambda-return: 1 is the paper's n-step return.
    pub lambda: f32,
    /// The covariance of A3C's policy where actions are continuous.
    pub gaussian: Covariance,
    /// c_b, which holds a Gaussian's means where its actions are not clipped.
    pub bound_coef: f32,
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
    /// Whether observations that are vectors are brought to mean 0 and variance 1.
    pub normalize_obs: bool,
    /// What multiplies rewards before they are clipped.
    pub reward_scale: RewardScale,
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
        let head = |name, outputs| Head { name, outputs };
        let net = NetSpec { net: self.net, hidden: &self.hidden, activation: self.activation, cells: self.cells };
        Ok(match (self.algo, env.actions) {
            (Algo::A3c, ActionSpec::Discrete(n)) => {
                Network::new(net, &env.obs, &[head("policy", n), head("value", 1)])?
            }
            (_, ActionSpec::Discrete(n)) => Network::new(net, &env.obs, &[head("q", n)])?,
            (_, ActionSpec::Continuous { dims }) => {
                let mu = [head("mu", dims), head("variance", 1)];
                let value = Part::Trunk { name: "value", heads: &[head("v", 1)] };
                let policy = |heads| Part::Trunk { name: "policy", heads };
                match self.gaussian {
                    Covariance::Spherical => Network::of_parts(net, &env.obs, &[policy(&mu), value])?,
                    Covariance::Diagonal => {
                        let log_sigma = Part::Constant(head("policy.log_sigma", dims));
                        Network::of_parts(net, &env.obs, &[policy(&mu[..1]), log_sigma, value])?
                    }
                }
            }
        })
    }

    /// ... and an actor's algorithm, which draws its own exploration ...
    pub fn algorithm<A: Action>(&self, rng: &mut ActorRng) -> Box<dyn Algorithm<A>> {
        A::algorithm(self, || Exploration::draw(self.explore_anneal_steps, rng))
    }

    /// ... or the algorithm as it is evaluated.
    pub fn evaluated<A: Action>(&self) -> Box<dyn Algorithm<A>> {
        A::algorithm(self, || Exploration::EVALUATION)
    }

    /// Memory for the longest segment in `env`: so many steps.
    pub fn segment_steps(&self, env: &EnvSpec) -> usize {
        match self.t_max {
            TMax::Steps(n) => n,
            TMax::Whole(Whole::Episode) => env.max_episode_steps.unwrap_or(0), // `check` refuses none
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
            (self.t_max == TMax::Steps(0), "t_max must be at least 1"),
            (
                self.segment_steps(env) == 0,
                "the environment's episodes have no time limit, which t_max = episode needs: make t_max a number (or, of a \
                 Gymnasium environment, set --env-kwargs max_episode_steps=1000)",
            ),
            (self.target_interval_steps == 0, "target_interval_steps must be at least 1"),
            (self.checkpoint_secs.is_nan() || self.checkpoint_secs <= 0.0, "checkpoint_secs must be positive"),
            (
                matches!(self.reward_scale, RewardScale::By(by) if by.is_nan() || by <= 0.0),
                "reward_scale must be positive",
            ),
            (env.frames_per_step < 1, "frames_per_step must be at least 1"),
        ];
        if let Some((_, message)) = wrong.iter().find(|(is_wrong, _)| *is_wrong) {
            return Err(TrainError::Config((*message).into()));
        }
        match env.actions {
            ActionSpec::Discrete(0) | ActionSpec::Continuous { dims: 0 } => {
                Err(TrainError::Config("the environment has no actions".into()))
            }
            ActionSpec::Discrete(n) if n > MOST_ACTIONS => Err(TrainError::Config(format!(
                "the environment has {n} actions, but there can be {MOST_ACTIONS} at most"
            ))),
            ActionSpec::Continuous { dims } if dims > MAX_ACTION_DIMS => Err(TrainError::Config(format!(
                "the environment's actions have {dims} components, but there can be {MAX_ACTION_DIMS} at most"
            ))),
            ActionSpec::Continuous { .. } if !self.algo.has_policy() => Err(TrainError::Config(format!(
                "{} chooses among actions, but the environment's are continuous: use algo a3c",
                self.algo.name()
            ))),
            _ => Ok(()),
        }
    }
}

impl Action for usize {
    fn algorithm(config: &TrainConfig, explore: impl FnOnce() -> Exploration) -> Box<dyn Algorithm<usize>> {
        let TrainConfig { lambda, entropy_beta, value_coef, .. } = *config;
        match config.algo {
            Algo::A3c => Box::new(A3c { lambda, entropy_beta, value_coef }),
            Algo::OneStepQ => Box::new(ValueBased::one_step_q(explore())),
            Algo::OneStepSarsa => Box::new(ValueBased::one_step_sarsa(explore())),
            Algo::NStepQ => Box::new(ValueBased::n_step_q(explore())),
        }
    }

    fn random(actions: ActionSpec, rng: &mut ActorRng) -> usize {
        let ActionSpec::Discrete(n) = actions else { panic!("the environment has {actions}") };
        rng.random_range(0..n)
    }

    fn write(&self, row: &mut [f32]) {
        row[0] = *self as f32; // exact up to MOST_ACTIONS
    }

    fn read(row: &[f32]) -> usize {
        row[0] as usize
    }
}

impl Action for ActionVector {
    fn algorithm(config: &TrainConfig, _: impl FnOnce() -> Exploration) -> Box<dyn Algorithm<ActionVector>> {
        let TrainConfig { gaussian: covariance, lambda, entropy_beta, value_coef, bound_coef, .. } = *config;
        Box::new(GaussianA3c { covariance, lambda, entropy_beta, value_coef, bound_coef })
    }

    fn random(actions: ActionSpec, rng: &mut ActorRng) -> ActionVector {
        let ActionSpec::Continuous { dims } = actions else { panic!("the environment has {actions}") };
        ActionVector::from_fn(dims, |_| rng.random_range(-1.0..1.0))
    }

    fn write(&self, row: &mut [f32]) {
        row.copy_from_slice(self);
    }

    fn read(row: &[f32]) -> ActionVector {
        ActionVector::from_fn(row.len(), |i| row[i])
    }
}
