//! The asynchronous framework: actor-learners on threads, the run around them, its logs and checkpoints.

pub mod actor_learner;
pub mod actor_state;
pub mod bench;
pub mod checkpoint;
pub mod config;
pub mod cores;
pub mod error;
pub mod evaluate;
pub mod memory;
pub mod normalise;
pub mod order;
pub mod pool;
pub mod predict;
pub mod record;
pub mod rounds;
pub mod run;
pub mod schedule;
pub mod setup;
pub mod stats;
mod supervisor;
pub mod tensors;
pub mod turns;

pub use actor_learner::{ActorLearner, Shared};
pub use checkpoint::{Checkpoint, CheckpointMeta};
pub use config::{Action, Algo, TrainConfig};
pub use error::TrainError;
pub use predict::Agent;
pub use run::{Summary, train};
pub use setup::Setup;

use crate::env::{Env, EnvError};
use record::ProgressRow;

/// An environment as the actors hold it.
pub type BoxEnv<A> = Box<dyn Env<A>>;

/// The program around a run: a Python interpreter, or nothing.
pub trait Host: Sync {
    /// Runs an actor's whole life on its own thread; a place to prepare the thread.
    fn on_actor_thread(&self, body: &mut (dyn FnMut() + Send)) {
        body();
    }
    /// Called about four times a second on the thread that called [`train`], with what the progress log would say now.
    /// An error stops the run, which saves and returns it.
    fn poll(&self, row: &ProgressRow) -> Result<(), EnvError>;
    /// Something the user should know, a sentence without a stop.
    fn notice(&self, what: &str);
    /// Called a few times a second where there is no progress to show: an error stops what is going on.
    fn check(&self) -> Result<(), EnvError>;
}
