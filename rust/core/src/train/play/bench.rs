//! Speed of training beside the emulator alone, in one run.

use crate::env::{End, Env, EnvError, ObsMut};
use crate::nn::Observations;
use crate::rl::{Action, ActorRng};
use crate::shared::{LocalCopy, clip_scale};
use crate::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::train::error::TrainError;
use crate::train::learn::{Actor, ActorLearner, Shared};
use crate::train::log::stats::Shares;
use crate::train::log::{ActorStats, Meter, Reading, Stat, Totals};
use crate::train::run::pool::{Message, with_actors};
use crate::train::setup::Setup;
use crate::train::{BoxEnv, Host};
use rand::{RngExt, SeedableRng};
use serde::Serialize;
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// The emulator and training take turns so many times; medians are reported.
const ROUNDS: usize = 5;
/// Before the first round, so that caches and clocks are warm.
const WARM_UP: Duration = Duration::from_millis(500);

/// Steps a second with and without learning, and where the core-time of training went.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BenchRow {
    /// Actor threads.
    pub actors: usize,
    /// The environments alone, with random actions.
    pub emulator_steps_per_sec: f64,
    /// Training on the same environments.
    pub train_steps_per_sec: f64,
    /// The median of the rounds' ratios, training over emulator.
    pub ratio: f64,
    /// Shares of the core-time while training; they sum to 1.
    pub share_env: f64,
    /// Forward passes' share.
    pub share_forward: f64,
    /// Backward passes' share.
    pub share_backward: f64,
    /// Share of snapshots and updates of the store.
    pub share_update: f64,
    /// Idle share.
    pub share_waiting: f64,
}

/// One round of either kind.
struct Round {
    emulator_rate: f64,
    train_rate: f64,
    shares: Shares,
}

/// Measures `config.actors` actors for about `secs` in all: emulator and training in turn on the same environments.
pub fn bench<A: Action, F>(setup: &Setup, make_env: F, secs: f64, host: &dyn Host) -> Result<BenchRow, TrainError>
where
    F: Fn(usize) -> Result<BoxEnv<A>, EnvError> + Sync,
{
    let round = Duration::try_from_secs_f64(secs / (2 * ROUNDS) as f64).ok().filter(|round| !round.is_zero());
    let Some(round_duration) = round else {
        return Err(TrainError::Config(format!("secs is {secs}, but it must be a positive number of seconds")));
    };
    let actors = setup.config.actors;
    let shared = Shared::new(setup);
    let stats: Vec<ActorStats> = (0..actors).map(|_| ActorStats::default()).collect();
    let emulator_steps: Vec<AtomicU64> = (0..actors).map(|_| AtomicU64::new(0)).collect();
    // Every phase starts and ends for all at once; a failing actor sets `failed` and keeps the rhythm.
    let (barrier, phase_over, failed) = (Barrier::new(actors + 1), AtomicBool::new(false), AtomicBool::new(false));
    let rounds = Granted::default();
    let body = |actor: usize, _: &_| {
        let fail = |source| TrainError::Env { actor, step: 0, source };
        shared.cores.keep(actor);
        let mut rng = setup.actor_rng(0, actor);
        let method = setup.config.method::<A>(&mut rng);
        let mut result = make_env(actor).map_err(fail).map(|env| {
            let timed = Switch { env, obs: Observations::new(setup.net.input(), 1), ended: true };
            let actor = Actor { actor, env: timed, method, rng: rng.clone(), stats: &stats[actor] };
            ActorLearner::new(setup, &shared, actor)
        });
        let mut played = 0;
        for phase in 0..2 * ROUNDS + 2 {
            barrier.wait();
            loop {
                let is_over = phase_over.load(Relaxed) || failed.load(Relaxed);
                let goes_on = match phase % 2 == 1 && setup.config.has_fixed_order() {
                    true => rounds.goes_on(actor, &mut played, is_over),
                    false => !is_over,
                };
                let (true, Ok(learner)) = (goes_on, &mut result) else { break };
                let step = if phase % 2 == 0 {
                    emulator_steps[actor].fetch_add(1, Relaxed);
                    learner.env_mut().random_step(A::random(setup.env.actions.size(), &mut rng)).map_err(fail)
                } else {
                    learner.segment(&mut |_| ()).map(|_| ())
                };
                if let Err(error) = step {
                    shared.order.leave();
                    result = Err(error);
                }
            }
            if result.is_err() {
                failed.store(true, Relaxed);
            }
            barrier.wait();
        }
        result.map(|_| ())
    };
    let phase = |duration: Duration| -> Reading {
        barrier.wait();
        let mut meter = Meter::start(Totals::of(&stats));
        let until = Instant::now() + duration;
        while Instant::now() < until && !failed.load(Relaxed) {
            std::thread::sleep(Duration::from_millis(20).min(until.saturating_duration_since(Instant::now())));
        }
        let reading = meter.read(Totals::of(&stats));
        phase_over.store(true, Relaxed);
        barrier.wait();
        phase_over.store(false, Relaxed);
        rounds.open();
        reading
    };
    let emulated = || emulator_steps.iter().map(|n| n.load(Relaxed)).sum::<u64>() as f64;
    let (rounds, interrupted, errors) = with_actors::<(), _>(actors, host, &failed, body, |messages| {
        let mut rounds = Vec::new();
        let mut interrupted = Ok(());
        for round in 0..=ROUNDS {
            let duration = if round == 0 { WARM_UP } else { round_duration };
            let before = emulated();
            let emulator = phase(duration);
            let emulator_rate = (emulated() - before) / emulator.wall.as_secs_f64();
            let training = phase(duration);
            let train_rate = training.totals.get(Stat::Steps) / training.wall.as_secs_f64();
            if round > 0 {
                rounds.push(Round { emulator_rate, train_rate, shares: training.shares });
            }
            if let Err(error) = host.check() {
                failed.store(true, Relaxed);
                interrupted = Err(TrainError::Host(error));
            }
        }
        let errors: Vec<_> =
            messages.iter().filter_map(|m| if let Message::Exit(r) = m { r.err() } else { None }).collect();
        (rounds, interrupted, errors)
    })?;
    interrupted?;
    match errors.into_iter().next() {
        Some(error) => Err(error),
        None => Ok(summarise(actors, &rounds)),
    }
}

