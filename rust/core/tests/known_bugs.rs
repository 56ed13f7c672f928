//! Known bugs of other implementations, with the test that excludes each.
//!
//! | bug | test |
//! |---|---|
//! | the same seed in all workers | `run.rs`: every_actor_has_its_own_random_stream |
//! | LSTM state not reset at the end of an episode, or lost at the end of a segment |
//! the_state_is_carried_across_segments_and_reset_with_the_episode |
//! | evaluation shares or loses the state | evaluation_keeps_a_state_of_its_own |
//! | gradient detached at every step | `network.rs`:
//! the_state_before_a_segment_is_a_constant_and_every_step_of_it_counts |
//! | gradient assigned once, then stale or accumulated | a_gradient_does_not_depend_on_the_one_before |
//! | truncation treated as termination | `methods.rs`: a_time_limit_is_not_death |
//! | epsilon outside RMSProp's square root | `optimizer.rs`: eps_is_added_inside_the_square_root |
//! | clipped reward reported as score | the_score_is_raw_though_rewards_are_clipped_for_learning |
//! | dead workers unnoticed | `run.rs`: an_actor_that_panics_cannot_go_unnoticed |
//! | training with one worker where more were configured | every_actor_plays_and_is_in_the_log_with_its_own_exploration
//! |
//! | mean instead of sum over t_max | the_losses_of_a_segment_are_summed |
//! | a' of Sarsa drawn anew instead of taken | every_action_that_was_chosen_is_taken |
//! | target network never refreshed, or by several threads |
//! the_target_is_refreshed_once_for_each_multiple_of_its_interval |
//!
//! Two other known bugs cannot occur here: those of OMP threads (there are none), and float observations cast to bytes
//! (two types, one buffer each).

use a3crs_core::env::{ActionSpec, Chain, End, Env, EnvError, EnvSpec, Episode, ObsMut, ObsSpec, Recall, Step};
use a3crs_core::nn::{Init, Net, Observations};
use a3crs_core::rl::{ActorRng, Loss, Method, Sample};
use a3crs_core::shared::OptimizerKind;
use a3crs_core::train::Actor;
use a3crs_core::train::config::TMax;
use a3crs_core::train::log::ActorStats;
use a3crs_core::train::play::evaluate::{Evaluation, evaluate};
use a3crs_core::train::{ActorLearner, Agent, Algo, Setup, Shared, TrainConfig, train};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use support::{Quiet, config};

mod support;

/// Environment whose observation never changes. An episode is `episode_steps` long and ends as `end`. Records the
/// actions it receives.
struct Monotonous {
    episode_steps: u64,
    end: End,
    reward: f32,
    steps: u64,
    taken: Arc<Mutex<Vec<usize>>>,
}

impl Env<usize> for Monotonous {
    fn reset(&mut self, _: Option<u64>, obs: ObsMut<'_>) -> Result<(), EnvError> {
        self.steps = 0;
        show_ones(obs)
    }
    fn step(&mut self, action: usize, obs: ObsMut<'_>) -> Result<Step, EnvError> {
        self.taken.lock().unwrap().push(action);
        self.steps += 1;
        show_ones(obs)?;
        let over = self.steps == self.episode_steps;
        let episode_return = f64::from(self.reward) * self.steps as f64;
        Ok(Step {
            reward: self.reward,
            end: if over { self.end } else { End::No },
            episode: over.then_some(Episode { episode_return, length_steps: self.steps }),
        })
    }
}

fn show_ones(obs: ObsMut<'_>) -> Result<(), EnvError> {
    let ObsMut::Vector(features) = obs else { return Err("vectors only".into()) };
    features.fill(1.0);
    Ok(())
}

fn monotonous(episode_steps: u64, end: End) -> Monotonous {
    Monotonous { episode_steps, end, reward: 0.5, steps: 0, taken: Arc::default() }
}

const SPEC: EnvSpec = EnvSpec::new(ObsSpec::Vector { len: 2 }, ActionSpec::Discrete(3));

fn setup(algo: Algo, change: impl FnOnce(&mut TrainConfig)) -> Setup {
    let mut config = config(algo, 1_000_000, 0.0);
    change(&mut config);
    Setup::new(config, SPEC).unwrap()
}

/// Record of the outputs seen before each choice, and of the choices. Actions are random, and as in Sarsa the bootstrap
/// draws one, too.
#[derive(Default)]
struct Notes {
    seen: Vec<Vec<f32>>,
    chosen: Vec<usize>,
}

struct Noting(Arc<Mutex<Notes>>);

impl Method<usize> for Noting {
    fn lambda(&self) -> f32 {
        0.0
    }
    fn follows_policy(&self) -> bool {
        true
    }
    fn act(&self, y: &[f32], _: u64, rng: &mut ActorRng) -> usize {
        let action = rand::RngExt::random_range(rng, 0..3);
        let mut notes = self.0.lock().unwrap();
        notes.seen.push(y.to_vec());
        notes.chosen.push(action);
        action
    }
    fn value(&self, y: &[f32], next: Option<usize>) -> f32 {
        y[next.expect("the action taken next")]
    }
    fn grad(&self, _: &[f32], _: Sample<'_, usize>, dy: &mut [f32]) -> Loss {
        dy.fill(0.0);
        Loss::default()
    }
    fn greedy(&self, _: &[f32]) -> usize {
        0
    }
}

