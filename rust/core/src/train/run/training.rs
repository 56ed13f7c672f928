//! One training run: its threads.

use super::memory;
use super::pool::{Message, with_actors};
use super::supervisor::Supervisor;
use crate::env::EnvError;
use crate::rl::Action;
use crate::train::error::TrainError;
use crate::train::learn::{Actor, ActorLearner, Segment, Shared};
use crate::train::log::{ActorStats, Report, Summary};
use crate::train::save::{Checkpoint, check, restored};
use crate::train::setup::Setup;
use crate::train::turns::Order;
use crate::train::{BoxEnv, Host};
use std::path::Path;

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
    memory::check(setup)?;
    let resumed = match resume_from {
        None => None,
        Some(path) => {
            check(path, setup)?;
            Some(Checkpoint::load(path, setup)?)
        }
    };
    let shared = resumed.as_ref().map_or_else(|| Shared::new(setup), |checkpoint| restored(setup, checkpoint));
    // Checkpoints of older formats know nothing of the actors' random numbers: they begin with others.
    let start = resumed.as_ref().filter(|checkpoint| checkpoint.actors.is_empty()).map_or(0, |old| old.meta.steps);
    let stats: Vec<_> = shared.actors.iter().map(|actor| ActorStats::new(&actor.update(|own| own.sums))).collect();
    let mut supervisor = Supervisor::new(setup, &shared, &stats, run_dir, resumed)?;
    let is_over = shared.parameters.now() >= setup.config.total_steps; // it was resumed after its end
    let body = |actor: usize, reports: &std::sync::mpsc::SyncSender<Message<Report>>| {
        let _leaving = Leaving(&shared.order);
        if is_over {
            return Ok(());
        }
        shared.cores.keep(actor);
        let env = make_env(actor).map_err(|source| TrainError::Env { actor, step: 0, source })?;
        let mut rng = setup.actor_rng(start, actor);
        let method = setup.config.method::<A>(&mut rng); // draws the same epsilon again
        let rng = shared.actors[actor].update(|own| own.meta.rng.clone()).unwrap_or(rng);
        let actor_learner = Actor { actor, env, method, rng, stats: &stats[actor] };
        let mut learner = ActorLearner::new(setup, &shared, actor_learner);
        learner.run(|report| {
            // The supervisor outlives the actors; should it be gone, the run is over anyway.
            let _ = reports.send(Message::Report(report));
        })
    };
    with_actors(setup.config.actors, host, &shared.stop, body, |messages| supervisor.watch(&messages, host))?
}

/// Leaves the order however an actor ends, so that the others do not wait for it.
struct Leaving<'a>(&'a Order<Segment>);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}
