//! One actor's memory of a segment: observations and activations, a slot a step, allocated once.

use crate::env::{ObsMut, ObsRef, ObsSpec};
use crate::kernel::buffer::Buffer;

/// The observations `s_t .. s_{t_max}` of a segment.
#[derive(Clone, Debug)]
pub struct Observations {
    slots: Slots,
    len: usize,
}

#[derive(Clone, Debug)]
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

    /// The last observation of a segment is the first of the next: slot 0 <- slot `n`.
    pub fn carry(&mut self, n: usize) {
        let range = n * self.len..(n + 1) * self.len;
        match &mut self.slots {
            Slots::Image(bytes) => bytes.copy_within(range, 0),
            Slots::Vector(features) => features.copy_within(range, 0),
        }
    }

    /// The features of the first `n` slots, where observations are vectors: `(n, len)`.
    pub(super) fn vectors(&self, n: usize) -> Option<&[f32]> {
        match &self.slots {
            Slots::Image(_) => None,
            Slots::Vector(features) => Some(&features[..n * self.len]),
        }
    }
}

/// The activations of a segment and their gradients. theta' is fixed within a segment, so what acting computed serves the
/// backward pass.
#[derive(Clone, Debug)]
pub struct Tape {
    pub(super) layers: Vec<LayerTape>,
    /// The image being looked at, as f32.
    pub(super) image: Buffer,
    /// Working memory of the widest layer.
    pub(super) scratch: Buffer,
    /// The gradient of the first layer's parameters for one image of the batch.
    pub(super) d_first: Buffer,
    pub(super) outputs: usize,
}

/// One layer's share of the tape, `(slots, output_len)` each.
#[derive(Clone, Debug)]
pub(super) struct LayerTape {
    pub(super) len: usize,
    pub(super) y: Buffer,
    pub(super) dy: Buffer,
}

impl LayerTape {
    pub(super) fn slot(&self, slot: usize) -> std::ops::Range<usize> {
        slot * self.len..(slot + 1) * self.len
    }
}

impl Tape {
    /// The network's output `y` in `slot`, without padding.
    pub fn y(&self, slot: usize) -> &[f32] {
        let head = &self.layers[self.layers.len() - 1];
        &head.y[head.slot(slot)][..self.outputs]
    }

    /// `y` in `slot`, and where its dL/dy goes.
    pub fn y_and_dy(&mut self, slot: usize) -> (&[f32], &mut [f32]) {
        let last = self.layers.len() - 1;
        let head = &mut self.layers[last];
        let range = head.slot(slot);
        (&head.y[range.clone()][..self.outputs], &mut head.dy[range][..self.outputs])
    }
}
