//! Interface of environments to the training loop, the rules of Atari games, and tiny environments to test and demonstrate it with.

pub mod atari;
mod tiny;

pub use tiny::{Aim, Catch, Chain, Recall};

use serde::{Deserialize, Serialize};
use std::error::Error;

/// Effect of a step on its episode. A bool would not do, because an episode cut off by a time limit ends and still
/// bootstraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The episode goes on.
    No,
    /// `s_{t+1}` is terminal: its value is 0.
    Terminal,
    /// Cut off by a time limit: the value of the final observation counts.
    Truncated,
}

/// Statistics of a whole episode (game) that has just ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Episode {
    /// Sum of raw rewards.
    pub episode_return: f64,
    /// Length in agent steps.
    pub length_steps: u64,
}

/// Result of a step besides the observation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Raw reward; the training loop clips it.
    pub reward: f32,
    /// End of the episode *for learning*: a lost life may be terminal.
    pub end: End,
    /// Statistics of the episode. They are present exactly when a whole episode has ended, which a lost life does not
    /// do.
    pub episode: Option<Episode>,
}

/// Shape and type of an observation.
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

    /// Returns true if an observation has no elements.
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

/// Type of an environment's actions, and their number or size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ActionSpec {
    /// Number of actions, of which each step takes one.
    Discrete(usize),
    /// Vectors of f32.
    Continuous {
        /// Number of components.
        dims: usize,
    },
}

impl ActionSpec {
    /// Returns the number of actions, or of components.
    pub const fn size(self) -> usize {
        match self {
            ActionSpec::Discrete(n) => n,
            ActionSpec::Continuous { dims } => dims,
        }
    }

    /// Returns the count of numbers that store one action: 1, or the number of components.
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

/// Properties of an environment that the training loop, the network and the log read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvSpec {
    /// Observations.
    pub obs: ObsSpec,
    /// Actions. Checkpoints of format 1 hold the number of discrete ones.
    #[serde(alias = "num_actions")]
    pub actions: ActionSpec,
    /// Emulator frames per step (the action repeat): 4 for Atari.
    pub frames_per_step: u64,
    /// True if the environment computes its steps in a thread of its own. The actor's thread has started it, and waits
    /// meanwhile.
    #[serde(default)]
    pub own_thread: bool,
    /// True if the environment computes its steps in another process.
    #[serde(default)]
    pub own_process: bool,
    /// Time limit of an episode in steps; none if there is no limit.
    #[serde(default)]
    pub max_episode_steps: Option<usize>,
    /// Number of steps after which the next episode gets a new seed. 0 gives every episode a new seed, where seeding
    /// costs nothing.
    #[serde(default)]
    pub reseed_steps: u64,
    /// True if steps draw random numbers; false if only the beginnings of episodes do.
    #[serde(default)]
    pub random_steps: bool,
}

impl EnvSpec {
    /// Describes an environment of one frame per step, computed by the actor's thread, without a time limit.
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

    /// Returns true if training in one environment can be resumed in the other.
    pub fn same_task(&self, other: &EnvSpec) -> bool {
        let task = |spec: &EnvSpec| (spec.actions, spec.frames_per_step);
        self.obs == other.obs && task(self) == task(other)
    }
}

/// Borrowed observation, for reading.
#[derive(Clone, Copy, Debug)]
pub enum ObsRef<'a> {
    /// Bytes of an image, `(channels, height, width)`.
    Image(&'a [u8]),
    /// Features of a vector.
    Vector(&'a [f32]),
}

/// Borrowed observation, for the environment to write.
#[derive(Debug)]
pub enum ObsMut<'a> {
    /// Bytes of an image, `(channels, height, width)`.
    Image(&'a mut [u8]),
    /// Features of a vector.
    Vector(&'a mut [f32]),
}

/// Error of an environment; it reaches the caller of the run unchanged.
pub type EnvError = Box<dyn Error + Send + Sync>;

/// Environment with actions `A`, owned by one actor.
pub trait Env<A> {
    /// Starts an episode and writes its first observation.
    ///
    /// After a seed the environment depends on the seed alone, and not on its past. Without a seed it continues its
    /// random stream. [`EnvSpec::reseed_steps`] sets how often a seed is given.
    fn reset(&mut self, seed: Option<u64>, obs: ObsMut<'_>) -> Result<(), EnvError>;
    /// Takes one action and writes the next observation, also if this one is the last of its episode.
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
