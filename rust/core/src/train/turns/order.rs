//! Turns of either kind behind one interface: the loop is the same, whether or not a run shall be repeatable.

use super::arrival::{ArrivalTurn, Turns};
use super::fixed::{RoundTurn, Rounds, Seat};
use crate::shared::Parameters;
use crate::shared::clock::crossed;

/// Between two lines of a repeatable run's progress log: a count of steps, because wall-clock time does not repeat itself.
const LOG_INTERVAL_STEPS: u64 = 10_000;

/// The order in which actors take turns. `M` is the memory of a segment.
#[derive(Debug)]
pub enum Order<M> {
    /// First come, first served, as in the paper: actor `i` waits with those of group `i % len`.
    Arrival(Vec<Turns<M>>),
    /// Fixed order, for a run that can be repeated.
    Fixed(Rounds<M>),
}

/// One actor's turn: a segment.
pub enum Turn<'a, M> {
    /// Turn in the order of arrival.
    Arrival(ArrivalTurn<'a, M>),
    /// Turn in a round.
    Fixed(RoundTurn<'a, M>),
}

impl<M> Order<M> {
    /// Waits for `actor`'s turn; none if the run is over.
    pub fn take(&self, actor: usize) -> Option<Turn<'_, M>> {
        match self {
            Order::Arrival(groups) => Some(Turn::Arrival(groups[actor % groups.len()].take())),
            Order::Fixed(rounds) => rounds.take(actor).map(Turn::Fixed),
        }
    }

    /// The rounds of a repeatable run.
    pub fn rounds(&self) -> Option<&Rounds<M>> {
        match self {
            Order::Arrival(_) => None,
            Order::Fixed(rounds) => Some(rounds),
        }
    }

    /// True where an actor may end the run before its next segment; a repeatable run ends between two rounds.
    pub fn ends_anywhere(&self) -> bool {
        matches!(self, Order::Arrival(_))
    }

    /// Lets the others go on, or end, without an actor that has ended.
    pub fn leave(&self) {
        match self {
            Order::Arrival(_) => (),
            Order::Fixed(rounds) => rounds.leave(),
        }
    }

    /// Number of turns at a time.
    pub fn at_once(&self) -> usize {
        match self {
            Order::Arrival(groups) => groups.iter().map(Turns::at_once).sum(),
            Order::Fixed(rounds) => rounds.at_once(),
        }
    }
}

impl<M> Turn<'_, M> {
    /// The turn's memory, and the pace at which T runs in it.
    pub fn parts(&mut self) -> (&mut M, Pace<'_, M>) {
        match self {
            Turn::Arrival(turn) => (turn.memory(), Pace::Arrival),
            Turn::Fixed(turn) => {
                let seat = turn.seat();
                (turn.memory(), Pace::Fixed { seat, due: 0 })
            }
        }
    }

    /// True once an interval of the progress log in a repeatable run; other runs log by the clock on the wall.
    pub fn log_is_due(&self, steps: u64) -> bool {
        match self {
            Turn::Arrival(_) => false,
            Turn::Fixed(turn) => turn.seat().is_last() && turn.seat().rounds().log_is_due(steps, LOG_INTERVAL_STEPS),
        }
    }

    /// Ends the turn, and the run where it `is_over` and this is a round's last turn.
    pub fn end(self, is_over: bool) {
        match self {
            Turn::Arrival(turn) => drop(turn),
            Turn::Fixed(turn) => turn.end(is_over),
        }
    }
}

/// The pace of one turn: steps count at once, or when the turn's place in the order has come.
pub enum Pace<'a, M> {
    /// Steps count at once.
    Arrival,
    /// Steps count when the turn's place in the round has come.
    Fixed {
        /// The turn's place in the round.
        seat: Seat<'a, M>,
        /// Steps that are still to be counted.
        due: u64,
    },
}

impl<M> Pace<'_, M> {
    /// True where theta' in the turn's memory is of an earlier round and must be read anew.
    pub fn is_first(&self) -> bool {
        match self {
            Pace::Arrival => false,
            Pace::Fixed { seat, .. } => seat.is_first(),
        }
    }

    /// Notes that theta' has been pulled.
    pub fn begun(&self) {
        match self {
            Pace::Arrival => (),
            Pace::Fixed { seat, .. } => seat.begun(),
        }
    }

    /// T as the segment knows it, which began at T = `began_at`.
    pub fn now(&self, parameters: &dyn Parameters, began_at: u64) -> u64 {
        match self {
            Pace::Arrival => parameters.now(),
            Pace::Fixed { due, .. } => began_at + due,
        }
    }

    /// `T <- T + 1`
    pub fn tick(&mut self, ticker: &mut Ticker<'_>) {
        match self {
            Pace::Arrival => ticker.tick(),
            Pace::Fixed { due, .. } => *due += 1,
        }
    }

    /// Waits until it is this turn's time to update theta; false if that will never be.
    pub fn wait(&mut self, ticker: &mut Ticker<'_>) -> bool {
        match self {
            Pace::Arrival => true,
            Pace::Fixed { seat, due } => {
                let in_order = seat.in_order();
                if in_order {
                    (0..std::mem::take(due)).for_each(|_| ticker.tick());
                }
                in_order
            }
        }
    }
}

/// One actor's hand on the clock T.
#[derive(Debug)]
pub struct Ticker<'a> {
    parameters: &'a dyn Parameters,
    target_interval_steps: u64,
    /// The last T that the actor was given.
    pub ticket: u64,
    refresh_is_due: bool,
}

impl<'a> Ticker<'a> {
    /// A ticker that was last given T = `ticket`.
    pub fn new(parameters: &'a dyn Parameters, target_interval_steps: u64, ticket: u64) -> Self {
        Ticker { parameters, target_interval_steps, ticket, refresh_is_due: false }
    }

    /// `T <- T + 1`
    pub fn tick(&mut self) {
        self.ticket = self.parameters.tick();
        self.refresh_is_due |= crossed(self.ticket, self.target_interval_steps);
    }

    /// True once after this actor was given a multiple of I_target.
    pub fn take_refresh(&mut self) -> bool {
        std::mem::take(&mut self.refresh_is_due)
    }
}
