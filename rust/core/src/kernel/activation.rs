//! Element-wise kernels: activations, conversion of images, norm of a gradient.

use super::functions::{tanh, through_tanh};
use super::simd::Simd;
use super::{Isa, Kernel, LANE_PAD, dispatch};
use serde::{Deserialize, Serialize};

/// Activation function of a layer. Its derivative is computed from its output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// `y = x`
    Identity,
    /// `y = max(x, 0)`; NaN stays NaN.
    Relu,
    /// `y = tanh x`; NaN stays NaN.
    Tanh,
}

/// Computes `tanh x` out of line. Inlined, its length would keep the loop over a tile's sums from being unrolled, and
/// the sums of every activation out of registers.
#[inline(never)]
fn tanh_apart<S: Simd>(simd: S, x: S::V) -> S::V {
    tanh(simd, x)
}

impl Activation {
    /// Computes `sums <- activation(sums)`.
    #[inline(always)]
    pub(super) fn apply<S: Simd>(self, simd: S, sums: &mut [S::V]) {
        match self {
            Activation::Identity => (),
            Activation::Relu => {
                let zero = simd.splat(0.0);
                // `max` returns its second operand if one is NaN, so in this order a NaN survives.
                sums.iter_mut().for_each(|sum| *sum = simd.max(zero, *sum));
            }
            Activation::Tanh => sums.iter_mut().for_each(|sum| *sum = tanh_apart(simd, *sum)),
        }
    }

    /// Computes `y <- activation(y)` for one vector of elements.
    #[inline(always)]
    fn apply_slice<S: Simd>(self, simd: S, y: &mut [f32]) {
        assert_eq!(y.len(), S::LANES);
        // SAFETY: `y` holds `LANES` f32.
        unsafe {
            let mut sum = [simd.load(y.as_ptr())];
            self.apply(simd, &mut sum);
            simd.store(y.as_mut_ptr(), sum[0]);
        }
    }

    /// Computes `dy <- dy activation'` for one vector of elements.
    #[inline(always)]
    fn derive_slice<S: Simd>(self, simd: S, y: &[f32], dy: &mut [f32]) {
        assert!(y.len() == S::LANES && dy.len() == S::LANES);
        // SAFETY: both slices hold `LANES` f32.
        unsafe { simd.store(dy.as_mut_ptr(), self.derive(simd, simd.load(y.as_ptr()), simd.load(dy.as_ptr()))) };
    }

    /// Returns the gradient before the activation, given its output `y` and the gradient `dy` after it.
    #[inline(always)]
    fn derive<S: Simd>(self, simd: S, y: S::V, dy: S::V) -> S::V {
        match self {
            Activation::Identity => dy,
            Activation::Relu => simd.keep_where_positive(y, dy),
            Activation::Tanh => through_tanh(simd, dy, y),
        }
    }
}

/// Computes `y <- activation(y)`.
pub fn activate(
    isa: Isa,
    activation: Activation,
    y: &mut [f32], // (n)
) {
    struct Activate<'a>(Activation, &'a mut [f32]);
    impl Kernel for Activate<'_> {
        type Out = ();
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            let Activate(activation, y) = self;
            let mut vectors = y.chunks_exact_mut(S::LANES);
            for y in &mut vectors {
                activation.apply_slice(simd, y);
            }
            let rest = vectors.into_remainder();
            let mut vector = [0.0; LANE_PAD];
            vector[..rest.len()].copy_from_slice(rest);
            activation.apply_slice(simd, &mut vector[..S::LANES]);
            rest.copy_from_slice(&vector[..rest.len()]);
        }
    }
    dispatch(isa, Activate(activation, y));
}

/// Computes `dy <- dy activation'`: the gradient before an activation, given its output `y` and the gradient after it.
pub fn activation_backward(
    isa: Isa,
    activation: Activation,
    y: &[f32],      // (n), the output of the activation
    dy: &mut [f32], // (n)
) {
    assert_eq!(y.len(), dy.len(), "length of dy");
    dispatch(isa, Backward { activation, y, dy });
}

pub(super) struct Backward<'a> {
    pub activation: Activation,
    pub y: &'a [f32],
    pub dy: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (mut y, mut dy) = (self.y.chunks_exact(S::LANES), self.dy.chunks_exact_mut(S::LANES));
        for (y, dy) in (&mut y).zip(&mut dy) {
            self.activation.derive_slice(simd, y, dy);
        }
        let (y, dy) = (y.remainder(), dy.into_remainder());
        let mut vectors = [[0.0; LANE_PAD]; 2];
        let [y_vector, dy_vector] = &mut vectors;
        y_vector[..y.len()].copy_from_slice(y);
        dy_vector[..y.len()].copy_from_slice(dy);
        self.activation.derive_slice(simd, &y_vector[..S::LANES], &mut dy_vector[..S::LANES]);
        dy.copy_from_slice(&dy_vector[..y.len()]);
    }
}

