//! What an actor is made of between two segments, and where its environment is: with the shared memory all that a run consists of, so
//! that a checkpoint of it goes on exactly where it was.

use super::checkpoint::MOST_COUNTED;
use super::config::Action;
use super::normalise::Scale;
use super::stats::Totals;
use super::tensors::{Reader, Writer};
use crate::env::{ActionSpec, End, Env, EnvError, EnvSpec, ObsMut, ObsRef, Step};
use crate::nn::Observations;
use crate::rl::ActorRng;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};

/// Numbers of an episode's actions that are kept: after 2^20 discrete actions since its seed an episode cannot be gone on with, and a
/// resumed run begins another.
const MOST_NUMBERS: usize = 1 << 20;
/// In place of an action: the environment was reset.
const RESET: f32 = f32::NAN;

/// Where an environment is: its last seed, and what it was asked to do since. Done again, that leads to the same place, if the
/// environment is deterministic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// None before the first.
    seed: Option<u64>,
    /// Steps since the seed.
    steps: u64,
    /// Earlier episodes since the seed, of which only the starts have to be done again.
    starts: u64,
    /// Episodes since then that the environment has begun by itself.
    hidden_starts: u64,
    /// Whether the last step ended a whole episode.
    over: bool,
    /// Whether there were too many moves to keep.
    lost: bool,
    /// The numbers of an action.
    width: usize,
    /// `(moves, width)`: actions, and resets.
    #[serde(skip)]
    moves: Vec<f32>,
}

impl Place {
    /// Whether the next reset is to come with a new seed. One in the middle of a game (after a lost life) must not: it would end it.
    pub fn needs_seed(&self, env: &EnvSpec) -> bool {
        let worn = self.lost || self.steps >= env.reseed_steps;
        self.seed.is_none() || env.reseed_steps == 0 || (self.over && worn)
    }

    /// The environment was reset, perhaps with a seed.
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

    fn nowhere(width: usize) -> Self {
        Place { seed: None, steps: 0, starts: 0, hidden_starts: 0, over: false, lost: false, width, moves: Vec::new() }
    }

    /// The environment took a step.
    pub fn step<A: Action>(&mut self, action: A, step: &Step) {
        let mut row = [0.0; crate::rl::MAX_ACTION_DIMS];
        action.write(&mut row[..self.width]);
        self.keep(&row[..self.width]);
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

    /// Does everything again in `env`, whose last observation is then in `obs`.
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

    /// Whether the environment was never reset.
    pub fn is_nowhere(&self) -> bool {
        self.seed.is_none()
    }

    /// Forgets the seed: the next reset comes with another.
    pub fn forget(&mut self) {
        self.seed = None;
    }
}

/// Where [`Place::replay`] has led.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// Through as many episodes.
    There,
    /// An episode ended that did not end before.
    Elsewhere,
    /// Nowhere: there were too many moves to keep.
    TooLong,
}

/// The numbers of an [`ActorState`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActorMeta {
    /// Its random stream; none of an actor that has not begun.
    pub rng: Option<ActorRng>,
    /// T at the end of its last segment.
    pub ticket: u64,
    /// Its own steps.
    pub steps: u64,
    /// Its whole episodes.
    pub episodes: u64,
    /// Whether it is in an episode.
    pub started: bool,
    /// Updates refused since one was applied.
    pub refused_in_a_row: u64,
    /// Where its environment is.
    pub place: Place,
}

impl ActorMeta {
    /// What is impossible in it.
    fn check(&self) -> Result<(), String> {
        let Place { steps, starts, hidden_starts, .. } = self.place;
        let counts = [self.ticket, self.steps, self.episodes, self.refused_in_a_row, steps, starts, hidden_starts];
        if let Some(most) = counts.iter().find(|count| **count > MOST_COUNTED) {
            return Err(format!("counted to {most}, which no run can"));
        }
        if starts + hidden_starts > steps {
            return Err(format!("begun {} episodes in {steps} steps", starts + hidden_starts));
        }
        let is_stuck = |rng: &ActorRng| {
            let mut next = rng.clone();
            next.random::<u64>();
            next == *rng
        };
        match &self.rng {
            Some(rng) if is_stuck(rng) => Err("random numbers that are all 0".into()),
            _ => Ok(()),
        }
    }
}

/// An actor between two segments.
#[derive(Clone, Debug)]
pub struct ActorState {
    /// Its numbers.
    pub meta: ActorMeta,
    /// The recurrent state.
    pub state: Vec<f32>,
    /// Sarsa's a', as [`Action::write`] has it; empty without one.
    pub carried: Vec<f32>,
    /// The discounted return so far, and what rewards are multiplied by.
    pub rewards: [f32; 2],
    /// What observations are normalised by, where they are.
    pub scale: Option<Scale>,
    /// The last observation, as it was; means something while [`ActorMeta::started`].
    pub s_t: Observations,
    /// What it has summed up for the log.
    pub sums: Totals,
}

