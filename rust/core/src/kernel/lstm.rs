//! LSTM cells.

use super::{Isa, naive};

/// One step; placeholder body until the vector kernel is in.
pub fn lstm_forward(_isa: Isa, gates: &mut [f32], c_prev: &[f32], c: &mut [f32], h: &mut [f32]) {
    naive::lstm_forward(gates, c_prev, c, h);
}

/// Its gradient.
pub fn lstm_backward(
    _isa: Isa,
    gates: &[f32],
    c_prev: &[f32],
    c: &[f32],
    dh: &[f32],
    dc: &mut [f32],
    d_gates: &mut [f32],
) {
    naive::lstm_backward(gates, c_prev, c, dh, dc, d_gates);
}
