//! Continuous actions (section 9) and the settings they need: whole episodes, normalised observations, scaled rewards.

use a3crs_core::env::{ActionSpec, Aim, End, Env, EnvError, EnvSpec, Episode, ObsMut, ObsSpec, Step};
use a3crs_core::nn::Net;
use a3crs_core::rl::{ActionVector, Covariance};
use a3crs_core::train::config::{RewardScale, Running, TMax, Whole};
use a3crs_core::train::play::evaluate::{Evaluation, evaluate};
use a3crs_core::train::save::restored;
use a3crs_core::train::{Agent, Algo, Checkpoint, Setup, TrainConfig, train};
use support::{Quiet, config};

mod support;

const TIME_LIMIT: u64 = 10;
const GAMES: usize = 20;

fn aim() -> Aim {
    Aim::new(2, TIME_LIMIT)
}

/// Returns a setup of one actor, whose updates have one order. Other tests cover several actors.
fn setup(env: &Aim, change: impl FnOnce(&mut TrainConfig)) -> Setup {
    let mut config = TrainConfig { actors: 1, rms_eps: 1e-3, reward_clip: 0.0, ..config(Algo::A3c, 60_000, 3e-3) };
    (config.gamma, config.method.entropy_beta) = (0.0, 1e-4); // the next observation does not depend on the action
    change(&mut config);
    Setup::new(config, env.spec()).unwrap()
}

/// Returns the mean return of greedy episodes after a run. An action that is always 0 has -20/3.
fn learned_return(setup: &Setup, env: &Aim) -> f64 {
    let dir = tempfile::tempdir().unwrap();
    let make = |_| Ok(Box::new(env.clone()) as Box<dyn Env<ActionVector>>);
    let summary = train(setup, make, dir.path(), None, &Quiet).unwrap();
    let agent = Checkpoint::load(&summary.checkpoint, setup).unwrap().into();
    mean_return(setup, &agent, env)
}

fn mean_return(setup: &Setup, agent: &Agent, env: &Aim) -> f64 {
    let how = Evaluation { episodes: GAMES, actors: 1, seed: 3, greedy: true };
    let make = |_| Ok(Box::new(env.clone()) as Box<dyn Env<ActionVector>>);
    let played = evaluate(setup, agent, make, how, &Quiet, |_| Ok(())).unwrap();
    played.iter().map(|episode| episode.episode_return).sum::<f64>() / GAMES as f64
}

#[test]
fn either_gaussian_with_either_network_learns_to_aim() {
    for gaussian in [Covariance::Spherical, Covariance::Diagonal] {
        for net in [Net::Ff, Net::Lstm] {
            let setup = setup(&aim(), |config| (config.method.gaussian, config.network.net) = (gaussian, net));
            let mean = learned_return(&setup, &aim());
            assert!(mean > -0.5, "{gaussian:?} {net:?}: {mean}");
        }
    }
}

#[test]
fn whole_episodes_teach_it_too() {
    let setup = setup(&aim(), |config| config.t_max = TMax::Whole(Whole::Episode));
    let mean = learned_return(&setup, &aim());
    assert!(mean > -0.5, "{mean}");
}

#[test]
fn what_lies_far_from_0_is_learned_from_where_it_is_normalised() {
    let far = aim().seen_as(1e-2, 50.0);
    let mean = |normalize_obs| learned_return(&setup(&far, |config| config.normalize_obs = normalize_obs), &far);
    let (raw, normalised) = (mean(false), mean(true));
    assert!(normalised > -0.5, "{normalised}");
    assert!(raw < -3.0, "as they are, differences of a hundredth should be hard to see: {raw}");
}

/// Environment that pays `reward` at each of seven steps.
struct Seven {
    reward: f32,
    steps: u64,
}

