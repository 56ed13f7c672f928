//! Learning of environments with known solutions by every method with every network, through the whole stack: actors,
//! store, checkpoint, evaluation.

use a3crs_core::env::{ActionSpec, Catch, End, Env, EnvError, EnvSpec, ObsMut, ObsSpec, Recall, Step};
use a3crs_core::kernel::Isa;
use a3crs_core::nn::{Net, Observations};
use a3crs_core::rl::policy;
use a3crs_core::shared::OptimizerKind;
use a3crs_core::train::config::TMax;
use a3crs_core::train::play::evaluate::{EvaluatedEpisode, Evaluation, evaluate};
use a3crs_core::train::{Action, Agent, Algo, Checkpoint, Setup, TrainConfig, train};
use support::chain::{self, CELLS, Q, chain};
use support::{Quiet, config};

mod support;

/// Trains an agent and returns it.
fn learn<A: Action, E: Env<A> + 'static>(setup: &Setup, env: impl Fn() -> E + Sync) -> Agent {
    let dir = tempfile::tempdir().unwrap();
    let summary = train::<A, _>(setup, |_| Ok(Box::new(env())), dir.path(), None, &Quiet).unwrap();
    Checkpoint::load(&summary.checkpoint, setup).unwrap().into()
}

const GAMES: usize = 100;

/// Plays greedy episodes.
fn play<A: Action, E: Env<A> + 'static>(
    setup: &Setup,
    agent: &Agent,
    env: impl Fn() -> E + Sync,
) -> Vec<EvaluatedEpisode> {
    let how = Evaluation { episodes: GAMES, actors: 2, seed: 7, greedy: true };
    evaluate::<A, _>(setup, agent, |_| Ok(Box::new(env())), how, &Quiet, |_| Ok(())).unwrap()
}

/// Returns the mean return of greedy episodes after a run.
fn learned_return<A: Action, E: Env<A> + 'static>(setup: &Setup, env: impl Fn() -> E + Sync) -> f64 {
    let played = play(setup, &learn(setup, &env), &env);
    played.iter().map(|episode| episode.episode_return).sum::<f64>() / GAMES as f64
}

/// Returns settings that learn in a few thousand steps, by small mean squares in RMSProp's denominator. At so high a
/// learning rate a few runs in a hundred fail, depending on the order in which threads run; with one actor that order
/// is fixed. Several actors are tested by the endless rewards below, by `run.rs` and by `hogwild.rs`.
fn quick(algo: Algo, net: Net, total_steps: u64) -> TrainConfig {
    let mut config = config(algo, total_steps, 0.002);
    config.method.explore_anneal_steps = total_steps / 4;
    if algo == Algo::A2c {
        config.lr = 0.01; // its updates are fewer than ppo's, and averaged
    }
    TrainConfig { network: net.into(), rms_eps: 1e-3, actors: 1, target_interval_steps: 100, ..config }
}

/// Returns y in each cell of a chain, visited from the left.
fn walk(setup: &Setup, theta: &[f32], cells: usize) -> Vec<Vec<f32>> {
    let isa = Isa::detect().unwrap();
    let mut obs = Observations::new(setup.net.input(), 1);
    let mut tape = setup.net.tape(1);
    let mut state = vec![0.0; setup.net.state_len()];
    let mut step = |cell: usize| {
        let ObsMut::Vector(features) = obs.get_mut(0) else { panic!("a chain shows vectors") };
        features.fill(0.0);
        features[cell] = 1.0;
        tape.set_state(0, &state);
        setup.net.forward(isa, theta, (&obs, 0), &mut tape, 0);
        tape.state_into(1, &mut state);
        tape.y(0).to_vec()
    };
    (0..cells).map(&mut step).collect()
}

const GAMMA: f64 = 0.9;
/// Final epsilon of exploration on the chain. It is far from greedy, so that the methods' values differ clearly.
const EPS: f64 = 0.5;

