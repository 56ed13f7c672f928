//! Epsilon-greedy exploration and its annealing (section 8).

use super::ActorRng;
use rand::RngExt;

/// Epsilon falls linearly from 1 to `final_eps` over the first `anneal_steps` global steps, then stays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exploration {
    /// Final epsilon of this actor.
    pub final_eps: f32,
    /// Global agent steps until it gets there (4M frames = 1M steps in section 8).
    pub anneal_steps: u64,
}

impl Exploration {
    /// One action in twenty at random: how Mnih et al. (2015) evaluate; the paper does not say how it does.
    pub const EVALUATION: Exploration = Exploration { final_eps: 0.05, anneal_steps: 0 };

    /// An actor's own final epsilon: 0.1, 0.01 or 0.5 with probability 0.4, 0.3 and 0.3 (section 8).
    pub fn draw(anneal_steps: u64, rng: &mut ActorRng) -> Self {
        let u: f32 = rng.random();
        let final_eps = if u < 0.4 {
            0.1
        } else if u < 0.7 {
            0.01
        } else {
            0.5
        };
        Exploration { final_eps, anneal_steps }
    }

    /// Epsilon at global step `t`.
    pub fn explore_eps(&self, t: u64) -> f32 {
        if t >= self.anneal_steps {
            return self.final_eps;
        }
        1.0 - (1.0 - self.final_eps) * (t as f64 / self.anneal_steps as f64) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn epsilon_falls_linearly_and_stays() {
        let exploration = Exploration { final_eps: 0.1, anneal_steps: 1000 };
        assert_eq!(exploration.explore_eps(0), 1.0);
        assert!((exploration.explore_eps(500) - 0.55).abs() < 1e-6);
        assert_eq!(exploration.explore_eps(1000), 0.1);
        assert_eq!(exploration.explore_eps(u64::MAX), 0.1);
        assert_eq!(Exploration { final_eps: 0.5, anneal_steps: 0 }.explore_eps(0), 0.5);
    }

    #[test]
    fn final_epsilons_are_drawn_with_the_papers_probabilities() {
        let mut rng = ActorRng::seed_from_u64(3);
        let draws: Vec<f32> = (0..10_000).map(|_| Exploration::draw(1, &mut rng).final_eps).collect();
        for (eps, probability) in [(0.1, 0.4), (0.01, 0.3), (0.5, 0.3)] {
            let share = draws.iter().filter(|d| **d == eps).count() as f64 / 10_000.0;
            assert!((share - probability).abs() < 0.025, "{eps}: {share}"); // five standard deviations
        }
    }
}
