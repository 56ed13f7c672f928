//! Summary of a run at its end.

use serde::Serialize;
use std::path::PathBuf;

/// The state of a run at its end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// T, agent steps of all actors.
    pub steps: u64,
    /// T in emulator frames.
    pub frames: u64,
    /// Seconds of training.
    pub secs: f64,
    /// Number of whole episodes.
    pub episodes: u64,
    /// Updates applied.
    pub updates: u64,
    /// Updates refused.
    pub refused_updates: u64,
    /// Mean raw return of the last 100 episodes.
    pub return_mean_100: Option<f64>,
    /// Best raw return of the last 100 episodes.
    pub return_best_100: Option<f64>,
    /// The last checkpoint.
    pub checkpoint: PathBuf,
}
