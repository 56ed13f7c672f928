//! The second half of a segment: bootstrap, returns, gradient, and the asynchronous update.

use super::actor_learner::ActorLearner;
use super::normalise::ObsNormaliser;
use super::schedule::annealed_lr;
use super::segment::Segment;
use crate::env::{End, Env};
use crate::rl::returns::lambda_returns;
use crate::rl::{Action, Loss};
use crate::shared::clip_scale;
use crate::train::config::TMax;
use crate::train::error::TrainError;
use crate::train::log::{Report, Stat};
use crate::train::setup::Setup;
use crate::train::turns::Pace;

/// Updates in a row that may be refused before the actor gives the run up.
const MAX_REFUSED_IN_A_ROW: u64 = 100;

impl<A: Action, E: Env<A>> ActorLearner<'_, A, E> {
    /// Fills `v_next`: the value of the state after each step, where the method reads it; 0 after a terminal state.
    pub(super) fn bootstrap(&mut self, s: &mut Segment, pace: &Pace<'_, Segment>) {
        let stats = self.stats;
        stats.timed(Stat::ForwardSecs, || {
            let (n, Setup { net, isa, config, .. }) = (s.len(), self.setup);
            s.v_next[..n].fill(0.0); // v_n = 0 where s_n is terminal
            // Section 9: a whole episode is learned from without bootstrapping, whatever ended it.
            let is_end = s.end == End::Terminal || config.t_max != TMax::Steps(s.t_max());
            let last = if is_end { n - 1 } else { n };
            let follows_policy = self.method.follows_policy();
            if last == n && (follows_policy || s.target_tape.is_none()) {
                net.forward(*isa, &s.copy.theta, (&s.obs, n), &mut s.tape, n);
            }
            if last == n && follows_policy {
                let now = pace.now(&*self.shared.parameters, s.copy.began_at);
                self.carried = Some(self.method.act(s.tape.y(n), now, &mut self.rng));
            }
            let first = if self.method.is_n_step() { n - 1 } else { 0 };
            for t in first..last {
                let next = if t + 1 < n { Some(s.action(t + 1)) } else { self.carried };
                // theta_target has not seen the episode: its recurrent state is the one that theta' has come to.
                let y = match (&mut s.target_tape, s.copy.theta_target()) {
                    (Some(tape), Some(theta_target)) => {
                        s.tape.state_into(t + 1, &mut self.state);
                        tape.set_state(t - first, &self.state);
                        net.forward(*isa, theta_target, (&s.obs, t + 1), tape, t - first);
                        tape.y(t - first)
                    }
                    _ => s.tape.y(t + 1),
                };
                s.v_next[t] = self.method.value(y, next);
            }
        });
    }

    /// One pass over the segment, and the asynchronous update of theta with its gradient.
    pub(super) fn update(
        &mut self,
        s: &mut Segment,
        pass: usize,
        hear: &mut impl FnMut(Report),
    ) -> Result<(), TrainError> {
        let (n, Setup { config, net, isa, .. }) = (s.len(), self.setup);
        match pass {
            0 => self.returns(s),
            _ => self.forward_again(s),
        }
        let loss = self.losses(s);
        let Segment { copy, obs, tape, workspace, .. } = &mut *s;
        let (d_theta, norm) = self.stats.timed(Stat::BackwardSecs, || {
            let d_theta = net.backward(*isa, &copy.theta, obs, tape, n, workspace);
            (d_theta, d_theta.sum_of_squares(*isa).sqrt())
        });
        if pass == 0 {
            self.normaliser.iter_mut().for_each(ObsNormaliser::merge);
            self.rewards.merge();
        }
        if ![norm, loss.policy, loss.value, loss.entropy].iter().all(|x| x.is_finite()) {
            return self.refuse(s, hear);
        }
        self.refused_in_a_row = 0;
        let scale = clip_scale(norm, config.max_grad_norm);
        let lr = annealed_lr(config.lr, self.shared.parameters.now(), config.total_steps);
        let staleness =
            self.stats.timed(Stat::UpdateSecs, || self.shared.parameters.push(self.actor, d_theta, scale, lr, copy));
        if pass == 0 {
            self.stats.add(Stat::Steps, n as f64);
        }
        let passes = self.method.passes() as f64; // sums over steps are means over passes
        self.stats.add(Stat::Entropy, loss.entropy / passes);
        self.stats.add(Stat::PolicyLoss, loss.policy / passes);
        self.stats.add(Stat::ValueLoss, loss.value / passes);
        self.stats.add(Stat::Updates, 1.0);
        self.stats.add(Stat::Staleness, staleness as f64);
        self.stats.add(Stat::GradNorm, norm);
        self.stats.add(Stat::ClippedUpdates, if scale < 1.0 { 1.0 } else { 0.0 });
        Ok(())
    }

    /// `R <- r_i + gamma R`, and its kin.
    fn returns(&mut self, s: &mut Segment) {
        let n = s.len();
        for t in 0..n {
            // The last lambda weighs v_n against itself.
            let of = (t + 1).min(n - 1);
            s.lambda[t] = self.method.trace(s.tape.y(of), s.acted(of), s.action(of));
        }
        let Segment { rewards, v_next, lambda, g, .. } = s;
        lambda_returns(rewards, &v_next[..n], self.setup.config.gamma, &lambda[..n], &mut g[..n]);
    }

    /// Computes `y` of every step anew, under the theta' that the pass before has left.
    fn forward_again(&mut self, s: &mut Segment) {
        let Setup { net, isa, .. } = self.setup;
        self.stats.timed(Stat::ForwardSecs, || {
            for t in 0..s.len() {
                net.forward(*isa, &s.copy.theta, (&s.obs, t), &mut s.tape, t);
            }
        });
    }

    /// Writes dL/dy of every step, and returns the sum of their losses.
    fn losses(&mut self, s: &mut Segment) -> Loss<f64> {
        let mut sum = Loss::default();
        for t in 0..s.len() {
            let (a, g) = (s.action(t), s.g[t]);
            let (y, dy, acted) = s.y_dy_acted(t);
            let loss = self.method.grad(y, acted, a, g, dy);
            sum = Loss {
                policy: sum.policy + f64::from(loss.policy),
                value: sum.value + f64::from(loss.value),
                entropy: sum.entropy + f64::from(loss.entropy),
            };
        }
        sum
    }

    /// Drops and counts a gradient that is not finite: it would poison theta for every actor.
    fn refuse(&mut self, s: &mut Segment, hear: &mut impl FnMut(Report)) -> Result<(), TrainError> {
        self.stats.add(Stat::RefusedUpdates, 1.0);
        self.refused_in_a_row += 1;
        if self.refused_in_a_row == 1 {
            let n = s.len();
            hear(self.incident(format!(
                "had an update refused that was not finite: rewards {}, returns {}, outputs of the network {}",
                range(&s.rewards),
                range(&s.g[..n]),
                range((0..n).flat_map(|t| s.tape.y(t)))
            )));
        }
        if self.refused_in_a_row < MAX_REFUSED_IN_A_ROW {
            self.shared.parameters.read(&mut s.copy);
            return Ok(());
        }
        Err(TrainError::Diverged { actor: self.actor, refused: self.refused_in_a_row, lr: self.setup.config.lr })
    }
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
