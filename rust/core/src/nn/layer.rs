//! Layers: a shape, offsets into theta, and calls of the kernels.

use super::lstm::{LstmShape, LstmTape, LstmWorkspace};
use super::runs::Runs;
use super::tape::{Input, LayerTape, LayerWorkspace};
use crate::kernel::activation::{Activation, activate};
use crate::kernel::buffer::Buffer;
use crate::kernel::conv2d::{self, Conv2dShape, Site};
use crate::kernel::gradient::Outer;
use crate::kernel::linear::{self, LinearShape};
use crate::kernel::{Isa, pad};
use serde::Serialize;
use std::ops::Range;

/// Least number of weights for which writing out a gradient costs more than the products it consists of.
const LARGE_WEIGHT: usize = 1 << 16;

/// Layer of a network: `y = activation(W x + b)`, LSTM cells after such a `W x + b`, `y = activation(x + x' + ...)`, or
/// `y = b`.
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
    /// Sum of several inputs.
    Sum(SumShape),
    /// Number of outputs, which are the bias for every observation.
    Constant(usize),
}

/// Shape of a sum's inputs and of its outputs, `(positions, channels)`, padding included.
#[derive(Clone, Copy, Debug)]
pub(super) struct SumShape {
    pub positions: usize,
    pub channels: usize,
}

impl SumShape {
    fn len(&self) -> usize {
        self.positions * self.channels
    }
}

/// Kind of a layer, for programs that compute a network outside this library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Kind {
    /// Convolution.
    Conv2d {
        /// Distance between two windows in pixels, in both directions.
        stride: usize,
    },
    /// Affine map `W x + b`.
    Linear,
    /// LSTM cells.
    Lstm,
    /// Sum of the inputs.
    Sum,
    /// Parameters `b`.
    Constant,
}

impl Op {
    /// Returns the linear layer that it is or contains.
    fn linear(&self) -> Option<LinearShape> {
        match self {
            Op::Conv2d(_) | Op::Sum(_) | Op::Constant(_) => None,
            Op::Linear(shape) => Some(*shape),
            Op::Lstm(shape) => Some(shape.gates()),
        }
    }
}

impl Layer {
    fn new(op: Op, (weight, bias): (usize, usize), activation: Activation) -> Self {
        let (weight_len, bias_len) = match (&op, op.linear()) {
            (Op::Conv2d(shape), _) => (shape.weight_len(), shape.out_c),
            (Op::Constant(outputs), _) => (0, *outputs),
            (_, linear) => linear.map_or((0, 0), |shape| (shape.inputs * shape.outputs, shape.outputs)),
        };
        Layer { op, weight: weight..weight + weight_len, bias: bias..bias + bias_len, activation }
    }

    /// Creates a convolution whose weight and bias start at `offsets` of theta.
    pub fn conv2d(shape: Conv2dShape, offsets: (usize, usize), activation: Activation) -> Self {
        Self::new(Op::Conv2d(shape), offsets, activation)
    }

    /// Creates a linear layer whose weight and bias start at `offsets` of theta; `outputs` is rounded up to vectors.
    pub fn linear(inputs: usize, outputs: usize, offsets: (usize, usize), activation: Activation) -> Self {
        Self::new(Op::Linear(LinearShape { inputs, outputs: pad(outputs) }), offsets, activation)
    }

    /// Creates `cells` LSTM cells whose weight (of x, then of h) and bias start at `offsets` of theta.
    pub fn lstm(inputs: usize, cells: usize, offsets: (usize, usize)) -> Self {
        Self::new(Op::Lstm(LstmShape { inputs, cells }), offsets, Activation::Identity)
    }

    /// Creates the sum of inputs of this shape, followed by an activation.
    pub(super) fn sum(shape: SumShape, activation: Activation) -> Self {
        Self::new(Op::Sum(shape), (0, 0), activation)
    }

    /// Creates outputs that are parameters themselves, at `offset` of theta; `outputs` is rounded up to vectors.
    pub fn constant(outputs: usize, offset: usize) -> Self {
        Self::new(Op::Constant(pad(outputs)), (offset, offset), Activation::Identity)
    }

