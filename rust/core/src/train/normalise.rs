//! Running statistics of what actors see, and scaling by them: observations to mean 0 and variance 1 in each dimension, rewards by
//! the deviation of the discounted return.
//!
//! An actor sums up what it sees by itself and merges that with everyone's at each update. What it scales by stays as it is within a
//! segment, as theta' does. None of this is in the paper.

use super::config::RewardScale;
use serde::Serialize;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Scaled observations and rewards lie within this many deviations.
const LIMIT: f32 = 10.0;
/// Added to a variance: a dimension that never changes is not blown up.
const EPS: f64 = 1e-8;

/// Count, mean and sum of squared deviations from it, for each dimension (Chan, Golub and LeVeque, 1979).
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// How many vectors there were.
    pub count: f64,
    /// Their mean, `(dims)`.
    pub mean: Vec<f64>,
    /// The sum of squared deviations from the mean, `(dims)`.
    pub m2: Vec<f64>,
}

impl Moments {
    /// Of nothing yet.
    pub fn new(dims: usize) -> Self {
        Moments { count: 0.0, mean: vec![0.0; dims], m2: vec![0.0; dims] }
    }

    /// One vector more; one that is not finite is left out, its gradient will be refused.
    pub fn push(&mut self, x: &[f32]) {
        if x.iter().all(|x| x.is_finite()) {
            self.count += 1.0;
            for ((mean, m2), x) in self.mean.iter_mut().zip(&mut self.m2).zip(x) {
                let off = f64::from(*x) - *mean;
                *mean += off / self.count;
                *m2 += off * (f64::from(*x) - *mean);
            }
        }
    }

    /// All that `other` has seen, too.
    pub fn merge(&mut self, other: &Moments) {
        let count = self.count + other.count;
        if other.count > 0.0 {
            for i in 0..self.mean.len() {
                let off = other.mean[i] - self.mean[i];
                self.mean[i] += off * other.count / count;
                self.m2[i] += other.m2[i] + off * off * self.count * other.count / count;
            }
            self.count = count;
        }
    }

    /// By name, as a checkpoint has them.
    pub fn parts(&self) -> [(&'static str, &[f64]); 3] {
        [("count", std::slice::from_ref(&self.count)), ("mean", &self.mean), ("m2", &self.m2)]
    }

    fn clear(&mut self) {
        self.count = 0.0;
        self.mean.fill(0.0);
        self.m2.fill(0.0);
    }

    /// 1 / deviation in dimension `i`; 1 where too little was seen to know.
    fn inverse_deviation(&self, i: usize) -> f32 {
        if self.count < 2.0 { 1.0 } else { (1.0 / (self.m2[i] / self.count + EPS).sqrt()) as f32 }
    }
}

/// Everyone's statistics. An actor holds the lock for some hundred nanoseconds an update.
#[derive(Debug)]
pub struct SharedMoments(Mutex<Moments>);

impl SharedMoments {
    /// Going on from `moments`.
    pub fn new(moments: Moments) -> Self {
        SharedMoments(Mutex::new(moments))
    }

    fn lock(&self) -> MutexGuard<'_, Moments> {
        // Nothing that is done under the lock panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As they are now.
    pub fn get(&self) -> Moments {
        self.lock().clone()
    }
}

/// What observations are scaled by.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scale {
    mean: Vec<f32>,
    inverse_deviation: Vec<f32>,
    /// Scaled ones lie within so much of 0.
    limit: f32,
}

impl Scale {
    /// By what `moments` have come to.
    pub fn of(moments: &Moments) -> Self {
        let dims = moments.mean.len();
        let mut scale = Scale { mean: vec![0.0; dims], inverse_deviation: vec![1.0; dims], limit: LIMIT };
        scale.set(moments);
        scale
    }

    /// The length of the observations.
    pub fn dims(&self) -> usize {
        self.mean.len()
    }

    /// `(2, dims)`: the means, and the inverse deviations.
    pub fn to_vec(&self) -> Vec<f32> {
        [&self.mean[..], &self.inverse_deviation].concat()
    }

