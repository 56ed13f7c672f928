//! The second half of a segment: bootstrap, returns, gradient, and the asynchronous update.

use super::actor_learner::ActorLearner;
use super::normalise::ObsNormaliser;
use super::pool::{Minibatch, Pool};
use super::rollout::{Rollout, Steps};
use super::segment::Segment;
use crate::env::{End, Env};
use crate::nn::{Tape, Workspace};
use crate::rl::returns::lambda_returns;
use crate::rl::{Action, Loss, Method};
use crate::shared::{LocalCopy, clip_scale};
use crate::train::config::TMax;
use crate::train::error::TrainError;
use crate::train::log::{Report, Stat};
use crate::train::setup::Setup;
use crate::train::turns::Pace;
use std::sync::PoisonError;

/// Updates in a row that may be refused before the actor gives the run up.
const MAX_REFUSED_IN_A_ROW: u64 = 100;

/// Steps with their activations, and what an update needs besides.
struct Batch<'a> {
    steps: &'a Steps,
    tape: &'a Tape,
    workspace: &'a mut Workspace,
    n: usize,
    /// Factor of the summed gradient.
    scale: f64,
    is_first_pass: bool,
}

impl<A: Action, E: Env<A>> ActorLearner<'_, A, E> {
    /// Fills `v_next`: the value of the state after each step, where the method reads it; 0 after a terminal state.
    pub(super) fn bootstrap(&mut self, s: &mut Segment, pace: &Pace<'_, Segment>) {
        let n = s.len();
        // Section 9: a whole episode is learned from without bootstrapping, whatever ended it.
        let is_whole = self.setup.config.t_max != TMax::Steps(s.rollout.t_max());
        let last = if is_whole || s.rollout.end() == End::Terminal { n - 1 } else { n };
        let follows_policy = self.method.follows_policy();
        if last == n && (follows_policy || s.target_tape.is_none()) {
            self.forward_last(s);
        }
        if last == n && follows_policy {
            let now = pace.now(&*self.shared.parameters, s.copy.began_at);
            self.carried = Some(self.method.act(s.tape.y(s.slot), now, &mut self.rng));
        }
        let is_n_step = self.method.is_n_step() && !self.setup.config.algo.row().experience.spans_episodes();
        let first = if is_n_step { n - 1 } else { 0 };
        self.stats.timed(Stat::ForwardSecs, || {
            for t in first..last {
                if t + 1 < n && s.rollout.begins_episode(t + 1) {
                    continue; // its value was read when the episode ended
                }
                let next = if t + 1 < n { Some(s.rollout.steps.action(t + 1)) } else { self.carried };
                let (Setup { net, isa, .. }, Segment { copy, rollout, tape, target_tape, slot, .. }) =
                    (self.setup, &mut *s);
                // theta_target has not seen the episode: its recurrent state is the one that theta' has come to.
                let y = match (target_tape, copy.theta_target()) {
                    (Some(target), Some(theta_target)) => {
                        tape.state_into(t + 1, &mut self.state);
                        target.set_state(t - first, &self.state);
                        net.forward(*isa, theta_target, (&rollout.steps.obs, t + 1), target, t - first);
                        target.y(t - first)
                    }
                    _ if t + 1 < n => rollout.steps.acted(t + 1),
                    _ => tape.y(*slot),
                };
                rollout.v_next[t] = self.method.value(y, next);
            }
        });
    }

    /// Value under theta' of the state after the last step.
    pub(super) fn value_of_last(&mut self, s: &mut Segment) -> f32 {
        self.forward_last(s);
        self.method.value(s.tape.y(s.slot), None)
    }

    /// Computes `y` of the state after the last step, under theta'.
    fn forward_last(&self, s: &mut Segment) {
        let (n, Setup { net, isa, .. }, Segment { copy, rollout, tape, slot, .. }) = (s.len(), self.setup, s);
        self.stats.timed(Stat::ForwardSecs, || {
            net.forward(*isa, &copy.theta, (&rollout.steps.obs, n), tape, *slot);
        });
    }

    /// Learns from the segment, or from those of the actor's pool where this one completes it.
    pub(super) fn learn(&mut self, s: &mut Segment, hear: &mut impl FnMut(Report)) -> Result<(), TrainError> {
        self.returns(&mut s.rollout);
        self.normaliser.iter_mut().for_each(ObsNormaliser::merge);
        self.rewards.merge();
        let pools = &self.shared.pools;
        if pools.is_empty() {
            return self.learn_alone(s, hear);
        }
        let mut pool = pools[self.actor % pools.len()].lock().unwrap_or_else(PoisonError::into_inner);
        match pool.add(&mut s.rollout) {
            true => self.learn_together(&mut s.copy, &mut pool, hear),
            false => {
                self.shared.parameters.read(&mut s.copy); // which a repeatable run must do in its turn
                Ok(())
            }
        }
    }

    /// Learns from one segment, whose activations are on the tape.
    fn learn_alone(&mut self, s: &mut Segment, hear: &mut impl FnMut(Report)) -> Result<(), TrainError> {
        let Segment { copy, rollout, tape, workspace, .. } = s;
        let (n, workspace) = (rollout.len(), workspace.as_mut().expect("a segment that is learned from alone has one"));
        self.explain(rollout);
        for pass in 0..self.method.passes() {
            let Setup { net, isa, .. } = self.setup;
            if pass > 0 {
                self.stats.timed(Stat::ForwardSecs, || {
                    (0..n).for_each(|t| net.forward(*isa, &copy.theta, (&rollout.steps.obs, t), tape, t));
                });
            }
            let batch = Batch { steps: &rollout.steps, tape, workspace, n, scale: 1.0, is_first_pass: pass == 0 };
            self.update(copy, batch, hear)?;
        }
        Ok(())
    }

    /// Learns from the rollouts of a pool, in minibatches.
    fn learn_together(
        &mut self,
        copy: &mut LocalCopy,
        pool: &mut Pool,
        hear: &mut impl FnMut(Report),
    ) -> Result<(), TrainError> {
        let Setup { net, isa, .. } = self.setup;
        pool.rollouts().iter().for_each(|rollout| self.explain(rollout));
        for pass in 0..self.method.passes() {
            if pool.minibatches() > 1 {
                pool.shuffle(&mut self.rng);
            }
            for m in 0..pool.minibatches() {
                pool.fill(m, self.method.normalizes_advantages());
                let Minibatch { steps, tape, workspace, n, .. } = &mut pool.batch;
                self.stats.timed(Stat::ForwardSecs, || net.forward_all(*isa, &copy.theta, &steps.obs, tape, *n));
                let (n, scale, is_first_pass) = (*n, 1.0 / *n as f64, pass == 0);
                self.update(copy, Batch { steps, tape, workspace, n, scale, is_first_pass }, hear)?;
            }
        }
        Ok(())
    }

    /// `R <- r_i + gamma R`, and its kin.
    fn returns(&mut self, rollout: &mut Rollout) {
        let n = rollout.len();
        for t in 0..n {
            // The last lambda weighs v_n against itself.
            let of = (t + 1).min(n - 1);
            let (acted, a) = (rollout.steps.acted(of), rollout.steps.action(of));
            let crosses = of > t && rollout.begins_episode(of);
            rollout.lambda[t] = if crosses { 0.0 } else { self.method.trace(acted, acted, a) };
        }
        let Rollout { steps, v_next, lambda, .. } = rollout;
        let Steps { rewards, g, .. } = steps;
        lambda_returns(&rewards[..n], &v_next[..n], self.setup.config.gamma, &lambda[..n], &mut g[..n]);
        if self.setup.config.algo.row().has_policy {
            for t in 0..n {
                steps.advantage[t] = steps.g[t] - self.method.value(steps.acted(t), None);
            }
        }
    }

    /// Notes how well the values explain the returns.
    fn explain(&self, rollout: &Rollout) {
        let Steps { g, advantage, .. } = &rollout.steps;
        self.stats.add(Stat::Explained, rollout.len() as f64);
        for (g, error) in g.iter().zip(advantage).take(rollout.len()).map(|(g, a)| (f64::from(*g), f64::from(*a))) {
            self.stats.add(Stat::Returns, g);
            self.stats.add(Stat::SquaredReturns, g * g);
            self.stats.add(Stat::ValueErrors, error);
            self.stats.add(Stat::SquaredValueErrors, error * error);
        }
    }

    /// Asynchronous update of theta with the gradient of a batch, whose activations are under `copy`.
    fn update(
        &mut self,
        copy: &mut LocalCopy,
        batch: Batch<'_>,
        hear: &mut impl FnMut(Report),
    ) -> Result<(), TrainError> {
        let (Setup { config, net, isa, .. }, Batch { steps, tape, workspace, n, scale, is_first_pass }) =
            (self.setup, batch);
        let loss = losses(&*self.method, steps, tape, n, workspace);
        let (d_theta, norm) = self.stats.timed(Stat::BackwardSecs, || {
            let d_theta = net.backward(*isa, &copy.theta, &steps.obs, tape, n, workspace);
            (d_theta, scale * d_theta.sum_of_squares(*isa).sqrt())
        });
        if ![norm, loss.policy, loss.value, loss.entropy].iter().all(|x| x.is_finite()) {
            return self.refuse(copy, (steps, tape, n), hear);
        }
        self.refused_in_a_row = 0;
        let clip = clip_scale(norm, config.max_grad_norm);
        let lr = config.lr_at(self.shared.parameters.now());
        let staleness = self.stats.timed(Stat::UpdateSecs, || {
            self.shared.parameters.push(self.actor, d_theta, clip * scale as f32, lr, copy)
        });
        if is_first_pass {
            self.stats.add(Stat::Steps, n as f64);
        }
        let passes = self.method.passes() as f64; // sums over steps are means over passes
        self.stats.add(Stat::Weight, n as f64 / passes);
        self.stats.add(Stat::Entropy, loss.entropy / passes);
        self.stats.add(Stat::PolicyLoss, loss.policy / passes);
        self.stats.add(Stat::ValueLoss, loss.value / passes);
        self.stats.add(Stat::ClippedSteps, loss.clipped / passes);
        self.stats.add(Stat::Kl, loss.kl / passes);
        self.stats.add(Stat::Updates, 1.0);
        self.stats.add(Stat::Staleness, staleness as f64);
        self.stats.add(Stat::GradNorm, norm);
        self.stats.add(Stat::ClippedUpdates, if clip < 1.0 { 1.0 } else { 0.0 });
        Ok(())
    }

    /// Drops and counts a gradient that is not finite: it would poison theta for every actor.
    fn refuse(
        &mut self,
        copy: &mut LocalCopy,
        (steps, tape, n): (&Steps, &Tape, usize),
        hear: &mut impl FnMut(Report),
    ) -> Result<(), TrainError> {
        self.stats.add(Stat::RefusedUpdates, 1.0);
        self.refused_in_a_row += 1;
        if self.refused_in_a_row == 1 {
            hear(self.incident(format!(
                "had an update refused that was not finite: rewards {}, returns {}, outputs of the network {}",
                range(&steps.rewards[..n]),
                range(&steps.g[..n]),
                range((0..n).flat_map(|t| tape.y(t)))
            )));
        }
        if self.refused_in_a_row < MAX_REFUSED_IN_A_ROW {
            self.shared.parameters.read(copy);
            return Ok(());
        }
        Err(TrainError::Diverged { actor: self.actor, refused: self.refused_in_a_row, lr: self.setup.config.lr })
    }
}

/// Writes dL/dy of every step, and returns the sum of their losses.
fn losses<A: Action>(
    method: &dyn Method<A>,
    steps: &Steps,
    tape: &Tape,
    n: usize,
    workspace: &mut Workspace,
) -> Loss<f64> {
    (0..n).fold(Loss::default(), |sum, t| sum + method.grad(tape.y(t), steps.sample(t), workspace.dy(t)))
}

/// The extremes of some numbers, for a person; a NaN among them is named.
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
