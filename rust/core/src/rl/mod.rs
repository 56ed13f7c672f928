//! Methods of the paper, seen from the network's output `y`: no parameters, no threads, no I/O.
//!
//! One return formula ([`returns::lambda_returns`]) makes every method a row of data:
//!
//! | row | paper | lambda | `v_{t+1}` | read under | behaviour | dL/dy of one step |
//! |---|---|---|---|---|---|---|
//! | one-step Q | Algorithm 1 | 0 | `max_a Q(s, a)` | theta_target | eps-greedy | `2 (Q(s, a) - G)` in slot `a` |
//! | one-step Sarsa | section 4 | 0 | `Q(s, a')` | theta_target | eps-greedy | same |
//! | n-step Q | Algorithm S2 | 1 | `max_a Q(s, a)` | theta_target | eps-greedy | same |
//! | A3C | Algorithm S3 | 1 | `V(s)` | theta (local) | sample pi | `-(G - V) grad log pi - beta grad H`; `2 c_v (V - G)` |
//! | A2C | none | 1 | `V(s)` | theta (local) | sample pi | A3C's, averaged over the rollouts of all actors |
//! | PPO | none | 1 | `V(s)` | theta (local) | sample pi | `-min(rho A, clip(rho) A) - beta H`; `c_v (G - V)^2`: [`ppo`] |
//!
//! With continuous actions (section 9) pi is a Gaussian instead of a softmax, and the last row is [`GaussianA3c`].

pub mod a2c;
pub mod a3c;
pub mod action;
pub mod explore;
pub mod gaussian;
pub mod method;
pub mod policy;
pub mod ppo;
pub mod returns;
pub mod value_based;

pub use a3c::{A3c, ActorCritic};
pub use action::{Action, ActionVector, MAX_ACTION_DIMS};
pub use explore::Exploration;
pub use gaussian::{Covariance, GaussianA3c};
pub use method::{Algo, Experience, Loss, Method, MethodSettings, Output, Sample};
pub use ppo::Ppo;
pub use value_based::ValueBased;

/// Random stream of one actor.
pub type ActorRng = rand_xoshiro::Xoshiro256PlusPlus;
