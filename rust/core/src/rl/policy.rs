//! The softmax policy over discrete actions.

use super::ActorRng;
use num_traits::Float;
use rand::RngExt;

/// The index of the largest value; the first of equals.
pub fn argmax<T: PartialOrd>(values: &[T]) -> usize {
    (1..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

/// `log sum_k exp(logits_k)`, safe against overflow.
pub fn log_sum_exp<T: Float>(logits: &[T]) -> T {
    let max = logits.iter().fold(T::neg_infinity(), |m, &x| m.max(x));
    let sum = logits.iter().fold(T::zero(), |s, &x| s + (x - max).exp());
    max + sum.ln()
}

/// The entropy `H = -sum_k pi_k log pi_k` in nats.
pub fn entropy<T: Float>(logits: &[T]) -> T {
    let log_z = log_sum_exp(logits);
    logits.iter().fold(T::zero(), |h, &x| h - (x - log_z).exp() * (x - log_z))
}

/// Draws an action from the softmax of `logits`.
///
/// A logit of minus infinity is never drawn. NaN logits give some action; the gradient they lead to is refused later.
pub fn sample(logits: &[f32], rng: &mut ActorRng) -> usize {
    let log_z = log_sum_exp(logits);
    let mut u: f32 = rng.random();
    for (action, &logit) in logits.iter().enumerate() {
        u -= (logit - log_z).exp();
        if u < 0.0 {
            return action;
        }
    }
    argmax(logits) // rounding left a crumb of probability
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn samples_come_in_proportion_to_the_softmax() {
        let logits = [0.0f32, 2f32.ln(), 5f32.ln()];
        let mut rng = ActorRng::seed_from_u64(1);
        let mut counts = [0usize; 3];
        for _ in 0..80_000 {
            counts[sample(&logits, &mut rng)] += 1;
        }
        for (count, expected) in counts.iter().zip([10_000.0, 20_000.0, 50_000.0]) {
            // five standard deviations of a binomial count
            let sd = (expected * (1.0 - expected / 80_000.0_f64)).sqrt();
            assert!((*count as f64 - expected).abs() < 5.0 * sd, "{counts:?}");
        }
    }

    #[test]
    fn large_logits_do_not_overflow() {
        let logits = [1000.0f32, 999.0, -1000.0];
        assert!((log_sum_exp(&logits) - (1000.0 + (1.0 + (-1f32).exp()).ln())).abs() < 1e-3);
        assert!(entropy(&logits).is_finite());
    }

    #[test]
    fn entropy_of_equal_logits_is_log_n() {
        assert!((entropy(&[7.0f64; 6]) - 6f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn argmax_takes_the_first_of_equals() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
    }
}
