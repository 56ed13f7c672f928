//! Turns: which actors compute now, with what memory, on which cores and in what order.

pub mod arrival;
pub mod cores;
pub mod fixed;
pub mod order;

pub use arrival::Turns;
pub use cores::Cores;
pub use fixed::Rounds;
pub use order::{Order, Pace, Ticker, Turn};
