//! Changes from one step to the next, pixel by pixel: 1 if the pixel has changed, else 0.

use super::Isa;
use super::activation::images_to_f32;
use super::conv2d::Conv2dShape;

/// Reciprocal of the share of changed pixels above which the whole image is converted again.
const FEW: usize = 16;

/// Updates `image` from the planes `before` to `planes`, and marks the pixels that have changed.
pub fn update_image(
    isa: Isa,
    channels: usize,
    before: &[u8],      // (channels, pixels)
    planes: &[u8],      // (channels, pixels)
    image: &mut [f32],  // (pixels, channels), on entry `images_to_f32` of `before`
    changed: &mut [u8], // (pixels)
) {
    let pixels = changed.len();
    assert_eq!(planes.len(), pixels * channels, "length of the planes");
    assert_eq!(before.len(), planes.len(), "length of the planes before");
    assert_eq!(image.len(), planes.len(), "length of the image");
    changed.fill(0);
    for (before, plane) in before.chunks_exact(pixels).zip(planes.chunks_exact(pixels)) {
        for ((before, byte), changed) in before.iter().zip(plane).zip(&mut *changed) {
            *changed |= u8::from(before != byte);
        }
    }
    let count: usize = changed.iter().map(|changed| usize::from(*changed)).sum();
    if count > pixels / FEW {
        return images_to_f32(isa, channels, planes, image);
    }
    for pixel in ones(changed) {
        for (value, byte) in
            image[pixel * channels..][..channels].iter_mut().zip(planes[pixel..].iter().step_by(pixels))
        {
            *value = f32::from(*byte) * (1.0 / 255.0);
        }
    }
}

/// Returns the indices of the pixels that have changed.
pub fn ones(changed: &[u8]) -> impl Iterator<Item = usize> {
    let eight =
        changed.chunks(8).enumerate().filter(|(_, eight)| eight.iter().fold(0, |any, changed| any | changed) != 0);
    eight.flat_map(|(n, eight)| (8 * n..).zip(eight).filter(|(_, changed)| **changed != 0).map(|(i, _)| i))
}

/// Computes `out[i] = 1` if a pixel in the window of output i has changed, else 0. `out` is overwritten.
pub fn changed_windows(
    shape: &Conv2dShape,
    changed: &[u8], // (in_h, in_w)
    out: &mut [u8], // (out_h, out_w)
) {
    assert_eq!(changed.len(), shape.in_h * shape.in_w, "length of changed");
    assert_eq!(out.len(), shape.positions(), "length of out");
    out.fill(0);
    for (y, row) in changed.chunks_exact(shape.in_w).enumerate() {
        if row.iter().fold(0, |any, changed| any | changed) == 0 {
            continue;
        }
        match shape.kernel {
            8 => windows_of_row::<8>(shape, y, row, out),
            4 => windows_of_row::<4>(shape, y, row, out),
            3 => windows_of_row::<3>(shape, y, row, out),
            _ => windows_of_row::<0>(shape, y, row, out),
        }
    }
}

/// Marks the outputs whose windows contain a change in row `y`. `K` is the kernel's size if it is known at compile
/// time, else 0.
#[inline(always)]
fn windows_of_row<const K: usize>(shape: &Conv2dShape, y: usize, row: &[u8], out: &mut [u8]) {
    let &Conv2dShape { kernel, stride, .. } = shape;
    let kernel = if K == 0 { kernel } else { K };
    let (first, last) = ((y + 1).saturating_sub(kernel).div_ceil(stride), (y / stride).min(shape.out_h() - 1));
    for ox in 0..shape.out_w() {
        let window = &row[ox * stride..][..kernel];
        let any = window.iter().fold(0, |any, changed| any | changed);
        for oy in first..=last {
            out[oy * shape.out_w() + ox] |= any;
        }
    }
}
