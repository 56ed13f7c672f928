//! Algorithms 1, S2 and S3 in one loop: what one actor-learner thread does.

use super::config::{TMax, TrainConfig};
use super::cores::Cores;
use super::error::TrainError;
use super::normalise::{ObsNormaliser, RewardScaler, SharedMoments};
use super::schedule::annealed_lr;
use super::setup::Setup;
use super::stats::{ActorStats, Stat};
use super::turns::{SegmentMemory, Turns};
use crate::env::{End, Env, Episode, ObsMut};
use crate::kernel::Isa;
use crate::nn::{Network, Observations};
use crate::rl::returns::lambda_returns;
use crate::rl::{ActorRng, Algorithm, Bootstrap, Loss};
use crate::shared::clock::{Clock, crossed};
use crate::shared::optimizer::{SharedOptimizer, clip_scale};
use crate::shared::store::Store;
use rand::RngExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// So many updates in a row may be refused before the actor gives the run up.
const MAX_REFUSED_IN_A_ROW: u64 = 100;

/// What the actor-learners share. No locks: theta and g are Hogwild stores, the rest are counters.
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
    pub target_refreshes: AtomicU64,
    /// Set when the actors shall end early.
    pub stop: AtomicBool,
    /// The cores that the actors run on.
    pub cores: Cores,
    /// The memory of segments, which actors take turns with: actor `i` with those of group `i % len`.
    pub turns: Vec<Turns>,
    /// What all have seen, where observations are normalised.
    pub observations: Option<SharedMoments>,
    /// What all have been paid, discounted, where rewards are scaled by it.
    pub returns: Option<SharedMoments>,
}

/// What an actor reports of a whole episode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpisodeReport {
    /// T when it ended.
    pub steps: u64,
    /// Who played it.
    pub actor: usize,
    /// Its probability of a random action then, where the method explores so.
    pub explore_eps: Option<f32>,
    /// Return and length.
    pub episode: Episode,
}

/// One actor-learner: its environment, and what it remembers from one segment to the next. `A` is the action.
pub struct ActorLearner<'a, A, E> {
    config: &'a TrainConfig,
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
    /// a_t of the segment.
    actions: Vec<A>,
    /// Makes of observations what the network sees, where that is something else.
    normaliser: Option<ObsNormaliser<'a>>,
    rewards: RewardScaler<'a>,
    /// The last observation of a segment, as it was, is the first of the next ...
    s_t: Observations,
    /// ... and so is the recurrent state before it; 0 where an episode begins.
    state: Vec<f32>,
    /// Sarsa's a': chosen for the bootstrap of one segment, taken first in the next.
    carried: Option<A>,
    /// Whether `s_t` is in an episode.
    started: bool,
    steps: u64,
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

impl<'a, A: Copy, E: Env<A>> ActorLearner<'a, A, E> {
    /// An actor-learner that has not yet reset its environment. Allocates all it will ever need.
    pub fn new(setup: &'a Setup, shared: &'a Shared, actor: Actor<'a, A, E>) -> Self {
        let Setup { config, net, isa, env } = setup;
        let t_max = config.segment_steps(env);
        ActorLearner {
            config,
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
            normaliser: shared.observations.as_ref().map(ObsNormaliser::new),
            rewards: RewardScaler::new(config.reward_scale, config.gamma, shared.returns.as_ref()),
            s_t: Observations::new(net.input(), 1),
            state: vec![0.0; net.state_len()],
            carried: None,
            started: false,
            steps: 0,
            refused_in_a_row: 0,
        }
    }

    /// Its environment.
    pub fn env_mut(&mut self) -> &mut E {
        &mut self.env
    }

    /// Learns until T > T_max or the run is stopped. `on_episode` is told of every whole episode.
    pub fn run(&mut self, mut on_episode: impl FnMut(EpisodeReport)) -> Result<(), TrainError> {
        while self.shared.clock.now() < self.config.total_steps && !self.shared.stop.load(Relaxed) {
            self.segment(&mut on_episode)?; // until T > T_max
        }
        Ok(())
    }

