//! Fully connected layers.
//!
//! With a batch of one row (acting) a layer is as fast as its weight can be read from the cache. The forward kernel
//! therefore skips the weights of inputs that are 0, which is half of them after a ReLU. **`0 * w` is then 0 for every
//! `w`, NaN and infinity included**, if the batch is 1; a NaN in `x` always reaches `y`.

mod row;

pub use row::linear_forward_from;

use super::activation::{self, Activation};
use super::simd::Simd;
use super::tile::{Strided, Tiled, column_sums, cover, load, multiply_add, starts, store_tile};
use super::{Isa, Kernel, LANE_PAD, dispatch};
use std::ops::Range;

/// Shape of a fully connected layer. `outputs` is a multiple of [`LANE_PAD`], `inputs` is any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearShape {
    /// Width of an input row.
    pub inputs: usize,
    /// Width of an output row.
    pub outputs: usize,
}

impl LinearShape {
    fn check(&self, batch: usize, x_len: usize, weight_len: usize, y_len: usize) {
        assert_eq!(self.outputs % LANE_PAD, 0, "outputs of {self:?} is no multiple of {LANE_PAD}");
        assert_eq!(x_len, batch * self.inputs, "length of x");
        assert_eq!(weight_len, self.inputs * self.outputs, "length of the weight");
        assert_eq!(y_len, batch * self.outputs, "length of y");
    }
}

/// Computes `y = activation(x weight + bias)`.
#[expect(clippy::too_many_arguments, reason = "the operands of the formula, each a slice of its own")]
pub fn linear_forward(
    isa: Isa,
    shape: &LinearShape,
    batch: usize,
    x: &[f32],      // (batch, inputs)
    weight: &[f32], // (inputs, outputs)
    bias: &[f32],   // (outputs)
    activation: Activation,
    y: &mut [f32], // (batch, outputs)
) {
    shape.check(batch, x.len(), weight.len(), y.len());
    assert_eq!(bias.len(), shape.outputs, "length of the bias");
    let product = Forward { shape: *shape, batch, x, weight, bias, activation, y };
    match batch {
        1 => dispatch(isa, row::OneRow(product)),
        _ => cover(isa, batch, shape.outputs, product),
    }
}

/// Number of inputs whose weights pass through the cache together: 64 rows of 256 outputs are 64 KiB.
const BLOCK: usize = 64;

/// Tiled forward pass. Rows of a tile are rows of the batch, columns are outputs, the sum runs over the inputs.
struct Forward<'a> {
    shape: LinearShape,
    batch: usize,
    x: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    activation: Activation,
    y: &'a mut [f32],
}

impl Tiled for Forward<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const P: usize, const NV: usize>(&mut self, simd: S, columns: Range<usize>) {
        let LinearShape { inputs, outputs } = self.shape;
        for column in columns.step_by(NV * S::LANES) {
            for n in starts(self.batch, P) {
                // SAFETY: `check` has compared all lengths with the shape; `n + P <= batch`, and the caller's columns
                // lie within the outputs.
                unsafe {
                    let mut tile = [load::<S, NV>(simd, self.bias.as_ptr().add(column)); P];
                    let x = Strided { ptr: self.x.as_ptr().add(n * inputs), row: inputs, col: 1 };
                    multiply_add(simd, &mut tile, x, self.weight.as_ptr().add(column), outputs, inputs);
                    self.activation.apply(simd, tile.as_flattened_mut());
                    store_tile(simd, self.y.as_mut_ptr().add(n * outputs + column), outputs, &tile);
                }
            }
        }
    }
}

/// Computes `d_weight = x^T dy` and `d_bias = sum over the batch of dy`; both are overwritten.
pub fn linear_backward_weight(
    isa: Isa,
    shape: &LinearShape,
    batch: usize,
    x: &[f32],            // (batch, inputs)
    dy: &[f32],           // (batch, outputs), before the activation
    d_weight: &mut [f32], // (inputs, outputs)
    d_bias: &mut [f32],   // (outputs)
) {
    shape.check(batch, x.len(), d_weight.len(), dy.len());
    assert_eq!(d_bias.len(), shape.outputs, "length of d_bias");
    cover(isa, shape.inputs, shape.outputs, BackwardWeight { shape: *shape, batch, x, dy, d_weight });
    column_sums(isa, dy, d_bias);
}

