//! A network: the forward and backward pass over its layers.

use super::architecture::{Net, Trunk};
use super::build::Builder;
use super::layer::Layer;
use super::layout::{Columns, Layout};
use super::tape::{Image, Input, LayerTape, LayerWorkspace, Observations, Tape, Workspace};
use crate::env::ObsSpec;
use crate::kernel::Isa;
use crate::kernel::buffer::Buffer;
use crate::kernel::gradient::{Gradient, MAX_RANK};

/// A named group of outputs, for example the policy's logits.
pub type Head<'a> = Columns<'a>;

/// Why a network cannot be built for an environment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// The image is smaller than a filter.
    #[error("images of {height}x{width} are too small for net {}, which needs {least}x{least} at least", net.entry().name)]
    ImageTooSmall {
        /// Rows of the image.
        height: usize,
        /// Columns of the image.
        width: usize,
        /// What it needs.
        least: usize,
        /// The network asked for.
        net: Net,
    },
    /// The network has no form for such observations.
    #[error("net {} looks at images, but the environment shows {input}; choose ff or lstm", net.entry().name)]
    NeedsImages {
        /// The observations.
        input: ObsSpec,
        /// The network asked for.
        net: Net,
    },
    /// An observation without elements.
    #[error("the observation is empty: {0}")]
    EmptyObservation(ObsSpec),
}

/// Where a part of y comes from, in a network of several parts.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// Heads on a trunk of their own.
    Trunk {
        /// The names of its tensors start with this and a dot.
        name: &'a str,
        /// Its share of y.
        heads: &'a [Head<'a>],
    },
    /// Parameters that are outputs, whatever is observed.
    Constant(Head<'a>),
}

/// Layers over one flat theta.
#[derive(Clone, Debug)]
pub struct Network {
    input: ObsSpec,
    /// Each after the one below it.
    pub(super) layers: Vec<Layer>,
    /// What its outputs are called, and how many there are.
    pub(super) columns: Vec<Vec<(String, usize)>>,
    /// Which layer each of them reads; none reads the observation.
    pub(super) below: Vec<Option<usize>>,
    /// The layers whose outputs, side by side, are y: each with how many it gives.
    pub(super) tops: Vec<(usize, usize)>,
    layout: Layout,
    outputs: usize,
}

impl Network {
    /// The network `net` from observations `input` to `heads` side by side.
    pub fn new(net: Net, input: &ObsSpec, heads: &[Head]) -> Result<Self, NetError> {
        Self::build(net, input, Trunk::Shared, |build| build.trunk("", heads))
    }

    /// Section 9: `parts` that share no parameter, side by side.
    pub fn of_parts(net: Net, input: &ObsSpec, parts: &[Part]) -> Result<Self, NetError> {
        Self::build(net, input, Trunk::Separate, |build| {
            for part in parts {
                match *part {
                    Part::Trunk { name, heads } => build.trunk(&format!("{name}."), heads),
                    Part::Constant(head) => build.constant(head),
                }
            }
        })
    }

    fn build(net: Net, input: &ObsSpec, trunk: Trunk, parts: impl FnOnce(&mut Builder)) -> Result<Self, NetError> {
        if input.is_empty() {
            return Err(NetError::EmptyObservation(input.clone()));
        }
        let Some(architecture) = net.architecture(input, trunk) else {
            return Err(NetError::NeedsImages { input: input.clone(), net });
        };
        let least = architecture.smallest_side();
        if let &ObsSpec::Image { height, width, .. } = input
            && height.min(width) < least
        {
            return Err(NetError::ImageTooSmall { height, width, least, net });
        }
        let mut build = Builder::new(architecture, input);
        parts(&mut build);
        let Builder { layout, layers, columns, below, tops, .. } = build;
        let outputs = tops.iter().map(|(_, outputs)| outputs).sum();
        Ok(Network { input: input.clone(), layers, columns, below, tops, layout, outputs })
    }

    /// Where the tensors lie in theta.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The observations it reads.
    pub fn input(&self) -> &ObsSpec {
        &self.input
    }

