//! Networks: theta as one flat vector, and layers with offsets into it.
//!
//! A network reads observations and theta and writes `y`; given dL/dy it writes d_theta. This module is independent of
//! actions, rewards and threads.

pub mod architecture;
mod backward;
mod describe;
mod graph;
mod init;
pub mod layer;
pub mod layout;
mod lstm;
pub mod network;
mod runs;
pub mod tape;

pub use architecture::{Filters, Net, NetSpec};
pub use describe::{Column, LayerDescription};
pub use graph::{Graph, Source};
pub use init::Init;
pub use layer::Kind;
pub use layout::{Layout, Param};
pub use network::{Head, NetError, Network, Part};
pub use tape::{Observations, Tape, Workspace};
