//! Algorithms 1, S2 and S3 in one loop: what one actor-learner thread does.

mod learn;

use super::actor_state::{ActorState, Replay, Shelf};
use super::config::{Action, TrainConfig};
use super::cores::Cores;
use super::error::TrainError;
use super::normalise::{ObsNormaliser, RewardScaler, SharedMoments};
use super::order::{Order, OrderedTurn};
use super::record::{EpisodeReport, IncidentReport, ProgressReport, Report};
use super::setup::Setup;
use super::stats::{ActorStats, Stat, Totals};
use super::turns::SegmentMemory;
use crate::env::{End, Env, EnvSpec, ObsMut, Step};
use crate::kernel::Isa;
use crate::nn::{Network, Observations};
use crate::rl::{ActorRng, Algorithm};
use crate::shared::clock::{Clock, crossed};
use crate::shared::optimizer::SharedOptimizer;
use crate::shared::refreshes::Refreshes;
use crate::shared::store::Store;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use rand::RngExt;

/// Between two lines of a repeatable run's progress log: of T, because the clock on the wall does not repeat itself.
const LOG_INTERVAL_STEPS: u64 = 10_000;

/// What the actor-learners share. theta and g are Hogwild stores, without locks.
#[derive(Debug)]
pub struct Shared {
    /// theta
    pub theta: Store,
    /// theta_target, where the method bootstraps from it.
    pub theta_target: Option<Store>,
    /// The optimizer, with its statistics.
    pub optimizer: SharedOptimizer,
    /// T
    pub clock: Clock,
    /// Updates applied to theta so far.
    pub updates: AtomicU64,
    /// Times theta_target was refreshed.
    pub target_refreshes: Refreshes,
    /// Set when the actors shall end early.
    pub stop: AtomicBool,
    /// The cores that the actors run on.
    pub cores: Cores,
    /// Whose turn it is, and with what memory.
    pub order: Order,
    /// The actors as they were after their last segment.
    pub actors: Vec<Shelf>,
    /// What all have seen, where observations are normalised.
    pub observations: Option<SharedMoments>,
    /// What all have been paid, discounted, where rewards are scaled by it.
    pub returns: Option<SharedMoments>,
}

/// One actor-learner: its environment, and what it remembers from one segment to the next. `A` is the action.
pub struct ActorLearner<'a, A, E> {
    config: &'a TrainConfig,
    env_spec: &'a EnvSpec,
    net: &'a Network,
    isa: Isa,
    shared: &'a Shared,
    stats: &'a ActorStats,
    actor: usize,
    algo: Box<dyn Algorithm<A>>,
    env: E,
    rng: ActorRng,
    /// t_max: the longest segment.
    t_max: usize,
    /// a_t of the segment, and what came of it.
    actions: Vec<A>,
    steps: Vec<Step>,
    /// The seed with which the environment was reset at the segment's beginning, if it was.
    reset: Option<Option<u64>>,
    /// Makes of observations what the network sees, where that is something else.
    normaliser: Option<ObsNormaliser<'a>>,
    rewards: RewardScaler<'a>,
    /// The last observation of a segment, as it was, is the first of the next ...
    s_t: Observations,
    /// ... and so is the recurrent state before it; 0 where an episode begins.
    state: Vec<f32>,
    /// Sarsa's a': chosen for the bootstrap of one segment, taken first in the next.
    carried: Option<A>,
    /// Whether the actor is in an episode.
    started: bool,
    /// The last T that this actor was given, and whether theta_target is to be refreshed since.
    ticket: u64,
    refresh_target: bool,
    refused_in_a_row: u64,
}

/// How an actor is made.
pub struct Actor<'a, A, E> {
    /// Its number.
    pub actor: usize,
    /// Its environment.
    pub env: E,
    /// Its method.
    pub algo: Box<dyn Algorithm<A>>,
    /// Its random stream.
    pub rng: ActorRng,
    /// Where it sums up what it does.
    pub stats: &'a ActorStats,
}

