//! One-step Q (Algorithm 1), one-step Sarsa (section 4) and n-step Q (Algorithm S2). `y` is `Q(s, .)`.

use super::method::{Build, Experience, Form, Loss, Method, Output, Row, Sample};
use super::{ActorRng, Exploration, policy};
use crate::catalogue::Entry;
use num_traits::Float;
use rand::RngExt;

/// Row of one-step Q-learning.
pub const ONE_STEP_Q: Row =
    row("one-step-q", "asynchronous one-step Q-learning", "section 4, Algorithm 1", |_, explore| {
        Box::new(ValueBased::one_step_q(explore()))
    });

/// Row of one-step Sarsa.
pub const ONE_STEP_SARSA: Row =
    row("one-step-sarsa", "asynchronous one-step Sarsa, on the action really taken next", "section 4", |_, explore| {
        Box::new(ValueBased::one_step_sarsa(explore()))
    });

/// Row of n-step Q-learning.
pub const N_STEP_Q: Row = row("n-step-q", "asynchronous n-step Q-learning", "section 4, Algorithm S2", |_, explore| {
    Box::new(ValueBased::n_step_q(explore()))
});

const fn row(name: &'static str, what: &'static str, paper: &'static str, method: Build<usize>) -> Row {
    Row {
        entry: Entry { name, what, paper, settings: &["target_interval_steps", "explore_anneal_steps"] },
        has_policy: false,
        reads_target: true,
        experience: Experience::Segment,
        clips: false,
        discrete: Form { outputs: |_, actions| vec![Output::on("", "q", actions)], method },
        continuous: None,
    }
}

/// Action value that stands for the next state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backup {
    Max,
    Taken,
}

/// A method that learns Q by regression on a return. Three constructors, three rows.
#[derive(Clone, Debug)]
pub struct ValueBased {
    lambda: f32,
    backup: Backup,
    exploration: Exploration,
}

impl ValueBased {
    /// Algorithm 1: `G = r + gamma max_a' Q(s', a'; theta_target)`.
    pub fn one_step_q(exploration: Exploration) -> Self {
        Self { lambda: 0.0, backup: Backup::Max, exploration }
    }
    /// Section 4: `G = r + gamma Q(s', a'; theta_target)`, a' the action taken in s'.
    pub fn one_step_sarsa(exploration: Exploration) -> Self {
        Self { lambda: 0.0, backup: Backup::Taken, exploration }
    }
    /// Algorithm S2: the return to the end of the segment, then `max_a Q(s_n, a; theta_target)`.
    pub fn n_step_q(exploration: Exploration) -> Self {
        Self { lambda: 1.0, backup: Backup::Max, exploration }
    }
}

/// `L = (G - Q(s, a))^2` and its gradient, `2 (Q(s, a) - G)` in slot `a`; no 1/2, as in the paper's boxes.
pub fn loss_and_grad<T: Float>(q: &[T], a: usize, g: T, dq: &mut [T]) -> Loss<T> {
    dq.fill(T::zero());
    let error = q[a] - g;
    dq[a] = error + error;
    Loss::new(T::zero(), error * error, T::zero())
}

impl Method<usize> for ValueBased {
    fn lambda(&self) -> f32 {
        self.lambda
    }
    fn follows_policy(&self) -> bool {
        self.backup == Backup::Taken
    }
    fn explore_eps(&self, t: u64) -> Option<f32> {
        Some(self.exploration.explore_eps(t))
    }
    fn act(&self, q: &[f32], t: u64, rng: &mut ActorRng) -> usize {
        if rng.random::<f32>() < self.exploration.explore_eps(t) {
            rng.random_range(0..q.len())
        } else {
            policy::argmax(q)
        }
    }
    fn value(&self, q: &[f32], next: Option<usize>) -> f32 {
        match (self.backup, next) {
            (Backup::Taken, Some(a)) => q[a],
            (Backup::Taken, None) => panic!("Sarsa's value needs the action taken next"),
            (Backup::Max, _) => q[policy::argmax(q)],
        }
    }
    fn grad(&self, q: &[f32], step: Sample<'_, usize>, dq: &mut [f32]) -> Loss {
        loss_and_grad(q, step.a, step.g, dq)
    }
    fn greedy(&self, q: &[f32]) -> usize {
        policy::argmax(q)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn the_gradient_is_the_finite_difference_of_the_loss() {
        let (q, a, g, h) = ([0.4f64, -2.0, 1.1], 1, 0.9, 1e-6);
        let mut dq = [f64::NAN; 3];
        loss_and_grad(&q, a, g, &mut dq);
        for k in 0..3 {
            let (mut up, mut down) = (q, q);
            up[k] += h;
            down[k] -= h;
            let fd = ((g - up[a]).powi(2) - (g - down[a]).powi(2)) / (2.0 * h);
            assert!((dq[k] - fd).abs() < 1e-5 * fd.abs().max(1e-3), "slot {k}: {} against {fd}", dq[k]);
        }
    }

    #[test]
    fn sarsa_values_the_action_taken_and_q_the_best() {
        let exploration = Exploration { final_eps: 0.0, anneal_steps: 0 };
        let q = [1.0, 5.0, 2.0];
        assert_eq!(ValueBased::one_step_sarsa(exploration).value(&q, Some(2)), 2.0);
        assert_eq!(ValueBased::one_step_q(exploration).value(&q, Some(2)), 5.0);
    }

    #[test]
    fn epsilon_0_is_greedy_and_epsilon_1_is_uniform() {
        let mut rng = ActorRng::seed_from_u64(5);
        let act = |final_eps, rng: &mut ActorRng| {
            ValueBased::one_step_q(Exploration { final_eps, anneal_steps: 0 }).act(&[0.0, 1.0, 0.5, 0.2], 0, rng)
        };
        assert!((0..100).all(|_| act(0.0, &mut rng) == 1));
        let mut counts = [0usize; 4];
        (0..4000).for_each(|_| counts[act(1.0, &mut rng)] += 1);
        assert!(counts.iter().all(|c| (*c as f64 - 1000.0).abs() < 5.0 * 750f64.sqrt()), "{counts:?}");
    }
}
