//! Naive reference implementations of the kernels against finite differences.

use a3crs_core::kernel::activation::Activation;
use a3crs_core::kernel::conv2d::Conv2dShape;
use a3crs_core::kernel::linear::LinearShape;
use a3crs_core::kernel::naive;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Returns numbers in [-1, 1), a quarter of them exactly 0, as after a ReLU.
fn values(rng: &mut Xoshiro256PlusPlus, n: usize) -> Vec<f64> {
    (0..n).map(|_| if rng.random_bool(0.25) { 0.0 } else { rng.random_range(-1.0..1.0) }).collect()
}

fn rng(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

/// Compares `gradient` with central differences of `loss` at `at`, coordinate by coordinate.
fn assert_is_gradient(loss: impl Fn(&[f64]) -> f64, at: &[f64], gradient: &[f64]) {
    assert_eq!(at.len(), gradient.len());
    for i in 0..at.len() {
        let step = 1e-4;
        let shifted = |by: f64| {
            let mut at = at.to_vec();
            at[i] += by;
            loss(&at)
        };
        let difference = (shifted(step) - shifted(-step)) / (2.0 * step);
        let error = (gradient[i] - difference).abs() / gradient[i].abs().max(difference.abs()).max(1e-3);
        assert!(error < 1e-5, "coordinate {i}: gradient {}, finite difference {difference}", gradient[i]);
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn the_gradients_of_a_linear_layer_are_finite_differences() {
    let (shape, batch, rng) = (LinearShape { inputs: 7, outputs: 16 }, 3, &mut rng(1));
    let mut next = |n| values(rng, n);
    let (z, weight, bias, dy) = (next(3 * 7), next(7 * 16), next(16), next(3 * 16));
    // x is the output of a ReLU, whose backward pass is the gate. Its inputs stay away from the kink at 0.
    let z: Vec<f64> = z.iter().map(|z| z + 0.01_f64.copysign(*z)).collect();
    let relu = |z: &[f64]| z.iter().map(|z| z.max(0.0)).collect::<Vec<_>>();
    let loss = |x: &[f64], weight: &[f64], bias: &[f64]| {
        let mut y = vec![f64::NAN; 3 * 16];
        naive::linear_forward(&shape, batch, x, weight, bias, Activation::Identity, &mut y);
        dot(&y, &dy)
    };
    let x = relu(&z);
    let (mut dz, mut d_weight, mut d_bias) = (vec![f64::NAN; 21], vec![f64::NAN; 112], vec![f64::NAN; 16]);
    naive::linear_backward_input(&shape, batch, &weight, &dy, Some(&x), &mut dz);
    naive::linear_backward_weight(&shape, batch, &x, &dy, &mut d_weight, &mut d_bias);
    assert_is_gradient(|z| loss(&relu(z), &weight, &bias), &z, &dz);
    assert_is_gradient(|weight| loss(&x, weight, &bias), &weight, &d_weight);
    assert_is_gradient(|bias| loss(&x, &weight, bias), &bias, &d_bias);
}

#[test]
fn the_gradients_of_a_convolution_are_finite_differences() {
    let (batch, rng) = (2, &mut rng(2));
    for (kernel, stride) in [(3, 1), (3, 2), (2, 3)] {
        let shape = Conv2dShape { in_h: 5, in_w: 6, in_c: 3, out_c: 16, kernel, stride };
        let mut next = |n| values(rng, n);
        let (x, weight, bias) = (next(batch * shape.input_len()), next(shape.weight_len()), next(16));
        let dy = next(batch * shape.output_len());
        let loss = |x: &[f64], weight: &[f64], bias: &[f64]| {
            let mut y = vec![f64::NAN; dy.len()];
            naive::conv2d_forward(&shape, batch, x, weight, bias, Activation::Identity, &mut y);
            dot(&y, &dy)
        };
        let (mut dx, mut d_weight, mut d_bias) = (x.clone(), weight.clone(), bias.clone());
        naive::conv2d_backward_input(&shape, batch, &weight, &dy, &mut dx);
        naive::conv2d_backward_weight(&shape, batch, &x, &dy, &mut d_weight, &mut d_bias);
        assert_is_gradient(|x| loss(x, &weight, &bias), &x, &dx);
        assert_is_gradient(|weight| loss(&x, weight, &bias), &weight, &d_weight);
        assert_is_gradient(|bias| loss(&x, &weight, bias), &bias, &d_bias);
    }
}

#[test]
fn the_gradient_of_an_activation_is_its_finite_difference() {
    let rng = &mut rng(3);
    // The inputs stay away from the ReLU's kink at 0.
    let z: Vec<f64> = values(rng, 50).iter().map(|z| z + 0.01_f64.copysign(*z)).collect();
    let dy = values(rng, 50);
    let function = |activation, z: f64| match activation {
        Activation::Identity => z,
        Activation::Relu => z.max(0.0),
        Activation::Tanh => z.tanh(),
    };
    for activation in [Activation::Identity, Activation::Relu, Activation::Tanh] {
        let y = |z: &[f64]| z.iter().map(|z| function(activation, *z)).collect::<Vec<_>>();
        let mut dz = dy.clone();
        naive::activation_backward(activation, &y(&z), &mut dz);
        assert_is_gradient(|z| dot(&y(z), &dy), &z, &dz);
    }
}
