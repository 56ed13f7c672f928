//! Supervisor of a run: its logs, its checkpoints, and its host.

use super::pool::Message;
use crate::env::{ActionSpec, Episode};
use crate::sync::atomic::Ordering::Relaxed;
use crate::train::Host;
use crate::train::error::TrainError;
use crate::train::learn::Shared;
use crate::train::learn::moments::SharedMoments;
use crate::train::log::record::rss_mb;
use crate::train::log::{
    ActorStats, EpisodeReport, EpisodeRow, IncidentRow, JsonLines, Meter, ProgressRow, Reading, Report, ReturnWindow,
    Stat, Summary, Totals,
};
use crate::train::save::{Checkpoint, CheckpointDir, CheckpointMeta, FORMAT_VERSION};
use crate::train::setup::Setup;
use crate::train::turns::Rounds;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Time between two lines of the progress log.
const LOG_INTERVAL: Duration = Duration::from_secs(2);
/// Time between two calls of [`Host::poll`].
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Time between two looks at actors that were asked to pause: while all do, nobody computes.
const PAUSE_INTERVAL: Duration = Duration::from_millis(1);
/// Mean entropy in nats below which a policy no longer explores.
const COLLAPSED_NATS: f64 = 1e-3;
/// Lines of the log after which a collapsed policy is reported.
const COLLAPSED_ROWS: u32 = 5;

/// Watches the actors from the thread that started the run.
pub(super) struct Supervisor<'a> {
    setup: &'a Setup,
    shared: &'a Shared,
    stats: &'a [ActorStats],
    run_dir: PathBuf,
    checkpoints: CheckpointDir,
    episode_log: JsonLines,
    progress_log: JsonLines,
    incident_log: Option<JsonLines>,
    /// State before this process; its `secs` is an offset, its counts hold what no actor knows of.
    before: CheckpointMeta,
    started: Instant,
    episodes: u64,
    best_return_mean_100: Option<f64>,
    window: ReturnWindow,
    log_meter: Meter,
    /// The sums when the progress log was written last.
    logged: Totals,
    collapsed_rows: u32,
    actors_left: usize,
    outcome: Result<(), TrainError>,
}

impl<'a> Supervisor<'a> {
    /// Before the actors start.
    pub(super) fn new(
        setup: &'a Setup,
        shared: &'a Shared,
        stats: &'a [ActorStats],
        run_dir: &Path,
        resumed: Option<Checkpoint>,
    ) -> Result<Self, TrainError> {
        let (window, logged) = resumed.as_ref().map_or_else(Default::default, |c| (c.window.clone(), c.logged));
        let mut before = resumed.map_or_else(|| fresh(setup), |checkpoint| checkpoint.meta);
        let episodes = before.episodes;
        before.episodes -= before.actors.iter().map(|actor| actor.episodes).sum::<u64>().min(episodes);
        if !before.actors.is_empty() {
            before.refused_updates = 0; // the actors' sums have them
        }
        Ok(Supervisor {
            setup,
            shared,
            stats,
            run_dir: run_dir.to_path_buf(),
            checkpoints: CheckpointDir::create(run_dir)?,
            episode_log: JsonLines::append(&run_dir.join("episodes.jsonl"))?,
            progress_log: JsonLines::append(&run_dir.join("progress.jsonl"))?,
            incident_log: None,
            started: Instant::now(),
            episodes,
            best_return_mean_100: before.best_return_mean_100,
            window,
            before,
            log_meter: Meter::start(Totals::of(stats)),
            logged,
            collapsed_rows: 0,
            actors_left: setup.config.actors,
            outcome: Ok(()),
        })
    }

