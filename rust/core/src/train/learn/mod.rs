//! Learning: the paper's loop, the update, and what an actor-learner keeps between segments.

pub mod actor_learner;
pub mod actor_state;
pub mod moments;
pub mod normalise;
pub mod place;
pub mod pool;
pub mod rewards;
pub mod rollout;
pub mod segment;
pub mod shared;
mod update;

pub use actor_learner::{Actor, ActorLearner};
pub use actor_state::{ActorMeta, ActorState};
pub use pool::Pool;
pub use rollout::Rollout;
pub use segment::Segment;
pub use shared::Shared;
