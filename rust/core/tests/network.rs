//! Whole networks against a reference implementation in f64: forward pass, and gradients by finite differences.

use a3crs_core::env::{ObsMut, ObsRef, ObsSpec};
use a3crs_core::kernel::activation::Activation::{self, Identity, Relu};
use a3crs_core::kernel::conv2d::Conv2dShape;
use a3crs_core::kernel::linear::LinearShape;
use a3crs_core::kernel::{Isa, naive, pad};
use a3crs_core::nn::{Head, Init, Net, Network, Observations, Part};
use a3crs_core::rl::ActorRng;
use rand::{RngExt, SeedableRng};

const STEPS: usize = 3;
const OUTPUTS: usize = 4;
const HEADS: &[Head] = &[Head { name: "policy", outputs: 3 }, Head { name: "value", outputs: 1 }];
/// Network with the same outputs from two trunks, the third of them a parameter.
const PARTS: &[Part] = &[
    Part::Trunk { name: "policy", heads: &[Head { name: "mu", outputs: 2 }] },
    Part::Constant(Head { name: "policy.log_sigma", outputs: 1 }),
    Part::Trunk { name: "value", heads: &[Head { name: "v", outputs: 1 }] },
];

/// Form of a network: one trunk for policy and value, or two.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Shared,
    Separate,
}
use Form::{Separate, Shared};

/// Reference implementation from sections 5.1, 8 and 9: filters (number, side, stride) and their activation, units,
/// LSTM cells.
struct Twin {
    filters: &'static [(usize, usize, usize)],
    activation: Activation,
    units: usize,
    cells: usize,
    form: Form,
}

fn twin_of(net: Net, input: &ObsSpec, form: Form) -> Twin {
    let filters: &[_] = match (net, input) {
        (_, ObsSpec::Vector { .. }) => &[],
        (Net::Ff | Net::Lstm, _) => &[(16, 8, 4), (32, 4, 2)],
        (Net::Nature | Net::NatureLstm, _) => &[(32, 8, 4), (64, 4, 2), (64, 3, 1)],
    };
    let (units, cells) = match (net, input) {
        (Net::Lstm, ObsSpec::Image { .. }) if form == Separate => (0, 128), // section 9
        (Net::Ff, ObsSpec::Vector { .. }) => (200, 0),
        (_, ObsSpec::Vector { .. }) => (200, 128),
        (Net::Ff, _) => (256, 0),
        (Net::Lstm, _) => (256, 256),
        (Net::Nature, _) => (512, 0),
        (Net::NatureLstm, _) => (512, 256),
    };
    let activation = if units == 0 { Identity } else { Relu };
    Twin { filters, activation, units, cells, form }
}

/// States h and c of each trunk.
type State = Vec<[Vec<f64>; 2]>;

/// Cursor that cuts theta into tensors. It counts independently of the layout, so that a wrong offset shows.
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

impl Twin {
    /// Computes `y` of one observation in f64; `state` is updated.
    fn y(&self, theta: &[f64], input: &ObsSpec, obs: ObsRef, state: &mut State) -> Vec<f64> {
        let mut cut = Cut { theta };
        let y = match self.form {
            Shared => self.trunk(&mut cut, input, obs, &mut state[0], OUTPUTS),
            Separate => {
                let mu = self.trunk(&mut cut, input, obs, &mut state[0], 2);
                let log_sigma = cut.take(1).to_vec();
                [mu, log_sigma, self.trunk(&mut cut, input, obs, &mut state[1], 1)].concat()
            }
        };
        assert!(cut.theta.is_empty(), "theta has {} values too many", cut.theta.len());
        y
    }

