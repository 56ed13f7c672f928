//! Convolutions of `(height, width, channel)` images, without padding, with square kernels.
//!
//! One row of a kernel window is `kernel * in_c` contiguous floats of the image, so no kernel here copies patches (no
//! im2col). Forward, weight gradient and input gradient are [`super::tile`] products with three sets of strides.
//!
//! All three work on a list of [`Site`]s. Most of a screen does not change from one step to the next, and neither do
//! most outputs. A *run* is an output that has changed and the equal outputs at its position in the steps after it. The
//! forward pass computes the first output of a run. The gradient with respect to that output is the sum over the run.

use super::activation::{self, Activation};
use super::simd::Simd;
use super::tile::{Strided, Tiled, cover, load, multiply_add, multiply_add_rows, starts, store, store_tile};
use super::{Isa, Kernel, LANE_PAD, dispatch};
use std::ops::Range;

/// Shape of a convolution. `out_c` is a multiple of [`LANE_PAD`]; the other sizes are at least 1, and the kernel fits
/// the image.
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

/// Position in an output image of a batch of consecutive images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// Index of the first pixel of the position's window, counted over all input images.
    pub window: u32,
    /// Index of the position, counted over all output images.
    pub output: u32,
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
    /// Positions of an output image.
    pub const fn positions(&self) -> usize {
        self.out_h() * self.out_w()
    }
    /// Floats of an output image.
    pub const fn output_len(&self) -> usize {
        self.positions() * self.out_c
    }
    /// Floats of the weight.
    pub const fn weight_len(&self) -> usize {
        self.kernel * self.kernel_row() * self.out_c
    }
    /// Returns the site at `position` of output image `n`, whose window is in image `image` of the input.
    pub fn site(&self, image: usize, n: usize, position: usize) -> Site {
        let (oy, ox) = (position / self.out_w(), position % self.out_w());
        let window = (image * self.in_h + oy * self.stride) * self.in_w + ox * self.stride;
        Site { window: window as u32, output: (n * self.positions() + position) as u32 }
    }
    /// Returns the sites of image `n`, from left to right and from top to bottom.
    pub fn sites(&self, n: usize) -> impl Iterator<Item = Site> {
        (0..self.positions()).map(move |position| self.site(n, n, position))
    }
    /// Floats of one row of a window.
    const fn kernel_row(&self) -> usize {
        self.kernel * self.in_c
    }
    /// Floats from one row of an input image to the next.
    const fn input_row(&self) -> usize {
        self.in_w * self.in_c
    }
    fn check(&self, sites: &[Site], x_len: usize, weight_len: usize, y_len: usize) {
        assert!(self.kernel >= 1 && self.stride >= 1 && self.in_c >= 1, "a size of {self:?} is 0");
        assert!(self.kernel <= self.in_h.min(self.in_w), "the kernel of {self:?} is larger than the image");
        assert_eq!(self.out_c % LANE_PAD, 0, "out_c of {self:?} is no multiple of {LANE_PAD}");
        assert_eq!(weight_len, self.weight_len(), "length of the weight");
        let window = (self.kernel - 1) * self.in_w + self.kernel;
        let last = |of: fn(&Site) -> u32| sites.iter().map(of).max().map_or(0, |last| last as usize);
        assert!(sites.is_empty() || (last(|s| s.window) + window) * self.in_c <= x_len, "length of x");
        assert!(sites.is_empty() || (last(|s| s.output) + 1) * self.out_c <= y_len, "length of y");
    }
}

/// Computes `y = activation(x * weight + bias)` at the sites, where `*` is the convolution. Elsewhere `y` stays
/// unchanged.
#[expect(clippy::too_many_arguments, reason = "the operands of the formula, each a slice of its own")]
pub fn conv2d_forward(
    isa: Isa,
    shape: &Conv2dShape,
    sites: &[Site],
    x: &[f32],      // (batch, in_h, in_w, in_c)
    weight: &[f32], // (kernel, kernel, in_c, out_c)
    bias: &[f32],   // (out_c)
    activation: Activation,
    y: &mut [f32], // (batch, out_h, out_w, out_c)
) {
    shape.check(sites, x.len(), weight.len(), y.len());
    assert_eq!(bias.len(), shape.out_c, "length of the bias");
    cover(isa, sites.len(), shape.out_c, Forward { shape: *shape, sites, x, weight, bias, activation, y });
}

/// Tiled forward pass. Rows of a tile are sites, columns are output channels, the sum runs over a window.
struct Forward<'a> {
    shape: Conv2dShape,
    sites: &'a [Site],
    x: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    activation: Activation,
    y: &'a mut [f32],
}