/// Tiled weight gradient. Rows of a tile are inputs, columns are outputs, the sum runs over the batch.
struct BackwardWeight<'a> {
    shape: LinearShape,
    batch: usize,
    x: &'a [f32],
    dy: &'a [f32],
    d_weight: &'a mut [f32],
}

impl Tiled for BackwardWeight<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const P: usize, const NV: usize>(&mut self, simd: S, columns: Range<usize>) {
        let LinearShape { inputs, outputs } = self.shape;
        // Columns are the inner loop: the gradient is far larger than the cache and is written in memory order.
        for i in starts(inputs, P) {
            for column in columns.clone().step_by(NV * S::LANES) {
                let mut tile = [[simd.splat(0.0); NV]; P];
                // SAFETY: `check` has compared all lengths with the shape; `i + P <= inputs`, and the caller's columns
                // lie within the outputs.
                unsafe {
                    let x = Strided { ptr: self.x.as_ptr().add(i), row: 1, col: inputs };
                    multiply_add(simd, &mut tile, x, self.dy.as_ptr().add(column), outputs, self.batch);
                    store_tile(simd, self.d_weight.as_mut_ptr().add(i * outputs + column), outputs, &tile);
                }
            }
        }
    }
}

/// Computes `dx = dy weight^T`, summed over each run of an input pixel.
///
/// The inputs are the channels of `positions` pixels. `start` gives for each pixel the index of the first pixel of its
/// run of steps. There the sum overwrites `dx`; elsewhere `dx` stays unchanged. With a `gate` (the `x` of this layer,
/// if it is the output of a ReLU) `dx` is 0 where `gate <= 0`: the backward pass of that ReLU. Weights of inputs
/// without a positive gate are not read.
#[expect(clippy::too_many_arguments, reason = "the operands of the formula, each a slice of its own")]
pub fn linear_backward_input(
    isa: Isa,
    shape: &LinearShape,
    positions: usize,
    start: &[u32], // (batch, positions), each at most its own index and a multiple of `positions` away from it
    weight: &[f32], // (inputs, outputs)
    dy: &[f32],    // (batch, outputs), before the activation of this layer
    gate: Option<&[f32]>, // (batch, inputs)
    scratch: &mut [f32], // (batch, outputs)
    dx: &mut [f32], // (batch, inputs)
) {
    let batch = start.len() / positions;
    shape.check(batch, dx.len(), weight.len(), dy.len());
    assert!(start.len() == batch * positions && shape.inputs.is_multiple_of(positions), "length of start");
    assert!(gate.is_none_or(|gate| gate.len() == dx.len()), "length of the gate");
    assert_eq!(scratch.len(), dy.len(), "length of the scratch");
    dispatch(isa, BackwardInput { shape: *shape, positions, start, weight, dy, gate, sums: scratch, dx });
}

/// Input gradient: dot products of rows of the weight with rows of `dy`. Several of each are computed at a time, so
/// that one pass over the weight is enough.
struct BackwardInput<'a> {
    shape: LinearShape,
    positions: usize,
    start: &'a [u32],
    weight: &'a [f32],
    dy: &'a [f32],
    gate: Option<&'a [f32]>,
    /// Sums of `dy` over each run of the current pixel.
    sums: &'a mut [f32],
    dx: &'a mut [f32],
}

/// Number of runs of a pixel that are computed together. If there are more, they are computed in parts.
const MAX_RUNS: usize = 5;

impl Kernel for BackwardInput<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        for position in 0..self.positions {
            let mut step = 0;
            while step < self.start.len() / self.positions {
                let mut runs = [0; MAX_RUNS];
                let count;
                (count, step) = self.runs(simd, position, step, &mut runs);
                self.pixel(simd, position, &runs[..count]);
            }
        }
    }
}

