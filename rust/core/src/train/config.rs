//! Complete description of a run. There are no defaults here: they live in `python/a3crs/config.py` alone.

use super::error::TrainError;

use crate::env::{ActionSpec, EnvSpec};
use crate::nn::{Init, NetSpec};
use crate::rl::{Action, ActorRng, Algo, Experience, Exploration, MAX_ACTION_DIMS, Method, MethodSettings};
use crate::shared::optimizer::{OptimizerConfig, OptimizerKind};
use crate::shared::schedule::{LrSchedule, lr_at};
use serde::{Deserialize, Serialize};

/// Whole numbers up to this are exact as f32, as which checkpoints keep actions.
const MOST_ACTIONS: usize = 1 << 24;

/// The longest segment between two updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TMax {
    /// A number of steps, after which returns bootstrap from the last state.
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

/// Factor that multiplies rewards before they are clipped.
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
    /// Deviation measured while the run goes on.
    Running,
}

/// Everything that defines a run, in the paper's symbols. `_steps` are agent decisions summed over the actors.
///
/// Settings of a part of the core are that part's own struct; in a file all stand side by side ([`TrainConfig::from_json`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// The environment's name; the caller makes it.
    pub env: String,
    /// The environment's protocol; the caller follows it.
    pub protocol: String,
    /// The method.
    pub algo: Algo,
    /// Settings of the network.
    #[serde(flatten)]
    pub network: NetSpec,
    /// Rule by which theta is initialised.
    pub init: Init,
    /// The optimizer.
    pub optimizer: OptimizerKind,
    /// Number of actor-learner threads.
    pub actors: usize,
    /// Number of segments in flight at once; the other actors wait for their turn. 0 leaves it to the environment: one
    /// a core where it has a thread of its own, all where it has a process, else two a core.
    pub segments_at_once: usize,
    /// True if updates come in a fixed order, so that the run can be repeated bit for bit.
    pub deterministic: bool,
    /// T_max.
    pub total_steps: u64,
    /// Longest segment between two updates (t_max, I_AsyncUpdate).
    pub t_max: TMax,
    /// Discount.
    pub gamma: f32,
    /// Settings that the method reads.
    #[serde(flatten)]
    pub method: MethodSettings,
    /// eta, the learning rate at its highest.
    pub lr: f32,
    /// Way in which it falls over the run.
    pub lr_schedule: LrSchedule,
    /// Steps over which it rises from 0 at first.
    pub lr_warmup_steps: u64,
    /// alpha of momentum SGD.
    pub momentum: f32,
    /// alpha of RMSProp.
    pub rms_decay: f32,
    /// RMSProp's epsilon, inside the square root.
    pub rms_eps: f32,
    /// beta_1 of Adam.
    pub adam_beta1: f32,
    /// beta_2 of Adam.
    pub adam_beta2: f32,
    /// Adam's epsilon, outside the square root.
    pub adam_eps: f32,
    /// L2 norm to which a segment's gradient is clipped; 0 is no clipping.
    pub max_grad_norm: f32,
    /// True if observations that are vectors are brought to mean 0 and variance 1.
    pub normalize_obs: bool,
    /// Factor that multiplies rewards before they are clipped.
    pub reward_scale: RewardScale,
    /// Rewards are clipped to `[-reward_clip, reward_clip]` for learning; 0 is no clipping.
    pub reward_clip: f32,
    /// I_target of the value-based methods.
    pub target_interval_steps: u64,
    /// Everything random follows from it, but for the order in which threads run.
    pub seed: u64,
    /// Seconds between two checkpoints.
    pub checkpoint_secs: f64,
    /// Number of numbered checkpoints that are kept.
    pub keep_checkpoints: usize,
}