impl Tiled for Forward<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const P: usize, const NV: usize>(&mut self, simd: S, columns: Range<usize>) {
        let Conv2dShape { in_c, out_c, kernel, .. } = self.shape;
        let width = self.shape.kernel_row();
        for column in columns.step_by(NV * S::LANES) {
            for first in starts(self.sites.len(), P) {
                let sites = &self.sites[first..first + P];
                // SAFETY: `check` has found each site's window within `x` and its outputs within `y`, and the weight as
                // long as the shape says; the caller's columns lie within `out_c`.
                unsafe {
                    let mut tile = [load::<S, NV>(simd, self.bias.as_ptr().add(column)); P];
                    for ky in 0..kernel {
                        let mut rows = [self.x.as_ptr(); P];
                        for (row, site) in rows.iter_mut().zip(sites) {
                            *row = row.add(site.window as usize * in_c + ky * self.shape.input_row());
                        }
                        let weight = self.weight.as_ptr().add(ky * width * out_c + column);
                        multiply_add_rows(simd, &mut tile, rows, weight, out_c, width);
                    }
                    self.activation.apply(simd, tile.as_flattened_mut());
                    for (site, sums) in sites.iter().zip(&tile) {
                        store(simd, self.y.as_mut_ptr().add(site.output as usize * out_c + column), sums);
                    }
                }
            }
        }
    }
}

/// Computes `d_weight = sum over the sites of dL/dweight`, and `d_bias` likewise; both are overwritten. Elsewhere `dy`
/// is not read.
pub fn conv2d_backward_weight(
    isa: Isa,
    shape: &Conv2dShape,
    sites: &[Site],
    x: &[f32],            // (batch, in_h, in_w, in_c)
    dy: &[f32],           // (batch, out_h, out_w, out_c), before the activation
    d_weight: &mut [f32], // (kernel, kernel, in_c, out_c)
    d_bias: &mut [f32],   // (out_c)
) {
    shape.check(sites, x.len(), d_weight.len(), dy.len());
    assert_eq!(d_bias.len(), shape.out_c, "length of d_bias");
    cover(isa, shape.kernel_row(), shape.out_c, BackwardWeight { shape: *shape, sites, x, dy, d_weight });
    dispatch(isa, BackwardBias { sites, dy, d_bias });
}

/// Tiled weight gradient. Rows of a tile are neighbouring elements of a window row, columns are output channels, the
/// sum runs over the sites.
struct BackwardWeight<'a> {
    shape: Conv2dShape,
    sites: &'a [Site],
    x: &'a [f32],
    dy: &'a [f32],
    d_weight: &'a mut [f32],
}

impl Tiled for BackwardWeight<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const P: usize, const NV: usize>(&mut self, simd: S, columns: Range<usize>) {
        let Conv2dShape { in_c, out_c, kernel, .. } = self.shape;
        let width = self.shape.kernel_row();
        for column in columns.step_by(NV * S::LANES) {
            for (ky, j) in (0..kernel).flat_map(|ky| starts(width, P).map(move |j| (ky, j))) {
                let mut tile = [[simd.splat(0.0); NV]; P];
                for site in self.sites {
                    // SAFETY: `check` has found each site's window within `x` and its outputs within `dy`; `j + P` is
                    // at most the width of a window row, and the caller's columns lie within `out_c`.
                    unsafe {
                        let x = self.x.as_ptr().add(ky * self.shape.input_row() + j + site.window as usize * in_c);
                        let dy = self.dy.as_ptr().add(column + site.output as usize * out_c);
                        multiply_add(simd, &mut tile, Strided { ptr: x, row: 1, col: 0 }, dy, 0, 1);
                    }
                }
                // SAFETY: `(ky, j..j + P)` are rows of the weight, `column` starts `NV` vectors of them.
                unsafe {
                    let d_weight = self.d_weight.as_mut_ptr().add((ky * width + j) * out_c + column);
                    store_tile(simd, d_weight, out_c, &tile);
                }
            }
        }
    }
}

struct BackwardBias<'a> {
    sites: &'a [Site],
    dy: &'a [f32],
    d_bias: &'a mut [f32],
}

impl Kernel for BackwardBias<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let out_c = self.d_bias.len();
        for column in (0..out_c).step_by(S::LANES) {
            let mut sums = [simd.splat(0.0); 4]; // four, so that an addition need not wait for the previous one
            for four in self.sites.chunks(4) {
                for (sum, site) in sums.iter_mut().zip(four) {
                    let output = site.output as usize * out_c + column;
                    // SAFETY: `check` has found the outputs of each site within `dy`; `column` starts a vector of them.
                    let dy = unsafe { simd.load(self.dy.as_ptr().add(output)) };
                    *sum = simd.add(*sum, dy);
                }
            }
            let sum = simd.add(simd.add(sums[0], sums[1]), simd.add(sums[2], sums[3]));
            // SAFETY: `out_c` is a multiple of `LANES`, and `column` starts a vector of it.
            unsafe { simd.store(self.d_bias.as_mut_ptr().add(column), sum) };
        }
    }
}

