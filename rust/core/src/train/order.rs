//! In which order segments are learned from.

use super::rounds::{RoundTurn, Rounds};
use super::turns::{SegmentMemory, Turn, Turns};

/// How actors take turns.
#[derive(Debug)]
pub enum Order {
    /// As they come, which is what the paper does: actor `i` waits with those of group `i % len`.
    Arrival(Vec<Turns>),
    /// Always the same, for a run that can be repeated.
    Fixed(Rounds),
}

/// One actor's turn, of either kind.
pub enum OrderedTurn<'a> {
    /// ...
    Arrival(Turn<'a>),
    /// ...
    Fixed(RoundTurn<'a>),
}

impl Order {
    /// Waits for `actor`'s turn; none if the run is over.
    pub fn take(&self, actor: usize) -> Option<OrderedTurn<'_>> {
        match self {
            Order::Arrival(groups) => Some(OrderedTurn::Arrival(groups[actor % groups.len()].take())),
            Order::Fixed(rounds) => rounds.take(actor).map(OrderedTurn::Fixed),
        }
    }

    /// Where the order is fixed.
    pub fn rounds(&self) -> Option<&Rounds> {
        match self {
            Order::Arrival(_) => None,
            Order::Fixed(rounds) => Some(rounds),
        }
    }

    /// How many turns there are at a time.
    pub fn at_once(&self) -> usize {
        match self {
            Order::Arrival(groups) => groups.iter().map(Turns::at_once).sum(),
            Order::Fixed(rounds) => rounds.at_once(),
        }
    }
}

impl OrderedTurn<'_> {
    /// The memory of this turn's segment.
    pub fn memory(&mut self) -> &mut SegmentMemory {
        match self {
            OrderedTurn::Arrival(turn) => turn.memory(),
            OrderedTurn::Fixed(turn) => turn.memory(),
        }
    }

    /// Where the order is fixed.
    pub fn fixed(&self) -> Option<&RoundTurn<'_>> {
        match self {
            OrderedTurn::Arrival(_) => None,
            OrderedTurn::Fixed(turn) => Some(turn),
        }
    }

    /// Ends the turn, and after the last one of a round the run where `ends`.
    pub fn end(self, ends: bool) {
        match self {
            OrderedTurn::Arrival(turn) => drop(turn),
            OrderedTurn::Fixed(turn) => turn.end(ends),
        }
    }
}
