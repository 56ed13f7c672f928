//! Every kernel on every instruction set of this CPU against its naive reference implementation. `naive.rs` compares
//! those with finite differences.

#[path = "support/numbers.rs"]
mod numbers;
#[path = "support/still.rs"]
mod still;

use a3crs_core::kernel::activation::{Activation, activate, activation_backward, images_to_f32, sum_of_squares};
use a3crs_core::kernel::changes::{changed_windows, update_image};
use a3crs_core::kernel::conv2d::{Conv2dShape, Site, conv2d_backward_input, conv2d_backward_weight, conv2d_forward};
use a3crs_core::kernel::linear::{
    LinearShape, linear_backward_input, linear_backward_weight, linear_forward, linear_forward_from,
};
use a3crs_core::kernel::{Isa, naive};
use numbers::{assert_close, exact, magnitude, poison, rng, values};
use proptest::prelude::*;
use rand::RngExt;
use still::{Still, at_starts};

/// Runs the naive implementation in f64 twice: on the values, and on their magnitudes, which bound the error.
macro_rules! twice {
    (|$map:ident| $compute:expr) => {{
        let run = |$map: fn(&[f32]) -> Vec<f64>| $compute;
        (run(exact), run(magnitude))
    }};
}

fn activations() -> impl Strategy<Value = Activation> {
    prop_oneof![Just(Activation::Identity), Just(Activation::Relu)]
}

fn linear_shapes() -> impl Strategy<Value = LinearShape> {
    (1..150_usize, 1..20_usize).prop_map(|(inputs, lanes)| LinearShape { inputs, outputs: 16 * lanes })
}

