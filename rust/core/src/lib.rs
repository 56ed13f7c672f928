//! Asynchronous actor-learners: "Asynchronous Methods for Deep Reinforcement Learning" (Mnih et al., 2016).
//!
//! Many actor-learner threads train one shared theta without locks. A method reads the network's output `y` and writes
//! its gradient; the methods are the rows of one table ([`rl::method`]).
//!
//! ```text
//!          obs, theta              y, a, G                   d_theta
//!   nn  ──────────────►  y  ───────────────►  dL/dy  ──────────────►  shared
//! ```
//!
//! | paper | here |
//! |---|---|
//! | theta, theta^- | [`shared::Hogwild`], behind the trait [`shared::Parameters`] |
//! | theta' (the thread's copy) | `theta` of [`shared::LocalCopy`] |
//! | d_theta, g | `d_theta`, [`shared::optimizer`] |
//! | T, T_max | [`shared::clock::Clock`], `total_steps` |
//! | t_max, I_AsyncUpdate | `t_max` |
//! | I_target | `target_interval_steps` |
//! | mu, sigma^2 of section 9 | `y`, read by [`rl::gaussian`] |
//! | R, gamma, beta, eta, alpha, epsilon of RMSProp | `g`, `gamma`, `entropy_beta`, `lr`, `rms_decay`, `rms_eps` |
//!
//! | algorithm line | function |
//! |---|---|
//! | the outer loop of Algorithms 1, S2, S3 | [`train::ActorLearner::segment`] |
//! | `R <- r_i + gamma R` | [`rl::returns::lambda_returns`] |
//! | accumulate gradients | [`rl::Method::grad`], [`nn::Network::backward`] |
//! | asynchronous update of theta using d_theta | [`shared::optimizer`] |
//!
//! Dependencies between the modules: `kernel <- nn`, `kernel <- shared` (its vectors), and `nn`, `rl`, `shared`, `env`
//! `<- train`; `nn` takes the shape of an observation from `env`. `catalogue` holds the entries of the lists of
//! choices. `tests/layers.rs` checks the dependencies.

pub mod catalogue;
pub mod env;
pub mod kernel;
pub mod nn;
pub mod rl;
pub mod shared;
pub mod sync;
pub mod train;
