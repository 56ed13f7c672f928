//! Rows of the run's logs, and the files they go to. `python/a3crs/runlog/schema.py` describes the same rows for readers.

use super::stats::{Reading, Stat, Totals};
use crate::env::Episode;
use crate::rl::method::Row;
use crate::train::error::TrainError;
use serde::Serialize;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Returns are averaged over so many of the last episodes.
const WINDOW_EPISODES: usize = 100;

/// Message of an actor to the supervisor.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// End of a whole episode.
    Episode(EpisodeReport),
    /// The state of a repeatable run between two rounds.
    Progress(ProgressReport),
    /// An incident: the run goes on, but not as it should.
    Incident(IncidentReport),
}

/// Report of a whole episode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpisodeReport {
    /// T at the end of the segment it ended in.
    pub steps: u64,
    /// The actor that played it.
    pub actor: usize,
    /// The actor's probability of a random action at that time, where the method explores so.
    pub explore_eps: Option<f32>,
    /// Return and length.
    pub episode: Episode,
}

/// Contents of the progress log of a repeatable run, without wall-clock times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProgressReport {
    /// T
    pub steps: u64,
    /// Updates applied.
    pub updates: u64,
    /// The sums of all actors.
    pub sums: Totals,
}

/// Something that should not be, and the run goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentReport {
    /// T
    pub steps: u64,
    /// The actor concerned.
    pub actor: usize,
    /// Predicate of a sentence that starts with `actor 3`.
    pub what: String,
}

/// One line of `incidents.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IncidentRow {
    /// T
    pub steps: u64,
    /// T in emulator frames.
    pub frames: u64,
    /// Seconds of training.
    pub secs: f64,
    /// The actor concerned; null where it concerns the run.
    pub actor: Option<usize>,
    /// Description for a person.
    pub what: String,
}

/// One line of `episodes.jsonl`: a whole episode (game) that ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EpisodeRow {
    /// T at the end of the segment it ended in.
    pub steps: u64,
    /// T in emulator frames.
    pub frames: u64,
    /// Seconds of training.
    pub secs: f64,
    /// The actor that played it.
    pub actor: usize,
    /// The actor's probability of a random action at that time; null where the method has none.
    pub explore_eps: Option<f32>,
    /// Sum of raw rewards.
    pub episode_return: f64,
    /// Length in steps.
    pub length_steps: u64,
}

/// One line of `progress.jsonl`: the state of the run, and averages over the time since the line before. What has no value
/// yet is null.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProgressRow {
    /// T
    pub steps: u64,
    /// T in emulator frames.
    pub frames: u64,
    /// Seconds of training, those before a resume included.
    pub secs: f64,
    /// Steps a second.
    pub steps_per_sec: f64,
    /// The learning rate now.
    pub lr: f64,
    /// Number of whole episodes so far.
    pub episodes: u64,
    /// Mean raw return of the last 100 episodes.
    pub return_mean_100: Option<f64>,
    /// Best raw return of the last 100 episodes.
    pub return_best_100: Option<f64>,
    /// Mean length of the last 100 episodes, in steps.
    pub length_mean_100: Option<f64>,
    /// Mean entropy of pi, in nats; null where the method has no policy.
    pub entropy: Option<f64>,
    /// Mean value loss of a step.
    pub value_loss: Option<f64>,
    /// Mean policy loss of a step.
    pub policy_loss: Option<f64>,
    /// Share of steps whose policy loss was clipped; null where the method clips none.
    pub clip_fraction: Option<f64>,
    /// Estimated mean `KL(pi_acted || pi)` of a step in nats, over all passes; null where the method makes one pass.
    pub approx_kl: Option<f64>,
    /// Share of the returns' variance that the values explain, `1 - Var(G - V) / Var(G)`; null where the method has no policy.
    pub explained_variance: Option<f64>,
    /// Mean L2 norm of an update's gradient before clipping.
    pub grad_norm: Option<f64>,
    /// Share of updates that were clipped.
    pub clipped_share: Option<f64>,
    /// Mean number of updates by others between an actor's pull and its push.
    pub staleness: Option<f64>,
    /// Updates so far.
    pub updates: u64,
    /// Updates refused so far because their gradient was not finite.
    pub refused_updates: u64,
    /// Share of the machine's core-time spent in the environment.
    pub share_env: f64,
    /// Share spent in forward passes.
    pub share_forward: f64,
    /// Share spent in backward passes.
    pub share_backward: f64,
    /// Share spent in snapshots and updates of the store.
    pub share_update: f64,
    /// Idle share.
    pub share_waiting: f64,
    /// Resident memory of the process in MiB; null where the system does not tell.
    pub rss_mb: Option<f64>,
}

