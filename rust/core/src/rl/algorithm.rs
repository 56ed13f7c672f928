//! What the training loop asks of a method.

use super::ActorRng;

/// Under which parameters `v_{t+1}` is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bootstrap {
    /// theta_target, the periodically refreshed copy of the value-based methods.
    Target,
    /// The actor's own theta'.
    Local,
}

/// The parts of one step's loss, for the log. The sum `policy + value` is what [`Algorithm::grad`] differentiates, with the
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

/// One row of the table in [`crate::rl`]: everything in which the methods differ. `A` is the action.
pub trait Algorithm<A>: Send {
    /// How far returns look ahead: 0 is one step, 1 to the end of the segment.
    fn lambda(&self) -> f32;
    /// Whose parameters give `v_{t+1}`.
    fn bootstrap(&self) -> Bootstrap;
    /// Whether `v_{t+1}` depends on the action really taken next (Sarsa).
    fn follows_policy(&self) -> bool {
        false
    }
    /// The probability of a random action at global step `t`, where the method explores so.
    fn explore_eps(&self, _t: u64) -> Option<f32> {
        None
    }
    /// The action for output `y` at global step `t` ("take action a_t according to ...").
    fn act(&self, y: &[f32], t: u64, rng: &mut ActorRng) -> A;
    /// `v` of a state with output `y`; `next` is the action taken there, given where [`Algorithm::follows_policy`].
    fn value(&self, y: &[f32], next: Option<A>) -> f32;
    /// Writes dL/dy of one step with action `a` and return `g` into `dy`, and returns L.
    fn grad(&self, y: &[f32], a: A, g: f32, dy: &mut [f32]) -> Loss;
    /// The action without exploration: the most probable or most valuable.
    fn greedy(&self, y: &[f32]) -> A;
}