/// Computes `dx = dL/dx`, summed over each run of an input pixel.
///
/// `start` gives for each input pixel the index of the first pixel of its run. There the sum overwrites `dx`; elsewhere
/// `dx` stays unchanged. With a `gate` (the `x` of this layer, if it is the output of a ReLU) `dx` is 0 where `gate <=
/// 0`: the backward pass of that ReLU. `scratch` (as long as the weight) receives the transposed weight. `in_c` is a
/// multiple of [`LANE_PAD`].
#[expect(clippy::too_many_arguments, reason = "the operands of the formula, each a slice of its own")]
pub fn conv2d_backward_input(
    isa: Isa,
    shape: &Conv2dShape,
    sites: &[Site],
    start: &[u32],        // (batch, in_h, in_w), each at most its own index
    weight: &[f32],       // (kernel, kernel, in_c, out_c)
    dy: &[f32],           // (batch, out_h, out_w, out_c), before the activation of this layer
    gate: Option<&[f32]>, // (batch, in_h, in_w, in_c)
    scratch: &mut [f32],  // (kernel, out_c, kernel, in_c)
    dx: &mut [f32],       // (batch, in_h, in_w, in_c)
) {
    shape.check(sites, dx.len(), weight.len(), dy.len());
    assert_eq!(shape.in_c % LANE_PAD, 0, "in_c of {shape:?} is no multiple of {LANE_PAD}");
    assert_eq!(start.len() * shape.in_c, dx.len(), "length of start");
    assert!(gate.is_none_or(|gate| gate.len() == dx.len()), "length of the gate");
    assert!(start.iter().zip(0..).all(|(start, pixel)| *start <= pixel), "a run starts after its pixel");
    assert_eq!(scratch.len(), weight.len(), "length of the scratch");
    let (width, out_c) = (shape.kernel_row(), shape.out_c);
    for (weight, transposed) in weight.chunks_exact(width * out_c).zip(scratch.chunks_exact_mut(width * out_c)) {
        transpose(weight, transposed, out_c);
    }
    for (_, dx) in
        start.iter().zip(0..).zip(dx.chunks_exact_mut(shape.in_c)).filter(|((start, pixel), _)| *start == pixel)
    {
        dx.fill(0.0);
    }
    cover(isa, sites.len(), width, BackwardInput { shape: *shape, sites, start, weight: scratch, dy, dx });
    if let Some(gate) = gate {
        dispatch(isa, GateRuns { in_c: shape.in_c, start, gate, dx });
    }
}

/// Computes `transposed[j, i] = matrix[i, j]` for a matrix with rows of `columns`, a multiple of [`LANE_PAD`].
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

/// Tiled input gradient. Rows of a tile are sites, columns are the elements of a window row, the sum runs over the
/// output channels. Each tile is added to the runs of its windows' pixels.
struct BackwardInput<'a> {
    shape: Conv2dShape,
    sites: &'a [Site],
    start: &'a [u32],
    weight: &'a [f32], // (kernel, out_c, kernel * in_c)
    dy: &'a [f32],
    dx: &'a mut [f32],
}

impl Tiled for BackwardInput<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const P: usize, const NV: usize>(&mut self, simd: S, columns: Range<usize>) {
        let Conv2dShape { in_w, in_c, out_c, kernel, .. } = self.shape;
        let width = self.shape.kernel_row();
        for column in columns.step_by(NV * S::LANES) {
            for ky in 0..kernel {
                let mut added = 0; // sites before this one are added already
                for first in starts(self.sites.len(), P) {
                    let sites = &self.sites[first..first + P];
                    let mut tile = [[simd.splat(0.0); NV]; P];
                    // SAFETY: `check` has found the outputs of each site within `dy` and its window within `dx`.
                    // `start` has an entry for every pixel of `dx`, and no entry points beyond them. The caller's
                    // columns lie within a window row. No vector of them spans two pixels, as `in_c` is a multiple of
                    // `LANES`.
                    unsafe {
                        let mut rows = [self.dy.as_ptr(); P];
                        for (row, site) in rows.iter_mut().zip(sites) {
                            *row = row.add(site.output as usize * out_c);
                        }
                        let weight = self.weight.as_ptr().add(ky * out_c * width + column);
                        multiply_add_rows(simd, &mut tile, rows, weight, width, out_c);
                        for (p, (site, sums)) in sites.iter().zip(&tile).enumerate() {
                            if first + p < added {
                                continue;
                            }
                            for (v, sum) in sums.iter().enumerate() {
                                let at = column + v * S::LANES;
                                let pixel = site.window as usize + ky * in_w + at / in_c;
                                let run = *self.start.get_unchecked(pixel) as usize;
                                let dx = self.dx.as_mut_ptr().add(run * in_c + at % in_c);
                                simd.store(dx, simd.add(simd.load(dx), *sum));
                            }
                        }
                    }
                    added = first + P;
                }
            }
        }
    }
}

struct GateRuns<'a> {
    in_c: usize,
    start: &'a [u32],
    gate: &'a [f32],
    dx: &'a mut [f32],
}

impl Kernel for GateRuns<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (pixel, start) in self.start.iter().enumerate() {
            if *start as usize == pixel {
                let channels = pixel * self.in_c..(pixel + 1) * self.in_c;
                activation::Backward {
                    activation: Activation::Relu,
                    y: &self.gate[channels.clone()],
                    dy: &mut self.dx[channels],
                }
                .run(simd);
            }
        }
    }
}
