//! Trained network as a Python object.

use crate::env::PyAction;
use crate::error::config_error;
use crate::functions::{detached, setup, with_actions};
use crate::host::to_dict;
use a3crs_core::env::{ActionSpec, ObsRef, ObsSpec};
use a3crs_core::nn::LayerDescription;
use a3crs_core::rl::gaussian::MIN_VARIANCE;
use a3crs_core::rl::{ActionVector, ActorRng};
use a3crs_core::train::learn::normalise::Scale;
use a3crs_core::train::play::predict;
use a3crs_core::train::{Agent, Checkpoint, Setup, save};
use pyo3::buffer::{Element, PyBuffer};
use pyo3::prelude::*;
use pyo3::types::PyList;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Network with fixed parameters and a random stream; see `_core.pyi`.
#[pyclass(frozen, module = "a3crs._core")]
pub struct Policy {
    setup: Setup,
    agent: Agent,
    rng: Mutex<ActorRng>,
}

#[pymethods]
impl Policy {
    #[new]
    #[pyo3(signature = (config, env_spec, checkpoint=None))]
    fn new(py: Python<'_>, config: &str, env_spec: &str, checkpoint: Option<PathBuf>) -> PyResult<Self> {
        let setup = setup(py, config, env_spec)?;
        let agent = detached(py, || match checkpoint {
            None => Ok(Agent::fresh(&setup)),
            Some(path) => {
                save::check(&path, &setup)?;
                Ok(Checkpoint::load(&path, &setup)?.into())
            }
        })?;
        let rng = Mutex::new(predict::stream(setup.config.seed));
        Ok(Policy { setup, agent, rng })
    }

    /// Returns the network's layers, the length of its recurrent state and the scale of its observations.
    fn describe<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        #[derive(Serialize)]
        struct Description {
            layers: Vec<LayerDescription>,
            state_len: usize,
            scale: Option<Scale>,
            min_variance: f64,
        }
        let (layers, state_len) = (self.setup.net.describe(), self.setup.net.state_len());
        to_dict(py, &Description { layers, state_len, scale: self.agent.scale(), min_variance: MIN_VARIANCE })
    }

    /// Computes `y` and the recurrent states after `obs`, and writes them into the arrays.
    fn forward(
        &self,
        py: Python<'_>,
        obs: &Bound<'_, PyAny>,
        state: &Bound<'_, PyAny>,
        y: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let net = &self.setup.net;
        let (state, y) = (PyBuffer::<f32>::get(state)?, PyBuffer::<f32>::get(y)?);
        let n = y.item_count() / net.outputs();
        let (mut next, mut outputs) = (read(py, &state, n * net.state_len())?, read(py, &y, n * net.outputs())?);
        let mut pass = |obs: ObsRef| predict::forward(&self.setup, &self.agent, obs, &mut next, &mut outputs);
        match net.input() {
            ObsSpec::Image { .. } => {
                let images = read(py, &PyBuffer::<u8>::get(obs)?, n * net.input().len())?;
                py.detach(|| pass(ObsRef::Image(&images)));
            }
            ObsSpec::Vector { .. } => {
                let vectors = read(py, &PyBuffer::<f32>::get(obs)?, n * net.input().len())?;
                py.detach(|| pass(ObsRef::Vector(&vectors)));
            }
        }
        state.copy_from_slice(py, &next)?;
        y.copy_from_slice(py, &outputs)
    }

    /// Returns an action for each row of `y`.
    fn act<'py>(&self, py: Python<'py>, y: &Bound<'py, PyAny>, greedy: bool) -> PyResult<Bound<'py, PyList>> {
        let y = PyBuffer::<f32>::get(y)?.to_vec(py)?;
        with_actions!(self.setup, A => self.actions::<A>(py, &y, greedy))
    }

    /// Restarts the random stream of `act`, as an evaluation episode with that seed does.
    fn seed(&self, seed: u64) {
        *self.rng.lock().unwrap_or_else(PoisonError::into_inner) = predict::stream(seed);
    }
}

impl Policy {
    fn actions<'py, A: PyAction>(&self, py: Python<'py>, y: &[f32], greedy: bool) -> PyResult<Bound<'py, PyList>> {
        let method = self.setup.config.evaluated::<A>();
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let mut actions = Vec::new();
        for y in y.chunks_exact(self.setup.net.outputs()) {
            let action = if greedy { method.greedy(y) } else { method.act(y, u64::MAX, &mut rng) };
            actions.push(action.to_py(py)?);
        }
        PyList::new(py, actions)
    }
}

/// Returns a copy of an array of `len` elements.
fn read<T: Element>(py: Python<'_>, array: &PyBuffer<T>, len: usize) -> PyResult<Vec<T>> {
    if array.item_count() != len {
        return Err(config_error("array", format!("it has {} elements, not {len}", array.item_count())));
    }
    array.to_vec(py)
}