    fn trunk(
        &self,
        cut: &mut Cut,
        input: &ObsSpec,
        obs: ObsRef,
        state: &mut [Vec<f64>; 2],
        outputs: usize,
    ) -> Vec<f64> {
        let mut x = match (obs, input) {
            (ObsRef::Vector(x), _) => x.iter().map(|x| f64::from(*x)).collect(),
            (ObsRef::Image(bytes), &ObsSpec::Image { channels, height, width }) => {
                let mut image = vec![0.0; channels * height * width];
                naive::images_to_f32(channels, bytes, &mut image);
                self.convolved(cut, (height, width, channels), image)
            }
            _ => unreachable!(),
        };
        if self.units > 0 {
            x = linear(cut, &x, pad(self.units), Relu);
        }
        if self.cells > 0 {
            let [h, c] = state;
            let xh = [&x[..], h].concat();
            let mut gates = linear(cut, &xh, 4 * self.cells, Identity);
            let c_prev = c.clone();
            naive::lstm_forward(&mut gates, &c_prev, c, h);
            x = h.clone();
        }
        let mut y = linear(cut, &x, 16, Identity);
        y.truncate(outputs);
        y
    }

    fn convolved(&self, cut: &mut Cut, (in_h, in_w, in_c): (usize, usize, usize), mut x: Vec<f64>) -> Vec<f64> {
        let (mut in_h, mut in_w, mut in_c) = (in_h, in_w, in_c);
        for &(out_c, kernel, stride) in self.filters {
            let shape = Conv2dShape { in_h, in_w, in_c, out_c, kernel, stride };
            let mut y = vec![0.0; shape.output_len()];
            let (weight, bias) = (cut.take(shape.weight_len()), cut.take(out_c));
            naive::conv2d_forward(&shape, 1, &x, weight, bias, self.activation, &mut y);
            (x, in_h, in_w, in_c) = (y, shape.out_h(), shape.out_w(), out_c);
        }
        x
    }

    /// Computes `y` of all steps in order, starting from `state`.
    fn segment(&self, theta: &[f64], input: &ObsSpec, obs: &Observations, state: &[f32]) -> Vec<f64> {
        let state: Vec<f64> = state.iter().map(|x| f64::from(*x)).collect();
        let parts = |trunk: usize| [2 * trunk, 2 * trunk + 1].map(|i| state[i * self.cells..][..self.cells].to_vec());
        let mut state: State = (0..if self.form == Shared { 1 } else { 2 }).map(parts).collect();
        (0..STEPS).flat_map(|t| self.y(theta, input, obs.get(t), &mut state)).collect()
    }
}

