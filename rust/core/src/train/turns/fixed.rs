//! Turns in a fixed order: the same updates in the same order, whatever the timing, for a run that can be repeated.
//!
//! They learn in rounds, one segment each. The segment of actor `i` has memory `i mod M`; it begins with what the segment of actor `i - M` has
//! left there, whose update was the newest then, and the first M begin with the round's first theta. Updates are made in the order of the actors.
//! So a segment depends on the ones before it and on nothing else. Between two rounds nobody is at work: only there is the run saved or ended.

use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sync::{Condvar, Mutex, MutexGuard};
use std::sync::PoisonError;

/// The turns of a repeatable run.
#[derive(Debug)]
pub struct Rounds<M> {
    memories: Vec<Mutex<M>>,
    state: Mutex<State>,
    /// One for each actor.
    called: Vec<Condvar>,
    /// T at which the log was last due.
    logged: AtomicU64,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Number of rounds that each actor has taken part in.
    taken: Vec<u64>,
    /// Rounds that are over.
    rounds: u64,
    /// Segments of this round that have their theta', and that are over.
    begun: usize,
    over: usize,
    pause_wanted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// Between two rounds, on request.
    Paused,
    /// The run is over.
    Ended,
    /// An actor has left in the middle of a round.
    Broken,
}

/// One actor's turn: a segment of the round.
pub struct RoundTurn<'a, M> {
    seat: Seat<'a, M>,
    memory: Option<MutexGuard<'a, M>>,
    complete: bool,
}

/// One actor's place in the order of a round.
#[derive(Debug)]
pub struct Seat<'a, M> {
    rounds: &'a Rounds<M>,
    actor: usize,
}

impl<M> Clone for Seat<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Seat<'_, M> {}

impl<M> Rounds<M> {
    /// Rounds of `actors` segments, `memories` of them at a time, from T = `steps` on.
    ///
    /// # Panics
    /// If there are no memories, or more than actors.
    pub fn new(actors: usize, memories: Vec<M>, steps: u64) -> Self {
        assert!((1..=actors).contains(&memories.len()), "{} memories for {actors} actors", memories.len());
        let (taken, phase) = (vec![0; actors], Phase::Open);
        Rounds {
            memories: memories.into_iter().map(Mutex::new).collect(),
            state: Mutex::new(State { phase, taken, rounds: 0, begun: 0, over: 0, pause_wanted: false }),
            called: (0..actors).map(|_| Condvar::new()).collect(),
            logged: AtomicU64::new(steps),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call_all(&self) {
        self.called.iter().for_each(Condvar::notify_one);
    }

    /// Waits until `ready`; false where that will never be.
    fn wait<'a>(
        &self,
        actor: usize,
        mut state: MutexGuard<'a, State>,
        ready: impl Fn(&State) -> bool,
    ) -> (bool, MutexGuard<'a, State>) {
        loop {
            match state.phase {
                Phase::Ended | Phase::Broken => return (false, state),
                Phase::Open if ready(&state) => return (true, state),
                Phase::Open | Phase::Paused => (),
            }
            state = self.called[actor].wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for `actor`'s turn in the next round; none if the run is over.
    pub fn take(&self, actor: usize) -> Option<RoundTurn<'_, M>> {
        let state = self.state();
        let round = state.taken[actor];
        let ready = |state: &State| state.rounds == round && state.over + self.memories.len() > actor;
        let (is_ready, mut state) = self.wait(actor, state, ready);
        if !is_ready {
            return None;
        }
        state.taken[actor] += 1;
        drop(state);
        let memory = self.memories[actor % self.memories.len()].lock().unwrap_or_else(PoisonError::into_inner);
        Some(RoundTurn { seat: Seat { rounds: self, actor }, memory: Some(memory), complete: false })
    }

    /// Number of turns at a time.
    pub fn at_once(&self) -> usize {
        self.memories.len()
    }

    /// Removes an actor that has ended: without it there are no more rounds.
    pub fn leave(&self) {
        let mut state = self.state();
        if state.phase != Phase::Ended {
            state.phase = Phase::Broken;
        }
        self.call_all();
    }

    /// Asks for a pause after this round.
    pub fn ask_pause(&self) {
        self.state().pause_wanted = true;
    }

    /// True during a pause: no actor is at work, and everything has been reported.
    pub fn is_paused(&self) -> bool {
        self.state().phase == Phase::Paused
    }

    /// True if no actor was in the midst of a round when the run ended.
    pub fn ended_between_rounds(&self) -> bool {
        self.state().phase == Phase::Ended
    }

    /// Ends a pause.
    pub fn go_on(&self) {
        let mut state = self.state();
        if state.phase == Phase::Paused {
            state.phase = Phase::Open;
        }
        self.call_all();
    }

    /// True if T = `steps` lies in another `interval` than at the last call.
    pub fn log_is_due(&self, steps: u64, interval: u64) -> bool {
        self.logged.swap(steps, Relaxed) / interval != steps / interval
    }
}

impl<'a, M> Seat<'a, M> {
    /// The rounds that the seat is in.
    pub fn rounds(self) -> &'a Rounds<M> {
        self.rounds
    }

    /// True where the memory holds what an earlier round has left, so that theta' is to be read anew.
    pub fn is_first(self) -> bool {
        self.actor < self.rounds.memories.len()
    }

    /// True for the round's last turn.
    pub fn is_last(self) -> bool {
        self.actor + 1 == self.rounds.called.len()
    }

    /// Notes that theta' has been read: theta may change.
    pub fn begun(self) {
        let mut state = self.rounds.state();
        state.begun += 1;
        if state.begun == self.rounds.memories.len() {
            self.rounds.called[0].notify_one();
        }
    }

    /// Waits until all segments before this one have been learned from; false if that will never be.
    pub fn in_order(self) -> bool {
        let first = self.rounds.memories.len();
        let ready = |state: &State| state.over == self.actor && state.begun >= first;
        self.rounds.wait(self.actor, self.rounds.state(), ready).0
    }
}

impl<'a, M> RoundTurn<'a, M> {
    /// Memory of this turn's segment.
    pub fn memory(&mut self) -> &mut M {
        self.memory.as_mut().expect("a turn has its memory until it is dropped")
    }