impl BackwardInput<'_> {
    /// Sums `dy` over each of the next runs of `position`, from `step` on, and stores the steps at which they start in
    /// `runs`. Returns the number of runs and the step after them.
    #[inline(always)]
    fn runs<S: Simd>(
        &mut self,
        simd: S,
        position: usize,
        mut step: usize,
        runs: &mut [usize; MAX_RUNS],
    ) -> (usize, usize) {
        let (outputs, mut count) = (self.shape.outputs, 0);
        while step < self.start.len() / self.positions {
            let pixel = step * self.positions + position;
            let dy = &self.dy[step * outputs..][..outputs];
            if self.start[pixel] as usize == pixel {
                if count == MAX_RUNS {
                    break;
                }
                self.sums[count * outputs..][..outputs].copy_from_slice(dy);
                runs[count] = step;
                count += 1;
            } else {
                assert!(count > 0, "a run starts at its first pixel");
                let sums = &mut self.sums[(count - 1) * outputs..][..outputs];
                for (sum, dy) in sums.chunks_exact_mut(S::LANES).zip(dy.chunks_exact(S::LANES)) {
                    // SAFETY: both hold `LANES` f32.
                    unsafe { simd.store(sum.as_mut_ptr(), simd.add(simd.load(sum.as_ptr()), simd.load(dy.as_ptr()))) };
                }
            }
            step += 1;
        }
        (count, step)
    }

    /// Computes `dx` of the channels of `position` at the first steps of its `runs`.
    #[inline(always)]
    fn pixel<S: Simd>(&mut self, simd: S, position: usize, runs: &[usize]) {
        let inputs = self.shape.inputs;
        let channels = inputs / self.positions;
        for first in (position * channels..(position + 1) * channels).step_by(BLOCK) {
            let mut open = [0; BLOCK];
            let mut count = 0;
            let last = (position + 1) * channels;
            for i in first..last.min(first + BLOCK) {
                let mut is_open = self.gate.is_none();
                if let Some(gate) = self.gate {
                    for step in runs {
                        is_open |= gate[step * inputs + i] > 0.0;
                    }
                }
                open[count] = i;
                count += usize::from(is_open);
            }
            // SAFETY: `open` holds indices of inputs; `sums` and `dx` have rows for the runs.
            unsafe {
                match runs.len() {
                    1 => self.dots::<S, 8, 1>(simd, &open[..count], runs),
                    2 => self.dots::<S, 4, 2>(simd, &open[..count], runs),
                    3 => self.dots::<S, 3, 3>(simd, &open[..count], runs),
                    4 if S::REGISTERS == 32 => self.dots::<S, 4, 4>(simd, &open[..count], runs),
                    4 => self.dots::<S, 2, 4>(simd, &open[..count], runs),
                    _ if S::REGISTERS == 32 => self.dots::<S, 4, 5>(simd, &open[..count], runs),
                    _ => self.dots::<S, 2, 5>(simd, &open[..count], runs),
                }
            }
        }
        // This also overwrites the inputs that were skipped.
        if let Some(gate) = self.gate {
            for step in runs {
                let row = step * inputs + position * channels..step * inputs + (position + 1) * channels;
                activation::Backward { activation: Activation::Relu, y: &gate[row.clone()], dy: &mut self.dx[row] }
                    .run(simd);
            }
        }
    }

    /// Multiplies the weights of the inputs `open` with the sums of `N` runs.
    ///
    /// # Safety
    /// Each index in `open` is less than the number of inputs; there are `N` runs.
    #[inline(always)]
    unsafe fn dots<S: Simd, const R: usize, const N: usize>(&mut self, simd: S, open: &[usize], runs: &[usize]) {
        let LinearShape { inputs, outputs } = self.shape;
        for start in (0..open.len()).step_by(R) {
            // In the last round the rows beyond the end repeat the last input.
            let mut rows = [open[open.len() - 1]; R];
            for (row, i) in rows.iter_mut().zip(&open[start..]) {
                *row = *i;
            }
            let mut sums = [[simd.splat(0.0); N]; R];
            for column in (0..outputs).step_by(S::LANES) {
                let mut dy = [simd.splat(0.0); N];
                for (n, dy) in dy.iter_mut().enumerate() {
                    // SAFETY: `n < N`, the rows of `self.sums`; `outputs` is a multiple of `LANES`.
                    *dy = unsafe { simd.load(self.sums.as_ptr().add(n * outputs + column)) };
                }
                for (sums, row) in sums.iter_mut().zip(rows) {
                    // SAFETY: `row < inputs`, and `outputs` is a multiple of `LANES`.
                    let weight = unsafe { simd.load(self.weight.as_ptr().add(row * outputs + column)) };
                    for (sum, dy) in sums.iter_mut().zip(dy) {
                        *sum = simd.mul_add(weight, dy, *sum);
                    }
                }
            }
            for (four, sums) in sums.as_flattened().chunks(4).enumerate() {
                let mut vectors = [simd.splat(0.0); 4];
                vectors[..sums.len()].copy_from_slice(sums);
                for (i, dx) in (4 * four..R * N).zip(simd.sum4(vectors)) {
                    self.dx[runs[i % N] * inputs + rows[i / N]] = dx;
                }
            }
        }
    }
}
