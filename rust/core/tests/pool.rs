//! Rollouts across episodes, and learning from those of several actors in minibatches.

use a3crs_core::env::{ActionSpec, Chain, End, Env, EnvError, EnvSpec, ObsMut, ObsSpec, Step};
use a3crs_core::kernel::Isa;
use a3crs_core::nn::{Head, Init, Net, Network, Observations};
use a3crs_core::rl::{ActorRng, Loss, Method, Sample};
use a3crs_core::train::config::TMax;
use a3crs_core::train::log::{ActorStats, Stat};
use a3crs_core::train::{Actor, ActorLearner, Algo, Setup, Shared};
use rand::{RngExt, SeedableRng};
use std::sync::{Arc, Mutex};
use support::config;

mod support;

/// Environment whose episodes have 3 steps and end in turn at a terminal state and at a time limit; step i pays i.
#[derive(Default)]
struct InTurn {
    steps: u32,
    episodes: u32,
}

impl Env<usize> for InTurn {
    fn reset(&mut self, _: Option<u64>, obs: ObsMut<'_>) -> Result<(), EnvError> {
        self.steps = 0;
        self.episodes += 1;
        self.show(obs);
        Ok(())
    }

    fn step(&mut self, _: usize, obs: ObsMut<'_>) -> Result<Step, EnvError> {
        self.steps += 1;
        self.show(obs);
        let end = match (self.steps, self.episodes % 2) {
            (3, 1) => End::Terminal,
            (3, _) => End::Truncated,
            _ => End::No,
        };
        Ok(Step { reward: self.steps as f32, end, episode: None })
    }
}

impl InTurn {
    fn show(&self, obs: ObsMut<'_>) {
        let ObsMut::Vector(x) = obs else { panic!("a vector") };
        x.fill(self.steps as f32);
    }
}

/// Samples that were learned from: return, advantage, and the observation's value as the network saw it.
type Seen = Arc<Mutex<Vec<(f32, f32)>>>;

/// Method whose values are all 10; it notes its samples and learns nothing.
struct Ten {
    seen: Seen,
    passes: usize,
}

impl Method<usize> for Ten {
    fn passes(&self) -> usize {
        self.passes
    }
    fn lambda(&self) -> f32 {
        1.0
    }
    fn act(&self, _: &[f32], _: u64, _: &mut ActorRng) -> usize {
        1
    }
    fn value(&self, _: &[f32], _: Option<usize>) -> f32 {
        10.0
    }
    fn grad(&self, _: &[f32], step: Sample<'_, usize>, dy: &mut [f32]) -> Loss {
        self.seen.lock().unwrap().push((step.g, step.advantage));
        dy.fill(0.0);
        Loss::default()
    }
    fn greedy(&self, _: &[f32]) -> usize {
        0
    }
}

/// Plays and learns `segments` turns of one of two actors, who share a pool; returns the samples in the order of learning.
fn samples(net: Net, t_max: usize, segments: usize, passes: usize) -> (Vec<(f32, f32)>, f64) {
    let env = EnvSpec::new(ObsSpec::Vector { len: 2 }, ActionSpec::Discrete(2));
    let mut config = config(Algo::Ppo, 1_000, 1e-3);
    (config.t_max, config.gamma, config.network.net) = (TMax::Steps(t_max), 0.5, net);
    (config.reward_clip, config.method.minibatch_steps) = (0.0, 4);
    let setup = Setup::new(config, env).unwrap();
    let (shared, stats, seen) = (Shared::new(&setup), ActorStats::default(), Seen::default());
    let method = Box::new(Ten { seen: Arc::clone(&seen), passes });
    let actor = Actor { actor: 0, env: InTurn::default(), method, rng: setup.actor_rng(0, 0), stats: &stats };
    let mut learner = ActorLearner::new(&setup, &shared, actor);
    (0..segments).for_each(|_| assert!(learner.segment(&mut |_| ()).unwrap()));
    let seen = seen.lock().unwrap().clone();
    (seen, stats.sums().get(Stat::Steps))
}

#[test]
fn returns_stop_where_an_episode_ends_and_bootstrap_where_a_time_limit_cut_it() {
    // Episodes: 1 2 3 terminal, 1 2 3 cut (a value of 10 follows), 1 2 3 terminal, 1 (10 follows).
    let expected = [2.75, 3.5, 3.0, 4.0, 6.0, 8.0, 2.75, 3.5, 3.0, 6.0];
    for net in [Net::Ff, Net::Lstm] {
        let (mut seen, steps) = samples(net, 5, 2, 1);
        assert_eq!(steps, 10.0, "{net:?}");
        // The first rollout ends after 1 2 3 1 2, the second goes on with the 3.
        let mut expected = expected;
        (expected[3], expected[4]) = (1.0 + 0.5 * (2.0 + 0.5 * 10.0), 2.0 + 0.5 * 10.0);
        let by_return = |a: &(f32, f32), b: &(f32, f32)| a.0.total_cmp(&b.0);
        seen.sort_by(by_return);
        expected.sort_by(f32::total_cmp);
        let returns: Vec<f32> = seen.iter().map(|(g, _)| *g).collect();
        assert_eq!(returns, expected, "{net:?}");
    }
}

