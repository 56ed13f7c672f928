//! Actions: a choice among several, or a vector.

use super::ActorRng;
use super::method::{Form, Row};
use rand::RngExt;
use std::ops::Deref;

/// Most components that an action can have: a fixed size, so that acting does not allocate.
pub const MAX_ACTION_DIMS: usize = 64;

/// A kind of action.
pub trait Action: Copy + Send + 'static {
    /// The form of a method for actions of this kind.
    fn form(row: &Row) -> Option<&Form<Self>>;
    /// A random action, uniform among `size` choices or in the cube of `size` dimensions.
    fn random(size: usize, rng: &mut ActorRng) -> Self;
    /// Writes the action as numbers into a row of as many as an action of this kind has.
    fn write(&self, row: &mut [f32]);
    /// Reads an action from such a row.
    fn read(row: &[f32]) -> Self;
}

impl Action for usize {
    fn form(row: &Row) -> Option<&Form<usize>> {
        Some(&row.discrete)
    }

    fn random(size: usize, rng: &mut ActorRng) -> usize {
        rng.random_range(0..size)
    }

    fn write(&self, row: &mut [f32]) {
        row[0] = *self as f32; // exact up to 2^24, of which `TrainConfig::check` allows no more
    }

    fn read(row: &[f32]) -> usize {
        row[0] as usize
    }
}

impl Action for ActionVector {
    fn form(row: &Row) -> Option<&Form<ActionVector>> {
        row.continuous.as_ref()
    }

    fn random(size: usize, rng: &mut ActorRng) -> ActionVector {
        ActionVector::from_fn(size, |_| rng.random_range(-1.0..1.0))
    }

    fn write(&self, row: &mut [f32]) {
        row.copy_from_slice(self);
    }

    fn read(row: &[f32]) -> ActionVector {
        ActionVector::from_fn(row.len(), |i| row[i])
    }
}

/// A continuous action in the policy's coordinates; the environment scales it to its own range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ActionVector {
    values: [f32; MAX_ACTION_DIMS],
    dims: usize,
}

impl ActionVector {
    /// An action whose component `i` is `component(i)`.
    ///
    /// # Panics
    /// If there are more than [`MAX_ACTION_DIMS`].
    pub fn from_fn(dims: usize, mut component: impl FnMut(usize) -> f32) -> Self {
        let mut values = [0.0; MAX_ACTION_DIMS];
        values[..dims].iter_mut().enumerate().for_each(|(i, value)| *value = component(i));
        ActionVector { values, dims }
    }
}

impl Deref for ActionVector {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[..self.dims]
    }
}
