//! One training run: its threads, its supervisor.

pub mod memory;
pub mod pool;
mod supervisor;
pub mod training;

pub use training::train;
