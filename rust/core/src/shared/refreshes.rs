//! How often theta_target was refreshed.

use crate::sync::atomic::{AtomicU64, Ordering};

/// Counts the copies of theta to theta_target: whoever sees a number sees all of that copy, or a newer one, although the store
/// itself orders nothing. Without that a thread could see the number first, read an older theta_target, and not look again.
#[derive(Debug, Default)]
pub struct Refreshes(AtomicU64);

impl Refreshes {
    /// theta_target has been written.
    pub fn publish(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    /// So many times up to now.
    pub fn seen(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}
