//! Initial values of theta.

use super::layout::{Layout, Param};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

/// Gain behind the layers with an activation (He et al. 2015).
const HIDDEN_GAIN: f32 = std::f32::consts::SQRT_2;

/// Rule by which theta is initialised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Init {
    /// Torch's: weights and biases from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), where all of an LSTM's count its cells as their
    /// fan_in.
    Torch,
    /// Orthogonal weights (Saxe et al. 2014), biases of 0.
    Orthogonal,
}

impl Layout {
    /// Returns an initial theta; padding and constants are 0. `gain` is that of the orthogonal weights of outputs, by their name;
    /// none for hidden layers, whose gain is sqrt(2), that of LSTM cells 1.
    pub fn init(&self, init: Init, gain: impl Fn(&str) -> Option<f32>, rng: &mut impl Rng) -> Vec<f32> {
        let mut theta = vec![0.0; self.len()];
        for param in self.params.iter().filter(|param| param.is_drawn()) {
            let values = match init {
                Init::Torch => {
                    let bound = 1.0 / (param.fan_in() as f32).sqrt();
                    (0..param.len()).map(|_| rng.random_range(-bound..bound)).collect()
                }
                Init::Orthogonal if param.shape.len() == 1 => vec![0.0; param.len()],
                Init::Orthogonal => orthogonal(param, gain(&param.name).unwrap_or(HIDDEN_GAIN), rng),
            };
            param.import(&values, &mut theta);
        }
        theta
    }
}

/// Draws a matrix `(out, the other dimensions)` whose rows, or whose columns where these are fewer, are orthogonal and of length
/// `gain`: Gaussian vectors, made orthogonal one after the other.
fn orthogonal(param: &Param, gain: f32, rng: &mut impl Rng) -> Vec<f32> {
    let rows = param.shape[0];
    let columns = param.len() / rows;
    let (few, long) = (rows.min(columns), rows.max(columns));
    let mut vectors: Vec<Vec<f64>> = Vec::with_capacity(few);
    while vectors.len() < few {
        let mut v: Vec<f64> = (0..long).map(|_| rng.sample(StandardNormal)).collect();
        for _ in 0..2 {
            // Twice: after the first time a rounding is left.
            for other in &vectors {
                let along: f64 = v.iter().zip(other).map(|(a, b)| a * b).sum();
                v.iter_mut().zip(other).for_each(|(v, other)| *v -= along * other);
            }
        }
        let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        if norm > 1e-6 {
            v.iter_mut().for_each(|x| *x /= norm);
            vectors.push(v);
        }
    }
    let at = |row: usize, column: usize| if rows <= columns { vectors[row][column] } else { vectors[column][row] };
    (0..rows * columns).map(|i| gain * at(i / columns, i % columns) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::layout::Columns;
    use crate::rl::ActorRng;
    use rand::SeedableRng;

    fn layout() -> Layout {
        let mut layout = Layout::default();
        layout.conv2d("conv1", 3, 4, 5);
        let heads = [Columns { name: "policy", outputs: 3 }, Columns { name: "value", outputs: 1 }];
        layout.linear(6 * 5, 6 * 5, 5, &heads);
        layout.lstm("lstm", 5, 8, 1, 16);
        layout
    }

    #[test]
    fn torchs_rule_is_that_of_the_fan_in_and_leaves_the_padding_zero() {
        let layout = layout();
        let theta = layout.init(Init::Torch, |_| None, &mut ActorRng::seed_from_u64(1));
        let conv = layout.params[0].export(&theta);
        let bound = 1.0 / (3.0 * 3.0 * 4.0f32).sqrt();
        assert!(conv.iter().all(|w| w.abs() <= bound) && conv.iter().any(|w| w.abs() > 0.9 * bound));
        let mean = conv.iter().sum::<f32>() / conv.len() as f32;
        let variance = conv.iter().map(|w| w * w).sum::<f32>() / conv.len() as f32;
        assert!(mean.abs() < 0.2 * bound && (variance / (bound * bound / 3.0) - 1.0).abs() < 0.3);
        assert_eq!(theta.iter().filter(|w| **w != 0.0).count(), layout.num_params());
    }

    #[test]
    fn orthogonal_weights_are_orthogonal_and_as_long_as_their_gain() {
        let layout = layout();
        let gain = |name: &str| (name == "policy.weight").then_some(0.01);
        let theta = layout.init(Init::Orthogonal, gain, &mut ActorRng::seed_from_u64(1));
        for (name, gain, is_tall) in [
            ("conv1.weight", HIDDEN_GAIN, false),
            ("policy.weight", 0.01, false),
            ("value.weight", HIDDEN_GAIN, false),
            ("lstm.weight_ih", HIDDEN_GAIN, true),
        ] {
            let param = layout.params.iter().find(|param| param.name == name).unwrap();
            let (values, rows) = (param.export(&theta), param.shape[0]);
            let columns = values.len() / rows;
            let (count, long) = if is_tall { (columns, rows) } else { (rows, columns) };
            let at =
                |vector: usize, k: usize| values[if is_tall { k * columns + vector } else { vector * columns + k }];
            for (a, b) in (0..count).flat_map(|a| (0..=a).map(move |b| (a, b))) {
                let product: f32 = (0..long).map(|k| at(a, k) * at(b, k)).sum();
                let expected = if a == b { gain * gain } else { 0.0 };
                assert!((product - expected).abs() < 1e-5 * gain * gain, "{name} {a} {b}: {product}");
            }
        }
        let is_bias = |param: &&Param| param.shape.len() == 1;
        assert!(layout.params.iter().filter(is_bias).all(|bias| bias.export(&theta).iter().all(|b| *b == 0.0)));
    }
}
