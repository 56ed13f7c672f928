//! Rules of the optimizers, one vector of parameters at a time.
//!
//! Every rule is written with separate multiplications and additions, all correctly rounded, so that it gives the same bits
//! on every instruction set.

use super::{OptimizerConfig, Rule, StepSize};
use crate::kernel::simd::Simd;
use crate::shared::store::Update;

#[derive(Clone, Copy)]
pub(super) struct MomentumSgd {
    alpha: f32,
    step: StepSize,
}

impl Rule<1> for MomentumSgd {
    const STATISTICS: &'static [&'static str] = &["m"];
    const HAS_EPS: bool = false;
    fn new(config: &OptimizerConfig, step: StepSize) -> Self {
        MomentumSgd { alpha: config.decay, step }
    }
}

impl Update<1> for MomentumSgd {
    #[inline(always)]
    fn step<S: Simd>(self, s: S, d_theta: S::V, [m]: [S::V; 1], theta: S::V) -> ([S::V; 1], S::V) {
        let (alpha, rest, eta) = (s.splat(self.alpha), s.splat(1.0 - self.alpha), s.splat(self.step.eta));
        let d_theta = s.mul(s.splat(self.step.scale), d_theta);
        // m = alpha m + (1 - alpha) d_theta
        let m = s.add(s.mul(alpha, m), s.mul(rest, d_theta));
        // theta <- theta - eta m
        ([m], s.sub(theta, s.mul(eta, m)))
    }
}

#[derive(Clone, Copy)]
pub(super) struct RmsProp {
    alpha: f32,
    eps: f32,
    step: StepSize,
}

impl Rule<1> for RmsProp {
    const STATISTICS: &'static [&'static str] = &["g"];
    const HAS_EPS: bool = true;
    fn new(config: &OptimizerConfig, step: StepSize) -> Self {
        RmsProp { alpha: config.decay, eps: config.eps, step }
    }
}

impl Update<1> for RmsProp {
    #[inline(always)]
    fn step<S: Simd>(self, s: S, d_theta: S::V, [g]: [S::V; 1], theta: S::V) -> ([S::V; 1], S::V) {
        let (alpha, rest) = (s.splat(self.alpha), s.splat(1.0 - self.alpha));
        let (eta, eps) = (s.splat(self.step.eta), s.splat(self.eps));
        let d_theta = s.mul(s.splat(self.step.scale), d_theta);
        // g = alpha g + (1 - alpha) d_theta^2
        let g = s.add(s.mul(alpha, g), s.mul(rest, s.mul(d_theta, d_theta)));
        // theta <- theta - eta d_theta / sqrt(g + eps)
        ([g], s.sub(theta, s.div(s.mul(eta, d_theta), s.sqrt(s.add(g, eps)))))
    }

    #[inline(always)]
    fn rest<S: Simd>(self, s: S, [g]: [S::V; 1]) -> Option<[S::V; 1]> {
        Some([s.mul(s.splat(self.alpha), g)]) // eta 0 / sqrt(g + eps) moves nothing
    }
}

#[derive(Clone, Copy)]
pub(super) struct Adam {
    beta1: f32,
    beta2: f32,
    eps: f32,
    /// eta sqrt(1 - beta_2^t) / (1 - beta_1^t)
    alpha_t: f32,
    /// sqrt(1 - beta_2^t), by which epsilon is multiplied: the same as dividing v by its square.
    root: f32,
    scale: f32,
}

impl Rule<2> for Adam {
    const STATISTICS: &'static [&'static str] = &["m", "v"];
    const HAS_EPS: bool = true;
    fn new(config: &OptimizerConfig, step: StepSize) -> Self {
        let bias = |beta: f32| 1.0 - f64::from(beta).powf(step.count as f64);
        let root = bias(config.decay2).sqrt();
        let alpha_t = (f64::from(step.eta) * root / bias(config.decay)) as f32;
        let (beta1, beta2) = (config.decay, config.decay2);
        Adam { beta1, beta2, eps: config.eps, alpha_t, root: root as f32, scale: step.scale }
    }
}

impl Update<2> for Adam {
    #[inline(always)]
    fn step<S: Simd>(self, s: S, d_theta: S::V, [m, v]: [S::V; 2], theta: S::V) -> ([S::V; 2], S::V) {
        let d_theta = s.mul(s.splat(self.scale), d_theta);
        // m = beta_1 m + (1 - beta_1) d_theta
        let m = s.add(s.mul(s.splat(self.beta1), m), s.mul(s.splat(1.0 - self.beta1), d_theta));
        // v = beta_2 v + (1 - beta_2) d_theta^2
        let v = s.add(s.mul(s.splat(self.beta2), v), s.mul(s.splat(1.0 - self.beta2), s.mul(d_theta, d_theta)));
        // theta <- theta - eta m^ / (sqrt(v^) + eps), m^ = m / (1 - beta_1^t) and v^ = v / (1 - beta_2^t)
        let divisor = s.add(s.sqrt(v), s.splat(self.root * self.eps));
        ([m, v], s.sub(theta, s.div(s.mul(s.splat(self.alpha_t), m), divisor)))
    }
}
