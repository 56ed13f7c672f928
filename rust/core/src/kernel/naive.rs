//! Naive reference implementation of every kernel, loop by loop, for tests and benchmarks.
//!
//! The functions are generic over the float, so that their gradients can be compared with finite differences in f64.
//! They take the arguments of the fast kernels without the instruction set and the scratch.

use super::activation::Activation;
use super::conv2d::Conv2dShape;
use super::linear::LinearShape;
use num_traits::Float;

fn activate<F: Float>(activation: Activation, sum: F) -> F {
    match activation {
        Activation::Relu if sum < F::zero() => F::zero(),
        Activation::Relu | Activation::Identity => sum,
        Activation::Tanh => sum.tanh(),
    }
}

/// Computes `dy <- dy activation'` from the activation's output `y`.
pub fn activation_backward<F: Float>(activation: Activation, y: &[F], dy: &mut [F]) {
    for i in 0..y.len() {
        dy[i] = match activation {
            Activation::Identity => dy[i],
            Activation::Relu if y[i] > F::zero() => dy[i],
            Activation::Relu => F::zero(),
            Activation::Tanh => dy[i] * (F::one() - y[i] * y[i]),
        };
    }
}

/// Computes `out[p, c] = planes[c, p] / 255`.
pub fn images_to_f32<F: Float + From<u8>>(channels: usize, planes: &[u8], out: &mut [F]) {
    let pixels = planes.len() / channels;
    for p in 0..pixels {
        for c in 0..channels {
            out[p * channels + c] = <F as From<u8>>::from(planes[c * pixels + p]) / <F as From<u8>>::from(255);
        }
    }
}

/// Computes `sum of x^2`.
pub fn sum_of_squares<F: Float>(x: &[F]) -> F {
    x.iter().fold(F::zero(), |sum, x| sum + *x * *x)
}

/// Computes `y[n, j] = activation(bias[j] + sum_i x[n, i] weight[i, j])`.
pub fn linear_forward<F: Float>(
    shape: &LinearShape,
    batch: usize,
    x: &[F],
    weight: &[F],
    bias: &[F],
    activation: Activation,
    y: &mut [F],
) {
    let LinearShape { inputs, outputs } = *shape;
    for n in 0..batch {
        for j in 0..outputs {
            let sum = (0..inputs).fold(bias[j], |sum, i| sum + x[n * inputs + i] * weight[i * outputs + j]);
            y[n * outputs + j] = activate(activation, sum);
        }
    }
}

/// Computes `d_weight[i, j] = sum_n x[n, i] dy[n, j]`, `d_bias[j] = sum_n dy[n, j]`.
pub fn linear_backward_weight<F: Float>(
    shape: &LinearShape,
    batch: usize,
    x: &[F],
    dy: &[F],
    d_weight: &mut [F],
    d_bias: &mut [F],
) {
    let LinearShape { inputs, outputs } = *shape;
    for j in 0..outputs {
        d_bias[j] = (0..batch).fold(F::zero(), |sum, n| sum + dy[n * outputs + j]);
        for i in 0..inputs {
            d_weight[i * outputs + j] =
                (0..batch).fold(F::zero(), |sum, n| sum + x[n * inputs + i] * dy[n * outputs + j]);
        }
    }
}

/// Computes `dx[n, i] = sum_j dy[n, j] weight[i, j]` where the gate is positive (or there is none), else 0.
pub fn linear_backward_input<F: Float>(
    shape: &LinearShape,
    batch: usize,
    weight: &[F],
    dy: &[F],
    gate: Option<&[F]>,
    dx: &mut [F],
) {
    let LinearShape { inputs, outputs } = *shape;
    for n in 0..batch {
        for i in 0..inputs {
            let sum = (0..outputs).fold(F::zero(), |sum, j| sum + dy[n * outputs + j] * weight[i * outputs + j]);
            let open = gate.is_none_or(|gate| gate[n * inputs + i] > F::zero());
            dx[n * inputs + i] = if open { sum } else { F::zero() };
        }
    }
}

/// Calls `f(x, weight, y)` with the indices of every product of a convolution: `y += x * weight`.
fn for_each_product(shape: &Conv2dShape, batch: usize, mut f: impl FnMut(usize, usize, usize)) {
    let Conv2dShape { in_h, in_w, in_c, out_c, kernel, stride } = *shape;
    let (out_h, out_w) = (shape.out_h(), shape.out_w());
    for n in 0..batch {
        for (oy, ox) in (0..out_h).flat_map(|oy| (0..out_w).map(move |ox| (oy, ox))) {
            for (ky, kx) in (0..kernel).flat_map(|ky| (0..kernel).map(move |kx| (ky, kx))) {
                for i in 0..in_c {
                    for o in 0..out_c {
                        let x = ((n * in_h + oy * stride + ky) * in_w + ox * stride + kx) * in_c + i;
                        let weight = ((ky * kernel + kx) * in_c + i) * out_c + o;
                        let y = ((n * out_h + oy) * out_w + ox) * out_c + o;
                        f(x, weight, y);
                    }
                }
            }
        }
    }
}