/// Returns the record of an actor over `segments` segments of `env`.
fn notes_of(setup: &Setup, env: Monotonous, segments: usize) -> Notes {
    let (shared, stats, notes) = (Shared::new(setup), ActorStats::default(), Arc::default());
    let (rng, method) = (setup.actor_rng(0, 0), Box::new(Noting(Arc::clone(&notes))));
    let mut learner = ActorLearner::new(setup, &shared, Actor { actor: 0, env, method, rng, stats: &stats });
    (0..segments).for_each(|_| assert!(learner.segment(&mut |_| ()).unwrap()));
    drop(learner);
    Arc::into_inner(notes).unwrap().into_inner().unwrap()
}

#[test]
fn the_state_is_carried_across_segments_and_reset_with_the_episode() {
    const EPISODE: usize = 7; // segments of 3, 3 and 1 steps
    for end in [End::Terminal, End::Truncated] {
        let setup =
            setup(Algo::OneStepSarsa, |config| (config.network.net, config.t_max) = (Net::Lstm, TMax::Steps(3)));
        let notes = notes_of(&setup, monotonous(EPISODE as u64, end), 9);
        // Reference: the network alone, from a state of 0, over an episode and its final observation.
        let (net, mut obs) = (&setup.net, Observations::new(setup.net.input(), EPISODE + 1));
        (0..=EPISODE).for_each(|t| show_ones(obs.get_mut(t)).unwrap());
        let mut tape = net.tape(EPISODE + 1);
        let theta = setup.initial_theta();
        let unrolled: Vec<Vec<f32>> = (0..=EPISODE)
            .map(|t| {
                net.forward(setup.isa, &theta, (&obs, t), &mut tape, t);
                tape.y(t).to_vec()
            })
            .collect();
        assert_ne!(unrolled[0], unrolled[1], "a state that changes nothing would prove nothing");
        // Each state is evaluated once to choose an action, including the final one of a truncated episode, but not a
        // terminal one.
        let looks = if end == End::Truncated { EPISODE + 1 } else { EPISODE };
        assert_eq!(notes.seen.len(), 3 * looks);
        for (i, y) in notes.seen.iter().enumerate() {
            assert_eq!(*y, unrolled[i % looks], "{end:?}: look {i}");
        }
    }
}

#[test]
fn every_action_that_was_chosen_is_taken() {
    let setup = setup(Algo::OneStepSarsa, |config| config.t_max = TMax::Steps(3));
    let env = monotonous(7, End::Terminal);
    let taken = Arc::clone(&env.taken);
    let notes = notes_of(&setup, env, 30);
    assert!(notes.chosen.len() > 60);
    let taken = taken.lock().unwrap();
    assert_eq!(*taken, notes.chosen[..taken.len()]);
    assert!(notes.chosen.len() - taken.len() <= 1, "only the last segment's a' may still wait for its turn");
}

#[test]
fn evaluation_keeps_a_state_of_its_own() {
    let env = || Recall::new(4);
    let spec = EnvSpec::new(env().obs_spec(), ActionSpec::Discrete(2));
    let mut config = config(Algo::A3c, 100, 0.0);
    config.network.net = Net::Lstm;
    let setup = Setup::new(config, spec).unwrap();
    let mut theta = setup.initial_theta();
    theta.iter_mut().for_each(|w| *w *= 8.0); // makes actions depend on the observation
    let agent = Agent { theta, observations: None };
    let played = |episodes, seed| {
        let how = Evaluation { episodes, actors: 1, seed, greedy: false };
        evaluate::<usize, _>(&setup, &agent, |_| Ok(Box::new(env())), how, &Quiet, |_| Ok(())).unwrap()
    };
    let together = played(40, 0);
    let alone: Vec<f64> = (0..40).map(|seed| played(1, seed)[0].episode_return).collect();
    assert_eq!(together.iter().map(|e| e.episode_return).collect::<Vec<_>>(), alone);
}

#[test]
fn a_gradient_does_not_depend_on_the_one_before() {
    let setup = setup(Algo::A3c, |config| config.network.net = Net::Lstm);
    let (net, mut obs) = (&setup.net, Observations::new(setup.net.input(), 2));
    let theta = net.layout().init(Init::Torch, |_| None, &mut setup.actor_rng(0, 0));
    let (mut tape, mut workspace) = (net.tape(2), net.workspace(2));
    let mut gradient = |features: [f32; 2], d: f32| {
        tape.set_state(0, &vec![0.0; net.state_len()]);
        for t in 0..2 {
            let ObsMut::Vector(x) = obs.get_mut(t) else { unreachable!() };
            x.copy_from_slice(&features);
            net.forward(setup.isa, &theta, (&obs, t), &mut tape, t);
            workspace.dy(t).fill(d);
        }
        net.backward(setup.isa, &theta, &obs, &tape, 2, &mut workspace).to_dense()
    };
    let first = gradient([1.0, -1.0], 1.0);
    let other = gradient([0.5, 2.0], -3.0);
    assert_ne!(first, other);
    assert_eq!(gradient([1.0, -1.0], 1.0), first);
}