fn conv2d_shapes() -> impl Strategy<Value = Conv2dShape> {
    let channels = prop_oneof![Just(1), Just(3), Just(4), Just(16), Just(32), Just(64)];
    let windows = prop_oneof![(1..=5_usize, 1..=3_usize), Just((8, 4)), Just((4, 2)), Just((8, 8))];
    (channels, 1..=5_usize, windows, 0..6_usize, 0..50_usize).prop_map(
        |(in_c, lanes, (kernel, stride), more_h, more_w)| Conv2dShape {
            in_h: kernel + more_h,
            in_w: kernel + more_w,
            in_c,
            out_c: 16 * lanes,
            kernel,
            stride,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn linear_forward_is_its_naive_twin(s in linear_shapes(), batch in 1..24_usize, act in activations(), seed: u64) {
        let rng = &mut rng(seed);
        let (x, weight) = (values(rng, batch * s.inputs), values(rng, s.inputs * s.outputs));
        let bias = values(rng, s.outputs);
        let (y, bound) = twice!(|f| {
            let mut y = vec![f64::NAN; batch * s.outputs];
            naive::linear_forward(&s, batch, &f(&x), &f(&weight), &f(&bias), act, &mut y);
            y
        });
        for isa in Isa::available() {
            let mut fast = poison(y.len());
            linear_forward(isa, &s, batch, &x, &weight, &bias, act, &mut fast);
            assert_close(isa, &fast, &y, &bound, s.inputs + 1);
        }
    }

    #[test]
    fn a_row_gives_the_same_alone_and_in_a_batch(s in linear_shapes(), batch in 2..12_usize, seed: u64) {
        let rng = &mut rng(seed);
        let (x, weight) = (values(rng, batch * s.inputs), values(rng, s.inputs * s.outputs));
        let bias = values(rng, s.outputs);
        for isa in Isa::available() {
            let (mut together, mut alone) = (poison(batch * s.outputs), poison(s.outputs));
            linear_forward(isa, &s, batch, &x, &weight, &bias, Activation::Identity, &mut together);
            for (x, y) in x.chunks_exact(s.inputs).zip(together.chunks_exact(s.outputs)) {
                linear_forward(isa, &s, 1, x, &weight, &bias, Activation::Identity, &mut alone);
                prop_assert_eq!(&alone, y);
            }
        }
    }

    #[test]
    fn linear_backward_weight_is_its_naive_twin(s in linear_shapes(), batch in 1..8_usize, seed: u64) {
        let rng = &mut rng(seed);
        let (x, dy) = (values(rng, batch * s.inputs), values(rng, batch * s.outputs));
        let (exact, bound) = twice!(|f| {
            let (mut dw, mut db) = (vec![f64::NAN; s.inputs * s.outputs], vec![f64::NAN; s.outputs]);
            naive::linear_backward_weight(&s, batch, &f(&x), &f(&dy), &mut dw, &mut db);
            (dw, db)
        });
        for isa in Isa::available() {
            let (mut dw, mut db) = (poison(exact.0.len()), poison(s.outputs));
            linear_backward_weight(isa, &s, batch, &x, &dy, &mut dw, &mut db);
            assert_close(isa, &dw, &exact.0, &bound.0, batch);
            assert_close(isa, &db, &exact.1, &bound.1, batch);
        }
    }

    #[test]
    fn a_row_given_the_one_before_is_its_naive_twin(s in linear_shapes(), same in 0.0..1.0, seed: u64) {
        let rng = &mut rng(seed);
        let (before, mut x, weight) = (values(rng, s.inputs), values(rng, s.inputs), values(rng, s.inputs * s.outputs));
        x.iter_mut().zip(&before).for_each(|(x, before)| if rng.random_bool(same) { *x = *before });
        let bias = values(rng, s.outputs);
        let twin = |x: &[f32], f: fn(&[f32]) -> Vec<f64>| {
            let mut y = vec![f64::NAN; s.outputs];
            naive::linear_forward(&s, 1, &f(x), &f(&weight), &f(&bias), Activation::Identity, &mut y);
            y
        };
        let bound: Vec<f64> = twin(&x, magnitude).iter().zip(twin(&before, magnitude)).map(|(a, b)| a + 2.0 * b).collect();
        for isa in Isa::available() {
            let (mut y_before, mut y) = (poison(s.outputs), poison(s.outputs));
            linear_forward(isa, &s, 1, &before, &weight, &bias, Activation::Identity, &mut y_before);
            linear_forward_from(isa, &s, (&before, &y_before), &x, &weight, &bias, &mut y);
            assert_close(isa, &y, &twin(&x, exact), &bound, 2 * s.inputs + 2);
        }
    }

    #[test]
    fn linear_backward_input_is_its_naive_twin(
        s in linear_shapes(), batch in 1..12_usize, of in 1..6_usize, still in 0.0..1.0, gated: bool, dead in 0.0..1.0, seed: u64,
    ) {
        let (s, rng) = (LinearShape { inputs: of * s.inputs.div_ceil(of), ..s }, &mut rng(seed));
        let runs = Still::new(batch, of, still, rng);
        let (weight, dy) = (values(rng, s.inputs * s.outputs), values(rng, batch * s.outputs));
        // Some inputs are closed in the whole batch, so that their weights are not read.
        let closed: Vec<bool> = (0..s.inputs).map(|_| rng.random_bool(dead)).collect();
        let mut gate = values(rng, batch * s.inputs);
        gate.iter_mut().zip(closed.iter().cycle()).for_each(|(gate, closed)| if *closed { *gate = gate.min(0.0) });
        runs.hold(&mut gate);
        let (dx, bound) = twice!(|f| {
            let mut dx = vec![f64::NAN; batch * s.inputs];
            naive::linear_backward_input(&s, batch, &f(&weight), &f(&dy), gated.then(|| exact(&gate)).as_deref(), &mut dx);
            at_starts(&runs, &runs.sums(&dx, f64::NAN))
        });
        for isa in Isa::available() {
            let (mut fast, mut scratch) = (poison(batch * s.inputs), poison(dy.len()));
            let gate = gated.then_some(&gate[..]);
            linear_backward_input(isa, &s, of, &runs.start, &weight, &dy, gate, &mut scratch, &mut fast);
            assert_close(isa, &at_starts(&runs, &fast), &dx, &bound, s.outputs + batch);
        }
    }

    #[test]
    fn conv2d_forward_is_its_naive_twin_at_its_sites(
        s in conv2d_shapes(), batch in 1..4_usize, still in 0.0..1.0, act in activations(), seed: u64,
    ) {
        let rng = &mut rng(seed);
        let windows = Still::new(batch, s.positions(), still, rng);
        let (x, weight) = (values(rng, batch * s.input_len()), values(rng, s.weight_len()));
        let bias = values(rng, s.out_c);
        let (y, bound) = twice!(|f| {
            let mut y = vec![f64::NAN; batch * s.output_len()];
            naive::conv2d_forward(&s, batch, &f(&x), &f(&weight), &f(&bias), act, &mut y);
            at_starts(&windows, &y)
        });
        for isa in Isa::available() {
            let mut fast = poison(batch * s.output_len());
            conv2d_forward(isa, &s, &windows.sites(&s), &x, &weight, &bias, act, &mut fast);
            assert_close(isa, &at_starts(&windows, &fast), &y, &bound, s.weight_len() / s.out_c + 1);
            prop_assert_eq!(fast.iter().filter(|y| y.is_nan()).count(), fast.len() - y.len(), "written elsewhere");
        }
    }

    #[test]
    fn conv2d_backward_weight_is_its_naive_twin(
        s in conv2d_shapes(), batch in 1..6_usize, still in 0.0..1.0_f64, seed: u64,
    ) {
        let rng = &mut rng(seed);
        let pixels = Still::new(batch, s.in_h * s.in_w, still.sqrt(), rng);
        let windows = pixels.windows(&s);
        let (mut x, dy) = (values(rng, batch * s.input_len()), values(rng, batch * s.output_len()));
        pixels.hold(&mut x);
        let (exact, bound) = twice!(|f| {
            let (mut dw, mut db) = (vec![f64::NAN; s.weight_len()], vec![f64::NAN; s.out_c]);
            naive::conv2d_backward_weight(&s, batch, &f(&x), &f(&dy), &mut dw, &mut db);
            (dw, db)
        });
        let sums: Vec<f32> = windows.sums(&self::exact(&dy), f64::NAN).iter().map(|d| *d as f32).collect();
        for isa in Isa::available() {
            let (mut dw, mut db) = (poison(s.weight_len()), poison(s.out_c));
            conv2d_backward_weight(isa, &s, &windows.sites(&s), &x, &sums, &mut dw, &mut db);
            assert_close(isa, &dw, &exact.0, &bound.0, dy.len() / s.out_c);
            assert_close(isa, &db, &exact.1, &bound.1, dy.len() / s.out_c);
        }
    }

    #[test]
    fn conv2d_backward_input_is_its_naive_twin(
        s in conv2d_shapes(), batch in 1..6_usize, still in 0.0..1.0_f64, gated: bool, seed: u64,
    ) {
        let (s, rng) = (Conv2dShape { in_c: s.in_c.next_multiple_of(16), ..s }, &mut rng(seed));
        let pixels = Still::new(batch, s.in_h * s.in_w, still.sqrt(), rng);
        let windows = pixels.windows(&s);
        let (weight, dy) = (values(rng, s.weight_len()), values(rng, batch * s.output_len()));
        let mut gate = values(rng, batch * s.input_len());
        pixels.hold(&mut gate);
        let (dx, bound) = twice!(|f| {
            let mut dx = vec![f64::NAN; batch * s.input_len()];
            naive::conv2d_backward_input(&s, batch, &f(&weight), &f(&dy), &mut dx);
            if gated {
                naive::activation_backward(Activation::Relu, &exact(&gate), &mut dx);
            }
            at_starts(&pixels, &pixels.sums(&dx, f64::NAN))
        });
        let sums: Vec<f32> = windows.sums(&exact(&dy), f64::NAN).iter().map(|d| *d as f32).collect();
        for isa in Isa::available() {
            let (mut fast, mut scratch) = (poison(gate.len()), poison(s.weight_len()));
            let (sites, gate) = (windows.sites(&s), gated.then_some(&gate[..]));
            conv2d_backward_input(isa, &s, &sites, &pixels.start, &weight, &sums, gate, &mut scratch, &mut fast);
            assert_close(isa, &at_starts(&pixels, &fast), &dx, &bound, batch * (s.kernel * s.kernel * s.out_c + 1));
        }
    }

    #[test]
    fn an_image_brought_up_to_date_is_the_image(
        channels in 1..6_usize, pixels in 1..300_usize, still in 0.5..1.0, seed: u64,
    ) {
        let rng = &mut rng(seed);
        let before: Vec<u8> = (0..channels * pixels).map(|_| rng.random()).collect();
        let mut planes = before.clone();
        // In some images hardly any pixel changes, in others all do.
        let still = if rng.random() { still } else { 0.995 };
        planes.iter_mut().for_each(|byte| if !rng.random_bool(still) { *byte ^= 1 << rng.random_range(0..8) });
        let differs = |pixel: usize| (0..channels).any(|c| before[c * pixels + pixel] != planes[c * pixels + pixel]);
        for isa in Isa::available() {
            let (mut image, mut expected, mut changed) = (poison(before.len()), poison(before.len()), vec![9; pixels]);
            images_to_f32(isa, channels, &before, &mut image);
            images_to_f32(isa, channels, &planes, &mut expected);
            update_image(isa, channels, &before, &planes, &mut image, &mut changed);
            prop_assert_eq!(&image, &expected);
            prop_assert!((0..pixels).all(|pixel| changed[pixel] == u8::from(differs(pixel))));
        }
    }

    #[test]
    fn an_output_has_changed_if_a_pixel_of_its_window_has(s in conv2d_shapes(), still in 0.5..1.0, seed: u64) {
        let rng = &mut rng(seed);
        let changed: Vec<u8> = (0..s.in_h * s.in_w).map(|_| u8::from(!rng.random_bool(still))).collect();
        let mut out = vec![9; s.positions()];
        changed_windows(&s, &changed, &mut out);
        for (site, out) in s.sites(0).zip(out) {
            let window = (0..s.kernel).flat_map(|ky| (0..s.kernel).map(move |kx| ky * s.in_w + kx));
            let any = window.map(|at| changed[site.window as usize + at]).max();
            prop_assert_eq!(Some(out), any);
        }
    }

    #[test]
    fn activate_is_its_naive_twin(n in 0..200_usize, seed: u64) {
        let y = values(&mut rng(seed), n);
        for isa in Isa::available() {
            let mut fast = y.clone();
            activate(isa, Activation::Identity, &mut fast);
            prop_assert_eq!(&fast, &y);
            activate(isa, Activation::Relu, &mut fast);
            prop_assert_eq!(fast, y.iter().map(|y| y.max(0.0)).collect::<Vec<_>>());
            let mut fast: Vec<f32> = y.iter().map(|y| 5.0 * y).collect();
            activate(isa, Activation::Tanh, &mut fast);
            for (fast, y) in fast.iter().zip(&y) {
                prop_assert!((f64::from(*fast) - f64::from(5.0 * y).tanh()).abs() <= 3e-7, "{}: {y} {fast}", isa.name());
            }
        }
    }

    #[test]
    fn activation_backward_is_its_naive_twin(n in 0..200_usize, seed: u64) {
        let rng = &mut rng(seed);
        let (y, dy) = (values(rng, n), values(rng, n));
        for activation in [Activation::Identity, Activation::Relu, Activation::Tanh] {
            let mut expected = dy.clone();
            naive::activation_backward(activation, &y, &mut expected);
            for isa in Isa::available() {
                let mut fast = dy.clone();
                activation_backward(isa, activation, &y, &mut fast);
                prop_assert_eq!(&fast, &expected);
            }
        }
    }

    #[test]
    fn images_to_f32_is_its_naive_twin(channels in 1..7_usize, pixels in 0..100_usize, seed: u64) {
        let rng = &mut rng(seed);
        let planes: Vec<u8> = (0..channels * pixels).map(|_| rng.random()).collect();
        let mut expected = vec![f64::NAN; planes.len()];
        naive::images_to_f32(channels, &planes, &mut expected);
        for isa in Isa::available() {
            let mut fast = poison(planes.len());
            images_to_f32(isa, channels, &planes, &mut fast);
            assert_close(isa, &fast, &expected, &expected, 0);
        }
    }

    #[test]
    fn sum_of_squares_is_its_naive_twin(n in 0..10_000_usize, seed: u64) {
        let x = values(&mut rng(seed), n);
        let expected = naive::sum_of_squares(&exact(&x));
        for isa in Isa::available() {
            let relative = (sum_of_squares(isa, &x) - expected).abs() / expected.max(1e-30);
            prop_assert!(relative < 1e-5, "{}: off by {relative}", isa.name());
        }
    }

    #[test]
    fn sum_of_squares_of_anything_not_finite_is_not_finite(n in 1..9000_usize, at: prop::sample::Index, seed: u64) {
        let mut x = values(&mut rng(seed), n);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            x[at.index(n)] = bad;
            for isa in Isa::available() {
                prop_assert!(!sum_of_squares(isa, &x).is_finite(), "{}: {bad} at {}", isa.name(), at.index(n));
            }
        }
    }
}

#[test]
fn black_is_zero_and_white_is_one() {
    for isa in Isa::available() {
        let mut out = poison(40);
        images_to_f32(isa, 1, &[[0; 20], [255; 20]].concat(), &mut out);
        assert_eq!(out, [[0.0; 20], [1.0; 20]].concat());
    }
}

#[test]
fn a_nan_in_x_reaches_every_y_that_depends_on_it() {
    let linear = LinearShape { inputs: 70, outputs: 48 };
    let conv2d = Conv2dShape { in_h: 4, in_w: 8, in_c: 3, out_c: 16, kernel: 2, stride: 2 };
    for isa in Isa::available() {
        for (batch, activation) in [(1, Activation::Identity), (1, Activation::Relu), (3, Activation::Relu)] {
            let (mut x, weight) = (vec![0.0; batch * 70], vec![0.0; 70 * 48]);
            x[66] = f32::NAN;
            let mut y = vec![0.0; batch * 48];
            linear_forward(isa, &linear, batch, &x, &weight, &[0.0; 48], activation, &mut y);
            assert!(y[..48].iter().all(|y| y.is_nan()), "{}: batch {batch}, {activation:?}", isa.name());
            assert!(y[48..].iter().all(|y| *y == 0.0), "{}: a row is not the business of another", isa.name());
        }
        let (mut x, weight) = (vec![0.0; conv2d.input_len()], vec![0.0; conv2d.weight_len()]);
        x[3 * 3] = f32::NAN; // the fourth pixel, in the second window of the first row
        let mut y = vec![0.0; conv2d.output_len()];
        let sites: Vec<Site> = conv2d.sites(0).collect();
        conv2d_forward(isa, &conv2d, &sites, &x, &weight, &[0.0; 16], Activation::Relu, &mut y);
        assert!(y.iter().enumerate().all(|(i, y)| y.is_nan() == (16..32).contains(&i)), "{}", isa.name());
    }
}

#[test]
fn one_row_does_not_read_the_weights_of_inputs_that_are_zero() {
    let shape = LinearShape { inputs: 3, outputs: 16 };
    let weight = [[2.0; 16], [f32::NAN; 16], [f32::INFINITY; 16]].concat();
    for isa in Isa::available() {
        let mut y = poison(16);
        linear_forward(isa, &shape, 1, &[1.0, 0.0, -0.0], &weight, &[1.0; 16], Activation::Identity, &mut y);
        assert_eq!(y, [3.0; 16]);
    }
}

#[test]
#[should_panic(expected = "length of x")]
fn a_site_outside_the_image_is_refused() {
    let (isa, s) = (Isa::available()[0], Conv2dShape { in_h: 4, in_w: 4, in_c: 1, out_c: 16, kernel: 2, stride: 2 });
    let sites: Vec<Site> = s.sites(1).collect(); // of the second image
    conv2d_forward(isa, &s, &sites, &[0.0; 16], &[0.0; 64], &[0.0; 16], Activation::Relu, &mut [0.0; 128]);
}

#[test]
#[should_panic(expected = "length of x")]
fn a_slice_of_the_wrong_length_is_refused() {
    let (isa, shape) = (Isa::available()[0], LinearShape { inputs: 3, outputs: 16 });
    linear_forward(isa, &shape, 1, &[0.0; 2], &[0.0; 48], &[0.0; 16], Activation::Identity, &mut [0.0; 16]);
}
