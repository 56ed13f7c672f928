//! Layers: a shape, offsets into theta, and calls into the kernels.

use super::lstm::{LstmShape, LstmTape, LstmWorkspace};
use super::tape::{LayerTape, LayerWorkspace};
use crate::kernel::activation::{Activation, relu_backward};
use crate::kernel::conv2d::{self, Conv2dShape};
use crate::kernel::gradient::Outer;
use crate::kernel::linear::{self, LinearShape};
use crate::kernel::{Isa, pad};
use std::ops::Range;

/// From so many weights on, writing a gradient out costs more than the products it consists of.
const LARGE_WEIGHT: usize = 1 << 16;

/// One layer, `y = activation(W x + b)`, or LSTM cells behind such a `W x + b`.
#[derive(Clone, Debug)]
pub struct Layer {
    op: Op,
    weight: Range<usize>,
    bias: Range<usize>,
    pub(super) activation: Activation,
}

#[derive(Clone, Debug)]
enum Op {
    Conv2d(Conv2dShape),
    Linear(LinearShape),
    Lstm(LstmShape),
}

impl Op {
    /// The linear layer that it is, or that is in it.
    fn linear(&self) -> Option<LinearShape> {
        match self {
            Op::Conv2d(_) => None,
            Op::Linear(shape) => Some(*shape),
            Op::Lstm(shape) => Some(shape.gates()),
        }
    }
}

impl Layer {
    fn new(op: Op, (weight, bias): (usize, usize), activation: Activation) -> Self {
        let (weight_len, bias_len) = match (&op, op.linear()) {
            (Op::Conv2d(shape), _) => (shape.weight_len(), shape.out_c),
            (_, Some(shape)) => (shape.inputs * shape.outputs, shape.outputs),
            (_, None) => unreachable!("every layer but a convolution has a linear one"),
        };
        Layer { op, weight: weight..weight + weight_len, bias: bias..bias + bias_len, activation }
    }

    /// A convolution whose weight and bias start at `offsets` of theta.
    pub fn conv2d(shape: Conv2dShape, offsets: (usize, usize), activation: Activation) -> Self {
        Self::new(Op::Conv2d(shape), offsets, activation)
    }

    /// A linear layer whose weight and bias start at `offsets` of theta; `outputs` is rounded up to vectors.
    pub fn linear(inputs: usize, outputs: usize, offsets: (usize, usize), activation: Activation) -> Self {
        Self::new(Op::Linear(LinearShape { inputs, outputs: pad(outputs) }), offsets, activation)
    }

    /// `cells` LSTM cells whose weight (of x, then of h) and bias start at `offsets` of theta.
    pub fn lstm(inputs: usize, cells: usize, offsets: (usize, usize)) -> Self {
        Self::new(Op::Lstm(LstmShape { inputs, cells }), offsets, Activation::Identity)
    }

    /// f32 a slot of output, padding included.
    pub fn output_len(&self) -> usize {
        match &self.op {
            Op::Conv2d(shape) => shape.output_len(),
            Op::Linear(shape) => shape.outputs,
            Op::Lstm(shape) => shape.cells,
        }
    }

    /// f32 of recurrent state: h and c of LSTM cells.
    pub fn state_len(&self) -> usize {
        match &self.op {
            Op::Lstm(shape) => shape.state_len(),
            Op::Conv2d(_) | Op::Linear(_) => 0,
        }
    }

    /// Length of the scratch [`Layer::backward_input`] needs.
    pub fn scratch_len(&self) -> usize {
        match &self.op {
            Op::Conv2d(shape) => shape.weight_len(),
            Op::Linear(_) | Op::Lstm(_) => 0,
        }
    }

    /// Where its parameters lie in theta: weight and bias.
    pub fn param_ranges(&self) -> [Range<usize>; 2] {
        [self.weight.clone(), self.bias.clone()]
    }

    /// Memory for the activations of `slots` steps.
    pub(super) fn tape(&self, slots: usize) -> LayerTape {
        let lstm = match &self.op {
            Op::Lstm(shape) => Some(LstmTape::new(*shape, slots)),
            Op::Conv2d(_) | Op::Linear(_) => None,
        };
        LayerTape::new(self.output_len(), slots, lstm)
    }

    /// Memory for the backward pass over `slots` steps.
    pub(super) fn workspace(&self, slots: usize) -> LayerWorkspace {
        let lstm = match &self.op {
            Op::Lstm(shape) => Some(LstmWorkspace::new(*shape, slots)),
            Op::Conv2d(_) | Op::Linear(_) => None,
        };
        LayerWorkspace::new(self.output_len(), slots, lstm)
    }

