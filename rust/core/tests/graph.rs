//! Networks built as graphs: residual blocks, outputs with several readers, tanh, and many large layers.

use a3crs_core::env::{ObsMut, ObsSpec};
use a3crs_core::kernel::Isa;
use a3crs_core::kernel::activation::Activation::{self, Identity, Relu, Tanh};
use a3crs_core::kernel::gradient::MAX_OUTER;
use a3crs_core::nn::{Filters, Graph, Head, Init, Layout, Net, NetSpec, Network, Observations};
use a3crs_core::rl::ActorRng;
use rand::{RngExt, SeedableRng};

const STEPS: usize = 4;
const IMAGE: ObsSpec = ObsSpec::Image { channels: 2, height: 6, width: 6 };

/// Network of IMPALA's residual block, `x + conv(relu(conv(relu(x))))`, with filters of one pixel. Both its outputs and
/// its input have further readers.
fn residual(activation: Activation) -> Network {
    let filters = |kernel| Filters { out_c: 16, kernel, stride: 1 };
    let mut graph = Graph::new(&IMAGE);
    let stem = graph.conv2d("stem", graph.observation(), filters(3), activation);
    let before = graph.sum("before", &[stem], Relu);
    let first = graph.conv2d("first", before, filters(1), Relu);
    let second = graph.conv2d("second", first, filters(1), Identity);
    let block = graph.sum("block", &[stem, second], activation);
    let a = graph.linear(&[Head { name: "a", outputs: 20 }], block, Tanh);
    let b = graph.linear(&[Head { name: "b", outputs: 20 }], stem, Identity);
    let joined = graph.sum("joined", &[a, b, a], Tanh);
    let cells = graph.lstm("lstm", joined, 16);
    graph.heads("", &[Head { name: "policy", outputs: 3 }], cells);
    graph.heads("", &[Head { name: "value", outputs: 1 }], joined);
    graph.finish()
}

fn tensor(layout: &Layout, theta: &[f64], name: &str) -> Vec<f64> {
    let param = layout.params.iter().find(|param| param.name == name).unwrap();
    slots(layout, name).into_iter().map(|slot| theta[slot]).take(param.len()).collect()
}

/// Returns the indices in theta of a tensor's elements.
fn slots(layout: &Layout, name: &str) -> Vec<usize> {
    let param = layout.params.iter().find(|param| param.name == name).unwrap();
    let at: Vec<f32> = (0..layout.len()).map(|i| i as f32).collect();
    param.export(&at).into_iter().map(|at| at as usize).collect()
}

fn apply(activation: Activation, x: Vec<f64>) -> Vec<f64> {
    let function = |x: f64| match activation {
        Identity => x,
        Relu => x.max(0.0),
        Tanh => x.tanh(),
    };
    x.into_iter().map(function).collect()
}

fn add(x: &[f64], y: &[f64]) -> Vec<f64> {
    x.iter().zip(y).map(|(x, y)| x + y).collect()
}

/// Reference implementation of the same network in f64, on canonical tensors: images are (channel, y, x).
struct Twin<'a>(&'a Layout, &'a [f64]);

impl Twin<'_> {
    fn linear(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let (weight, bias) = (self.of(&format!("{name}.weight")), self.of(&format!("{name}.bias")));
        bias.iter()
            .zip(weight.chunks(x.len()))
            .map(|(b, row)| b + row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>())
            .collect()
    }

    fn of(&self, name: &str) -> Vec<f64> {
        tensor(self.0, self.1, name)
    }

    fn conv(&self, name: &str, x: &[f64], side: usize, kernel: usize) -> Vec<f64> {
        let (weight, bias) = (self.of(&format!("{name}.weight")), self.of(&format!("{name}.bias")));
        let (channels, out) = (x.len() / (side * side), side - kernel + 1);
        let mut y = Vec::new();
        for (c, bias) in bias.iter().enumerate() {
            for (oy, ox) in (0..out).flat_map(|oy| (0..out).map(move |ox| (oy, ox))) {
                let mut sum = *bias;
                for i in 0..channels {
                    for (ky, kx) in (0..kernel).flat_map(|ky| (0..kernel).map(move |kx| (ky, kx))) {
                        sum += weight[((c * channels + i) * kernel + ky) * kernel + kx]
                            * x[(i * side + oy + ky) * side + ox + kx];
                    }
                }
                y.push(sum);
            }
        }
        y
    }

    fn step(&self, activation: Activation, x: &[f64], h: &mut [f64], c: &mut [f64]) -> Vec<f64> {
        let stem = apply(activation, self.conv("stem", x, 6, 3));
        let first = apply(Relu, self.conv("first", &apply(Relu, stem.clone()), 4, 1));
        let block = apply(activation, add(&stem, &self.conv("second", &first, 4, 1)));
        let a = apply(Tanh, self.linear("a", &block));
        let joined = apply(Tanh, add(&add(&a, &self.linear("b", &stem)), &a));
        let (ih, hh, bias) = (self.of("lstm.weight_ih"), self.of("lstm.weight_hh"), self.of("lstm.bias"));
        let dot = |row: &[f64], x: &[f64]| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
        let z: Vec<f64> =
            (0..64).map(|j| bias[j] + dot(&ih[j * 20..][..20], &joined) + dot(&hh[j * 16..][..16], h)).collect();
        let sigma = |z: f64| 1.0 / (1.0 + (-z).exp());
        for k in 0..16 {
            c[k] = sigma(z[16 + k]) * c[k] + sigma(z[k]) * z[32 + k].tanh();
            h[k] = sigma(z[48 + k]) * c[k].tanh();
        }
        [self.linear("policy", h), self.linear("value", &joined)].concat()
    }
}

