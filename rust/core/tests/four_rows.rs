//! Every method learns environments whose answer is known, through the whole stack: actors, store, checkpoint, evaluation.

use a3crs_core::env::{Catch, Chain, Env, EnvError, EnvSpec, ObsMut, ObsSpec, Step};
use a3crs_core::kernel::Isa;
use a3crs_core::nn::Observations;
use a3crs_core::train::evaluate::{Evaluation, evaluate};
use a3crs_core::train::{Algo, Checkpoint, Setup, Summary, TrainConfig, train};
use std::path::Path;
use support::{Quiet, config};

mod support;

fn run<E: Env<usize> + 'static>(setup: &Setup, dir: &Path, env: impl Fn() -> E + Sync) -> (Summary, Vec<f32>) {
    let summary = train(setup, |_| Ok(Box::new(env())), dir, None, &Quiet).unwrap();
    let theta = Checkpoint::load(&summary.checkpoint, &setup.net).unwrap().theta;
    (summary, theta)
}

/// What a Q learner thinks of each cell of a chain, or A3C's V.
fn values(setup: &Setup, theta: &[f32], cells: usize) -> Vec<f32> {
    let isa = Isa::detect().unwrap();
    let mut obs = Observations::new(setup.net.input(), 1);
    let (mut tape, mut workspace) = (setup.net.tape(1), setup.net.workspace(1));
    (0..cells)
        .map(|cell| {
            let ObsMut::Vector(features) = obs.get_mut(0) else { panic!("a chain shows vectors") };
            features.fill(0.0);
            features[cell] = 1.0;
            setup.net.forward(isa, theta, obs.get(0), &mut tape, 0, &mut workspace);
            match setup.config.algo {
                Algo::A3c => tape.y(0)[2],
                _ => tape.y(0).iter().copied().fold(f32::MIN, f32::max),
            }
        })
        .collect()
}

const CELLS: usize = 5;

fn chain_setup(algo: Algo) -> Setup {
    let obs = Chain::new(CELLS, 200).obs_spec();
    let env = EnvSpec { obs, num_actions: 2, frames_per_step: 1 };
    Setup::new(config(algo, 60_000, 0.005), env).unwrap()
}

#[test]
fn all_four_methods_walk_the_chain_and_value_it_as_theory_says() {
    for algo in [Algo::A3c, Algo::OneStepQ, Algo::OneStepSarsa, Algo::NStepQ] {
        let dir = tempfile::tempdir().unwrap();
        let setup = chain_setup(algo);
        let (_, theta) = run(&setup, dir.path(), || Chain::new(CELLS, 200));
        let how = Evaluation { episodes: 1, actors: 1, seed: 0, greedy: true };
        let played =
            evaluate(&setup, &theta, |_| Ok(Box::new(Chain::new(CELLS, 200))), how, &Quiet, |_| Ok(())).unwrap();
        assert_eq!(played[0].length_steps, CELLS as u64, "{algo:?} does not walk straight to the goal");
        let v = values(&setup, &theta, CELLS);
        for (cell, v) in v.iter().enumerate() {
            let optimal = 0.9f32.powi((CELLS - 1 - cell) as i32);
            // Only one-step Q learns the value of the optimal policy; the others value the policy they follow.
            let (low, high) = if algo == Algo::OneStepQ { (0.08, 0.08) } else { (0.45, 0.08) };
            assert!(optimal - low < *v && *v < optimal + high, "{algo:?}: v({cell}) = {v}, optimal {optimal}");
        }
    }
}

#[test]
fn a3c_catches_from_pixels() {
    let dir = tempfile::tempdir().unwrap();
    let obs = Catch::new(6, 6).obs_spec();
    let env = EnvSpec { obs, num_actions: 3, frames_per_step: 1 };
    let setup = Setup::new(config(Algo::A3c, 40_000, 0.002), env).unwrap();
    let (summary, theta) = run(&setup, dir.path(), || Catch::new(6, 6));
    let how = Evaluation { episodes: 100, actors: 2, seed: 7, greedy: true };
    let played = evaluate(&setup, &theta, |_| Ok(Box::new(Catch::new(6, 6))), how, &Quiet, |_| Ok(())).unwrap();
    let mean = played.iter().map(|e| e.episode_return).sum::<f64>() / 100.0;
    assert!(mean > 0.9, "mean return {mean} after {summary:?}");
}

/// Pays `reward` forever and never ends by itself: only the time limit cuts it.
struct Forever {
    reward: f32,
    steps: u64,
}

impl Env<usize> for Forever {
    fn reset(&mut self, _: Option<u64>, obs: ObsMut<'_>) -> Result<(), EnvError> {
        self.steps = 0;
        let ObsMut::Vector(features) = obs else { return Err("vectors only".into()) };
        features.fill(1.0);
        Ok(())
    }
    fn step(&mut self, _: usize, obs: ObsMut<'_>) -> Result<Step, EnvError> {
        let ObsMut::Vector(features) = obs else { return Err("vectors only".into()) };
        features.fill(1.0);
        self.steps += 1;
        let end = if self.steps == 7 { a3crs_core::env::End::Truncated } else { a3crs_core::env::End::No };
        Ok(Step { reward: self.reward, end, episode: None })
    }
}

/// The value learned of a world that pays `reward` at every step.
fn value_of_forever(algo: Algo, reward: f32, change: impl FnOnce(&mut TrainConfig)) -> f32 {
    let dir = tempfile::tempdir().unwrap();
    let env = EnvSpec { obs: ObsSpec::Vector { len: 1 }, num_actions: 2, frames_per_step: 1 };
    let mut config = config(algo, 60_000, 0.01);
    change(&mut config);
    let setup = Setup::new(config, env).unwrap();
    let (_, theta) = run(&setup, dir.path(), || Forever { reward, steps: 0 });
    values(&setup, &theta, 1)[0]
}

#[test]
fn a_time_limit_is_not_death_the_value_of_an_endless_reward_is_its_geometric_sum() {
    for algo in [Algo::A3c, Algo::OneStepQ, Algo::OneStepSarsa, Algo::NStepQ] {
        let v = value_of_forever(algo, 1.0, |_| ());
        // 1 / (1 - 0.9) = 10; were truncation terminal, no state could be worth more than 1 + ... + 0.9^6 = 5.2
        assert!((v - 10.0).abs() < 1.0, "{algo:?}: {v}");
    }
}

#[test]
fn rewards_are_clipped_for_learning_and_only_if_asked() {
    let clipped = value_of_forever(Algo::A3c, 3.0, |config| config.reward_clip = 1.0);
    assert!((clipped - 10.0).abs() < 1.0, "{clipped}");
    let raw = value_of_forever(Algo::A3c, 3.0, |config| config.reward_clip = 0.0);
    assert!((raw - 30.0).abs() < 3.0, "{raw}");
}

#[test]
fn lambda_0_of_a3c_still_finds_the_geometric_sum() {
    let v = value_of_forever(Algo::A3c, 1.0, |config| config.lambda = 0.0);
    assert!((v - 10.0).abs() < 1.5, "{v}");
}

#[test]
fn values_grow_by_one_look_ahead_for_each_refresh_of_the_target() {
    let v = value_of_forever(Algo::OneStepQ, 1.0, |config| config.target_interval_steps = u64::MAX);
    // theta_target never changes, so Q = 1 + 0.9 max Q(theta_target), and that is a fresh network's, near 0
    assert!((v - 1.0).abs() < 0.9, "{v}");
}
