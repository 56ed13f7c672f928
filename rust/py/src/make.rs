//! Construction of an actor's environment: an Atari game of the core's, or any environment of Python's.

use crate::ale::game_of;
use crate::env::{PyAction, PyEnv};
use a3crs_core::env::EnvError;
use a3crs_core::rl::ActionVector;
use a3crs_core::train::BoxEnv;
use pyo3::prelude::*;

/// Type of action for which an actor's environment can be made.
pub trait MakeEnv: PyAction {
    /// Wraps an environment of Python's; a game of the core's in it is played without Python's object.
    fn env(env: Bound<'_, PyAny>) -> PyResult<BoxEnv<Self>>;
}

impl MakeEnv for usize {
    fn env(env: Bound<'_, PyAny>) -> PyResult<BoxEnv<usize>> {
        Ok(match game_of(&env) {
            Some(game) => game,
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
