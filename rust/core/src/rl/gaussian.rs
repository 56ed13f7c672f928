//! Advantage actor-critic with continuous actions (section 9). `y` is `(mu, spread, V)`: d means; one number or d that say how far
//! actions scatter around them; the value.

use super::a3c::ActorCritic;
use super::method::{Form, Loss, Method, Output, Sample};
use super::{ActionVector, ActorRng, MethodSettings};
use num_traits::Float;
use rand::RngExt;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

/// No variance is below this: the density would grow without bound where a policy is sure of itself.
pub const MIN_VARIANCE: f64 = 1e-4;

/// Form of the covariance: the way in which the variance follows from `spread`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Covariance {
    /// Section 9: one variance for all components, `softplus(spread)`, which depends on the state.
    Spherical,
    /// One for each component, `exp(2 spread)`, which does not.
    Diagonal,
}

impl Covariance {
    /// d of an output `(mu, spread, V)`.
    fn dims(self, y_len: usize) -> usize {
        match self {
            Covariance::Spherical => y_len - 2,
            Covariance::Diagonal => (y_len - 1) / 2,
        }
    }

    /// Returns, of component `i`, the index of its spread, its variance, and the derivative of the variance by the spread.
    fn variance<T: Float>(self, spread: &[T], i: usize) -> (usize, T, T) {
        let floor = T::from(MIN_VARIANCE).expect("a small number");
        match self {
            Covariance::Spherical => {
                let x = spread[0];
                // log(1 + exp(x)), without overflow
                let softplus = x.max(T::zero()) + (-x.abs()).exp().ln_1p();
                (0, softplus + floor, T::one() / (T::one() + (-x).exp()))
            }
            Covariance::Diagonal => {
                let variance = (spread[i] + spread[i]).exp();
                (i, variance + floor, variance + variance)
            }
        }
    }
}

/// A3C's form for continuous actions: policy and value share no parameter (section 9).
pub const FORM: Form<ActionVector> = Form { outputs, method: |settings, _| Box::new(GaussianA3c::new(settings)) };

/// The parts of `y` for actions of `dims` components.
pub fn outputs(settings: &MethodSettings, dims: usize) -> Vec<Output> {
    let spread = match settings.gaussian {
        Covariance::Spherical => Output::of_policy("policy", "variance", 1),
        Covariance::Diagonal => Output::constant("policy.log_sigma", dims),
    };
    vec![Output::of_policy("policy", "mu", dims), spread, Output::on("value", "v", 1)]
}

/// A3C with a Gaussian policy.
#[derive(Clone, Debug)]
pub struct GaussianA3c {
    /// The policy's covariance.
    pub covariance: Covariance,
    /// 1 is the paper's n-step return; below 1 lambda-returns, i.e. generalised advantages.
    pub lambda: f32,
    /// beta, the weight of the entropy (1e-4 in section 9).
    pub entropy_beta: f32,
    /// c_v, which multiplies `(G - V)^2`.
    pub value_coef: f32,
    /// c_b, which holds the means where actions are not clipped; 0 where they never are.
    pub bound_coef: f32,
}

impl GaussianA3c {
    /// The method with these settings.
    pub fn new(settings: &MethodSettings) -> Self {
        let &MethodSettings { gaussian: covariance, lambda, entropy_beta, value_coef, bound_coef, .. } = settings;
        GaussianA3c { covariance, lambda, entropy_beta, value_coef, bound_coef }
    }
}

/// The weights of a loss's parts.
#[derive(Clone, Copy, Debug)]
pub struct Weights<T> {
    /// beta
    pub entropy: T,
    /// c_v
    pub value: T,
    /// c_b
    pub bound: T,
}

