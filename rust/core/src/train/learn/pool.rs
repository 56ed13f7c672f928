//! Rollouts of several actors, learned from together in minibatches.
//!
//! An actor puts its rollout into its pool; the one that completes it learns from all of them. A minibatch consists of chunks of
//! neighbouring steps, drawn at random from all rollouts. Images come in chunks, because most of a screen stays as it is and
//! need not be computed again; a recurrent network goes on through the whole rollout from the state that it had.

use super::rollout::{Rollout, Steps};
use crate::env::ObsSpec;
use crate::nn::{Network, Tape, Workspace};
use crate::rl::ActorRng;
use rand::RngExt;

/// Steps of a chunk of images: few, because neighbouring steps are alike and a minibatch of them says less.
const IMAGES: usize = 4;

/// Division of rollouts into chunks.
#[derive(Clone, Copy, Debug)]
pub struct Chunks {
    /// Steps of a chunk; the last of a rollout may be shorter.
    pub len: usize,
    /// Chunks of a rollout.
    pub each: usize,
}

impl Chunks {
    /// Chunks of rollouts of `t_max` steps, as suits the network.
    pub fn of(net: &Network, t_max: usize) -> Self {
        let len = match net.input() {
            _ if net.state_len() > 0 => t_max,
            ObsSpec::Image { .. } => IMAGES.min(t_max),
            ObsSpec::Vector { .. } => 1,
        };
        Chunks { len, each: t_max.div_ceil(len) }
    }
}

/// Pool of a fixed number of actors.
#[derive(Debug)]
pub struct Pool {
    rollouts: Vec<Rollout>,
    filled: usize,
    chunks: Chunks,
    /// Chunks of one minibatch.
    chunks_at_once: usize,
    /// All chunks, counted through, in the order of this pass.
    order: Vec<usize>,
    /// The minibatch.
    pub batch: Minibatch,
}

/// Memory of a minibatch.
#[derive(Debug)]
pub struct Minibatch {
    /// The steps.
    pub steps: Steps,
    /// Activations.
    pub tape: Tape,
    /// Memory of the backward pass, and d_theta.
    pub workspace: Workspace,
    /// Number of steps.
    pub n: usize,
    no_state: Vec<f32>,
}

impl Pool {
    /// Pool of the rollouts, of `t_max` steps, of so many `actors`; learned from in minibatches of about `minibatch_steps`, 0 being
    /// all.
    pub fn new(net: &Network, t_max: usize, action_width: usize, actors: usize, minibatch_steps: usize) -> Self {
        let chunks = Chunks::of(net, t_max);
        let all = actors * chunks.each;
        let chunks_at_once = match minibatch_steps {
            0 => all,
            n => (n / chunks.len).clamp(1, all),
        };
        let slots = chunks_at_once * chunks.len;
        Pool {
            rollouts: (0..actors).map(|_| Rollout::new(net, t_max, action_width, true, Some(chunks.len))).collect(),
            filled: 0,
            chunks,
            chunks_at_once,
            order: (0..all).collect(),
            batch: Minibatch {
                steps: Steps::new(net, slots, action_width),
                tape: net.tape(slots + 1),
                workspace: net.workspace(slots),
                n: 0,
                no_state: vec![0.0; net.state_len()],
            },
        }
    }

    /// Takes `rollout`, in exchange for memory of another; true where the pool is complete and is to be learned from.
    pub fn add(&mut self, rollout: &mut Rollout) -> bool {
        std::mem::swap(&mut self.rollouts[self.filled], rollout);
        self.filled = (self.filled + 1) % self.rollouts.len();
        self.filled == 0
    }

    /// Number of minibatches of a pass.
    pub fn minibatches(&self) -> usize {
        self.order.len().div_ceil(self.chunks_at_once)
    }

    /// The rollouts of a complete pool.
    pub fn rollouts(&self) -> &[Rollout] {
        &self.rollouts
    }

    /// Draws another order of the chunks.
    pub fn shuffle(&mut self, rng: &mut ActorRng) {
        for i in (1..self.order.len()).rev() {
            self.order.swap(i, rng.random_range(0..=i));
        }
    }

    /// Fills [`Pool::batch`] with minibatch `m` of this pass; its advantages are normalised where `normalizes`.
    pub fn fill(&mut self, m: usize, normalizes: bool) {
        let Pool { rollouts, chunks, order, batch, .. } = self;
        batch.n = 0;
        batch.tape.forget_states();
        for &i in order[m * self.chunks_at_once..].iter().take(self.chunks_at_once) {
            let (rollout, chunk) = (&rollouts[i / chunks.each], i % chunks.each);
            let first = chunk * chunks.len;
            for t in first..(first + chunks.len).min(rollout.len()) {
                if t == first {
                    batch.tape.set_state(batch.n, rollout.state(chunk));
                } else if rollout.begins_episode(t) {
                    batch.tape.set_state(batch.n, &batch.no_state);
                }
                batch.steps.copy(batch.n, &rollout.steps, t);
                batch.n += 1;
            }
        }
        if normalizes {
            normalize(&mut batch.steps.advantage[..batch.n]);
        }
    }
}

/// Brings numbers to mean 0 and deviation 1. One alone stays as it is.
fn normalize(values: &mut [f32]) {
    let n = values.len() as f64;
    if n < 2.0 {
        return;
    }
    let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
    let variance = values.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let by = 1.0 / (variance.sqrt() + 1e-8);
    values.iter_mut().for_each(|x| *x = ((f64::from(*x) - mean) * by) as f32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalised_numbers_have_mean_0_and_deviation_1() {
        let mut values = [3.0, -1.0, 7.0, 0.5];
        normalize(&mut values);
        let mean: f32 = values.iter().sum::<f32>() / 4.0;
        let variance: f32 = values.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 3.0;
        assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-5, "{values:?}");
        let mut equal = [2.0; 3];
        normalize(&mut equal);
        assert_eq!(equal, [0.0; 3]);
    }
}
