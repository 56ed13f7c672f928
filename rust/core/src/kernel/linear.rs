//! Fully connected layers.
//!
//! With one row at a time (acting) a layer is as fast as its weight comes out of the cache, so the forward kernel leaves out
//! the weights of inputs that are 0, half of them behind a ReLU. **`0 * w` is therefore 0 for every `w`, NaN and infinity
//! too**, where the batch is 1; a NaN in `x` always reaches `y`.

use super::activation::{Activation, ReluBackward};
use super::simd::Simd;
use super::tile::{Strided, Tiled, column_sums, cover, load, multiply_add, starts, store, store_tile};
use super::{Isa, Kernel, LANE_PAD, dispatch};
use std::ops::Range;

/// A fully connected layer. `outputs` is a multiple of [`LANE_PAD`], `inputs` is any number.
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

/// `y = activation(x weight + bias)`.
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
        1 => dispatch(isa, OneRow(product)),
        _ => cover(isa, batch, shape.outputs, product),
    }
}

/// Rows of a tile are rows of the batch, columns are outputs, the sum runs over the inputs.
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
                // SAFETY: `check` has compared all lengths with the shape; `n + P <= batch`, and the caller's columns lie
                // within the outputs.
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

/// A batch of one row: as many outputs as there are registers, and only the inputs that are not 0.
struct OneRow<'a>(Forward<'a>);

/// Inputs whose weights pass the cache together: 64 rows of 256 outputs are 64 KiB.
const BLOCK: usize = 64;

impl Kernel for OneRow<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let (inputs, outputs) = (self.0.shape.inputs, self.0.shape.outputs);
        self.0.y.copy_from_slice(self.0.bias);
        for first in (0..inputs).step_by(BLOCK) {
            let mut nonzero = [0; BLOCK];
            let mut count = 0;
            for i in first..inputs.min(first + BLOCK) {
                // Without a branch: whether a ReLU let something through is not predictable.
                nonzero[count] = i;
                count += usize::from(self.0.x[i] != 0.0);
            }
            let mut column = 0;
            while column < outputs {
                let left = (outputs - column) / S::LANES;
                // SAFETY: `left` vectors of outputs are left from `column` on; `nonzero` holds inputs.
                let vectors = unsafe {
                    match left {
                        16.. if S::REGISTERS == 32 => self.columns::<S, 16>(simd, column, &nonzero[..count]),
                        8.. => self.columns::<S, 8>(simd, column, &nonzero[..count]),
                        4.. => self.columns::<S, 4>(simd, column, &nonzero[..count]),
                        _ => self.columns::<S, 1>(simd, column, &nonzero[..count]),
                    }
                };
                column += vectors * S::LANES;
            }
        }
        for y in self.0.y.chunks_exact_mut(S::LANES) {
            // SAFETY: `y` holds `LANES` f32.
            unsafe {
                let mut sum = [simd.load(y.as_ptr())];
                self.0.activation.apply(simd, &mut sum);
                simd.store(y.as_mut_ptr(), sum[0]);
            }
        }
    }
}

impl OneRow<'_> {
    /// Adds the inputs `rows` to `NV` vectors of outputs. Returns `NV`.
    ///
    /// # Safety
    /// `NV` vectors from `column` on lie within the outputs; `rows` are less than the inputs.
    #[inline(always)]
    unsafe fn columns<S: Simd, const NV: usize>(&mut self, simd: S, column: usize, rows: &[usize]) -> usize {
        let Forward { shape, x, weight, y, .. } = &mut self.0;
        // SAFETY: `column` and `rows` are the caller's promise; `check` has compared all lengths with the shape.
        unsafe {
            let mut tile = [load::<S, NV>(simd, y.as_ptr().add(column))];
            for &i in rows {
                let x = Strided { ptr: x.as_ptr().add(i), row: 0, col: 0 };
                multiply_add(simd, &mut tile, x, weight.as_ptr().add(i * shape.outputs + column), 0, 1);
            }
            store(simd, y.as_mut_ptr().add(column), &tile[0]);
        }
        NV
    }
}

/// `d_weight = x^T dy` and `d_bias = sum over the batch of dy`; both are overwritten.
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

/// Rows of a tile are inputs, columns are outputs, the sum runs over the batch.
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
        // Columns within rows: the gradient is far larger than the cache and is written in its order.
        for i in starts(inputs, P) {
            for column in columns.clone().step_by(NV * S::LANES) {
                let mut tile = [[simd.splat(0.0); NV]; P];
                // SAFETY: `check` has compared all lengths with the shape; `i + P <= inputs`, and the caller's columns lie
                // within the outputs.
                unsafe {
                    let x = Strided { ptr: self.x.as_ptr().add(i), row: 1, col: inputs };
                    multiply_add(simd, &mut tile, x, self.dy.as_ptr().add(column), outputs, self.batch);
                    store_tile(simd, self.d_weight.as_mut_ptr().add(i * outputs + column), outputs, &tile);
                }
            }
        }
    }
}