    /// From what [`Scale::to_vec`] gave.
    pub fn from_slice(rows: &[f32]) -> Self {
        let (mean, inverse_deviation) = rows.split_at(rows.len() / 2);
        Scale { mean: mean.to_vec(), inverse_deviation: inverse_deviation.to_vec(), limit: LIMIT }
    }

    /// Takes over another of the same length.
    pub fn copy(&mut self, other: &Scale) {
        self.mean.copy_from_slice(&other.mean);
        self.inverse_deviation.copy_from_slice(&other.inverse_deviation);
    }

    fn set(&mut self, moments: &Moments) {
        for (i, (mean, inverse)) in self.mean.iter_mut().zip(&mut self.inverse_deviation).enumerate() {
            (*mean, *inverse) = (moments.mean[i] as f32, moments.inverse_deviation(i));
        }
    }

    /// `x <- (x - mean) / deviation`, in place, within +-limit.
    pub fn apply(&self, x: &mut [f32]) {
        for ((x, mean), inverse) in x.iter_mut().zip(&self.mean).zip(&self.inverse_deviation) {
            *x = ((*x - mean) * inverse).clamp(-self.limit, self.limit);
        }
    }
}

/// One actor's view of the observations.
#[derive(Debug)]
pub struct ObsNormaliser<'a> {
    shared: &'a SharedMoments,
    own: Moments,
    scale: Scale,
}

impl<'a> ObsNormaliser<'a> {
    /// Scaling by `scale` until it has something to merge with `shared`.
    pub fn new(shared: &'a SharedMoments, scale: Scale) -> Self {
        ObsNormaliser { shared, own: Moments::new(scale.dims()), scale }
    }

    /// What it scales by.
    pub fn scale(&self) -> &Scale {
        &self.scale
    }

    /// Takes note of an observation, which the actor sees for the first time.
    pub fn note(&mut self, x: &[f32]) {
        self.own.push(x);
    }

    /// Scales an observation.
    pub fn apply(&self, x: &mut [f32]) {
        self.scale.apply(x);
    }

    /// Gives everyone what was noted since the last time, and scales by everyone's from now on.
    pub fn merge(&mut self) {
        let mut shared = self.shared.lock();
        shared.merge(&self.own);
        self.scale.set(&shared);
        self.own.clear();
    }
}

/// One actor's view of the rewards.
#[derive(Debug)]
pub struct RewardScaler<'a> {
    by: f32,
    gamma: f32,
    running: Option<(&'a SharedMoments, Moments)>,
    /// The discounted return of the episode so far.
    discounted: f32,
}

impl<'a> RewardScaler<'a> {
    /// From a discounted return and a factor on, which stays where there are no `shared` statistics.
    pub fn new(gamma: f32, [discounted, by]: [f32; 2], shared: Option<&'a SharedMoments>) -> Self {
        RewardScaler { by, gamma, running: shared.map(|shared| (shared, Moments::new(1))), discounted }
    }

    /// What multiplies rewards at first.
    pub fn first(scale: RewardScale, returns: Option<&Moments>) -> f32 {
        match scale {
            RewardScale::By(by) => by,
            RewardScale::Running(_) => returns.map_or(1.0, |returns| returns.inverse_deviation(0)),
        }
    }

    /// What [`RewardScaler::new`] goes on from.
    pub fn state(&self) -> [f32; 2] {
        [self.discounted, self.by]
    }

    /// The reward as it is learned from, before it is clipped.
    pub fn scaled(&mut self, reward: f32) -> f32 {
        if let Some((_, own)) = &mut self.running {
            self.discounted = self.gamma * self.discounted + reward;
            own.push(&[self.discounted]);
        }
        reward * self.by
    }

    /// An episode begins.
    pub fn reset(&mut self) {
        self.discounted = 0.0;
    }

    /// As [`ObsNormaliser::merge`].
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
    use super::super::config::Running;
    use super::*;
    use proptest::prelude::*;

    fn of(rows: &[[f32; 2]]) -> Moments {
        let mut moments = Moments::new(2);
        rows.iter().for_each(|row| moments.push(row));
        moments
    }

