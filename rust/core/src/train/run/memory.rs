//! Check of a run's memory against the machine's, before the system ends the process without a word.

use crate::env::ObsSpec;
use crate::rl::Experience;
use crate::train::error::TrainError;
use crate::train::setup::Setup;

/// Refuses a run that needs more memory than the machine has.
pub fn check(setup: &Setup) -> Result<(), TrainError> {
    let ([network, steps], has) = (least_bytes(setup), machine_bytes().unwrap_or(u128::MAX));
    let gib = |bytes: u128| bytes as f64 / (1u64 << 30) as f64;
    if network > has {
        let parameters: usize =
            setup.net.layout().params.iter().map(|param| param.shape.iter().product::<usize>()).sum();
        return Err(TrainError::Config(format!(
            "the network for {} and {} has {} parameters, for which the run needs at least {:.1} GiB of memory, but this machine has {:.1}: \
             make the observations smaller (images with --resize), or the actions fewer",
            setup.env.obs,
            setup.env.actions,
            parameters,
            gib(network),
            gib(has),
        )));
    }
    if network + steps <= has {
        return Ok(());
    }
    Err(TrainError::Config(format!(
        "{} actors that play {} steps of {} at a time need at least {:.1} GiB of memory, but this machine has {:.1}: make t_max \
         or actors smaller",
        setup.config.actors,
        setup.config.segment_steps(&setup.env),
        setup.env.obs,
        gib(network + steps),
        gib(has),
    )))
}

/// theta and what there is of its size besides; then the activations that are learned from and the observations that are kept. Not
/// all, but nothing that is not needed.
fn least_bytes(setup: &Setup) -> [u128; 2] {
    let (config, obs) = (&setup.config, &setup.env.obs);
    let (row, t_max) = (config.algo.row(), config.segment_steps(&setup.env));
    let targets = usize::from(row.reads_target);
    let at_once = config.segments_at_once.clamp(1, config.actors.max(1));
    let thetas = 1 + targets + config.optimizer.num_statistics(config.actors) + at_once * (2 + targets); // theta' and d_theta
    let all = config.actors * t_max;
    let (activations, kept) = match (row.experience, config.method.minibatch_steps) {
        (Experience::Segment, _) => (at_once * t_max, at_once * t_max),
        (Experience::All, _) | (Experience::Pool, 0) => (all, all),
        (Experience::Pool, n) => (all.min(config.pools() * n), all),
    };
    let size = |len: usize, times: usize, bytes: usize| len as u128 * times as u128 * bytes as u128;
    let of_pixel = if matches!(obs, ObsSpec::Image { .. }) { 1 } else { size_of::<f32>() };
    let steps = size(setup.net.activations(), activations, size_of::<f32>()) + size(obs.len(), kept, of_pixel);
    [size(setup.net.layout().len(), thetas, size_of::<f32>()), steps]
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
