//! Host of a run in Python: signals, progress, and the actors' threads.

use a3crs_core::env::EnvError;
use a3crs_core::train::Host;
use a3crs_core::train::log::ProgressRow;
use pyo3::prelude::*;
use serde::Serialize;

/// Interpreter and callbacks of a run.
pub struct PyHost {
    /// Callback `on_progress(row)`, if there is one.
    pub on_progress: Option<Py<PyAny>>,
    /// Callback `on_notice(sentence)`, if there is one.
    pub on_notice: Option<Py<PyAny>>,
}

impl Host for PyHost {
    /// Creates the thread's interpreter state once, for the actor's lifetime, and detaches from the interpreter.
    /// Attaching for each environment step then takes some 50 ns instead of over 1 us.
    fn on_actor_thread(&self, body: &mut (dyn FnMut() + Send)) {
        Python::attach(|py| py.detach(body));
    }

    fn poll(&self, row: &ProgressRow) -> Result<(), EnvError> {
        Python::attach(|py| {
            py.check_signals()?;
            match &self.on_progress {
                Some(on_progress) => on_progress.call1(py, (to_dict(py, row)?,)).map(|_| ()),
                None => Ok(()),
            }
        })
        .map_err(|error: PyErr| error.into())
    }

    fn notice(&self, what: &str) {
        Python::attach(|py| {
            if let Some(Err(error)) = self.on_notice.as_ref().map(|on_notice| on_notice.call1(py, (what,))) {
                error.write_unraisable(py, None); // the notice is in the log, and the run continues
            }
        });
    }

    fn check(&self) -> Result<(), EnvError> {
        Python::attach(|py| py.check_signals()).map_err(|error| error.into())
    }
}

/// Returns a row as a Python dict, under the names of the log's columns.
pub fn to_dict<'py>(py: Python<'py>, row: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    let json = serde_json::to_string(row).map_err(|e| pyo3::exceptions::PyValueError::new_err(e.to_string()))?;
    py.import("json")?.call_method1("loads", (json,))
}
