//! The whole network against its textbook twin in f64: forward, and gradients that are finite differences.

use a3crs_core::env::{ObsMut, ObsRef, ObsSpec};
use a3crs_core::kernel::activation::Activation::{Identity, Relu};
use a3crs_core::kernel::conv2d::Conv2dShape;
use a3crs_core::kernel::linear::LinearShape;
use a3crs_core::kernel::{Isa, naive, pad};
use a3crs_core::nn::{Head, Net, Network, Observations};
use a3crs_core::rl::ActorRng;
use rand::{RngExt, SeedableRng};

const STEPS: usize = 3;
const OUTPUTS: usize = 4;
const HEADS: &[Head] = &[Head { name: "policy", outputs: 3 }, Head { name: "value", outputs: 1 }];

/// theta cut into tensors by the naive twin's own count, so that a wrong offset shows.
struct Cut<'a> {
    theta: &'a [f64],
}

impl<'a> Cut<'a> {
    fn take(&mut self, n: usize) -> &'a [f64] {
        let (head, tail) = self.theta.split_at(pad(n));
        self.theta = tail;
        &head[..n]
    }
}

/// `y` of an image in f64, straight from section 8.
fn image_network(theta: &[f64], (channels, side): (usize, usize), bytes: &[u8]) -> Vec<f64> {
    let mut cut = Cut { theta };
    let conv1 = Conv2dShape { in_h: side, in_w: side, in_c: channels, out_c: 16, kernel: 8, stride: 4 };
    let conv2 = Conv2dShape { in_h: conv1.out_h(), in_w: conv1.out_w(), in_c: 16, out_c: 32, kernel: 4, stride: 2 };
    let mut image = vec![0.0; channels * side * side];
    naive::images_to_f32(channels, bytes, &mut image);
    let mut h1 = vec![0.0; conv1.output_len()];
    naive::conv2d_forward(&conv1, 1, &image, cut.take(conv1.weight_len()), cut.take(16), Relu, &mut h1);
    let mut h2 = vec![0.0; conv2.output_len()];
    naive::conv2d_forward(&conv2, 1, &h1, cut.take(conv2.weight_len()), cut.take(32), Relu, &mut h2);
    let fc = LinearShape { inputs: conv2.output_len(), outputs: 256 };
    dense(&mut cut, fc, LinearShape { inputs: 256, outputs: 16 }, &h2)
}

fn vector_network(theta: &[f64], x: &[f64]) -> Vec<f64> {
    let fc = LinearShape { inputs: x.len(), outputs: 208 };
    dense(&mut Cut { theta }, fc, LinearShape { inputs: 208, outputs: 16 }, x)
}

fn dense(cut: &mut Cut, fc: LinearShape, heads: LinearShape, x: &[f64]) -> Vec<f64> {
    let (mut h, mut y) = (vec![0.0; fc.outputs], vec![0.0; heads.outputs]);
    let (w, b) = (cut.take(fc.inputs * fc.outputs), cut.take(fc.outputs));
    naive::linear_forward(&fc, 1, x, w, b, Relu, &mut h);
    let (w, b) = (cut.take(heads.inputs * heads.outputs), cut.take(heads.outputs));
    naive::linear_forward(&heads, 1, &h, w, b, Identity, &mut y);
    assert!(cut.theta.is_empty(), "theta has {} values too many", cut.theta.len());
    y.truncate(OUTPUTS);
    y
}

fn twin(spec: &ObsSpec, theta: &[f64], obs: ObsRef) -> Vec<f64> {
    match (obs, spec) {
        (ObsRef::Image(bytes), &ObsSpec::Image { channels, height, .. }) => {
            image_network(theta, (channels, height), bytes)
        }
        (ObsRef::Vector(x), _) => {
            let x: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
            vector_network(theta, &x)
        }
        _ => unreachable!(),
    }
}

fn random_observations(spec: &ObsSpec, rng: &mut ActorRng) -> Observations {
    let mut obs = Observations::new(spec, STEPS);
    for t in 0..STEPS {
        match obs.get_mut(t) {
            ObsMut::Image(bytes) => rng.fill(bytes),
            ObsMut::Vector(x) => x.fill_with(|| rng.random_range(-1.0..1.0)),
        }
    }
    obs
}

fn specs() -> [ObsSpec; 3] {
    [
        ObsSpec::Image { channels: 4, height: 36, width: 36 },
        ObsSpec::Image { channels: 3, height: 28, width: 28 },
        ObsSpec::Vector { len: 7 },
    ]
}

