//! A continuous action.

use std::ops::Deref;

/// An action has at most so many components: a fixed size, so that acting does not allocate.
pub const MAX_ACTION_DIMS: usize = 64;

/// A point in the policy's coordinates; what it stands for is the environment's business.
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