/// Where an actor puts down its state after each segment, and a checkpoint finds it.
#[derive(Debug)]
pub struct Shelf(Mutex<ActorState>);

impl Shelf {
    /// With the state an actor begins with.
    pub fn new(state: ActorState) -> Self {
        Shelf(Mutex::new(state))
    }

    /// What lies there.
    pub fn get(&self) -> ActorState {
        self.update(|state| state.clone())
    }

    /// Looks at it, or changes it.
    pub fn update<R>(&self, change: impl FnOnce(&mut ActorState) -> R) -> R {
        // A panic in the midst of a change ends the run, and what lies here is not saved again.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ActorState {
    /// That of an actor which has not begun, in an environment of `env` and a network with so much state.
    pub fn new(env: &EnvSpec, state_len: usize, reward_by: f32, scale: Option<Scale>) -> Self {
        let width = match env.actions {
            ActionSpec::Discrete(_) => 1,
            ActionSpec::Continuous { dims } => dims,
        };
        let place = Place { moves: Vec::with_capacity(MOST_NUMBERS), over: true, ..Place::nowhere(width) };
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

    /// The numbers of an action.
    pub fn action_width(&self) -> usize {
        self.meta.place.width
    }

    /// Writes everything but [`ActorState::meta`] as tensors of `actor`.
    pub fn write(&self, actor: usize, file: &mut Writer) {
        let name = |what: &str| format!("actor{actor}.{what}");
        let Place { moves, width, .. } = &self.meta.place;
        file.add(name("moves"), &[moves.len() / width, *width], moves);
        file.add(name("state"), &[self.state.len()], &self.state);
        file.add(name("carried"), &[self.carried.len()], &self.carried);
        file.add(name("rewards"), &[2], &self.rewards);
        if let Some(scale) = &self.scale {
            file.add(name("scale"), &[2, scale.dims()], &scale.to_vec());
        }
        match self.s_t.get(0) {
            ObsRef::Image(bytes) => file.add(name("s_t"), &[bytes.len()], bytes),
            ObsRef::Vector(features) => file.add(name("s_t"), &[features.len()], features),
        }
        file.add(name("sums"), &[self.sums.as_slice().len()], self.sums.as_slice());
    }

    /// Takes over what the file has of `actor`; the shapes are those of `self`. What nothing but another program can have written is
    /// refused: it would be done in the environment, or counted on.
    pub fn read(
        &mut self,
        actor: usize,
        meta: ActorMeta,
        file: &Reader<'_>,
        actions: ActionSpec,
    ) -> Result<(), String> {
        let name = |what: &str| format!("actor{actor}.{what}");
        let width = self.meta.place.width;
        if meta.place.width != width {
            return Err(format!("its actor {actor} has actions of {} numbers, not {width}", meta.place.width));
        }
        meta.check().map_err(|what| format!("its actor {actor} has {what}"))?;
        let exists = |row: &[f32]| match actions {
            ActionSpec::Discrete(n) => row[0] >= 0.0 && (row[0] as usize) < n,
            ActionSpec::Continuous { .. } => row.iter().all(|x| x.is_finite()),
        };
        let moves: Vec<f32> = file.get(&name("moves"), &[usize::MAX, width])?;
        if let Some(row) = moves.chunks_exact(width).find(|row| !row[0].is_nan() && !exists(row)) {
            return Err(format!("its tensor {} has an action {row:?}, which does not exist", name("moves")));
        }
        self.meta = meta;
        self.meta.started &= !self.meta.place.is_nowhere(); // saved between the two
        self.meta.place.moves.reserve_exact(MOST_NUMBERS.max(moves.len()));
        self.meta.place.moves.extend_from_slice(&moves);
        self.state = file.get(&name("state"), &[self.state.len()])?;
        self.carried = file.get(&name("carried"), &[usize::MAX])?;
        if !self.carried.is_empty() && (self.carried.len() != width || !exists(&self.carried)) {
            return Err(format!(
                "its tensor {} has an action {:?}, which does not exist",
                name("carried"),
                self.carried
            ));
        }
        self.carried.reserve_exact(width);
        self.rewards.copy_from_slice(&file.get::<f32>(&name("rewards"), &[2])?);
        if let Some(scale) = &mut self.scale {
            *scale = Scale::from_slice(&file.get::<f32>(&name("scale"), &[2, scale.dims()])?);
        }
        match self.s_t.get_mut(0) {
            ObsMut::Image(bytes) => bytes.copy_from_slice(&file.get::<u8>(&name("s_t"), &[bytes.len()])?),
            ObsMut::Vector(features) => features.copy_from_slice(&file.get::<f32>(&name("s_t"), &[features.len()])?),
        }
        self.sums = Totals::from_slice(&file.get::<f64>(&name("sums"), &[self.sums.as_slice().len()])?);
        Ok(())
    }
}