    /// One turn of the outer loop of Algorithms S2 and S3: at most t_max steps and one update.
    pub fn segment(&mut self, on_episode: &mut impl FnMut(EpisodeReport)) -> Result<(), TrainError> {
        let shared = self.shared;
        let mut turn = shared.turns[self.actor % shared.turns.len()].take();
        let memory = turn.memory();
        let pulled_at = self.pull(memory); // theta' <- theta
        self.begin(memory)?; // get state s_t
        let (mut end, mut refresh_target) = (End::No, false);
        while end == End::No && self.actions.len() < self.t_max {
            let t = self.actions.len(); // until terminal s_t or t - t_start = t_max
            let a = self.act(t, memory); // take action a_t
            let step = self.env.step(a, memory.obs.get_mut(t + 1)); // receive r_t and s_{t+1}
            let step = step.map_err(|source| self.env_error(source))?;
            self.steps += 1;
            self.actions.push(a);
            self.observe(memory, t + 1);
            memory.rewards.push(self.learned(step.reward));
            end = step.end;
            let ticket = shared.clock.tick(); // T <- T + 1
            refresh_target |= crossed(ticket, self.config.target_interval_steps);
            if let Some(episode) = step.episode {
                let explore_eps = self.algo.explore_eps(ticket);
                on_episode(EpisodeReport { steps: ticket, actor: self.actor, explore_eps, episode });
            }
        }
        self.stats.timed(Stat::ForwardSecs, || self.bootstrap(end, memory)); // v <- 0 | max_a Q | Q(s, a') | V(s)
        self.learn(pulled_at, memory)?; // d_theta, and the asynchronous update of theta with it
        if let (true, Some(theta_target)) = (refresh_target, &shared.theta_target) {
            theta_target.copy_from(self.isa, &shared.theta); // theta_target <- theta
            shared.target_refreshes.fetch_add(1, Relaxed);
        }
        self.started = end == End::No;
        memory.tape.state_into(self.actions.len(), &mut self.state);
        Ok(())
    }

    /// Makes theta' a copy of theta, unless the update before has just done so; returns the number of updates in it.
    fn pull(&mut self, memory: &mut SegmentMemory) -> u64 {
        if let Some(read_at) = memory.read_at.take() {
            return read_at;
        }
        let updates = self.shared.updates.load(Relaxed);
        self.stats.timed(Stat::UpdateSecs, || self.shared.theta.read_into(self.isa, &mut memory.theta));
        updates
    }

    /// Puts s_t and the recurrent state into slot 0: where the last segment ended, or a new episode begins. That a lost life ends
    /// the episode for learning holds here too: the network forgets.
    fn begin(&mut self, memory: &mut SegmentMemory) -> Result<(), TrainError> {
        self.actions.clear();
        memory.rewards.clear();
        if self.started {
            memory.obs.copy(0, &self.s_t, 0);
            self.normalise(memory, 0);
            memory.tape.set_state(0, &self.state);
            return Ok(());
        }
        self.state.fill(0.0);
        memory.tape.set_state(0, &self.state);
        // The environment is seeded once, by the actor's own stream; later episodes continue it.
        let seed = (self.steps == 0).then(|| u64::from(self.rng.random::<u32>() >> 1));
        self.carried = None;
        self.rewards.reset();
        let reset = self.env.reset(seed, memory.obs.get_mut(0));
        reset.map_err(|source| self.env_error(source))?;
        self.observe(memory, 0);
        Ok(())
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
        TrainError::Env { actor: self.actor, step: self.steps, source }
    }

