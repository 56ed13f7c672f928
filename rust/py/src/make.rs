//! Construction of an actor's environment. It is stepped through Python, or without the interpreter where the
//! environment allows it.

use crate::ale::{NativeGame, OBS_LEN};
use crate::env::{PyAction, PyEnv};
use a3crs_core::env::{End, Env, EnvError, ObsMut};
use a3crs_core::rl::ActionVector;
use a3crs_core::train::BoxEnv;
use pyo3::prelude::*;

/// Type of action for which an actor's environment can be made.
pub trait MakeEnv: PyAction {
    /// Wraps a Python environment, which is stepped without the interpreter where that is possible.
    fn env(env: Bound<'_, PyAny>) -> PyResult<BoxEnv<Self>>;
}

impl MakeEnv for usize {
    fn env(env: Bound<'_, PyAny>) -> PyResult<BoxEnv<usize>> {
        Ok(match NativeGame::of(&env)? {
            Some(game) => Box::new(game),
            None => Box::new(PyEnv::over(env)?),
        })
    }
}

impl MakeEnv for ActionVector {
    fn env(env: Bound<'_, PyAny>) -> PyResult<BoxEnv<ActionVector>> {
        Ok(Box::new(PyEnv::over(env)?))
    }
}

/// Calls `make_env(actor)` and wraps the environment it returns.
pub fn make<A: MakeEnv>(make_env: &Py<PyAny>, actor: usize) -> Result<BoxEnv<A>, EnvError> {
    Python::attach(|py| A::env(make_env.call1(py, (actor,))?.into_bound(py))).map_err(|error: PyErr| error.into())
}

/// Plays `steps` steps of one game through Python and through the C interface, and returns the first difference, if
/// there is one. `make_game(native)` makes the game.
pub fn differs(make_game: &Py<PyAny>, steps: usize) -> Result<Option<String>, EnvError> {
    let (mut python, mut native) = Python::attach(|py| {
        let native = NativeGame::of(make_game.call1(py, (true,))?.bind(py))?;
        PyResult::Ok((PyEnv::over(make_game.call1(py, (false,))?.into_bound(py))?, native))
    })?;
    let Some(native) = &mut native else { return Ok(Some("ale-py has no such interface".into())) };
    let python: &mut dyn Env<usize> = &mut python;
    let (mut shown, mut expected) = (vec![0; OBS_LEN], vec![0; OBS_LEN]);
    let (mut seed, mut reset) = (Some(1), true);
    for step in 0..steps {
        if reset {
            python.reset(seed, ObsMut::Image(&mut expected))?;
            native.reset(seed, ObsMut::Image(&mut shown))?;
            seed = None;
        }
        if shown != expected {
            return Ok(Some(format!("the screens before step {step} differ")));
        }
        let action = step * 7 / 3 % native.num_actions();
        let result = native.step(action, ObsMut::Image(&mut shown))?;
        if result != python.step(action, ObsMut::Image(&mut expected))? || shown != expected {
            return Ok(Some(format!("step {step} differs")));
        }
        reset = result.end != End::No;
    }
    Ok(None)
}