/// Returns the setup of a chain whose actors all end with [`EPS`]. Actors otherwise draw their own, and theory has one
/// answer only if they are equal.
fn chain_setup(algo: Algo, net: Net, optimizer: OptimizerKind) -> Setup {
    let env = EnvSpec::new(chain().obs_spec(), ActionSpec::Discrete(2));
    let setup = |seed| {
        let lr = if optimizer == OptimizerKind::MomentumSgd { 0.02 } else { 0.003 };
        let config = TrainConfig { optimizer, seed, lr, t_max: TMax::Steps(3), ..quick(algo, net, 40_000) };
        Setup::new(config, env.clone()).unwrap()
    };
    let final_eps = |setup: &Setup, actor| {
        let algo = setup.config.method::<usize>(&mut setup.actor_rng(0, actor));
        algo.explore_eps(u64::MAX).map_or(EPS, f64::from)
    };
    let alike = |setup: &Setup| (0..setup.config.actors).all(|actor| final_eps(setup, actor) == EPS);
    (0..).map(setup).find(alike).unwrap()
}

/// Compares the values that a method has learned for the chain with those it converges to in theory.
///
/// The three value-based methods are 0.07 apart where they differ most. A recurrent network generalises across the ways
/// of reaching a cell.
fn check_chain(algo: Algo, net: Net, optimizer: OptimizerKind) {
    let what = format!("{algo:?} {net:?} {optimizer:?}");
    let setup = chain_setup(algo, net, optimizer);
    let agent = learn(&setup, chain);
    let y = walk(&setup, &agent.theta, CELLS);
    for episode in play(&setup, &agent, chain) {
        assert_eq!(episode.length_steps, CELLS as u64, "{what} does not walk straight to the goal: {y:?}");
    }
    if algo.row().has_policy {
        return check_v(&what, &y);
    }
    let (least, greatest) = q_in_theory(&setup);
    let tolerance = match (algo, net) {
        (Algo::OneStepQ, Net::Ff) => 0.01, // its target has no randomness
        _ => 0.05,
    };
    for (cell, action) in (0..CELLS).flat_map(|cell| [(cell, 0), (cell, 1)]) {
        let (q, low, high) = (f64::from(y[cell][action]), least[cell][action], greatest[cell][action]);
        let fits = low - tolerance < q && q < high + tolerance;
        assert!(fits, "{what}: Q({cell}, {action}) = {q}, but theory says {low:.3} to {high:.3}");
    }
}

/// Returns the least and greatest values in theory.
fn q_in_theory(setup: &Setup) -> (Q, Q) {
    let one = |q| (q, q);
    match setup.config.algo {
        Algo::OneStepQ => one(chain::q_optimal(GAMMA)),
        Algo::OneStepSarsa => one(chain::q_eps_greedy(GAMMA, EPS)),
        Algo::NStepQ => chain::q_n_step(GAMMA, EPS, setup.config.segment_steps(&setup.env), setup.net.state_len() > 0),
        Algo::A3c | Algo::A2c | Algo::Ppo => panic!("{} has no Q", setup.config.algo.name()),
    }
}

/// Compares A3C's V with the value of its own policy, which is nearly deterministic.
fn check_v(what: &str, y: &[Vec<f32>]) {
    let pi = std::array::from_fn(|cell| {
        let right = 1.0 / (1.0 + f64::from(y[cell][0] - y[cell][1]).exp());
        [1.0 - right, right]
    });
    let q = chain::q_of(GAMMA, pi);
    for cell in 0..CELLS {
        let (v, of_pi) = (f64::from(y[cell][2]), pi[cell][0] * q[cell][0] + pi[cell][1] * q[cell][1]);
        assert!((v - of_pi).abs() < 0.03, "{what}: V({cell}) = {v}, but its policy is worth {of_pi:.3}");
        assert!(pi[cell][1] > 0.9, "{what}: {pi:?}");
    }
}

#[test]
fn every_method_comes_to_the_values_theory_gives() {
    for algo in Algo::ALL {
        check_chain(algo, Net::Ff, OptimizerKind::SharedRmsProp);
    }
}

#[test]
fn so_does_every_method_with_a_memory() {
    for algo in Algo::ALL {
        check_chain(algo, Net::Lstm, OptimizerKind::SharedRmsProp);
    }
}