/// The loss of one step and its gradient, with `v_i` the variance of component i:
///
/// ```text
/// L       = -A log pi(a) - beta H(pi) + c_b sum_i e_i^2 + c_v (G - V)^2,     A a constant; in A3C it is G - V
/// log pi  = -sum_i [ log(2 pi v_i) + (a_i - mu_i)^2 / v_i ] / 2,     H = sum_i [ log(2 pi v_i) + 1 ] / 2
/// e_i     = max(mu_i - 1, 0) + min(mu_i + 1, 0)
/// dL/dmu_i = -A (a_i - mu_i) / v_i + 2 c_b e_i
/// dL/dv_i  = -A [ (a_i - mu_i)^2 / v_i - 1 ] / (2 v_i) - beta / (2 v_i)
/// dL/dV    = 2 c_v (V - G)
/// ```
///
/// e is not in the paper. Beyond -1 and 1 the environment clips actions: they are all alike there, so a mean that has come far
/// beyond learns nothing more and does not come back by itself.
///
/// * `y`: `(mu, spread, V)`; `dy` likewise receives dL/dy
/// * `a`: `(d)`
pub fn loss_and_grad<T: Float>(
    covariance: Covariance,
    y: &[T],
    a: &[T],
    (advantage, g): (T, T),
    weights: Weights<T>,
    dy: &mut [T],
) -> Loss<T> {
    assert_eq!(y.len(), dy.len());
    let (mu, spread) = y[..y.len() - 1].split_at(a.len());
    let (v, two) = (y[y.len() - 1], T::one() + T::one());
    let log_2_pi = T::from(std::f64::consts::TAU.ln()).expect("a small number");
    let (mut log_pi, mut h, mut beyond) = (T::zero(), T::zero(), T::zero());
    dy.fill(T::zero());
    for i in 0..a.len() {
        let (place, variance, derivative) = covariance.variance(spread, i);
        let (off, log) = (a[i] - mu[i], log_2_pi + variance.ln());
        log_pi = log_pi - (log + off * off / variance) / two;
        h = h + (log + T::one()) / two;
        let excess = (mu[i] - T::one()).max(T::zero()) + (mu[i] + T::one()).min(T::zero());
        beyond = beyond + excess * excess;
        dy[i] = two * weights.bound * excess - advantage * off / variance;
        let d_variance = -(advantage * (off * off / variance - T::one()) + weights.entropy) / (two * variance);
        dy[a.len() + place] = dy[a.len() + place] + d_variance * derivative;
    }
    dy[y.len() - 1] = two * weights.value * (v - g);
    let policy = weights.bound * beyond - advantage * log_pi - weights.entropy * h;
    Loss::new(policy, weights.value * (g - v) * (g - v), h)
}

impl Method<ActionVector> for GaussianA3c {
    fn lambda(&self) -> f32 {
        self.lambda
    }
    fn act(&self, y: &[f32], _t: u64, rng: &mut ActorRng) -> ActionVector {
        let (mu, spread) = y.split_at(self.covariance.dims(y.len()));
        ActionVector::from_fn(mu.len(), |i| {
            let noise: f32 = rng.sample(StandardNormal);
            mu[i] + self.covariance.variance(spread, i).1.sqrt() * noise
        })
    }
    fn value(&self, y: &[f32], _next: Option<ActionVector>) -> f32 {
        y[y.len() - 1]
    }
    fn grad(&self, y: &[f32], step: Sample<'_, ActionVector>, dy: &mut [f32]) -> Loss {
        self.loss(y, step.a, step.g - y[y.len() - 1], step.g, dy)
    }
    fn greedy(&self, y: &[f32]) -> ActionVector {
        ActionVector::from_fn(self.covariance.dims(y.len()), |i| y[i])
    }
}