/// `dx = dy weight^T`, overwritten. With a `gate` (the `x` of this layer, where it came out of a ReLU) `dx` is 0 where
/// `gate <= 0`: the backward pass of that ReLU. Weights of inputs without a positive gate are not read.
pub fn linear_backward_input(
    isa: Isa,
    shape: &LinearShape,
    batch: usize,
    weight: &[f32],       // (inputs, outputs)
    dy: &[f32],           // (batch, outputs), before the activation of this layer
    gate: Option<&[f32]>, // (batch, inputs)
    dx: &mut [f32],       // (batch, inputs)
) {
    shape.check(batch, dx.len(), weight.len(), dy.len());
    assert!(gate.is_none_or(|gate| gate.len() == dx.len()), "length of the gate");
    dispatch(isa, BackwardInput { shape: *shape, batch, weight, dy, gate, dx });
}

/// Dot products of rows of the weight with rows of `dy`, some of each at a time, so that one pass over the weight is enough.
struct BackwardInput<'a> {
    shape: LinearShape,
    batch: usize,
    weight: &'a [f32],
    dy: &'a [f32],
    gate: Option<&'a [f32]>,
    dx: &'a mut [f32],
}

impl Kernel for BackwardInput<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let inputs = self.shape.inputs;
        for first in (0..inputs).step_by(BLOCK) {
            let mut open = [0; BLOCK];
            let mut count = 0;
            for i in first..inputs.min(first + BLOCK) {
                open[count] = i;
                count += usize::from(
                    self.gate.is_none_or(|gate| gate.iter().skip(i).step_by(inputs).any(|gate| *gate > 0.0)),
                );
            }
            for start in (0..count).step_by(ROWS) {
                // Past the end the last row is computed again.
                let rows = std::array::from_fn(|r| open[(start + r).min(count - 1)]);
                // SAFETY: `open` holds inputs.
                unsafe { self.batch(simd, rows) };
            }
        }
        // This also overwrites the inputs that were left out.
        if let Some(gate) = self.gate {
            ReluBackward { y: gate, dy: self.dx }.run(simd);
        }
    }
}

/// Rows of the weight at a time: with five rows of `dy` they fill the multiplier and fit the registers.
const ROWS: usize = 2;

impl BackwardInput<'_> {
    /// `dx` of the inputs `rows` for the whole batch.
    ///
    /// # Safety
    /// `rows` are less than the inputs.
    #[inline(always)]
    unsafe fn batch<S: Simd>(&mut self, simd: S, rows: [usize; ROWS]) {
        let mut n = 0;
        while n < self.batch {
            // SAFETY: `n` and what is left from it on are in the batch; `rows` are the caller's promise.
            n += unsafe {
                match self.batch - n {
                    5.. => self.dots::<S, 5>(simd, rows, n),
                    4 => self.dots::<S, 4>(simd, rows, n),
                    3 => self.dots::<S, 3>(simd, rows, n),
                    2 => self.dots::<S, 2>(simd, rows, n),
                    _ => self.dots::<S, 1>(simd, rows, n),
                }
            };
        }
    }

    /// The weights of `rows` by `N` rows of `dy`, from `n` on. Returns `N`.
    ///
    /// # Safety
    /// `n + N` is at most the batch; `rows` are less than the inputs.
    #[inline(always)]
    unsafe fn dots<S: Simd, const N: usize>(&mut self, simd: S, rows: [usize; ROWS], n: usize) -> usize {
        let LinearShape { inputs, outputs } = self.shape;
        let mut sums = [[simd.splat(0.0); N]; ROWS];
        for column in (0..outputs).step_by(S::LANES) {
            let mut dy = [simd.splat(0.0); N];
            for (b, dy) in dy.iter_mut().enumerate() {
                // SAFETY: `n + b < batch`, and `outputs` is a multiple of `LANES`.
                *dy = unsafe { simd.load(self.dy.as_ptr().add((n + b) * outputs + column)) };
            }
            for (sums, row) in sums.iter_mut().zip(rows) {
                // SAFETY: `row < inputs`, and `outputs` is a multiple of `LANES`.
                let weight = unsafe { simd.load(self.weight.as_ptr().add(row * outputs + column)) };
                sums.iter_mut().zip(dy).for_each(|(sum, dy)| *sum = simd.mul_add(weight, dy, *sum));
            }
        }
        for (sums, row) in sums.iter().zip(rows) {
            for (b, sum) in sums.iter().enumerate() {
                self.dx[(n + b) * inputs + row] = simd.sum(*sum);
            }
        }
        N
    }
}