#[test]
fn a_residual_network_is_its_twin_and_its_gradient_finite_differences() {
    for activation in [Identity, Relu, Tanh] {
        let (net, rng) = (residual(activation), &mut ActorRng::seed_from_u64(3));
        let layout = net.layout();
        let theta = layout.init(Init::Torch, |_| None, rng);
        let mut obs = Observations::new(&IMAGE, STEPS);
        for t in 0..STEPS {
            if t > 0 {
                let before = obs.clone();
                obs.copy(t, &before, t - 1); // most of a screen stays the same
            }
            let ObsMut::Image(bytes) = obs.get_mut(t) else { unreachable!() };
            if t == 0 { rng.fill(bytes) } else { bytes[7 * t] ^= 0x55 }
        }
        let dy: Vec<f32> = (0..STEPS * 4).map(|_| rng.random_range(-1.0..1.0)).collect();
        let exact: Vec<f64> = theta.iter().map(|w| f64::from(*w)).collect();
        let ys = |theta: &[f64]| -> Vec<f64> {
            let (mut h, mut c) = (vec![0.0; 16], vec![0.0; 16]);
            let mut step = |t| {
                let a3crs_core::env::ObsRef::Image(bytes) = obs.get(t) else { unreachable!() };
                let x: Vec<f64> = bytes.iter().map(|byte| f64::from(*byte) / 255.0).collect();
                Twin(layout, theta).step(activation, &x, &mut h, &mut c)
            };
            (0..STEPS).flat_map(&mut step).collect()
        };
        let loss = |theta: &[f64]| ys(theta).iter().zip(&dy).map(|(y, dy)| y * f64::from(*dy)).sum::<f64>();
        let expected = ys(&exact);
        for isa in Isa::available() {
            let (mut tape, mut workspace) = (net.tape(STEPS), net.workspace(STEPS));
            for _ in 0..2 {
                // A pass must not depend on the state left by the one before.
                for t in 0..STEPS {
                    net.forward(isa, &theta, (&obs, t), &mut tape, t);
                    for (y, expected) in tape.y(t).iter().zip(&expected[4 * t..]) {
                        assert!(
                            (f64::from(*y) - expected).abs() < 1e-5,
                            "{activation:?} {}: {y} {expected}",
                            isa.name()
                        );
                    }
                    workspace.dy(t).copy_from_slice(&dy[4 * t..][..4]);
                }
                let d_theta = net.backward(isa, &theta, &obs, &tape, STEPS, &mut workspace).to_dense();
                for param in &layout.params {
                    let (slots, d) = (slots(layout, &param.name), param.export(&d_theta));
                    let largest = d.iter().fold(0.0f32, |m, d| m.max(d.abs()));
                    assert!(largest > 0.0, "{activation:?} {} has no gradient", param.name);
                    for i in (0..d.len()).step_by(d.len().div_ceil(5)) {
                        let shifted = |by: f64| {
                            let mut theta = exact.clone();
                            theta[slots[i]] += by;
                            loss(&theta)
                        };
                        let fd = (shifted(1e-6) - shifted(-1e-6)) / 2e-6;
                        let tolerance = 1e-4 * fd.abs().max(1e-1 * f64::from(largest));
                        let name = &param.name;
                        assert!(
                            (f64::from(d[i]) - fd).abs() < tolerance,
                            "{activation:?} {} {name}: {} {fd}",
                            isa.name(),
                            d[i]
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn any_number_of_large_layers_has_a_gradient() {
    let hidden = vec![300; MAX_OUTER + 3];
    let net = NetSpec { hidden, activation: Tanh, ..Net::Ff.into() };
    let input = ObsSpec::Vector { len: 3 };
    let net = Network::new(net, &input, &[Head { name: "value", outputs: 1 }]).unwrap();
    let names: Vec<_> = net.layout().params.iter().map(|param| param.name.as_str()).collect();
    assert!(names.contains(&"fc1.weight") && names.contains(&"fc7.bias") && !names.contains(&"fc.weight"));
    let (isa, theta) = (Isa::available()[0], net.layout().init(Init::Torch, |_| None, &mut ActorRng::seed_from_u64(1)));
    let (mut tape, mut workspace, mut obs) = (net.tape(1), net.workspace(1), Observations::new(&input, 1));
    let ObsMut::Vector(x) = obs.get_mut(0) else { unreachable!() };
    x.fill(1.0);
    net.forward(isa, &theta, (&obs, 0), &mut tape, 0);
    workspace.dy(0).fill(1.0);
    let gradient = net.backward(isa, &theta, &obs, &tape, 1, &mut workspace);
    assert_eq!(gradient.outers().count(), MAX_OUTER);
    assert!(gradient.to_dense().iter().all(|d| d.is_finite()));
}

#[test]
fn sizes_that_a_network_cannot_have_are_refused() {
    let refused = |net: NetSpec| {
        Network::new(net, &ObsSpec::Vector { len: 3 }, &[Head { name: "value", outputs: 1 }]).unwrap_err().to_string()
    };
    let (ff, lstm) = (NetSpec::from(Net::Ff), NetSpec::from(Net::Lstm));
    assert_eq!(
        refused(NetSpec { cells: 100, ..lstm }),
        "the setting cells is 100, but the number of LSTM cells must be a multiple of 16"
    );
    assert!(refused(NetSpec { cells: 64, ..ff.clone() }).contains("net ff has no LSTM"));
    assert!(refused(NetSpec { hidden: vec![64, 0], ..ff }).contains("[64, 0]"));
}