impl Env<ActionVector> for Seven {
    fn reset(&mut self, _: Option<u64>, obs: ObsMut<'_>) -> Result<(), EnvError> {
        self.steps = 0;
        let ObsMut::Vector(x) = obs else { return Err("vectors only".into()) };
        x.fill(1.0);
        Ok(())
    }
    fn step(&mut self, _: ActionVector, obs: ObsMut<'_>) -> Result<Step, EnvError> {
        let ObsMut::Vector(x) = obs else { return Err("vectors only".into()) };
        x.fill(1.0);
        self.steps += 1;
        let is_over = self.steps == 7;
        let episode = Episode { episode_return: 7.0 * f64::from(self.reward), length_steps: 7 };
        let end = if is_over { End::Truncated } else { End::No };
        Ok(Step { reward: self.reward, end, episode: is_over.then_some(episode) })
    }
}

/// Returns the value learned in an environment whose episodes end only by the time limit.
fn value_of_seven(reward: f32, change: impl FnOnce(&mut TrainConfig)) -> f32 {
    let spec = EnvSpec { max_episode_steps: Some(7), ..Aim::new(1, 7).spec() };
    let mut config = TrainConfig { reward_clip: 0.0, ..config(Algo::A3c, 60_000, 0.01) };
    change(&mut config);
    let setup = Setup::new(config, spec).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let make = |_| Ok(Box::new(Seven { reward, steps: 0 }) as Box<dyn Env<ActionVector>>);
    let summary = train(&setup, make, dir.path(), None, &Quiet).unwrap();
    let theta = Checkpoint::load(&summary.checkpoint, &setup).unwrap().parameters.theta;
    let (mut obs, mut tape) = (a3crs_core::nn::Observations::new(&ObsSpec::Vector { len: 1 }, 1), setup.net.tape(1));
    let ObsMut::Vector(x) = obs.get_mut(0) else { unreachable!() };
    x.fill(1.0);
    setup.net.forward(setup.isa, &theta, (&obs, 0), &mut tape, 0);
    *tape.y(0).last().unwrap()
}

#[test]
fn segments_bootstrap_from_where_a_time_limit_cut_and_whole_episodes_do_not() {
    let segments = value_of_seven(1.0, |_| ());
    assert!((segments - 10.0).abs() < 1.0, "1 + 0.9 + 0.81 + ... = 10, not {segments}");
    // The seven states look alike: their returns are 1, 1.9, ... 5.2, on average 3.3.
    let episodes = value_of_seven(1.0, |config| config.t_max = TMax::Whole(Whole::Episode));
    assert!((episodes - 3.29).abs() < 0.4, "{episodes}");
}

#[test]
fn means_stay_near_where_actions_are_not_clipped_if_they_are_held() {
    // Targets lie at up to 3, so means that are not bounded move there.
    let far = aim().times(3.0);
    let reach = |bound_coef| {
        let setup = setup(&far, |config| (config.method.bound_coef, config.max_grad_norm) = (bound_coef, 2.0));
        learned_return(&setup, &far)
    };
    let (free, held) = (reach(0.0), reach(100.0));
    // Means that stay within 1, for points from U(-3, 3), have a mean squared error of (1 / 6) * 2 * 8 / 3 = 8/9 in
    // each coordinate.
    assert!(free > -3.0 && (held + 20.0 * 8.0 / 9.0).abs() < 4.0, "free {free}, held {held}");
}

#[test]
fn rewards_are_scaled_and_then_clipped() {
    let half = value_of_seven(3.0, |config| config.reward_scale = RewardScale::By(0.5));
    assert!((half - 15.0).abs() < 1.5, "{half}");
    let clipped = value_of_seven(3.0, |config| {
        (config.reward_scale, config.reward_clip) = (RewardScale::By(0.5), 1.0);
    });
    assert!((clipped - 10.0).abs() < 1.0, "{clipped}");
    let running = |reward| {
        value_of_seven(reward, |config| {
            (config.reward_scale, config.reward_clip) = (RewardScale::Running(Running::Running), 10.0);
        })
    };
    let (small, large) = (running(0.01), running(100.0));
    assert!((small / large - 1.0).abs() < 0.1, "running scales do not depend on the unit: {small} {large}");
}

