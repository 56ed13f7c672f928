//! Steps that an actor has played: what is learned from.

use crate::env::{End, Step};
use crate::nn::{Network, Observations, Tape};
use crate::rl::{Action, Sample};

/// Steps as they are learned from, a slot a step.
#[derive(Debug)]
pub struct Steps {
    /// s_t, and one slot for the state after the last step.
    pub obs: Observations,
    /// r_t, scaled and clipped.
    pub rewards: Vec<f32>,
    /// G_t
    pub g: Vec<f32>,
    /// `G_t - v_t`, where the method reads it.
    pub advantage: Vec<f32>,
    /// a_t as numbers, `(slots, action_width)`.
    actions: Vec<f32>,
    action_width: usize,
    /// The `y` under which a_t was taken, `(slots, outputs)`.
    acted: Vec<f32>,
    outputs: usize,
}

impl Steps {
    /// Memory for `slots` steps with actions of `action_width` numbers.
    pub fn new(net: &Network, slots: usize, action_width: usize) -> Self {
        Steps {
            obs: Observations::new(net.input(), slots + 1),
            rewards: vec![0.0; slots],
            g: vec![0.0; slots],
            advantage: vec![0.0; slots],
            actions: vec![0.0; slots * action_width],
            action_width,
            acted: vec![0.0; slots * net.outputs()],
            outputs: net.outputs(),
        }
    }

    /// Keeps a_t, and the `y` under which it was taken.
    pub fn act<A: Action>(&mut self, t: usize, a: A, y: &[f32]) {
        a.write(&mut self.actions[t * self.action_width..][..self.action_width]);
        self.acted[t * self.outputs..][..self.outputs].copy_from_slice(y);
    }

    /// a_t
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

    /// Step `t` as a method sees it.
    pub fn sample<A: Action>(&self, t: usize) -> Sample<'_, A> {
        Sample { acted: self.acted(t), a: self.action(t), g: self.g[t], advantage: self.advantage[t] }
    }

    /// Slot `to` <- slot `from` of `other`.
    pub fn copy(&mut self, to: usize, other: &Steps, from: usize) {
        self.obs.copy(to, &other.obs, from);
        self.rewards[to] = other.rewards[from];
        self.g[to] = other.g[from];
        self.advantage[to] = other.advantage[from];
        self.actions[to * self.action_width..][..self.action_width].copy_from_slice(other.action_row(from));
        self.acted[to * self.outputs..][..self.outputs].copy_from_slice(other.acted(from));
    }
}

/// Up to t_max steps of one actor, allocated once.
#[derive(Debug)]
pub struct Rollout {
    /// Observations, actions and returns.
    pub steps: Steps,
    /// Results of the steps: rewards as the environment gave them.
    pub results: Vec<Step>,
    /// `v_{t+1}`
    pub v_next: Vec<f32>,
    /// `lambda_{t+1}`
    pub lambda: Vec<f32>,
    /// Resets of the environment: the step that each came before, and its seed.
    pub resets: Vec<(usize, Option<u64>)>,
    t_max: usize,
    spans_episodes: bool,
    /// Recurrent state before the first step of each chunk, `(chunks, state_len)`.
    states: Vec<f32>,
    state_len: usize,
    /// Steps of a chunk; 0 where states are not kept.
    chunk: usize,
}

impl Rollout {
    /// Memory for up to `t_max` steps with actions of `action_width` numbers; with `chunk`, the recurrent state before every so many
    /// steps is kept.
    pub fn new(net: &Network, t_max: usize, action_width: usize, spans_episodes: bool, chunk: Option<usize>) -> Self {
        let (state_len, chunks) = (net.state_len(), chunk.map_or(0, |chunk| t_max.div_ceil(chunk)));
        Rollout {
            steps: Steps::new(net, t_max, action_width),
            results: Vec::with_capacity(t_max),
            v_next: vec![0.0; t_max],
            lambda: vec![0.0; t_max],
            resets: Vec::with_capacity(t_max + 1),
            t_max,
            spans_episodes,
            states: vec![0.0; chunks * state_len],
            state_len,
            chunk: chunk.unwrap_or(0),
        }
    }

    /// Forgets all steps.
    pub fn clear(&mut self) {
        self.results.clear();
        self.resets.clear();
    }

    /// Number of steps so far.
    pub fn len(&self) -> usize {
        self.results.len()
    }

    /// True before the first step.
    pub fn is_empty(&self) -> bool {
        self.results.is_empty()
    }

    /// The most steps.
    pub fn t_max(&self) -> usize {
        self.t_max
    }

    /// "until terminal s_t or t - t_start = t_max"; a rollout across episodes goes on after a terminal state.
    pub fn goes_on(&self) -> bool {
        (self.spans_episodes || self.end() == End::No) && self.len() < self.t_max
    }

    /// True where the last step ended an episode and the next begins another.
    pub fn crosses(&self) -> bool {
        self.goes_on() && self.end() != End::No
    }

    /// Adds the result of the next step, whose reward is learned from as `reward`.
    pub fn push(&mut self, step: Step, reward: f32) {
        let t = self.len();
        self.steps.rewards[t] = reward;
        self.results.push(step);
    }

    /// End of the episode, if the last step ended it.
    pub fn end(&self) -> End {
        self.results.last().map_or(End::No, |step| step.end)
    }

    /// True where step `t` begins an episode within the rollout.
    pub fn begins_episode(&self, t: usize) -> bool {
        t > 0 && self.results[t - 1].end != End::No
    }

    /// Recurrent state before the first step of `chunk`.
    pub fn state(&self, chunk: usize) -> &[f32] {
        &self.states[chunk * self.state_len..][..self.state_len]
    }

    /// Keeps the recurrent state before step `t`, whose slot of the tape is `slot`, if it is the first of a chunk.
    pub fn keep_state(&mut self, t: usize, tape: &Tape, slot: usize) {
        if self.state_len > 0 && self.chunk > 0 && t.is_multiple_of(self.chunk) {
            tape.state_into(slot, &mut self.states[t / self.chunk * self.state_len..][..self.state_len]);
        }
    }
}