    /// Returns the kind of the layer.
    pub fn kind(&self) -> Kind {
        match &self.op {
            Op::Conv2d(shape) => Kind::Conv2d { stride: shape.stride },
            Op::Linear(_) => Kind::Linear,
            Op::Lstm(_) => Kind::Lstm,
            Op::Sum(_) => Kind::Sum,
            Op::Constant(_) => Kind::Constant,
        }
    }

    /// Returns true if its backward pass applies the derivative of its input's ReLU to the gradient.
    pub(super) fn gates_its_input(&self) -> bool {
        match &self.op {
            Op::Conv2d(_) | Op::Linear(_) | Op::Lstm(_) => true,
            Op::Sum(_) | Op::Constant(_) => false,
        }
    }

    /// Returns the number of f32 in one slot of output, padding included.
    pub fn output_len(&self) -> usize {
        match &self.op {
            Op::Conv2d(shape) => shape.output_len(),
            Op::Linear(shape) => shape.outputs,
            Op::Lstm(shape) => shape.cells,
            Op::Sum(shape) => shape.len(),
            Op::Constant(outputs) => *outputs,
        }
    }

    /// Returns the number of f32 of recurrent state: h and c of LSTM cells.
    pub fn state_len(&self) -> usize {
        match &self.op {
            Op::Lstm(shape) => shape.state_len(),
            Op::Conv2d(_) | Op::Linear(_) | Op::Sum(_) | Op::Constant(_) => 0,
        }
    }

    /// Returns the length of the scratch that a backward pass over `slots` steps needs.
    pub fn scratch_len(&self, slots: usize) -> usize {
        match (&self.op, self.op.linear()) {
            (Op::Conv2d(shape), _) => shape.weight_len(),
            (_, linear) => slots * linear.map_or(0, |shape| shape.outputs),
        }
    }

    /// Returns the ranges of weight and bias in theta.
    pub fn param_ranges(&self) -> [Range<usize>; 2] {
        [self.weight.clone(), self.bias.clone()]
    }

    /// Returns the range of weight and bias in theta, including the padding between them.
    pub fn params(&self) -> Range<usize> {
        self.weight.start..self.bias.end
    }

    /// Allocates memory for the activations of `slots` steps.
    pub(super) fn tape(&self, slots: usize) -> LayerTape {
        let tape = |runs| LayerTape::new(self.output_len(), slots, runs);
        match &self.op {
            Op::Conv2d(shape) => tape(Runs::of_convolution(shape, slots)),
            Op::Linear(shape) => LayerTape { z: Buffer::zeros(slots * shape.outputs), ..tape(Runs::new(1, slots)) },
            Op::Lstm(shape) => LayerTape { lstm: Some(LstmTape::new(*shape, slots)), ..tape(Runs::new(1, slots)) },
            Op::Sum(shape) => tape(Runs::new(shape.positions, slots)),
            Op::Constant(_) => tape(Runs::new(1, slots)),
        }
    }

    /// Allocates memory for the backward pass over `slots` steps.
    pub(super) fn workspace(&self, slots: usize) -> LayerWorkspace {
        let lstm = match &self.op {
            Op::Lstm(shape) => Some(LstmWorkspace::new(*shape, slots)),
            Op::Conv2d(_) | Op::Linear(_) | Op::Sum(_) | Op::Constant(_) => None,
        };
        LayerWorkspace::new(self.output_len(), slots, lstm)
    }

