//! The data of one segment, a slot a step: everything from theta' to the returns lies here.

use crate::env::{End, Step};
use crate::nn::{Network, Observations, Tape, Workspace};
use crate::rl::Action;
use crate::shared::LocalCopy;

/// Up to t_max steps of one actor, allocated once. Actors use it in turn; what outlives a segment is in
/// [`super::ActorLearner`].
#[derive(Debug)]
pub struct Segment {
    /// theta', fixed while the actor acts, and theta_target where the method reads it.
    pub copy: LocalCopy,
    /// s_t, and one slot for the state after the last step.
    pub obs: Observations,
    /// Activations under theta'.
    pub tape: Tape,
    /// Activations under theta_target, where the method reads it.
    pub target_tape: Option<Tape>,
    /// Memory of the backward pass, and d_theta.
    pub workspace: Workspace,
    /// Results of the steps: rewards as the environment gave them.
    pub steps: Vec<Step>,
    /// r_t, scaled and clipped.
    pub rewards: Vec<f32>,
    /// `v_{t+1}`
    pub v_next: Vec<f32>,
    /// `lambda_{t+1}`
    pub lambda: Vec<f32>,
    /// G_t
    pub g: Vec<f32>,
    /// The seed with which the environment was reset before the first step, if it was.
    pub reset: Option<Option<u64>>,
    /// End of the episode, if the last step ended it.
    pub end: End,
    t_max: usize,
    /// a_t as numbers, `(t_max, action_width)`.
    actions: Vec<f32>,
    action_width: usize,
    /// The `y` under which a_t was taken, `(t_max, outputs)`.
    acted: Vec<f32>,
    outputs: usize,
}

impl Segment {
    /// Memory for segments of up to `t_max` steps with actions of `action_width` numbers.
    pub fn new(net: &Network, t_max: usize, action_width: usize, with_target: bool) -> Self {
        Segment {
            copy: LocalCopy::new(net.layout().len(), with_target),
            obs: Observations::new(net.input(), t_max + 1),
            tape: net.tape(t_max + 1),
            target_tape: with_target.then(|| net.tape(t_max)),
            workspace: net.workspace(t_max),
            steps: Vec::with_capacity(t_max),
            rewards: Vec::with_capacity(t_max),
            v_next: vec![0.0; t_max],
            lambda: vec![0.0; t_max],
            g: vec![0.0; t_max],
            reset: None,
            end: End::No,
            t_max,
            actions: vec![0.0; t_max * action_width],
            action_width,
            acted: vec![0.0; t_max * net.outputs()],
            outputs: net.outputs(),
        }
    }

    /// Forgets the steps of the segment before.
    pub fn clear(&mut self) {
        self.steps.clear();
        self.rewards.clear();
        self.reset = None;
        self.end = End::No;
    }

    /// Number of steps so far.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// True before the first step.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The longest segment.
    pub fn t_max(&self) -> usize {
        self.t_max
    }

    /// "until terminal s_t or t - t_start = t_max"
    pub fn goes_on(&self) -> bool {
        self.end == End::No && self.len() < self.t_max
    }

    /// Keeps a_t of the next step, and the `y` of its slot.
    pub fn act<A: Action>(&mut self, a: A) {
        let t = self.len();
        a.write(&mut self.actions[t * self.action_width..][..self.action_width]);
        self.acted[t * self.outputs..][..self.outputs].copy_from_slice(self.tape.y(t));
    }

    /// Adds the result of the next step, whose reward is learned from as `reward`.
    pub fn push(&mut self, step: Step, reward: f32) {
        self.steps.push(step);
        self.rewards.push(reward);
        self.end = step.end;
    }

    /// a_t, for t in `0..len`.
    pub fn action<A: Action>(&self, t: usize) -> A {
        A::read(self.action_row(t))
    }

    /// a_t as numbers.
    pub fn action_row(&self, t: usize) -> &[f32] {
        &self.actions[t * self.action_width..][..self.action_width]
    }

    /// The `y` under which a_t was taken.
    pub fn acted(&self, t: usize) -> &[f32] {
        &self.acted[t * self.outputs..][..self.outputs]
    }

    /// Output under theta', where to write dL/dy of step `t`, and the `y` under which a_t was taken.
    pub fn y_dy_acted(&mut self, t: usize) -> (&[f32], &mut [f32], &[f32]) {
        (self.tape.y(t), self.workspace.dy(t), &self.acted[t * self.outputs..][..self.outputs])
    }
}
