//! Emulator stepped through ale-py's Python interface, for an ale-py whose C interface is missing or another.

use crate::env::copy_buffer;
use a3crs_core::env::EnvError;
use a3crs_core::env::atari::{Acted, Emulator, Screens};
use pyo3::intern;
use pyo3::prelude::*;

/// Vector environment of one game.
pub struct PythonAle(Py<PyAny>);

const FULL_STRENGTH: [f32; 1] = [1.0]; // of a paddle; anything else is for continuous actions

impl PythonAle {
    /// Steps `ale`, an object of ale-py's.
    pub fn new(ale: Bound<'_, PyAny>) -> Self {
        PythonAle(ale.unbind())
    }
}

impl Emulator for PythonAle {
    fn reset(&mut self, seed: i32, screens: &mut Screens) -> Result<i32, EnvError> {
        Python::attach(|py| {
            let result = self.0.call_method1(py, intern!(py, "reset"), ([0], [seed]))?;
            let (shown, info) = result.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>(py)?;
            copy_buffer(&shown, screens, "uint8")?;
            lives(&info)
        })
    }

    fn act(&mut self, action: usize, screens: &mut Screens) -> Result<Acted, EnvError> {
        type Received<'py> =
            (Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>);
        Python::attach(|py| {
            self.0.call_method1(py, intern!(py, "send"), ([action], FULL_STRENGTH))?;
            let received = self.0.call_method0(py, intern!(py, "recv"))?;
            let (shown, points, over, cut, info) = received.extract::<Received<'_>>(py)?;
            copy_buffer(&shown, screens, "uint8")?;
            let (over, cut) = (item(&over)?.extract()?, item(&cut)?.extract()?);
            Ok(Acted { points: item(&points)?.extract()?, over, cut, lives: lives(&info)? })
        })
    }
}

/// Returns the one element of an array.
fn item<'py>(array: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    array.call_method0(intern!(array.py(), "item"))
}

fn lives(info: &Bound<'_, PyAny>) -> Result<i32, EnvError> {
    Ok(item(&info.get_item(intern!(info.py(), "lives"))?)?.extract()?)
}