    /// Computes `y` of one slot. The slot before it was computed with the same theta.
    pub(super) fn forward<'a>(
        &self,
        isa: Isa,
        theta: &[f32],
        mut inputs: impl Iterator<Item = Input<'a>> + Clone,
        tape: &mut LayerTape,
        slot: usize,
    ) {
        let (weight, bias) = (&theta[self.weight.clone()], &theta[self.bias.clone()]);
        let mut input = || inputs.next().expect("a layer with a weight has an input");
        match &self.op {
            Op::Conv2d(shape) => {
                let input = input();
                tape.runs.of_windows(shape, slot, input.changed, input.nth);
                if let (y, Some(before)) = tape.slot_mut(slot) {
                    y.copy_from_slice(before);
                }
                let (sites, y) = (tape.runs.sites_of(slot), &mut tape.y);
                conv2d::conv2d_forward(isa, shape, sites, input.all, weight, bias, self.activation, y);
            }
            Op::Linear(shape) => {
                let input = input();
                let (before, z) = tape.z.split_at_mut(slot * shape.outputs);
                let (x, z) = (input.row(shape.inputs), &mut z[..shape.outputs]);
                match slot.checked_sub(1) {
                    Some(slot) => {
                        let before = (input.row_before(shape.inputs), &before[slot * shape.outputs..]);
                        linear::linear_forward_from(isa, shape, before, x, weight, bias, z);
                    }
                    None => linear::linear_forward(isa, shape, 1, x, weight, bias, Activation::Identity, z),
                }
                let y = &mut tape.y[slot * shape.outputs..][..shape.outputs];
                y.copy_from_slice(z);
                activate(isa, self.activation, y);
            }
            Op::Lstm(shape) => tape.lstm_forward(isa, weight, bias, input().row(shape.inputs), slot),
            Op::Sum(shape) => {
                tape.runs.of_terms(slot, inputs.clone().map(|input| input.changed));
                let (y, _) = tape.slot_mut(slot);
                y.fill(0.0);
                for input in inputs {
                    y.iter_mut().zip(input.row(shape.len())).for_each(|(y, x)| *y += x);
                }
                activate(isa, self.activation, y);
            }
            Op::Constant(outputs) => tape.y[slot * outputs..][..*outputs].copy_from_slice(bias),
        }
    }

    /// Returns true for a layer whose output has several positions, of which most stay the same from one step to the next.
    pub(super) fn has_positions(&self) -> bool {
        match &self.op {
            Op::Conv2d(_) => true,
            Op::Sum(shape) => shape.positions > 1,
            Op::Linear(_) | Op::Lstm(_) | Op::Constant(_) => false,
        }
    }

    /// Returns true where [`Layer::forward_all`] computes all slots at once.
    pub(super) fn reads_all(&self) -> bool {
        match &self.op {
            Op::Linear(_) => true,
            Op::Conv2d(_) | Op::Lstm(_) | Op::Sum(_) | Op::Constant(_) => false,
        }
    }

    /// Computes y of the first `n` slots of a linear layer, whose inputs are the rows of `x`.
    pub(super) fn forward_all(&self, isa: Isa, theta: &[f32], x: &[f32], tape: &mut LayerTape, n: usize) {
        let Op::Linear(shape) = &self.op else { panic!("a layer that does not read all at once") };
        let (weight, bias) = (&theta[self.weight.clone()], &theta[self.bias.clone()]);
        linear::linear_forward(isa, shape, n, x, weight, bias, self.activation, &mut tape.y[..n * shape.outputs]);
    }

    /// Propagates the gradient with respect to y of LSTM cells back through time, to the gates. Other layers need
    /// nothing.
    pub(super) fn backward_state(
        &self,
        isa: Isa,
        theta: &[f32],
        n: usize,
        tape: &LayerTape,
        workspace: &mut LayerWorkspace,
        scratch: &mut [f32],
    ) {
        if let (Some(tape), Some(lstm)) = (&tape.lstm, &mut workspace.lstm) {
            tape.backward(isa, &theta[self.weight.clone()], n, &mut workspace.dy, lstm, scratch);
        }
    }

    /// Overwrites this layer's part of `d_theta` with the sum over `n` slots. `x` is its input, `tape` its output, and
    /// `dy` the gradient before the activation. `dy` of a convolution is the sum over each run, at the start of the
    /// run.
    pub(super) fn backward_params(
        &self,
        isa: Isa,
        n: usize,
        x: &[f32],
        tape: &LayerTape,
        dy: &[f32],
        d_theta: &mut [f32],
    ) {
        match (&self.op, self.op.linear()) {
            (Op::Conv2d(_), _) => self.backward_sites(isa, tape.runs.sites(n), x, dy, d_theta),
            (_, Some(shape)) => {
                let [d_weight, d_bias] = self.params_mut(d_theta);
                linear::linear_backward_weight(isa, &shape, n, x, dy, d_weight, d_bias);
            }
            (Op::Sum(_), _) => (), // it has no parameters
            (_, None) => self.backward_bias(dy, d_theta),
        }
    }

    /// Overwrites a convolution's part of `d_theta` with the sum over `sites`.
    pub(super) fn backward_sites(&self, isa: Isa, sites: &[Site], x: &[f32], dy: &[f32], d_theta: &mut [f32]) {
        let Op::Conv2d(shape) = &self.op else { panic!("only a convolution has sites") };
        let [d_weight, d_bias] = self.params_mut(d_theta);
        conv2d::conv2d_backward_weight(isa, shape, sites, x, dy, d_weight, d_bias);
    }

    /// Returns its weight and bias in `theta`.
    fn params_mut<'a>(&self, theta: &'a mut [f32]) -> [&'a mut [f32]; 2] {
        theta.get_disjoint_mut(self.param_ranges()).expect("weight and bias do not overlap in theta")
    }

    /// Returns true if the gradient of its weight is better left as an outer product ([`crate::kernel::gradient`]): the
    /// weight is large, and its gradient has rank 1 per step.
    pub fn has_outer_gradient(&self) -> bool {
        self.op.linear().is_some() && self.weight.len() >= LARGE_WEIGHT
    }

    /// Computes the part of [`Layer::backward_params`] that concerns the bias. `dy`: `(batch, output_len)`
    pub fn backward_bias(&self, dy: &[f32], d_theta: &mut [f32]) {
        let d_bias = &mut d_theta[self.bias.clone()];
        let (first, rest) = dy.split_at(d_bias.len());
        d_bias.copy_from_slice(first);
        for dy in rest.chunks_exact(d_bias.len()) {
            d_bias.iter_mut().zip(dy).for_each(|(sum, d)| *sum += d);
        }
    }

    /// Returns the gradient with respect to its weight over `batch` slots, as an outer product.
    pub fn outer<'a>(&self, batch: usize, x: &'a [f32], dy: &'a [f32]) -> Outer<'a> {
        Outer { start: self.weight.start, x, delta: dy, rank: batch }
    }

    /// Overwrites `dx` with the gradient with respect to this layer's input, before the activation that produced it.
    /// The input is the output on the tape of the layer `below`. Where that output stays the same over a run, `dx` is
    /// the sum over the run, at its start.
    #[allow(clippy::too_many_arguments)] // the inputs and outputs of one backward pass
    pub(super) fn backward_input(
        &self,
        isa: Isa,
        theta: &[f32],
        n: usize,
        (below, activation): (&LayerTape, Activation),
        tape: &LayerTape,
        dy: &[f32],
        scratch: &mut [f32],
        dx: &mut [f32],
    ) {
        let weight = &theta[self.weight.clone()];
        let gate = (activation == Activation::Relu).then_some(below.first(n));
        let (positions, start) = (below.runs.positions(), below.runs.start(n));
        let mut linear = |shape: LinearShape, weight| {
            let scratch = &mut scratch[..n * shape.outputs];
            linear::linear_backward_input(isa, &shape, positions, start, weight, dy, gate, scratch, dx);
        };
        match &self.op {
            Op::Conv2d(shape) => {
                let (sites, scratch) = (tape.runs.sites(n), &mut scratch[..shape.weight_len()]);
                conv2d::conv2d_backward_input(isa, shape, sites, start, weight, dy, gate, scratch, dx);
            }
            Op::Linear(shape) => linear(*shape, weight),
            Op::Lstm(LstmShape { inputs, cells }) => {
                let shape = LinearShape { inputs: *inputs, outputs: 4 * cells };
                linear(shape, &weight[..shape.inputs * shape.outputs]); // of x alone
            }
            Op::Sum(_) => below.runs.gather(n, &tape.runs, dy, dx),
            Op::Constant(_) => (), // it has no input
        }
    }
}
