//! Errors of a run.

use crate::env::EnvError;
use crate::nn::NetError;
use std::path::{Path, PathBuf};

/// Error that ends a run; its display is a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A setting that cannot work.
    #[error("{0}")]
    Config(String),
    /// The network does not fit the environment.
    #[error(transparent)]
    Net(#[from] NetError),
    /// An environment failed; the source is the environment's own error.
    #[error("the environment of actor {actor} failed at its step {step}: {source}")]
    Env {
        /// Number of the actor.
        actor: usize,
        /// Number of steps that the actor had taken.
        step: u64,
        /// Error of the environment.
        source: EnvError,
    },
    /// The host asked to stop (Ctrl-C, an exception in a callback); the source is its reason.
    #[error("stopped: {0}")]
    Host(EnvError),
    /// An actor panicked: a bug of ours or of an environment's extension.
    #[error("actor {actor} died: {message}; this is a bug, please report it")]
    Panic {
        /// Number of the actor.
        actor: usize,
        /// The panic's message.
        message: String,
    },
    /// Update after update was NaN or infinite.
    #[error(
        "{refused} updates in a row had a gradient that is not finite (last by actor {actor}): the run has diverged, \
         most likely because lr = {lr:e} is too high; the checkpoints written before are good"
    )]
    Diverged {
        /// Actor that gave up.
        actor: usize,
        /// Number of updates it had refused.
        refused: u64,
        /// The initial learning rate of the run.
        lr: f32,
    },
    /// A file of the run directory could not be written or read.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// For example `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A checkpoint that is not as it was written.
    #[error("the checkpoint {} cannot be used: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Reason for a person.
        reason: String,
    },
    /// A checkpoint that is not one, or not of this network.
    #[error("the checkpoint {} cannot be used: {reason}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Reason for a person.
        reason: String,
    },
}

impl TrainError {
    /// An [`TrainError::Io`] from the system's reason.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> TrainError {
        let path = path.to_path_buf();
        move |source| TrainError::Io { action, path, source }
    }
}
