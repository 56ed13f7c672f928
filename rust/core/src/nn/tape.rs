//! Memory of one actor for a segment: observations and activations, one slot per step, allocated once.

use super::lstm::{LstmTape, LstmWorkspace};
use super::runs::Runs;
use crate::env::{ObsMut, ObsRef, ObsSpec};
use crate::kernel::Isa;
use crate::kernel::activation::images_to_f32;
use crate::kernel::buffer::Buffer;
use crate::kernel::changes::update_image;

/// Observations `s_t .. s_{t_max}` of a segment.
#[derive(Clone, Debug, PartialEq)]
pub struct Observations {
    slots: Slots,
    len: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum Slots {
    Image(Vec<u8>),
    Vector(Buffer),
}

impl Observations {
    /// Allocates `slots` observations.
    pub fn new(spec: &ObsSpec, slots: usize) -> Self {
        let len = spec.len();
        let slots = match spec {
            ObsSpec::Image { .. } => Slots::Image(vec![0; len * slots]),
            ObsSpec::Vector { .. } => Slots::Vector(Buffer::zeros(len * slots)),
        };
        Observations { slots, len }
    }

    /// Returns the observation in `slot`.
    pub fn get(&self, slot: usize) -> ObsRef<'_> {
        let range = slot * self.len..(slot + 1) * self.len;
        match &self.slots {
            Slots::Image(bytes) => ObsRef::Image(&bytes[range]),
            Slots::Vector(features) => ObsRef::Vector(&features[range]),
        }
    }

    /// Returns the observation in `slot`, for the environment to write.
    pub fn get_mut(&mut self, slot: usize) -> ObsMut<'_> {
        let range = slot * self.len..(slot + 1) * self.len;
        match &mut self.slots {
            Slots::Image(bytes) => ObsMut::Image(&mut bytes[range]),
            Slots::Vector(features) => ObsMut::Vector(&mut features[range]),
        }
    }

    /// Copies slot `from` of `other` to slot `to`.
    ///
    /// # Panics
    /// If the two hold observations of different kinds.
    pub fn copy(&mut self, to: usize, other: &Observations, from: usize) {
        match (self.get_mut(to), other.get(from)) {
            (ObsMut::Image(to), ObsRef::Image(from)) => to.copy_from_slice(from),
            (ObsMut::Vector(to), ObsRef::Vector(from)) => to.copy_from_slice(from),
            _ => panic!("images and vectors do not mix"),
        }
    }

    /// Returns the features of all slots, `(slots, len)`; none if observations are images.
    pub(super) fn vectors(&self) -> Option<&[f32]> {
        match &self.slots {
            Slots::Image(_) => None,
            Slots::Vector(features) => Some(features),
        }
    }
}

/// Activations of a segment. theta' is fixed within a segment, so the backward pass reuses the activations computed
/// while acting.
#[derive(Debug)]
pub struct Tape {
    pub(super) image: Image,
    /// Output of each layer.
    pub(super) layers: Vec<LayerTape>,
    /// Output of the network, `(slots, outputs)`.
    pub(super) y: Buffer,
    pub(super) outputs: usize,
}

/// Current observation if it is an image, as f32 in `(y, x, channel)`.
#[derive(Debug)]
pub(super) struct Image {
    channels: usize,
    pub(super) x: Buffer,
    /// Pixels that differ from those of the observation before.
    pub(super) changed: Vec<u8>,
}

impl Image {
    /// Allocates an image of `spec`, which is empty for vectors.
    pub(super) fn new(spec: &ObsSpec) -> Self {
        let (channels, pixels) = match *spec {
            ObsSpec::Image { channels, height, width } => (channels, height * width),
            ObsSpec::Vector { .. } => (1, 0),
        };
        Image { channels, x: Buffer::zeros(channels * pixels), changed: vec![0; pixels] }
    }

    /// Converts `obs`. If it holds the observation `before` already, only the differences are converted.
    pub(super) fn show(&mut self, isa: Isa, obs: ObsRef<'_>, before: Option<ObsRef<'_>>) {
        match (obs, before) {
            (ObsRef::Image(planes), None) => images_to_f32(isa, self.channels, planes, &mut self.x),
            (ObsRef::Image(planes), Some(ObsRef::Image(before))) => {
                update_image(isa, self.channels, before, planes, &mut self.x, &mut self.changed);
            }
            _ => panic!("a vector is no image"),
        }
    }
}

/// Input of a layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a> {
    /// Consecutive vectors or images.
    pub all: &'a [f32],
    /// Index of the one in the slot. The one in the slot before precedes it, if there is one.
    pub nth: usize,
    /// Pixels that have changed since the slot before.
    pub changed: &'a [u8],
}

impl<'a> Input<'a> {
    /// Returns the vector in the slot.
    pub(super) fn row(&self, len: usize) -> &'a [f32] {
        &self.all[self.nth * len..][..len]
    }

    /// Returns the vector in the slot before.
    pub(super) fn row_before(&self, len: usize) -> &'a [f32] {
        &self.all[(self.nth - 1) * len..][..len]
    }
}

/// Outputs of one layer.
#[derive(Debug)]
pub(super) struct LayerTape {
    pub(super) len: usize,
    /// Outputs after the activation, `(slots, len)`.
    pub(super) y: Buffer,
    /// Outputs of a linear layer before the activation, `(slots, len)`.
    pub(super) z: Buffer,
    pub(super) runs: Runs,
    pub(super) lstm: Option<LstmTape>,
}

