//! Turns in the order of arrival: which actors compute now, and with what memory.
//!
//! Sixteen actors on two cores need not have sixteen copies of theta' and d_theta: that is more than any cache, and a core
//! works on one at a time. A segment's memory belongs to the segment; an actor takes a turn with it, plays and learns one
//! segment, and hands it, still warm, to the actor that has waited longest.

use crate::sync::{Condvar, Mutex, MutexGuard, yield_now};
use std::sync::{PoisonError, TryLockError};

/// Queue of actors for segment memories, first come, first served.
#[derive(Debug)]
pub struct Turns<M> {
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
pub struct ArrivalTurn<'a, M> {
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

    /// Number of turns at a time.
    pub fn at_once(&self) -> usize {
        self.memories.len()
    }

    /// Waits for a turn.
    pub fn take(&self) -> ArrivalTurn<'_, M> {
        let mut queue = self.queue();
        let ticket = queue.next;
        queue.next += 1;
        let place = &self.called[ticket as usize % self.called.len()];
        while ticket >= queue.over + self.at_once() as u64 {
            queue = place.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        drop(queue);
        ArrivalTurn { turns: self, memory: Some(self.free_memory()) }
    }

    /// Locks a free memory: there are as many as turns, though one may still be in the hands of an actor that has just ended its turn.
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

impl<M> ArrivalTurn<'_, M> {
    /// The memory of this turn's segment.
    pub fn memory(&mut self) -> &mut M {
        self.memory.as_mut().expect("a turn has its memory until it is dropped")
    }
}

impl<M> Drop for ArrivalTurn<'_, M> {
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
