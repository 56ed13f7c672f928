//! Advantage actor-critic (Algorithm S3). `y` is `(logits of pi, V)`.

use super::method::{Experience, Form, Loss, Method, Output, Row, Sample};
use super::{ActorRng, gaussian, policy};
use crate::catalogue::Entry;
use num_traits::Float;

/// A3C's row: softmax policies here, Gaussian ones in [`gaussian`].
pub const ROW: Row = Row {
    entry: Entry {
        name: "a3c",
        what: "asynchronous advantage actor-critic",
        paper: "section 4, Algorithm S3",
        settings: &["lambda", "gaussian", "bound_coef", "entropy_beta", "value_coef"],
    },
    has_policy: true,
    reads_target: false,
    experience: Experience::Segment,
    clips: false,
    discrete: FORM,
    continuous: Some(gaussian::FORM),
};

/// Softmax policy and value on one trunk.
pub const FORM: Form<usize> = Form {
    outputs: |_, actions| vec![Output::of_policy("", "policy", actions), Output::on("", "value", 1)],
    method: |settings, _| {
        let (lambda, entropy_beta, value_coef) = (settings.lambda, settings.entropy_beta, settings.value_coef);
        Box::new(A3c { lambda, entropy_beta, value_coef })
    },
};

/// A3C with a softmax policy.
#[derive(Clone, Debug)]
pub struct A3c {
    /// 1 is the paper's n-step return; below 1 lambda-returns, i.e. generalised advantages.
    pub lambda: f32,
    /// beta, the weight of the entropy (0.01 in section 8).
    pub entropy_beta: f32,
    /// c_v, which multiplies `(G - V)^2` (0.5 by the authors' e-mail).
    pub value_coef: f32,
}

/// A policy and a value, learned together: what methods share that differ in the weight of a step's `log pi(a)` alone.
pub trait ActorCritic<A>: Method<A> {
    /// `log pi(a)` under `y`.
    fn log_pi(&self, y: &[f32], a: A) -> f32;

    /// Writes dL/dy into `dy` and returns `L = -advantage log pi(a) - beta H(pi) + c_v (G - V)^2`, `advantage` being a constant.
    fn loss(&self, y: &[f32], a: A, advantage: f32, g: f32, dy: &mut [f32]) -> Loss;

    /// c_v
    fn value_coef(&self) -> f32;
}

/// The loss of one step and its gradient:
///
/// ```text
/// L     = -A log pi(a) - beta H(pi) + c_v (G - V)^2,     A a constant; in A3C it is G - V
/// dL/dx_k = A (pi_k - [k = a]) + beta pi_k (log pi_k + H)           for the logits x
/// dL/dV = 2 c_v (V - G)
/// ```
///
/// * `y`: `(num_actions + 1)`, the logits and V; `dy` likewise receives dL/dy
pub fn loss_and_grad<T: Float>(
    y: &[T],
    a: usize,
    (advantage, g): (T, T),
    (beta, value_coef): (T, T),
    dy: &mut [T],
) -> Loss<T> {
    assert_eq!(y.len(), dy.len());
    let (logits, v) = (&y[..y.len() - 1], y[y.len() - 1]);
    let (log_z, h) = (policy::log_sum_exp(logits), policy::entropy(logits));
    for k in 0..logits.len() {
        let log_pi = logits[k] - log_z;
        let taken = if k == a { T::one() } else { T::zero() };
        dy[k] = advantage * (log_pi.exp() - taken) + beta * log_pi.exp() * (log_pi + h);
    }
    dy[logits.len()] = (value_coef + value_coef) * (v - g);
    Loss::new(-advantage * (logits[a] - log_z) - beta * h, value_coef * (g - v) * (g - v), h)
}

impl Method<usize> for A3c {
    fn lambda(&self) -> f32 {
        self.lambda
    }
    fn act(&self, y: &[f32], _t: u64, rng: &mut ActorRng) -> usize {
        policy::sample(&y[..y.len() - 1], rng)
    }
    fn value(&self, y: &[f32], _next: Option<usize>) -> f32 {
        y[y.len() - 1]
    }
    fn grad(&self, y: &[f32], step: Sample<'_, usize>, dy: &mut [f32]) -> Loss {
        self.loss(y, step.a, step.g - y[y.len() - 1], step.g, dy)
    }
    fn greedy(&self, y: &[f32]) -> usize {
        policy::argmax(&y[..y.len() - 1])
    }
}

impl ActorCritic<usize> for A3c {
    fn log_pi(&self, y: &[f32], a: usize) -> f32 {
        let logits = &y[..y.len() - 1];
        logits[a] - policy::log_sum_exp(logits)
    }
    fn loss(&self, y: &[f32], a: usize, advantage: f32, g: f32, dy: &mut [f32]) -> Loss {
        loss_and_grad(y, a, (advantage, g), (self.entropy_beta, self.value_coef), dy)
    }
    fn value_coef(&self) -> f32 {
        self.value_coef
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const Y: [f64; 5] = [0.3, -1.2, 2.0, 0.05, 0.7];

    /// The loss with the advantage held constant, as Algorithm S3 has it.
    fn loss(y: &[f64], a: usize, g: f64, advantage: f64, beta: f64, value_coef: f64) -> f64 {
        let (logits, v) = y.split_at(4);
        let log_pi = logits[a] - policy::log_sum_exp(logits);
        -advantage * log_pi - beta * policy::entropy(logits) + value_coef * (g - v[0]).powi(2)
    }

    #[test]
    fn the_gradient_is_the_finite_difference_of_the_loss() {
        for (a, g, beta, value_coef) in [(0, 1.5, 0.01, 0.5), (2, -3.0, 0.3, 1.0), (3, 0.7, 0.0, 0.25)] {
            let mut dy = [f64::NAN; 5];
            loss_and_grad(&Y, a, (g - Y[4], g), (beta, value_coef), &mut dy);
            for k in 0..5 {
                let (mut up, mut down, h) = (Y, Y, 1e-6);
                up[k] += h;
                down[k] -= h;
                let l = |y: &[f64]| loss(y, a, g, g - Y[4], beta, value_coef);
                let fd = (l(&up) - l(&down)) / (2.0 * h);
                assert!((dy[k] - fd).abs() < 1e-5 * fd.abs().max(1e-3), "slot {k}: {} against {fd}", dy[k]);
            }
        }
    }

    #[test]
    fn a_positive_advantage_raises_the_action_and_entropy_flattens_the_policy() {
        let mut dy = [0.0f32; 4];
        loss_and_grad(&[0.0, 0.0, 0.0, 0.0], 1, (1.0, 1.0), (0.0, 0.5), &mut dy);
        assert!(dy[1] < 0.0 && dy[0] > 0.0 && dy[2] > 0.0, "descent must raise logit 1: {dy:?}");
        loss_and_grad(&[3.0, 0.0, 0.0, 1.0], 0, (0.0, 1.0), (0.1, 0.5), &mut dy);
        assert!(dy[0] > 0.0 && dy[1] < 0.0, "descent must lower the largest logit: {dy:?}");
    }

    #[test]
    fn the_value_gradient_is_literal_at_one_half() {
        let mut dy = [0.0f32; 3];
        let loss = loss_and_grad(&[0.0, 0.0, 2.0], 0, (3.0, 5.0), (0.01, 0.5), &mut dy);
        assert_eq!(dy[2], -3.0); // V - G
        assert_eq!(loss.value, 4.5);
    }
}