/// Computes `y[n, oy, ox, o] = activation(bias[o] + sum_{ky, kx, i} x[n, oy s + ky, ox s + kx, i] weight[ky, kx, i,
/// o])`.
pub fn conv2d_forward<F: Float>(
    shape: &Conv2dShape,
    batch: usize,
    x: &[F],
    weight: &[F],
    bias: &[F],
    activation: Activation,
    y: &mut [F],
) {
    y.chunks_exact_mut(shape.out_c).for_each(|y| y.copy_from_slice(bias));
    for_each_product(shape, batch, |i, w, o| y[o] = y[o] + x[i] * weight[w]);
    y.iter_mut().for_each(|y| *y = activate(activation, *y));
}

/// Computes `d_weight[ky, kx, i, o] = sum_{n, oy, ox} x[n, oy s + ky, ox s + kx, i] dy[n, oy, ox, o]`, and `d_bias` as
/// the sum of `dy`.
pub fn conv2d_backward_weight<F: Float>(
    shape: &Conv2dShape,
    batch: usize,
    x: &[F],
    dy: &[F],
    d_weight: &mut [F],
    d_bias: &mut [F],
) {
    d_weight.fill(F::zero());
    for_each_product(shape, batch, |i, w, o| d_weight[w] = d_weight[w] + x[i] * dy[o]);
    d_bias.fill(F::zero());
    for (position, dy) in dy.iter().enumerate() {
        let o = position % shape.out_c;
        d_bias[o] = d_bias[o] + *dy;
    }
}

/// Computes `dx[n, oy s + ky, ox s + kx, i] += weight[ky, kx, i, o] dy[n, oy, ox, o]` over all indices, starting from
/// 0.
pub fn conv2d_backward_input<F: Float>(shape: &Conv2dShape, batch: usize, weight: &[F], dy: &[F], dx: &mut [F]) {
    dx.fill(F::zero());
    for_each_product(shape, batch, |i, w, o| dx[i] = dx[i] + weight[w] * dy[o]);
}

fn sigmoid<F: Float>(z: F) -> F {
    F::one() / (F::one() + (-z).exp())
}

/// Computes `c = sigma(z_f) c_prev + sigma(z_i) tanh(z_g)` and `h = sigma(z_o) tanh(c)`. `gates` holds z on entry and
/// the gates after their sigmoids and tanh on return, each in the order i, f, g, o.
pub fn lstm_forward<F: Float>(gates: &mut [F], c_prev: &[F], c: &mut [F], h: &mut [F]) {
    let cells = c.len();
    for k in 0..cells {
        let [i, f, g, o] = [0, 1, 2, 3].map(|gate| gate * cells + k);
        gates[i] = sigmoid(gates[i]);
        gates[f] = sigmoid(gates[f]);
        gates[g] = gates[g].tanh();
        gates[o] = sigmoid(gates[o]);
        c[k] = gates[f] * c_prev[k] + gates[i] * gates[g];
        h[k] = gates[o] * c[k].tanh();
    }
}

/// Computes the gradient of [`lstm_forward`] with respect to z, and with respect to `c_prev` (in `dc`, which holds on
/// entry the gradient with respect to `c` from the next step).
pub fn lstm_backward<F: Float>(gates: &[F], c_prev: &[F], c: &[F], dh: &[F], dc: &mut [F], d_gates: &mut [F]) {
    let (cells, one) = (c.len(), F::one());
    for k in 0..cells {
        let at = [0, 1, 2, 3].map(|gate| gate * cells + k);
        let [i, f, g, o] = at.map(|at| gates[at]);
        let tanh_c = c[k].tanh();
        let d_c = dc[k] + dh[k] * o * (one - tanh_c * tanh_c);
        let d_z = [
            d_c * g * i * (one - i),
            d_c * c_prev[k] * f * (one - f),
            d_c * i * (one - g * g),
            dh[k] * tanh_c * o * (one - o),
        ];
        at.into_iter().zip(d_z).for_each(|(at, d)| d_gates[at] = d);
        dc[k] = d_c * f;
    }
}