    /// Length of y.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Length of its recurrent state; 0 if it has none.
    pub fn state_len(&self) -> usize {
        self.layers.iter().map(Layer::state_len).sum()
    }

    /// How many numbers the layers of one step put out.
    pub fn activations(&self) -> usize {
        self.layers.iter().map(Layer::output_len).sum()
    }

    /// Memory for the activations of `slots` steps.
    pub fn tape(&self, slots: usize) -> Tape {
        let layers = self.layers.iter().map(|layer| layer.tape(slots)).collect();
        Tape { image: Image::new(&self.input), layers, y: Buffer::zeros(slots * self.outputs), outputs: self.outputs }
    }

    /// Working memory for passes over up to `slots` steps.
    pub fn workspace(&self, slots: usize) -> Workspace {
        let scratch = self.layers.iter().map(|layer| layer.scratch_len(slots)).max();
        Workspace {
            image: Image::new(&self.input),
            d_first: Buffer::zeros(self.roots().map(|root| root.params().end).max().unwrap_or(0)),
            layers: self.layers.iter().map(|layer| layer.workspace(slots)).collect(),
            dy: Buffer::zeros(slots * self.outputs),
            outputs: self.outputs,
            scratch: Buffer::zeros(scratch.unwrap_or(0)),
            d_theta: Buffer::zeros(self.layout.len()),
        }
    }

    /// The layers that read the observation.
    fn roots(&self) -> impl Iterator<Item = &Layer> {
        let roots =
            self.layers.iter().zip(&self.below).filter(|(layer, below)| below.is_none() && !layer.is_constant());
        roots.map(|(layer, _)| layer)
    }

    /// `y <- network(s; theta)` for observation `t` of `obs`, its activations kept in `slot` of the tape. The slots are computed one
    /// after the other, of observations one after the other, under one theta: what has not changed since the slot before is
    /// taken over from there. A recurrent network reads the state before `slot` and leaves that before the next.
    pub fn forward(&self, isa: Isa, theta: &[f32], (obs, t): (&Observations, usize), tape: &mut Tape, slot: usize) {
        let Tape { image, layers, y, .. } = tape;
        let observed = match obs.vectors() {
            Some(all) => Input { all, nth: t, changed: &[] },
            None => {
                image.show(isa, obs.get(t), (slot > 0).then(|| obs.get(t - 1)));
                Input { all: &image.x, nth: 0, changed: &image.changed }
            }
        };
        for (i, layer) in self.layers.iter().enumerate() {
            match self.below[i] {
                None => layer.forward(isa, theta, observed, &mut layers[i], slot),
                Some(below) => {
                    let [below, above] = pair(layers, below, i);
                    layer.forward(isa, theta, below.input(slot), above, slot);
                }
            }
        }
        let mut y = &mut y[slot * self.outputs..][..self.outputs];
        for &(top, outputs) in &self.tops {
            y.split_off_mut(..outputs).expect("the tops make y").copy_from_slice(&layers[top].slot(slot)[..outputs]);
        }
    }