impl ActorCritic<ActionVector> for GaussianA3c {
    fn log_pi(&self, y: &[f32], a: ActionVector) -> f32 {
        let (mu, spread) = y.split_at(self.covariance.dims(y.len()));
        let log_density = |i: usize| {
            let (variance, off) = (self.covariance.variance(spread, i).1, a[i] - mu[i]);
            -0.5 * (std::f32::consts::TAU.ln() + variance.ln() + off * off / variance)
        };
        (0..a.len()).map(log_density).sum()
    }
    fn loss(&self, y: &[f32], a: ActionVector, advantage: f32, g: f32, dy: &mut [f32]) -> Loss {
        let weights = Weights { entropy: self.entropy_beta, value: self.value_coef, bound: self.bound_coef };
        loss_and_grad(self.covariance, y, &a, (advantage, g), weights, dy)
    }
    fn value_coef(&self) -> f32 {
        self.value_coef
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use std::f64::consts::PI;

    const BOTH: [Covariance; 2] = [Covariance::Spherical, Covariance::Diagonal];

    /// `(mu, spread, V)` of a policy over two components.
    fn outputs(covariance: Covariance) -> Vec<f64> {
        match covariance {
            Covariance::Spherical => vec![0.3, -1.2, 0.4, 0.7],
            Covariance::Diagonal => vec![0.3, -1.2, 0.4, -0.9, 0.7],
        }
    }

    /// The variances, straight from section 9 and the diagonal form's definition.
    fn variances(covariance: Covariance, y: &[f64]) -> [f64; 2] {
        match covariance {
            Covariance::Spherical => [(1.0 + y[2].exp()).ln() + MIN_VARIANCE; 2],
            Covariance::Diagonal => [(2.0 * y[2]).exp() + MIN_VARIANCE, (2.0 * y[3]).exp() + MIN_VARIANCE],
        }
    }

    /// The loss with the advantage held constant, from the density itself.
    fn loss(covariance: Covariance, y: &[f64], a: &[f64], g: f64, advantage: f64, weights: Weights<f64>) -> f64 {
        let variances = variances(covariance, y);
        let density: f64 = (0..2)
            .map(|i| (-(a[i] - y[i]).powi(2) / (2.0 * variances[i])).exp() / (2.0 * PI * variances[i]).sqrt())
            .product();
        let entropy: f64 = variances.iter().map(|v| 0.5 * ((2.0 * PI * v).ln() + 1.0)).sum();
        let beyond: f64 = y[..2].iter().map(|mu| (mu.abs() - 1.0).max(0.0).powi(2)).sum();
        let Weights { entropy: beta, value, bound } = weights;
        -advantage * density.ln() - beta * entropy + bound * beyond + value * (g - y[y.len() - 1]).powi(2)
    }

    #[test]
    fn the_gradient_is_the_finite_difference_of_the_loss() {
        for covariance in BOTH {
            for (a, g, entropy, value, bound) in [
                ([0.5, -1.0], 1.5, 1e-4, 0.5, 0.0),
                ([-2.0, 3.0], -3.0, 0.3, 1.0, 0.7),
                ([0.3, -1.2], 0.6, 0.0, 0.25, 1e-2),
            ] {
                let weights = Weights { entropy, value, bound };
                let y = outputs(covariance);
                let (advantage, mut dy) = (g - y[y.len() - 1], vec![f64::NAN; y.len()]);
                let l = loss_and_grad(covariance, &y, &a, (advantage, g), weights, &mut dy);
                let expected = loss(covariance, &y, &a, g, advantage, weights);
                assert!((l.policy + l.value - expected).abs() < 1e-9, "{covariance:?}: {l:?} against {expected}");
                for k in 0..y.len() {
                    let (mut up, mut down, h) = (y.clone(), y.clone(), 1e-6);
                    up[k] += h;
                    down[k] -= h;
                    let at = |y: &[f64]| loss(covariance, y, &a, g, advantage, weights);
                    let fd = (at(&up) - at(&down)) / (2.0 * h);
                    let error = (dy[k] - fd).abs();
                    assert!(error < 1e-5 * fd.abs().max(1e-3), "{covariance:?} slot {k}: {} against {fd}", dy[k]);
                }
            }
        }
    }

    #[test]
    fn samples_have_the_mean_and_the_variance_that_y_says() {
        for covariance in BOTH {
            let y: Vec<f32> = outputs(covariance).iter().map(|x| *x as f32).collect();
            let algo = GaussianA3c { covariance, lambda: 1.0, entropy_beta: 0.0, value_coef: 0.5, bound_coef: 0.0 };
            let mut rng = ActorRng::seed_from_u64(4);
            let n = 40_000;
            let samples: Vec<_> = (0..n).map(|_| algo.act(&y, 0, &mut rng)).collect();
            for (i, variance) in variances(covariance, &outputs(covariance)).into_iter().enumerate() {
                let mean = samples.iter().map(|a| f64::from(a[i])).sum::<f64>() / f64::from(n);
                let spread = samples.iter().map(|a| (f64::from(a[i]) - mean).powi(2)).sum::<f64>() / f64::from(n);
                // five standard deviations of both estimates
                assert!((mean - f64::from(y[i])).abs() < 5.0 * (variance / f64::from(n)).sqrt(), "{mean}");
                assert!((spread / variance - 1.0).abs() < 5.0 * (2.0 / f64::from(n)).sqrt(), "{spread} {variance}");
            }
            assert_eq!(algo.greedy(&y)[..], y[..2]);
        }
    }

    #[test]
    fn a_policy_that_is_sure_of_itself_keeps_finite_gradients() {
        for covariance in BOTH {
            for spread in [-200.0f32, 40.0] {
                let mut y = vec![0.0; outputs(covariance).len()];
                let v = y.len() - 1;
                y[2..v].fill(spread);
                let mut dy = vec![f32::NAN; y.len()];
                let weights = Weights { entropy: 1e-4, value: 0.5, bound: 1e-2 };
                let loss = loss_and_grad(covariance, &y, &[0.01, -0.02], (1.0, 1.0), weights, &mut dy);
                assert!(dy.iter().all(|d| d.is_finite()) && loss.policy.is_finite(), "{covariance:?} {spread}: {dy:?}");
            }
        }
    }
}