    /// The action in slot `t`, from `y` under theta'.
    fn act(&mut self, t: usize, memory: &mut SegmentMemory) -> A {
        let SegmentMemory { theta, obs, tape, .. } = memory;
        self.stats.timed(Stat::ForwardSecs, || self.net.forward(self.isa, theta, (obs, t), tape, t));
        match self.carried.take() {
            Some(a) => a,
            None => self.algo.act(tape.y(t), self.shared.clock.now(), &mut self.rng),
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

    /// Fills `v_next`: the value of the state after each step, where the method looks at it.
    fn bootstrap(&mut self, end: End, memory: &mut SegmentMemory) {
        let SegmentMemory { theta, obs, tape, target, v_next, .. } = memory;
        let (n, net, isa, shared) = (self.actions.len(), self.net, self.isa, self.shared);
        v_next[..n].fill(0.0); // v_n = 0 where s_n is terminal
        // Section 9: a whole episode is learned from without bootstrapping, whatever ended it.
        let is_end = end == End::Terminal || self.config.t_max != TMax::Steps(self.t_max);
        let last = if is_end { n - 1 } else { n };
        if last == n && (self.algo.follows_policy() || self.algo.bootstrap() == Bootstrap::Local) {
            net.forward(isa, theta, (obs, n), tape, n);
        }
        if last == n && self.algo.follows_policy() {
            self.carried = Some(self.algo.act(tape.y(n), shared.clock.now(), &mut self.rng));
        }
        if let (Some(target), Some(theta_target)) = (target.as_mut(), &shared.theta_target) {
            target.refresh(isa, theta_target, shared.target_refreshes.load(Relaxed));
        }
        // With lambda = 1 only v_n counts.
        let first = if self.algo.lambda() == 1.0 { n - 1 } else { 0 };
        for t in first..last {
            let next = self.actions.get(t + 1).copied().or(self.carried);
            v_next[t] = match (target.as_mut(), self.algo.bootstrap()) {
                (Some(target), Bootstrap::Target) => {
                    tape.state_into(t + 1, &mut self.state);
                    self.algo.value(target.y(isa, net, (&*obs, t + 1), &self.state, t - first), next)
                }
                _ => self.algo.value(tape.y(t + 1), next),
            };
        }
    }

    /// The segment's gradient, and the asynchronous update with it.
    fn learn(&mut self, pulled_at: u64, memory: &mut SegmentMemory) -> Result<(), TrainError> {
        let SegmentMemory { theta, read_at, obs, tape, workspace, rewards, v_next, g, .. } = memory;
        let (n, config, stats, shared) = (self.actions.len(), self.config, self.stats, self.shared);
        let g = &mut g[..n];
        lambda_returns(rewards, &v_next[..n], config.gamma, self.algo.lambda(), g); // R <- r_i + gamma R
        let mut sum = Loss::default();
        for t in 0..n {
            let loss = self.algo.grad(tape.y(t), self.actions[t], g[t], workspace.dy(t));
            sum = Loss {
                policy: sum.policy + f64::from(loss.policy),
                value: sum.value + f64::from(loss.value),
                entropy: sum.entropy + f64::from(loss.entropy),
            };
        }
        let (d_theta, norm) = stats.timed(Stat::BackwardSecs, || {
            let d_theta = self.net.backward(self.isa, theta, obs, tape, n, workspace);
            (d_theta, d_theta.sum_of_squares(self.isa).sqrt())
        });
        if !norm.is_finite() {
            return self.refuse();
        }
        self.refused_in_a_row = 0;
        let scale = clip_scale(norm, config.max_grad_norm);
        let lr = annealed_lr(config.lr, shared.clock.now(), config.total_steps);
        stats.timed(Stat::UpdateSecs, || {
            shared.optimizer.apply_and_read(self.isa, self.actor, &shared.theta, d_theta, scale, lr, theta)
        });
        let updates = shared.updates.fetch_add(1, Relaxed);
        *read_at = Some(updates + 1);
        self.normaliser.iter_mut().for_each(ObsNormaliser::merge);
        self.rewards.merge();
        let updates_by_others = updates.saturating_sub(pulled_at);
        stats.add(Stat::Steps, n as f64);
        stats.add(Stat::Entropy, sum.entropy);
        stats.add(Stat::PolicyLoss, sum.policy);
        stats.add(Stat::ValueLoss, sum.value);
        stats.add(Stat::Updates, 1.0);
        stats.add(Stat::Staleness, updates_by_others as f64);
        stats.add(Stat::GradNorm, norm);
        stats.add(Stat::ClippedUpdates, if scale < 1.0 { 1.0 } else { 0.0 });
        Ok(())
    }

    /// A gradient that is not finite would poison theta for every actor: it is counted and dropped.
    fn refuse(&mut self) -> Result<(), TrainError> {
        self.stats.add(Stat::RefusedUpdates, 1.0);
        self.refused_in_a_row += 1;
        if self.refused_in_a_row < MAX_REFUSED_IN_A_ROW {
            return Ok(());
        }
        Err(TrainError::Diverged { actor: self.actor, refused: self.refused_in_a_row, lr: self.config.lr })
    }
}
