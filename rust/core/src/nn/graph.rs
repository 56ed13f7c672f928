//! Construction of a network as a graph of layers over one theta.
//!
//! A layer reads the observation or the outputs of layers added before it, and any number of layers may read the same
//! outputs. A residual block is [`Graph::sum`] of its input and its last layer; two inputs with weights of their own
//! are the sum of two linear layers.

use super::architecture::Filters;
use super::layer::{Layer, SumShape};
use super::layout::{Columns, Layout};
use super::network::{Edge, Head, Network, Node};
use crate::env::ObsSpec;
use crate::kernel::activation::Activation;
use crate::kernel::conv2d::Conv2dShape;
use crate::kernel::gradient::MAX_OUTER;
use std::cmp::Reverse;

/// Network under construction: the layers added so far.
#[derive(Clone, Debug)]
pub struct Graph {
    input: ObsSpec,
    layout: Layout,
    nodes: Vec<Node>,
    tops: Vec<(usize, usize)>,
}

/// Source of a layer's input: the observation, or the outputs of a layer. A vector is an image of one pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Index of the layer; none is the observation.
    layer: Option<usize>,
    height: usize,
    width: usize,
    channels: usize,
    /// Length with padding.
    rows: usize,
}

impl Source {
    fn len(&self) -> usize {
        self.height * self.width * self.channels
    }

    fn vector(self, channels: usize) -> Self {
        Source { height: 1, width: 1, channels, ..self }
    }
}

impl Graph {
    /// Creates a graph without layers for observations `input`.
    pub fn new(input: &ObsSpec) -> Self {
        Graph { input: input.clone(), layout: Layout::default(), nodes: Vec::new(), tops: Vec::new() }
    }

    /// Returns the observation.
    pub fn observation(&self) -> Source {
        let (height, width, channels) = match self.input {
            ObsSpec::Image { channels, height, width } => (height, width, channels),
            ObsSpec::Vector { len } => (1, 1, len),
        };
        Source { layer: None, height, width, channels, rows: self.input.len() }
    }

    /// Adds a convolution. The number of filters must be a multiple of [`crate::kernel::LANE_PAD`].
    ///
    /// # Panics
    /// If the image is smaller than a filter.
    pub fn conv2d(&mut self, name: &str, below: Source, filters: Filters, activation: Activation) -> Source {
        let Filters { out_c, kernel, stride } = filters;
        let Source { height: in_h, width: in_w, channels: in_c, .. } = below;
        assert!(kernel <= in_h.min(in_w), "{name} has filters of {kernel}x{kernel} for images of {in_h}x{in_w}");
        let shape = Conv2dShape { in_h, in_w, in_c, out_c, kernel, stride };
        let offsets = self.layout.conv2d(name, kernel, in_c, out_c);
        let layer = Layer::conv2d(shape, offsets, activation);
        let source = self.add(layer, &[below], &[Columns { name, outputs: out_c }]);
        Source { height: shape.out_h(), width: shape.out_w(), channels: out_c, ..source }
    }

    /// Adds a linear layer whose outputs are `columns` side by side.
    ///
    /// # Panics
    /// If it reads an observed image, which only convolutions can read.
    pub fn linear(&mut self, columns: &[Columns], below: Source, activation: Activation) -> Source {
        self.refuse_image(below);
        let offsets = self.layout.linear(below.len(), below.rows, below.channels, columns);
        let outputs = columns.iter().map(|c| c.outputs).sum();
        self.add(Layer::linear(below.rows, outputs, offsets, activation), &[below], columns).vector(outputs)
    }

    /// Adds LSTM cells. Their number must be a multiple of [`crate::kernel::LANE_PAD`].
    ///
    /// # Panics
    /// Under the conditions of [`Graph::linear`].
    pub fn lstm(&mut self, name: &str, below: Source, cells: usize) -> Source {
        self.refuse_image(below);
        let offsets = self.layout.lstm(name, below.len(), below.rows, below.channels, cells);
        self.add(Layer::lstm(below.rows, cells, offsets), &[below], &[Columns { name, outputs: cells }]).vector(cells)
    }

