//! Counter of the refreshes of theta_target.

use crate::sync::atomic::{AtomicU64, Ordering};

/// Number of copies of theta to theta_target. A thread that reads a number also sees all of that copy, or a newer one, although
/// the store itself orders nothing. Otherwise it could see the number first, read an older theta_target, and not read again.
#[derive(Debug, Default)]
pub struct Refreshes(AtomicU64);

impl Refreshes {
    /// Counts a copy, after theta_target has been written.
    pub fn publish(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    /// Number of copies so far.
    pub fn seen(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}