fn linear(cut: &mut Cut, x: &[f64], outputs: usize, activation: Activation) -> Vec<f64> {
    let (shape, mut y) = (LinearShape { inputs: x.len(), outputs }, vec![0.0; outputs]);
    let (weight, bias) = (cut.take(x.len() * outputs), cut.take(outputs));
    naive::linear_forward(&shape, 1, x, weight, bias, activation, &mut y);
    y
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

/// Returns grey stacks, colours and vectors, for every network that can read them.
fn networks() -> Vec<(Net, ObsSpec, Form)> {
    let image = |channels, side| ObsSpec::Image { channels, height: side, width: side };
    let vector = ObsSpec::Vector { len: 7 };
    vec![
        (Net::Ff, image(4, 36), Shared),
        (Net::Ff, image(3, 28), Shared),
        (Net::Ff, vector.clone(), Shared),
        (Net::Lstm, image(3, 36), Shared),
        (Net::Lstm, vector.clone(), Shared),
        (Net::Nature, image(4, 44), Shared),
        (Net::NatureLstm, image(3, 36), Shared),
        (Net::Ff, image(3, 28), Separate),
        (Net::Lstm, image(3, 36), Separate),
        (Net::Ff, vector.clone(), Separate),
        (Net::Lstm, vector, Separate),
    ]
}

fn random_state(net: &Network, rng: &mut ActorRng) -> Vec<f32> {
    (0..net.state_len()).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Segment with a loss over the outputs of all steps, `L = sum c y`: its gradient with respect to y is c.
struct Segment {
    net: Network,
    theta: Vec<f32>,
    obs: Observations,
    state: Vec<f32>,
    c: Vec<f32>,
}

impl Segment {
    fn random(net: Net, input: &ObsSpec, form: Form, rng: &mut ActorRng) -> Self {
        let net = match form {
            Shared => Network::new(net, input, HEADS).unwrap(),
            Separate => Network::of_parts(net, input, PARTS).unwrap(),
        };
        let (theta, state) = (net.layout().init(Init::Torch, |_| None, rng), random_state(&net, rng));
        let c = (0..STEPS * OUTPUTS).map(|_| rng.random_range(-1.0..1.0)).collect();
        Segment { theta, obs: random_observations(input, rng), state, c, net }
    }

    /// Returns y of all steps, and d_theta.
    fn forward_and_backward(&self, isa: Isa) -> (Vec<f32>, Vec<f32>) {
        let Segment { net, theta, obs, state, c } = self;
        let (mut tape, mut workspace, mut ys) = (net.tape(STEPS), net.workspace(STEPS), Vec::new());
        tape.set_state(0, state);
        for t in 0..STEPS {
            net.forward(isa, theta, (obs, t), &mut tape, t);
            ys.extend_from_slice(tape.y(t));
            workspace.dy(t).copy_from_slice(&c[t * OUTPUTS..][..OUTPUTS]);
        }
        (ys, net.backward(isa, theta, obs, &tape, STEPS, &mut workspace).to_dense())
    }
}

#[test]
fn forward_and_gradient_are_those_of_the_textbook_network() {
    let shown = [random_observations, still_observations];
    for ((net, input, form), observations) in
        networks().into_iter().flat_map(|net| shown.map(|shown| (net.clone(), shown)))
    {
        let mut rng = ActorRng::seed_from_u64(11);
        let (twin, mut segment) = (twin_of(net, &input, form), Segment::random(net, &input, form, &mut rng));
        segment.obs = observations(&input, &mut rng);
        let theta: Vec<f64> = segment.theta.iter().map(|w| f64::from(*w)).collect();
        let expected = twin.segment(&theta, &input, &segment.obs, &segment.state);
        let loss = |theta: &[f64]| -> f64 {
            let y = twin.segment(theta, &input, &segment.obs, &segment.state);
            y.iter().zip(&segment.c).map(|(y, c)| y * f64::from(*c)).sum()
        };
        let results: Vec<_> =
            Isa::available().into_iter().map(|isa| (isa.name(), segment.forward_and_backward(isa))).collect();
        for (isa, (y, d_theta)) in &results {
            for (y, expected) in y.iter().zip(&expected) {
                assert!((f64::from(*y) - expected).abs() < 1e-5, "{net:?} {input:?} {form:?} {isa}: y {y} {expected}");
            }
            assert!(d_theta.iter().all(|d| d.is_finite()));
        }
        let mut checked = 0;
        for param in &segment.net.layout().params {
            let mut slots = vec![0.0; theta.len()];
            let index: Vec<f32> = (0..param.len()).map(|i| i as f32 + 1.0).collect();
            param.import(&index, &mut slots);
            let slots: Vec<usize> = (0..slots.len()).filter(|s| slots[*s] != 0.0).collect();
            for _ in 0..6 {
                let slot = slots[rng.random_range(0..slots.len())];
                let (mut up, mut down, h) = (theta.clone(), theta.clone(), 1e-6);
                up[slot] += h;
                down[slot] -= h;
                let fd = (loss(&up) - loss(&down)) / (2.0 * h);
                for (isa, (_, d_theta)) in &results {
                    let largest = d_theta.iter().fold(0.0f32, |m, d| m.max(d.abs()));
                    let d = f64::from(d_theta[slot]);
                    let tolerance = 1e-4 * fd.abs().max(1e-2 * f64::from(largest));
                    assert!((d - fd).abs() < tolerance, "{net:?} {form:?} {isa} {}: {d} against {fd}", param.name);
                    checked += usize::from(d != 0.0);
                }
            }
        }
        assert!(checked > 10, "almost every gradient looked at was 0");
    }
}

/// Returns observations like an emulator's, of which a few pixels change at each step.
fn still_observations(input: &ObsSpec, rng: &mut ActorRng) -> Observations {
    let mut obs = random_observations(input, rng);
    for t in 1..STEPS {
        let mut before = Observations::new(input, 1);
        before.copy(0, &obs, t - 1);
        obs.copy(t, &before, 0);
        if let ObsMut::Image(bytes) = obs.get_mut(t) {
            (0..2 * t).for_each(|_| bytes[rng.random_range(0..bytes.len())] ^= 0x55);
        }
    }
    obs
}

#[test]
fn what_a_step_takes_over_from_the_one_before_changes_nothing() {
    let images = networks().into_iter().filter(|(_, input, _)| matches!(input, ObsSpec::Image { .. }));
    for (net, input, form) in images {
        let mut rng = ActorRng::seed_from_u64(21);
        let mut segment = Segment::random(net, &input, form, &mut rng);
        segment.obs = still_observations(&input, &mut rng);
        for isa in Isa::available() {
            let (ys, together) = segment.forward_and_backward(isa);
            // Each step alone; a recurrent network's gradient is not the sum of those.
            let (mut sum, mut state) = (vec![0.0; segment.net.layout().len()], segment.state.clone());
            for t in 0..STEPS {
                let (mut tape, mut workspace) = (segment.net.tape(1), segment.net.workspace(1));
                tape.set_state(0, &state);
                let mut obs = Observations::new(&input, 1);
                obs.copy(0, &segment.obs, t);
                segment.net.forward(isa, &segment.theta, (&obs, 0), &mut tape, 0);
                tape.state_into(1, &mut state);
                for (alone, y) in tape.y(0).iter().zip(&ys[t * OUTPUTS..]) {
                    assert!((alone - y).abs() < 1e-6, "{net:?} {}: {alone} {y}", isa.name());
                }
                workspace.dy(0).copy_from_slice(&segment.c[t * OUTPUTS..][..OUTPUTS]);
                let d_theta = segment.net.backward(isa, &segment.theta, &obs, &tape, 1, &mut workspace).to_dense();
                sum.iter_mut().zip(d_theta).for_each(|(sum, d)| *sum += d);
            }
            let largest = sum.iter().fold(0.0f32, |largest, d| largest.max(d.abs()));
            let differ = sum.iter().zip(&together).filter(|(a, b)| (*a - *b).abs() > 1e-5 * largest).count();
            assert_eq!(differ == 0, segment.state.is_empty(), "{net:?} {}: {differ} differ", isa.name());
        }
    }
}

#[test]
fn the_state_before_a_segment_is_a_constant_and_every_step_of_it_counts() {
    let (input, mut rng) = (ObsSpec::Vector { len: 7 }, ActorRng::seed_from_u64(5));
    let isa = Isa::available()[0];
    let mut segment = Segment::random(Net::Lstm, &input, Shared, &mut rng);
    // Only the last step has a loss, so the gradient at the first step's input came back through time.
    segment.c[..(STEPS - 1) * OUTPUTS].fill(0.0);
    let whole = segment.forward_and_backward(isa).1;
    // The last step alone, starting from the state after the first two.
    let (mut tape, mut workspace) = (segment.net.tape(STEPS), segment.net.workspace(STEPS));
    tape.set_state(0, &segment.state);
    for t in 0..STEPS - 1 {
        segment.net.forward(isa, &segment.theta, (&segment.obs, t), &mut tape, t);
    }
    let mut state = segment.state.clone();
    tape.state_into(STEPS - 1, &mut state);
    let mut last = Observations::new(&input, 1);
    last.copy(0, &segment.obs, STEPS - 1);
    tape.set_state(0, &state);
    segment.net.forward(isa, &segment.theta, (&last, 0), &mut tape, 0);
    workspace.dy(0).copy_from_slice(&segment.c[(STEPS - 1) * OUTPUTS..]);
    let detached = segment.net.backward(isa, &segment.theta, &last, &tape, 1, &mut workspace).to_dense();
    let weight = segment.net.layout().params.iter().find(|p| p.name == "lstm.weight_hh").unwrap();
    let difference: f32 = weight.export(&whole).iter().zip(weight.export(&detached)).map(|(a, b)| (a - b).abs()).sum();
    assert!(difference > 1e-3, "a gradient that is detached every step is the same: {difference}");
}

#[test]
fn a_pass_over_a_later_slot_leaves_the_states_before_it() {
    let (input, mut rng) = (ObsSpec::Vector { len: 7 }, ActorRng::seed_from_u64(6));
    let segment = Segment::random(Net::Lstm, &input, Shared, &mut rng);
    let (net, isa) = (&segment.net, Isa::available()[0]);
    let (mut tape, mut before, mut after) = (net.tape(2), segment.state.clone(), segment.state.clone());
    tape.set_state(0, &segment.state);
    net.forward(isa, &segment.theta, (&segment.obs, 0), &mut tape, 0);
    tape.state_into(1, &mut before);
    assert_ne!(before, segment.state);
    net.forward(isa, &segment.theta, (&segment.obs, 1), &mut tape, 1); // the bootstrap
    tape.state_into(1, &mut after);
    assert_eq!(before, after);
    tape.state_into(0, &mut after);
    assert_eq!(segment.state, after);
}

#[test]
fn the_padding_of_theta_stays_zero() {
    let largest = (Net::NatureLstm, ObsSpec::Image { channels: 3, height: 36, width: 36 }, Separate);
    for (net, input, form) in networks().into_iter().chain([largest]) {
        let segment = Segment::random(net, &input, form, &mut ActorRng::seed_from_u64(2));
        let d_theta = segment.forward_and_backward(Isa::available()[0]).1;
        let mut real = vec![0.0; segment.net.layout().len()];
        segment.net.layout().params.iter().for_each(|param| param.import(&vec![1.0; param.len()], &mut real));
        let padding = d_theta.iter().zip(&real).filter(|(_, real)| **real == 0.0);
        assert!(padding.clone().count() > 0 && padding.clone().all(|(d, _)| *d == 0.0));
    }
}

#[test]
fn the_atari_network_has_the_papers_number_of_parameters() {
    let obs = ObsSpec::Image { channels: 4, height: 84, width: 84 };
    let heads = [Head { name: "policy", outputs: 18 }, Head { name: "value", outputs: 1 }];
    let num_params = |net| Network::new(net, &obs, &heads).unwrap().layout().num_params();
    assert_eq!(num_params(Net::Ff), 681_027);
    assert_eq!(num_params(Net::Lstm), 681_027 + 4 * 256 * (256 + 256 + 1));
    // 32 8x8x4, 64 4x4x32, 64 3x3x64, 512 of 7x7x64, and the heads, each with its biases
    assert_eq!(num_params(Net::Nature), 8_224 + 32_832 + 36_928 + 1_606_144 + 19 * 513);
}

#[test]
fn a_network_for_images_refuses_vectors() {
    let error = Network::new(Net::Nature, &ObsSpec::Vector { len: 4 }, HEADS).unwrap_err().to_string();
    assert!(error.contains("nature") && error.contains("vectors of 4 features") && error.contains("lstm"), "{error}");
}

#[test]
fn an_image_smaller_than_the_filters_is_refused() {
    let obs = ObsSpec::Image { channels: 1, height: 16, width: 84 };
    let error = Network::new(Net::Ff, &obs, HEADS).unwrap_err().to_string();
    assert!(error.contains("16x84"), "{error}");
}