impl LayerTape {
    pub(super) fn new(len: usize, slots: usize, runs: Runs) -> Self {
        LayerTape { len, y: Buffer::zeros(slots * len), z: Buffer::zeros(0), runs, lstm: None }
    }

    /// Returns y of one slot.
    pub(super) fn slot(&self, slot: usize) -> &[f32] {
        &self.y[slot * self.len..][..self.len]
    }

    /// Returns y of one slot, for writing, and y of the slot before, if there is one.
    pub(super) fn slot_mut(&mut self, slot: usize) -> (&mut [f32], Option<&[f32]>) {
        let (before, now) = self.y.split_at_mut(slot * self.len);
        (&mut now[..self.len], slot.checked_sub(1).map(|slot| &before[slot * self.len..]))
    }

    /// Returns the input of the layer above in `slot`.
    pub(super) fn input(&self, slot: usize) -> Input<'_> {
        Input { all: &self.y, nth: slot, changed: &self.runs.changed }
    }

    /// Computes a step of LSTM cells, see [`LstmTape::forward`].
    pub(super) fn lstm_forward(&mut self, isa: Isa, weight: &[f32], bias: &[f32], x: &[f32], slot: usize) {
        let lstm = self.lstm.as_mut().expect("cells have their tape");
        lstm.forward(isa, weight, bias, x, slot, &mut self.y[slot * self.len..][..self.len]);
    }

    /// Returns y of the first `n` slots.
    pub(super) fn first(&self, n: usize) -> &[f32] {
        &self.y[..n * self.len]
    }
}

impl Tape {
    /// Returns the network's output `y` in `slot`, without padding.
    pub fn y(&self, slot: usize) -> &[f32] {
        &self.y[slot * self.outputs..][..self.outputs]
    }

    /// The recurrent state before `slot` <- `state`: h and c of each layer that has them, `(state_len)`; nothing for a network
    /// without. A sequence starts there: the pass over the slot before leaves this state alone, until
    /// [`Tape::forget_states`].
    ///
    /// # Panics
    /// If `state` is shorter than the network's [`super::Network::state_len`].
    pub fn set_state(&mut self, slot: usize, state: &[f32]) {
        let mut rest = state;
        for part in self.layers.iter_mut().filter_map(|layer| layer.lstm.as_mut()).flat_map(|l| l.start(slot)) {
            let (own, others) = rest.split_at(part.len());
            part.copy_from_slice(own);
            rest = others;
        }
    }

    /// Forgets where sequences start.
    pub fn forget_states(&mut self) {
        self.layers.iter_mut().filter_map(|layer| layer.lstm.as_mut()).for_each(LstmTape::forget_starts);
    }

    /// `state` <- the recurrent state before `slot`, which the pass over the slot before has left, `(state_len)`.
    ///
    /// # Panics
    /// If `state` is shorter than the network's [`super::Network::state_len`].
    pub fn state_into(&self, slot: usize, state: &mut [f32]) {
        let mut rest = state;
        for part in self.layers.iter().filter_map(|layer| layer.lstm.as_ref()).flat_map(|l| l.state(slot)) {
            let (own, others) = rest.split_at_mut(part.len());
            own.copy_from_slice(part);
            rest = others;
        }
    }
}

/// Memory that a network needs during a pass and not after it. Actors share a few of these in turn, so that the memory
/// is still in the cache.
#[derive(Debug)]
pub struct Workspace {
    /// Gradients of each layer.
    pub(super) layers: Vec<LayerWorkspace>,
    /// dL/dy, `(slots, outputs)`.
    pub(super) dy: Buffer,
    pub(super) outputs: usize,
    /// Scratch of the widest layer.
    pub(super) scratch: Buffer,
    /// Gradient from one reader of outputs that several layers read, before it is added to that of the others.
    pub(super) spare: Buffer,
    /// Image that the backward pass converts again.
    pub(super) image: Image,
    /// Gradient of one image with respect to the parameters of the layers that read images; as theta up to the last of
    /// them.
    pub(super) d_first: Buffer,
    /// Gradient with respect to theta, where it is dense.
    pub(super) d_theta: Buffer,
}

/// Gradient with respect to one layer's y, `(slots, len)`.
#[derive(Debug)]
pub(super) struct LayerWorkspace {
    len: usize,
    pub(super) dy: Buffer,
    pub(super) lstm: Option<LstmWorkspace>,
}

impl LayerWorkspace {
    pub(super) fn new(len: usize, slots: usize, lstm: Option<LstmWorkspace>) -> Self {
        LayerWorkspace { len, dy: Buffer::zeros(slots * len), lstm }
    }

    /// Returns the gradient of the first `n` slots.
    pub(super) fn first(&self, n: usize) -> &[f32] {
        &self.dy[..n * self.len]
    }

    /// Returns the gradient with respect to `W x + b` of the first `n` slots, after that with respect to y was
    /// propagated through activation and cells.
    pub(super) fn before_weights(&self, n: usize) -> &[f32] {
        self.lstm.as_ref().map_or(self.first(n), |lstm| lstm.d_gates(n))
    }

    pub(super) fn first_mut(&mut self, n: usize) -> &mut [f32] {
        &mut self.dy[..n * self.len]
    }

    /// Returns the gradient of one slot, for writing.
    pub(super) fn slot_mut(&mut self, slot: usize) -> &mut [f32] {
        &mut self.dy[slot * self.len..][..self.len]
    }
}

impl Workspace {
    /// Returns dL/dy of `slot`, to be written before a backward pass.
    pub fn dy(&mut self, slot: usize) -> &mut [f32] {
        &mut self.dy[slot * self.outputs..][..self.outputs]
    }
}
