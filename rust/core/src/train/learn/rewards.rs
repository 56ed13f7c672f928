//! Rewards as they are learned from: scaled by a number or by the deviation of the discounted return, then clipped.

use super::moments::{Moments, SharedMoments};
use super::rollout::Rollout;
use crate::env::Step;
use crate::train::config::RewardScale;

/// One actor's scaling of rewards.
#[derive(Debug)]
pub struct RewardScaler<'a> {
    by: f32,
    /// Rewards are clipped to `[-clip, clip]`; 0 is no clipping.
    clip: f32,
    gamma: f32,
    running: Option<(&'a SharedMoments, Moments)>,
    /// The discounted return of the episode so far.
    discounted: f32,
}

impl<'a> RewardScaler<'a> {
    /// A scaler that goes on from a discounted return and a factor, which stays the same without `shared` statistics.
    pub fn new(gamma: f32, clip: f32, [discounted, by]: [f32; 2], shared: Option<&'a SharedMoments>) -> Self {
        RewardScaler { by, clip, gamma, running: shared.map(|shared| (shared, Moments::new(1))), discounted }
    }

    /// The factor that multiplies rewards at first.
    pub fn first(scale: RewardScale, returns: Option<&Moments>) -> f32 {
        match scale {
            RewardScale::By(by) => by,
            RewardScale::Running(_) => returns.map_or(1.0, |returns| returns.inverse_deviation(0)),
        }
    }

    /// The state from which [`RewardScaler::new`] goes on.
    pub fn state(&self) -> [f32; 2] {
        [self.discounted, self.by]
    }

    /// Adds the result of a step to `rollout`, which has the observations before and after it, with the reward that is learned
    /// from.
    pub fn push(&mut self, step: Step, rollout: &mut Rollout) {
        let reward = self.learned(step.reward);
        rollout.push(step, reward);
    }

    /// The reward as it is learned from: scaled, then clipped.
    fn learned(&mut self, reward: f32) -> f32 {
        let reward = self.scaled(reward);
        match self.clip {
            0.0 => reward,
            limit => reward.clamp(-limit, limit),
        }
    }

    /// The reward before it is clipped.
    fn scaled(&mut self, reward: f32) -> f32 {
        if let Some((_, own)) = &mut self.running {
            self.discounted = self.gamma * self.discounted + reward;
            own.push(&[self.discounted]);
        }
        reward * self.by
    }

    /// Begins an episode.
    pub fn reset(&mut self) {
        self.discounted = 0.0;
    }

    /// Merges the returns since the last time with everyone's, whose deviation rewards are divided by from now on.
    pub fn merge(&mut self) {
        if let Some((shared, own)) = &mut self.running {
            let mut shared = shared.lock();
            shared.merge(own);
            self.by = shared.inverse_deviation(0);
            own.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::moments::tests::textbook;
    use super::*;
    use crate::train::config::Running;

    #[test]
    fn running_rewards_are_divided_by_the_deviation_of_the_discounted_return() {
        let shared = SharedMoments::new(Moments::new(1));
        let first = RewardScaler::first(RewardScale::Running(Running::Running), Some(&shared.get()));
        let mut scaler = RewardScaler::new(0.5, 0.0, [0.0, first], Some(&shared));
        assert_eq!(scaler.scaled(8.0), 8.0, "nothing is known yet");
        scaler.scaled(0.0);
        scaler.reset();
        scaler.scaled(2.0);
        scaler.merge();
        let (_, variance) = textbook(&[8.0, 4.0, 2.0]);
        assert!((f64::from(scaler.scaled(1.0)) - 1.0 / variance.sqrt()).abs() < 1e-6);
        let by = RewardScaler::first(RewardScale::By(0.25), None);
        let by_number = RewardScaler::new(0.5, 0.0, [0.0, by], None).scaled(8.0);
        assert_eq!(by_number, 2.0);
    }

    #[test]
    fn rewards_are_clipped_after_they_are_scaled() {
        let mut scaler = RewardScaler::new(0.5, 1.0, [0.0, 0.25], None);
        assert_eq!([2.0, 8.0, -8.0].map(|reward| scaler.learned(reward)), [0.5, 1.0, -1.0]);
    }
}
