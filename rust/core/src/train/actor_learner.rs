//! Algorithms 1, S2 and S3 in one loop: what one actor-learner thread does.

use super::config::TrainConfig;
use super::error::TrainError;
use super::schedule::annealed_lr;
use super::stats::{ActorStats, Stat};
use crate::env::{End, Env, Episode};
use crate::kernel::activation::sum_of_squares;
use crate::kernel::{Isa, buffer::Buffer};
use crate::nn::{Network, Observations, Tape, Workspace};
use crate::rl::returns::lambda_returns;
use crate::rl::{ActorRng, Algorithm, Bootstrap, Loss};
use crate::shared::clock::{Clock, crossed};
use crate::shared::optimizer::{LocalState, SharedOptimizer, clip_scale};
use crate::shared::store::Store;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, TryLockError};

/// So many updates in a row may be refused before the actor gives the run up.
const MAX_REFUSED_IN_A_ROW: u64 = 100;

/// What the actor-learners share. No locks: theta and g are Hogwild stores, the rest are counters.
#[derive(Debug)]
pub struct Shared {
    /// theta
    pub theta: Store,
    /// theta_target, where the method bootstraps from it.
    pub theta_target: Option<Store>,
    /// The optimizer, with g if that is shared.
    pub optimizer: SharedOptimizer,
    /// T
    pub clock: Clock,
    /// Updates applied to theta so far.
    pub updates: AtomicU64,
    /// Times theta_target was refreshed.
    pub target_refreshes: AtomicU64,
    /// Set when the actors shall end early.
    pub stop: AtomicBool,
    /// Working memory that actors take turns with.
    pub workspaces: Workspaces,
}

/// As many workspaces as actors, each for whoever computes right now: a core that runs many actors uses the same one, still
/// warm, for all of them.
#[derive(Debug)]
pub struct Workspaces(Vec<Mutex<Workspace>>);

impl Workspaces {
    /// Working memory for `actors` at a time.
    pub fn new(net: &Network, actors: usize, slots: usize) -> Self {
        Workspaces((0..actors).map(|_| Mutex::new(net.workspace(slots))).collect())
    }

    /// The first that is free. There are as many as actors and each takes one at a time, so nobody waits for a lock.
    fn take(&self) -> MutexGuard<'_, Workspace> {
        loop {
            for workspace in &self.0 {
                match workspace.try_lock() {
                    Ok(workspace) => return workspace,
                    Err(TryLockError::Poisoned(workspace)) => return workspace.into_inner(),
                    Err(TryLockError::WouldBlock) => (),
                }
            }
        }
    }
}

/// One actor-learner: its environment, its theta' and the memory of a segment. `A` is the action.
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
    /// theta', fixed within a segment.
    theta: Buffer,
    optimizer: LocalState,
    target: Option<Target>,
    obs: Observations,
    tape: Tape,
    actions: Vec<A>,
    rewards: Vec<f32>,
    v_next: Vec<f32>,
    g: Vec<f32>,
    /// Sarsa's a': chosen for the bootstrap of one segment, taken first in the next.
    carried: Option<A>,
    /// Whether slot 0 holds an observation.
    started: bool,
    steps: u64,
    refused_in_a_row: u64,
}

