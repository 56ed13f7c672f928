//! Random images of which much stays the same from step to step.

use a3crs_core::kernel::changes::changed_windows;
use a3crs_core::kernel::conv2d::{Conv2dShape, Site};
use rand::RngExt;
use rand_xoshiro::Xoshiro256PlusPlus;

/// Pixels of an image that keep their value from step to step within a segment.
pub struct Still {
    pixels: usize,
    /// Changes, `(steps, pixels)`; 0 where a pixel is equal to that of the step before.
    changed: Vec<u8>,
    /// Start of the run of each pixel, in the form that kernels take.
    pub start: Vec<u32>,
}

impl Still {
    pub fn new(steps: usize, pixels: usize, still: f64, rng: &mut Xoshiro256PlusPlus) -> Still {
        let changed = (0..steps * pixels).map(|i| u8::from(i < pixels || !rng.random_bool(still))).collect();
        Self::of(pixels, changed)
    }

    fn of(pixels: usize, changed: Vec<u8>) -> Still {
        let mut start = vec![0; changed.len()];
        for i in 0..changed.len() {
            start[i] = if changed[i] != 0 { i as u32 } else { start[i - pixels] };
        }
        Still { pixels, changed, start }
    }

    /// Returns the same for the outputs of a convolution.
    pub fn windows(&self, s: &Conv2dShape) -> Still {
        let mut windows = vec![9; self.changed.len() / self.pixels * s.positions()];
        for (changed, windows) in self.changed.chunks(self.pixels).zip(windows.chunks_mut(s.positions())) {
            changed_windows(s, changed, windows);
        }
        windows[..s.positions()].fill(1);
        Self::of(s.positions(), windows)
    }

    pub fn sites(&self, s: &Conv2dShape) -> Vec<Site> {
        let all = (0..self.changed.len() / self.pixels).flat_map(|n| s.sites(n));
        all.filter(|site| self.changed[site.output as usize] != 0).collect()
    }

    /// Copies the first value of each run to the rest of the run.
    pub fn hold(&self, x: &mut [f32]) {
        let channels = x.len() / self.start.len();
        for (pixel, start) in self.start.iter().enumerate() {
            x.copy_within(*start as usize * channels..(*start as usize + 1) * channels, pixel * channels);
        }
    }

    /// Returns the sums over each run, at its start; elsewhere `rest`.
    pub fn sums(&self, x: &[f64], rest: f64) -> Vec<f64> {
        let channels = x.len() / self.start.len();
        let mut sums = vec![rest; x.len()];
        for (i, x) in x.iter().enumerate() {
            let start = self.start[i / channels] as usize;
            let sum = &mut sums[start * channels + i % channels];
            *sum = if start == i / channels { *x } else { *sum + x };
        }
        sums
    }
}

/// Returns the values of `x` that start a run.
pub fn at_starts<T: Copy>(still: &Still, x: &[T]) -> Vec<T> {
    let channels = x.len() / still.start.len();
    let is_start = |i: &usize| still.start[i / channels] as usize == i / channels;
    (0..x.len()).filter(is_start).map(|i| x[i]).collect()
}