    /// `y <- activation(W x + b)` for one slot.
    pub(super) fn forward(&self, isa: Isa, theta: &[f32], x: &[f32], tape: &mut LayerTape, slot: usize) {
        let (weight, bias) = (&theta[self.weight.clone()], &theta[self.bias.clone()]);
        let (y, lstm) = tape.slot_mut(slot);
        match (&self.op, lstm) {
            (Op::Conv2d(shape), _) => conv2d::conv2d_forward(isa, shape, 1, x, weight, bias, self.activation, y),
            (Op::Linear(shape), _) => linear::linear_forward(isa, shape, 1, x, weight, bias, self.activation, y),
            (Op::Lstm(_), Some(lstm)) => lstm.forward(isa, weight, bias, x, slot, y),
            (Op::Lstm(_), None) => panic!("a tape of another network"),
        }
    }

    /// Brings the gradient by y to where parameters and input need it: through time, and before the cells.
    pub(super) fn backward_state(
        &self,
        isa: Isa,
        theta: &[f32],
        n: usize,
        tape: &LayerTape,
        workspace: &mut LayerWorkspace,
    ) {
        if let (Some(tape), Some(lstm)) = (&tape.lstm, &mut workspace.lstm) {
            tape.backward(isa, &theta[self.weight.clone()], n, &mut workspace.dy, lstm);
        }
    }

    /// Overwrites this layer's part of `d_theta` with the sum over `batch` slots. `dy` is the gradient before the activation.
    pub fn backward_params(&self, isa: Isa, batch: usize, x: &[f32], dy: &[f32], d_theta: &mut [f32]) {
        let Ok([d_weight, d_bias]) = d_theta.get_disjoint_mut(self.param_ranges()) else {
            panic!("weight and bias overlap in theta")
        };
        match (&self.op, self.op.linear()) {
            (Op::Conv2d(shape), _) => conv2d::conv2d_backward_weight(isa, shape, batch, x, dy, d_weight, d_bias),
            (_, Some(shape)) => linear::linear_backward_weight(isa, &shape, batch, x, dy, d_weight, d_bias),
            (_, None) => unreachable!("every layer but a convolution has a linear one"),
        }
    }

    /// Whether the gradient of its weight is better left as an outer product ([`crate::kernel::gradient`]): large, and of one rank a step.
    pub fn has_outer_gradient(&self) -> bool {
        self.op.linear().is_some() && self.weight.len() >= LARGE_WEIGHT
    }

    /// The part of [`Layer::backward_params`] that concerns the bias. `dy`: `(batch, output_len)`
    pub fn backward_bias(&self, dy: &[f32], d_theta: &mut [f32]) {
        let d_bias = &mut d_theta[self.bias.clone()];
        let (first, rest) = dy.split_at(d_bias.len());
        d_bias.copy_from_slice(first);
        for dy in rest.chunks_exact(d_bias.len()) {
            d_bias.iter_mut().zip(dy).for_each(|(sum, d)| *sum += d);
        }
    }

    /// The gradient by its weight over `batch` slots, as an outer product.
    pub fn outer<'a>(&self, batch: usize, x: &'a [f32], dy: &'a [f32]) -> Outer<'a> {
        Outer { start: self.weight.start, x, delta: dy, rank: batch }
    }

    /// Overwrites `dx` with the gradient by `x`, taken before the activation `below` that produced `x`.
    #[allow(clippy::too_many_arguments)] // one backward pass: what comes in, what goes out
    pub fn backward_input(
        &self,
        isa: Isa,
        theta: &[f32],
        batch: usize,
        dy: &[f32],
        x: &[f32],
        below: Activation,
        scratch: &mut [f32],
        dx: &mut [f32],
    ) {
        let weight = &theta[self.weight.clone()];
        let gate = (below == Activation::Relu).then_some(x);
        match &self.op {
            Op::Conv2d(shape) => {
                let scratch = &mut scratch[..shape.weight_len()];
                conv2d::conv2d_backward_input(isa, shape, batch, weight, dy, scratch, dx);
                if let Some(x) = gate {
                    relu_backward(isa, x, dx);
                }
            }
            Op::Linear(shape) => linear::linear_backward_input(isa, shape, batch, weight, dy, gate, dx),
            Op::Lstm(LstmShape { inputs, cells }) => {
                let shape = LinearShape { inputs: *inputs, outputs: 4 * cells };
                let weight_ih = &weight[..shape.inputs * shape.outputs];
                linear::linear_backward_input(isa, &shape, batch, weight_ih, dy, gate, dx);
            }
        }
    }
}
