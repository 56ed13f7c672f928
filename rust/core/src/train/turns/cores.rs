//! Cores on which actors run.
//!
//! An emulator works in a thread of its own, and the actor waits for it ten times a segment. Between two cores each of these
//! waits ends with waking an idle core, which costs more than the network does; on one core it is a change of threads, and the
//! core always has one of the two to run.

use std::sync::{Mutex, PoisonError};

/// Segments in flight on a core where threads move: while one waits for its environment, another computes.
const SEGMENTS_PER_CORE: usize = 2;

/// Cores, each with its share of the actors: actor `i` belongs to core `i % len`.
#[derive(Debug)]
pub struct Cores {
    /// The system's number of each core, once its first actor is there; none where threads move.
    kept: Option<Mutex<Vec<Option<usize>>>>,
    len: usize,
}

impl Cores {
    /// Cores for `actors` that stay on theirs, if `stay` and the system can.
    pub fn new(actors: usize, stay: bool) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        match stay && system::CAN_KEEP {
            true => {
                let len = cores.min(actors);
                Cores { kept: Some(Mutex::new(vec![None; len])), len }
            }
            false => Cores { kept: None, len: 1 },
        }
    }

    /// Number of groups of actors that wait for each other: one a core, or one of all where threads move.
    pub fn groups(&self) -> usize {
        self.len
    }

    /// Number of segments of `actors` in flight at once, where the configuration leaves it open.
    pub fn segments_at_once(&self, actors: usize) -> usize {
        match self.kept {
            Some(_) => self.len,
            None => {
                let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
                (SEGMENTS_PER_CORE * cores).min(actors)
            }
        }
    }

    /// Keeps the calling thread, which is `actor`'s, and the threads it will start on the actor's core. That is the one where
    /// the system has put the first of its actors, which is the least busy; where the system refuses, threads go on moving.
    pub fn keep(&self, actor: usize) {
        let Some(kept) = &self.kept else { return };
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let group = actor % self.len;
        let core = kept[group].or_else(|| {
            let allowed = system::allowed();
            let free = |core: &usize| !kept.contains(&Some(*core));
            let here = system::here().filter(|core| allowed.contains(core)).filter(free);
            here.or_else(|| allowed.iter().copied().find(free))
        });
        if let Some(core) = core {
            kept[group] = Some(core);
            system::keep_on(core);
        }
    }
}

#[cfg(target_os = "linux")]
mod system {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

    pub const CAN_KEEP: bool = true;

    /// The cores this thread may run on.
    pub fn allowed() -> Vec<usize> {
        let set = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
        (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()
    }

    /// The core this thread runs on just now.
    pub fn here() -> Option<usize> {
        Some(sched_getcpu())
    }

    pub fn keep_on(core: usize) {
        let mut set = CpuSet::new();
        set.set(core);
        // A system that refuses loses some speed, nothing else.
        let _ = sched_setaffinity(None, &set);
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub const CAN_KEEP: bool = false;

    pub fn allowed() -> Vec<usize> {
        Vec::new()
    }

    pub fn here() -> Option<usize> {
        None
    }

    pub fn keep_on(_core: usize) {}
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Cores on which each of `actors` threads may run once it is kept.
    fn kept(cores: &Cores, actors: usize) -> Vec<Vec<usize>> {
        let one = |actor| {
            std::thread::scope(|scope| {
                let thread = scope.spawn(move || {
                    cores.keep(actor);
                    std::thread::spawn(system::allowed).join().unwrap() // a thread it starts stays there too
                });
                thread.join().unwrap()
            })
        };
        (0..actors).map(one).collect()
    }

    #[test]
    fn actors_that_stay_share_out_the_cores() {
        let all = system::allowed();
        let cores = Cores::new(3 * all.len(), true);
        let kept = kept(&cores, 3 * all.len());
        assert_eq!(kept[0].len(), 1);
        for (actor, on) in kept.iter().enumerate() {
            assert_eq!(*on, kept[actor % cores.groups()], "actor {actor}");
        }
        let mut used: Vec<usize> = kept.concat();
        used.sort_unstable();
        used.dedup();
        assert_eq!(used.len(), cores.groups(), "each group has a core to itself");
        assert_eq!(cores.segments_at_once(3 * all.len()), cores.groups());
    }

    #[test]
    fn other_actors_go_where_the_system_puts_them() {
        let all = system::allowed();
        let cores = Cores::new(4, false);
        assert_eq!(kept(&cores, 2), [all.clone(), all]);
        assert_eq!((cores.groups(), cores.segments_at_once(1)), (1, 1));
    }
}
