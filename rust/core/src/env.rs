//! Interface of environments to the training loop, the rules of Atari games, and tiny environments to test and demonstrate it with.

pub mod atari;
mod tiny;

pub use tiny::{Aim, Catch, Chain, Recall};

use serde::{Deserialize, Serialize};
use std::error::Error;

/// How a step ended: never a bool, because a time limit ends the episode and still bootstraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The episode goes on.
    No,
    /// `s_{t+1}` is terminal: its value is 0.
    Terminal,
    /// Cut off by a time limit: the value of the final observation counts.
    Truncated,
}

/// A whole episode (game) that has just ended, with what the user calls its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Episode {
    /// The sum of raw rewards.
    pub episode_return: f64,
    /// Its length in agent steps.
    pub length_steps: u64,
}

/// What a step gives besides the observation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The raw reward; clipping is the training loop's business.
    pub reward: f32,
    /// Whether and how the episode ended *for learning* (a lost life may be terminal).
    pub end: End,
    /// Present exactly when a whole episode ended, which a lost life does not.
    pub episode: Option<Episode>,
}

/// The shape and type of an observation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum ObsSpec {
    /// `(channels, height, width)` bytes.
    Image {
        /// Stacked frames, or colours.
        channels: usize,
        /// Rows of pixels.
        height: usize,
        /// Pixels a row.
        width: usize,
    },
    /// `(len)` f32.
    Vector {
        /// Number of features.
        len: usize,
    },
}

impl ObsSpec {
    /// Number of elements of one observation.
    pub fn len(&self) -> usize {
        match *self {
            ObsSpec::Image { channels, height, width } => channels * height * width,
            ObsSpec::Vector { len } => len,
        }
    }

    /// Whether an observation has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl std::fmt::Display for ObsSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ObsSpec::Image { channels, height, width } => write!(f, "images of {channels}x{height}x{width}"),
            ObsSpec::Vector { len } => write!(f, "vectors of {len} features"),
        }
    }
}

/// What an agent can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ActionSpec {
    /// One of so many.
    Discrete(usize),
    /// A point.
    Continuous {
        /// Number of its components.
        dims: usize,
    },
}

impl ActionSpec {
    /// Number of choices, or of components.
    pub const fn size(self) -> usize {
        match self {
            ActionSpec::Discrete(n) => n,
            ActionSpec::Continuous { dims } => dims,
        }
    }

    /// Numbers that an action is written as.
    pub const fn width(self) -> usize {
        match self {
            ActionSpec::Discrete(_) => 1,
            ActionSpec::Continuous { dims } => dims,
        }
    }
}

impl std::fmt::Display for ActionSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ActionSpec::Discrete(n) => write!(f, "{n} actions"),
            ActionSpec::Continuous { dims } => write!(f, "continuous actions of {dims} components"),
        }
    }
}

/// What the network and the log have to know of an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvSpec {
    /// The observation.
    pub obs: ObsSpec,
    /// The action; checkpoints of format 1 had a number of discrete ones.
    #[serde(alias = "num_actions")]
    pub actions: ActionSpec,
    /// Emulator frames a step (the action repeat): 4 for Atari.
    pub frames_per_step: u64,
    /// Whether a thread of the environment's own, which the actor's has started, computes a step while the actor's waits.
    #[serde(default)]
    pub own_thread: bool,
    /// Whether another process does.
    #[serde(default)]
    pub own_process: bool,
    /// The time limit of its episodes, where there is one.
    #[serde(default)]
    pub max_episode_steps: Option<usize>,
    /// An episode gets a new seed once so many steps were taken since the last; 0 where a seed costs nothing, and each gets one.
    #[serde(default)]
    pub reseed_steps: u64,
    /// Whether steps draw random numbers, or only the beginnings of episodes do.
    #[serde(default)]
    pub random_steps: bool,
}

impl EnvSpec {
    /// An environment of one frame a step, computed by the actor's thread, without a time limit.
    pub const fn new(obs: ObsSpec, actions: ActionSpec) -> Self {
        EnvSpec {
            obs,
            actions,
            frames_per_step: 1,
            own_thread: false,
            own_process: false,
            max_episode_steps: None,
            reseed_steps: 0,
            random_steps: false,
        }
    }

    /// Whether what is learned in one can be gone on with in the other.
    pub fn same_task(&self, other: &EnvSpec) -> bool {
        let task = |spec: &EnvSpec| (spec.actions, spec.frames_per_step);
        self.obs == other.obs && task(self) == task(other)
    }
}

/// One observation, to be read.
#[derive(Clone, Copy, Debug)]
pub enum ObsRef<'a> {
    /// An image's bytes, `(channels, height, width)`.
    Image(&'a [u8]),
    /// A vector's features.
    Vector(&'a [f32]),
}

/// One observation, to be written by the environment.
#[derive(Debug)]
pub enum ObsMut<'a> {
    /// An image's bytes, `(channels, height, width)`.
    Image(&'a mut [u8]),
    /// A vector's features.
    Vector(&'a mut [f32]),
}

/// What an environment can fail with; it reaches the caller of the run unchanged.
pub type EnvError = Box<dyn Error + Send + Sync>;

/// An environment with actions `A`, owned by one actor.
pub trait Env<A> {
    /// Starts an episode and writes its first observation. What follows a seed depends on it, and on nothing before; without one the
    /// environment goes on with the random numbers it has. [`EnvSpec::reseed_steps`] says how often there is one.
    fn reset(&mut self, seed: Option<u64>, obs: ObsMut<'_>) -> Result<(), EnvError>;
    /// Takes one action and writes the next observation, also when the episode ended with it.
    fn step(&mut self, action: A, obs: ObsMut<'_>) -> Result<Step, EnvError>;
}

impl<A, E: Env<A> + ?Sized> Env<A> for Box<E> {
    fn reset(&mut self, seed: Option<u64>, obs: ObsMut<'_>) -> Result<(), EnvError> {
        (**self).reset(seed, obs)
    }
    fn step(&mut self, action: A, obs: ObsMut<'_>) -> Result<Step, EnvError> {
        (**self).step(action, obs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_checkpoint_of_format_1_says_of_its_environment_is_still_understood() {
        let json = r#"{"obs": {"kind": "vector", "len": 4}, "num_actions": 2, "frames_per_step": 1}"#;
        let spec: EnvSpec = serde_json::from_str(json).unwrap();
        assert_eq!(spec, EnvSpec::new(ObsSpec::Vector { len: 4 }, ActionSpec::Discrete(2)));
        let dims = r#"{"obs": {"kind": "vector", "len": 4}, "actions": {"dims": 3}, "frames_per_step": 1}"#;
        let spec: EnvSpec = serde_json::from_str(dims).unwrap();
        assert_eq!(spec.actions, ActionSpec::Continuous { dims: 3 });
    }
}
