//! Conversion of the core's errors to Python's by one exhaustive match. Exceptions that began in Python are returned
//! unchanged.

use a3crs_core::env::EnvError as CoreEnvError;
use a3crs_core::train::TrainError;
use pyo3::exceptions::PySystemExit;
use pyo3::import_exception;
use pyo3::prelude::*;

import_exception!(a3crs.errors, CheckpointError);
import_exception!(a3crs.errors, ConfigError);
import_exception!(a3crs.errors, DamagedError);
import_exception!(a3crs.errors, DivergedError);
import_exception!(a3crs.errors, EnvError);
import_exception!(a3crs.errors, RunError);

/// Returns the exception for a core error.
pub fn to_py(py: Python<'_>, error: TrainError) -> PyErr {
    match error {
        TrainError::Config(_) | TrainError::Net(_) => ConfigError::new_err(sentence(&error)),
        TrainError::Checkpoint { .. } => CheckpointError::new_err(sentence(&error)),
        TrainError::Damaged { .. } => DamagedError::new_err(sentence(&error)),
        TrainError::Diverged { .. } => DivergedError::new_err(sentence(&error)),
        TrainError::Panic { .. } | TrainError::Io { .. } => RunError::new_err(sentence(&error)),
        TrainError::Env { actor, step, source } => match source.downcast::<PyErr>() {
            Ok(raised) => {
                let raised = not_an_exit(py, *raised);
                let note = format!("In the environment of actor {actor}, at its step {step}.");
                // A note that cannot be added must not hide the exception it belongs to.
                let _ = raised.value(py).call_method1("add_note", (note,));
                raised
            }
            Err(source) => EnvError::new_err(sentence(&TrainError::Env { actor, step, source })),
        },
        TrainError::Host(source) => match source.downcast::<PyErr>() {
            Ok(raised) => *raised,
            Err(source) => RunError::new_err(sentence(&TrainError::Host(source))),
        },
    }
}

/// Replaces `SystemExit` by an error. An environment that calls `sys.exit()` fails, and must not end the program,
/// perhaps with the exit code of a success.
fn not_an_exit(py: Python<'_>, raised: PyErr) -> PyErr {
    if !raised.is_instance_of::<PySystemExit>(py) {
        return raised;
    }
    let error = EnvError::new_err(format!(
        "The environment called sys.exit({}): it must raise another exception, or end its episode.",
        raised.value(py)
    ));
    error.set_cause(py, Some(raised));
    error
}

/// Returns the exception for what an environment failed with outside a run.
pub fn env_error(error: CoreEnvError) -> PyErr {
    match error.downcast::<PyErr>() {
        Ok(raised) => *raised,
        Err(error) => EnvError::new_err(sentence(&error)),
    }
}

fn sentence(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().collect::<String>()).unwrap_or_default();
    format!("{first}{}{}", letters.as_str(), if text.ends_with('.') { "" } else { "." })
}

/// Returns the error for an environment that broke the protocol.
pub fn protocol_error(message: String) -> CoreEnvError {
    Box::new(EnvError::new_err(message))
}

/// Returns the error for a setting that the core does not expect: the two sides of the package disagree, or a config
/// was edited by hand.
pub fn config_error(what: &str, error: impl std::fmt::Display) -> PyErr {
    ConfigError::new_err(format!("The {what} is not valid: {error}."))
}