    /// The turn's place in the round.
    pub fn seat(&self) -> Seat<'a, M> {
        self.seat
    }

    /// Ends the turn, and after the last one of a round the run where `ends`.
    pub fn end(mut self, ends: bool) {
        self.memory = None; // before the next is called
        let Seat { rounds, actor } = self.seat;
        let mut state = rounds.state();
        self.complete = true;
        state.over += 1;
        if self.seat.is_last() {
            (state.begun, state.over) = (0, 0);
            state.rounds += 1;
            state.phase = match (state.phase, ends) {
                (Phase::Broken, _) => Phase::Broken,
                (_, true) => Phase::Ended,
                (_, false) if std::mem::take(&mut state.pause_wanted) => Phase::Paused,
                (phase, false) => phase,
            };
            rounds.call_all();
        } else {
            let called = [actor + 1, actor + rounds.memories.len()];
            called.iter().filter_map(|actor| rounds.called.get(*actor)).for_each(Condvar::notify_one);
        }
    }
}

impl<M> Drop for RoundTurn<'_, M> {
    fn drop(&mut self) {
        if !self.complete {
            self.memory = None;
            self.seat.rounds.leave();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::time::Duration;

    const ACTORS: usize = 5;

    fn rounds(memories: usize) -> Rounds<()> {
        Rounds::new(ACTORS, vec![(); memories], 0)
    }

    /// Events of `count` rounds with actors of different haste: `(actor, true if it learned)`.
    fn events(memories: usize, count: usize, haste: impl Fn(usize) -> u64 + Sync) -> Vec<(usize, bool)> {
        let (rounds, events) = (rounds(memories), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for actor in 0..ACTORS {
                let (rounds, events, haste) = (&rounds, &events, &haste);
                scope.spawn(move || {
                    let mut round = 0;
                    while let Some(turn) = rounds.take(actor) {
                        events.lock().unwrap().push((actor, false));
                        turn.seat().begun();
                        std::thread::sleep(Duration::from_micros(haste(actor)));
                        assert!(turn.seat().in_order());
                        events.lock().unwrap().push((actor, true));
                        round += 1;
                        turn.end(round == count);
                    }
                });
            }
        });
        events.into_inner().unwrap()
    }

    #[test]
    fn updates_come_in_the_order_of_the_actors_and_segments_begin_after_the_one_before_in_their_memory() {
        for memories in [1, 2, 3, ACTORS] {
            for haste in [|actor| 50 * actor as u64, |actor| 50 * (ACTORS - actor) as u64] {
                let events = events(memories, 20, haste);
                let learned: Vec<usize> = events.iter().filter(|e| e.1).map(|e| e.0).collect();
                assert_eq!(learned, (0..20).flat_map(|_| 0..ACTORS).collect::<Vec<_>>());
                for round in events.chunks(2 * ACTORS) {
                    let at = |actor, learned| round.iter().position(|e| *e == (actor, learned)).unwrap();
                    for actor in memories..ACTORS {
                        assert!(at(actor - memories, true) < at(actor, false), "{memories} memories: {round:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_first_update_waits_until_the_first_segments_have_begun() {
        let rounds = rounds(2);
        let first = rounds.take(0).unwrap();
        first.seat().begun();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| first.seat().in_order());
            std::thread::sleep(Duration::from_millis(20));
            assert!(!waits.is_finished());
            rounds.take(1).unwrap().seat().begun(); // and dropped: broken off
            assert!(!waits.join().unwrap(), "a round that an actor has left is never in order again");
        });
        assert!(rounds.take(2).is_none());
    }

    #[test]
    fn a_pause_comes_between_two_rounds_and_lasts_until_it_is_ended() {
        let rounds = rounds(ACTORS);
        rounds.ask_pause();
        let play = |rounds: &Rounds<()>, ends: bool| {
            let turns: Vec<_> = (0..ACTORS).map(|actor| rounds.take(actor).unwrap()).collect();
            turns.iter().for_each(|turn| turn.seat().begun());
            assert!(!rounds.is_paused());
            for turn in turns {
                assert!(turn.seat().in_order());
                turn.end(ends);
            }
        };
        play(&rounds, false);
        assert!(rounds.is_paused());
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| {
                rounds.take(0).is_some_and(|turn| {
                    turn.end(false);
                    true
                })
            });
            std::thread::sleep(Duration::from_millis(20));
            assert!(!waits.is_finished());
            rounds.go_on();
            assert!(waits.join().unwrap());
        });
    }

    #[test]
    fn the_log_is_due_once_an_interval() {
        let rounds = rounds(1);
        let due: Vec<u64> = (1..=40).filter(|steps| rounds.log_is_due(*steps, 10)).collect();
        assert_eq!(due, [10, 20, 30, 40]);
    }
}