#[test]
fn statistics_are_saved_and_gone_on_with() {
    let (env, dir) = (aim(), tempfile::tempdir().unwrap());
    let short = setup(&env, |config| {
        (config.normalize_obs, config.total_steps) = (true, 1_000);
        config.reward_scale = RewardScale::Running(Running::Running);
    });
    let make = |_| Ok(Box::new(aim()) as Box<dyn Env<ActionVector>>);
    let summary = train(&short, make, dir.path(), None, &Quiet).unwrap();
    let saved = Checkpoint::load(&summary.checkpoint, &short).unwrap();
    let (seen, paid) = (saved.observations.clone().unwrap(), saved.returns.clone().unwrap());
    // The first observation of each episode is counted, too.
    assert_eq!(seen.count, (summary.steps + summary.episodes) as f64);
    assert_eq!(paid.count, summary.steps as f64);
    assert!(seen.m2.iter().all(|m2| (m2 / seen.count - 1.0 / 3.0).abs() < 0.05), "the variance of U(-1, 1): {seen:?}");
    let again = restored(&short, &saved);
    assert_eq!(again.observations.unwrap().get(), seen);
    assert_eq!(again.returns.unwrap().get(), paid);
    let older = Checkpoint { observations: None, ..saved.clone() };
    assert!(restored(&short, &older).observations.is_none(), "a run that did without normalisation goes on without");
    // The same parameters without the statistics act differently.
    let with = mean_return(&short, &saved.clone().into(), &env.clone().seen_as(3.0, 1.0));
    let without = Agent { observations: None, ..Agent::from(saved) };
    assert_ne!(with, mean_return(&short, &without, &env.seen_as(3.0, 1.0)));
}

#[test]
fn what_cannot_be_is_refused() {
    let refused = |change: &dyn Fn(&mut TrainConfig), spec: EnvSpec| {
        let mut config = config(Algo::A3c, 100, 1e-3);
        change(&mut config);
        Setup::new(config, spec).err().map(|error| error.to_string()).unwrap_or_default()
    };
    let q = refused(&|config| config.algo = Algo::NStepQ, aim().spec());
    assert_eq!(q, "n-step-q chooses among actions, but the environment's are continuous: use algo a3c or a2c or ppo");
    let endless = EnvSpec { max_episode_steps: None, ..aim().spec() };
    let whole = |config: &mut TrainConfig| config.t_max = TMax::Whole(Whole::Episode);
    assert!(refused(&whole, endless).starts_with("the environment's episodes have no time limit"));
    assert_eq!(refused(&whole, aim().spec()), "");
    let spec = |dims| EnvSpec::new(ObsSpec::Vector { len: 2 }, ActionSpec::Continuous { dims });
    assert_eq!(refused(&|_| (), spec(64)), "");
    let many = refused(&|_| (), spec(65));
    assert_eq!(many, "the environment's actions have 65 components, but there can be 64 at most");
    let scale = |config: &mut TrainConfig| config.reward_scale = RewardScale::By(0.0);
    assert_eq!(refused(&scale, aim().spec()), "reward_scale must be positive");
}

#[test]
fn a_checkpoint_of_another_gaussian_is_refused() {
    let (env, dir) = (aim(), tempfile::tempdir().unwrap());
    let of = |gaussian| setup(&env, |config| (config.method.gaussian, config.total_steps) = (gaussian, 100));
    let make = |_| Ok(Box::new(aim()) as Box<dyn Env<ActionVector>>);
    let summary = train(&of(Covariance::Spherical), make, dir.path(), None, &Quiet).unwrap();
    let other = of(Covariance::Diagonal);
    let error = train(&other, make, dir.path(), Some(&summary.checkpoint), &Quiet).unwrap_err().to_string();
    assert!(error.ends_with("it is of a spherical gaussian, this run has a diagonal one"), "{error}");
}
