//! Convolutions of `(height, width, channel)` images, without padding, with square kernels.
//!
//! One row of a kernel window is `kernel * in_c` contiguous floats of the image, so no kernel here copies patches
//! (no im2col): forward, weight gradient and input gradient are [`super::tile`] products with three sets of strides.

use super::activation::Activation;
use super::simd::Simd;
use super::tile::{Strided, Tiled, column_sums, cover, load, multiply_add, starts, store, store_tile};
use super::{Isa, LANE_PAD};
use std::ops::Range;

/// A convolution. `out_c` is a multiple of [`LANE_PAD`]; the other sizes are at least 1, and the kernel fits the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dShape {
    /// Rows of an input image.
    pub in_h: usize,
    /// Columns of an input image.
    pub in_w: usize,
    /// Channels of an input image.
    pub in_c: usize,
    /// Channels of an output image: the number of filters.
    pub out_c: usize,
    /// Height and width of a filter.
    pub kernel: usize,
    /// Distance between two windows, in both directions.
    pub stride: usize,
}

impl Conv2dShape {
    /// Rows of an output image.
    pub const fn out_h(&self) -> usize {
        (self.in_h - self.kernel) / self.stride + 1
    }
    /// Columns of an output image.
    pub const fn out_w(&self) -> usize {
        (self.in_w - self.kernel) / self.stride + 1
    }
    /// Floats of an input image.
    pub const fn input_len(&self) -> usize {
        self.in_h * self.in_w * self.in_c
    }
    /// Floats of an output image.
    pub const fn output_len(&self) -> usize {
        self.out_h() * self.out_w() * self.out_c
    }
    /// Floats of the weight.
    pub const fn weight_len(&self) -> usize {
        self.kernel * self.kernel_row() * self.out_c
    }
    /// Floats of one row of a window.
    const fn kernel_row(&self) -> usize {
        self.kernel * self.in_c
    }
    /// Where window row `ky` of output row `oy` starts in an input image; windows are [`Self::step`] apart.
    const fn input_row(&self, oy: usize, ky: usize) -> usize {
        (oy * self.stride + ky) * self.in_w * self.in_c
    }
    /// Floats between the windows of two neighbouring outputs.
    const fn step(&self) -> usize {
        self.stride * self.in_c
    }
    fn check(&self, batch: usize, x_len: usize, weight_len: usize, y_len: usize) {
        assert!(self.kernel >= 1 && self.stride >= 1 && self.in_c >= 1, "a size of {self:?} is 0");
        assert!(self.kernel <= self.in_h.min(self.in_w), "the kernel of {self:?} is larger than the image");
        assert_eq!(self.out_c % LANE_PAD, 0, "out_c of {self:?} is no multiple of {LANE_PAD}");
        assert_eq!(x_len, batch * self.input_len(), "length of x");
        assert_eq!(weight_len, self.weight_len(), "length of the weight");
        assert_eq!(y_len, batch * self.output_len(), "length of y");
    }
}

/// `y = activation(x * weight + bias)`, where `*` is the convolution.
#[expect(clippy::too_many_arguments, reason = "the operands of the formula, each a slice of its own")]
pub fn conv2d_forward(
    isa: Isa,
    shape: &Conv2dShape,
    batch: usize,
    x: &[f32],      // (batch, in_h, in_w, in_c)
    weight: &[f32], // (kernel, kernel, in_c, out_c)
    bias: &[f32],   // (out_c)
    activation: Activation,
    y: &mut [f32], // (batch, out_h, out_w, out_c)
) {
    shape.check(batch, x.len(), weight.len(), y.len());
    assert_eq!(bias.len(), shape.out_c, "length of the bias");
    cover(isa, shape.out_w(), shape.out_c, Forward { shape: *shape, batch, x, weight, bias, activation, y });
}

/// Rows of a tile are neighbouring outputs, columns are output channels, the sum runs over a window.
struct Forward<'a> {
    shape: Conv2dShape,
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
        for column in columns.step_by(NV * S::LANES) {
            // SAFETY: the caller's columns lie within `out_c`. A step known to the compiler becomes an offset within the
            // instruction; of an unknown one each row of the tile needs its own address register.
            unsafe {
                match self.shape.step() {
                    12 => self.column::<S, P, NV>(simd, column, 12),
                    16 => self.column::<S, P, NV>(simd, column, 16),
                    32 => self.column::<S, P, NV>(simd, column, 32),
                    64 => self.column::<S, P, NV>(simd, column, 64),
                    step => self.column::<S, P, NV>(simd, column, step),
                }
            }
        }
    }
}

