//! The seam between actor-learners and what they share of theta: pull, push, tick.
//!
//! An actor-learner works on a [`LocalCopy`] and knows nothing of where theta lies. [`Hogwild`] keeps it in this process; a
//! parameter server on other machines is another implementation of [`Parameters`].

use super::clock::Clock;
use super::optimizer::{OptimizerConfig, SharedOptimizer};
use super::refreshes::Refreshes;
use super::store::Store;
use crate::kernel::Isa;
use crate::kernel::buffer::Buffer;
use crate::kernel::gradient::Gradient;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::fmt::Debug;

/// Shared parameters, as actor-learners use them. No call waits for another thread.
pub trait Parameters: Debug + Send + Sync {
    /// `theta' <- theta`, unless [`Parameters::push`] has left the newest theta there; the copy is in use from then on.
    fn pull(&self, copy: &mut LocalCopy);

    /// `theta' <- theta`, for the next pull.
    fn read(&self, copy: &mut LocalCopy);

    /// Asynchronous update of theta with `scale * d_theta` by `actor` at learning rate `lr`, then `theta' <- theta`. Returns the
    /// staleness of the gradient: the updates made by others since the copy was pulled.
    fn push(&self, actor: usize, d_theta: Gradient<'_>, scale: f32, lr: f32, copy: &mut LocalCopy) -> u64;

    /// Brings T and theta_target in `copy` up to date for the next segment.
    fn prepare(&self, copy: &mut LocalCopy);

    /// `T <- T + 1`; returns the new T, a number that no other thread is given.
    fn tick(&self) -> u64;

    /// T
    fn now(&self) -> u64;

    /// Updates applied to theta so far.
    fn updates(&self) -> u64;

    /// `theta_target <- theta`, where there is one.
    fn refresh_target(&self);

    /// Number of times theta_target was refreshed.
    fn target_refreshes(&self) -> u64;

    /// Copies of everything, for a checkpoint.
    fn snapshot(&self) -> Snapshot;

    /// Goes on from `snapshot` at T = `t` after `updates` updates. Statistics that the snapshot lacks stay as they are.
    fn restore(&self, snapshot: &Snapshot, t: u64, updates: u64);
}

/// One segment's copy of theta, and of theta_target where the method reads it.
#[derive(Debug)]
pub struct LocalCopy {
    /// theta'
    pub theta: Buffer,
    /// T when the copy was prepared.
    pub began_at: u64,
    /// Updates that are in theta'.
    version: u64,
    /// True between a push or a read and the next pull.
    is_fresh: bool,
    target: Option<TargetCopy>,
}

#[derive(Debug)]
struct TargetCopy {
    theta: Buffer,
    refreshes: u64,
}

impl LocalCopy {
    /// Memory for a copy of `len` parameters.
    pub fn new(len: usize, with_target: bool) -> Self {
        let target = with_target.then(|| TargetCopy { theta: Buffer::zeros(len), refreshes: u64::MAX });
        LocalCopy { theta: Buffer::zeros(len), began_at: 0, version: 0, is_fresh: false, target }
    }

    /// True where the next pull has nothing to copy.
    pub fn is_fresh(&self) -> bool {
        self.is_fresh
    }

    /// Makes the next pull copy theta.
    pub fn forget(&mut self) {
        self.is_fresh = false;
    }

    /// theta_target, where the method reads it.
    pub fn theta_target(&self) -> Option<&[f32]> {
        self.target.as_ref().map(|target| &target.theta[..])
    }
}

/// Values of all shared parameters, laid out as theta.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// theta
    pub theta: Vec<f32>,
    /// theta_target, where there is one.
    pub theta_target: Option<Vec<f32>>,
    /// The optimizer's statistics by name.
    pub statistics: Vec<(String, Vec<f32>)>,
    /// Updates that the statistics of each of their owners have seen.
    pub counts: Vec<u64>,
}

/// Parameters in this process's memory, updated by all threads without locks or atomics (Recht et al., 2011).
#[derive(Debug)]
pub struct Hogwild {
    isa: Isa,
    theta: Store,
    theta_target: Option<Store>,
    optimizer: SharedOptimizer,
    clock: Clock,
    updates: AtomicU64,
    refreshes: Refreshes,
}

impl Hogwild {
    /// Parameters that start at `theta`, with `T = 0` and statistics of 0, for `actors` actor-learners.
    pub fn new(isa: Isa, theta: &[f32], with_target: bool, optimizer: OptimizerConfig, actors: usize) -> Self {
        Hogwild {
            isa,
            theta: Store::from_slice(theta),
            theta_target: with_target.then(|| Store::from_slice(theta)),
            optimizer: SharedOptimizer::new(optimizer, theta.len(), actors),
            clock: Clock::at(0),
            updates: AtomicU64::new(0),
            refreshes: Refreshes::default(),
        }
    }

    fn copied(&self, store: &Store) -> Vec<f32> {
        let mut values = vec![0.0; store.len()];
        store.read_into(self.isa, &mut values);
        values
    }
}

