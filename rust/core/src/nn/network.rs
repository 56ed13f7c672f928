//! A network: the forward and backward pass over its layers.

use super::architecture::{Architecture, Filters, Net};
use super::layer::Layer;
use super::layout::{Columns, Layout};
use super::tape::{Image, Input, LayerTape, LayerWorkspace, Observations, Tape, Workspace};
use crate::env::ObsSpec;
use crate::kernel::Isa;
use crate::kernel::activation::Activation;
use crate::kernel::buffer::Buffer;
use crate::kernel::conv2d::Conv2dShape;
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

/// A list of layers over one flat theta.
#[derive(Clone, Debug)]
pub struct Network {
    input: ObsSpec,
    layers: Vec<Layer>,
    layout: Layout,
    outputs: usize,
}

impl Network {
    /// The network `net` from observations `input` to `heads` side by side.
    pub fn new(net: Net, input: &ObsSpec, heads: &[Head]) -> Result<Self, NetError> {
        if input.is_empty() {
            return Err(NetError::EmptyObservation(input.clone()));
        }
        let Some(architecture) = net.architecture(input) else {
            return Err(NetError::NeedsImages { input: input.clone(), net });
        };
        let least = architecture.smallest_side();
        if let &ObsSpec::Image { height, width, .. } = input
            && height.min(width) < least
        {
            return Err(NetError::ImageTooSmall { height, width, least, net });
        }
        let Builder { layout, layers } = Builder::build(&architecture, input, heads);
        let outputs = heads.iter().map(|head| head.outputs).sum();
        Ok(Network { input: input.clone(), layers, layout, outputs })
    }

    /// Where the tensors lie in theta.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The observations it reads.
    pub fn input(&self) -> &ObsSpec {
        &self.input
    }

    /// Length of its recurrent state; 0 if it has none.
    pub fn state_len(&self) -> usize {
        self.layers.iter().map(Layer::state_len).sum()
    }

    /// Memory for the activations of `slots` steps.
    pub fn tape(&self, slots: usize) -> Tape {
        let layers = self.layers.iter().map(|layer| layer.tape(slots)).collect();
        Tape { image: Image::new(&self.input), layers, outputs: self.outputs }
    }

    /// Working memory for passes over up to `slots` steps.
    pub fn workspace(&self, slots: usize) -> Workspace {
        let scratch = self.layers.iter().map(|layer| layer.scratch_len(slots)).max();
        Workspace {
            image: Image::new(&self.input),
            d_first: Buffer::zeros(self.first_params()),
            layers: self.layers.iter().map(|layer| layer.workspace(slots)).collect(),
            outputs: self.outputs,
            scratch: Buffer::zeros(scratch.unwrap_or(0)),
            d_theta: Buffer::zeros(self.layout.len()),
        }
    }

    /// The first layer's parameters are the first of theta: how many they are.
    fn first_params(&self) -> usize {
        self.layers[0].param_ranges()[1].end
    }

