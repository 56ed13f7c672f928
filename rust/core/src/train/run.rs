//! One training run: its threads.

use super::actor_learner::{Actor, ActorLearner};
use super::checkpoint::Checkpoint;
use super::config::Action;
use super::error::TrainError;
use super::pool::{Message, with_actors};
use super::record::Report;
use super::rounds::Rounds;
use super::setup::Setup;
use super::stats::ActorStats;
use super::supervisor::Supervisor;
use super::{BoxEnv, Host};
use crate::env::EnvError;
use serde::Serialize;
use std::path::{Path, PathBuf};

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
/// state is saved before returning, unless the order of updates is fixed and an actor has failed in the midst of a round.
///
/// `make_env(actor)` is called on the actor's own thread. With `resume_from` everything goes on where that checkpoint left it: theta,
/// g, T and the schedules, and each actor with its random numbers in the midst of its episode.
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
    super::memory::check(setup)?;
    let resumed = match resume_from {
        None => None,
        Some(path) => {
            super::checkpoint::check(path, setup)?;
            Some(Checkpoint::load(path, setup)?)
        }
    };
    let shared = resumed.as_ref().map_or_else(|| setup.shared(), |checkpoint| setup.restored(checkpoint));
    // Checkpoints of older formats know nothing of the actors' random numbers: they begin with others.
    let start = resumed.as_ref().filter(|checkpoint| checkpoint.actors.is_empty()).map_or(0, |old| old.meta.steps);
    let stats: Vec<_> = shared.actors.iter().map(|actor| ActorStats::new(&actor.update(|own| own.sums))).collect();
    let mut supervisor = Supervisor::new(setup, &shared, &stats, run_dir, resumed)?;
    let is_over = shared.clock.now() >= setup.config.total_steps; // it was resumed after its end
    let body = |actor: usize, reports: &std::sync::mpsc::SyncSender<Message<Report>>| {
        let _leaving = Leaving(shared.order.rounds());
        if is_over {
            return Ok(());
        }
        shared.cores.keep(actor);
        let env = make_env(actor).map_err(|source| TrainError::Env { actor, step: 0, source })?;
        let mut rng = setup.actor_rng(start, actor);
        let algo = setup.config.algorithm::<A>(&mut rng); // draws the same epsilon again
        let rng = shared.actors[actor].update(|own| own.meta.rng.clone()).unwrap_or(rng);
        let actor_learner = Actor { actor, env, algo, rng, stats: &stats[actor] };
        let mut learner = ActorLearner::new(setup, &shared, actor_learner);
        learner.run(|report| {
            // The supervisor outlives the actors; should it be gone, the run is over anyway.
            let _ = reports.send(Message::Report(report));
        })
    };
    with_actors(setup.config.actors, host, &shared.stop, body, |messages| supervisor.watch(&messages, host))?
}

/// However an actor ends, the others must not wait for it.
struct Leaving<'a>(Option<&'a Rounds>);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|rounds| rounds.leave());
    }
}
