//! LSTM kernels on every instruction set of this CPU against their naive reference implementations, and those against
//! finite differences.

use a3crs_core::kernel::lstm::{lstm_backward, lstm_forward};
use a3crs_core::kernel::{Isa, naive};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Error allowed: sigma and tanh are exact to 3e-7, and a cell combines a few of them with values up to 3.
const TOLERANCE: f64 = 5e-6;

fn values(rng: &mut Xoshiro256PlusPlus, n: usize) -> Vec<f64> {
    (0..n).map(|_| f64::from(rng.random_range(-3.0f32..3.0))).collect()
}

fn to_f32(x: &[f64]) -> Vec<f32> {
    x.iter().map(|x| *x as f32).collect()
}

fn assert_close(isa: Isa, what: &str, fast: &[f32], exact: &[f64]) {
    for (k, (fast, exact)) in fast.iter().zip(exact).enumerate() {
        // The condition is not `error > bound`, because NaN must fail.
        assert!((f64::from(*fast) - exact).abs() <= TOLERANCE, "{}: {what}[{k}] {fast}, not {exact}", isa.name());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_step_and_its_gradient_are_those_of_the_naive_twin(vectors in 1..20_usize, seed: u64) {
        let (rng, cells) = (&mut Xoshiro256PlusPlus::seed_from_u64(seed), 16 * vectors);
        let (z, c_prev) = (values(rng, 4 * cells), values(rng, cells));
        let (dh, dc_next) = (values(rng, cells), values(rng, cells));
        let (mut gates, mut c, mut h) = (z.clone(), vec![f64::NAN; cells], vec![f64::NAN; cells]);
        naive::lstm_forward(&mut gates, &c_prev, &mut c, &mut h);
        let (mut dc, mut d_gates) = (dc_next.clone(), vec![f64::NAN; 4 * cells]);
        naive::lstm_backward(&gates, &c_prev, &c, &dh, &mut dc, &mut d_gates);
        for isa in Isa::available() {
            let (mut fast_gates, mut fast_c, mut fast_h) = (to_f32(&z), vec![f32::NAN; cells], vec![f32::NAN; cells]);
            lstm_forward(isa, &mut fast_gates, &to_f32(&c_prev), &mut fast_c, &mut fast_h);
            for (what, fast, exact) in [("gates", &fast_gates, &gates), ("c", &fast_c, &c), ("h", &fast_h, &h)] {
                assert_close(isa, what, fast, exact);
            }
            let (mut fast_dc, mut fast_d_gates) = (to_f32(&dc_next), vec![f32::NAN; 4 * cells]);
            let (c_prev, dh) = (to_f32(&c_prev), to_f32(&dh));
            lstm_backward(isa, &fast_gates, &c_prev, &fast_c, &dh, &mut fast_dc, &mut fast_d_gates);
            assert_close(isa, "d_gates", &fast_d_gates, &d_gates);
            assert_close(isa, "dc", &fast_dc, &dc);
        }
    }
}

#[test]
fn a_nan_stays_in_its_cell_and_reaches_all_that_depends_on_it() {
    for isa in Isa::available() {
        for gate in 0..4 {
            let (mut gates, mut c, mut h) = ([[0.5; 48]; 4], [0.0; 48], [0.0; 48]);
            gates[gate][21] = f32::NAN;
            lstm_forward(isa, gates.as_flattened_mut(), &[0.5; 48], &mut c, &mut h);
            let (mut dc, mut d_gates) = ([0.5; 48], [[0.0; 48]; 4]);
            lstm_backward(isa, gates.as_flattened(), &[0.5; 48], &c, &[0.5; 48], &mut dc, d_gates.as_flattened_mut());
            // c does not depend on gate o; everything else depends on every gate.
            let only_there = |row: &[f32]| row.iter().enumerate().all(|(k, x)| x.is_nan() == (k == 21));
            assert!(only_there(&h) && only_there(&dc), "{}: gate {gate}", isa.name());
            assert!(gate == 3 || only_there(&c), "{}: gate {gate}", isa.name());
            assert!(d_gates.iter().all(|row| only_there(row)), "{}: gate {gate}", isa.name());
        }
    }
}

#[test]
#[should_panic(expected = "no multiple")]
fn cells_that_fill_no_whole_vector_are_refused() {
    lstm_forward(Isa::available()[0], &mut [0.0; 80], &[0.0; 20], &mut [0.0; 20], &mut [0.0; 20]);
}

#[test]
#[should_panic(expected = "length of the gates")]
fn gates_of_the_wrong_length_are_refused() {
    lstm_forward(Isa::available()[0], &mut [0.0; 48], &[0.0; 16], &mut [0.0; 16], &mut [0.0; 16]);
}

const STEPS: usize = 3;
const CELLS: usize = 2;

/// Returns `L = sum over the steps of dh . h`, where each step's c is the input of the next.
fn loss(z: &[f64], c_first: &[f64], dh: &[f64]) -> f64 {
    let (mut c_prev, mut sum) = (c_first.to_vec(), 0.0);
    for (z, dh) in z.chunks_exact(4 * CELLS).zip(dh.chunks_exact(CELLS)) {
        let (mut gates, mut c, mut h) = (z.to_vec(), vec![0.0; CELLS], vec![0.0; CELLS]);
        naive::lstm_forward(&mut gates, &c_prev, &mut c, &mut h);
        sum += h.iter().zip(dh).map(|(h, dh)| h * dh).sum::<f64>();
        c_prev = c;
    }
    sum
}

#[test]
fn the_naive_gradient_is_the_finite_difference_through_several_steps() {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(4);
    let (z, c_first, dh) = (values(rng, STEPS * 4 * CELLS), values(rng, CELLS), values(rng, STEPS * CELLS));
    let (mut gates, mut c) = (z.clone(), [&c_first[..], &[0.0; STEPS * CELLS]].concat());
    for (t, gates) in gates.chunks_exact_mut(4 * CELLS).enumerate() {
        let (c_prev, c) = c[t * CELLS..].split_at_mut(CELLS);
        naive::lstm_forward(gates, c_prev, &mut c[..CELLS], &mut [0.0; CELLS]);
    }
    let (mut d_z, mut dc) = (vec![f64::NAN; z.len()], vec![0.0; CELLS]);
    for t in (0..STEPS).rev() {
        let (step, cells) = (t * 4 * CELLS..(t + 1) * 4 * CELLS, t * CELLS..(t + 1) * CELLS);
        let (c_prev, c) = c[t * CELLS..][..2 * CELLS].split_at(CELLS);
        naive::lstm_backward(&gates[step.clone()], c_prev, c, &dh[cells], &mut dc, &mut d_z[step]);
    }
    let difference = |at: usize, first: bool| {
        let h = 1e-6;
        let moved = |by: f64| {
            let (mut z, mut c_first) = (z.clone(), c_first.clone());
            if first {
                c_first[at] += by
            } else {
                z[at] += by
            }
            loss(&z, &c_first, &dh)
        };
        (moved(h) - moved(-h)) / (2.0 * h)
    };
    for (first, gradient) in [(false, d_z), (true, dc)] {
        for (at, d) in gradient.iter().enumerate() {
            let fd = difference(at, first);
            assert!((d - fd).abs() < 1e-5 * fd.abs().max(1e-3), "{at}, c_prev {first}: {d} against {fd}");
        }
    }
}
