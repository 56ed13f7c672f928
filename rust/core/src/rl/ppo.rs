//! Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347): several passes over the same rollouts, in which the
//! gradient of a step vanishes once pi has moved far enough from the policy that took its action.

use super::ActorRng;
use super::a3c::{self, A3c, ActorCritic};
use super::gaussian::{self, GaussianA3c};
use super::method::{Experience, Form, Loss, Method, MethodSettings, Row, Sample};
use crate::catalogue::Entry;

/// PPO's row: the policies and values of A3C.
pub const ROW: Row = Row {
    entry: Entry {
        name: "ppo",
        what: "proximal policy optimisation: several passes over the rollouts of a pool of actors",
        paper: "not in the paper; Schulman et al. 2017, equation 9",
        settings: &[
            "lambda",
            "gaussian",
            "bound_coef",
            "entropy_beta",
            "value_coef",
            "epochs",
            "minibatch_steps",
            "pool",
            "clip_range",
            "value_clip_range",
            "normalize_advantage",
        ],
    },
    has_policy: true,
    reads_target: false,
    experience: Experience::Pool,
    clips: true,
    discrete: Form {
        outputs: a3c::FORM.outputs,
        method: |settings, _| {
            let &MethodSettings { lambda, entropy_beta, value_coef, .. } = settings;
            Box::new(Ppo::new(A3c { lambda, entropy_beta, value_coef }, settings))
        },
    },
    continuous: Some(Form {
        outputs: gaussian::outputs,
        method: |settings, _| Box::new(Ppo::new(GaussianA3c::new(settings), settings)),
    }),
};

/// Ratios of probabilities are at most `e^20`, so that their sums stay finite.
const MOST_LOG_RHO: f32 = 20.0;

/// PPO with the policy and the value of `P`.
#[derive(Clone, Debug)]
pub struct Ppo<P> {
    policy: P,
    epochs: usize,
    normalizes_advantages: bool,
    /// epsilon of the surrogate
    clip_range: f32,
    /// The same for V; 0 where V is not clipped.
    value_clip_range: f32,
}

impl<P> Ppo<P> {
    /// PPO with `policy` and these settings.
    pub fn new(policy: P, settings: &MethodSettings) -> Self {
        Ppo {
            policy,
            epochs: settings.epochs,
            normalizes_advantages: settings.normalize_advantage,
            clip_range: settings.clip_range,
            value_clip_range: settings.value_clip_range,
        }
    }
}