impl<'a, A: Action, E: Env<A>> ActorLearner<'a, A, E> {
    /// An actor-learner that has not yet reset its environment. Allocates all it will ever need.
    pub fn new(setup: &'a Setup, shared: &'a Shared, actor: Actor<'a, A, E>) -> Self {
        let Setup { config, net, isa, env } = setup;
        let t_max = config.segment_steps(env);
        let before = shared.actors[actor.actor].get();
        let rewards = RewardScaler::new(config.gamma, before.rewards, shared.returns.as_ref());
        ActorLearner {
            config,
            env_spec: env,
            net,
            isa: *isa,
            shared,
            stats: actor.stats,
            actor: actor.actor,
            algo: actor.algo,
            env: actor.env,
            rng: actor.rng,
            t_max,
            actions: Vec::with_capacity(t_max),
            steps: Vec::with_capacity(t_max),
            reset: None,
            normaliser: shared
                .observations
                .as_ref()
                .zip(before.scale)
                .map(|(all, scale)| ObsNormaliser::new(all, scale)),
            rewards,
            carried: (!before.carried.is_empty()).then(|| A::read(&before.carried)),
            s_t: before.s_t,
            state: before.state,
            started: before.meta.started,
            ticket: before.meta.ticket,
            refresh_target: false,
            refused_in_a_row: before.meta.refused_in_a_row,
        }
    }

    /// Its environment.
    pub fn env_mut(&mut self) -> &mut E {
        &mut self.env
    }

    /// Learns until T > T_max or the run is stopped.
    pub fn run(&mut self, mut hear: impl FnMut(Report)) -> Result<(), TrainError> {
        self.go_on(&mut hear)?;
        while !self.is_over() && self.segment(&mut hear)? {} // until T > T_max
        Ok(())
    }

    fn is_over(&self) -> bool {
        let Shared { clock, stop, order, .. } = self.shared;
        order.rounds().is_none() && (clock.now() >= self.config.total_steps || stop.load(Relaxed))
    }

    /// Brings the environment of a resumed run to where it was. Where that fails, another episode begins.
    fn go_on(&mut self, hear: &mut impl FnMut(Report)) -> Result<(), TrainError> {
        let place = self.shared.actors[self.actor].get().meta.place;
        if place.is_nowhere() || (!self.started && place.needs_seed(self.env_spec)) {
            return Ok(());
        }
        let mut seen = Observations::new(self.net.input(), 1);
        let what = match place.replay::<A, E>(&mut self.env, &mut seen).map_err(|source| self.env_error(source))? {
            Replay::There if !self.started || seen == self.s_t => return Ok(()),
            Replay::There | Replay::Elsewhere => {
                "begins another episode: its environment is not deterministic, the same actions led elsewhere"
            }
            Replay::TooLong => "begins another episode: the one it was in is too long to be played again",
        };
        self.shared.actors[self.actor].update(|own| own.meta.place.forget());
        self.started = false;
        hear(self.incident(what.to_owned()));
        Ok(())
    }

    fn incident(&self, what: String) -> Report {
        Report::Incident(IncidentReport { steps: self.ticket, actor: self.actor, what })
    }

