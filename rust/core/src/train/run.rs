//! One training run: its threads, and the supervisor that keeps its logs and checkpoints.

use super::actor_learner::{Actor, ActorLearner, EpisodeReport, Shared};
use super::checkpoint::{Checkpoint, CheckpointDir, CheckpointMeta, FORMAT_VERSION};
use super::config::Action;
use super::error::TrainError;
use super::normalise::SharedMoments;
use super::pool::{Message, with_actors};
use super::record::{EpisodeRow, JsonLines, ProgressRow, ReturnWindow, rss_mb};
use super::schedule::annealed_lr;
use super::setup::Setup;
use super::stats::{ActorStats, Meter, Reading, Stat, Totals};
use super::{BoxEnv, Host};
use crate::env::{EnvError, Episode};
use crate::shared::store::Store;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Between two lines of the progress log.
const LOG_INTERVAL: Duration = Duration::from_secs(2);
/// Between two calls of [`Host::poll`].
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// T
    pub steps: u64,
    /// The same in emulator frames.
    pub frames: u64,
    /// Seconds of training.
    pub secs: f64,
    /// Whole episodes.
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

/// Trains until T > T_max, an actor fails or the host stops it; logs and checkpoints go to `run_dir`. In every case the last
/// state is saved before returning.
///
/// `make_env(actor)` is called on the actor's own thread. With `resume_from` theta, g, T and the schedules go on where that
/// checkpoint left them.
pub fn train<A: Action, F>(
    setup: &Setup,
    make_env: F,
    run_dir: &Path,
    resume_from: Option<&Path>,
    host: &dyn Host,
) -> Result<Summary, TrainError>
where
    F: Fn(usize) -> Result<BoxEnv<A>, EnvError> + Sync,
{
    let resumed = match resume_from {
        None => None,
        Some(path) => {
            super::checkpoint::check(path, setup)?;
            Some(Checkpoint::load(path, &setup.net)?)
        }
    };
    let shared = resumed.as_ref().map_or_else(|| setup.shared(), |checkpoint| setup.restored(checkpoint));
    let start = shared.clock.now();
    let stats: Vec<ActorStats> = (0..setup.config.actors).map(|_| ActorStats::default()).collect();
    let mut supervisor = Supervisor::new(setup, &shared, &stats, run_dir, resumed.map(|c| c.meta))?;
    let body = |actor: usize, reports: &std::sync::mpsc::SyncSender<Message<EpisodeReport>>| {
        shared.cores.keep(actor);
        let env = make_env(actor).map_err(|source| TrainError::Env { actor, step: 0, source })?;
        let mut rng = setup.actor_rng(start, actor);
        let algo = setup.config.algorithm::<A>(&mut rng);
        let actor_learner = Actor { actor, env, algo, rng, stats: &stats[actor] };
        let mut learner = ActorLearner::new(setup, &shared, actor_learner);
        learner.run(|report| {
            // The supervisor outlives the actors; should it be gone, the run is over anyway.
            let _ = reports.send(Message::Report(report));
        })
    };
    with_actors(setup.config.actors, host, &shared.stop, body, |messages| supervisor.watch(&messages, host))?
}

struct Supervisor<'a> {
    setup: &'a Setup,
    shared: &'a Shared,
    stats: &'a [ActorStats],
    checkpoints: CheckpointDir,
    episode_log: JsonLines,
    progress_log: JsonLines,
    /// What was before this process; its `steps` and `secs` are offsets.
    before: CheckpointMeta,
    started: Instant,
    episodes: u64,
    best_return_mean_100: Option<f64>,
    window: ReturnWindow,
}

impl<'a> Supervisor<'a> {
    fn new(
        setup: &'a Setup,
        shared: &'a Shared,
        stats: &'a [ActorStats],
        run_dir: &Path,
        resumed: Option<CheckpointMeta>,
    ) -> Result<Self, TrainError> {
        let before = resumed.unwrap_or_else(|| CheckpointMeta {
            format_version: FORMAT_VERSION,
            steps: 0,
            secs: 0.0,
            episodes: 0,
            updates: 0,
            refused_updates: 0,
            best_return_mean_100: None,
            env: setup.config.env.clone(),
            algo: setup.config.algo,
            net: setup.config.net,
            gaussian: setup.config.gaussian,
            env_spec: setup.env.clone(),
        });
        Ok(Supervisor {
            setup,
            shared,
            stats,
            checkpoints: CheckpointDir::create(run_dir)?,
            episode_log: JsonLines::append(&run_dir.join("episodes.jsonl"))?,
            progress_log: JsonLines::append(&run_dir.join("progress.jsonl"))?,
            started: Instant::now(),
            episodes: before.episodes,
            best_return_mean_100: before.best_return_mean_100,
            window: ReturnWindow::default(),
            before,
        })
    }

