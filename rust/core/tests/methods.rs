//! Every method with every network learns environments whose answer is known, through the whole stack: actors, store, checkpoint,
//! evaluation.

use a3crs_core::env::{Catch, Chain, End, Env, EnvError, EnvSpec, ObsMut, ObsSpec, Recall, Step};
use a3crs_core::kernel::Isa;
use a3crs_core::nn::{Net, Observations};
use a3crs_core::rl::policy;
use a3crs_core::shared::OptimizerKind;
use a3crs_core::train::evaluate::{Evaluation, evaluate};
use a3crs_core::train::{Algo, Checkpoint, Setup, TrainConfig, train};
use support::{Quiet, config};

mod support;

/// theta after a run.
fn learn<E: Env<usize> + 'static>(setup: &Setup, env: impl Fn() -> E + Sync) -> Vec<f32> {
    let dir = tempfile::tempdir().unwrap();
    let summary = train(setup, |_| Ok(Box::new(env())), dir.path(), None, &Quiet).unwrap();
    Checkpoint::load(&summary.checkpoint, &setup.net).unwrap().theta
}

/// The mean return of a hundred greedy episodes.
fn greedy_return<E: Env<usize> + 'static>(setup: &Setup, theta: &[f32], env: impl Fn() -> E + Sync) -> f64 {
    let how = Evaluation { episodes: 100, actors: 2, seed: 7, greedy: true };
    let played = evaluate(setup, theta, |_| Ok(Box::new(env())), how, &Quiet, |_| Ok(())).unwrap();
    played.iter().map(|e| e.episode_return).sum::<f64>() / 100.0
}

/// y in each cell of a chain, walked through from the left.
fn walk(setup: &Setup, theta: &[f32], cells: usize) -> Vec<Vec<f32>> {
    let isa = Isa::detect().unwrap();
    let mut obs = Observations::new(setup.net.input(), 1);
    let (mut tape, mut workspace) = (setup.net.tape(1), setup.net.workspace(1));
    let mut state = vec![0.0; setup.net.state_len()];
    let mut step = |cell: usize| {
        let ObsMut::Vector(features) = obs.get_mut(0) else { panic!("a chain shows vectors") };
        features.fill(0.0);
        features[cell] = 1.0;
        tape.set_state(0, &state);
        setup.net.forward(isa, theta, obs.get(0), &mut tape, 0, &mut workspace);
        tape.state_into(1, &mut state);
        tape.y(0).to_vec()
    };
    (0..cells).map(&mut step).collect()
}

const CELLS: usize = 5;
const GAMMA: f64 = 0.9;

/// Q of the policy that goes right with probability `right(cell)`, and the values of that policy: the fixed point of the Bellman
/// equation.
fn q_of_policy(right: impl Fn(usize) -> f64) -> (Vec<[f64; 2]>, Vec<f64>) {
    let (mut q, mut v) = (vec![[0.0; 2]; CELLS], vec![0.0; CELLS + 1]);
    for _ in 0..2000 {
        for cell in 0..CELLS {
            let leaves = if cell + 1 == CELLS { 1.0 } else { 0.0 };
            q[cell] = [GAMMA * v[cell.saturating_sub(1)], leaves + GAMMA * v[cell + 1]];
            v[cell] = right(cell) * q[cell][1] + (1.0 - right(cell)) * q[cell][0];
        }
    }
    v.truncate(CELLS);
    (q, v)
}

/// A chain to be learned by actors that all end with the same exploration, so that theory gives one answer; returns their epsilon.
fn chain_setup(algo: Algo, net: Net, optimizer: OptimizerKind) -> (Setup, f64) {
    let obs = Chain::new(CELLS, 200).obs_spec();
    let env = EnvSpec { obs, num_actions: 2, frames_per_step: 1 };
    let setup = |seed| {
        let mut config = config(algo, 60_000, 0.005);
        (config.net, config.optimizer, config.seed) = (net, optimizer, seed);
        if optimizer == OptimizerKind::MomentumSgd {
            config.lr = 0.01;
        }
        Setup::new(config, env.clone()).unwrap()
    };
    let eps = |setup: &Setup, actor| {
        let algo = setup.config.algorithm(&mut setup.actor_rng(0, actor));
        algo.explore_eps(u64::MAX).map_or(0.5, f64::from)
    };
    let alike = |setup: &Setup| (0..2).all(|actor| eps(setup, actor) == 0.5);
    ((0..).map(setup).find(alike).unwrap(), 0.5)
}

