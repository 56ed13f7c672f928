//! Forward pass for a batch of one row, which is the case of acting. It is as fast as the weights can be read from the
//! cache, so weights that do not contribute are skipped.

use super::{BLOCK, Forward, LinearShape};
use crate::kernel::activation::Activation;
use crate::kernel::simd::Simd;
use crate::kernel::tile::{Strided, load, multiply_add, store};
use crate::kernel::{Isa, Kernel, dispatch};

/// Computes `y = x weight + bias` of one row, given the result for another row. If fewer inputs differ than are not 0,
/// it computes `y_before + (x - x_before) weight`, which differs only by rounding.
pub fn linear_forward_from(
    isa: Isa,
    shape: &LinearShape,
    (x_before, y_before): (&[f32], &[f32]), // (inputs), (outputs)
    x: &[f32],                              // (inputs)
    weight: &[f32],                         // (inputs, outputs)
    bias: &[f32],                           // (outputs)
    y: &mut [f32],                          // (outputs)
) {
    shape.check(1, x.len(), weight.len(), y.len());
    shape.check(1, x_before.len(), weight.len(), y_before.len());
    assert_eq!(bias.len(), shape.outputs, "length of the bias");
    let product = Forward { shape: *shape, batch: 1, x, weight, bias, activation: Activation::Identity, y };
    dispatch(isa, OneRowFrom { product, x_before, y_before });
}

struct OneRowFrom<'a> {
    product: Forward<'a>,
    x_before: &'a [f32],
    y_before: &'a [f32],
}

impl Kernel for OneRowFrom<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (mut nonzero, mut differ) = (0, 0);
        for (x, before) in self.product.x.iter().zip(self.x_before) {
            nonzero += u32::from(*x != 0.0);
            differ += u32::from(x != before);
        }
        let mut row = OneRow(self.product);
        match differ < nonzero {
            true => row.add_to::<S, true>(simd, self.y_before, self.x_before),
            false => row.run(simd),
        }
    }
}

/// Batch of one row, with as many outputs at a time as there are registers, and only the inputs that are not 0.
pub(super) struct OneRow<'a>(pub Forward<'a>);

impl Kernel for OneRow<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        self.add_to::<S, false>(simd, self.0.bias, &[]);
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
    /// Computes `y = base + x weight`, or `y = base + (x - before) weight` if `FROM`.
    #[inline(always)]
    fn add_to<S: Simd, const FROM: bool>(&mut self, simd: S, base: &[f32], before: &[f32]) {
        let (inputs, outputs) = (self.0.shape.inputs, self.0.shape.outputs);
        self.0.y.copy_from_slice(base);
        for first in (0..inputs).step_by(BLOCK) {
            let (mut rows, mut factors) = ([0; BLOCK], [0.0; BLOCK]);
            let mut count = 0;
            for i in first..inputs.min(first + BLOCK) {
                // Branch-free, because the zeros behind a ReLU are not predictable.
                let factor = if FROM { self.0.x[i] - before[i] } else { self.0.x[i] };
                (rows[count], factors[count]) = (i, factor);
                count += usize::from(factor != 0.0);
            }
            let mut column = 0;
            while column < outputs {
                let left = (outputs - column) / S::LANES;
                let (rows, factors) = (&rows[..count], &factors[..count]);
                // SAFETY: `left` vectors of outputs are left from `column` on; `rows` holds indices of inputs.
                let vectors = unsafe {
                    match left {
                        16.. if S::REGISTERS == 32 => self.columns::<S, 16>(simd, column, rows, factors),
                        8.. => self.columns::<S, 8>(simd, column, rows, factors),
                        4.. => self.columns::<S, 4>(simd, column, rows, factors),
                        _ => self.columns::<S, 1>(simd, column, rows, factors),
                    }
                };
                column += vectors * S::LANES;
            }
        }
    }

    /// Adds the inputs `rows`, each multiplied by its factor, to `NV` vectors of outputs. Returns `NV`.
    ///
    /// # Safety
    /// `NV` vectors from `column` on lie within the outputs; each index in `rows` is less than the number of inputs.
    #[inline(always)]
    unsafe fn columns<S: Simd, const NV: usize>(
        &mut self,
        simd: S,
        column: usize,
        rows: &[usize],
        factors: &[f32],
    ) -> usize {
        let Forward { shape, weight, y, .. } = &mut self.0;
        // SAFETY: the caller guarantees `column` and `rows`; `check` has compared all lengths with the shape.
        unsafe {
            let mut tile = [load::<S, NV>(simd, y.as_ptr().add(column))];
            for (&i, factor) in rows.iter().zip(factors) {
                let factor = Strided { ptr: factor, row: 0, col: 0 };
                multiply_add(simd, &mut tile, factor, weight.as_ptr().add(i * shape.outputs + column), 0, 1);
            }
            store(simd, y.as_mut_ptr().add(column), &tile[0]);
        }
        NV
    }
}
