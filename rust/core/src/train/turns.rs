//! Which actors compute now, and with what memory.
//!
//! Sixteen actors on two cores need not have sixteen copies of theta' and d_theta: that is more than any cache, and a core
//! works on one at a time. A segment's memory belongs to the segment; an actor takes a turn with it, plays and learns one
//! segment, and hands it, still warm, to the actor that has waited longest.

use crate::kernel::Isa;
use crate::kernel::buffer::Buffer;
use crate::nn::{Network, Observations, Tape, Workspace};
use crate::shared::store::Store;
use crate::sync::{Condvar, Mutex, MutexGuard, yield_now};
use std::sync::{PoisonError, TryLockError};

/// The memory of one segment, allocated once.
#[derive(Debug)]
pub struct SegmentMemory {
    /// theta', fixed within a segment.
    pub theta: Buffer,
    /// The number of updates when the last segment's update left the newest theta in `theta`; none if it did not.
    pub read_at: Option<u64>,
    /// T when what the segment begins with was put here.
    pub began_at: u64,
    /// s_t, a slot a step and one for the state after the last.
    pub obs: Observations,
    /// The activations under theta'.
    pub tape: Tape,
    /// What a pass needs, and d_theta.
    pub workspace: Workspace,
    /// theta_target, where the method bootstraps from it.
    pub target: Option<TargetMemory>,
    /// r_t, clipped.
    pub rewards: Vec<f32>,
    /// v_{t+1}
    pub v_next: Vec<f32>,
    /// G_t
    pub g: Vec<f32>,
}

/// A copy of theta_target and a tape to evaluate it on.
#[derive(Debug)]
pub struct TargetMemory {
    theta: Buffer,
    refreshes: u64,
    tape: Tape,
}

impl TargetMemory {
    /// Copies `theta_target` if it was refreshed since the last time.
    pub fn refresh(&mut self, isa: Isa, theta_target: &Store, refreshes: u64) {
        if refreshes != self.refreshes {
            theta_target.read_into(isa, &mut self.theta);
            self.refreshes = refreshes;
        }
    }

    /// `y` of an observation under theta_target, as the `slot`th after the other. The recurrent `state` before it is the one theta' has come
    /// to: theta_target has not seen the episode.
    pub fn y(&mut self, isa: Isa, net: &Network, obs: (&Observations, usize), state: &[f32], slot: usize) -> &[f32] {
        self.tape.set_state(slot, state);
        net.forward(isa, &self.theta, obs, &mut self.tape, slot);
        self.tape.y(slot)
    }
}

impl SegmentMemory {
    /// Memory for segments of up to `t_max` steps.
    pub fn new(net: &Network, t_max: usize, with_target: bool) -> Self {
        let len = net.layout().len();
        let target = || TargetMemory { theta: Buffer::zeros(len), refreshes: u64::MAX, tape: net.tape(t_max) };
        SegmentMemory {
            theta: Buffer::zeros(len),
            read_at: None,
            began_at: 0,
            obs: Observations::new(net.input(), t_max + 1),
            tape: net.tape(t_max + 1),
            workspace: net.workspace(t_max),
            target: with_target.then(target),
            rewards: Vec::with_capacity(t_max),
            v_next: vec![0.0; t_max],
            g: vec![0.0; t_max],
        }
    }
}

/// Hands out segment memories, first come, first served.
#[derive(Debug)]
pub struct Turns<M = SegmentMemory> {
    memories: Vec<Mutex<M>>,
    queue: Mutex<Queue>,
    /// One for each actor that may wait; ticket `n` waits at `n % len`.
    called: Vec<Condvar>,
}

#[derive(Debug, Default)]
struct Queue {
    /// The next ticket.
    next: u64,
    /// Turns that are over; ticket `n` has its turn once `n < over + memories`.
    over: u64,
}

/// One actor's turn, until dropped.
pub struct Turn<'a, M = SegmentMemory> {
    turns: &'a Turns<M>,
    memory: Option<MutexGuard<'a, M>>,
}

impl<M> Turns<M> {
    /// Turns for `actors` threads, `memories` of them at once.
    pub fn new(actors: usize, memories: Vec<M>) -> Self {
        Turns {
            memories: memories.into_iter().map(Mutex::new).collect(),
            queue: Mutex::default(),
            called: (0..actors.max(1)).map(|_| Condvar::new()).collect(),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // The queue is two numbers: a panic elsewhere cannot have left it half written.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many turns there are at a time.
    pub fn at_once(&self) -> usize {
        self.memories.len()
    }

    /// Waits for a turn.
    pub fn take(&self) -> Turn<'_, M> {
        let mut queue = self.queue();
        let ticket = queue.next;
        queue.next += 1;
        let place = &self.called[ticket as usize % self.called.len()];
        while ticket >= queue.over + self.at_once() as u64 {
            queue = place.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        drop(queue);
        Turn { turns: self, memory: Some(self.free_memory()) }
    }

    /// There are as many memories as turns, so one is free; a few may be on their way from hand to hand.
    fn free_memory(&self) -> MutexGuard<'_, M> {
        loop {
            for memory in &self.memories {
                match memory.try_lock() {
                    Ok(memory) => return memory,
                    Err(TryLockError::Poisoned(memory)) => return memory.into_inner(),
                    Err(TryLockError::WouldBlock) => (),
                }
            }
            yield_now();
        }
    }
}

impl<M> Turn<'_, M> {
    /// The memory of this turn's segment.
    pub fn memory(&mut self) -> &mut M {
        self.memory.as_mut().expect("a turn has its memory until it is dropped")
    }
}

impl<M> Drop for Turn<'_, M> {
    fn drop(&mut self) {
        self.memory = None; // before the next is called
        let mut queue = self.turns.queue();
        queue.over += 1;
        let called = queue.over + self.turns.at_once() as u64 - 1;
        self.turns.called[called as usize % self.turns.called.len()].notify_all();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn turns(actors: usize, memories: usize) -> Turns<()> {
        Turns::new(actors, vec![(); memories])
    }

    #[test]
    fn turns_go_to_whoever_has_waited_longest() {
        const ACTORS: usize = 3;
        let (turns, order) = (turns(ACTORS, 1), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for actor in 0..ACTORS {
                let (turns, order) = (&turns, &order);
                scope.spawn(move || {
                    for _ in 0..20 {
                        let _turn = turns.take();
                        order.lock().unwrap().push(actor);
                        // Give the turn away only when the others queue for it, or have had all of theirs.
                        while order.lock().unwrap().len() <= 18 * ACTORS && {
                            let queue = turns.queue();
                            queue.next < queue.over + ACTORS as u64
                        } {
                            std::thread::yield_now();
                        }
                    }
                });
            }
        });
        let order = order.into_inner().unwrap();
        assert_eq!(order.len(), 20 * ACTORS);
        for window in order[..18 * ACTORS].windows(ACTORS) {
            assert!((0..ACTORS).all(|actor| window.contains(&actor)), "{order:?}");
        }
    }

    #[test]
    fn no_more_turns_are_out_than_there_are_memories() {
        let turns = turns(4, 2);
        let (first, _second) = (turns.take(), turns.take());
        std::thread::scope(|scope| {
            let third = scope.spawn(|| drop(turns.take()));
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert!(!third.is_finished());
            drop(first);
            third.join().unwrap();
        });
    }

    #[test]
    fn a_turn_that_ends_in_a_panic_is_over() {
        let turns = turns(2, 1);
        let panicked = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    let _turn = turns.take();
                    panic!("the wheels came off");
                })
                .join()
        });
        assert!(panicked.is_err());
        drop(turns.take());
    }
}
