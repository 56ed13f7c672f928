//! What threads meet in: the standard library's, and loom's in the models that try every interleaving (`tests/models.rs`).

#[cfg(loom)]
pub use loom::{
    sync::{Condvar, Mutex, MutexGuard, atomic},
    thread::yield_now,
};
#[cfg(not(loom))]
pub use std::{
    sync::{Condvar, Mutex, MutexGuard, atomic},
    thread::yield_now,
};