    /// `y <- network(s; theta)` for observation `t` of `obs`, its activations kept in `slot` of the tape. The slots are computed one
    /// after the other, of observations one after the other, under one theta: what has not changed since the slot before is
    /// taken over from there. A recurrent network reads the state before `slot` and leaves that before the next.
    pub fn forward(&self, isa: Isa, theta: &[f32], (obs, t): (&Observations, usize), tape: &mut Tape, slot: usize) {
        let Tape { image, layers, .. } = tape;
        let input = match obs.vectors() {
            Some(all) => Input { all, nth: t, changed: &[] },
            None => {
                image.show(isa, obs.get(t), (slot > 0).then(|| obs.get(t - 1)));
                Input { all: &image.x, nth: 0, changed: &image.changed }
            }
        };
        self.layers[0].forward(isa, theta, input, &mut layers[0], slot);
        for (i, layer) in self.layers.iter().enumerate().skip(1) {
            let [below, above] = neighbours(layers, i);
            layer.forward(isa, theta, below.input(slot), above, slot);
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
        let Workspace { layers: gradients, scratch, image, d_first, d_theta, .. } = workspace;
        // The gradients of the large linear layers are not written out.
        let is_outer = |i: usize| i > 0 && n <= MAX_RANK && self.layers[i].has_outer_gradient();
        for i in (1..self.layers.len()).rev() {
            let (layer, below, above) = (&self.layers[i], &tape.layers[i - 1], &tape.layers[i]);
            layer.backward_state(isa, theta, n, above, &mut gradients[i], scratch);
            let [dx, dy] = neighbours(gradients, i);
            let (x, dy) = factors(below, above, dy, n);
            match is_outer(i) {
                true => layer.backward_bias(dy, d_theta),
                false => layer.backward_params(isa, n, x, above, dy, d_theta),
            }
            let below = (below, self.layers[i - 1].activation);
            layer.backward_input(isa, theta, n, below, above, dy, scratch, dx.first_mut(n));
        }
        let (first, dy) = (&tape.layers[0], gradients[0].first(n));
        match obs.vectors() {
            Some(x) => self.layers[0].backward_params(isa, n, &x[..n * self.input.len()], first, dy, d_theta),
            None => self.backward_images(isa, (obs, n), first, dy, (image, d_first), d_theta),
        }
        let (tape, mut gradient) = (&tape.layers, Gradient::from(&d_theta[..]));
        for i in (0..self.layers.len()).filter(|i| is_outer(*i)) {
            let (x, dy) = factors(&tape[i - 1], &tape[i], &gradients[i], n);
            gradient = gradient.with_outer(self.layers[i].outer(n, x, dy));
        }
        gradient
    }

    /// The gradient by the first layer's parameters, where it looks at images. They are kept as bytes, a quarter of the memory,
    /// and shown once more here, one after the other.
    fn backward_images(
        &self,
        isa: Isa,
        (obs, n): (&Observations, usize),
        tape: &LayerTape,
        dy: &[f32],
        (image, d_first): (&mut Image, &mut Buffer),
        d_theta: &mut [f32],
    ) {
        let d_theta = &mut d_theta[..d_first.len()];
        d_theta.fill(0.0);
        for slot in 0..n {
            image.show(isa, obs.get(slot), (slot > 0).then(|| obs.get(slot - 1)));
            self.layers[0].backward_sites(isa, tape.runs.sites_of(slot), &image.x, dy, d_first);
            d_theta.iter_mut().zip(d_first.iter()).for_each(|(sum, d)| *sum += d);
        }
    }
}

/// The one below `i`, and `i`.
fn neighbours<T>(layers: &mut [T], i: usize) -> [&mut T; 2] {
    let (below, above) = layers.split_at_mut(i);
    [&mut below[i - 1], &mut above[0]]
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

struct Builder {
    layout: Layout,
    layers: Vec<Layer>,
}

impl Builder {
    fn build(architecture: &Architecture, input: &ObsSpec, heads: &[Head]) -> Self {
        let mut build = Builder { layout: Layout::default(), layers: Vec::new() };
        let Architecture { convolutions, units, cells } = *architecture;
        // (height, width, channel); a vector is an image of one pixel
        let mut shape = match *input {
            ObsSpec::Image { channels, height, width } => (height, width, channels),
            ObsSpec::Vector { len } => (1, 1, len),
        };
        for (i, filters) in convolutions.iter().enumerate() {
            shape = build.conv2d(&format!("conv{}", i + 1), shape, *filters);
        }
        let (height, width, channels) = shape;
        build.linear(height * width * channels, channels, &[Columns { name: "fc", outputs: units }], Activation::Relu);
        if let Some(cells) = cells {
            build.lstm("lstm", units, cells);
        }
        build.linear(cells.unwrap_or(units), 1, heads, Activation::Identity);
        build
    }

    /// Adds a convolution with ReLU over an image of `(height, width, channels)`; returns the new shape.
    fn conv2d(
        &mut self,
        name: &str,
        (in_h, in_w, in_c): (usize, usize, usize),
        Filters { out_c, kernel, stride }: Filters,
    ) -> (usize, usize, usize) {
        let offsets = self.layout.conv2d(name, kernel, in_c, out_c);
        let shape = Conv2dShape { in_h, in_w, in_c, out_c, kernel, stride };
        self.layers.push(Layer::conv2d(shape, offsets, Activation::Relu));
        (shape.out_h(), shape.out_w(), out_c)
    }

    fn linear(&mut self, inputs: usize, channels: usize, columns: &[Columns], activation: Activation) {
        let rows = self.rows_below(inputs);
        let offsets = self.layout.linear(inputs, rows, channels, columns);
        let outputs = columns.iter().map(|c| c.outputs).sum();
        self.layers.push(Layer::linear(rows, outputs, offsets, activation));
    }

    fn lstm(&mut self, name: &str, inputs: usize, cells: usize) {
        let rows = self.rows_below(inputs);
        let offsets = self.layout.lstm(name, inputs, rows, cells);
        self.layers.push(Layer::lstm(rows, cells, offsets));
    }

    /// The outputs of the layer below, padding included.
    fn rows_below(&self, inputs: usize) -> usize {
        self.layers.last().map_or(inputs, Layer::output_len)
    }
}