    /// One turn of the outer loop of Algorithms S2 and S3: at most t_max steps and one update. False if the run is over.
    pub fn segment(&mut self, hear: &mut impl FnMut(Report)) -> Result<bool, TrainError> {
        let shared = self.shared;
        let Some(mut turn) = shared.order.take(self.actor) else { return Ok(false) };
        let pulled_at = self.pull(&mut turn); // theta' <- theta
        let (memory, mut end) = (turn.memory(), End::No);
        self.begin(memory)?; // get state s_t
        while end == End::No && self.actions.len() < self.t_max {
            let t = self.actions.len(); // until terminal s_t or t - t_start = t_max
            let a = self.act(t, memory); // take action a_t
            let step = self.env.step(a, memory.obs.get_mut(t + 1)); // receive r_t and s_{t+1}
            let step = step.map_err(|source| self.env_error(source))?;
            self.actions.push(a);
            self.steps.push(step);
            self.observe(memory, t + 1);
            memory.rewards.push(self.learned(step.reward));
            end = step.end;
            if shared.order.rounds().is_none() {
                self.tick(); // T <- T + 1
            }
        }
        self.stats.timed(Stat::ForwardSecs, || self.bootstrap(end, memory)); // v <- 0 | max_a Q | Q(s, a') | V(s)
        if let Some(turn) = turn.fixed() {
            if !turn.in_order() {
                return Ok(false);
            }
            (0..self.actions.len()).for_each(|_| self.tick());
        }
        let memory = turn.memory();
        self.learn(pulled_at, memory, hear)?; // d_theta, and the asynchronous update of theta with it
        if let (true, Some(theta_target)) = (std::mem::take(&mut self.refresh_target), &shared.theta_target) {
            theta_target.copy_from(self.isa, &shared.theta); // theta_target <- theta
            shared.target_refreshes.publish();
        }
        self.started = end == End::No;
        memory.tape.state_into(self.actions.len(), &mut self.state);
        self.hand_over(memory);
        self.report(hear);
        self.shelve();
        self.end(turn, hear);
        Ok(true)
    }

    /// T <- T + 1
    fn tick(&mut self) {
        self.ticket = self.shared.clock.tick();
        self.refresh_target |= crossed(self.ticket, self.config.target_interval_steps);
    }

    /// T as this segment knows it, `t` steps after its beginning.
    fn now(&self, memory: &SegmentMemory, t: usize) -> u64 {
        match self.shared.order {
            Order::Arrival(_) => self.shared.clock.now(),
            Order::Fixed(_) => memory.began_at + t as u64,
        }
    }

    /// Makes theta' a copy of theta, unless the update before has just done so; returns the number of updates in it.
    fn pull(&mut self, turn: &mut OrderedTurn<'_>) -> u64 {
        let is_stale = turn.fixed().is_some_and(|turn| turn.is_first());
        let memory = turn.memory();
        let updates = match memory.read_at {
            Some(read_at) if !is_stale => read_at,
            _ => {
                let updates = self.shared.updates.load(Relaxed);
                self.stats.timed(Stat::UpdateSecs, || self.shared.theta.read_into(self.isa, &mut memory.theta));
                self.hand_over(memory);
                updates
            }
        };
        memory.read_at = None;
        if let Some(turn) = turn.fixed() {
            turn.begun();
        }
        updates
    }

    /// Leaves in `memory` what the next segment there begins with, besides theta'.
    fn hand_over(&self, memory: &mut SegmentMemory) {
        memory.began_at = self.shared.clock.now();
        if let (Some(target), Some(theta_target)) = (&mut memory.target, &self.shared.theta_target) {
            target.refresh(self.isa, theta_target, self.shared.target_refreshes.seen());
        }
    }

    /// Puts s_t and the recurrent state into slot 0: where the last segment ended, or a new episode begins. That a lost life ends
    /// the episode for learning holds here too: the network forgets.
    fn begin(&mut self, memory: &mut SegmentMemory) -> Result<(), TrainError> {
        self.actions.clear();
        self.steps.clear();
        self.reset = None;
        memory.rewards.clear();
        if self.started {
            memory.obs.copy(0, &self.s_t, 0);
            self.normalise(memory, 0);
            memory.tape.set_state(0, &self.state);
            return Ok(());
        }
        self.state.fill(0.0);
        memory.tape.set_state(0, &self.state);
        let needs_seed = self.shared.actors[self.actor].update(|own| own.meta.place.needs_seed(self.env_spec));
        let seed = needs_seed.then(|| u64::from(self.rng.random::<u32>() >> 1)); // from the actor's own stream
        self.reset = Some(seed);
        self.carried = None;
        self.rewards.reset();
        let reset = self.env.reset(seed, memory.obs.get_mut(0));
        reset.map_err(|source| self.env_error(source))?;
        self.observe(memory, 0);
        Ok(())
    }

    /// Tells of the whole episodes that ended in the segment.
    fn report(&self, hear: &mut impl FnMut(Report)) {
        for episode in self.steps.iter().filter_map(|step| step.episode) {
            let (steps, actor, explore_eps) = (self.ticket, self.actor, self.algo.explore_eps(self.ticket));
            hear(Report::Episode(EpisodeReport { steps, actor, explore_eps, episode }));
        }
    }