/// An actor's copy of theta_target and a tape to evaluate it on.
struct Target {
    theta: Buffer,
    refreshes: u64,
    tape: Tape,
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
    pub fn new(
        config: &'a TrainConfig,
        net: &'a Network,
        isa: Isa,
        shared: &'a Shared,
        actor: Actor<'a, A, E>,
    ) -> Self {
        let (t_max, len) = (config.t_max, net.layout().len());
        let target = shared.theta_target.is_some().then(|| Target {
            theta: Buffer::zeros(len),
            refreshes: u64::MAX,
            tape: net.tape(1),
        });
        ActorLearner {
            config,
            net,
            isa,
            shared,
            stats: actor.stats,
            actor: actor.actor,
            algo: actor.algo,
            env: actor.env,
            rng: actor.rng,
            theta: Buffer::zeros(len),
            optimizer: shared.optimizer.local_state(),
            target,
            obs: Observations::new(net.input(), t_max + 1),
            tape: net.tape(t_max + 1),
            actions: Vec::with_capacity(t_max),
            rewards: Vec::with_capacity(t_max),
            v_next: vec![0.0; t_max],
            g: vec![0.0; t_max],
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

    /// Learns until T > T_max or the run is stopped. `on_episode` is told of every whole episode and the T it ended at.
    pub fn run(&mut self, mut on_episode: impl FnMut(u64, Episode)) -> Result<(), TrainError> {
        while self.shared.clock.now() < self.config.total_steps && !self.shared.stop.load(Relaxed) {
            self.segment(&mut on_episode)?; // until T > T_max
        }
        Ok(())
    }

    /// One turn of the outer loop of Algorithms S2 and S3: at most t_max steps and one update.
    pub fn segment(&mut self, on_episode: &mut impl FnMut(u64, Episode)) -> Result<(), TrainError> {
        let (shared, stats) = (self.shared, self.stats);
        if !self.started {
            self.reset()?;
        }
        let pulled_at = shared.updates.load(Relaxed);
        stats.timed(Stat::UpdateSecs, || shared.theta.read_into(self.isa, &mut self.theta)); // theta' <- theta
        self.actions.clear();
        self.rewards.clear();
        let (mut end, mut refresh_target) = (End::No, false);
        while end == End::No && self.actions.len() < self.config.t_max {
            let t = self.actions.len(); // until terminal s_t or t - t_start = t_max
            let a = self.act(t); // take action a_t
            let step = self.env.step(a, self.obs.get_mut(t + 1)); // receive r_t and s_{t+1}
            let step = step.map_err(|source| TrainError::Env { actor: self.actor, step: self.steps, source })?;
            self.steps += 1;
            self.actions.push(a);
            self.rewards.push(self.clipped(step.reward));
            end = step.end;
            let ticket = shared.clock.tick(); // T <- T + 1
            refresh_target |= crossed(ticket, self.config.target_interval_steps);
            if let Some(episode) = step.episode {
                on_episode(ticket, episode);
            }
        }
        stats.timed(Stat::ForwardSecs, || self.bootstrap(end)); // v <- 0 | max_a Q(s; theta_target) | V(s; theta')
        self.learn(pulled_at)?; // d_theta, and the asynchronous update of theta with it
        if let (true, Some(theta_target)) = (refresh_target, &shared.theta_target) {
            theta_target.copy_from(self.isa, &shared.theta); // theta_target <- theta
            shared.target_refreshes.fetch_add(1, Relaxed);
        }
        if end == End::No {
            self.obs.carry(self.actions.len());
        } else {
            self.started = false;
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<(), TrainError> {
        use rand::RngExt;
        // The environment is seeded once, by the actor's own stream; later episodes continue it.
        let seed = (self.steps == 0).then(|| u64::from(self.rng.random::<u32>() >> 1));
        let reset = self.env.reset(seed, self.obs.get_mut(0));
        reset.map_err(|source| TrainError::Env { actor: self.actor, step: self.steps, source })?;
        (self.started, self.carried) = (true, None);
        Ok(())
    }

    /// The action in slot `t`, from `y` under theta'.
    fn act(&mut self, t: usize) -> A {
        self.stats.timed(Stat::ForwardSecs, || {
            let workspace = &mut self.shared.workspaces.take();
            self.net.forward(self.isa, &self.theta, self.obs.get(t), &mut self.tape, t, workspace);
        });
        match self.carried.take() {
            Some(a) => a,
            None => self.algo.act(self.tape.y(t), self.shared.clock.now(), &mut self.rng),
        }
    }

    fn clipped(&self, reward: f32) -> f32 {
        match self.config.reward_clip {
            0.0 => reward,
            limit => reward.clamp(-limit, limit),
        }
    }

    /// Fills `v_next`: the value of the state after each step, where the method looks at it.
    fn bootstrap(&mut self, end: End) {
        let n = self.actions.len();
        let workspace = &mut self.shared.workspaces.take();
        self.v_next[..n].fill(0.0);
        if self.algo.follows_policy() && end != End::Terminal {
            self.net.forward(self.isa, &self.theta, self.obs.get(n), &mut self.tape, n, workspace);
            self.carried = Some(self.algo.act(self.tape.y(n), self.shared.clock.now(), &mut self.rng));
        }
        if let Some(target) = &mut self.target {
            target.refresh(self.isa, self.shared);
        }
        let first = if self.algo.lambda() == 1.0 { n - 1 } else { 0 };
        for t in first..n {
            if t + 1 == n && end == End::Terminal {
                continue; // v_n = 0 where s_n is terminal
            }
            let next = self.actions.get(t + 1).copied().or(self.carried);
            self.v_next[t] = match (&mut self.target, self.algo.bootstrap()) {
                (Some(Target { theta, tape, .. }), Bootstrap::Target) => {
                    self.net.forward(self.isa, theta, self.obs.get(t + 1), tape, 0, workspace);
                    self.algo.value(tape.y(0), next)
                }
                _ => {
                    if t + 1 == n {
                        self.net.forward(self.isa, &self.theta, self.obs.get(n), &mut self.tape, n, workspace);
                    }
                    self.algo.value(self.tape.y(t + 1), next)
                }
            };
        }
    }

    /// The segment's gradient, and the asynchronous update with it.
    fn learn(&mut self, pulled_at: u64) -> Result<(), TrainError> {
        let (n, config, stats, shared) = (self.actions.len(), self.config, self.stats, self.shared);
        let g = &mut self.g[..n];
        lambda_returns(&self.rewards, &self.v_next[..n], config.gamma, self.algo.lambda(), g);
        let workspace = &mut shared.workspaces.take();
        let mut sum = Loss::default();
        for t in 0..n {
            let loss = self.algo.grad(self.tape.y(t), self.actions[t], g[t], workspace.dy(t));
            sum = Loss {
                policy: sum.policy + f64::from(loss.policy),
                value: sum.value + f64::from(loss.value),
                entropy: sum.entropy + f64::from(loss.entropy),
            };
        }
        let norm = stats.timed(Stat::BackwardSecs, || {
            self.net.backward(self.isa, &self.theta, &self.obs, &self.tape, n, workspace);
            sum_of_squares(self.isa, &workspace.d_theta).sqrt()
        });
        if !norm.is_finite() {
            return self.refuse();
        }
        self.refused_in_a_row = 0;
        let scale = clip_scale(norm, config.max_grad_norm);
        let lr = annealed_lr(config.lr, shared.clock.now(), config.total_steps);
        stats.timed(Stat::UpdateSecs, || {
            shared.optimizer.apply(self.isa, &mut self.optimizer, &shared.theta, &workspace.d_theta, scale, lr)
        });
        let updates_by_others = shared.updates.fetch_add(1, Relaxed).saturating_sub(pulled_at);
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

impl Target {
    /// Copies theta_target if it was refreshed since the last time.
    fn refresh(&mut self, isa: Isa, shared: &Shared) {
        let refreshes = shared.target_refreshes.load(Relaxed);
        if let (true, Some(theta_target)) = (refreshes != self.refreshes, &shared.theta_target) {
            theta_target.read_into(isa, &mut self.theta);
            self.refreshes = refreshes;
        }
    }
}
