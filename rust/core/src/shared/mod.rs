//! What the actor-learners share: theta, the optimizer's statistics and the global counter `T` (section 4 of the paper).
//!
//! Everything here is flat `f32` and knows neither networks nor reinforcement learning. No operation takes a lock: threads
//! may overwrite each other's updates of a parameter ("Hogwild!"), but never see half a parameter.

pub mod clock;
pub mod optimizer;
pub mod parameters;
pub mod refreshes;
pub mod schedule;
pub mod store;
pub mod tear;

pub use clock::Clock;
pub use optimizer::{OptimizerConfig, OptimizerKind, SharedOptimizer, clip_scale};
pub use parameters::{Hogwild, LocalCopy, Parameters, Snapshot};
pub use refreshes::Refreshes;
pub use store::Store;
pub use tear::{TearReport, tear_test};
