//! Functions of the module. Each parses its arguments, detaches from the interpreter, calls the core and converts the
//! result.

use crate::error::{config_error, to_py};
use crate::host::{PyHost, to_dict};
use crate::make::{MakeEnv, make};
use a3crs_core::catalogue::Entry;
use a3crs_core::env::{ActionSpec, EnvError, EnvSpec};
use a3crs_core::kernel::Isa;
use a3crs_core::nn::Net;
use a3crs_core::rl::ActionVector;
use a3crs_core::shared::optimizer::OptimizerKind;
use a3crs_core::shared::tear;
use a3crs_core::train as core;
use a3crs_core::train::play::evaluate::Evaluation;
use a3crs_core::train::{Algo, BoxEnv, Checkpoint, Setup, TrainConfig, TrainError};
use pyo3::prelude::*;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// Runs `work` detached from the interpreter and translates its error. Code leaves the interpreter only here.
pub(crate) fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T, TrainError> + Send) -> PyResult<T> {
    py.detach(work).map_err(|error| to_py(py, error))
}

pub(crate) fn setup(py: Python<'_>, config: &str, env_spec: &str) -> PyResult<Setup> {
    let config = TrainConfig::from_json(config).map_err(|e| config_error("configuration", e))?;
    let env: EnvSpec = serde_json::from_str(env_spec).map_err(|e| config_error("environment's description", e))?;
    Setup::new(config, env).map_err(|error| to_py(py, error))
}

fn env_maker<A: MakeEnv>(make_env: &Py<PyAny>) -> impl Fn(usize) -> Result<BoxEnv<A>, EnvError> + Sync {
    move |actor| make(make_env, actor)
}

/// Evaluates `$call` with `$action` as the type of action that the environment of `$setup` takes.
macro_rules! with_actions {
    ($setup:expr, $action:ident => $call:expr) => {
        match $setup.env.actions {
            ActionSpec::Discrete(_) => {
                type $action = usize;
                $call
            }
            ActionSpec::Continuous { .. } => {
                type $action = ActionVector;
                $call
            }
        }
    };
}

pub(crate) use with_actions;

/// Returns the choices of a configuration; see `_core.pyi`.
#[pyfunction]
pub fn catalogue(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    #[derive(Serialize)]
    struct Catalogue {
        algos: [Entry; Algo::ALL.len()],
        nets: [Entry; Net::ALL.len()],
        optimizers: [Entry; OptimizerKind::ALL.len()],
    }
    let catalogue = Catalogue {
        algos: Algo::ALL.map(|algo| algo.row().entry),
        nets: Net::ALL.map(Net::entry),
        optimizers: OptimizerKind::ALL.map(OptimizerKind::entry),
    };
    to_dict(py, &catalogue)
}

/// Returns the instruction set in use.
#[pyfunction]
pub fn isa(py: Python<'_>) -> PyResult<&'static str> {
    Isa::detect().map(Isa::name).map_err(|message| to_py(py, TrainError::Config(message)))
}

/// Returns the instruction sets this CPU can run, the fastest first.
#[pyfunction]
pub fn available_isas() -> Vec<&'static str> {
    Isa::available().into_iter().map(Isa::name).collect()
}

/// Writes and reads a shared store from several threads for `secs` seconds and counts torn values.
#[pyfunction]
pub fn tear_test<'py>(py: Python<'py>, secs: f64) -> PyResult<Bound<'py, PyAny>> {
    #[derive(Serialize)]
    struct Row {
        reads: u64,
        torn: u64,
    }
    let duration = Duration::try_from_secs_f64(secs).map_err(|e| config_error("duration", e))?;
    let report = detached(py, || {
        let isa = Isa::detect().map_err(TrainError::Config)?;
        Ok(tear::tear_test(isa, duration))
    })?;
    to_dict(py, &Row { reads: report.reads, torn: report.torn })
}