    /// Logs, saves and polls until every actor has ended; the first thing that goes wrong stops them.
    pub(super) fn watch(
        &mut self,
        messages: &Receiver<Message<Report>>,
        host: &dyn Host,
    ) -> Result<Summary, TrainError> {
        let mut poll_meter = Meter::start(self.totals());
        let (mut logged, mut polled, mut saved) = (Instant::now(), Instant::now(), Instant::now());
        let checkpoint_interval = Duration::try_from_secs_f64(self.setup.config.checkpoint_secs);
        let checkpoint_interval = checkpoint_interval.unwrap_or(Duration::MAX);
        let rounds = self.shared.order.rounds();
        let mut asked_pause = false;
        while self.actors_left > 0 {
            let is_paused = rounds.is_some_and(Rounds::is_paused);
            match messages.recv_timeout(if asked_pause { PAUSE_INTERVAL } else { POLL_INTERVAL / 5 }) {
                Ok(message) => self.take(message, host),
                Err(RecvTimeoutError::Timeout) if is_paused => {
                    let result = self.save(messages, host);
                    self.note(result);
                    asked_pause = false;
                    rounds.iter().for_each(|rounds| rounds.go_on());
                }
                Err(RecvTimeoutError::Timeout) => (),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if rounds.is_none() && logged.elapsed() >= LOG_INTERVAL {
                logged = Instant::now();
                let reading = self.log_meter.read(self.totals());
                let result = self.log(self.row(reading), host);
                self.note(result);
            }
            if saved.elapsed() >= checkpoint_interval {
                saved = Instant::now();
                match rounds {
                    Some(rounds) => {
                        asked_pause = true;
                        rounds.ask_pause();
                    }
                    None => {
                        let result = self.save(messages, host);
                        self.note(result);
                    }
                }
            }
            if polled.elapsed() >= POLL_INTERVAL {
                polled = Instant::now();
                let result = host.poll(&self.row(poll_meter.poll(self.totals())));
                self.note(result.map_err(TrainError::Host));
            }
        }
        self.finish(messages, &mut poll_meter, host)
    }

    /// The first error is the cause; it stops the actors.
    fn note(&mut self, result: Result<(), TrainError>) {
        if result.is_err() {
            self.shared.stop.store(true, Relaxed);
            if self.outcome.is_ok() {
                self.outcome = result;
            }
        }
    }

    fn take(&mut self, message: Message<Report>, host: &dyn Host) {
        let result = match message {
            Message::Exit(result) => {
                self.actors_left -= 1;
                result
            }
            Message::Report(Report::Episode(report)) => self.episode(&report),
            Message::Report(Report::Incident(report)) => {
                self.incident(report.steps, Some(report.actor), report.what, host)
            }
            Message::Report(Report::Progress(report)) => {
                let mut reading = self.log_meter.read(self.totals());
                reading.totals = report.sums.since(&self.logged);
                self.logged = report.sums;
                let row = ProgressRow { updates: report.updates, ..self.row_at(report.steps, reading) };
                self.log(row, host)
            }
        };
        self.note(result);
    }

    /// Writes the last line and the last checkpoint; then returns the first error, if there was one.
    fn finish(
        &mut self,
        messages: &Receiver<Message<Report>>,
        poll_meter: &mut Meter,
        host: &dyn Host,
    ) -> Result<Summary, TrainError> {
        let mut reading = self.log_meter.read_at_end(self.totals());
        let rounds = self.shared.order.rounds();
        if rounds.is_some() {
            reading.totals = self.totals().since(&self.logged);
        }
        let row = self.row(reading);
        // A repeatable run that is stopped, or resumed after its end, logs what it would have logged without that.
        let total_steps = self.setup.config.total_steps;
        let is_due = rounds.is_none() || (self.before.steps < total_steps && row.steps >= total_steps);
        let wrote = if is_due { self.log(row.clone(), host) } else { Ok(()) };
        let may_save = rounds.is_none_or(Rounds::ended_between_rounds);
        let wrote = wrote.and_then(|()| if may_save { self.save(messages, host) } else { Ok(()) });
        std::mem::replace(&mut self.outcome, Ok(()))?;
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

    fn refused_updates(&self) -> u64 {
        self.before.refused_updates + self.totals().get(Stat::RefusedUpdates) as u64
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

    /// Logs an incident and notifies the host.
    fn incident(&mut self, steps: u64, actor: Option<usize>, what: String, host: &dyn Host) -> Result<(), TrainError> {
        host.notice(&actor.map_or_else(|| what.clone(), |actor| format!("actor {actor} {what}")));
        let (frames, secs) = (steps * self.setup.env.frames_per_step, self.secs());
        let log = match &mut self.incident_log {
            Some(log) => log,
            None => self.incident_log.insert(JsonLines::append(&self.run_dir.join("incidents.jsonl"))?),
        };
        log.write(&IncidentRow { steps, frames, secs, actor, what })
    }

    /// Logs the state of the run, and reports a policy that has collapsed.
    fn log(&mut self, row: ProgressRow, host: &dyn Host) -> Result<(), TrainError> {
        self.progress_log.write(&row)?;
        let is_discrete = matches!(self.setup.env.actions, ActionSpec::Discrete(n) if n > 1);
        let is_collapsed = is_discrete && row.entropy.is_some_and(|nats| nats < COLLAPSED_NATS);
        self.collapsed_rows = if is_collapsed { self.collapsed_rows + 1 } else { 0 };
        if self.collapsed_rows != COLLAPSED_ROWS {
            return Ok(());
        }
        let nats = row.entropy.unwrap_or_default();
        let what = format!(
            "the policy has collapsed: it always takes the same action (entropy {nats:.1e} nats); unless that is what it should do, \
             try a lower lr or a higher entropy_beta"
        );
        self.incident(row.steps, None, what, host)
    }

    /// The state of the run now, with the averages of `reading`.
    fn row(&self, reading: Reading) -> ProgressRow {
        self.row_at(self.shared.parameters.now(), reading)
    }

    fn row_at(&self, steps: u64, reading: Reading) -> ProgressRow {
        let config = &self.setup.config;
        let summary = self.window.summary();
        let mut row = ProgressRow {
            steps,
            frames: steps * self.setup.env.frames_per_step,
            secs: self.secs(),
            steps_per_sec: reading.totals.get(Stat::Steps) / reading.wall.as_secs_f64().max(1e-9),
            lr: config.lr_at(steps).into(),
            episodes: self.episodes,
            return_mean_100: summary.map(|s| s.0),
            return_best_100: summary.map(|s| s.1),
            length_mean_100: summary.map(|s| s.2),
            entropy: None,
            value_loss: None,
            policy_loss: None,
            grad_norm: None,
            clip_fraction: None,
            approx_kl: None,
            explained_variance: None,
            clipped_share: None,
            staleness: None,
            updates: self.shared.parameters.updates(),
            refused_updates: self.refused_updates(),
            share_env: 0.0,
            share_forward: 0.0,
            share_backward: 0.0,
            share_update: 0.0,
            share_waiting: 0.0,
            rss_mb: rss_mb(),
        };
        row.measure(&reading, config.algo.row());
        row
    }

    /// Writes a checkpoint of what is in the stores now, while the actors go on, unless theta is not finite: a bad checkpoint must not
    /// replace a good one.
    fn save(&mut self, messages: &Receiver<Message<Report>>, host: &dyn Host) -> Result<(), TrainError> {
        let steps = self.shared.parameters.now();
        let actors: Vec<_> = self.shared.actors.iter().map(|actor| actor.get()).collect();
        // What these actors have reported is in the logs before it counts as done.
        messages.try_iter().for_each(|message| self.take(message, host));
        let parameters = self.shared.parameters.snapshot();
        if !parameters.theta.iter().all(|x| x.is_finite()) {
            return Ok(());
        }
        let mean = self.window.summary().map(|s| s.0);
        let is_best = mean.is_some_and(|mean| self.best_return_mean_100.is_none_or(|best| mean > best));
        if is_best {
            self.best_return_mean_100 = mean;
        }
        let meta = CheckpointMeta {
            format_version: FORMAT_VERSION,
            steps,
            secs: self.secs(),
            episodes: self.before.episodes + actors.iter().map(|actor| actor.meta.episodes).sum::<u64>(),
            updates: self.shared.parameters.updates(),
            refused_updates: self.refused_updates(),
            best_return_mean_100: self.best_return_mean_100,
            ..self.before.clone()
        };
        let moments = |shared: &Option<SharedMoments>| shared.as_ref().map(SharedMoments::get);
        let checkpoint = Checkpoint {
            meta,
            parameters,
            observations: moments(&self.shared.observations),
            returns: moments(&self.shared.returns),
            actors,
            window: self.window.clone(),
            logged: self.logged,
        };
        self.episode_log.sync()?;
        self.progress_log.sync()?;
        self.checkpoints.save(&checkpoint, &self.setup.net, is_best, self.setup.config.keep_checkpoints)
    }
}

/// Scalars of a run that has not begun.
fn fresh(setup: &Setup) -> CheckpointMeta {
    CheckpointMeta {
        format_version: FORMAT_VERSION,
        steps: 0,
        secs: 0.0,
        episodes: 0,
        updates: 0,
        refused_updates: 0,
        best_return_mean_100: None,
        env: setup.config.env.clone(),
        algo: setup.config.algo,
        network: setup.config.network.clone(),
        gaussian: setup.config.method.gaussian,
        env_spec: setup.env.clone(),
        optimizer_counts: Vec::new(), // the snapshot has them
        actors: Vec::new(),
    }
}
