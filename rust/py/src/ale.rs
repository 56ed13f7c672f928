//! Atari games on ale-py's emulator: the core's rules over one of two ways to reach it.

mod ffi;
mod native;
mod python;

use crate::error::env_error;
use a3crs_core::env::atari::{Emulator, Game, Noops, SHAPE};
use a3crs_core::env::{End, Env, EnvError, ObsMut, Step};
use a3crs_core::train::BoxEnv;
use native::NativeAle;
use pyo3::buffer::PyBuffer;
use pyo3::intern;
use pyo3::prelude::*;
use python::PythonAle;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Length of an observation.
const OBS_LEN: usize = SHAPE[0] * SHAPE[1] * SHAPE[2];

/// Game as a Python object; see `_core.pyi`.
#[pyclass(frozen, name = "Game", module = "a3crs._core")]
pub struct PyGame {
    game: Arc<Mutex<Game>>,
}

/// Score and length of a finished game.
type Finished = Option<(f64, u64)>;

#[pymethods]
impl PyGame {
    #[new]
    fn new(
        ale: Bound<'_, PyAny>,
        native: Option<Bound<'_, PyAny>>,
        noops: Py<PyAny>,
        num_actions: usize,
        cuts_at_life_loss: bool,
    ) -> PyResult<Self> {
        let emulator: Box<dyn Emulator> = match native {
            Some(native) => Box::new(NativeAle::new(ale, &native)?),
            None => Box::new(PythonAle::new(ale)),
        };
        let game = Game::new(emulator, Box::new(PyNoops(noops)), num_actions, cuts_at_life_loss);
        Ok(PyGame { game: Arc::new(Mutex::new(game)) })
    }

    fn reset(&self, py: Python<'_>, seed: Option<u64>, obs: &Bound<'_, PyAny>) -> PyResult<()> {
        self.shown(py, obs, |game, screens| game.reset(seed, screens))
    }

    fn step(&self, py: Python<'_>, action: i64, obs: &Bound<'_, PyAny>) -> PyResult<(f32, bool, bool, Finished)> {
        let Step { reward, end, episode } =
            self.shown(py, obs, |game, screens| game.step(game.action(action)?, screens))?;
        let finished = episode.map(|whole| (whole.episode_return, whole.length_steps));
        Ok((reward, end == End::Terminal, end == End::Truncated, finished))
    }

    fn differs(&self, py: Python<'_>, other: &PyGame, steps: usize) -> PyResult<Option<String>> {
        if Arc::ptr_eq(&self.game, &other.game) {
            return Ok(None);
        }
        py.detach(|| locked(&self.game).differs(&mut locked(&other.game), steps)).map_err(env_error)
    }
}

impl PyGame {
    /// Plays on without the interpreter and copies the screens into the array `obs`.
    fn shown<T: Send>(
        &self,
        py: Python<'_>,
        obs: &Bound<'_, PyAny>,
        play: impl FnOnce(&mut Game, ObsMut<'_>) -> Result<T, EnvError> + Send,
    ) -> PyResult<T> {
        let obs = PyBuffer::<u8>::get(obs)?;
        let mut screens = vec![0; OBS_LEN];
        let told = py.detach(|| play(&mut locked(&self.game), ObsMut::Image(&mut screens))).map_err(env_error)?;
        obs.copy_from_slice(py, &screens)?;
        Ok(told)
    }
}

/// Game of a [`PyGame`], played by an actor.
struct Played(Arc<Mutex<Game>>);

impl Env<usize> for Played {
    fn reset(&mut self, seed: Option<u64>, obs: ObsMut<'_>) -> Result<(), EnvError> {
        locked(&self.0).reset(seed, obs)
    }

    fn step(&mut self, action: usize, obs: ObsMut<'_>) -> Result<Step, EnvError> {
        locked(&self.0).step(action, obs)
    }
}

/// Returns the game in the attribute `core` of an environment, and `None` for environments without.
pub fn game_of(env: &Bound<'_, PyAny>) -> Option<BoxEnv<usize>> {
    let core = env.getattr(intern!(env.py(), "core")).ok()?;
    let game = Arc::clone(&core.cast::<PyGame>().ok()?.get().game);
    Some(Box::new(Played(game)))
}

/// Waits for a game; never with the interpreter's lock, which the game may want.
fn locked(game: &Mutex<Game>) -> MutexGuard<'_, Game> {
    game.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Python object that draws the no-ops, so that they are `random.Random`'s numbers.
struct PyNoops(Py<PyAny>);

impl Noops for PyNoops {
    fn new_game(&mut self, seed: Option<u64>) -> Result<(), EnvError> {
        Python::attach(|py| self.0.call_method1(py, intern!(py, "new_game"), (seed,)).map(|_| ()))
            .map_err(|error| error.into())
    }

    fn draw(&mut self) -> Result<usize, EnvError> {
        Python::attach(|py| self.0.call_method0(py, intern!(py, "draw"))?.extract(py))
            .map_err(|error: PyErr| error.into())
    }
}
