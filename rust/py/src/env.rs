//! Implementation of the core's `Env` for any Gymnasium environment. This is the only place where an actor attaches to
//! the interpreter.

use crate::error::protocol_error;
use a3crs_core::env::{End, Env, EnvError, Episode, ObsMut, Step};
use a3crs_core::rl::ActionVector;
use a3crs_core::train::Action;
use pyo3::buffer::{Element, PyBuffer};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// Python environment, owned by one actor.
pub struct PyEnv {
    env: Py<PyAny>,
    step: Py<PyAny>,
}

impl PyEnv {
    /// Wraps an environment that implements `a3crs.envs.spec.Env`.
    pub fn over(env: Bound<'_, PyAny>) -> PyResult<Self> {
        let step = env.getattr(intern!(env.py(), "step"))?;
        Ok(PyEnv { step: step.unbind(), env: env.unbind() })
    }
}

/// Action that can be passed to an environment in Python.
pub trait PyAction: Action {
    /// Argument of the environment's `step`.
    fn to_py(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>>;
}

impl PyAction for usize {
    fn to_py(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        Ok(self.into_pyobject(py)?.into_any())
    }
}

impl PyAction for ActionVector {
    fn to_py(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        Ok(PyTuple::new(py, self.iter())?.into_any())
    }
}

impl<A: PyAction> Env<A> for PyEnv {
    fn reset(&mut self, seed: Option<u64>, obs: ObsMut<'_>) -> Result<(), EnvError> {
        Python::attach(|py| {
            let kwargs = PyDict::new(py);
            kwargs.set_item(intern!(py, "seed"), seed)?;
            let result = self.env.call_method(py, intern!(py, "reset"), (), Some(&kwargs))?;
            let (first, _info) = result
                .extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>(py)
                .map_err(|_| protocol_error("The environment's reset() did not return (observation, info).".into()))?;
            copy_observation(&first, obs)
        })
    }

    fn step(&mut self, action: A, obs: ObsMut<'_>) -> Result<Step, EnvError> {
        Python::attach(|py| {
            let result = self.step.call1(py, (action.to_py(py)?,))?;
            let result = result.bind(py).cast::<PyTuple>().ok().filter(|tuple| tuple.len() == 5).ok_or_else(|| {
                protocol_error(
                    "The environment's step() did not return (observation, reward, terminated, truncated, info)."
                        .into(),
                )
            })?;
            copy_observation(&result.get_item(0)?, obs)?;
            let reward = result.get_item(1)?.extract::<f64>()? as f32;
            let end = match (result.get_item(2)?.is_truthy()?, result.get_item(3)?.is_truthy()?) {
                (true, _) => End::Terminal,
                (false, true) => End::Truncated,
                (false, false) => End::No,
            };
            Ok(Step { reward, end, episode: episode_in(&result.get_item(4)?)? })
        })
    }
}

impl Drop for PyEnv {
    fn drop(&mut self) {
        Python::attach(|py| {
            let Ok(close) = self.env.getattr(py, intern!(py, "close")) else { return };
            if let Err(error) = close.call0(py) {
                // The run is over, so a failing close() is reported but not raised.
                error.write_unraisable(py, Some(self.env.bind(py)));
            }
        });
    }
}

/// Reads `info["episode"] = {"r": ..., "l": ...}`, the convention of `RecordEpisodeStatistics`.
fn episode_in(info: &Bound<'_, PyAny>) -> Result<Option<Episode>, EnvError> {
    let py = info.py();
    let Ok(info) = info.cast::<PyDict>() else { return Ok(None) };
    let Some(episode) = info.get_item(intern!(py, "episode"))? else { return Ok(None) };
    Ok(Some(Episode {
        episode_return: episode.get_item(intern!(py, "r"))?.extract()?,
        length_steps: episode.get_item(intern!(py, "l"))?.extract()?,
    }))
}

fn copy_observation(source: &Bound<'_, PyAny>, obs: ObsMut<'_>) -> Result<(), EnvError> {
    match obs {
        ObsMut::Image(bytes) => copy_buffer(source, bytes, "uint8"),
        ObsMut::Vector(features) => copy_buffer(source, features, "float32"),
    }
}

/// Copies an array of Python's; `dtype` is the name of its elements' type.
pub fn copy_buffer<T: Element>(source: &Bound<'_, PyAny>, to: &mut [T], dtype: &str) -> Result<(), EnvError> {
    let py = source.py();
    let describe = || {
        let attribute = |name| source.getattr(name).map_or_else(|_| "?".into(), |value| value.to_string());
        format!("{} of {} {}", source.get_type(), attribute("dtype"), attribute("shape"))
    };
    let Ok(buffer) = PyBuffer::<T>::get(source) else {
        let wanted = format!("a numpy array of {dtype} with {} elements", to.len());
        return Err(protocol_error(format!("The environment's observation is {}, not {wanted}.", describe())));
    };
    if buffer.item_count() != to.len() {
        let (has, wanted) = (buffer.item_count(), to.len());
        return Err(protocol_error(format!(
            "The environment's observation ({}) has {has} elements, but its observation_space has {wanted}.",
            describe()
        )));
    }
    Ok(buffer.copy_to_slice(py, to)?)
}
