//! Restoring a run from a checkpoint.

use super::checkpoint::{Checkpoint, read_meta};
use crate::env::{ActionSpec, EnvSpec};
use crate::rl::Covariance;
use crate::train::error::TrainError;
use crate::train::learn::Shared;
use crate::train::learn::shared::new_actor;
use crate::train::setup::Setup;
use std::path::Path;

/// Shared memory as `checkpoint` left it. A run of an older version without running statistics goes on without them.
pub fn restored(setup: &Setup, checkpoint: &Checkpoint) -> Shared {
    let fresh = Shared::new(setup);
    let observations = checkpoint.observations.clone().filter(|_| fresh.observations.is_some());
    let returns = checkpoint.returns.clone().filter(|_| fresh.returns.is_some());
    let (seen, paid) = (checkpoint.observations.as_ref(), checkpoint.returns.as_ref());
    let actor = |actor| checkpoint.actors.get(actor).cloned().unwrap_or_else(|| new_actor(setup, seen, paid));
    let actors = (0..setup.config.actors).map(actor).collect();
    let shared = Shared::going_on(setup, actors, observations, returns, checkpoint.meta.steps);
    shared.parameters.restore(&checkpoint.parameters, checkpoint.meta.steps, checkpoint.meta.updates);
    shared
}

/// Refuses the checkpoint at `path` if it is of another method, network or environment than the run.
pub fn check(path: &Path, setup: &Setup) -> Result<(), TrainError> {
    let (meta, config, env) = (read_meta(path)?, &setup.config, &setup.env);
    let covariance = |gaussian: Covariance| format!("{gaussian:?}").to_lowercase();
    let is_continuous = matches!(env.actions, ActionSpec::Continuous { .. });
    let differs = if meta.algo != config.algo {
        format!("it is of algo {}, this run has {}", meta.algo.name(), config.algo.name())
    } else if let Some((setting, has, wanted)) = meta.network.difference(&config.network) {
        format!("it is of {setting} {has}, this run has {wanted}")
    } else if !meta.env_spec.same_task(env) {
        let describe = |spec: &EnvSpec| format!("{} and {}", spec.obs, spec.actions);
        format!(
            "it was trained on {} with {}, this run's environment has {}",
            meta.env,
            describe(&meta.env_spec),
            describe(env)
        )
    } else if is_continuous && meta.gaussian != config.method.gaussian {
        let (has, wanted) = (covariance(meta.gaussian), covariance(config.method.gaussian));
        format!("it is of a {has} gaussian, this run has a {wanted} one")
    } else {
        return Ok(());
    };
    Err(TrainError::Checkpoint { path: path.to_path_buf(), reason: differs })
}