#[test]
fn forward_and_gradient_are_those_of_the_textbook_network() {
    for (spec, isa) in specs().into_iter().flat_map(|spec| Isa::available().into_iter().map(move |i| (spec.clone(), i)))
    {
        let mut rng = ActorRng::seed_from_u64(11);
        let net = Network::new(Net::Ff, &spec, HEADS).unwrap();
        let theta = net.layout().init(&mut rng);
        let theta64: Vec<f64> = theta.iter().map(|w| f64::from(*w)).collect();
        let obs = random_observations(&spec, &mut rng);
        // L = sum over steps and outputs of c y: its gradient by y is c
        let c: Vec<f64> = (0..STEPS * OUTPUTS).map(|_| f64::from(rng.random_range(-1.0f32..1.0))).collect();
        let loss = |theta: &[f64]| -> f64 {
            (0..STEPS).flat_map(|t| twin(&spec, theta, obs.get(t))).zip(&c).map(|(y, c)| y * c).sum()
        };

        let (mut tape, mut workspace) = (net.tape(STEPS), net.workspace(STEPS));
        for t in 0..STEPS {
            net.forward(isa, &theta, obs.get(t), &mut tape, t, &mut workspace);
            for (y, expected) in tape.y(t).iter().zip(twin(&spec, &theta64, obs.get(t))) {
                assert!((f64::from(*y) - expected).abs() < 1e-5, "{spec:?} {}: y {y} {expected}", isa.name());
            }
            workspace.dy(t).iter_mut().zip(&c[t * OUTPUTS..]).for_each(|(dy, c)| *dy = *c as f32);
        }
        let d_theta = net.backward(isa, &theta, &obs, &tape, STEPS, &mut workspace).to_dense();

        let largest = d_theta.iter().fold(0.0f32, |m, d| m.max(d.abs()));
        assert!(largest.is_finite() && largest > 0.0);
        let mut checked = 0;
        for param in &net.layout().params {
            let mut slots = vec![0.0; net.layout().len()];
            let index: Vec<f32> = (0..param.len()).map(|i| i as f32 + 1.0).collect();
            param.import(&index, &mut slots);
            let slots: Vec<usize> = (0..slots.len()).filter(|s| slots[*s] != 0.0).collect();
            for _ in 0..6 {
                let slot = slots[rng.random_range(0..slots.len())];
                let (mut up, mut down, h) = (theta64.clone(), theta64.clone(), 1e-6);
                up[slot] += h;
                down[slot] -= h;
                let fd = (loss(&up) - loss(&down)) / (2.0 * h);
                let d = f64::from(d_theta[slot]);
                let tolerance = 1e-4 * fd.abs().max(1e-2 * f64::from(largest));
                assert!((d - fd).abs() < tolerance, "{spec:?} {} {}: {d} against {fd}", isa.name(), param.name);
                checked += usize::from(d != 0.0);
            }
        }
        assert!(checked > 10, "almost every gradient looked at was 0");
    }
}

#[test]
fn the_padding_of_theta_stays_zero() {
    for spec in specs() {
        let mut rng = ActorRng::seed_from_u64(2);
        let net = Network::new(Net::Ff, &spec, HEADS).unwrap();
        let theta = net.layout().init(&mut rng);
        let obs = random_observations(&spec, &mut rng);
        let (mut tape, mut workspace) = (net.tape(STEPS), net.workspace(STEPS));
        for t in 0..STEPS {
            net.forward(Isa::available()[0], &theta, obs.get(t), &mut tape, t, &mut workspace);
            workspace.dy(t).fill(1.0);
        }
        let d_theta = net.backward(Isa::available()[0], &theta, &obs, &tape, STEPS, &mut workspace).to_dense();
        let mut real = vec![0.0; net.layout().len()];
        net.layout().params.iter().for_each(|param| param.import(&vec![1.0; param.len()], &mut real));
        let padding = d_theta.iter().zip(&real).filter(|(_, real)| **real == 0.0);
        assert!(padding.clone().count() > 0 && padding.clone().all(|(d, _)| *d == 0.0));
    }
}

#[test]
fn the_atari_network_has_the_papers_number_of_parameters() {
    let obs = ObsSpec::Image { channels: 4, height: 84, width: 84 };
    let heads = [Head { name: "policy", outputs: 18 }, Head { name: "value", outputs: 1 }];
    assert_eq!(Network::new(Net::Ff, &obs, &heads).unwrap().layout().num_params(), 681_027);
}

#[test]
fn an_image_smaller_than_the_filters_is_refused() {
    let obs = ObsSpec::Image { channels: 1, height: 16, width: 84 };
    let error = Network::new(Net::Ff, &obs, HEADS).unwrap_err().to_string();
    assert!(error.contains("16x84"), "{error}");
}