    /// Mean and mean squared deviation as the textbook has them.
    fn textbook(column: &[f64]) -> (f64, f64) {
        let mean = column.iter().sum::<f64>() / column.len() as f64;
        (mean, column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / column.len() as f64)
    }

    proptest! {
        #[test]
        fn merged_or_not_they_are_mean_and_variance(
            rows in prop::collection::vec([-5.0f32..5.0, 90.0f32..110.0], 2..60),
            cut in 0.0f64..1.0,
        ) {
            let (first, rest) = rows.split_at((cut * rows.len() as f64) as usize);
            let mut merged = of(first);
            merged.merge(&of(rest));
            for i in 0..2 {
                let column: Vec<f64> = rows.iter().map(|row| f64::from(row[i])).collect();
                let (mean, variance) = textbook(&column);
                for moments in [&of(&rows), &merged] {
                    prop_assert!((moments.mean[i] - mean).abs() < 1e-9 * mean.abs().max(1.0));
                    prop_assert!((moments.m2[i] / moments.count - variance).abs() < 1e-6 * variance.max(1.0));
                }
            }
        }
    }

    #[test]
    fn scaled_observations_have_mean_0_and_variance_1_and_stay_within_10_deviations() {
        let rows: Vec<[f32; 2]> = (0..1000).map(|i| [(i % 10) as f32, 7.0]).collect();
        let scale = Scale::of(&of(&rows));
        let scaled: Vec<f64> = rows
            .iter()
            .map(|row| {
                let mut row = *row;
                scale.apply(&mut row);
                assert_eq!(row[1], 0.0, "what never changes is 0");
                f64::from(row[0])
            })
            .collect();
        let (mean, variance) = textbook(&scaled);
        assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-5);
        let mut far = [1e9, 8.0];
        scale.apply(&mut far);
        assert_eq!(far, [10.0, 10.0]);
    }

    #[test]
    fn what_is_scaled_by_changes_at_a_merge_and_not_before() {
        let shared = SharedMoments::new(Moments::new(1));
        let new = || ObsNormaliser::new(&shared, Scale::of(&shared.get()));
        let (mut one, mut other) = (new(), new());
        let seen = |normaliser: &ObsNormaliser| {
            let mut x = [4.0];
            normaliser.apply(&mut x);
            x[0]
        };
        for x in [1.0, 2.0, 3.0, 6.0] {
            one.note(&[x]);
        }
        assert_eq!((seen(&one), seen(&other)), (4.0, 4.0));
        one.merge();
        assert!((seen(&one) - 1.0 / 3.5f32.sqrt()).abs() < 1e-6);
        assert_eq!(seen(&other), 4.0);
        other.merge();
        assert_eq!(seen(&other), seen(&one));
        assert_eq!(shared.get().count, 4.0);
    }

    #[test]
    fn an_observation_that_is_not_finite_spoils_nothing() {
        assert_eq!(of(&[[1.0, 2.0], [f32::NAN, 0.0], [3.0, f32::INFINITY]]), of(&[[1.0, 2.0]]));
    }

    #[test]
    fn running_rewards_are_divided_by_the_deviation_of_the_discounted_return() {
        let shared = SharedMoments::new(Moments::new(1));
        let first = RewardScaler::first(RewardScale::Running(Running::Running), Some(&shared.get()));
        let mut scaler = RewardScaler::new(0.5, [0.0, first], Some(&shared));
        assert_eq!(scaler.scaled(8.0), 8.0, "nothing is known yet");
        scaler.scaled(0.0);
        scaler.reset();
        scaler.scaled(2.0);
        scaler.merge();
        let (_, variance) = textbook(&[8.0, 4.0, 2.0]);
        assert!((f64::from(scaler.scaled(1.0)) - 1.0 / variance.sqrt()).abs() < 1e-6);
        let by = RewardScaler::first(RewardScale::By(0.25), None);
        let by_number = RewardScaler::new(0.5, [0.0, by], None).scaled(8.0);
        assert_eq!(by_number, 2.0);
    }
}
