//! Python module `a3crs._core`. It converts values and computes nothing. Its type stubs are in
//! `python/a3crs/_core.pyi`.

mod ale;
mod env;
mod error;
mod functions;
mod host;
mod make;
mod policy;

/// Rust core of a3crs.
#[pyo3::pymodule]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::functions::{
        available_isas, bench, bench_network, catalogue, check, evaluate, isa, read_checkpoint, tear_test, train,
    };

    #[pymodule_export]
    use crate::ale::PyGame;

    #[pymodule_export]
    use crate::policy::Policy;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("ATARI_SHAPE", a3crs_core::env::atari::SHAPE)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("build_profile", if cfg!(debug_assertions) { "debug" } else { "release" })
    }
}