impl Forward<'_> {
    /// # Safety
    /// `NV` vectors from `column` on lie within `out_c`, `P <= out_w`, `step` is the shape's.
    #[inline(always)]
    unsafe fn column<S: Simd, const P: usize, const NV: usize>(&mut self, simd: S, column: usize, step: usize) {
        let (shape, out_w, out_c) = (self.shape, self.shape.out_w(), self.shape.out_c);
        let image_and_row = (0..self.batch).flat_map(|n| (0..shape.out_h()).map(move |oy| (n, oy)));
        for (n, oy) in image_and_row {
            for ox in starts(out_w, P) {
                // SAFETY: `check` has compared all lengths with the shape, and `n < batch`, `oy < out_h`,
                // `ox + P <= out_w`, `ky < kernel`: each window lies within image `n`, each output within `y`.
                unsafe {
                    let mut tile = [load::<S, NV>(simd, self.bias.as_ptr().add(column)); P];
                    for ky in 0..shape.kernel {
                        let x = self.x.as_ptr().add(n * shape.input_len() + shape.input_row(oy, ky) + ox * step);
                        let weight = self.weight.as_ptr().add(ky * shape.kernel_row() * out_c + column);
                        let x = Strided { ptr: x, row: step, col: 1 };
                        multiply_add(simd, &mut tile, x, weight, out_c, shape.kernel_row());
                    }
                    self.activation.apply(simd, tile.as_flattened_mut());
                    let y = self.y.as_mut_ptr().add(((n * shape.out_h() + oy) * out_w + ox) * out_c + column);
                    store_tile(simd, y, out_c, &tile);
                }
            }
        }
    }
}

/// `d_weight = sum over the batch of dL/dweight`, `d_bias` likewise; both are overwritten.
pub fn conv2d_backward_weight(
    isa: Isa,
    shape: &Conv2dShape,
    batch: usize,
    x: &[f32],            // (batch, in_h, in_w, in_c)
    dy: &[f32],           // (batch, out_h, out_w, out_c), before the activation
    d_weight: &mut [f32], // (kernel, kernel, in_c, out_c)
    d_bias: &mut [f32],   // (out_c)
) {
    shape.check(batch, x.len(), d_weight.len(), dy.len());
    assert_eq!(d_bias.len(), shape.out_c, "length of d_bias");
    cover(isa, shape.kernel_row(), shape.out_c, BackwardWeight { shape: *shape, batch, x, dy, d_weight });
    column_sums(isa, dy, d_bias);
}

/// Rows of a tile are neighbouring elements of a window row, columns are output channels, the sum runs over the outputs.
struct BackwardWeight<'a> {
    shape: Conv2dShape,
    batch: usize,
    x: &'a [f32],
    dy: &'a [f32],
    d_weight: &'a mut [f32],
}

impl Tiled for BackwardWeight<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const P: usize, const NV: usize>(&mut self, simd: S, columns: Range<usize>) {
        let (shape, out_w, out_c) = (self.shape, self.shape.out_w(), self.shape.out_c);
        for column in columns.step_by(NV * S::LANES) {
            let kernel_row_and_start =
                (0..shape.kernel).flat_map(|ky| starts(shape.kernel_row(), P).map(move |j| (ky, j)));
            for (ky, j) in kernel_row_and_start {
                let mut tile = [[simd.splat(0.0); NV]; P];
                for n in 0..self.batch {
                    for oy in 0..shape.out_h() {
                        // SAFETY: `check` has compared all lengths with the shape, and `n < batch`, `oy < out_h`,
                        // `j + P <= kernel_row`: the elements lie in the windows of row `oy` of image `n`, and in its `dy`.
                        unsafe {
                            let x = self.x.as_ptr().add(n * shape.input_len() + shape.input_row(oy, ky) + j);
                            let dy = self.dy.as_ptr().add((n * shape.out_h() + oy) * out_w * out_c + column);
                            let x = Strided { ptr: x, row: 1, col: shape.step() };
                            multiply_add(simd, &mut tile, x, dy, out_c, out_w);
                        }
                    }
                }
                // SAFETY: `(ky, j..j + P)` are rows of the weight, `column` starts `NV` vectors of them.
                unsafe {
                    let d_weight = self.d_weight.as_mut_ptr().add((ky * shape.kernel_row() + j) * out_c + column);
                    store_tile(simd, d_weight, out_c, &tile);
                }
            }
        }
    }
}

/// `dx = dL/dx`, overwritten. `scratch` (as long as the weight) receives the transposed weight.
pub fn conv2d_backward_input(
    isa: Isa,
    shape: &Conv2dShape,
    batch: usize,
    weight: &[f32],      // (kernel, kernel, in_c, out_c)
    dy: &[f32],          // (batch, out_h, out_w, out_c), before the activation of this layer
    scratch: &mut [f32], // (kernel, out_c, kernel, in_c)
    dx: &mut [f32],      // (batch, in_h, in_w, in_c)
) {
    shape.check(batch, dx.len(), weight.len(), dy.len());
    assert_eq!(scratch.len(), weight.len(), "length of the scratch");
    let (width, out_c) = (shape.kernel_row(), shape.out_c);
    for (weight, transposed) in weight.chunks_exact(width * out_c).zip(scratch.chunks_exact_mut(width * out_c)) {
        transpose(weight, transposed, out_c);
    }
    dx.fill(0.0);
    let mut product = BackwardInput { shape: *shape, batch, weight: scratch, dy, dx };
    product.columns_without_a_vector(width / LANE_PAD * LANE_PAD);
    cover(isa, shape.out_w(), width / LANE_PAD * LANE_PAD, product);
}

