//! Place of an actor's environment, from which a resumed run goes on in the midst of an episode.

use crate::env::{End, Env, EnvError, EnvSpec, Step};
use crate::nn::Observations;
use crate::rl::Action;
use serde::{Deserialize, Serialize};

/// Numbers of an episode's actions that are kept: after 2^20 discrete actions since its seed an episode cannot be gone on with, and a
/// resumed run begins another.
pub(in crate::train) const MOST_NUMBERS: usize = 1 << 20;
/// Mark of a reset in place of an action.
const RESET: f32 = f32::NAN;

/// Place of an environment: its last seed and the actions since. Repeated, they lead to the same place if the environment is
/// deterministic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// None before the first.
    seed: Option<u64>,
    /// Steps since the seed.
    pub(in crate::train) steps: u64,
    /// Earlier episodes since the seed, of which only the starts have to be done again.
    pub(in crate::train) starts: u64,
    /// Episodes since then that the environment has begun by itself.
    pub(in crate::train) hidden_starts: u64,
    /// True if the last step ended a whole episode.
    over: bool,
    /// True if there were too many moves to keep.
    lost: bool,
    /// Numbers of an action.
    pub(in crate::train) width: usize,
    /// `(moves, width)`: actions, and resets.
    #[serde(skip)]
    pub(in crate::train) moves: Vec<f32>,
}

/// Steps since a place was noted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Played {
    /// Steps since then, or since a reset with a seed after then.
    pub steps: u64,
    /// True if there was such a reset.
    pub is_reseeded: bool,
    /// True if the last step ended a whole episode; none without steps.
    pub is_over: Option<bool>,
}

impl Place {
    /// True if the next reset, after what was `played` since, is to come with a new seed. One in the middle of a game (after a lost
    /// life) must not: it would end it.
    pub fn needs_seed(&self, env: &EnvSpec, played: Played) -> bool {
        let has_seed = self.seed.is_some() || played.is_reseeded;
        let (steps, lost) = if played.is_reseeded { (0, false) } else { (self.steps, self.lost) };
        let worn = lost || steps + played.steps >= env.reseed_steps;
        !has_seed || env.reseed_steps == 0 || (played.is_over.unwrap_or(self.over) && worn)
    }

    /// Adds a reset of the environment, perhaps with a seed.
    pub fn reset(&mut self, seed: Option<u64>, env: &EnvSpec) {
        if seed.is_some() {
            self.moves.clear();
            *self = Place { seed, moves: std::mem::take(&mut self.moves), ..Place::nowhere(self.width) };
        } else if self.over && !env.random_steps {
            self.starts += 1 + std::mem::take(&mut self.hidden_starts);
            self.moves.clear();
            self.lost = false;
        } else {
            self.keep(&[]);
        }
        self.over = false;
    }

    /// Place of an environment before its first reset, with actions of `width` numbers and memory for as many as are kept.
    pub fn before_the_first(width: usize) -> Self {
        Place { moves: Vec::with_capacity(MOST_NUMBERS), over: true, ..Place::nowhere(width) }
    }

    fn nowhere(width: usize) -> Self {
        Place { seed: None, steps: 0, starts: 0, hidden_starts: 0, over: false, lost: false, width, moves: Vec::new() }
    }

    /// Adds a step of the environment with an action as numbers.
    pub fn step(&mut self, action: &[f32], step: &Step) {
        self.keep(action);
        self.steps += 1;
        self.over = step.episode.is_some() && step.end != End::No;
        self.hidden_starts += u64::from(step.episode.is_some() && step.end == End::No);
    }

    /// Keeps an action, or a reset.
    fn keep(&mut self, row: &[f32]) {
        if self.lost || self.moves.len() + self.width > MOST_NUMBERS {
            self.lost = true;
            self.moves.clear();
        } else if row.is_empty() {
            self.moves.extend(std::iter::repeat_n(RESET, self.width));
        } else {
            self.moves.extend_from_slice(row);
        }
    }

    /// Repeats everything in `env`, whose last observation is then in `obs`.
    pub fn replay<A: Action, E: Env<A>>(&self, env: &mut E, obs: &mut Observations) -> Result<Replay, EnvError> {
        if self.lost {
            return Ok(Replay::TooLong);
        }
        env.reset(self.seed, obs.get_mut(0))?;
        for _ in 0..self.starts {
            env.reset(None, obs.get_mut(0))?;
        }
        let mut ended = false;
        for row in self.moves.chunks_exact(self.width) {
            if row[0].is_nan() {
                env.reset(None, obs.get_mut(0))?;
                ended = false;
            } else if ended {
                return Ok(Replay::Elsewhere);
            } else {
                ended = env.step(A::read(row), obs.get_mut(0))?.end != End::No;
            }
        }
        Ok(Replay::There)
    }

    /// True if the environment was never reset.
    pub fn is_nowhere(&self) -> bool {
        self.seed.is_none()
    }

    /// Forgets the seed: the next reset comes with another.
    pub fn forget(&mut self) {
        self.seed = None;
    }
}

/// Result of [`Place::replay`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// Through as many episodes.
    There,
    /// An episode ended that did not end before.
    Elsewhere,
    /// Nowhere: there were too many moves to keep.
    TooLong,
}
