//! Check of a run's memory against the machine's, before the system ends the process without a word.

use crate::rl::Experience;
use crate::train::error::TrainError;
use crate::train::setup::Setup;

/// Refuses a run that needs more memory than the machine has.
pub fn check(setup: &Setup) -> Result<(), TrainError> {
    let (needed, has) = (least_bytes(setup), machine_bytes().unwrap_or(u128::MAX));
    if needed <= has {
        return Ok(());
    }
    let parameters: usize = setup.net.layout().params.iter().map(|param| param.shape.iter().product::<usize>()).sum();
    let gib = |bytes: u128| bytes as f64 / (1u64 << 30) as f64;
    Err(TrainError::Config(format!(
        "the network for {} and {} has {} parameters, for which the run needs at least {:.1} GiB of memory, but this machine has {:.1}: \
         make the observations smaller (images with --resize), or the actions fewer",
        setup.env.obs,
        setup.env.actions,
        parameters,
        gib(needed),
        gib(has),
    )))
}

/// theta, what there is of its size besides, and the activations of the segments in flight; not all, but nothing that is not needed.
fn least_bytes(setup: &Setup) -> u128 {
    let config = &setup.config;
    let statistics = config.optimizer.num_statistics(config.actors);
    let targets = usize::from(config.algo.row().reads_target);
    let at_once = config.segments_at_once.clamp(1, config.actors.max(1));
    let thetas = 1 + targets + statistics + at_once * (2 + targets); // a segment has theta' and its gradient
    let activations = match config.algo.row().experience {
        Experience::Segment => at_once * config.segment_steps(&setup.env),
        Experience::Pool | Experience::All => config.pools() * config.method.minibatch_steps,
    };
    let size = |len: usize, times: usize| len as u128 * times as u128 * size_of::<f32>() as u128;
    size(setup.net.layout().len(), thetas) + size(setup.net.activations(), activations)
}

/// Bytes of memory of this machine, where the system tells.
fn machine_bytes() -> Option<u128> {
    #[cfg(target_os = "linux")]
    {
        let info = rustix::system::sysinfo();
        Some(u128::from(info.totalram) * u128::from(info.mem_unit))
    }
    #[cfg(not(target_os = "linux"))]
    None
}