impl<P> Ppo<P> {
    /// The loss of one step and its gradient:
    ///
    /// ```text
    /// rho = pi(a) / pi_acted(a)
    /// L   = -min(rho A, clip(rho, 1 - eps, 1 + eps) A) - beta H(pi) + c_v (G - V)^2
    /// dL  = -[rho A, or 0 where it is clipped] d log pi(a) - beta dH + 2 c_v (V - G) dV
    /// ```
    ///
    /// With clipped values the last term is `c_v max((G - V)^2, (G - V_clip)^2)`, where V_clip is V brought within a distance of
    /// V_acted (section 5 of the paper has it not; its authors' code does).
    fn loss<A: Copy>(&self, y: &[f32], step: Sample<'_, A>, dy: &mut [f32]) -> Loss
    where
        P: ActorCritic<A>,
    {
        let Sample { acted, a, g, advantage } = step;
        let log_rho = (self.policy.log_pi(y, a) - self.policy.log_pi(acted, a)).min(MOST_LOG_RHO);
        let rho = log_rho.exp();
        let bound = if advantage > 0.0 { 1.0 + self.clip_range } else { 1.0 - self.clip_range };
        let is_clipped = (rho - bound) * advantage > 0.0;
        let weight = if is_clipped { 0.0 } else { rho * advantage };
        let mut loss = self.policy.loss(y, a, weight, g, dy);
        // The surrogate stands where `loss` has `-weight log pi(a)`: their gradients are the same.
        loss.policy += weight * self.policy.log_pi(y, a) - if is_clipped { bound } else { rho } * advantage;
        loss.kl = rho - 1.0 - log_rho;
        loss.clipped = f32::from(is_clipped);
        let (v, v_acted) = (y[y.len() - 1], acted[acted.len() - 1]);
        if self.value_clip_range > 0.0 && (v - v_acted).abs() > self.value_clip_range {
            let v_clip = v_acted + (v - v_acted).clamp(-self.value_clip_range, self.value_clip_range);
            if (g - v_clip).powi(2) > (g - v).powi(2) {
                loss.value = self.policy.value_coef() * (g - v_clip).powi(2);
                dy[y.len() - 1] = 0.0;
            }
        }
        loss
    }
}

impl<A: Copy, P: ActorCritic<A>> Method<A> for Ppo<P> {
    fn passes(&self) -> usize {
        self.epochs
    }
    fn normalizes_advantages(&self) -> bool {
        self.normalizes_advantages
    }
    fn lambda(&self) -> f32 {
        self.policy.lambda()
    }
    fn act(&self, y: &[f32], t: u64, rng: &mut ActorRng) -> A {
        self.policy.act(y, t, rng)
    }
    fn value(&self, y: &[f32], next: Option<A>) -> f32 {
        self.policy.value(y, next)
    }
    fn grad(&self, y: &[f32], step: Sample<'_, A>, dy: &mut [f32]) -> Loss {
        self.loss(y, step, dy)
    }
    fn greedy(&self, y: &[f32]) -> A {
        self.policy.greedy(y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rl::{ActionVector, Covariance};

    const CLIP: f64 = 0.2;
    const BETA: f64 = 0.03;
    const VALUE_COEF: f64 = 0.4;

    /// A case: `y`, the output when it acted, the return and the advantage.
    struct Case {
        y: Vec<f32>,
        acted: Vec<f32>,
        g: f32,
        advantage: f32,
        value_clip: f32,
    }

    fn settings(value_clip_range: f32) -> MethodSettings {
        MethodSettings {
            lambda: 0.95,
            gaussian: Covariance::Diagonal,
            bound_coef: 0.0,
            entropy_beta: BETA as f32,
            value_coef: VALUE_COEF as f32,
            epochs: 4,
            minibatch_steps: 32,
            pool: 1,
            clip_range: CLIP as f32,
            value_clip_range,
            normalize_advantage: true,
            explore_anneal_steps: 0,
        }
    }

    /// Schulman et al. (2017), equation 9, with the value clipping of their code, from log pi and H as the caller defines them.
    fn loss_in_f64(case: &Case, y: &[f64], log_pi: impl Fn(&[f64]) -> f64, entropy: impl Fn(&[f64]) -> f64) -> f64 {
        let acted: Vec<f64> = case.acted.iter().map(|x| f64::from(*x)).collect();
        let (g, a, v, v_acted) = (f64::from(case.g), f64::from(case.advantage), y[y.len() - 1], acted[acted.len() - 1]);
        let rho = (log_pi(y) - log_pi(&acted)).exp();
        let surrogate = (rho * a).min(rho.clamp(1.0 - CLIP, 1.0 + CLIP) * a);
        let clip = f64::from(case.value_clip);
        let v_clip = v_acted + (v - v_acted).clamp(-clip, clip);
        let value = if clip > 0.0 { (g - v).powi(2).max((g - v_clip).powi(2)) } else { (g - v).powi(2) };
        -surrogate - BETA * entropy(y) + VALUE_COEF * value
    }

    fn check<A: Copy + 'static>(
        policy: impl ActorCritic<A>,
        a: A,
        cases: &[Case],
        log_pi: impl Fn(&[f64]) -> f64,
        entropy: impl Fn(&[f64]) -> f64,
    ) {
        let mut ppo = Ppo::new(policy, &settings(0.0));
        let mut clipped = 0.0;
        for (i, case) in cases.iter().enumerate() {
            ppo.value_clip_range = case.value_clip;
            let step = Sample { acted: &case.acted, a, g: case.g, advantage: case.advantage };
            let mut dy = vec![f32::NAN; case.y.len()];
            let loss = ppo.grad(&case.y, step, &mut dy);
            let y: Vec<f64> = case.y.iter().map(|x| f64::from(*x)).collect();
            let of = |y: &[f64]| loss_in_f64(case, y, &log_pi, &entropy);
            let error = f64::from(loss.policy + loss.value) - of(&y);
            assert!(error.abs() < 1e-5, "case {i}: the loss is off by {error}");
            for (k, dy) in dy.iter().enumerate() {
                let (mut up, mut down, h) = (y.clone(), y.clone(), 1e-6);
                up[k] += h;
                down[k] -= h;
                let fd = (of(&up) - of(&down)) / (2.0 * h);
                assert!(
                    (f64::from(*dy) - fd).abs() < 1e-4 * fd.abs().max(1e-2),
                    "case {i}, slot {k}: {dy} against {fd}"
                );
            }
            clipped += loss.clipped;
            let kl = (log_pi(&y) - log_pi(&case.acted.iter().map(|x| f64::from(*x)).collect::<Vec<_>>())).exp_m1();
            assert!(loss.kl >= -1e-6 && f64::from(loss.kl) <= kl.abs() + 1e-5, "case {i}: {}", loss.kl);
        }
        assert!(clipped > 0.0 && clipped < cases.len() as f32, "some cases are to be clipped, not all: {clipped}");
    }

    fn case(y: &[f32], acted: &[f32], advantage: f32, g: f32, value_clip: f32) -> Case {
        Case { y: y.to_vec(), acted: acted.to_vec(), g, advantage, value_clip }
    }

    #[test]
    fn the_gradient_of_a_softmax_is_the_finite_difference_of_equation_9() {
        let (near, far) = ([0.35, -1.0, 0.1, 0.9], [1.9, -1.0, 0.1, 0.9]);
        let acted = [0.3, -1.1, 0.2, 0.5];
        let cases = [
            case(&near, &acted, 1.5, 1.2, 0.0),
            case(&near, &acted, -1.5, 1.2, 0.0),
            case(&far, &acted, 1.5, -0.3, 0.0), // has become likelier, and shall: clipped
            case(&far, &acted, -1.5, -0.3, 0.0), // has become likelier, and shall not
            case(&near, &acted, 0.5, 2.0, 0.1), // V moves the right way, too far: clipped
            case(&near, &acted, 0.5, 0.1, 0.1), // the wrong way
        ];
        let log_z = |y: &[f64]| y[..3].iter().map(|x| x.exp()).sum::<f64>().ln();
        let entropy = |y: &[f64]| (0..3).map(|k| -(y[k] - log_z(y)).exp() * (y[k] - log_z(y))).sum();
        let policy = A3c { lambda: 0.95, entropy_beta: BETA as f32, value_coef: VALUE_COEF as f32 };
        check(policy, 0, &cases, |y| y[0] - log_z(y), entropy);
    }

    #[test]
    fn the_gradient_of_a_gaussian_is_the_finite_difference_of_equation_9() {
        let (near, far) = ([0.35, -0.2, -0.5, -0.4, 0.9], [0.9, -0.2, -1.5, -0.4, 0.9]);
        let acted = [0.3, -0.1, -0.5, -0.45, 0.5];
        let cases = [
            case(&near, &acted, 1.5, 1.2, 0.0),
            case(&near, &acted, -1.5, 1.2, 0.0),
            case(&far, &acted, 0.7, -0.3, 0.0),
            case(&far, &acted, -0.7, -0.3, 0.2),
        ];
        let action = [0.8f32, -0.6];
        let variance = |y: &[f64], i: usize| (2.0 * y[2 + i]).exp() + gaussian::MIN_VARIANCE;
        let tau = std::f64::consts::TAU;
        let log_pi = |y: &[f64]| {
            let of = |i: usize| (tau * variance(y, i)).ln() + (f64::from(action[i]) - y[i]).powi(2) / variance(y, i);
            -0.5 * (of(0) + of(1))
        };
        let entropy = |y: &[f64]| (0..2).map(|i| 0.5 * ((tau * variance(y, i)).ln() + 1.0)).sum();
        check(GaussianA3c::new(&settings(0.0)), ActionVector::from_fn(2, |i| action[i]), &cases, log_pi, entropy);
    }

    #[test]
    fn without_a_move_it_is_the_gradient_of_the_actor_critic() {
        let y = [0.3, -1.1, 0.2, 0.5];
        let policy = A3c { lambda: 0.95, entropy_beta: BETA as f32, value_coef: VALUE_COEF as f32 };
        let (mut own, mut other) = ([0.0; 4], [0.0; 4]);
        let step = Sample { acted: &y, a: 1, g: 1.7, advantage: 1.7 - 0.5 };
        let loss = Ppo::new(policy.clone(), &settings(0.0)).grad(&y, step, &mut own);
        policy.grad(&y, step, &mut other);
        assert_eq!((own, loss.kl, loss.clipped), (other, 0.0, 0.0));
    }
}
