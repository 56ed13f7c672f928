//! State of an actor between two segments: with the shared memory all that a run consists of, so that a checkpoint of it goes on
//! exactly where it was.

use super::normalise::Scale;
use super::place::Place;
use crate::env::EnvSpec;
use crate::nn::Observations;
use crate::rl::ActorRng;
use crate::train::log::Totals;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};

/// Scalars of an [`ActorState`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActorMeta {
    /// Random stream; none before the actor has begun.
    pub rng: Option<ActorRng>,
    /// T at the end of its last segment.
    pub ticket: u64,
    /// Steps of this actor.
    pub steps: u64,
    /// Whole episodes of this actor.
    pub episodes: u64,
    /// True in the midst of an episode.
    pub started: bool,
    /// Updates refused since one was applied.
    pub refused_in_a_row: u64,
    /// Place of its environment.
    pub place: Place,
}

/// An actor between two segments.
#[derive(Clone, Debug)]
pub struct ActorState {
    /// Scalars.
    pub meta: ActorMeta,
    /// The recurrent state.
    pub state: Vec<f32>,
    /// Sarsa's a', as [`Action::write`] has it; empty without one.
    pub carried: Vec<f32>,
    /// The discounted return so far, and what rewards are multiplied by.
    pub rewards: [f32; 2],
    /// Scale of observations, where they are normalised.
    pub scale: Option<Scale>,
    /// The last observation, as it was; means something while [`ActorMeta::started`].
    pub s_t: Observations,
    /// Sums for the log.
    pub sums: Totals,
}

/// An actor's state after its last segment, written by the actor and read by checkpoints.
#[derive(Debug)]
pub struct Shelf(Mutex<ActorState>);

impl Shelf {
    /// A shelf with the state that an actor begins with.
    pub fn new(state: ActorState) -> Self {
        Shelf(Mutex::new(state))
    }

    /// A copy of the state.
    pub fn get(&self) -> ActorState {
        self.update(|state| state.clone())
    }

    /// Reads or changes the state.
    pub fn update<R>(&self, change: impl FnOnce(&mut ActorState) -> R) -> R {
        // A panic in the midst of a change ends the run, and what lies here is not saved again.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ActorState {
    /// State of an actor that has not begun, in an environment of `env` and a network with so much state.
    pub fn new(env: &EnvSpec, state_len: usize, reward_by: f32, scale: Option<Scale>) -> Self {
        let width = env.actions.width();
        let place = Place::before_the_first(width);
        ActorState {
            meta: ActorMeta { rng: None, ticket: 0, steps: 0, episodes: 0, started: false, refused_in_a_row: 0, place },
            state: vec![0.0; state_len],
            carried: Vec::with_capacity(width),
            rewards: [0.0, reward_by],
            scale,
            s_t: Observations::new(&env.obs, 1),
            sums: Totals::default(),
        }
    }

    /// Numbers of an action.
    pub fn action_width(&self) -> usize {
        self.meta.place.width
    }
}
