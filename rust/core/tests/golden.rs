//! Forward pass, loss and gradient of every network against an independent implementation. `tests/golden/generate.py`
//! documents the origin of the numbers. This file computes parameters, observations, actions and returns by the same
//! hash.

use a3crs_core::env::{ActionSpec, EnvSpec, ObsMut, ObsSpec};
use a3crs_core::kernel::Isa;
use a3crs_core::nn::{NetSpec, Network, Observations};
use a3crs_core::rl::{
    A3c, ActionVector, Covariance, Exploration, GaussianA3c, Loss, Method, MethodSettings, Ppo, Sample, ValueBased,
};
use a3crs_core::train::{Algo, Setup, TrainConfig};
use serde::Deserialize;
use std::collections::HashMap;
use support::config;

mod support;

const STEPS: usize = 5;
const ACTIONS: usize = 6;
const DIMS: usize = 3;
/// Relative error allowed for f32 against float64.
const TOLERANCE: f64 = 1e-4;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    #[serde(flatten)]
    network: NetSpec,
    obs: Vec<usize>,
    method: String,
    y: Vec<Vec<f64>>,
    /// h and c of each trunk after the last step; empty for a network without LSTM.
    state: Vec<Summary>,
    /// Policy loss, value loss and entropy.
    losses: [f64; 3],
    gradients: HashMap<String, Summary>,
}

impl Case {
    fn gaussian(&self) -> Option<Covariance> {
        match self.method.as_str() {
            "a3c-spherical" => Some(Covariance::Spherical),
            "a3c-diagonal" | "ppo-diagonal" => Some(Covariance::Diagonal),
            _ => None,
        }
    }

    /// Computes the loss of step `t`. `action` is used for discrete actions only.
    fn grad(&self, y: &[f32], t: usize, action: usize, g: f32, dy: &mut [f32]) -> Loss {
        let (lambda, entropy_beta, value_coef, bound_coef) = (1.0, 0.01, 0.5, 0.0);
        let is_ppo = self.method.starts_with("ppo");
        let acted: Vec<f32> = uniform(&format!("acted{t}"), 0.5).take(y.len()).collect();
        let acted = if is_ppo { &acted } else { y };
        let advantage = uniform("advantages", 2.0).nth(t).unwrap();
        if let Some(covariance) = self.gaussian() {
            let name = format!("action{t}");
            let mut components = uniform(&name, 1.0);
            let a = ActionVector::from_fn(DIMS, |_| components.next().unwrap());
            let policy = GaussianA3c { covariance, lambda, entropy_beta, value_coef, bound_coef };
            let step = Sample { acted, a, g, advantage };
            return if is_ppo { ppo(policy).grad(y, step, dy) } else { policy.grad(y, step, dy) };
        }
        let method: Box<dyn Method<usize>> = match self.method.as_str() {
            "q" => Box::new(ValueBased::one_step_q(Exploration { final_eps: 0.0, anneal_steps: 0 })),
            "ppo" => Box::new(ppo(A3c { lambda, entropy_beta, value_coef })),
            _ => Box::new(A3c { lambda, entropy_beta, value_coef }),
        };
        method.grad(y, Sample { acted, a: action, g, advantage }, dy)
    }

    /// Builds the network as a run would.
    fn network(&self) -> Network {
        let obs = match self.obs[..] {
            [channels, height, width] => ObsSpec::Image { channels, height, width },
            _ => ObsSpec::Vector { len: self.obs[0] },
        };
        let (algo, gaussian) = match self.method.as_str() {
            "q" => (Algo::NStepQ, None),
            _ => (Algo::A3c, self.gaussian()),
        };
        let actions = gaussian.map_or(ActionSpec::Discrete(ACTIONS), |_| ActionSpec::Continuous { dims: DIMS });
        let mut config = TrainConfig { network: self.network.clone(), ..config(algo, 1, 1e-3) };
        config.method.gaussian = gaussian.unwrap_or(config.method.gaussian);
        Setup::new(config, EnvSpec::new(obs, actions)).unwrap().net
    }
}

/// PPO as the script has it.
fn ppo<P>(policy: P) -> Ppo<P> {
    let settings = MethodSettings { clip_range: 0.2, value_clip_range: 0.3, ..config(Algo::Ppo, 1, 1e-3).method };
    Ppo::new(policy, &settings)
}

/// Part of a tensor that is kept.
#[derive(Deserialize)]
struct Summary {
    sum: f64,
    norm: f64,
    /// Positions and values of some elements.
    elements: Vec<(usize, f64)>,
}

