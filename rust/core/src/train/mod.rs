//! The asynchronous framework: actor-learners on threads, the run around them, its logs and checkpoints.
//!
//! The rooms, from the ground up, each using only those before it: `config` and `error`, [`turns`], [`log`], [`setup`], [`learn`],
//! [`save`], [`run`], [`play`].

pub mod config;
pub mod error;
pub mod learn;
pub mod log;
pub mod play;
pub mod run;
pub mod save;
pub mod setup;
pub mod turns;

pub use crate::rl::{Action, Algo};
pub use config::TrainConfig;
pub use error::TrainError;
pub use learn::{Actor, ActorLearner, Shared};
pub use log::Summary;
pub use play::Agent;
pub use run::train;
pub use save::{Checkpoint, CheckpointMeta};
pub use setup::Setup;

use crate::env::{Env, EnvError};
use log::ProgressRow;

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
