//! Normalisation of observed vectors to mean 0 and variance 1 in each dimension. Not in the paper.
//!
//! An actor gathers statistics by itself and merges them with everyone's at each update. The scale stays as it is within a segment,
//! as theta' does.

use super::moments::{Moments, SharedMoments};
use serde::Serialize;

/// Normalised observations lie within this many deviations.
const LIMIT: f32 = 10.0;

/// Mean and inverse deviation by which observations are normalised.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scale {
    mean: Vec<f32>,
    inverse_deviation: Vec<f32>,
    /// Largest magnitude of a normalised observation.
    limit: f32,
}

impl Scale {
    /// The scale that follows from `moments`.
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

    /// Scale with the values of [`Scale::to_vec`].
    pub fn from_slice(rows: &[f32]) -> Self {
        let (mean, inverse_deviation) = rows.split_at(rows.len() / 2);
        Scale { mean: mean.to_vec(), inverse_deviation: inverse_deviation.to_vec(), limit: LIMIT }
    }

    /// Copies another scale of the same length.
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

/// One actor's normalisation of observations.
#[derive(Debug)]
pub struct ObsNormaliser<'a> {
    shared: &'a SharedMoments,
    own: Moments,
    scale: Scale,
}

impl<'a> ObsNormaliser<'a> {
    /// Normaliser by `scale` until the first merge with `shared`.
    pub fn new(shared: &'a SharedMoments, scale: Scale) -> Self {
        ObsNormaliser { shared, own: Moments::new(scale.dims()), scale }
    }

    /// The scale.
    pub fn scale(&self) -> &Scale {
        &self.scale
    }

    /// Adds an observation that the actor sees for the first time to its statistics.
    pub fn note(&mut self, x: &[f32]) {
        self.own.push(x);
    }

    /// Scales an observation.
    pub fn apply(&self, x: &mut [f32]) {
        self.scale.apply(x);
    }

    /// Merges the statistics since the last time with everyone's, by which observations are scaled from now on.
    pub fn merge(&mut self) {
        let mut shared = self.shared.lock();
        shared.merge(&self.own);
        self.scale.set(&shared);
        self.own.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::moments::tests::{of, textbook};
    use super::*;

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
}
