//! Layer of LSTM cells with backpropagation through time.
//!
//! ```text
//! z = W_ih x + W_hh h_prev + b     as one linear layer over [x | h_prev]
//! c = sigma(z_f) c_prev + sigma(z_i) tanh(z_g),   h = sigma(z_o) tanh(c)
//! ```
//!
//! The recurrent state is stored on the tape. A step reads the state that the slot before has left; the first step
//! reads the state that was set. Backpropagation stops at the first slot.

use crate::kernel::Isa;
use crate::kernel::activation::Activation;
use crate::kernel::buffer::Buffer;
use crate::kernel::linear::{LinearShape, linear_backward_input, linear_forward};
use crate::kernel::lstm::{lstm_backward, lstm_forward};

/// Shape of the layer. `cells` is a multiple of [`crate::kernel::LANE_PAD`].
#[derive(Clone, Copy, Debug)]
pub(super) struct LstmShape {
    pub inputs: usize,
    pub cells: usize,
}

impl LstmShape {
    /// Returns the linear layer from `[x | h_prev]` to the gates i, f, g, o.
    pub fn gates(&self) -> LinearShape {
        LinearShape { inputs: self.inputs + self.cells, outputs: 4 * self.cells }
    }

    /// Returns the length of the recurrent state: h, then c.
    pub fn state_len(&self) -> usize {
        2 * self.cells
    }
}

/// Activations of a segment that the backward pass needs; h is the layer's output.
#[derive(Debug)]
pub(super) struct LstmTape {
    shape: LstmShape,
    /// `[x | h_prev]`, `(slots + 1, inputs + cells)`
    xh: Buffer,
    /// Gates after their sigmoids and tanh, `(slots, 4, cells)`
    gates: Buffer,
    /// c before each slot and after the last, `(slots + 1, cells)`
    c: Buffer,
    /// c that each slot comes to, `(slots, cells)`: the one before the next slot, unless a sequence starts there.
    c_next: Buffer,
    /// True where the state before a slot was put there, so that it does not come from the slot before, `(slots + 1)`.
    starts: Vec<bool>,
}

/// Intermediate results of a backward pass.
#[derive(Debug)]
pub(super) struct LstmWorkspace {
    /// Gradient with respect to z, `(slots, 4, cells)`
    d_gates: Buffer,
    /// Gradient with respect to h of the slot before, through W_hh, `(cells)`
    dh_prev: Buffer,
    /// Gradient with respect to c, `(cells)`
    dc: Buffer,
}

impl LstmTape {
    pub fn new(shape: LstmShape, slots: usize) -> Self {
        let LinearShape { inputs, outputs } = shape.gates();
        LstmTape {
            shape,
            xh: Buffer::zeros((slots + 1) * inputs),
            gates: Buffer::zeros(slots * outputs),
            c: Buffer::zeros((slots + 1) * shape.cells),
            starts: vec![false; slots + 1],
            c_next: Buffer::zeros(slots * shape.cells),
        }
    }

    /// Returns `[x | h_prev]` of the first `n` slots: the input of the linear layer.
    pub fn xh(&self, n: usize) -> &[f32] {
        &self.xh[..n * self.shape.gates().inputs]
    }

    /// Returns h and c before `slot`.
    pub fn state(&self, slot: usize) -> [&[f32]; 2] {
        let LstmShape { inputs, cells } = self.shape;
        [&self.xh[slot * (inputs + cells) + inputs..][..cells], &self.c[slot * cells..][..cells]]
    }

    /// Puts a state before `slot`, where a sequence starts: neither a pass forward nor one backward goes across.
    pub fn start(&mut self, slot: usize) -> [&mut [f32]; 2] {
        self.starts[slot] = true;
        self.state_mut(slot)
    }

    /// Forgets where sequences start.
    pub fn forget_starts(&mut self) {
        self.starts.fill(false);
    }

    fn state_mut(&mut self, slot: usize) -> [&mut [f32]; 2] {
        let LstmShape { inputs, cells } = self.shape;
        [&mut self.xh[slot * (inputs + cells) + inputs..][..cells], &mut self.c[slot * cells..][..cells]]
    }

    /// `h <- lstm(x)`, from the state before `slot`; leaves the state before the next, unless a sequence starts there.
    pub fn forward(&mut self, isa: Isa, weight: &[f32], bias: &[f32], x: &[f32], slot: usize, h: &mut [f32]) {
        let (LstmShape { inputs, cells }, linear) = (self.shape, self.shape.gates());
        let xh = &mut self.xh[slot * linear.inputs..][..linear.inputs];
        xh[..inputs].copy_from_slice(x);
        let gates = &mut self.gates[slot * linear.outputs..][..linear.outputs];
        linear_forward(isa, &linear, 1, xh, weight, bias, Activation::Identity, gates);
        let c_next = &mut self.c_next[slot * cells..][..cells];
        lstm_forward(isa, gates, &self.c[slot * cells..][..cells], c_next, h);
        if !self.starts[slot + 1] {
            self.c[(slot + 1) * cells..][..cells].copy_from_slice(c_next);
            self.state_mut(slot + 1)[0].copy_from_slice(h);
        }
    }

    /// Computes the gradient with respect to the gates of the first `n` slots, given the gradient `dh` with respect to
    /// their h, `(n, cells)`. Adds to `dh` the gradient that comes back through time.
    pub fn backward(
        &self,
        isa: Isa,
        weight: &[f32],
        n: usize,
        dh: &mut [f32],
        workspace: &mut LstmWorkspace,
        scratch: &mut [f32],
    ) {
        let (LstmShape { inputs, cells }, LinearShape { outputs, .. }) = (self.shape, self.shape.gates());
        let recurrent = LinearShape { inputs: cells, outputs };
        let weight_hh = &weight[inputs * outputs..];
        let LstmWorkspace { d_gates, dh_prev, dc } = workspace;
        dc.fill(0.0);
        for t in (0..n).rev() {
            let (d_gates, gates) = (&mut d_gates[t * outputs..][..outputs], &self.gates[t * outputs..][..outputs]);
            let (c_prev, c) = (&self.c[t * cells..][..cells], &self.c_next[t * cells..][..cells]);
            lstm_backward(isa, gates, c_prev, c, &dh[t * cells..][..cells], dc, d_gates);
            if self.starts[t] {
                dc.fill(0.0);
            } else if t > 0 {
                linear_backward_input(
                    isa,
                    &recurrent,
                    1,
                    &[0],
                    weight_hh,
                    d_gates,
                    None,
                    &mut scratch[..outputs],
                    dh_prev,
                );
                dh[(t - 1) * cells..][..cells].iter_mut().zip(dh_prev.iter()).for_each(|(dh, d)| *dh += d);
            }
        }
    }
}

impl LstmWorkspace {
    pub fn new(shape: LstmShape, slots: usize) -> Self {
        LstmWorkspace {
            d_gates: Buffer::zeros(slots * shape.gates().outputs),
            dh_prev: Buffer::zeros(shape.cells),
            dc: Buffer::zeros(shape.cells),
        }
    }

    /// Returns the gradient with respect to z of the first `n` slots, `(n, 4, cells)`.
    pub fn d_gates(&self, n: usize) -> &[f32] {
        &self.d_gates[..n * 4 * self.dc.len()]
    }
}
