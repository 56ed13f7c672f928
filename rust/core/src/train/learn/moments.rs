//! Running mean and variance of what actors observe. Not in the paper.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Added to a variance, so that a dimension that never changes is not scaled up.
const EPS: f64 = 1e-8;

/// Count, mean and sum of squared deviations from it, for each dimension (Chan, Golub and LeVeque, 1979).
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// Number of vectors.
    pub count: f64,
    /// Their mean, `(dims)`.
    pub mean: Vec<f64>,
    /// The sum of squared deviations from the mean, `(dims)`.
    pub m2: Vec<f64>,
}

impl Moments {
    /// Moments of no vector yet.
    pub fn new(dims: usize) -> Self {
        Moments { count: 0.0, mean: vec![0.0; dims], m2: vec![0.0; dims] }
    }

    /// Adds a vector; one that is not finite is left out, and its gradient will be refused.
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

    /// Adds the vectors of `other`.
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

    /// Parts by name, as a checkpoint has them.
    pub fn parts(&self) -> [(&'static str, &[f64]); 3] {
        [("count", std::slice::from_ref(&self.count)), ("mean", &self.mean), ("m2", &self.m2)]
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.count = 0.0;
        self.mean.fill(0.0);
        self.m2.fill(0.0);
    }

    /// 1 / deviation in dimension `i`; 1 where too little was seen to know.
    pub(super) fn inverse_deviation(&self, i: usize) -> f32 {
        if self.count < 2.0 { 1.0 } else { (1.0 / (self.m2[i] / self.count + EPS).sqrt()) as f32 }
    }
}

/// Statistics of all actors. An actor holds the lock for some hundred nanoseconds an update.
#[derive(Debug)]
pub struct SharedMoments(Mutex<Moments>);

impl SharedMoments {
    /// Statistics that go on from `moments`.
    pub fn new(moments: Moments) -> Self {
        SharedMoments(Mutex::new(moments))
    }

    /// The statistics, locked.
    pub(super) fn lock(&self) -> MutexGuard<'_, Moments> {
        // Nothing that is done under the lock panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of the statistics.
    pub fn get(&self) -> Moments {
        self.lock().clone()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub fn of(rows: &[[f32; 2]]) -> Moments {
        let mut moments = Moments::new(2);
        rows.iter().for_each(|row| moments.push(row));
        moments
    }

    /// Mean and mean squared deviation as the textbook has them.
    pub fn textbook(column: &[f64]) -> (f64, f64) {
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
    fn an_observation_that_is_not_finite_spoils_nothing() {
        assert_eq!(of(&[[1.0, 2.0], [f32::NAN, 0.0], [3.0, f32::INFINITY]]), of(&[[1.0, 2.0]]));
    }
}