/// Returns the change of theta in one segment of `t_max` equal steps, by plain gradient descent.
fn moved(t_max: usize) -> Vec<f32> {
    let setup = setup(Algo::OneStepQ, |config| {
        (config.t_max, config.lr, config.optimizer, config.momentum) =
            (TMax::Steps(t_max), 1e-3, OptimizerKind::MomentumSgd, 0.0);
        config.method.explore_anneal_steps = 0;
    });
    // Without exploration every action is the greedy one.
    let algo = Box::new(a3crs_core::rl::ValueBased::one_step_q(a3crs_core::rl::Exploration {
        final_eps: 0.0,
        anneal_steps: 0,
    }));
    let (shared, stats) = (Shared::new(&setup), ActorStats::default());
    let before = shared.parameters.snapshot().theta;
    let actor = Actor {
        actor: 0,
        env: monotonous(100, End::Terminal),
        method: algo,
        rng: setup.actor_rng(0, 0),
        stats: &stats,
    };
    ActorLearner::new(&setup, &shared, actor).segment(&mut |_| ()).unwrap();
    let after = shared.parameters.snapshot().theta;
    after.iter().zip(&before).map(|(after, before)| after - before).collect()
}

#[test]
fn the_losses_of_a_segment_are_summed() {
    let norm = |x: &[f32]| x.iter().map(|x| x * x).sum::<f32>().sqrt();
    let (one, four) = (norm(&moved(1)), norm(&moved(4)));
    assert!(one > 0.0 && (four / one - 4.0).abs() < 0.01, "one step moves {one}, four {four}");
}

#[test]
fn the_score_is_raw_though_rewards_are_clipped_for_learning() {
    let setup = setup(Algo::A3c, |config| (config.total_steps, config.reward_clip, config.lr) = (100, 0.1, 1e-3));
    let dir = tempfile::tempdir().unwrap();
    let env = |_| Ok(Box::new(monotonous(10, End::Terminal)) as Box<dyn Env<usize>>);
    let summary = train(&setup, env, dir.path(), None, &Quiet).unwrap();
    assert_eq!(summary.return_mean_100, Some(5.0)); // 10 steps of 0.5
}

#[test]
fn the_target_is_refreshed_once_for_each_multiple_of_its_interval() {
    let mut config = config(Algo::OneStepQ, 30_000, 1e-3);
    // A segment of several steps could reach two multiples if its thread slept between them.
    (config.actors, config.target_interval_steps, config.t_max) = (8, 100, TMax::Steps(1));
    let env = EnvSpec { actions: ActionSpec::Discrete(2), ..SPEC };
    let setup = Setup::new(config, env).unwrap();
    let shared = Shared::new(&setup);
    let stats: Vec<ActorStats> = (0..8).map(|_| ActorStats::default()).collect();
    std::thread::scope(|scope| {
        for (actor, stats) in stats.iter().enumerate() {
            let (setup, shared) = (&setup, &shared);
            scope.spawn(move || {
                let mut rng = setup.actor_rng(0, actor);
                let method = setup.config.method(&mut rng);
                let actor = Actor { actor, env: Chain::new(2, 10), method, rng, stats };
                ActorLearner::new(setup, shared, actor).run(|_| ()).unwrap();
            });
        }
    });
    assert_eq!(shared.parameters.target_refreshes(), shared.parameters.now() / 100);
}

#[test]
fn every_actor_plays_and_is_in_the_log_with_its_own_exploration() {
    let setup = setup(Algo::NStepQ, |config| {
        (config.actors, config.total_steps, config.method.explore_anneal_steps, config.lr) = (12, 20_000, 1_000, 1e-3);
    });
    let dir = tempfile::tempdir().unwrap();
    let env = |_| Ok(Box::new(monotonous(10, End::Terminal)) as Box<dyn Env<usize>>);
    train(&setup, env, dir.path(), None, &Quiet).unwrap();
    let text = std::fs::read_to_string(dir.path().join("episodes.jsonl")).unwrap();
    let rows: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let actors: HashSet<u64> = rows.iter().map(|row| row["actor"].as_u64().unwrap()).collect();
    assert_eq!(actors.len(), 12, "only {actors:?} played");
    let mut finals = HashSet::new();
    for row in &rows {
        let (steps, eps) = (row["steps"].as_u64().unwrap(), row["explore_eps"].as_f64().unwrap());
        assert!((0.01..=1.0).contains(&eps));
        if steps >= 1_000 {
            assert!([0.1, 0.01, 0.5].contains(&eps), "{eps} at step {steps}");
            finals.insert((row["actor"].as_u64().unwrap(), (eps * 100.0) as u64));
        }
    }
    assert_eq!(finals.len(), 12, "an actor changed its exploration: {finals:?}");
    assert!(finals.iter().map(|(_, eps)| eps).collect::<HashSet<_>>().len() > 1);
}
