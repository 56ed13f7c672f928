//! Prediction with fixed parameters, one observation after the other.

use crate::env::{ObsMut, ObsRef};
use crate::nn::{Observations, Tape};
use crate::rl::ActorRng;
use crate::train::learn::moments::Moments;
use crate::train::learn::normalise::Scale;
use crate::train::save::Checkpoint;
use crate::train::setup::Setup;
use rand::SeedableRng;

/// The part of a checkpoint that acting needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// theta
    pub theta: Vec<f32>,
    /// Statistics by which observations are normalised, where they are.
    pub observations: Option<Moments>,
}

impl From<Checkpoint> for Agent {
    fn from(checkpoint: Checkpoint) -> Agent {
        Agent { theta: checkpoint.parameters.theta, observations: checkpoint.observations }
    }
}

impl Agent {
    /// An agent that has learned nothing yet, with the theta from which a run of `setup` starts.
    pub fn fresh(setup: &Setup) -> Agent {
        Agent { theta: setup.initial_theta(), observations: None }
    }

    /// Scale of observations, where they are normalised.
    pub fn scale(&self) -> Option<Scale> {
        self.observations.as_ref().map(Scale::of)
    }
}

/// The random stream of actions that an evaluation's episode with that seed has.
pub fn stream(seed: u64) -> ActorRng {
    ActorRng::seed_from_u64(seed)
}

/// An agent's network, and the memory to see one observation.
#[derive(Debug)]
pub struct Predictor<'a> {
    setup: &'a Setup,
    theta: &'a [f32],
    scale: Option<Scale>,
    obs: Observations,
    tape: Tape,
}

impl<'a> Predictor<'a> {
    /// Predictor of `agent`, whose network is that of `setup`.
    pub fn new(setup: &'a Setup, agent: &'a Agent) -> Self {
        let (obs, tape) = (Observations::new(setup.net.input(), 1), setup.net.tape(1));
        Predictor { setup, theta: &agent.theta, scale: agent.scale(), obs, tape }
    }

    /// Slot for the observation, to be written.
    pub fn obs(&mut self) -> ObsMut<'_> {
        self.obs.get_mut(0)
    }

    /// `y` of the observation, which is normalised as in training first. `state` is the recurrent state before it, 0 at the start of an
    /// episode, and becomes the one after it.
    pub fn y(&mut self, state: &mut [f32]) -> &[f32] {
        if let (Some(scale), ObsMut::Vector(x)) = (&self.scale, self.obs.get_mut(0)) {
            scale.apply(x);
        }
        self.tape.set_state(0, state);
        self.setup.net.forward(self.setup.isa, self.theta, (&self.obs, 0), &mut self.tape, 0);
        self.tape.state_into(1, state);
        self.tape.y(0)
    }
}

/// `y` of observations that do not follow one another, each with its own recurrent state before it, which becomes the one after it.
///
/// # Panics
/// If the slices are not of as many observations as `y`, or `obs` are not of the network's kind.
pub fn forward(
    setup: &Setup,
    agent: &Agent,
    obs: ObsRef<'_>,   // (n, observation)
    state: &mut [f32], // (n, state_len)
    y: &mut [f32],     // (n, outputs)
) {
    let (net, mut predictor) = (&setup.net, Predictor::new(setup, agent));
    let (obs_len, state_len) = (net.input().len(), net.state_len());
    for (i, y) in y.chunks_exact_mut(net.outputs()).enumerate() {
        let of_obs = i * obs_len..(i + 1) * obs_len;
        match (predictor.obs(), obs) {
            (ObsMut::Image(to), ObsRef::Image(from)) => to.copy_from_slice(&from[of_obs]),
            (ObsMut::Vector(to), ObsRef::Vector(from)) => to.copy_from_slice(&from[of_obs]),
            _ => panic!("images and vectors do not mix"),
        }
        y.copy_from_slice(predictor.y(&mut state[i * state_len..][..state_len]));
    }
}