    /// Logs, saves and polls until every actor has ended; the first thing that goes wrong stops them.
    fn watch(&mut self, messages: &Receiver<Message<EpisodeReport>>, host: &dyn Host) -> Result<Summary, TrainError> {
        let mut outcome = Ok(());
        let mut actors = self.setup.config.actors;
        let (mut log_meter, mut poll_meter) = (Meter::start(self.totals()), Meter::start(self.totals()));
        let (mut logged, mut polled, mut saved) = (Instant::now(), Instant::now(), Instant::now());
        let checkpoint_interval = Duration::try_from_secs_f64(self.setup.config.checkpoint_secs);
        let checkpoint_interval = checkpoint_interval.unwrap_or(Duration::MAX);
        while actors > 0 {
            let step = match messages.recv_timeout(POLL_INTERVAL / 5) {
                Ok(Message::Report(report)) => self.episode(&report),
                Ok(Message::Exit(result)) => {
                    actors -= 1;
                    result
                }
                Err(RecvTimeoutError::Timeout) => Ok(()),
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let step = step.and_then(|()| {
                if logged.elapsed() >= LOG_INTERVAL {
                    logged = Instant::now();
                    let row = self.row(log_meter.read(self.totals()));
                    self.progress_log.write(&row)?;
                }
                if saved.elapsed() >= checkpoint_interval {
                    saved = Instant::now();
                    self.save()?;
                }
                if polled.elapsed() >= POLL_INTERVAL {
                    polled = Instant::now();
                    host.poll(&self.row(poll_meter.read(self.totals()))).map_err(TrainError::Host)?;
                }
                Ok(())
            });
            if let Err(error) = step {
                self.shared.stop.store(true, Relaxed);
                outcome = outcome.and(Err(error)); // the first error is the cause
            }
        }
        self.finish(&mut log_meter, &mut poll_meter, host, outcome)
    }

    /// The last line, the last checkpoint; then what went wrong, if anything did.
    fn finish(
        &mut self,
        log_meter: &mut Meter,
        poll_meter: &mut Meter,
        host: &dyn Host,
        outcome: Result<(), TrainError>,
    ) -> Result<Summary, TrainError> {
        let row = self.row(log_meter.read_at_end(self.totals()));
        let wrote = self.progress_log.write(&row).and_then(|()| self.save());
        outcome?;
        wrote?;
        host.poll(&self.row(poll_meter.read_at_end(self.totals()))).map_err(TrainError::Host)?;
        Ok(Summary {
            steps: row.steps,
            frames: row.frames,
            secs: row.secs,
            episodes: row.episodes,
            updates: row.updates,
            refused_updates: row.refused_updates,
            return_mean_100: row.return_mean_100,
            return_best_100: row.return_best_100,
            checkpoint: self.checkpoints.latest(),
        })
    }

    fn totals(&self) -> Totals {
        Totals::of(self.stats)
    }

    fn secs(&self) -> f64 {
        self.before.secs + self.started.elapsed().as_secs_f64()
    }

    fn episode(&mut self, report: &EpisodeReport) -> Result<(), TrainError> {
        let EpisodeReport { steps, actor, explore_eps, episode: Episode { episode_return, length_steps } } = *report;
        self.episodes += 1;
        self.window.push(episode_return, length_steps);
        let frames = steps * self.setup.env.frames_per_step;
        let secs = self.secs();
        let row = EpisodeRow { steps, frames, secs, actor, explore_eps, episode_return, length_steps };
        self.episode_log.write(&row)
    }

    /// The state of the run, with the averages of `reading`.
    fn row(&self, reading: Reading) -> ProgressRow {
        let (steps, config) = (self.shared.clock.now(), &self.setup.config);
        let summary = self.window.summary();
        let mut row = ProgressRow {
            steps,
            frames: steps * self.setup.env.frames_per_step,
            secs: self.secs(),
            steps_per_sec: reading.totals.get(Stat::Steps) / reading.wall.as_secs_f64().max(1e-9),
            lr: annealed_lr(config.lr, steps, config.total_steps).into(),
            episodes: self.episodes,
            return_mean_100: summary.map(|s| s.0),
            return_best_100: summary.map(|s| s.1),
            length_mean_100: summary.map(|s| s.2),
            entropy: None,
            value_loss: None,
            policy_loss: None,
            grad_norm: None,
            clipped_share: None,
            staleness: None,
            updates: self.shared.updates.load(Relaxed),
            refused_updates: self.before.refused_updates + self.totals().get(Stat::RefusedUpdates) as u64,
            share_env: 0.0,
            share_forward: 0.0,
            share_backward: 0.0,
            share_update: 0.0,
            share_waiting: 0.0,
            rss_mb: rss_mb(),
        };
        row.measure(&reading, config.algo.has_policy());
        row
    }

    /// Writes a checkpoint of what is in the stores now, while the actors go on, unless nothing has happened or theta is not
    /// finite: a bad checkpoint must not replace a good one.
    fn save(&mut self) -> Result<(), TrainError> {
        let steps = self.shared.clock.now();
        let read = |store: &Store| {
            let mut values = vec![0.0; store.len()];
            store.read_into(self.setup.isa, &mut values);
            values
        };
        let theta = read(&self.shared.theta);
        if !theta.iter().all(|x| x.is_finite()) {
            return Ok(());
        }
        let mean = self.window.summary().map(|s| s.0);
        let is_best = mean.is_some_and(|mean| self.best_return_mean_100.is_none_or(|best| mean > best));
        if is_best {
            self.best_return_mean_100 = mean;
        }
        let refused = self.before.refused_updates + self.totals().get(Stat::RefusedUpdates) as u64;
        let meta = CheckpointMeta {
            format_version: FORMAT_VERSION,
            steps,
            secs: self.secs(),
            episodes: self.episodes,
            updates: self.shared.updates.load(Relaxed),
            refused_updates: refused,
            best_return_mean_100: self.best_return_mean_100,
            ..self.before.clone()
        };
        let theta_target = self.shared.theta_target.as_ref().map(read);
        let statistics = self.shared.optimizer.statistics().map(|(name, store)| (name, read(store))).collect();
        let moments = |shared: &Option<SharedMoments>| shared.as_ref().map(SharedMoments::get);
        let (observations, returns) = (moments(&self.shared.observations), moments(&self.shared.returns));
        let checkpoint = Checkpoint { meta, theta, theta_target, statistics, observations, returns };
        self.checkpoints.save(&checkpoint, &self.setup.net, is_best, self.setup.config.keep_checkpoints)?;
        self.episode_log.sync()?;
        self.progress_log.sync()
    }
}
