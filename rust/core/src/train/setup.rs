//! A run before it starts: its settings, its environment, its network.

use super::config::TrainConfig;
use super::error::TrainError;
use crate::env::{ActionSpec, EnvSpec};
use crate::kernel::Isa;
use crate::nn::{Head, NetSpec, Network, Part};
use crate::rl::{Action, ActionVector, ActorRng, Output};
use rand::SeedableRng;

/// A run, checked and ready to start.
#[derive(Debug)]
pub struct Setup {
    /// Settings.
    pub config: TrainConfig,
    /// Environment.
    pub env: EnvSpec,
    /// The network that follows from both.
    pub net: Network,
    /// The instruction set.
    pub isa: Isa,
}

impl Setup {
    /// Checks that a run of `config` on `env` is possible.
    pub fn new(config: TrainConfig, env: EnvSpec) -> Result<Self, TrainError> {
        config.check(&env)?;
        let isa = Isa::detect().map_err(TrainError::Config)?;
        let net = network(&config.network, &env, &outputs(&config, &env))?;
        Ok(Setup { config, env, net, isa })
    }

    /// theta of a run that begins.
    pub fn initial_theta(&self) -> Vec<f32> {
        let outputs = outputs(&self.config, &self.env);
        let gain = |name: &str| {
            let name = name.strip_suffix(".weight")?;
            let is_it = |output: &&Output| {
                name.strip_suffix(output.name).is_some_and(|trunk| trunk.trim_end_matches('.') == output.trunk)
            };
            outputs.iter().find(is_it).map(|output| output.gain)
        };
        self.net.layout().init(self.config.init, gain, &mut ActorRng::seed_from_u64(self.config.seed))
    }

    /// Random stream of `actor` in a run (re)started at step `start`: streams are 2^128 draws apart, never shared.
    pub fn actor_rng(&self, start: u64, actor: usize) -> ActorRng {
        let mut rng = ActorRng::seed_from_u64(self.config.seed ^ start.rotate_left(32));
        (0..=actor).for_each(|_| rng.jump());
        rng
    }
}

/// The parts of `y` that the method reads.
fn outputs(config: &TrainConfig, env: &EnvSpec) -> Vec<Output> {
    let (row, size) = (config.algo.row(), env.actions.size());
    let of = match env.actions {
        ActionSpec::Discrete(_) => usize::form(row).map(|form| form.outputs),
        ActionSpec::Continuous { .. } => ActionVector::form(row).map(|form| form.outputs),
    };
    of.map_or_else(Vec::new, |outputs| outputs(&config.method, size))
}

/// A network with these outputs: one trunk if all stand on it, else a trunk for each group of adjacent ones.
fn network(net: &NetSpec, env: &EnvSpec, outputs: &[Output]) -> Result<Network, TrainError> {
    let head = |output: &Output| Head { name: output.name, outputs: output.len };
    if outputs.iter().all(|output| output.trunk.is_empty() && !output.is_constant) {
        return Ok(Network::new(net.clone(), &env.obs, &outputs.iter().map(head).collect::<Vec<_>>())?);
    }
    let groups: Vec<_> = outputs
        .chunk_by(|a, b| !a.is_constant && !b.is_constant && a.trunk == b.trunk)
        .map(|group| (group[0], group.iter().map(head).collect::<Vec<_>>()))
        .collect();
    let parts: Vec<_> = groups
        .iter()
        .map(|(first, heads)| match first.is_constant {
            true => Part::Constant(heads[0]),
            false => Part::Trunk { name: first.trunk, heads },
        })
        .collect();
    Ok(Network::of_parts(net.clone(), &env.obs, &parts)?)
}