#[test]
fn each_pass_learns_from_every_step_of_the_pool_once_in_another_order() {
    let (seen, steps) = samples(Net::Ff, 8, 2, 3);
    assert_eq!((seen.len(), steps), (3 * 16, 16.0), "a step counts once");
    let passes: Vec<Vec<f32>> = seen.chunks(16).map(|pass| pass.iter().map(|(g, _)| *g).collect()).collect();
    let sorted = |pass: &[f32]| {
        let mut pass = pass.to_vec();
        pass.sort_by(f32::total_cmp);
        pass
    };
    assert!(passes.iter().all(|pass| sorted(pass) == sorted(&passes[0])));
    assert!(passes[0] != passes[1] && passes[1] != passes[2]);
}

#[test]
fn an_actor_that_does_not_complete_its_pool_leaves_the_learning_to_another() {
    assert!(samples(Net::Ff, 8, 1, 3).0.is_empty());
}

#[test]
fn sequences_side_by_side_are_as_sequences_alone() {
    let mut rng = ActorRng::seed_from_u64(3);
    let net = Network::new(Net::Lstm, &ObsSpec::Vector { len: 3 }, &[Head { name: "q", outputs: 2 }]).unwrap();
    let theta = net.layout().init(Init::Torch, |_| None, &mut rng);
    let isa = Isa::available()[0];
    let lens = [4, 1, 6];
    let total: usize = lens.iter().sum();
    let mut obs = Observations::new(net.input(), total + 1);
    for t in 0..total {
        let ObsMut::Vector(x) = obs.get_mut(t) else { panic!("a vector") };
        x.iter_mut().for_each(|x| *x = rng.random_range(-1.0..1.0));
    }
    let states: Vec<Vec<f32>> =
        lens.iter().map(|_| (0..net.state_len()).map(|_| rng.random_range(-1.0..1.0)).collect()).collect();
    let (mut tape, mut workspace) = (net.tape(total + 1), net.workspace(total));
    // As it is left by another batch, whose sequences started elsewhere.
    tape.set_state(2, &states[0]);
    tape.forget_states();
    let mut first = 0;
    for (len, state) in lens.iter().zip(&states) {
        tape.set_state(first, state);
        first += len;
    }
    net.forward_all(isa, &theta, &obs, &mut tape, total);
    (0..total).for_each(|t| workspace.dy(t).fill(0.3 + 0.1 * t as f32));
    let together = net.backward(isa, &theta, &obs, &tape, total, &mut workspace).to_dense();

    let (mut alone, mut first) = (vec![0.0; together.len()], 0);
    for (&len, state) in lens.iter().zip(&states) {
        let (mut own_obs, mut own, mut workspace) =
            (Observations::new(net.input(), len), net.tape(len + 1), net.workspace(len));
        own.set_state(0, state);
        for t in 0..len {
            own_obs.copy(t, &obs, first + t);
            net.forward(isa, &theta, (&own_obs, t), &mut own, t);
            let close = own.y(t).iter().zip(tape.y(first + t)).all(|(a, b)| (a - b).abs() < 1e-5);
            assert!(close, "step {t} of the sequence at {first}: {:?} {:?}", own.y(t), tape.y(first + t));
            workspace.dy(t).fill(0.3 + 0.1 * (first + t) as f32);
        }
        let gradient = net.backward(isa, &theta, &own_obs, &own, len, &mut workspace).to_dense();
        alone.iter_mut().zip(gradient).for_each(|(sum, d)| *sum += d);
        first += len;
    }
    let most = alone.iter().fold(0.0f32, |most, d| most.max(d.abs()));
    for (i, (a, b)) in together.iter().zip(&alone).enumerate() {
        assert!((a - b).abs() < 1e-5 * most, "parameter {i}: {a} {b}");
    }
}

#[test]
fn a_rollout_longer_than_the_tape_of_acting_is_played_on() {
    let chain = Chain::new(5, 200);
    let env = EnvSpec::new(chain.obs_spec(), ActionSpec::Discrete(2));
    for net in [Net::Ff, Net::Lstm] {
        let mut config = config(Algo::Ppo, 10_000, 1e-3);
        (config.t_max, config.network.net, config.actors, config.method.pool) = (TMax::Steps(100), net, 1, 1);
        let setup = Setup::new(config, env.clone()).unwrap();
        let (shared, stats) = (Shared::new(&setup), ActorStats::default());
        let method = setup.config.method::<usize>(&mut setup.actor_rng(0, 0));
        let actor = Actor { actor: 0, env: Chain::new(5, 200), method, rng: setup.actor_rng(0, 0), stats: &stats };
        let mut learner = ActorLearner::new(&setup, &shared, actor);
        learner.segment(&mut |_| ()).unwrap();
        let sums = stats.sums();
        assert_eq!(sums.get(Stat::Steps), 100.0);
        // In the first minibatch pi is the one that acted: what is computed anew must be what was computed while acting.
        assert!(sums.get(Stat::Kl) / sums.get(Stat::Weight) < 0.05, "{net:?}: {}", sums.get(Stat::Kl));
    }
}
