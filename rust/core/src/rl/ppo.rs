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

/// PPO with the policy and the value of `P`.
#[derive(Clone, Debug)]
pub struct Ppo<P> {
    policy: P,
    epochs: usize,
    minibatch_steps: usize,
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
            minibatch_steps: settings.minibatch_steps,
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
        let log_rho = self.policy.log_pi(y, a) - self.policy.log_pi(acted, a);
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
    fn minibatch_steps(&self) -> usize {
        self.minibatch_steps
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
