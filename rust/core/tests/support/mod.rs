//! Helpers of several test binaries.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod chain;

use a3crs_core::env::EnvError;
use a3crs_core::nn::{Init, Net};
use a3crs_core::rl::{Covariance, MethodSettings};
use a3crs_core::shared::optimizer::OptimizerKind;
use a3crs_core::shared::schedule::LrSchedule;
use a3crs_core::train::config::{RewardScale, TMax};
use a3crs_core::train::log::ProgressRow;
use a3crs_core::train::{Algo, Host, TrainConfig};

/// Host that ignores progress and notices.
pub struct Quiet;

impl Host for Quiet {
    fn poll(&self, _: &ProgressRow) -> Result<(), EnvError> {
        Ok(())
    }
    fn notice(&self, _: &str) {}
    fn check(&self) -> Result<(), EnvError> {
        Ok(())
    }
}

/// Returns a complete configuration for small environments: two actors, everything else as in the paper where possible.
pub fn config(algo: Algo, total_steps: u64, lr: f32) -> TrainConfig {
    TrainConfig {
        env: "tiny".into(),
        protocol: "none".into(),
        algo,
        network: Net::Ff.into(),
        init: Init::Torch,
        optimizer: OptimizerKind::SharedRmsProp,
        actors: 2,
        segments_at_once: 0,
        deterministic: false,
        total_steps,
        t_max: TMax::Steps(5),
        gamma: 0.9,
        method: MethodSettings {
            lambda: 1.0,
            gaussian: Covariance::Spherical,
            bound_coef: 0.0,
            entropy_beta: 0.01,
            value_coef: 0.5,
            epochs: 3,
            minibatch_steps: 16,
            pool: 2,
            clip_range: 0.2,
            value_clip_range: 0.0,
            normalize_advantage: true,
            explore_anneal_steps: total_steps / 2,
        },
        lr,
        lr_schedule: LrSchedule::Linear,
        lr_warmup_steps: 0,
        momentum: 0.9,
        rms_decay: 0.99,
        rms_eps: 0.1,
        adam_beta1: 0.9,
        adam_beta2: 0.999,
        adam_eps: 1e-5,
        max_grad_norm: 40.0,
        normalize_obs: false,
        reward_scale: RewardScale::By(1.0),
        reward_clip: 1.0,
        target_interval_steps: 500,
        seed: 1,
        checkpoint_secs: 300.0,
        keep_checkpoints: 1,
    }
}
