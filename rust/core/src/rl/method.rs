//! THE table: a method is one row, and everything in which methods differ stands in it.
//!
//! A new method is a file with its [`Method`] and its [`Row`], a name in [`Algo`] and a line in [`Algo::row`].

use super::{ActionVector, ActorRng, Covariance, Exploration, a2c, a3c, ppo, value_based};
use crate::catalogue::Entry;
use num_traits::Float;
use serde::{Deserialize, Serialize};
use std::ops::Add;

/// Names of the methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algo {
    /// Asynchronous advantage actor-critic, Algorithm S3.
    A3c,
    /// Advantage actor-critic with one update of all actors' rollouts.
    A2c,
    /// Proximal policy optimisation (Schulman et al. 2017).
    Ppo,
    /// One-step Q-learning, Algorithm 1.
    OneStepQ,
    /// One-step Sarsa, section 4.
    OneStepSarsa,
    /// n-step Q-learning, Algorithm S2.
    NStepQ,
}

impl Algo {
    /// All methods, in the order in which they are listed.
    pub const ALL: [Algo; 6] = [Algo::A3c, Algo::A2c, Algo::Ppo, Algo::OneStepQ, Algo::OneStepSarsa, Algo::NStepQ];

    /// The method's row of the table.
    pub const fn row(self) -> &'static Row {
        match self {
            Algo::A3c => &a3c::ROW,
            Algo::A2c => &a2c::ROW,
            Algo::Ppo => &ppo::ROW,
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
    /// Experience that an update learns from.
    pub experience: Experience,
    /// True where a step's policy loss is clipped once pi has moved too far.
    pub clips: bool,
    /// The form for discrete actions.
    pub discrete: Form<usize>,
    /// The form for continuous actions, if the method has one.
    pub continuous: Option<Form<ActionVector>>,
}

/// Experience that an update learns from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Experience {
    /// The segment of one actor, which ends where its episode does: the paper's. Losses are summed over its steps.
    Segment,
    /// Rollouts of exactly t_max steps, across episodes, of a pool of actors; the other pools go on meanwhile. Losses are averaged.
    Pool,
    /// The same of all actors, who wait for the update.
    All,
}

impl Experience {
    /// True where a segment goes on in the next episode.
    pub const fn spans_episodes(self) -> bool {
        match self {
            Experience::Segment => false,
            Experience::Pool | Experience::All => true,
        }
    }
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
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Output {
    /// Trunk that it stands on; outputs of one trunk are adjacent. `""` is a single trunk shared by all outputs.
    pub trunk: &'static str,
    /// Name of its tensors.
    pub name: &'static str,
    /// Number of outputs.
    pub len: usize,
    /// True for parameters that do not depend on the observation.
    pub is_constant: bool,
    /// Gain of its weights where they are initialised orthogonally.
    pub gain: f32,
}

/// Gain of a policy's outputs: at first all actions are about as likely (Andrychowicz et al. 2021, section 3.2).
const POLICY_GAIN: f32 = 0.01;

impl Output {
    /// `len` outputs of a linear layer on `trunk`.
    pub const fn on(trunk: &'static str, name: &'static str, len: usize) -> Output {
        Output { trunk, name, len, is_constant: false, gain: 1.0 }
    }

    /// The same for outputs of a policy.
    pub const fn of_policy(trunk: &'static str, name: &'static str, len: usize) -> Output {
        Output { gain: POLICY_GAIN, ..Output::on(trunk, name, len) }
    }

    /// `len` outputs that are parameters, whatever is observed.
    pub const fn constant(name: &'static str, len: usize) -> Output {
        Output { trunk: "", name, len, is_constant: true, gain: 1.0 }
    }
}

/// Settings that methods read, in the paper's symbols; a part of the run's configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodSettings {
    /// Weight of longer returns in the actor-critic methods' lambda-return: 1 is the paper's n-step return.
    pub lambda: f32,
    /// Covariance of the policy where actions are continuous.
    pub gaussian: Covariance,
    /// c_b, which holds a Gaussian's means within the range beyond which actions are clipped.
    pub bound_coef: f32,
    /// beta, the weight of the policy's entropy.
    pub entropy_beta: f32,
    /// c_v, which multiplies `(G - V)^2`.
    pub value_coef: f32,
    /// Passes of PPO over its experience.
    pub epochs: usize,
    /// Steps of one of PPO's updates; 0 is all of its experience.
    pub minibatch_steps: usize,
    /// Number of actors whose rollouts PPO learns from together.
    pub pool: usize,
    /// epsilon of PPO: probability ratios are clipped to `1 - epsilon .. 1 + epsilon`.
    pub clip_range: f32,
    /// Distance from the old V to which PPO clips the new one; 0 does not clip.
    pub value_clip_range: f32,
    /// True where PPO's advantages are brought to mean 0 and deviation 1 in each minibatch.
    pub normalize_advantage: bool,
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
    /// 1 where the step's policy loss was clipped, so that its gradient is 0; else 0.
    pub clipped: T,
    /// Estimate of `KL(pi_acted || pi)` from one action: `(rho - 1) - log rho` (Schulman 2020); 0 where they are the same.
    pub kl: T,
}

impl<T: Float> Loss<T> {
    /// Loss of a method that neither clips nor makes several passes.
    pub fn new(policy: T, value: T, entropy: T) -> Self {
        Loss { policy, value, entropy, clipped: T::zero(), kl: T::zero() }
    }
}

impl Add<Loss> for Loss<f64> {
    type Output = Self;
    fn add(self, step: Loss) -> Self {
        Loss {
            policy: self.policy + f64::from(step.policy),
            value: self.value + f64::from(step.value),
            entropy: self.entropy + f64::from(step.entropy),
            clipped: self.clipped + f64::from(step.clipped),
            kl: self.kl + f64::from(step.kl),
        }
    }
}

/// One step as it is learned from.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a, A> {
    /// The `y` under which the action was taken (for an old log pi, an old V). In the first pass over a segment it is `y` itself.
    pub acted: &'a [f32],
    /// The action a.
    pub a: A,
    /// The return G.
    pub g: f32,
    /// `G - v` of the state when the action was taken, normalised where the method wants it so.
    pub advantage: f32,
}

/// A method with its settings, as the loop calls it. `A` is the action, `y` the network's output.
pub trait Method<A>: Send {
    /// Passes over the experience, each with at least one update of theta; in all but the first `y` is computed anew.
    fn passes(&self) -> usize {
        1
    }

    /// True where advantages are brought to mean 0 and deviation 1 in each update.
    fn normalizes_advantages(&self) -> bool {
        false
    }

    /// lambda where it is the same at every step: 0 is the one-step return, 1 the n-step return.
    fn lambda(&self) -> f32;

    /// `lambda_t`, the weight of `G_t` in `G_{t-1}`, for the action `a` taken under `acted`; V-trace cuts it where pi of `y` has
    /// become less likely to take it.
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

    /// Writes dL/dy of one step into `dy`, and returns L.
    fn grad(&self, y: &[f32], step: Sample<'_, A>, dy: &mut [f32]) -> Loss;

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
            epochs: 1,
            minibatch_steps: 0,
            pool: 1,
            clip_range: 0.2,
            value_clip_range: 0.0,
            normalize_advantage: true,
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
