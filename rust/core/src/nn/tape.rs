//! One actor's memory of a segment: observations and activations, a slot a step, allocated once.

use super::lstm::{LstmTape, LstmWorkspace};
use super::runs::Runs;
use crate::env::{ObsMut, ObsRef, ObsSpec};
use crate::kernel::Isa;
use crate::kernel::activation::images_to_f32;
use crate::kernel::buffer::Buffer;
use crate::kernel::changes::update_image;

/// The observations `s_t .. s_{t_max}` of a segment.
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
    /// Room for `slots` observations.
    pub fn new(spec: &ObsSpec, slots: usize) -> Self {
        let len = spec.len();
        let slots = match spec {
            ObsSpec::Image { .. } => Slots::Image(vec![0; len * slots]),
            ObsSpec::Vector { .. } => Slots::Vector(Buffer::zeros(len * slots)),
        };
        Observations { slots, len }
    }

    /// The observation in `slot`.
    pub fn get(&self, slot: usize) -> ObsRef<'_> {
        let range = slot * self.len..(slot + 1) * self.len;
        match &self.slots {
            Slots::Image(bytes) => ObsRef::Image(&bytes[range]),
            Slots::Vector(features) => ObsRef::Vector(&features[range]),
        }
    }

    /// The observation in `slot`, for the environment to write.
    pub fn get_mut(&mut self, slot: usize) -> ObsMut<'_> {
        let range = slot * self.len..(slot + 1) * self.len;
        match &mut self.slots {
            Slots::Image(bytes) => ObsMut::Image(&mut bytes[range]),
            Slots::Vector(features) => ObsMut::Vector(&mut features[range]),
        }
    }

    /// Slot `to` <- slot `from` of `other`.
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

    /// The features of all slots, where observations are vectors: `(slots, len)`.
    pub(super) fn vectors(&self) -> Option<&[f32]> {
        match &self.slots {
            Slots::Image(_) => None,
            Slots::Vector(features) => Some(features),
        }
    }
}

/// The activations of a segment. theta' is fixed within a segment, so what acting computed serves the backward pass.
#[derive(Debug)]
pub struct Tape {
    pub(super) image: Image,
    /// Each layer's output.
    pub(super) layers: Vec<LayerTape>,
    /// The network's output, `(slots, outputs)`.
    pub(super) y: Buffer,
    pub(super) outputs: usize,
}

/// The observation being looked at, where it is an image: f32 in `(y, x, channel)`.
#[derive(Debug)]
pub(super) struct Image {
    channels: usize,
    pub(super) x: Buffer,
    /// Which of its pixels differ from the one before.
    pub(super) changed: Vec<u8>,
}

impl Image {
    /// Room for images of `spec`, none for vectors.
    pub(super) fn new(spec: &ObsSpec) -> Self {
        let (channels, pixels) = match *spec {
            ObsSpec::Image { channels, height, width } => (channels, height * width),
            ObsSpec::Vector { .. } => (1, 0),
        };
        Image { channels, x: Buffer::zeros(channels * pixels), changed: vec![0; pixels] }
    }

    /// Shows `obs`, or what of it differs from the one `before`, which is shown already.
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

/// What a layer reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a> {
    /// Vectors or images that lie one after the other.
    pub all: &'a [f32],
    /// Which of them is the slot's; the one of the slot before precedes it, if it is there.
    pub nth: usize,
    /// Which of its pixels have changed since the slot before.
    pub changed: &'a [u8],
}

impl<'a> Input<'a> {
    /// The slot's vector.
    pub(super) fn row(&self, len: usize) -> &'a [f32] {
        &self.all[self.nth * len..][..len]
    }

    /// The vector of the slot before.
    pub(super) fn row_before(&self, len: usize) -> &'a [f32] {
        &self.all[(self.nth - 1) * len..][..len]
    }
}

/// One layer's outputs.
#[derive(Debug)]
pub(super) struct LayerTape {
    pub(super) len: usize,
    /// `(slots, len)`
    pub(super) y: Buffer,
    /// Of a linear layer: y before the activation, `(slots, len)`.
    pub(super) z: Buffer,
    pub(super) runs: Runs,
    pub(super) lstm: Option<LstmTape>,
}

impl LayerTape {
    pub(super) fn new(len: usize, slots: usize, runs: Runs) -> Self {
        LayerTape { len, y: Buffer::zeros(slots * len), z: Buffer::zeros(0), runs, lstm: None }
    }

    /// y of one slot.
    pub(super) fn slot(&self, slot: usize) -> &[f32] {
        &self.y[slot * self.len..][..self.len]
    }

    /// y of one slot, to be written, and that of the slot before, if there is one.
    pub(super) fn slot_mut(&mut self, slot: usize) -> (&mut [f32], Option<&[f32]>) {
        let (before, now) = self.y.split_at_mut(slot * self.len);
        (&mut now[..self.len], slot.checked_sub(1).map(|slot| &before[slot * self.len..]))
    }

    /// What the layer above reads in `slot`.
    pub(super) fn input(&self, slot: usize) -> Input<'_> {
        Input { all: &self.y, nth: slot, changed: &self.runs.changed }
    }

    /// A step of LSTM cells, see [`LstmTape::forward`].
    pub(super) fn lstm_forward(&mut self, isa: Isa, weight: &[f32], bias: &[f32], x: &[f32], slot: usize) {
        let lstm = self.lstm.as_mut().expect("cells have their tape");
        lstm.forward(isa, weight, bias, x, slot, &mut self.y[slot * self.len..][..self.len]);
    }

    /// y of the first `n` slots.
    pub(super) fn first(&self, n: usize) -> &[f32] {
        &self.y[..n * self.len]
    }
}

impl Tape {
    /// The network's output `y` in `slot`, without padding.
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

/// What a network needs during a pass and not after it. Actors take turns with a few of these: what the last one used is
/// still in the cache.
#[derive(Debug)]
pub struct Workspace {
    /// Each layer's gradients.
    pub(super) layers: Vec<LayerWorkspace>,
    /// dL/dy, `(slots, outputs)`.
    pub(super) dy: Buffer,
    pub(super) outputs: usize,
    /// Working memory of the widest layer.
    pub(super) scratch: Buffer,
    /// The gradient by outputs that several layers read, from one of those layers, before it is added to the others'.
    pub(super) spare: Buffer,
    /// The image being looked at once more.
    pub(super) image: Image,
    /// The gradient by the parameters of the layers that look at images, for one image; as theta up to the last of them.
    pub(super) d_first: Buffer,
    /// The gradient by theta, where it is written out.
    pub(super) d_theta: Buffer,
}

/// The gradient by one layer's y, `(slots, len)`.
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

    /// Of the first `n` slots.
    pub(super) fn first(&self, n: usize) -> &[f32] {
        &self.dy[..n * self.len]
    }

    /// The gradient by `W x + b` of the first `n` slots, once that by y has been taken through activation and cells.
    pub(super) fn before_weights(&self, n: usize) -> &[f32] {
        self.lstm.as_ref().map_or(self.first(n), |lstm| lstm.d_gates(n))
    }

    pub(super) fn first_mut(&mut self, n: usize) -> &mut [f32] {
        &mut self.dy[..n * self.len]
    }

    /// Of one slot.
    pub(super) fn slot_mut(&mut self, slot: usize) -> &mut [f32] {
        &mut self.dy[slot * self.len..][..self.len]
    }
}

impl Workspace {
    /// Where dL/dy of `slot` goes before a backward pass.
    pub fn dy(&mut self, slot: usize) -> &mut [f32] {
        &mut self.dy[slot * self.outputs..][..self.outputs]
    }
}