impl TrainConfig {
    /// Reads a configuration that has every setting and no other.
    pub fn from_json(json: &str) -> Result<Self, serde_json::Error> {
        let config: TrainConfig = serde_json::from_str(json)?;
        let given: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json)?;
        let known = serde_json::to_value(&config)?;
        let known = known.as_object().expect("a configuration is an object");
        if let Some(name) = given.keys().find(|name| !known.contains_key(*name)) {
            return Err(serde::de::Error::custom(format!("there is no setting `{name}`")));
        }
        match known.keys().find(|name| !given.contains_key(*name)) {
            Some(name) => Err(serde::de::Error::custom(format!("the setting `{name}` is missing"))),
            None => Ok(config),
        }
    }

    /// An actor's method, which draws its own exploration.
    ///
    /// # Panics
    /// If the method has no form for such actions, which [`TrainConfig::check`] refuses.
    pub fn method<A: Action>(&self, rng: &mut ActorRng) -> Box<dyn Method<A>> {
        self.method_exploring(&mut || Exploration::draw(self.method.explore_anneal_steps, rng))
    }

    /// The method as it is evaluated.
    ///
    /// # Panics
    /// As [`TrainConfig::method`].
    pub fn evaluated<A: Action>(&self) -> Box<dyn Method<A>> {
        self.method_exploring(&mut || Exploration::EVALUATION)
    }

    fn method_exploring<A: Action>(&self, explore: &mut dyn FnMut() -> Exploration) -> Box<dyn Method<A>> {
        let form =
            A::form(self.algo.row()).expect("`check` refuses a method without a form for the environment's actions");
        (form.method)(&self.method, explore)
    }

    /// Memory for the longest segment in `env`: so many steps.
    pub fn segment_steps(&self, env: &EnvSpec) -> usize {
        match self.t_max {
            TMax::Steps(n) => n,
            TMax::Whole(Whole::Episode) => env.max_episode_steps.unwrap_or(0), // `check` refuses none
        }
    }

    /// Settings of the optimizer.
    pub fn optimizer_config(&self) -> OptimizerConfig {
        let kind = self.optimizer;
        match kind {
            OptimizerKind::MomentumSgd => {
                OptimizerConfig { kind, decay: self.momentum, decay2: 0.0, eps: self.rms_eps }
            }
            OptimizerKind::RmsProp | OptimizerKind::SharedRmsProp => {
                OptimizerConfig { kind, decay: self.rms_decay, decay2: 0.0, eps: self.rms_eps }
            }
            OptimizerKind::Adam | OptimizerKind::SharedAdam => {
                OptimizerConfig { kind, decay: self.adam_beta1, decay2: self.adam_beta2, eps: self.adam_eps }
            }
        }
    }

    /// eta at global step `t`.
    pub fn lr_at(&self, t: u64) -> f32 {
        lr_at(self.lr, self.lr_schedule, self.lr_warmup_steps, t, self.total_steps)
    }

    /// Number of pools of actors that learn together; 0 where each learns alone.
    pub fn pools(&self) -> usize {
        match self.algo.row().experience {
            Experience::Segment => 0,
            Experience::Pool => (self.actors / self.method.pool.max(1)).max(1),
            Experience::All => 1,
        }
    }

    /// True where updates come in a fixed order.
    pub fn has_fixed_order(&self) -> bool {
        self.deterministic || self.algo.row().experience == Experience::All
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
            (
                self.algo.row().experience.spans_episodes() && self.t_max == TMax::Whole(Whole::Episode),
                "t_max = episode is for methods that learn from one episode at a time: give ppo and a2c a number of steps",
            ),
            (self.method.epochs == 0, "epochs must be at least 1"),
            (self.method.pool == 0, "pool must be at least 1"),
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
            ActionSpec::Continuous { .. } if self.algo.row().continuous.is_none() => {
                let others = Algo::ALL.into_iter().filter(|algo| algo.row().continuous.is_some()).map(Algo::name);
                Err(TrainError::Config(format!(
                    "{} chooses among actions, but the environment's are continuous: use algo {}",
                    self.algo.name(),
                    others.collect::<Vec<_>>().join(" or ")
                )))
            }
            ActionSpec::Discrete(_) | ActionSpec::Continuous { .. } => Ok(()),
        }
    }
}
