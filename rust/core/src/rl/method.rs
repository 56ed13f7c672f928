//! THE table: a method is one row, and everything in which methods differ stands in it.
//!
//! A new method is a file with its [`Method`] and its [`Row`], a name in [`Algo`] and a line in [`Algo::row`].

use super::{ActionVector, ActorRng, Covariance, Exploration, a3c, value_based};
use crate::catalogue::Entry;
use serde::{Deserialize, Serialize};

/// Names of the methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algo {
    /// Advantage actor-critic, Algorithm S3.
    A3c,
    /// One-step Q-learning, Algorithm 1.
    OneStepQ,
    /// One-step Sarsa, section 4.
    OneStepSarsa,
    /// n-step Q-learning, Algorithm S2.
    NStepQ,
}

impl Algo {
    /// All methods, in the order in which they are listed.
    pub const ALL: [Algo; 4] = [Algo::A3c, Algo::OneStepQ, Algo::OneStepSarsa, Algo::NStepQ];

    /// The method's row of the table.
    pub const fn row(self) -> &'static Row {
        match self {
            Algo::A3c => &a3c::ROW,
            Algo::OneStepQ => &value_based::ONE_STEP_Q,
            Algo::OneStepSarsa => &value_based::ONE_STEP_SARSA,
            Algo::NStepQ => &value_based::N_STEP_Q,
        }
    }

    /// The method's name in a configuration.
    pub const fn name(self) -> &'static str {
        self.row().entry.name
    }
}

/// One row: a method before it is given its settings.
pub struct Row {
    /// Name, description and source.
    pub entry: Entry,
    /// True where `y` holds a policy, false where it holds action values alone.
    pub has_policy: bool,
    /// True where `v_{t+1}` is read under theta_target, false where it is read under theta'.
    pub reads_target: bool,
    /// The form for discrete actions.
    pub discrete: Form<usize>,
    /// The form for continuous actions, if the method has one.
    pub continuous: Option<Form<ActionVector>>,
}

/// A method's form for one kind of action.
pub struct Form<A> {
    /// The parts of `y` for so many actions, or for actions of so many components.
    pub outputs: fn(&MethodSettings, usize) -> Vec<Output>,
    /// The constructor; it draws the actor's exploration only for methods that explore so.
    pub method: Build<A>,
}

/// A method's constructor.
pub type Build<A> = fn(&MethodSettings, &mut dyn FnMut() -> Exploration) -> Box<dyn Method<A>>;

/// One part of `y`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// Trunk that it stands on; outputs of one trunk are adjacent. `""` is a single trunk shared by all outputs.
    pub trunk: &'static str,
    /// Name of its tensors.
    pub name: &'static str,
    /// Number of outputs.
    pub len: usize,
    /// True for parameters that do not depend on the observation.
    pub is_constant: bool,
}

impl Output {
    /// `len` outputs of a linear layer on `trunk`.
    pub const fn on(trunk: &'static str, name: &'static str, len: usize) -> Output {
        Output { trunk, name, len, is_constant: false }
    }

    /// `len` outputs that are parameters, whatever is observed.
    pub const fn constant(name: &'static str, len: usize) -> Output {
        Output { trunk: "", name, len, is_constant: true }
    }
}

/// Settings that methods read, in the paper's symbols; a part of the run's configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodSettings {
    /// Weight of longer returns in A3C's lambda-return: 1 is the paper's n-step return.
    pub lambda: f32,
    /// Covariance of A3C's policy where actions are continuous.
    pub gaussian: Covariance,
    /// c_b, which holds a Gaussian's means within the range beyond which actions are clipped.
    pub bound_coef: f32,
    /// beta, the weight of A3C's entropy.
    pub entropy_beta: f32,
    /// c_v, which multiplies A3C's `(G - V)^2`.
    pub value_coef: f32,
    /// Steps over which the value-based methods anneal their exploration.
    pub explore_anneal_steps: u64,
}

/// Parts of one step's loss, for the log. The sum `policy + value` is what [`Method::grad`] differentiates, with the
/// entropy bonus inside `policy`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Loss<T = f32> {
    /// `-(G - V) log pi(a) - beta H`; 0 for value-based methods.
    pub policy: T,
    /// `c_v (G - V)^2` or `(G - Q)^2`.
    pub value: T,
    /// H, the entropy of pi in nats; 0 for value-based methods.
    pub entropy: T,
}

/// A method with its settings, as the loop calls it. `A` is the action, `y` the network's output.
///
/// `acted` is the `y` under which an action was taken (for an old log pi, an old V). In the first pass over a segment it is
/// `y` itself.
pub trait Method<A>: Send {
    /// Passes over a segment, each with an update of theta; in all but the first `y` is computed anew.
    fn passes(&self) -> usize {
        1
    }

    /// lambda where it is the same at every step: 0 is the one-step return, 1 the n-step return.
    fn lambda(&self) -> f32;

    /// `lambda_t`, the weight of `G_t` in `G_{t-1}`; V-trace cuts it where pi has become less likely to take `a`.
    fn trace(&self, _y: &[f32], _acted: &[f32], _a: A) -> f32 {
        self.lambda()
    }

    /// True where every `lambda_t` is 1, so that of all `v_{t+1}` only the last is read.
    fn is_n_step(&self) -> bool {
        self.lambda() == 1.0
    }

    /// True where `v_{t+1}` depends on the action really taken next (Sarsa).
    fn follows_policy(&self) -> bool {
        false
    }

    /// Probability of a random action at global step `t`, where the method explores so.
    fn explore_eps(&self, _t: u64) -> Option<f32> {
        None
    }

    /// The action for output `y` at global step `t` ("take action a_t according to ...").
    fn act(&self, y: &[f32], t: u64, rng: &mut ActorRng) -> A;

    /// `v` of a state with output `y`; `next` is the action taken there, given where [`Method::follows_policy`].
    fn value(&self, y: &[f32], next: Option<A>) -> f32;

    /// Writes dL/dy of one step with action `a` and return `g` into `dy`, and returns L.
    fn grad(&self, y: &[f32], acted: &[f32], a: A, g: f32, dy: &mut [f32]) -> Loss;

    /// The action without exploration: the most probable or most valuable.
    fn greedy(&self, y: &[f32]) -> A;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_spells_a_method_as_its_row_does() {
        for algo in Algo::ALL {
            assert_eq!(serde_json::to_string(&algo).unwrap(), format!("{:?}", algo.name()));
        }
    }

    #[test]
    fn a_method_lists_only_settings_that_there_are() {
        let settings = MethodSettings {
            lambda: 1.0,
            gaussian: Covariance::Diagonal,
            bound_coef: 0.0,
            entropy_beta: 0.0,
            value_coef: 0.5,
            explore_anneal_steps: 0,
        };
        let known = serde_json::to_value(settings).unwrap();
        for algo in Algo::ALL {
            for name in algo.row().entry.settings {
                assert!(known.get(name).is_some() || *name == "target_interval_steps", "{}: {name}", algo.name());
            }
        }
    }
}
