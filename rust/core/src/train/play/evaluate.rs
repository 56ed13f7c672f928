//! Playing whole episodes with fixed parameters.

use super::predict::{Agent, Predictor, stream};
use crate::env::{End, EnvError, Episode};
use crate::rl::Action;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use crate::train::error::TrainError;
use crate::train::run::pool::{Message, with_actors};
use crate::train::setup::Setup;
use crate::train::turns::Cores;
use crate::train::{BoxEnv, Host};
use serde::Serialize;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// Parameters of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Number of whole episodes to play.
    pub episodes: usize,
    /// Threads to play them on; the result does not depend on it.
    pub actors: usize,
    /// Episode `i` is played with seed `seed + i`.
    pub seed: u64,
    /// The most probable or most valuable action instead of one drawn from the policy.
    pub greedy: bool,
}

/// One episode that was played.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EvaluatedEpisode {
    /// Number of the episode.
    pub episode: usize,
    /// The seed of environment and policy.
    pub seed: u64,
    /// Sum of raw rewards.
    #[serde(rename = "return")]
    pub episode_return: f64,
    /// Length in steps.
    pub length_steps: u64,
}

/// Plays whole episodes, each from its own seed, and returns them in order. `on_episode` hears of each as it
/// ends; an error from it, or from [`Host::check`], stops the evaluation.
pub fn evaluate<A: Action, F>(
    setup: &Setup,
    agent: &Agent,
    make_env: F,
    how: Evaluation,
    host: &dyn Host,
    mut on_episode: impl FnMut(&EvaluatedEpisode) -> Result<(), EnvError>,
) -> Result<Vec<EvaluatedEpisode>, TrainError>
where
    F: Fn(usize) -> Result<BoxEnv<A>, EnvError> + Sync,
{
    let actors = how.actors.clamp(1, how.episodes.max(1));
    let (stop, next) = (AtomicBool::new(false), AtomicUsize::new(0));
    let cores = Cores::new(actors, setup.env.own_thread);
    let body = |actor: usize, reports: &std::sync::mpsc::SyncSender<Message<EvaluatedEpisode>>| {
        let fail = |source| TrainError::Env { actor, step: 0, source };
        cores.keep(actor);
        let mut player = Player::new(setup, agent, make_env(actor).map_err(fail)?);
        loop {
            let episode = next.fetch_add(1, Relaxed);
            if episode >= how.episodes {
                return Ok(());
            }
            let seed = how.seed.wrapping_add(episode as u64);
            let played = player.play(seed, how.greedy, &stop);
            let Some(Episode { episode_return, length_steps }) = played.map_err(fail)? else { return Ok(()) };
            let _ = reports.send(Message::Report(EvaluatedEpisode { episode, seed, episode_return, length_steps }));
        }
    };
    with_actors(actors, host, &stop, body, |messages| {
        let (mut running, mut played, mut outcome) = (actors, Vec::with_capacity(how.episodes), Ok(()));
        while running > 0 {
            let step = match messages.recv_timeout(Duration::from_millis(100)) {
                Ok(Message::Exit(result)) => {
                    running -= 1;
                    result
                }
                Ok(Message::Report(episode)) => {
                    let heard = on_episode(&episode).map_err(TrainError::Host);
                    played.push(episode);
                    heard
                }
                Err(RecvTimeoutError::Timeout) => host.check().map_err(TrainError::Host),
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if step.is_err() {
                stop.store(true, Relaxed);
            }
            outcome = outcome.and(step);
        }
        outcome?;
        played.sort_by_key(|episode| episode.episode);
        Ok(played)
    })?
}

/// An environment and the network that plays it.
struct Player<'a, A> {
    setup: &'a Setup,
    predictor: Predictor<'a>,
    env: BoxEnv<A>,
    /// The recurrent state: the evaluation's own, 0 at the start of an episode.
    state: Vec<f32>,
}

impl<'a, A: Action> Player<'a, A> {
    fn new(setup: &'a Setup, agent: &'a Agent, env: BoxEnv<A>) -> Self {
        Player { setup, predictor: Predictor::new(setup, agent), env, state: vec![0.0; setup.net.state_len()] }
    }

    /// One whole episode; none if it was stopped.
    fn play(&mut self, seed: u64, greedy: bool, stop: &AtomicBool) -> Result<Option<Episode>, EnvError> {
        let mut rng = stream(seed);
        let method = self.setup.config.evaluated::<A>();
        self.env.reset(Some(seed & 0x7fff_ffff), self.predictor.obs())?;
        self.state.fill(0.0);
        while !stop.load(Relaxed) {
            let y = self.predictor.y(&mut self.state);
            let action = if greedy { method.greedy(y) } else { method.act(y, u64::MAX, &mut rng) };
            let step = self.env.step(action, self.predictor.obs())?;
            if let Some(episode) = step.episode {
                return Ok(Some(episode));
            }
            if step.end != End::No {
                self.env.reset(None, self.predictor.obs())?;
                self.state.fill(0.0);
            }
        }
        Ok(None)
    }
}
