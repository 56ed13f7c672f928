//! Playing without learning, and the benchmark of both.

pub mod bench;
pub mod evaluate;
pub mod predict;

pub use predict::Agent;