#[test]
fn so_does_every_method_with_every_optimizer() {
    for optimizer in OptimizerKind::ALL {
        for algo in Algo::ALL {
            check_chain(algo, Net::Ff, optimizer);
        }
    }
}

/// Trains each method with `net`; a policy that ignores the image loses two episodes in three.
fn catches_from_pixels(net: Net) {
    let env = || Catch::new(3, 12); // 36 pixels a side, the least for the network of 2015
    for algo in Algo::ALL {
        let spec = EnvSpec::new(env().obs_spec(), ActionSpec::Discrete(3));
        let setup = Setup::new(quick(algo, net, 4_000), spec).unwrap();
        let mean = learned_return(&setup, env);
        assert!(mean > 0.9, "{algo:?} {net:?}: mean return {mean}");
    }
}

#[test]
fn every_method_catches_from_pixels() {
    catches_from_pixels(Net::Ff);
}

#[test]
fn every_method_catches_from_pixels_with_a_memory() {
    catches_from_pixels(Net::Lstm);
}

#[test]
fn every_method_catches_from_pixels_with_the_network_of_2015() {
    catches_from_pixels(Net::Nature);
}

#[test]
fn every_method_catches_from_pixels_with_the_network_of_2015_and_a_memory() {
    catches_from_pixels(Net::NatureLstm);
}

/// Returns the mean return of an agent trained to recall a cue from four steps before.
fn recalled(algo: Algo, net: Net) -> f64 {
    let env = || Recall::new(3);
    let spec = EnvSpec::new(env().obs_spec(), ActionSpec::Discrete(2));
    let config = TrainConfig { t_max: TMax::Steps(5), gamma: 0.99, ..quick(algo, net, 10_000) };
    learned_return(&Setup::new(config, spec).unwrap(), env)
}

#[test]
fn only_a_network_with_a_memory_recalls_the_cue() {
    for algo in [Algo::A3c, Algo::NStepQ] {
        let lstm = recalled(algo, Net::Lstm);
        assert!(lstm > 0.9, "{algo:?}: mean return {lstm}");
        // Without a memory all episodes look alike at the question, so the answer is the same in all. The bound is five
        // standard deviations of a coin toss.
        let ff = recalled(algo, Net::Ff);
        assert!(ff.abs() < 0.5, "{algo:?} without a memory cannot have {ff}");
    }
}

/// Environment that pays `reward` forever and is ended by the time limit alone.
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

/// Returns the value learned in an environment that pays `reward` at every step.
fn value_of_forever(algo: Algo, reward: f32, change: impl FnOnce(&mut TrainConfig)) -> f32 {
    let env = EnvSpec::new(ObsSpec::Vector { len: 1 }, ActionSpec::Discrete(2));
    let mut config = config(algo, 60_000, 0.01);
    change(&mut config);
    let setup = Setup::new(config, env).unwrap();
    let agent = learn(&setup, || Forever { reward, steps: 0 });
    let y = &walk(&setup, &agent.theta, 1)[0];
    if algo == Algo::A3c { y[2] } else { y[policy::argmax(y)] }
}

#[test]
fn a_time_limit_is_not_death_the_value_of_an_endless_reward_is_its_geometric_sum() {
    for algo in Algo::ALL {
        let v = value_of_forever(algo, 1.0, |_| ());
        // 1 / (1 - 0.9) = 10. If truncation were terminal, no state could be worth more than 1 + ... + 0.9^6 = 5.2.
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
    let v = value_of_forever(Algo::A3c, 1.0, |config| config.method.lambda = 0.0);
    assert!((v - 10.0).abs() < 1.5, "{v}");
}

#[test]
fn values_grow_by_one_look_ahead_for_each_refresh_of_the_target() {
    let v = value_of_forever(Algo::OneStepQ, 1.0, |config| config.target_interval_steps = u64::MAX);
    // theta_target never changes, so Q = 1 + 0.9 max Q(theta_target), and a new network's Q is near 0.
    assert!((v - 1.0).abs() < 0.9, "{v}");
}
