//! The networks of the paper, and the forward and backward pass over their layers.

use super::layer::Layer;
use super::layout::{Columns, Layout};
use super::tape::{LayerTape, Observations, Tape, Workspace};
use crate::env::{ObsRef, ObsSpec};
use crate::kernel::Isa;
use crate::kernel::activation::{Activation, images_to_f32};
use crate::kernel::buffer::Buffer;
use crate::kernel::conv2d::Conv2dShape;
use crate::kernel::gradient::{Gradient, MAX_RANK};
use serde::{Deserialize, Serialize};

/// The networks there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Net {
    /// Section 8: images through 16 8x8 filters with stride 4, 32 4x4 filters with stride 2 and 256 units, each with ReLU
    /// (the network of Mnih et al., 2013). Vectors through 200 units with ReLU (section 9, without its LSTM).
    Ff,
}

/// A named group of outputs, for example the policy's logits.
pub type Head<'a> = Columns<'a>;

/// Why a network cannot be built for an environment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// The image is smaller than a filter.
    #[error("images of {height}x{width} are too small for the convolutions of net {net:?}; it needs at least 20x20")]
    ImageTooSmall {
        /// Rows of the image.
        height: usize,
        /// Columns of the image.
        width: usize,
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
        let mut build = Builder { layout: Layout::default(), layers: Vec::new() };
        match (net, input) {
            (Net::Ff, &ObsSpec::Image { channels, height, width }) => {
                if height < 20 || width < 20 {
                    return Err(NetError::ImageTooSmall { height, width, net });
                }
                let (h, w) = build.conv2d("conv1", (height, width, channels), 16, 8, 4);
                let (h, w) = build.conv2d("conv2", (h, w, 16), 32, 4, 2);
                build.linear(h * w * 32, 32, &[Columns { name: "fc", outputs: 256 }], Activation::Relu);
                build.linear(256, 1, heads, Activation::Identity);
            }
            (Net::Ff, &ObsSpec::Vector { len }) => {
                build.linear(len, 1, &[Columns { name: "fc", outputs: 200 }], Activation::Relu);
                build.linear(200, 1, heads, Activation::Identity);
            }
        }
        let outputs = heads.iter().map(|head| head.outputs).sum();
        Ok(Network { input: input.clone(), layers: build.layers, layout: build.layout, outputs })
    }

    /// Where the tensors lie in theta.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The observations it reads.
    pub fn input(&self) -> &ObsSpec {
        &self.input
    }

    /// Memory for the activations of `slots` steps.
    pub fn tape(&self, slots: usize) -> Tape {
        let layers = self.layers.iter().map(|layer| {
            let len = layer.output_len();
            LayerTape { len, y: Buffer::zeros(slots * len) }
        });
        Tape { layers: layers.collect(), outputs: self.outputs }
    }

    /// Working memory for passes over up to `slots` steps.
    pub fn workspace(&self, slots: usize) -> Workspace {
        let (image, d_first) = match self.input {
            ObsSpec::Image { .. } => (self.input.len(), self.first_params()),
            ObsSpec::Vector { .. } => (0, 0),
        };
        let lens = self.layers.iter().map(Layer::output_len);
        Workspace {
            image: Buffer::zeros(image),
            dy: lens.map(|len| Buffer::zeros(slots * len)).collect(),
            heads: (self.layers[self.layers.len() - 1].output_len(), self.outputs),
            scratch: Buffer::zeros(self.layers.iter().map(Layer::scratch_len).max().unwrap_or(0)),
            d_first: Buffer::zeros(d_first),
            d_theta: Buffer::zeros(self.layout.len()),
        }
    }

    /// The first layer's parameters are the first of theta: how many they are.
    fn first_params(&self) -> usize {
        self.layers[0].param_ranges()[1].end
    }

    /// `y <- network(obs; theta)`, its activations kept in `slot` of the tape.
    pub fn forward(
        &self,
        isa: Isa,
        theta: &[f32],
        obs: ObsRef<'_>,
        tape: &mut Tape,
        slot: usize,
        workspace: &mut Workspace,
    ) {
        let x = self.input_of(isa, obs, &mut workspace.image);
        let range = tape.layers[0].slot(slot);
        self.layers[0].forward(isa, theta, x, &mut tape.layers[0].y[range]);
        for (i, layer) in self.layers.iter().enumerate().skip(1) {
            let [below, above] = neighbours(&mut tape.layers, i);
            let (x, y) = (below.slot(slot), above.slot(slot));
            layer.forward(isa, theta, &below.y[x], &mut above.y[y]);
        }
    }

    /// The gradient of the first `n` steps' summed loss, given their dL/dy ([`Workspace::dy`]). `theta`, `obs` and `tape` are
    /// those of the forward passes.
    pub fn backward<'a>(
        &self,
        isa: Isa,
        theta: &[f32],
        obs: &'a Observations,
        tape: &'a Tape,
        n: usize,
        workspace: &'a mut Workspace,
    ) -> Gradient<'a> {
        let Workspace { image, dy, scratch, d_first, d_theta, .. } = workspace;
        // The one large linear layer's gradient is not written out.
        let outer = self.layers.iter().position(Layer::has_outer_gradient).filter(|i| *i > 0 && n <= MAX_RANK);
        for i in (1..self.layers.len()).rev() {
            let (layer, below) = (&self.layers[i], &self.layers[i - 1]);
            let [dx, dy] = neighbours(dy, i);
            let (x, dy) = (&tape.layers[i - 1].y[..n * below.output_len()], &dy[..n * layer.output_len()]);
            if outer == Some(i) {
                layer.backward_bias(dy, d_theta);
            } else {
                layer.backward_params(isa, n, x, dy, d_theta);
            }
            let dx = &mut dx[..n * below.output_len()];
            layer.backward_input(isa, theta, n, dy, x, below.activation, scratch, dx);
        }
        self.backward_first(isa, obs, n, &dy[0], (image, d_first), d_theta);
        match outer {
            None => Gradient::from(&d_theta[..]),
            Some(i) => {
                let (layer, below) = (&self.layers[i], &self.layers[i - 1]);
                let (x, dy) = (&tape.layers[i - 1].y[..n * below.output_len()], &dy[i][..n * layer.output_len()]);
                Gradient::with_outer(d_theta, layer.outer(n, x, dy))
            }
        }
    }

    /// The gradient by the first layer's parameters, whose input are the observations.
    fn backward_first(
        &self,
        isa: Isa,
        obs: &Observations,
        n: usize,
        dy: &[f32],
        (image, d_first): (&mut Buffer, &mut Buffer),
        d_theta: &mut [f32],
    ) {
        let first = &self.layers[0];
        if let Some(x) = obs.vectors(n) {
            return first.backward_params(isa, n, x, &dy[..n * first.output_len()], d_theta);
        }
        // Images are kept as bytes, a quarter of the memory, and converted once more here, one at a time.
        let len = self.first_params();
        d_theta[..len].fill(0.0);
        for (slot, dy) in dy.chunks_exact(first.output_len()).take(n).enumerate() {
            let x = self.input_of(isa, obs.get(slot), image);
            first.backward_params(isa, 1, x, dy, d_first);
            d_theta[..len].iter_mut().zip(d_first.iter()).for_each(|(sum, d)| *sum += d);
        }
    }

    /// The first layer's input: a vector as it is, an image as f32 in `(y, x, channel)`.
    fn input_of<'a>(&self, isa: Isa, obs: ObsRef<'a>, image: &'a mut Buffer) -> &'a [f32] {
        match (obs, &self.input) {
            (ObsRef::Image(bytes), ObsSpec::Image { channels, .. }) => {
                images_to_f32(isa, *channels, bytes, image);
                image
            }
            (ObsRef::Vector(x), ObsSpec::Vector { .. }) => x,
            _ => panic!("the observation is not of the kind the network was built for"),
        }
    }
}

