//! LSTM cells: the element-wise part after the matrix product, in one pass.
//!
//! ```text
//! c = sigma(z_f) c_prev + sigma(z_i) tanh(z_g),   h = sigma(z_o) tanh(c)
//! ```
//!
//! The pre-activations `z = W_ih x + W_hh h_prev + b` (one bias) of a step are stored gate by gate, in the order i, f,
//! g, o.

use super::functions::{sigmoid, tanh, through_sigmoid, through_tanh};
use super::simd::Simd;
use super::{Isa, Kernel, LANE_PAD, dispatch};

/// Computes one step. `gates` holds z on entry, and sigma(z_i), sigma(z_f), tanh(z_g), sigma(z_o) on return, which the
/// backward pass needs. The number of cells is a multiple of [`LANE_PAD`].
pub fn lstm_forward(
    isa: Isa,
    gates: &mut [f32], // (4, cells)
    c_prev: &[f32],    // (cells)
    c: &mut [f32],     // (cells)
    h: &mut [f32],     // (cells)
) {
    check(c.len(), gates.len(), &[c_prev.len(), h.len()]);
    dispatch(isa, Forward { gates, c_prev, c, h });
}

/// Computes the gradient of one step with respect to z, which overwrites `d_gates`. `dc` holds on entry the gradient
/// with respect to `c` from the following step (0 after the last), and on return that with respect to `c_prev`.
pub fn lstm_backward(
    isa: Isa,
    gates: &[f32],       // (4, cells), as the forward pass left them
    c_prev: &[f32],      // (cells)
    c: &[f32],           // (cells)
    dh: &[f32],          // (cells)
    dc: &mut [f32],      // (cells)
    d_gates: &mut [f32], // (4, cells)
) {
    check(c.len(), gates.len(), &[c_prev.len(), dh.len(), dc.len()]);
    assert_eq!(d_gates.len(), gates.len(), "length of d_gates");
    dispatch(isa, Backward { gates, c_prev, c, dh, dc, d_gates });
}

fn check(cells: usize, gates: usize, others: &[usize]) {
    assert!(cells.is_multiple_of(LANE_PAD), "{cells} cells are no multiple of {LANE_PAD}");
    assert_eq!(gates, 4 * cells, "length of the gates");
    assert!(others.iter().all(|len| *len == cells), "{others:?}, where {cells} cells have as many values each");
}

struct Forward<'a> {
    gates: &'a mut [f32],
    c_prev: &'a [f32],
    c: &'a mut [f32],
    h: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let cells = self.c.len();
        let gates = self.gates.as_mut_ptr();
        for k in (0..cells).step_by(S::LANES) {
            // SAFETY: `check` has compared all lengths with `cells`, a multiple of `LANES`: from `k` on there is a
            // vector in each row, and in each of the four gates.
            unsafe {
                let i = gates.add(k);
                let (f, g, o) = (i.add(cells), i.add(2 * cells), i.add(3 * cells));
                let (sigma_i, sigma_f) = (sigmoid(s, s.load(i)), sigmoid(s, s.load(f)));
                let (tanh_g, sigma_o) = (tanh(s, s.load(g)), sigmoid(s, s.load(o)));
                let c = s.mul_add(sigma_f, s.load(self.c_prev.as_ptr().add(k)), s.mul(sigma_i, tanh_g));
                s.store(i, sigma_i);
                s.store(f, sigma_f);
                s.store(g, tanh_g);
                s.store(o, sigma_o);
                s.store(self.c.as_mut_ptr().add(k), c);
                s.store(self.h.as_mut_ptr().add(k), s.mul(sigma_o, tanh(s, c)));
            }
        }
    }
}

struct Backward<'a> {
    gates: &'a [f32],
    c_prev: &'a [f32],
    c: &'a [f32],
    dh: &'a [f32],
    dc: &'a mut [f32],
    d_gates: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let cells = self.c.len();
        let (gates, d_gates, dc) = (self.gates.as_ptr(), self.d_gates.as_mut_ptr(), self.dc.as_mut_ptr());
        for k in (0..cells).step_by(S::LANES) {
            // SAFETY: as in `Forward::run`.
            unsafe {
                let (i, f) = (s.load(gates.add(k)), s.load(gates.add(cells + k)));
                let (g, o) = (s.load(gates.add(2 * cells + k)), s.load(gates.add(3 * cells + k)));
                let (c_prev, c) = (s.load(self.c_prev.as_ptr().add(k)), tanh(s, s.load(self.c.as_ptr().add(k))));
                let dh = s.load(self.dh.as_ptr().add(k));
                let d_c = s.add(s.load(dc.add(k)), through_tanh(s, s.mul(dh, o), c));
                s.store(d_gates.add(k), through_sigmoid(s, s.mul(d_c, g), i));
                s.store(d_gates.add(cells + k), through_sigmoid(s, s.mul(d_c, c_prev), f));
                s.store(d_gates.add(2 * cells + k), through_tanh(s, s.mul(d_c, i), g));
                s.store(d_gates.add(3 * cells + k), through_sigmoid(s, s.mul(dh, c), o));
                s.store(dc.add(k), s.mul(d_c, f));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns sigma and tanh of `z`, computed by a step as gate i and gate g.
    fn sigma_and_tanh(isa: Isa, z: [f32; LANE_PAD]) -> ([f32; LANE_PAD], [f32; LANE_PAD]) {
        let (mut gates, mut c, mut h) = ([z; 4], [f32::NAN; LANE_PAD], [f32::NAN; LANE_PAD]);
        lstm_forward(isa, gates.as_flattened_mut(), &[0.0; LANE_PAD], &mut c, &mut h);
        (gates[0], gates[2])
    }

    #[test]
    fn sigma_and_tanh_are_within_3e_7() {
        let grid: Vec<f32> = (-1_000_000..1_000_000).map(|i| i as f32 * 1e-4).collect();
        for (isa, z) in Isa::available().into_iter().flat_map(|isa| grid.as_chunks().0.iter().map(move |z| (isa, *z))) {
            let (sigma, tanh) = sigma_and_tanh(isa, z);
            for ((z, sigma), tanh) in z.into_iter().zip(sigma).zip(tanh) {
                let exact = f64::from(z);
                let errors = [f64::from(sigma) - 1.0 / (1.0 + (-exact).exp()), f64::from(tanh) - exact.tanh()];
                assert!(errors.iter().all(|e| e.abs() <= 3e-7), "{}: {z}: {sigma} {tanh}", isa.name());
            }
        }
    }

    #[test]
    fn what_is_huge_or_infinite_saturates_and_nan_stays() {
        let ends = [(f32::INFINITY, 1.0, 1.0), (1e30, 1.0, 1.0), (-1e30, 0.0, -1.0), (f32::NEG_INFINITY, 0.0, -1.0)];
        for isa in Isa::available() {
            for (z, sigma_end, tanh_end) in ends {
                let (sigma, tanh) = sigma_and_tanh(isa, [z; LANE_PAD]);
                let close = |values: [f32; LANE_PAD], end: f32| values.iter().all(|y| (y - end).abs() <= 3e-7);
                assert!(close(sigma, sigma_end) && close(tanh, tanh_end), "{}: {z}: {sigma:?} {tanh:?}", isa.name());
            }
            let (sigma, tanh) = sigma_and_tanh(isa, [f32::NAN; LANE_PAD]);
            assert!(sigma.iter().chain(&tanh).all(|y| y.is_nan()), "{}", isa.name());
        }
    }
}
