//! One actor's memory of a segment: observations and activations, a slot a step, allocated once.

use crate::env::{ObsMut, ObsRef, ObsSpec};
use crate::kernel::buffer::Buffer;
use std::ops::Range;

/// The observations `s_t .. s_{t_max}` of a segment.
#[derive(Debug)]
pub struct Observations {
    slots: Slots,
    len: usize,
}

#[derive(Debug)]
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

    /// The features of the first `n` slots, where observations are vectors: `(n, len)`.
    pub(super) fn vectors(&self, n: usize) -> Option<&[f32]> {
        match &self.slots {
            Slots::Image(_) => None,
            Slots::Vector(features) => Some(&features[..n * self.len]),
        }
    }
}

/// The activations of a segment. theta' is fixed within a segment, so what acting computed serves the backward pass.
#[derive(Debug)]
pub struct Tape {
    pub(super) layers: Vec<LayerTape>,
    pub(super) outputs: usize,
}

/// One layer's outputs, `(slots, len)`.
#[derive(Debug)]
pub(super) struct LayerTape {
    pub(super) len: usize,
    pub(super) y: Buffer,
}

impl LayerTape {
    pub(super) fn slot(&self, slot: usize) -> Range<usize> {
        slot * self.len..(slot + 1) * self.len
    }
}

impl Tape {
    /// The network's output `y` in `slot`, without padding.
    pub fn y(&self, slot: usize) -> &[f32] {
        let head = &self.layers[self.layers.len() - 1];
        &head.y[head.slot(slot)][..self.outputs]
    }
}

/// What a network needs during a pass and not after it. Actors take turns with a few of these: what the last one used is
/// still in the cache.
#[derive(Debug)]
pub struct Workspace {
    /// The image being looked at, as f32.
    pub(super) image: Buffer,
    /// dL/dy of each layer, `(slots, output_len)`.
    pub(super) dy: Vec<Buffer>,
    /// Length of a slot of the last layer's dL/dy, and how much of it is not padding.
    pub(super) heads: (usize, usize),
    /// Working memory of the widest layer.
    pub(super) scratch: Buffer,
    /// The gradient of the first layer's parameters for one image of the batch.
    pub(super) d_first: Buffer,
    /// The gradient by theta, where it is written out.
    pub(super) d_theta: Buffer,
}

impl Workspace {
    /// Where dL/dy of `slot` goes before a backward pass.
    pub fn dy(&mut self, slot: usize) -> &mut [f32] {
        let (last, (len, outputs)) = (self.dy.len() - 1, self.heads);
        &mut self.dy[last][slot * len..][..outputs]
    }
}
