//! Methods with several passes over a segment: each pass learns, and sees the output under which each action was taken.

use a3crs_core::env::{ActionSpec, Chain, EnvSpec};
use a3crs_core::nn::Net;
use a3crs_core::rl::{ActorRng, Loss, Method, Sample};
use a3crs_core::train::log::{ActorStats, Stat};
use a3crs_core::train::{Actor, ActorLearner, Algo, Setup, Shared};
use std::sync::{Arc, Mutex};
use support::config;

mod support;

const PASSES: usize = 3;

/// Output of each step in each pass, and the output at the time of the action.
type Seen = Arc<Mutex<Vec<(Vec<f32>, Vec<f32>)>>>;

/// Method that regresses all outputs on 1.
struct ToOne(Seen);

impl Method<usize> for ToOne {
    fn passes(&self) -> usize {
        PASSES
    }
    fn lambda(&self) -> f32 {
        1.0
    }
    fn act(&self, _: &[f32], _: u64, _: &mut ActorRng) -> usize {
        1
    }
    fn value(&self, y: &[f32], _: Option<usize>) -> f32 {
        y[0]
    }
    fn grad(&self, y: &[f32], step: Sample<'_, usize>, dy: &mut [f32]) -> Loss {
        self.0.lock().unwrap().push((y.to_vec(), step.acted.to_vec()));
        dy.iter_mut().zip(y).for_each(|(dy, y)| *dy = y - 1.0);
        Loss::new(0.0, error(y), 0.0)
    }
    fn greedy(&self, _: &[f32]) -> usize {
        1
    }
}

fn error(y: &[f32]) -> f32 {
    y.iter().map(|y| (y - 1.0).powi(2)).sum()
}

#[test]
fn every_pass_learns_from_the_same_steps_under_a_newer_theta() {
    for net in [Net::Ff, Net::Lstm] {
        let chain = Chain::new(2, 20);
        let env = EnvSpec::new(chain.obs_spec(), ActionSpec::Discrete(2));
        let mut config = config(Algo::A3c, 100, 1e-3);
        config.network.net = net;
        let setup = Setup::new(config, env).unwrap();
        let (shared, stats, seen) = (Shared::new(&setup), ActorStats::default(), Seen::default());
        let (method, rng) = (Box::new(ToOne(Arc::clone(&seen))), setup.actor_rng(0, 0));
        let mut learner =
            ActorLearner::new(&setup, &shared, Actor { actor: 0, env: chain, method, rng, stats: &stats });
        learner.segment(&mut |_| ()).unwrap();

        let seen = seen.lock().unwrap();
        let n = seen.len() / PASSES;
        assert!(n > 0 && stats.sums().get(Stat::Steps) == n as f64);
        assert_eq!(shared.parameters.updates(), PASSES as u64, "each pass updates theta");
        let passes: Vec<_> = seen.chunks_exact(n).collect();
        assert!(passes[0].iter().all(|(y, acted)| y == acted), "{net:?}: the first pass is that of the acting");
        for pair in passes.windows(2) {
            let errors = [0, 1].map(|i| pair[i].iter().map(|(y, _)| error(y)).sum::<f32>());
            assert!(errors[1] < errors[0], "{net:?}: a pass does not see what the one before has learned: {errors:?}");
            assert!(pair[1].iter().zip(pair[0]).all(|(now, before)| now.1 == before.1), "{net:?}: acted has changed");
        }
        let mean = passes.iter().flat_map(|pass| pass.iter()).map(|(y, _)| f64::from(error(y))).sum::<f64>();
        let logged = stats.sums().get(Stat::ValueLoss);
        assert!((logged - mean / PASSES as f64).abs() < 1e-6, "{net:?}: {logged}, not {mean} / {PASSES}");
    }
}
