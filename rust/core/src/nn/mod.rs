//! Networks: theta as one flat vector, a network as a list of layers with offsets into it.
//!
//! A network reads observations and theta and writes `y`; given dL/dy it writes d_theta. It knows nothing of actions,
//! rewards or threads.

pub mod layer;
pub mod layout;
pub mod network;
pub mod tape;

pub use layout::{Layout, Param};
pub use network::{Head, Net, NetError, Network};
pub use tape::{Observations, Tape, Workspace};