    /// The gradient of the first `n` steps' summed loss, given their dL/dy ([`Workspace::dy`]). `theta`, `obs` (from 0 on) and `tape`
    /// are those of the forward passes. What came before slot 0 is a constant: backpropagation through time stops there.
    pub fn backward<'a>(
        &self,
        isa: Isa,
        theta: &[f32],
        obs: &'a Observations,
        tape: &'a Tape,
        n: usize,
        workspace: &'a mut Workspace,
    ) -> Gradient<'a> {
        self.scatter(n, workspace);
        let Workspace { layers: gradients, scratch, image, d_first, d_theta, .. } = workspace;
        // The gradients of the large linear layers are not written out.
        let is_outer = |i: usize| self.below[i].is_some() && n <= MAX_RANK && self.layers[i].has_outer_gradient();
        for (i, layer) in self.layers.iter().enumerate().rev() {
            let Some(below) = self.below[i] else { continue };
            layer.backward_state(isa, theta, n, &tape.layers[i], &mut gradients[i], scratch);
            let [dx, dy] = pair(gradients, below, i);
            let activation = self.layers[below].activation;
            let (below, above) = (&tape.layers[below], &tape.layers[i]);
            let (x, dy) = factors(below, above, dy, n);
            match is_outer(i) {
                true => layer.backward_bias(dy, d_theta),
                false => layer.backward_params(isa, n, x, above, dy, d_theta),
            }
            layer.backward_input(isa, theta, n, (below, activation), above, dy, scratch, dx.first_mut(n));
        }
        match obs.vectors() {
            Some(x) => self.backward_vectors(isa, &x[..n * self.input.len()], tape, n, gradients, d_theta),
            None => self.backward_images(isa, (obs, n), tape, gradients, (image, d_first), d_theta),
        }
        let (tape, mut gradient) = (&tape.layers, Gradient::from(&d_theta[..]));
        for i in (0..self.layers.len()).filter(|i| is_outer(*i)) {
            let below = self.below[i].expect("a layer that reads the observation has its gradient written out");
            let (x, dy) = factors(&tape[below], &tape[i], &gradients[i], n);
            gradient = gradient.with_outer(self.layers[i].outer(n, x, dy));
        }
        gradient
    }

    /// dL/dy of the first `n` steps, each to the layer that it comes from.
    fn scatter(&self, n: usize, workspace: &mut Workspace) {
        let Workspace { layers, dy, .. } = workspace;
        for (slot, mut dy) in dy.chunks_exact(self.outputs).take(n).enumerate() {
            for &(top, outputs) in &self.tops {
                let of_top = dy.split_off(..outputs).expect("the tops make y");
                layers[top].slot_mut(slot)[..outputs].copy_from_slice(of_top);
            }
        }
    }

    /// The gradient by the parameters of what reads vectors, or nothing.
    fn backward_vectors(
        &self,
        isa: Isa,
        x: &[f32],
        tape: &Tape,
        n: usize,
        gradients: &[LayerWorkspace],
        d_theta: &mut [f32],
    ) {
        for (i, layer) in self.layers.iter().enumerate().filter(|(i, _)| self.below[*i].is_none()) {
            layer.backward_params(isa, n, x, &tape.layers[i], gradients[i].first(n), d_theta);
        }
    }

    /// The same where images are looked at. They are kept as bytes, a quarter of the memory, and shown once more here, one
    /// after the other.
    fn backward_images(
        &self,
        isa: Isa,
        (obs, n): (&Observations, usize),
        tape: &Tape,
        gradients: &[LayerWorkspace],
        (image, d_first): (&mut Image, &mut Buffer),
        d_theta: &mut [f32],
    ) {
        let bottom = || self.layers.iter().enumerate().filter(|(i, _)| self.below[*i].is_none());
        for (i, layer) in bottom() {
            match layer.is_constant() {
                true => layer.backward_bias(gradients[i].first(n), d_theta),
                false => d_theta[layer.params()].fill(0.0),
            }
        }
        for slot in 0..n {
            image.show(isa, obs.get(slot), (slot > 0).then(|| obs.get(slot - 1)));
            for (i, layer) in bottom().filter(|(_, layer)| !layer.is_constant()) {
                let (sites, dy) = (tape.layers[i].runs.sites_of(slot), gradients[i].first(n));
                layer.backward_sites(isa, sites, &image.x, dy, d_first);
                let d = &d_first[layer.params()];
                d_theta[layer.params()].iter_mut().zip(d).for_each(|(sum, d)| *sum += d);
            }
        }
    }
}

/// The one below, and `i`.
fn pair<T>(layers: &mut [T], below: usize, i: usize) -> [&mut T; 2] {
    layers.get_disjoint_mut([below, i]).expect("no layer is below itself")
}

/// What a layer's gradient is the product of over `n` slots: its input, and the gradient by its `W x + b`.
fn factors<'a>(
    below: &'a LayerTape,
    tape: &'a LayerTape,
    gradients: &'a LayerWorkspace,
    n: usize,
) -> (&'a [f32], &'a [f32]) {
    match (&tape.lstm, &gradients.lstm) {
        (Some(tape), Some(gradients)) => (tape.xh(n), gradients.d_gates(n)),
        _ => (below.first(n), gradients.first(n)),
    }
}
