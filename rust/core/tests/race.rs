//! Complete runs of every method with more actors than cores, for ThreadSanitizer (`.ci/concurrency`). Without it the
//! runs only have to end.

use a3crs_core::env::{ActionSpec, Aim, Env, EnvSpec, Recall};
use a3crs_core::nn::Net;
use a3crs_core::rl::ActionVector;
use a3crs_core::shared::OptimizerKind;
use a3crs_core::train::config::{RewardScale, Running};
use a3crs_core::train::{Action, Algo, Setup, TrainConfig, train};
use support::{Quiet, config};

mod support;

/// Trains for a short while, or for `A3CRS_TEST_STEPS`, with frequent checkpoints; then resumes for as long again.
fn race<A: Action, E: Env<A> + 'static>(
    algo: Algo,
    spec: EnvSpec,
    env: impl Fn() -> E + Sync,
    change: impl Fn(&mut TrainConfig),
) {
    let steps = std::env::var("A3CRS_TEST_STEPS").map_or(300, |steps| steps.parse().unwrap());
    let setup = |total_steps| {
        let mut config = config(algo, total_steps, 1e-3);
        (config.actors, config.target_interval_steps, config.checkpoint_secs) = (4, 20, 0.001);
        change(&mut config);
        Setup::new(config, spec.clone()).unwrap()
    };
    let dir = tempfile::tempdir().unwrap();
    let make = |_| Ok(Box::new(env()) as Box<dyn Env<A>>);
    let first = train(&setup(steps), make, dir.path(), None, &Quiet).unwrap();
    let second = train(&setup(2 * steps), make, dir.path(), Some(&first.checkpoint), &Quiet).unwrap();
    assert!(first.steps >= steps && second.steps >= 2 * steps && second.updates > first.updates);
    assert_eq!(second.refused_updates, 0);
}

#[test]
fn every_method_and_optimizer_with_actors_as_they_come_and_in_a_fixed_order() {
    let spec = EnvSpec::new(Recall::new(4).obs_spec(), ActionSpec::Discrete(2));
    for (i, algo) in Algo::ALL.into_iter().enumerate() {
        for (j, optimizer) in OptimizerKind::ALL.into_iter().enumerate() {
            race::<usize, _>(
                algo,
                spec.clone(),
                || Recall::new(4),
                |config| {
                    config.optimizer = optimizer;
                    config.network.net = if (i + j) % 2 == 0 { Net::Lstm } else { Net::Ff };
                    config.deterministic = (i + j) % 3 == 0;
                    config.segments_at_once = 1 + j;
                },
            );
        }
    }
}

#[test]
fn continuous_actions_with_statistics_that_all_actors_share() {
    for deterministic in [false, true] {
        let aim = || Aim::new(3, 20);
        race::<ActionVector, _>(Algo::A3c, aim().spec(), aim, |config| {
            (config.deterministic, config.normalize_obs) = (deterministic, true);
            config.reward_scale = RewardScale::Running(Running::Running);
        });
    }
}