impl ProgressRow {
    /// Fills in what a meter read of a method; one without a policy has no entropy and no policy loss.
    pub fn measure(&mut self, reading: &Reading, method: &Row) {
        let ratio = |stat, by| match reading.totals.get(by) {
            0.0 => None,
            n => Some(reading.totals.get(stat) / n),
        };
        if method.has_policy {
            self.entropy = ratio(Stat::Entropy, Stat::Weight);
            self.policy_loss = ratio(Stat::PolicyLoss, Stat::Weight);
            self.explained_variance = explained_variance(&reading.totals);
        }
        if method.clips {
            self.clip_fraction = ratio(Stat::ClippedSteps, Stat::Weight);
            self.approx_kl = ratio(Stat::Kl, Stat::Weight);
        }
        self.value_loss = ratio(Stat::ValueLoss, Stat::Weight);
        self.grad_norm = ratio(Stat::GradNorm, Stat::Updates);
        self.clipped_share = ratio(Stat::ClippedUpdates, Stat::Updates);
        self.staleness = ratio(Stat::Staleness, Stat::Updates);
        self.share_env = reading.shares.env;
        self.share_forward = reading.shares.forward;
        self.share_backward = reading.shares.backward;
        self.share_update = reading.shares.update;
        self.share_waiting = reading.shares.waiting;
    }
}

/// `1 - Var(G - V) / Var(G)`; none where all returns are the same.
fn explained_variance(sums: &Totals) -> Option<f64> {
    let n = sums.get(Stat::Explained);
    let variance = |sum, squares| sums.get(squares) / n - (sums.get(sum) / n).powi(2);
    let of_returns = variance(Stat::Returns, Stat::SquaredReturns);
    (n > 0.0 && of_returns > 0.0).then(|| 1.0 - variance(Stat::ValueErrors, Stat::SquaredValueErrors) / of_returns)
}

/// Returns and lengths of the last episodes.
#[derive(Clone, Debug, Default)]
pub struct ReturnWindow(VecDeque<(f64, u64)>);

impl ReturnWindow {
    /// Adds an episode's return and length.
    pub fn push(&mut self, episode_return: f64, length_steps: u64) {
        if self.0.len() == WINDOW_EPISODES {
            self.0.pop_front();
        }
        self.0.push_back((episode_return, length_steps));
    }

    /// Returns and lengths, as a checkpoint keeps them.
    pub fn to_vecs(&self) -> (Vec<f64>, Vec<u64>) {
        self.0.iter().copied().unzip()
    }

    /// Window with the values of [`ReturnWindow::to_vecs`].
    pub fn from_vecs(returns: Vec<f64>, lengths: Vec<u64>) -> Self {
        ReturnWindow(returns.into_iter().zip(lengths).collect())
    }

    /// Mean return, best return and mean length; none before the first episode.
    pub fn summary(&self) -> Option<(f64, f64, f64)> {
        let n = self.0.len() as f64;
        let best = self.0.iter().map(|e| e.0).reduce(f64::max)?;
        let (returns, lengths) = self.0.iter().fold((0.0, 0.0), |(r, l), e| (r + e.0, l + e.1 as f64));
        Some((returns / n, best, lengths / n))
    }
}

/// A log of one JSON object a line. Each line is one `write`, so a reader never sees half of one but at the very end.
#[derive(Debug)]
pub struct JsonLines {
    file: File,
    path: PathBuf,
}

impl JsonLines {
    /// Opens `path` to append to it.
    pub fn append(path: &Path) -> Result<Self, TrainError> {
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(TrainError::io("open", path))?;
        Ok(JsonLines { file, path: path.to_path_buf() })
    }

    /// Writes one row.
    pub fn write(&mut self, row: &impl Serialize) -> Result<(), TrainError> {
        let fail = TrainError::io("write", &self.path);
        let mut line = match serde_json::to_vec(row) {
            Ok(line) => line,
            Err(error) => return Err(fail(error.into())),
        };
        line.push(b'\n');
        self.file.write_all(&line).map_err(fail)
    }

    /// Makes what was written survive a power cut.
    pub fn sync(&self) -> Result<(), TrainError> {
        self.file.sync_data().map_err(TrainError::io("write", &self.path))
    }
}

/// Resident memory of this process in MiB, where /proc tells.
pub fn rss_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_keeps_the_last_hundred_episodes() {
        let mut window = ReturnWindow::default();
        assert_eq!(window.summary(), None);
        window.push(1000.0, 10);
        (0..100).for_each(|i| window.push(f64::from(i), 20));
        assert_eq!(window.summary(), Some((49.5, 99.0, 20.0)));
    }

    #[test]
    fn rows_are_appended_a_line_each() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("episodes.jsonl");
        let row = |steps| EpisodeRow {
            steps,
            frames: 4 * steps,
            secs: 1.5,
            actor: 0,
            explore_eps: Some(0.5),
            episode_return: -21.0,
            length_steps: 800,
        };
        JsonLines::append(&path).unwrap().write(&row(1)).unwrap();
        let mut log = JsonLines::append(&path).unwrap();
        log.write(&row(2)).unwrap();
        log.sync().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.ends_with("\"length_steps\":800}\n"), "{text}");
    }

    #[test]
    fn a_log_that_cannot_be_opened_names_the_file() {
        let error = JsonLines::append(Path::new("/nonexistent/run/episodes.jsonl")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/run/episodes.jsonl"), "{error}");
    }
}
