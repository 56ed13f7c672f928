//! Sigmoid and tanh of vectors, and their derivatives computed from their outputs.

use super::simd::Simd;

/// Returns the gradient before a sigmoid with output `y`, given the gradient `d` after it: `sigma' = sigma (1 -
/// sigma)`.
#[inline(always)]
pub(super) fn through_sigmoid<S: Simd>(s: S, d: S::V, y: S::V) -> S::V {
    s.mul(d, s.mul(y, s.sub(s.splat(1.0), y)))
}

/// Returns the gradient before a tanh with output `y`, given the gradient `d` after it: `tanh' = 1 - tanh^2`.
#[inline(always)]
pub(super) fn through_tanh<S: Simd>(s: S, d: S::V, y: S::V) -> S::V {
    s.mul(d, s.sub(s.splat(1.0), s.mul(y, y)))
}

/// Evaluates the polynomial in `u` with these coefficients, the highest power first.
#[inline(always)]
fn polynomial<S: Simd>(s: S, u: S::V, coefficients: [f32; 5]) -> S::V {
    let mut sum = s.splat(coefficients[0]);
    for c in &coefficients[1..] {
        sum = s.mul_add(sum, u, s.splat(*c));
    }
    sum
}

/// Returns numerator and denominator of Lambert's continued fraction `tanh x = x / (1 + x^2 / (3 + x^2 / (5 + ...)))`,
/// cut after 17 and multiplied out. Every term is positive, so nothing cancels; for `|x| <= 4.5` it is exact to f32.
#[inline(always)]
fn tanh_fraction<S: Simd>(s: S, x: S::V) -> (S::V, S::V) {
    let u = s.mul(x, x);
    let numerator = polynomial(s, u, [1.0, 990.0, 135_135.0, 4_729_725.0, 34_459_425.0]);
    (s.mul(x, numerator), polynomial(s, u, [45.0, 13_860.0, 945_945.0, 16_216_200.0, 34_459_425.0]))
}

/// Clamps `x` to `[-limit, limit]`; NaN stays NaN.
#[inline(always)]
fn clamp<S: Simd>(s: S, x: S::V, limit: f32) -> S::V {
    // `max` returns its second operand if one is NaN.
    let (low, zero) = (s.splat(-limit), s.splat(0.0));
    s.sub(zero, s.max(low, s.sub(zero, s.max(low, x))))
}

/// Computes `tanh x = 2 n d / (d^2 + n^2)`, where `n / d = tanh(x / 2)`. From 9 on the result is 1 to f32.
#[inline(always)]
pub(super) fn tanh<S: Simd>(s: S, x: S::V) -> S::V {
    let (n, d) = tanh_fraction(s, s.mul(s.splat(0.5), clamp(s, x, 9.0)));
    let product = s.mul(n, d);
    s.div(s.add(product, product), s.mul_add(n, n, s.mul(d, d)))
}

/// Computes `sigma(x) = (1 + tanh(x / 2)) / 2 = (d + n)^2 / 2 (d^2 + n^2)`, where `n / d = tanh(x / 4)`.
#[inline(always)]
pub(super) fn sigmoid<S: Simd>(s: S, x: S::V) -> S::V {
    let (n, d) = tanh_fraction(s, s.mul(s.splat(0.25), clamp(s, x, 18.0)));
    let (sum, squares) = (s.add(n, d), s.mul_add(n, n, s.mul(d, d)));
    s.div(s.mul(sum, sum), s.add(squares, squares))
}
