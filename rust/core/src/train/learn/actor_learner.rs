//! Algorithms 1, S2 and S3 in one loop, [`ActorLearner::segment`]: one actor-learner thread.

use super::actor_state::ActorState;
use super::normalise::ObsNormaliser;
use super::place::{Played, Replay};
use super::rewards::RewardScaler;
use super::segment::Segment;
use super::shared::Shared;
use crate::env::{End, Env, EnvError, ObsMut};
use crate::nn::Observations;
use crate::rl::{Action, ActorRng, Method};
use crate::sync::atomic::Ordering::Relaxed;
use crate::train::error::TrainError;
use crate::train::log::{ActorStats, EpisodeReport, IncidentReport, ProgressReport, Report, Stat, Totals};
use crate::train::setup::Setup;
use crate::train::turns::{Pace, Ticker, Turn};
use rand::RngExt;

/// One actor-learner: its environment, and what it keeps from one segment to the next. `A` is the action.
pub struct ActorLearner<'a, A, E> {
    pub(super) setup: &'a Setup,
    pub(super) shared: &'a Shared,
    pub(super) stats: &'a ActorStats,
    pub(super) actor: usize,
    pub(super) method: Box<dyn Method<A>>,
    env: E,
    pub(super) rng: ActorRng,
    /// Normalisation of observations that are vectors, where they are normalised.
    pub(super) normaliser: Option<ObsNormaliser<'a>>,
    pub(super) rewards: RewardScaler<'a>,
    /// Last observation of a segment as the environment gave it: the first of the next.
    s_t: Observations,
    /// Recurrent state before it; 0 where an episode begins.
    pub(super) state: Vec<f32>,
    /// Sarsa's a': chosen for the bootstrap of one segment, taken first in the next.
    pub(super) carried: Option<A>,
    /// True in the midst of an episode.
    started: bool,
    pub(super) ticker: Ticker<'a>,
    pub(super) refused_in_a_row: u64,
}

/// Parts of which an actor-learner is made.
pub struct Actor<'a, A, E> {
    /// Number of the actor.
    pub actor: usize,
    /// The environment.
    pub env: E,
    /// Method with the run's settings.
    pub method: Box<dyn Method<A>>,
    /// Random stream.
    pub rng: ActorRng,
    /// Sums for the log.
    pub stats: &'a ActorStats,
}

impl<'a, A: Action, E: Env<A>> ActorLearner<'a, A, E> {
    /// An actor-learner that has not yet reset its environment. Allocates all it will ever need.
    pub fn new(setup: &'a Setup, shared: &'a Shared, actor: Actor<'a, A, E>) -> Self {
        let config = &setup.config;
        let before = shared.actors[actor.actor].get();
        let scale = shared.observations.as_ref().zip(before.scale);
        ActorLearner {
            setup,
            shared,
            stats: actor.stats,
            actor: actor.actor,
            method: actor.method,
            env: actor.env,
            rng: actor.rng,
            normaliser: scale.map(|(all, scale)| ObsNormaliser::new(all, scale)),
            rewards: RewardScaler::new(config.gamma, config.reward_clip, before.rewards, shared.returns.as_ref()),
            carried: (!before.carried.is_empty()).then(|| A::read(&before.carried)),
            s_t: before.s_t,
            state: before.state,
            started: before.meta.started,
            ticker: Ticker::new(&*shared.parameters, config.target_interval_steps, before.meta.ticket),
            refused_in_a_row: before.meta.refused_in_a_row,
        }
    }

    /// The environment.
    pub fn env_mut(&mut self) -> &mut E {
        &mut self.env
    }

    /// Learns until T > T_max or the run is stopped.
    pub fn run(&mut self, mut hear: impl FnMut(Report)) -> Result<(), TrainError> {
        self.go_on(&mut hear)?;
        while !(self.shared.order.ends_anywhere() && self.is_over()) && self.segment(&mut hear)? {} // until T > T_max
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.shared.parameters.now() >= self.setup.config.total_steps || self.shared.stop.load(Relaxed)
    }

    /// One turn of the outer loop of Algorithms S2 and S3: at most t_max steps and an update. False if the run is over.
    pub fn segment(&mut self, hear: &mut impl FnMut(Report)) -> Result<bool, TrainError> {
        let Some(mut turn) = self.shared.order.take(self.actor) else { return Ok(false) };
        let (s, mut pace) = turn.parts();
        self.pull(s, &pace); //                     theta' <- theta
        self.begin(s)?; //                          get state s_t
        while s.rollout.goes_on() {
            let a = self.act(s, &pace); //          take action a_t according to pi(a_t | s_t; theta')
            self.step(s, a)?; //                    receive r_t and s_{t+1}
            pace.tick(&mut self.ticker); //         T <- T + 1
        } //                                        until terminal s_t or t - t_start = t_max
        self.bootstrap(s, &pace); //                R <- 0 | max_a Q(s_t, a) | Q(s_t, a') | V(s_t)
        if !pace.wait(&mut self.ticker) {
            return Ok(false);
        }
        self.report(s, hear);
        self.shelve(s);
        self.learn(s, hear)?; //                    R <- r_i + gamma R; accumulate d_theta; update theta with it
        self.refresh_target(s); //                  theta_target <- theta if T mod I_target = 0
        self.shelve_learned();
        self.end(turn, hear);
        Ok(true)
    }

