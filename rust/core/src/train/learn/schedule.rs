//! Learning-rate annealing.

/// eta at global step `t`: from `lr` linearly to 0 at `total_steps` ("annealed to 0 over the course of training", section 8).
pub fn annealed_lr(lr: f32, t: u64, total_steps: u64) -> f32 {
    let left = total_steps.saturating_sub(t) as f64 / total_steps.max(1) as f64;
    (f64::from(lr) * left) as f32
}

#[cfg(test)]
mod tests {
    use super::annealed_lr;

    #[test]
    fn the_learning_rate_falls_linearly_to_0_and_stays_there() {
        assert_eq!(annealed_lr(7e-4, 0, 80_000_000), 7e-4);
        assert!((annealed_lr(7e-4, 60_000_000, 80_000_000) - 1.75e-4).abs() < 1e-10);
        assert_eq!(annealed_lr(7e-4, 80_000_000, 80_000_000), 0.0);
        assert_eq!(annealed_lr(7e-4, 80_000_015, 80_000_000), 0.0);
        assert_eq!(annealed_lr(7e-4, 0, 0), 0.0);
    }
}