    /// Puts down for a checkpoint what this actor now is.
    fn shelve(&mut self) {
        let Self { actions, steps, reset, carried, rng, started, ticket, refused_in_a_row, .. } = self;
        self.shared.actors[self.actor].update(|own| {
            let ActorState { meta, .. } = &mut *own;
            reset.iter().for_each(|seed| meta.place.reset(*seed, self.env_spec));
            actions.iter().zip(&*steps).for_each(|(action, step)| meta.place.step(*action, step));
            meta.steps += steps.len() as u64;
            meta.episodes += steps.iter().filter(|step| step.episode.is_some()).count() as u64;
            (meta.rng, meta.ticket) = (Some(rng.clone()), *ticket);
            (meta.started, meta.refused_in_a_row) = (*started, *refused_in_a_row);
            own.state.copy_from_slice(&self.state);
            own.carried.clear();
            if let Some(carried) = carried {
                own.carried.resize(own.action_width(), 0.0);
                carried.write(&mut own.carried);
            }
            own.rewards = self.rewards.state();
            if let (Some(scale), Some(normaliser)) = (&mut own.scale, &self.normaliser) {
                scale.copy(normaliser.scale());
            }
            own.s_t.copy(0, &self.s_t, 0);
            own.sums = self.stats.sums();
        });
    }

    /// Ends the turn. After a round it is seen whether the log is due, and the run over.
    fn end(&self, turn: OrderedTurn<'_>, hear: &mut impl FnMut(Report)) {
        let (Shared { clock, stop, order, actors, updates, .. }, steps) = (self.shared, self.shared.clock.now());
        let is_last = turn.fixed().is_some_and(|turn| turn.is_last());
        if is_last && order.rounds().is_some_and(|rounds| rounds.log_is_due(steps, LOG_INTERVAL_STEPS)) {
            let sums = Totals::sum(actors.iter().map(|actor| actor.update(|own| own.sums)));
            hear(Report::Progress(ProgressReport { steps, updates: updates.load(Relaxed), sums }));
        }
        turn.end(is_last && (clock.now() >= self.config.total_steps || stop.load(Relaxed)));
    }

    /// Keeps what the environment has put into `slot`, in case a segment begins with it, and makes of it what the network sees.
    fn observe(&mut self, memory: &mut SegmentMemory, slot: usize) {
        if slot == self.t_max {
            self.s_t.copy(0, &memory.obs, slot);
        }
        if let (Some(normaliser), ObsMut::Vector(x)) = (&mut self.normaliser, memory.obs.get_mut(slot)) {
            normaliser.note(x);
        }
        self.normalise(memory, slot);
    }

    fn normalise(&self, memory: &mut SegmentMemory, slot: usize) {
        if let (Some(normaliser), ObsMut::Vector(x)) = (&self.normaliser, memory.obs.get_mut(slot)) {
            normaliser.apply(x);
        }
    }

    fn env_error(&self, source: crate::env::EnvError) -> TrainError {
        let steps = self.shared.actors[self.actor].update(|own| own.meta.steps);
        TrainError::Env { actor: self.actor, step: steps + self.steps.len() as u64, source }
    }

    /// The action in slot `t`, from `y` under theta'.
    fn act(&mut self, t: usize, memory: &mut SegmentMemory) -> A {
        let now = self.now(memory, t);
        let SegmentMemory { theta, obs, tape, .. } = memory;
        self.stats.timed(Stat::ForwardSecs, || self.net.forward(self.isa, theta, (obs, t), tape, t));
        match self.carried.take() {
            Some(a) => a,
            None => self.algo.act(tape.y(t), now, &mut self.rng),
        }
    }

    /// The reward as it is learned from.
    fn learned(&mut self, reward: f32) -> f32 {
        let reward = self.rewards.scaled(reward);
        match self.config.reward_clip {
            0.0 => reward,
            limit => reward.clamp(-limit, limit),
        }
    }
}