fn summarise(actors: usize, rounds: &[Round]) -> BenchRow {
    let of = |value: fn(&Round) -> f64| median(rounds.iter().map(value).collect());
    BenchRow {
        actors,
        emulator_steps_per_sec: of(|r| r.emulator_rate),
        train_steps_per_sec: of(|r| r.train_rate),
        ratio: of(|r| r.train_rate / r.emulator_rate),
        share_env: of(|r| r.shares.env),
        share_forward: of(|r| r.shares.forward),
        share_backward: of(|r| r.shares.backward),
        share_update: of(|r| r.shares.update),
        share_waiting: of(|r| r.shares.waiting),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// An environment that random actions and a learner use in turn.
pub struct Switch<E> {
    env: E,
    obs: Observations,
    ended: bool,
}

impl<E> Switch<E> {
    fn random_step<A>(&mut self, action: A) -> Result<(), EnvError>
    where
        E: Env<A>,
    {
        if self.ended {
            self.env.reset(None, self.obs.get_mut(0))?;
        }
        let step = self.env.step(action, self.obs.get_mut(0))?;
        self.ended = step.end != End::No;
        Ok(())
    }
}

impl<A, E: Env<A>> Env<A> for Switch<E> {
    fn reset(&mut self, seed: Option<u64>, obs: ObsMut<'_>) -> Result<(), EnvError> {
        self.ended = false;
        self.env.reset(seed, obs)
    }

    fn step(&mut self, action: A, obs: ObsMut<'_>) -> Result<crate::env::Step, EnvError> {
        if self.ended {
            // Random play ended an episode in between: the learner's goes on in a new one.
            self.env.reset(None, self.obs.get_mut(0))?;
        }
        let step = self.env.step(action, obs)?;
        self.ended = step.end != End::No;
        Ok(step)
    }
}

/// Rounds of a fixed order that the actors may play: each waits for all others, so that all must play the same number.
#[derive(Debug, Default)]
struct Granted {
    rounds: AtomicU64,
    is_closed: AtomicBool,
}

impl Granted {
    /// True where `actor`, who has `played` so many rounds, is to play another: actor 0 decides for all.
    fn goes_on(&self, actor: usize, played: &mut u64, is_over: bool) -> bool {
        if actor == 0 {
            match is_over {
                true => self.is_closed.store(true, Release),
                false => _ = self.rounds.fetch_add(1, Release),
            }
        }
        while *played == self.rounds.load(Acquire) {
            if self.is_closed.load(Acquire) && *played == self.rounds.load(Acquire) {
                return false;
            }
            std::thread::yield_now();
        }
        *played += 1;
        true
    }

    /// Allows rounds again.
    fn open(&self) {
        self.is_closed.store(false, Release);
    }
}

/// Cost of the network alone to one thread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct NetworkCost {
    /// Median microseconds of one forward pass at batch 1, the conversion of the observation included.
    pub forward_us: f64,
    /// Median microseconds of one whole update: snapshot, backward of t_max steps, clipping, optimizer.
    pub update_us: f64,
}

/// Times the network of `setup` on random observations, one thread.
pub fn bench_network(setup: &Setup) -> NetworkCost {
    let Setup { config, net, isa, .. } = setup;
    let (shared, t_max) = (Shared::new(setup), config.segment_steps(&setup.env));
    let mut rng = ActorRng::seed_from_u64(config.seed);
    let mut copy = LocalCopy::new(net.layout().len(), false);
    let mut workspace = net.workspace(t_max);
    let (mut obs, mut tape) = (Observations::new(net.input(), t_max), net.tape(t_max));
    for t in 0..t_max {
        match obs.get_mut(t) {
            ObsMut::Image(bytes) => rng.fill(bytes),
            ObsMut::Vector(features) => features.fill_with(|| rng.random_range(-1.0..1.0)),
        }
    }
    shared.parameters.pull(&mut copy);
    let (mut forward, mut update) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        for t in 0..t_max {
            let start = Instant::now();
            net.forward(*isa, &copy.theta, (&obs, t), &mut tape, t);
            forward.push(start.elapsed().as_secs_f64() * 1e6);
            workspace.dy(t).iter_mut().zip(tape.y(t)).for_each(|(dy, y)| *dy = 0.1 * y);
        }
        let start = Instant::now();
        let d_theta = net.backward(*isa, &copy.theta, &obs, &tape, t_max, &mut workspace);
        let scale = clip_scale(d_theta.sum_of_squares(*isa).sqrt(), config.max_grad_norm);
        shared.parameters.push(0, d_theta, scale, 1e-6, &mut copy);
        update.push(start.elapsed().as_secs_f64() * 1e6);
    }
    NetworkCost { forward_us: median(forward), update_us: median(update) }
}
