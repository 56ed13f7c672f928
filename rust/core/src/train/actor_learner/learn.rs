//! What an actor-learner makes of a segment it has played: values, returns, the gradient, and the asynchronous update with it.

use super::ActorLearner;
use crate::env::{End, Env};
use crate::rl::returns::lambda_returns;
use crate::rl::{Bootstrap, Loss};
use crate::shared::optimizer::clip_scale;
use crate::sync::atomic::Ordering::Relaxed;
use crate::train::config::{Action, TMax};
use crate::train::error::TrainError;
use crate::train::normalise::ObsNormaliser;
use crate::train::record::Report;
use crate::train::schedule::annealed_lr;
use crate::train::stats::Stat;
use crate::train::turns::SegmentMemory;

/// So many updates in a row may be refused before the actor gives the run up.
const MAX_REFUSED_IN_A_ROW: u64 = 100;

impl<A: Action, E: Env<A>> ActorLearner<'_, A, E> {
    /// Fills `v_next`: the value of the state after each step, where the method looks at it.
    pub(super) fn bootstrap(&mut self, end: End, memory: &mut SegmentMemory) {
        let (n, net, isa) = (self.actions.len(), self.net, self.isa);
        let now = self.now(memory, n);
        let SegmentMemory { theta, obs, tape, target, v_next, .. } = memory;
        v_next[..n].fill(0.0); // v_n = 0 where s_n is terminal
        // Section 9: a whole episode is learned from without bootstrapping, whatever ended it.
        let is_end = end == End::Terminal || self.config.t_max != TMax::Steps(self.t_max);
        let last = if is_end { n - 1 } else { n };
        if last == n && (self.algo.follows_policy() || self.algo.bootstrap() == Bootstrap::Local) {
            net.forward(isa, theta, (obs, n), tape, n);
        }
        if last == n && self.algo.follows_policy() {
            self.carried = Some(self.algo.act(tape.y(n), now, &mut self.rng));
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
    pub(super) fn learn(
        &mut self,
        pulled_at: u64,
        memory: &mut SegmentMemory,
        hear: &mut impl FnMut(Report),
    ) -> Result<(), TrainError> {
        let SegmentMemory { theta, read_at, obs, tape, workspace, rewards, v_next, g, .. } = &mut *memory;
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
        self.normaliser.iter_mut().for_each(ObsNormaliser::merge);
        self.rewards.merge();
        if ![norm, sum.policy, sum.value, sum.entropy].iter().all(|x| x.is_finite()) {
            return self.refuse(memory, hear);
        }
        self.refused_in_a_row = 0;
        let scale = clip_scale(norm, config.max_grad_norm);
        let lr = annealed_lr(config.lr, shared.clock.now(), config.total_steps);
        stats.timed(Stat::UpdateSecs, || {
            shared.optimizer.apply_and_read(self.isa, self.actor, &shared.theta, d_theta, scale, lr, theta)
        });
        let updates = shared.updates.fetch_add(1, Relaxed);
        *read_at = Some(updates + 1);
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
    fn refuse(&mut self, memory: &mut SegmentMemory, hear: &mut impl FnMut(Report)) -> Result<(), TrainError> {
        self.stats.add(Stat::RefusedUpdates, 1.0);
        self.refused_in_a_row += 1;
        if self.refused_in_a_row == 1 {
            let n = self.actions.len();
            let y = |t| memory.tape.y(t).iter();
            hear(self.incident(format!(
                "had an update refused that was not finite: rewards {}, returns {}, outputs of the network {}",
                range(&memory.rewards),
                range(&memory.g[..n]),
                range((0..n).flat_map(y))
            )));
        }
        if self.refused_in_a_row < MAX_REFUSED_IN_A_ROW {
            memory.read_at = Some(self.shared.updates.load(Relaxed));
            self.shared.theta.read_into(self.isa, &mut memory.theta);
            return Ok(());
        }
        Err(TrainError::Diverged { actor: self.actor, refused: self.refused_in_a_row, lr: self.config.lr })
    }
}

/// The extremes of some numbers, for a person; a NaN among them is one.
fn range<'a>(numbers: impl IntoIterator<Item = &'a f32>) -> String {
    let (mut least, mut most) = (f32::INFINITY, f32::NEG_INFINITY);
    for x in numbers {
        if x.is_nan() {
            return "with NaN".into();
        }
        (least, most) = (least.min(*x), most.max(*x));
    }
    format!("from {least} to {most}")
}
