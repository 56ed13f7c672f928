//! Layers: a shape, offsets into theta, and calls into the kernels.

use crate::kernel::activation::{Activation, relu_backward};
use crate::kernel::conv2d::{self, Conv2dShape};
use crate::kernel::gradient::Outer;
use crate::kernel::linear::{self, LinearShape};
use crate::kernel::{Isa, pad};
use std::ops::Range;

/// From so many weights on, writing a gradient out costs more than the products it consists of.
const LARGE_WEIGHT: usize = 1 << 16;

/// One layer, `y = activation(W x + b)`.
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
}

impl Layer {
    /// A convolution whose weight and bias start at `offsets` of theta.
    pub fn conv2d(shape: Conv2dShape, offsets: (usize, usize), activation: Activation) -> Self {
        let (weight, bias) = offsets;
        let (weight, bias) = (weight..weight + shape.weight_len(), bias..bias + shape.out_c);
        Layer { op: Op::Conv2d(shape), weight, bias, activation }
    }

    /// A linear layer whose weight and bias start at `offsets` of theta; `outputs` is rounded up to vectors.
    pub fn linear(inputs: usize, outputs: usize, offsets: (usize, usize), activation: Activation) -> Self {
        let (shape, (weight, bias)) = (LinearShape { inputs, outputs: pad(outputs) }, offsets);
        let (weight, bias) = (weight..weight + inputs * shape.outputs, bias..bias + shape.outputs);
        Layer { op: Op::Linear(shape), weight, bias, activation }
    }

    /// f32 a slot of input.
    pub fn input_len(&self) -> usize {
        match &self.op {
            Op::Conv2d(shape) => shape.input_len(),
            Op::Linear(shape) => shape.inputs,
        }
    }

    /// f32 a slot of output, padding included.
    pub fn output_len(&self) -> usize {
        match &self.op {
            Op::Conv2d(shape) => shape.output_len(),
            Op::Linear(shape) => shape.outputs,
        }
    }

    /// Length of the scratch [`Layer::backward_input`] needs.
    pub fn scratch_len(&self) -> usize {
        match &self.op {
            Op::Conv2d(shape) => shape.weight_len(),
            Op::Linear(_) => 0,
        }
    }

    /// Where its parameters lie in theta: weight and bias.
    pub fn param_ranges(&self) -> [Range<usize>; 2] {
        [self.weight.clone(), self.bias.clone()]
    }

    /// `y <- activation(W x + b)` for one slot.
    pub fn forward(&self, isa: Isa, theta: &[f32], x: &[f32], y: &mut [f32]) {
        let (weight, bias) = (&theta[self.weight.clone()], &theta[self.bias.clone()]);
        match &self.op {
            Op::Conv2d(shape) => conv2d::conv2d_forward(isa, shape, 1, x, weight, bias, self.activation, y),
            Op::Linear(shape) => linear::linear_forward(isa, shape, 1, x, weight, bias, self.activation, y),
        }
    }

    /// Overwrites this layer's part of `d_theta` with the sum over `batch` slots. `dy` is the gradient before the activation.
    pub fn backward_params(&self, isa: Isa, batch: usize, x: &[f32], dy: &[f32], d_theta: &mut [f32]) {
        let Ok([d_weight, d_bias]) = d_theta.get_disjoint_mut(self.param_ranges()) else {
            panic!("weight and bias overlap in theta")
        };
        match &self.op {
            Op::Conv2d(shape) => conv2d::conv2d_backward_weight(isa, shape, batch, x, dy, d_weight, d_bias),
            Op::Linear(shape) => linear::linear_backward_weight(isa, shape, batch, x, dy, d_weight, d_bias),
        }
    }

    /// Whether the gradient of its weight is better left as an outer product ([`crate::kernel::gradient`]): large, and of one rank a step.
    pub fn has_outer_gradient(&self) -> bool {
        matches!(self.op, Op::Linear(_)) && self.weight.len() >= LARGE_WEIGHT
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
        match &self.op {
            Op::Conv2d(shape) => {
                let scratch = &mut scratch[..shape.weight_len()];
                conv2d::conv2d_backward_input(isa, shape, batch, weight, dy, scratch, dx);
                if below == Activation::Relu {
                    relu_backward(isa, x, dx);
                }
            }
            Op::Linear(shape) => {
                let gate = (below == Activation::Relu).then_some(x);
                linear::linear_backward_input(isa, shape, batch, weight, dy, gate, dx);
            }
        }
    }
}