/// `transposed[j, i] = matrix[i, j]` for a matrix with rows of `columns`, a multiple of [`LANE_PAD`].
fn transpose(matrix: &[f32], transposed: &mut [f32], columns: usize) {
    let rows = matrix.len() / columns;
    for j in (0..columns).step_by(LANE_PAD) {
        for (i, row) in matrix.chunks_exact(columns).enumerate() {
            for (lane, value) in row[j..j + LANE_PAD].iter().enumerate() {
                transposed[(j + lane) * rows + i] = *value;
            }
        }
    }
}

/// Rows of a tile are neighbouring outputs, columns are the elements of a window row, the sum runs over the output channels.
/// Each tile is added to the windows it belongs to.
struct BackwardInput<'a> {
    shape: Conv2dShape,
    batch: usize,
    weight: &'a [f32], // (kernel, out_c, kernel * in_c)
    dy: &'a [f32],
    dx: &'a mut [f32],
}

impl Tiled for BackwardInput<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const P: usize, const NV: usize>(&mut self, simd: S, columns: Range<usize>) {
        for column in columns.step_by(NV * S::LANES) {
            // SAFETY: the caller's columns lie within a window row; the match is explained in `Forward`.
            unsafe {
                match self.shape.out_c {
                    16 => self.column::<S, P, NV>(simd, column, 16),
                    32 => self.column::<S, P, NV>(simd, column, 32),
                    64 => self.column::<S, P, NV>(simd, column, 64),
                    out_c => self.column::<S, P, NV>(simd, column, out_c),
                }
            }
        }
    }
}

impl BackwardInput<'_> {
    /// # Safety
    /// `NV` vectors from `column` on lie within a window row, `P <= out_w`, `out_c` is the shape's.
    #[inline(always)]
    unsafe fn column<S: Simd, const P: usize, const NV: usize>(&mut self, simd: S, column: usize, out_c: usize) {
        let (shape, out_w, width) = (self.shape, self.shape.out_w(), self.shape.kernel_row());
        let image_and_row = (0..self.batch).flat_map(|n| (0..shape.out_h()).map(move |oy| (n, oy)));
        for (n, oy) in image_and_row {
            for ky in 0..shape.kernel {
                let mut added = 0; // the windows before this one have been seen to
                for ox in starts(out_w, P) {
                    // SAFETY: `check` has compared all lengths with the shape, and `n < batch`, `oy < out_h`,
                    // `ox + P <= out_w`, `ky < kernel`: each window lies within image `n` of `dx`, each row within `dy`.
                    unsafe {
                        let dy = self.dy.as_ptr().add(((n * shape.out_h() + oy) * out_w + ox) * out_c);
                        let weight = self.weight.as_ptr().add(ky * out_c * width + column);
                        let mut tile = [[simd.splat(0.0); NV]; P];
                        multiply_add(simd, &mut tile, Strided { ptr: dy, row: out_c, col: 1 }, weight, width, out_c);
                        let image = self.dx.as_mut_ptr().add(n * shape.input_len() + shape.input_row(oy, ky) + column);
                        for (ox, sums) in (ox..).zip(&tile).filter(|(ox, _)| *ox >= added) {
                            let dx = image.add(ox * shape.step());
                            let mut window: [S::V; NV] = load(simd, dx);
                            window.iter_mut().zip(sums).for_each(|(window, sum)| *window = simd.add(*window, *sum));
                            store(simd, dx, &window);
                        }
                    }
                    added = ox + P;
                }
            }
        }
    }

    /// The columns from `first` on, which fill no vector: images of one or three channels.
    fn columns_without_a_vector(&mut self, first: usize) {
        let (shape, width, out_c) = (self.shape, self.shape.kernel_row(), self.shape.out_c);
        if first == width {
            return;
        }
        for (position, dy) in self.dy.chunks_exact(out_c).enumerate() {
            let (row, ox) = (position / shape.out_w(), position % shape.out_w());
            let (n, oy) = (row / shape.out_h(), row % shape.out_h());
            for (ky, weight) in self.weight.chunks_exact(out_c * width).enumerate() {
                let window = n * shape.input_len() + shape.input_row(oy, ky) + ox * shape.step();
                for (dy, weight) in dy.iter().zip(weight.chunks_exact(width)) {
                    let window = &mut self.dx[window + first..window + width];
                    window.iter_mut().zip(&weight[first..]).for_each(|(dx, weight)| *dx += dy * weight);
                }
            }
        }
    }
}
