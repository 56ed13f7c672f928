//! Global step counter `T`, over all actor-learners.

use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Global counter `T` of Algorithms 1, S2 and S3.
///
/// Alone in its cache line (128 bytes: lines are fetched in pairs, and Apple's are that long), because every step of every
/// thread writes it. Relaxed throughout: `T` orders nothing but itself.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Clock(AtomicU64);

impl Clock {
    /// Creates a clock at `t` steps.
    pub fn at(t: u64) -> Clock {
        Clock(AtomicU64::new(t))
    }

    /// `T <- T + 1`; returns the new `T`, a number that no other thread is given.
    pub fn tick(&self) -> u64 {
        self.0.fetch_add(1, Relaxed) + 1
    }

    /// Current `T`.
    pub fn now(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// `T <- t`, when a run is restored.
    pub fn set(&self, t: u64) {
        self.0.store(t, Relaxed);
    }
}

/// Returns `T mod interval = 0` for the `T` that [`Clock::tick`] returned. Tickets are unique, so exactly one thread gets `true`
/// for each multiple of `interval`, and copies theta to theta_target. With an `interval` of 0 no thread does.
pub fn crossed(ticket: u64, interval: u64) -> bool {
    interval != 0 && ticket.is_multiple_of(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ticket_is_t_after_the_step() {
        let clock = Clock::at(7);
        assert_eq!((clock.tick(), clock.now()), (8, 8));
        clock.set(100);
        assert_eq!(clock.tick(), 101);
    }

    #[test]
    fn only_multiples_of_the_interval_cross_it() {
        let crossings: Vec<u64> = (1..=30).filter(|&t| crossed(t, 10)).collect();
        assert_eq!(crossings, [10, 20, 30]);
        assert!(!(0..=30).any(|t| crossed(t, 0)));
    }

    #[test]
    fn the_counter_shares_its_cache_line_with_nothing() {
        assert_eq!((size_of::<Clock>(), align_of::<Clock>()), (128, 128));
    }
}