impl Parameters for Hogwild {
    fn pull(&self, copy: &mut LocalCopy) {
        if !copy.is_fresh {
            self.read(copy);
            self.prepare(copy);
        }
        copy.is_fresh = false;
    }

    fn read(&self, copy: &mut LocalCopy) {
        copy.version = self.updates.load(Relaxed);
        self.theta.read_into(self.isa, &mut copy.theta);
        copy.is_fresh = true;
    }

    fn push(&self, actor: usize, d_theta: Gradient<'_>, scale: f32, lr: f32, copy: &mut LocalCopy) -> u64 {
        self.optimizer.apply_and_read(self.isa, actor, &self.theta, d_theta, scale, lr, &mut copy.theta);
        let updates = self.updates.fetch_add(1, Relaxed);
        let staleness = updates.saturating_sub(copy.version);
        (copy.version, copy.is_fresh) = (updates + 1, true);
        staleness
    }

    fn prepare(&self, copy: &mut LocalCopy) {
        copy.began_at = self.clock.now();
        if let (Some(target), Some(store)) = (&mut copy.target, &self.theta_target) {
            let refreshes = self.refreshes.seen();
            if refreshes != target.refreshes {
                store.read_into(self.isa, &mut target.theta);
                target.refreshes = refreshes;
            }
        }
    }

    fn tick(&self) -> u64 {
        self.clock.tick()
    }

    fn now(&self) -> u64 {
        self.clock.now()
    }

    fn updates(&self) -> u64 {
        self.updates.load(Relaxed)
    }

    fn refresh_target(&self) {
        if let Some(theta_target) = &self.theta_target {
            theta_target.copy_from(self.isa, &self.theta);
            self.refreshes.publish();
        }
    }

    fn target_refreshes(&self) -> u64 {
        self.refreshes.seen()
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            theta: self.copied(&self.theta),
            theta_target: self.theta_target.as_ref().map(|store| self.copied(store)),
            statistics: self.optimizer.statistics().map(|(name, store)| (name, self.copied(store))).collect(),
            counts: self.optimizer.counts(),
        }
    }

    fn restore(&self, snapshot: &Snapshot, t: u64, updates: u64) {
        self.theta.write_from(self.isa, &snapshot.theta);
        if let (Some(store), Some(values)) = (&self.theta_target, &snapshot.theta_target) {
            store.write_from(self.isa, values);
        }
        for (name, store) in self.optimizer.statistics() {
            if let Some((_, values)) = snapshot.statistics.iter().find(|(kept, _)| *kept == name) {
                store.write_from(self.isa, values);
            }
        }
        self.optimizer.set_counts(&snapshot.counts);
        self.clock.set(t);
        self.updates.store(updates, Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::shared::optimizer::OptimizerKind;

    const LEN: usize = crate::kernel::LANE_PAD;

    fn hogwild() -> Hogwild {
        let optimizer = OptimizerConfig { kind: OptimizerKind::MomentumSgd, decay: 0.0, decay2: 0.0, eps: 0.1 };
        Hogwild::new(Isa::detect().unwrap(), &[1.0; LEN], true, optimizer, 2)
    }

    fn pushed(parameters: &Hogwild, copy: &mut LocalCopy) -> u64 {
        parameters.pull(copy);
        parameters.push(0, Gradient::from(&[1.0; LEN][..]), 1.0, 0.5, copy)
    }

    #[test]
    fn a_push_leaves_the_newest_theta_for_the_next_pull() {
        let (parameters, mut copy) = (hogwild(), LocalCopy::new(LEN, true));
        pushed(&parameters, &mut copy);
        assert!(copy.is_fresh());
        assert_eq!((copy.theta[0], parameters.snapshot().theta[0], parameters.updates()), (0.5, 0.5, 1));
    }

    #[test]
    fn staleness_counts_the_updates_of_others_between_pull_and_push() {
        let (parameters, mut mine) = (hogwild(), LocalCopy::new(LEN, true));
        parameters.pull(&mut mine);
        let mut others = LocalCopy::new(LEN, true);
        assert_eq!([pushed(&parameters, &mut others), pushed(&parameters, &mut others)], [0, 0]);
        assert_eq!(parameters.push(1, Gradient::from(&[0.0; LEN][..]), 1.0, 0.5, &mut mine), 2);
    }

    #[test]
    fn theta_target_is_copied_when_prepared_after_a_refresh() {
        let (parameters, mut copy) = (hogwild(), LocalCopy::new(LEN, true));
        pushed(&parameters, &mut copy);
        parameters.prepare(&mut copy);
        assert_eq!(copy.theta_target().unwrap()[0], 1.0);
        parameters.refresh_target();
        parameters.prepare(&mut copy);
        assert_eq!((copy.theta_target().unwrap()[0], parameters.target_refreshes()), (0.5, 1));
    }

    #[test]
    fn a_snapshot_restores_everything() {
        let (parameters, mut copy) = (hogwild(), LocalCopy::new(LEN, true));
        pushed(&parameters, &mut copy);
        let (kept, other) = (parameters.snapshot(), hogwild());
        other.restore(&kept, 7, 1);
        assert_eq!((other.snapshot(), other.now(), other.updates()), (kept, 7, 1));
    }
}