    /// Brings the environment of a resumed run to where it was. Where that fails, another episode begins.
    fn go_on(&mut self, hear: &mut impl FnMut(Report)) -> Result<(), TrainError> {
        let place = self.shared.actors[self.actor].get().meta.place;
        if place.is_nowhere() || (!self.started && place.needs_seed(&self.setup.env, Played::default())) {
            return Ok(());
        }
        let mut seen = Observations::new(self.setup.net.input(), 1);
        let replayed = place.replay::<A, E>(&mut self.env, &mut seen);
        let what = match replayed.map_err(|source| self.env_error(source, 0))? {
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

    pub(super) fn incident(&self, what: String) -> Report {
        Report::Incident(IncidentReport { steps: self.ticker.ticket, actor: self.actor, what })
    }

    /// `theta' <- theta`, unless the update before has just done so.
    fn pull(&mut self, s: &mut Segment, pace: &Pace<'_, Segment>) {
        if pace.is_first() {
            s.copy.forget();
        }
        match s.copy.is_fresh() {
            true => self.shared.parameters.pull(&mut s.copy),
            false => self.stats.timed(Stat::UpdateSecs, || self.shared.parameters.pull(&mut s.copy)),
        }
        pace.begun();
    }

    /// Puts s_t and the recurrent state into slot 0: where the last segment ended, or where a new episode begins.
    fn begin(&mut self, s: &mut Segment) -> Result<(), TrainError> {
        s.rollout.clear();
        s.rollout.v_next.fill(0.0); // v_n = 0 where s_n is terminal
        if !self.started {
            return self.begin_episode(s);
        }
        s.rollout.steps.obs.copy(0, &self.s_t, 0);
        self.normalise(s, 0);
        s.restart(&self.state);
        Ok(())
    }

    /// Puts the first observation of an episode into the slot of the next step. A lost life that ends the episode for learning does
    /// so here too: the network forgets.
    fn begin_episode(&mut self, s: &mut Segment) -> Result<(), TrainError> {
        self.state.fill(0.0);
        s.restart(&self.state);
        let resets = &s.rollout.resets;
        let reseeded = resets.iter().rev().find(|(_, seed)| seed.is_some()).map(|(t, _)| *t);
        let played = Played {
            steps: (s.len() - reseeded.unwrap_or(0)) as u64,
            is_reseeded: reseeded.is_some(),
            is_over: s.rollout.results.last().map(|step| step.episode.is_some()),
        };
        let shelf = &self.shared.actors[self.actor];
        let needs_seed = shelf.update(|own| own.meta.place.needs_seed(&self.setup.env, played));
        let seed = needs_seed.then(|| u64::from(self.rng.random::<u32>() >> 1)); // from the actor's own stream
        let slot = s.len();
        s.rollout.resets.push((slot, seed));
        self.carried = None;
        self.rewards.reset();
        let reset = self.env.reset(seed, s.rollout.steps.obs.get_mut(slot));
        reset.map_err(|source| self.env_error(source, slot))?;
        self.observe(s, slot);
        Ok(())
    }

    /// Takes action a_t from `y` under theta'.
    fn act(&mut self, s: &mut Segment, pace: &Pace<'_, Segment>) -> A {
        let (t, now) = (s.len(), pace.now(&*self.shared.parameters, s.copy.began_at));
        let Segment { copy, rollout, tape, slot, .. } = s;
        rollout.keep_state(t, tape, *slot);
        let Setup { net, isa, .. } = self.setup;
        self.stats.timed(Stat::ForwardSecs, || {
            net.forward(*isa, &copy.theta, (&rollout.steps.obs, t), tape, *slot);
        });
        let a = match self.carried.take() {
            Some(a) => a,
            None => self.method.act(tape.y(*slot), now, &mut self.rng),
        };
        rollout.steps.act(t, a, tape.y(*slot));
        s.advance(&mut self.state);
        a
    }

    /// Receives r_t and s_{t+1}; where a segment goes on across episodes, the latter is the first of the next.
    fn step(&mut self, s: &mut Segment, a: A) -> Result<(), TrainError> {
        let next = s.len() + 1;
        let obs = s.rollout.steps.obs.get_mut(next);
        let step = self.env.step(a, obs).map_err(|source| self.env_error(source, s.len()))?;
        self.observe(s, next);
        self.rewards.push(step, &mut s.rollout);
        if s.rollout.crosses() {
            if step.end == End::Truncated {
                s.rollout.v_next[next - 1] = self.value_of_last(s);
            }
            self.begin_episode(s)?;
        }
        Ok(())
    }

    /// Keeps the observation that the environment has put into `slot`, in case a segment begins with it, and normalises it.
    fn observe(&mut self, s: &mut Segment, slot: usize) {
        if slot == s.rollout.t_max() {
            self.s_t.copy(0, &s.rollout.steps.obs, slot);
        }
        if let (Some(normaliser), ObsMut::Vector(x)) = (&mut self.normaliser, s.rollout.steps.obs.get_mut(slot)) {
            normaliser.note(x);
        }
        self.normalise(s, slot);
    }

    fn normalise(&self, s: &mut Segment, slot: usize) {
        if let (Some(normaliser), ObsMut::Vector(x)) = (&self.normaliser, s.rollout.steps.obs.get_mut(slot)) {
            normaliser.apply(x);
        }
    }

    /// `theta_target <- theta` if T crossed a multiple of I_target, then makes the copy ready for the segment after this one.
    fn refresh_target(&mut self, s: &mut Segment) {
        if self.ticker.take_refresh() {
            self.shared.parameters.refresh_target();
        }
        self.shared.parameters.prepare(&mut s.copy);
    }

    /// Reports the whole episodes that ended in the segment.
    fn report(&self, s: &Segment, hear: &mut impl FnMut(Report)) {
        for episode in s.rollout.results.iter().filter_map(|step| step.episode) {
            let steps = self.ticker.ticket;
            let (actor, explore_eps) = (self.actor, self.method.explore_eps(steps));
            hear(Report::Episode(EpisodeReport { steps, actor, explore_eps, episode }));
        }
    }

    /// Keeps what the next segment begins with, and writes the actor's state to its shelf, where a checkpoint finds it.
    fn shelve(&mut self, s: &Segment) {
        self.started = s.rollout.end() == End::No;
        s.tape.state_into(s.slot, &mut self.state);
        self.shared.actors[self.actor].update(|own| {
            let ActorState { meta, .. } = &mut *own;
            let mut resets = s.rollout.resets.iter().peekable();
            for (t, step) in s.rollout.results.iter().enumerate() {
                if let Some((_, seed)) = resets.next_if(|(before, _)| *before == t) {
                    meta.place.reset(*seed, &self.setup.env);
                }
                meta.place.step(s.rollout.steps.action_row(t), step);
            }
            meta.steps += s.len() as u64;
            meta.episodes += s.rollout.results.iter().filter(|step| step.episode.is_some()).count() as u64;
            (meta.ticket, meta.started) = (self.ticker.ticket, self.started);
            own.state.copy_from_slice(&self.state);
            own.carried.clear();
            if let Some(carried) = &self.carried {
                own.carried.resize(own.action_width(), 0.0);
                carried.write(&mut own.carried);
            }
            own.s_t.copy(0, &self.s_t, 0);
            self.shelve_numbers(own);
        });
    }

    /// Writes to the shelf what learning has changed.
    fn shelve_learned(&self) {
        self.shared.actors[self.actor].update(|own| self.shelve_numbers(own));
    }

    fn shelve_numbers(&self, own: &mut ActorState) {
        own.meta.rng = Some(self.rng.clone());
        own.meta.refused_in_a_row = self.refused_in_a_row;
        own.rewards = self.rewards.state();
        if let (Some(scale), Some(normaliser)) = (&mut own.scale, &self.normaliser) {
            scale.copy(normaliser.scale());
        }
        own.sums = self.stats.sums();
    }

    /// Ends the turn, and logs progress where a repeatable run is due to.
    fn end(&self, turn: Turn<'_, Segment>, hear: &mut impl FnMut(Report)) {
        let (Shared { parameters, actors, .. }, steps) = (self.shared, self.shared.parameters.now());
        if turn.log_is_due(steps) {
            let sums = Totals::sum(actors.iter().map(|actor| actor.update(|own| own.sums)));
            hear(Report::Progress(ProgressReport { steps, updates: parameters.updates(), sums }));
        }
        turn.end(self.is_over());
    }

    /// An error of the environment, `t` steps into a segment.
    fn env_error(&self, source: EnvError, t: usize) -> TrainError {
        let steps = self.shared.actors[self.actor].update(|own| own.meta.steps);
        TrainError::Env { actor: self.actor, step: steps + t as u64, source }
    }
}