/// The one below `i`, and `i`.
fn neighbours<T>(layers: &mut [T], i: usize) -> [&mut T; 2] {
    let (below, above) = layers.split_at_mut(i);
    [&mut below[i - 1], &mut above[0]]
}

struct Builder {
    layout: Layout,
    layers: Vec<Layer>,
}

impl Builder {
    /// Adds a convolution with ReLU over an image of `(height, width, channels)`; returns the new height and width.
    fn conv2d(
        &mut self,
        name: &str,
        (in_h, in_w, in_c): (usize, usize, usize),
        out_c: usize,
        kernel: usize,
        stride: usize,
    ) -> (usize, usize) {
        let offsets = self.layout.conv2d(name, kernel, in_c, out_c);
        let shape = Conv2dShape { in_h, in_w, in_c, out_c, kernel, stride };
        self.layers.push(Layer::conv2d(shape, offsets, Activation::Relu));
        (shape.out_h(), shape.out_w())
    }

    fn linear(&mut self, inputs: usize, channels: usize, columns: &[Columns], activation: Activation) {
        let rows = self.layers.last().map_or(inputs, Layer::output_len);
        let offsets = self.layout.linear(inputs, rows, channels, columns);
        let outputs = columns.iter().map(|c| c.outputs).sum();
        self.layers.push(Layer::linear(rows, outputs, offsets, activation));
    }
}
