//! Schedule of the learning rate.

use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// Way in which the learning rate falls over a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LrSchedule {
    /// Linearly to 0: "annealed to 0 over the course of training" (section 8).
    Linear,
    /// Not at all.
    Constant,
    /// Along half a cosine to 0 (Loshchilov and Hutter 2017).
    Cosine,
}

/// eta at global step `t` of `total_steps`. Over the first `warmup_steps` it rises linearly from 0 to what the schedule says.
pub fn lr_at(lr: f32, schedule: LrSchedule, warmup_steps: u64, t: u64, total_steps: u64) -> f32 {
    let left = total_steps.saturating_sub(t) as f64 / total_steps.max(1) as f64;
    let by = match schedule {
        LrSchedule::Linear => left,
        LrSchedule::Constant => 1.0,
        LrSchedule::Cosine => 0.5 * (1.0 + (PI * (1.0 - left)).cos()),
    };
    let warmup = if t < warmup_steps { t as f64 / warmup_steps as f64 } else { 1.0 };
    (f64::from(lr) * by * warmup) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_rate_falls_to_0_and_stays_there() {
        let at = |t, total| lr_at(7e-4, LrSchedule::Linear, 0, t, total);
        assert_eq!(at(0, 80_000_000), 7e-4);
        assert!((at(60_000_000, 80_000_000) - 1.75e-4).abs() < 1e-10);
        assert_eq!([at(80_000_000, 80_000_000), at(80_000_015, 80_000_000), at(0, 0)], [0.0; 3]);
    }

    #[test]
    fn a_constant_rate_stays_and_a_cosine_falls_slowly_at_both_ends() {
        assert_eq!([0, 500, 1000].map(|t| lr_at(0.5, LrSchedule::Constant, 0, t, 1000)), [0.5; 3]);
        let cosine = [0, 100, 500, 900, 1000].map(|t| lr_at(1.0, LrSchedule::Cosine, 0, t, 1000));
        let expected = [1.0, 0.975_528, 0.5, 0.024_472, 0.0];
        assert!(cosine.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{cosine:?}");
    }

    #[test]
    fn a_warm_up_rises_to_the_schedule() {
        let at = |t| lr_at(1.0, LrSchedule::Constant, 100, t, 1000);
        assert_eq!([0, 25, 100, 900].map(at), [0.0, 0.25, 1.0, 1.0]);
    }
}