/// Converts grey-level planes (consecutive frames, or red, green, blue) to one image of floats in `[0, 1]`.
pub fn images_to_f32(
    isa: Isa,
    channels: usize,
    planes: &[u8],   // (channels, pixels), 0..=255
    out: &mut [f32], // (pixels, channels)
) {
    assert!(channels > 0, "an image has at least one channel");
    assert_eq!(planes.len(), out.len(), "length of the image");
    assert_eq!(planes.len() % channels, 0, "length of the planes");
    dispatch(isa, ImagesToF32 { channels, planes, out });
}

struct ImagesToF32<'a> {
    channels: usize,
    planes: &'a [u8],
    out: &'a mut [f32],
}

/// Number of pixels that are interleaved as bytes at a time, before they become floats.
const BLOCK: usize = 16;

impl Kernel for ImagesToF32<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match self.channels {
            1 => self.blocks::<S, 1>(simd),
            3 => self.blocks::<S, 3>(simd),
            4 => self.blocks::<S, 4>(simd),
            _ => self.pixels(0),
        }
    }
}

impl ImagesToF32<'_> {
    #[inline(always)]
    fn blocks<S: Simd, const C: usize>(self, simd: S) {
        let pixels = self.planes.len() / C;
        let scale = simd.splat(1.0 / 255.0);
        for first in (0..pixels - pixels % BLOCK).step_by(BLOCK) {
            let mut bytes = [[0; C]; BLOCK];
            if C == 4 {
                // Compilers vectorise this when it is written in words.
                let mut words = [0u32; BLOCK];
                for (c, plane) in self.planes.chunks_exact(pixels).enumerate() {
                    let plane: &[u8; BLOCK] = plane[first..].first_chunk().expect("a whole block");
                    words.iter_mut().zip(plane).for_each(|(word, byte)| *word |= u32::from(*byte) << (8 * c));
                }
                let pixels = bytes.as_flattened_mut().chunks_exact_mut(4);
                pixels.zip(words).for_each(|(pixel, word)| pixel.copy_from_slice(&word.to_le_bytes()));
            } else {
                for (c, plane) in self.planes.chunks_exact(pixels).enumerate() {
                    let plane: &[u8; BLOCK] = plane[first..].first_chunk().expect("a whole block");
                    bytes.iter_mut().zip(plane).for_each(|(pixel, byte)| pixel[c] = *byte);
                }
            }
            let bytes = bytes.as_flattened();
            for i in (0..bytes.len()).step_by(S::LANES) {
                // SAFETY: `i + LANES <= C * BLOCK`, as `LANES` divides `BLOCK`; `bytes` has that length, and so has
                // `out` from `first * C` on.
                unsafe {
                    let scaled = simd.mul(simd.load_u8(bytes.as_ptr().add(i)), scale);
                    simd.store(self.out.as_mut_ptr().add(first * C + i), scaled);
                }
            }
        }
        self.pixels(pixels - pixels % BLOCK);
    }

    /// Converts the pixels from `first` on, one by one.
    #[inline(always)]
    fn pixels(self, first: usize) {
        let pixels = self.planes.len() / self.channels;
        for (i, pixel) in self.out.chunks_exact_mut(self.channels).enumerate().skip(first) {
            for (value, byte) in pixel.iter_mut().zip(self.planes[i..].iter().step_by(pixels)) {
                *value = f32::from(*byte) * (1.0 / 255.0);
            }
        }
    }
}

/// Returns `sum of x^2`, the square of a gradient's norm. The sum is NaN or infinite if `x` has a NaN or an infinity,
/// or an element beyond about 1e19, whose square is no f32.
pub fn sum_of_squares(isa: Isa, x: &[f32]) -> f64 {
    dispatch(isa, SumOfSquares(x))
}

struct SumOfSquares<'a>(&'a [f32]);

/// Number of elements that are added in f32 before their sum joins the f64: few enough to keep each lane's rounding at
/// 1e-6.
const F32_SUM: usize = 4096;

impl Kernel for SumOfSquares<'_> {
    type Out = f64;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f64 {
        let mut total = 0.0;
        for part in self.0.chunks(F32_SUM) {
            let mut sums = [simd.splat(0.0); 4];
            let mut vectors = part.chunks_exact(4 * S::LANES);
            for four in &mut vectors {
                for (v, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: `four` holds 4 vectors.
                    let x = unsafe { simd.load(four.as_ptr().add(v * S::LANES)) };
                    *sum = simd.mul_add(x, x, *sum);
                }
            }
            total += f64::from(simd.sum(simd.add(simd.add(sums[0], sums[1]), simd.add(sums[2], sums[3]))));
            total += vectors.remainder().iter().map(|x| f64::from(x * x)).sum::<f64>();
        }
        total
    }
}
