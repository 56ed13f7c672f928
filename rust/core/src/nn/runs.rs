//! What a segment's steps share.
//!
//! From one step to the next most of a screen stays as it is, and theta' stays as it is within a segment. So most outputs of the
//! convolutions repeat those of the step before: they are copied, not computed, and nothing is lost by it, not even a rounding.
//! Backwards, what a parameter's gradient needs of an output that stays the same over a *run* of steps is the sum of its gradient
//! over the run: the layers pass down one such sum a run instead of a gradient a step.

use crate::kernel::changes::{changed_windows, ones};
use crate::kernel::conv2d::{Conv2dShape, Site};

/// The runs of a layer's outputs, position by position; a position is a pixel with its channels, or a whole vector.
#[derive(Debug)]
pub(super) struct Runs {
    positions: usize,
    /// Where the last slot differs from the one before, `(positions)`.
    pub changed: Vec<u8>,
    /// For each slot and position the first of its run, counted through, `(slots, positions)`.
    start: Vec<u32>,
    /// Positions of a convolution that start a run, slot by slot.
    sites: Vec<Site>,
    /// Number of such positions up to each slot.
    ends: Vec<usize>,
}

impl Runs {
    /// For `slots` steps of outputs with so many positions.
    pub fn new(positions: usize, slots: usize) -> Self {
        let start = (0..(slots * positions) as u32).collect();
        Runs { positions, changed: vec![1; positions], start, sites: Vec::new(), ends: vec![0; slots] }
    }

    /// The same with room for the sites of a convolution.
    pub fn of_convolution(shape: &Conv2dShape, slots: usize) -> Self {
        let sites = Vec::with_capacity(slots * shape.positions());
        Runs { sites, ..Self::new(shape.positions(), slots) }
    }

    /// Number of positions.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// For each position of the first `n` slots the first of its run, counted through, `(n, positions)`.
    pub fn start(&self, n: usize) -> &[u32] {
        &self.start[..n * self.positions]
    }

    /// The sites of a convolution that start a run in the first `n` slots.
    pub fn sites(&self, n: usize) -> &[Site] {
        &self.sites[..self.ends[n - 1]]
    }

    /// The sites of a convolution that start a run in `slot`.
    pub fn sites_of(&self, slot: usize) -> &[Site] {
        let first = if slot == 0 { 0 } else { self.ends[slot - 1] };
        &self.sites[first..self.ends[slot]]
    }

    /// Notes which outputs of a convolution are new in `slot`: those whose windows see something that has `changed` below. `image`
    /// is the number of the input image that the windows lie in.
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

    /// Notes which outputs of a sum are new in `slot`: those of which a term has `changed`.
    pub fn of_terms<'a>(&mut self, slot: usize, terms: impl Iterator<Item = &'a [u8]>) {
        self.changed.fill(u8::from(slot == 0));
        for changed in terms {
            self.changed.iter_mut().zip(changed).for_each(|(any, changed)| *any |= changed);
        }
        self.start_runs(slot);
    }

    /// Starts a run where `slot` has changed; elsewhere that of the slot before goes on.
    fn start_runs(&mut self, slot: usize) {
        let first = slot * self.positions;
        if slot > 0 {
            self.start.copy_within(first - self.positions..first, first);
        }
        for output in ones(&self.changed) {
            self.start[first + output] = (first + output) as u32;
        }
    }

    /// Positions of the first `n` slots that start a run, counted through.
    fn starts(&self, n: usize) -> impl Iterator<Item = usize> {
        self.start(n).iter().enumerate().filter(|(position, start)| *position == **start as usize).map(|(p, _)| p)
    }

    /// Adds `from` to `to` where a run starts: gradients of outputs that several layers read.
    pub fn add(&self, n: usize, from: &[f32], to: &mut [f32]) {
        let channels = from.len() / (n * self.positions);
        for position in self.starts(n) {
            let own = position * channels..(position + 1) * channels;
            to[own.clone()].iter_mut().zip(&from[own]).for_each(|(to, from)| *to += from);
        }
    }

    /// Overwrites `dx` with the sum of `dy` over each run of these outputs, at its start. `dy` counts where a run of `sum` starts,
    /// the outputs that these are a term of.
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