    /// Adds `activation(sum of inputs)`. With one input it is the activation alone.
    ///
    /// # Panics
    /// If the inputs differ in shape, if there are none, or if the observation is among them.
    pub fn sum(&mut self, name: &str, inputs: &[Source], activation: Activation) -> Source {
        let shape = |source: &Source| (source.height, source.width, source.channels);
        let first = inputs[0];
        assert!(inputs.iter().all(|input| input.layer.is_some()), "{name} adds the observation, not a layer's outputs");
        assert!(inputs.iter().all(|input| shape(input) == shape(&first)), "{name} adds outputs of different shapes");
        let positions = first.height * first.width;
        let layer = Layer::sum(SumShape { positions, channels: first.rows / positions }, activation);
        let layer = self.add(layer, inputs, &[Columns { name, outputs: first.channels }]).layer;
        Source { layer, ..first }
    }

    /// Appends the outputs of a linear layer to y. `heads` are its columns, with `prefix` before their names.
    pub fn heads(&mut self, prefix: &str, heads: &[Head], below: Source) {
        let names: Vec<_> = heads.iter().map(|head| format!("{prefix}{}", head.name)).collect();
        let columns: Vec<_> =
            heads.iter().zip(&names).map(|(head, name)| Columns { name, outputs: head.outputs }).collect();
        let top = self.linear(&columns, below, Activation::Identity);
        self.top(top);
    }

    /// Appends outputs to y that are parameters themselves.
    pub fn constant(&mut self, head: Head) {
        let offset = self.layout.constant(head.name, head.outputs);
        let top = self.add(Layer::constant(head.outputs, offset), &[], &[head]).vector(head.outputs);
        self.top(top);
    }

    fn top(&mut self, top: Source) {
        self.tops.extend(top.layer.map(|layer| (layer, top.channels)));
    }

    fn refuse_image(&self, below: Source) {
        let is_image = below.layer.is_none() && matches!(self.input, ObsSpec::Image { .. });
        assert!(!is_image, "an observed image is read by a convolution");
    }

    fn add(&mut self, layer: Layer, inputs: &[Source], columns: &[Columns]) -> Source {
        let rows = layer.output_len();
        self.nodes.push(Node {
            derives: layer.activation != Activation::Identity,
            layer,
            columns: columns.iter().map(|c| (c.name.to_owned(), c.outputs)).collect(),
            inputs: inputs.iter().map(|input| Edge { from: input.layer, is_first: false }).collect(),
            is_outer: false,
        });
        Source { layer: Some(self.nodes.len() - 1), height: 1, width: 1, channels: rows, rows }
    }

    /// Returns the network whose y consists of the heads and constants in the order of their addition.
    pub fn finish(mut self) -> Network {
        self.choose_outer();
        self.order_readers();
        let outputs = self.tops.iter().map(|(_, outputs)| outputs).sum();
        Network { input: self.input, nodes: self.nodes, tops: self.tops, layout: self.layout, outputs }
    }

    /// Marks the largest layers, as many as a gradient can hold as outer products.
    fn choose_outer(&mut self) {
        let mut large: Vec<&mut Node> = self
            .nodes
            .iter_mut()
            .filter(|node| node.inputs.iter().any(|edge| edge.from.is_some()) && node.layer.has_outer_gradient())
            .collect();
        large.sort_by_key(|node| Reverse(node.layer.params().len())); // stable: the first of equal layers wins
        large.into_iter().take(MAX_OUTER).for_each(|node| node.is_outer = true);
    }

    /// Determines for each layer which reader writes its gradient first in the backward pass, which goes from the last
    /// layer to the first. Determines also whether the readers' kernels already apply the derivative of its ReLU.
    fn order_readers(&mut self) {
        let mut is_written = vec![false; self.nodes.len()];
        let mut is_gated: Vec<bool> = self.nodes.iter().map(|n| n.layer.activation == Activation::Relu).collect();
        for (top, _) in &self.tops {
            (is_written[*top], is_gated[*top]) = (true, false);
        }
        for node in self.nodes.iter_mut().rev() {
            for edge in &mut node.inputs {
                let Some(from) = edge.from else { continue };
                edge.is_first = !is_written[from];
                is_written[from] = true;
                is_gated[from] &= node.layer.gates_its_input();
            }
        }
        self.nodes.iter_mut().zip(is_gated).for_each(|(node, is_gated)| node.derives &= !is_gated);
    }
}