/// What a method has learned of the chain, against what theory says it converges to.
fn check_chain(algo: Algo, net: Net, optimizer: OptimizerKind) {
    let what = format!("{algo:?} {net:?} {optimizer:?}");
    let (setup, eps) = chain_setup(algo, net, optimizer);
    let theta = learn(&setup, || Chain::new(CELLS, 200));
    let y = walk(&setup, &theta, CELLS);
    assert!(y.iter().all(|y| y[1] > y[0]), "{what} does not walk straight to the goal: {y:?}");
    let (optimal, _) = q_of_policy(|_| 1.0);
    let (explored, _) = q_of_policy(|_| 1.0 - eps / 2.0);
    const TOLERANCE: f64 = 0.08;
    for (cell, y) in y.iter().enumerate() {
        let (right, left) = (f64::from(y[1]), f64::from(y[0]));
        let near = |x: f64, low: f64, high: f64| {
            assert!(low - TOLERANCE < x && x < high + TOLERANCE, "{what}: cell {cell}: {x} not in {low}..{high}");
        };
        match algo {
            // The best policy's values, whatever is explored: the target is a maximum.
            Algo::OneStepQ => near(right, optimal[cell][1], optimal[cell][1]),
            // The values of the policy that is followed, exploration included.
            Algo::OneStepSarsa => near(right, explored[cell][1], explored[cell][1]),
            // Up to four more actions as explored, then the maximum: between the two.
            Algo::NStepQ => near(right, explored[cell][1], optimal[cell][1]),
            Algo::A3c => {
                let (_, v) = q_of_policy(|cell| probability_of_right(&walk(&setup, &theta, CELLS)[cell]));
                near(f64::from(y[2]), v[cell], v[cell]);
                assert!(right > left);
            }
        }
    }
}

/// Of A3C's policy head.
fn probability_of_right(y: &[f32]) -> f64 {
    1.0 / (1.0 + f64::from(y[0] - y[1]).exp())
}

#[test]
fn every_method_comes_to_the_values_theory_gives_on_a_chain() {
    for algo in Algo::ALL {
        for net in [Net::Ff, Net::Lstm] {
            check_chain(algo, net, OptimizerKind::SharedRmsProp);
        }
    }
}

#[test]
fn every_optimizer_does() {
    for optimizer in [OptimizerKind::RmsProp, OptimizerKind::MomentumSgd] {
        for algo in [Algo::A3c, Algo::OneStepQ] {
            check_chain(algo, Net::Ff, optimizer);
        }
    }
}

fn catches_from_pixels(net: Net) {
    for algo in Algo::ALL {
        let env = || Catch::new(4, 9);
        let spec = EnvSpec { obs: env().obs_spec(), num_actions: 3, frames_per_step: 1 };
        let mut config = config(algo, 20_000, 0.01);
        (config.net, config.rms_eps) = (net, 0.01);
        let setup = Setup::new(config, spec).unwrap();
        let mean = greedy_return(&setup, &learn(&setup, env), env);
        assert!(mean > 0.8, "{algo:?} {net:?}: mean return {mean}");
    }
}

#[test]
fn every_method_catches_from_pixels_with_the_network_of_2013() {
    catches_from_pixels(Net::Ff);
}

#[test]
fn every_method_catches_from_pixels_with_that_and_an_lstm() {
    catches_from_pixels(Net::Lstm);
}

#[test]
fn every_method_catches_from_pixels_with_the_network_of_2015() {
    catches_from_pixels(Net::Nature);
}

#[test]
fn every_method_catches_from_pixels_with_that_and_an_lstm_too() {
    catches_from_pixels(Net::NatureLstm);
}

/// The mean return of a trained agent that is asked for a cue it saw three steps before.
fn recalled(algo: Algo, net: Net) -> f64 {
    let env = || Recall::new(2);
    let spec = EnvSpec { obs: env().obs_spec(), num_actions: 2, frames_per_step: 1 };
    let mut config = config(algo, 60_000, 0.01);
    (config.net, config.gamma) = (net, 0.99);
    let setup = Setup::new(config, spec).unwrap();
    greedy_return(&setup, &learn(&setup, env), env)
}

#[test]
fn only_a_recurrent_network_remembers() {
    for algo in [Algo::A3c, Algo::NStepQ] {
        let (lstm, ff) = (recalled(algo, Net::Lstm), recalled(algo, Net::Ff));
        assert!(lstm > 0.9, "{algo:?} with an LSTM: {lstm}");
        assert!(ff.abs() < 0.5, "{algo:?} without memory cannot be at {ff}"); // five standard deviations
    }
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
        let end = if self.steps == 7 { End::Truncated } else { End::No };
        Ok(Step { reward: self.reward, end, episode: None })
    }
}

/// The value learned of a world that pays `reward` at every step.
fn value_of_forever(algo: Algo, reward: f32, change: impl FnOnce(&mut TrainConfig)) -> f32 {
    let env = EnvSpec { obs: ObsSpec::Vector { len: 1 }, num_actions: 2, frames_per_step: 1 };
    let mut config = config(algo, 60_000, 0.01);
    change(&mut config);
    let setup = Setup::new(config, env).unwrap();
    let theta = learn(&setup, || Forever { reward, steps: 0 });
    let y = &walk(&setup, &theta, 1)[0];
    if algo == Algo::A3c { y[2] } else { y[policy::argmax(y)] }
}

#[test]
fn a_time_limit_is_not_death_the_value_of_an_endless_reward_is_its_geometric_sum() {
    for algo in Algo::ALL {
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