/// Refuses what could not be trained, or not be resumed; see `_core.pyi`.
#[pyfunction]
#[pyo3(signature = (config, env_spec, checkpoint=None))]
pub fn check(py: Python<'_>, config: &str, env_spec: &str, checkpoint: Option<PathBuf>) -> PyResult<()> {
    let setup = setup(py, config, env_spec)?;
    detached(py, || {
        core::run::memory::check(&setup)?;
        checkpoint.map_or(Ok(()), |path| core::save::check(&path, &setup))
    })
}

/// Trains; see `_core.pyi`.
#[pyfunction]
#[allow(clippy::too_many_arguments)] // the Python signature
pub fn train<'py>(
    py: Python<'py>,
    config: &str,
    env_spec: &str,
    make_env: Py<PyAny>,
    run_dir: PathBuf,
    on_progress: Py<PyAny>,
    on_notice: Py<PyAny>,
    resume_from: Option<PathBuf>,
) -> PyResult<Bound<'py, PyAny>> {
    let setup = setup(py, config, env_spec)?;
    let host = PyHost { on_progress: Some(on_progress), on_notice: Some(on_notice) };
    let summary = detached(
        py,
        || with_actions!(setup, A => core::train::<A, _>(&setup, env_maker(&make_env), &run_dir, resume_from.as_deref(), &host)),
    )?;
    to_dict(py, &summary)
}

/// Plays whole episodes with a checkpoint; see `_core.pyi`.
#[pyfunction]
#[allow(clippy::too_many_arguments)] // the Python signature
pub fn evaluate<'py>(
    py: Python<'py>,
    config: &str,
    env_spec: &str,
    make_env: Py<PyAny>,
    checkpoint: PathBuf,
    episodes: usize,
    actors: usize,
    seed: u64,
    greedy: bool,
    on_episode: Py<PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let setup = setup(py, config, env_spec)?;
    let host = PyHost { on_progress: None, on_notice: None };
    let rows = detached(py, || {
        core::save::check(&checkpoint, &setup)?;
        let agent = Checkpoint::load(&checkpoint, &setup)?.into();
        let how = Evaluation { episodes, actors, seed, greedy };
        let heard = |row: &_| {
            Python::attach(|py| on_episode.call1(py, (to_dict(py, row)?,)).map(|_| ())).map_err(|e: PyErr| e.into())
        };
        with_actions!(setup, A => {
            core::play::evaluate::evaluate::<A, _>(&setup, &agent, env_maker(&make_env), how, &host, heard)
        })
    })?;
    to_dict(py, &rows)
}

/// Measures emulator and training side by side; see `_core.pyi`.
#[pyfunction]
pub fn bench<'py>(
    py: Python<'py>,
    config: &str,
    env_spec: &str,
    make_env: Py<PyAny>,
    secs: f64,
) -> PyResult<Bound<'py, PyAny>> {
    let setup = setup(py, config, env_spec)?;
    let host = PyHost { on_progress: None, on_notice: None };
    let row = detached(
        py,
        || with_actions!(setup, A => core::play::bench::bench::<A, _>(&setup, env_maker(&make_env), secs, &host)),
    )?;
    to_dict(py, &row)
}

/// Times the network alone; see `_core.pyi`.
#[pyfunction]
pub fn bench_network<'py>(py: Python<'py>, config: &str, env_spec: &str) -> PyResult<Bound<'py, PyAny>> {
    let setup = setup(py, config, env_spec)?;
    let cost = detached(py, || Ok(core::play::bench::bench_network(&setup)))?;
    to_dict(py, &cost)
}

/// Returns the metadata of a checkpoint.
#[pyfunction]
pub fn read_checkpoint<'py>(py: Python<'py>, path: PathBuf) -> PyResult<Bound<'py, PyAny>> {
    let meta = detached(py, || core::save::read_meta(&path))?;
    to_dict(py, &meta)
}