/// Generates splitmix64 numbers that start at the FNV-1a hash of a name.
fn hashed(name: &str) -> impl Iterator<Item = u64> {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let start = name.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    (1u64..).map(move |i| {
        let z = start.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

fn uniform(name: &str, bound: f64) -> impl Iterator<Item = f32> {
    hashed(name).map(move |hash| (((hash >> 40) as f64 / f64::from(1 << 23) - 1.0) * bound) as f32)
}

/// Results of one case on one instruction set.
struct Computed {
    y: Vec<Vec<f32>>,
    state: Vec<f32>,
    losses: [f64; 3],
    d_theta: Vec<f32>,
}

fn compute(case: &Case, net: &Network, isa: Isa) -> Computed {
    let mut theta = vec![0.0; net.layout().len()];
    for param in &net.layout().params {
        let fan_in = if param.name.contains("lstm.") {
            param.shape[0] / 4
        } else if param.name == "policy.log_sigma" {
            1
        } else {
            let weight = param.name.replace(".bias", ".weight");
            net.layout().params.iter().find(|p| p.name == weight).unwrap().shape[1..].iter().product()
        };
        let values: Vec<f32> = uniform(&param.name, 1.0 / (fan_in as f64).sqrt()).take(param.len()).collect();
        param.import(&values, &mut theta);
    }
    let mut obs = Observations::new(net.input(), STEPS);
    for t in 0..STEPS {
        let name = format!("obs{t}");
        match obs.get_mut(t) {
            ObsMut::Image(bytes) => bytes.iter_mut().zip(hashed(&name)).for_each(|(byte, h)| *byte = (h >> 56) as u8),
            ObsMut::Vector(x) => x.iter_mut().zip(uniform(&name, 1.0)).for_each(|(x, value)| *x = value),
        }
    }
    let prefixes: &[_] = if case.gaussian().is_some() { &["policy.", "value."] } else { &[""] };
    let cells = net.state_len() / 2 / prefixes.len();
    let parts = prefixes.iter().flat_map(|prefix| ["h", "c"].map(|part| format!("{prefix}{part}")));
    let mut state: Vec<f32> = parts.flat_map(|name| uniform(&name, 1.0).take(cells).collect::<Vec<_>>()).collect();
    let (mut tape, mut workspace) = (net.tape(STEPS + 1), net.workspace(STEPS));
    tape.set_state(0, &state);
    let (mut y, mut losses) = (Vec::new(), [0.0; 3]);
    for (t, (action, g)) in hashed("actions").zip(uniform("returns", 2.0)).take(STEPS).enumerate() {
        net.forward(isa, &theta, (&obs, t), &mut tape, t);
        let loss = case.grad(tape.y(t), t, (action % ACTIONS as u64) as usize, g, workspace.dy(t));
        for (sum, part) in losses.iter_mut().zip([loss.policy, loss.value, loss.entropy]) {
            *sum += f64::from(part);
        }
        y.push(tape.y(t).to_vec());
    }
    tape.state_into(STEPS, &mut state);
    let d_theta = net.backward(isa, &theta, &obs, &tape, STEPS, &mut workspace).to_dense();
    Computed { y, state, losses, d_theta }
}

/// Asserts `|a - b| <= 1e-4 scale`, which fails for NaN.
fn assert_close(what: &str, a: f64, b: f64, scale: f64) {
    assert!((a - b).abs() <= TOLERANCE * scale, "{what}: {a}, but PyTorch has {b} (scale {scale})");
}

fn norm(x: &[f32]) -> f64 {
    x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt()
}

/// Compares elements relative to their own size or the root mean square of all, whichever is larger.
fn assert_summary(what: &str, x: &[f32], golden: &Summary) {
    let root = (x.len() as f64).sqrt();
    assert_close(&format!("{what}, norm"), norm(x), golden.norm, golden.norm);
    // The sum of the absolute values is at most this scale.
    assert_close(&format!("{what}, sum"), x.iter().map(|x| f64::from(*x)).sum(), golden.sum, golden.norm * root);
    for (i, element) in &golden.elements {
        let scale = element.abs().max(golden.norm / root);
        assert_close(&format!("{what} [{i}]"), f64::from(x[*i]), *element, scale);
    }
}

fn check(case: &Case, isa: Isa) {
    let NetSpec { net, hidden, activation, cells } = &case.network;
    let chosen = format!("{} {hidden:?} {activation:?} {cells}", net.entry().name);
    let what = format!("{chosen} {:?} {} {}", case.obs, case.method, isa.name());
    let net = case.network();
    let computed = compute(case, &net, isa);
    for (t, (y, golden)) in computed.y.iter().zip(&case.y).enumerate() {
        assert_eq!(y.len(), golden.len());
        let scale = norm(y);
        for (y, golden) in y.iter().zip(golden) {
            assert_close(&format!("{what} y of step {t}"), f64::from(*y), *golden, scale);
        }
    }
    assert_eq!(case.state.is_empty(), net.state_len() == 0, "{what}: state");
    for (part, golden) in
        computed.state.chunks_exact((net.state_len() / case.state.len().max(1)).max(1)).zip(&case.state)
    {
        assert_summary(&format!("{what} state"), part, golden);
    }
    for (loss, golden) in computed.losses.iter().zip(&case.losses) {
        assert_close(&format!("{what} loss"), *loss, *golden, golden.abs());
    }
    assert_eq!(case.gradients.len(), net.layout().params.len(), "{what}: tensors");
    for param in &net.layout().params {
        let what = format!("{what} gradient by {}", param.name);
        assert_summary(&what, &param.export(&computed.d_theta), &case.gradients[&param.name]);
    }
}

#[test]
fn outputs_losses_and_gradients_are_pytorchs() {
    let golden: Golden = serde_json::from_str(include_str!("../../../tests/golden/golden.json")).unwrap();
    assert_eq!(golden.cases.len(), 25);
    for case in &golden.cases {
        for isa in Isa::available() {
            check(case, isa);
        }
    }
}
