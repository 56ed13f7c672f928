//! Checkpoints: writing them, reading them, going on from them.

pub mod actor;
pub mod checkpoint;
pub mod dir;
pub mod restore;
pub mod tensors;

pub use checkpoint::{Checkpoint, CheckpointMeta, FORMAT_VERSION, read_meta};
pub use dir::CheckpointDir;
pub use restore::{check, restored};
