//! Memory of one turn: theta', the rollout that is being played, and the activations.

use super::pool::Chunks;
use super::rollout::Rollout;
use crate::nn::{Network, Tape, Workspace};
use crate::shared::LocalCopy;

/// Most slots of the tape of an actor that others' steps are learned together with: its activations are not learned from.
const ACTING_SLOTS: usize = 32;

/// Memory of a turn, allocated once. Actors use it in turn; what outlives a turn is in [`super::ActorLearner`].
#[derive(Debug)]
pub struct Segment {
    /// theta', fixed while the actor acts, and theta_target where the method reads it.
    pub copy: LocalCopy,
    /// The steps.
    pub rollout: Rollout,
    /// Activations under theta' of the newest steps: of all where they are learned from.
    pub tape: Tape,
    /// Slot of the tape for the next step.
    pub slot: usize,
    /// Activations under theta_target, where the method reads it.
    pub target_tape: Option<Tape>,
    /// Memory of the backward pass, and d_theta; none where the [`super::pool::Pool`] has it.
    pub workspace: Option<Workspace>,
    slots: usize,
}

impl Segment {
    /// Memory for segments of up to `t_max` steps with actions of `action_width` numbers, each learned from alone.
    pub fn new(net: &Network, t_max: usize, action_width: usize, with_target: bool) -> Self {
        Segment {
            copy: LocalCopy::new(net.layout().len(), with_target),
            rollout: Rollout::new(net, t_max, action_width, false, None),
            tape: net.tape(t_max + 1),
            slot: 0,
            target_tape: with_target.then(|| net.tape(t_max)),
            workspace: Some(net.workspace(t_max)),
            slots: t_max,
        }
    }

    /// Memory for rollouts of `t_max` steps across episodes, learned from in a pool.
    pub fn of_pool(net: &Network, t_max: usize, action_width: usize) -> Self {
        let slots = t_max.min(ACTING_SLOTS);
        Segment {
            copy: LocalCopy::new(net.layout().len(), false),
            rollout: Rollout::new(net, t_max, action_width, true, Some(Chunks::of(net, t_max).len)),
            tape: net.tape(slots + 1),
            slot: 0,
            target_tape: None,
            workspace: None,
            slots,
        }
    }

    /// Number of steps so far.
    pub fn len(&self) -> usize {
        self.rollout.len()
    }

    /// True before the first step.
    pub fn is_empty(&self) -> bool {
        self.rollout.is_empty()
    }

    /// Makes the next step the first on the tape, with this recurrent state before it.
    pub fn restart(&mut self, state: &[f32]) {
        self.slot = 0;
        self.tape.set_state(0, state);
    }

    /// Goes on to the next slot of the tape; where there is none, to the first, by way of `state`.
    pub fn advance(&mut self, state: &mut [f32]) {
        self.slot += 1;
        if self.slot == self.slots && self.rollout.len() + 1 < self.rollout.t_max() {
            self.tape.state_into(self.slot, state);
            self.restart(state);
        }
    }
}
