//! Runs of equal outputs within a segment.
//!
//! From one step to the next most of a screen stays the same, and theta' stays the same within a segment. Most outputs
//! of the convolutions therefore repeat those of the step before. They are copied instead of computed, which is exact
//! to the bit.
//!
//! In the backward pass an output that stays the same over a *run* of steps contributes to a parameter's gradient only
//! through the sum of its own gradient over the run. The layers pass down one such sum per run instead of one gradient
//! per step.

use crate::kernel::changes::{changed_windows, ones};
use crate::kernel::conv2d::{Conv2dShape, Site};

/// Runs of a layer's outputs, position by position. A position is a pixel with its channels, or a whole vector.
#[derive(Debug)]
pub(super) struct Runs {
    positions: usize,
    /// Positions at which the last slot differs from the one before, `(positions)`.
    pub changed: Vec<u8>,
    /// First position of the run for each slot and position, counted over all slots, `(slots, positions)`.
    start: Vec<u32>,
    /// Positions of a convolution that start a run, slot by slot.
    sites: Vec<Site>,
    /// Number of such positions up to each slot.
    ends: Vec<usize>,
}

impl Runs {
    /// Creates runs for `slots` steps of outputs with `positions` positions each.
    pub fn new(positions: usize, slots: usize) -> Self {
        let start = (0..(slots * positions) as u32).collect();
        Runs { positions, changed: vec![1; positions], start, sites: Vec::new(), ends: vec![0; slots] }
    }

    /// Creates runs for the outputs of a convolution, with room for its sites.
    pub fn of_convolution(shape: &Conv2dShape, slots: usize) -> Self {
        let sites = Vec::with_capacity(slots * shape.positions());
        Runs { sites, ..Self::new(shape.positions(), slots) }
    }

    /// Returns the number of positions.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// Returns the first position of the run for each position of the first `n` slots, counted over all slots, `(n,
    /// positions)`.
    pub fn start(&self, n: usize) -> &[u32] {
        &self.start[..n * self.positions]
    }

    /// Returns the sites of a convolution that start a run in the first `n` slots.
    pub fn sites(&self, n: usize) -> &[Site] {
        &self.sites[..self.ends[n - 1]]
    }

    /// Returns the sites of a convolution that start a run in `slot`.
    pub fn sites_of(&self, slot: usize) -> &[Site] {
        let first = if slot == 0 { 0 } else { self.ends[slot - 1] };
        &self.sites[first..self.ends[slot]]
    }

    /// Marks the outputs of a convolution that are new in `slot`: those whose windows contain a pixel that has
    /// `changed`. `image` is the index of the input image that holds the windows.
    pub fn of_windows(&mut self, shape: &Conv2dShape, slot: usize, changed: &[u8], image: usize) {
        match slot {
            0 => self.changed.fill(1),
            _ => changed_windows(shape, changed, &mut self.changed),
        }
        self.start_runs(slot);
        self.sites.truncate(if slot == 0 { 0 } else { self.ends[slot - 1] });
        self.sites.extend(ones(&self.changed).map(|output| shape.site(image, slot, output)));
        self.ends[slot] = self.sites.len();
    }

    /// Marks the outputs of a sum that are new in `slot`: those with a term that has `changed`.
    pub fn of_terms<'a>(&mut self, slot: usize, terms: impl Iterator<Item = &'a [u8]>) {
        self.changed.fill(u8::from(slot == 0));
        for changed in terms {
            self.changed.iter_mut().zip(changed).for_each(|(any, changed)| *any |= changed);
        }
        self.start_runs(slot);
    }

    /// Starts a run where `slot` has changed; elsewhere continues the run of the slot before.
    fn start_runs(&mut self, slot: usize) {
        let first = slot * self.positions;
        if slot > 0 {
            self.start.copy_within(first - self.positions..first, first);
        }
        for output in ones(&self.changed) {
            self.start[first + output] = (first + output) as u32;
        }
    }

    /// Returns the positions of the first `n` slots that start a run, counted over all slots.
    fn starts(&self, n: usize) -> impl Iterator<Item = usize> {
        self.start(n).iter().enumerate().filter(|(position, start)| *position == **start as usize).map(|(p, _)| p)
    }

    /// Adds `from` to `to` where a run starts. This sums the gradients of outputs that several layers read.
    pub fn add(&self, n: usize, from: &[f32], to: &mut [f32]) {
        let channels = from.len() / (n * self.positions);
        for position in self.starts(n) {
            let own = position * channels..(position + 1) * channels;
            to[own.clone()].iter_mut().zip(&from[own]).for_each(|(to, from)| *to += from);
        }
    }

    /// Overwrites `dx` with the sum of `dy` over each run of these outputs, at its start. These outputs are a term of
    /// the outputs of `sum`, and `dy` is valid where a run of `sum` starts.
    pub fn gather(&self, n: usize, sum: &Runs, dy: &[f32], dx: &mut [f32]) {
        let channels = dx.len() / (n * self.positions);
        let of = |position: usize| position * channels..(position + 1) * channels;
        self.starts(n).for_each(|position| dx[of(position)].fill(0.0));
        for position in sum.starts(n) {
            let dx = &mut dx[of(self.start[position] as usize)];
            dx.iter_mut().zip(&dy[of(position)]).for_each(|(dx, dy)| *dx += dy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Conv2dShape = Conv2dShape { in_h: 4, in_w: 6, in_c: 1, out_c: 16, kernel: 2, stride: 2 };

    fn outputs(sites: &[Site]) -> Vec<u32> {
        sites.iter().map(|site| site.output).collect()
    }

    #[test]
    fn a_run_goes_on_until_something_in_its_window_changes() {
        let mut windows = Runs::of_convolution(&SHAPE, 3);
        let mut changed = [[0; 24]; 3];
        (changed[1][6 * 3 + 5], changed[2][6 * 3 + 5]) = (1, 1); // in the last window, and changed back again
        for _ in 0..2 {
            for (slot, changed) in changed.iter().enumerate() {
                windows.of_windows(&SHAPE, slot, changed, slot);
            }
        }
        assert_eq!(outputs(windows.sites(3)), [0, 1, 2, 3, 4, 5, 11, 17]);
        assert_eq!(outputs(windows.sites_of(0)), [0, 1, 2, 3, 4, 5]);
        assert_eq!(outputs(windows.sites_of(2)), [17]);
        assert_eq!(windows.start(3), [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 11, 0, 1, 2, 3, 4, 17]);
        assert_eq!(windows.sites_of(1)[0], Site { window: 24 + 6 * 2 + 4, output: 11 });
    }

    #[test]
    fn a_vector_is_one_position_that_is_new_in_every_slot() {
        assert_eq!(Runs::new(1, 3).start(3), [0, 1, 2]);
    }
}
