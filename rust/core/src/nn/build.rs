//! From a network's description to its layers, and where their parameters lie in theta.

use super::architecture::{Architecture, Filters};
use super::layer::Layer;
use super::layout::{Columns, Layout};
use super::network::Head;
use crate::env::ObsSpec;
use crate::kernel::activation::Activation;
use crate::kernel::conv2d::Conv2dShape;

/// A network being built: its layers, one trunk after the other.
pub(super) struct Builder<'a> {
    architecture: Architecture,
    input: &'a ObsSpec,
    pub layout: Layout,
    pub layers: Vec<Layer>,
    /// What its outputs are called, and how many there are: as its tensors are.
    pub columns: Vec<Vec<(String, usize)>>,
    /// The layer that each of them reads; none reads the observation.
    pub below: Vec<Option<usize>>,
    /// The layers that make y, each with how many outputs.
    pub tops: Vec<(usize, usize)>,
}

/// What the next layer of a trunk reads: the outputs of the layer `below`, or the observation.
#[derive(Clone, Copy)]
struct Below {
    layer: Option<usize>,
    /// Without padding ...
    outputs: usize,
    /// ... and with.
    rows: usize,
    /// Where it is an image; 1 else.
    channels: usize,
}

impl<'a> Builder<'a> {
    pub fn new(architecture: Architecture, input: &'a ObsSpec) -> Self {
        let (layout, layers, columns, below, tops) = Default::default();
        Builder { architecture, input, layout, layers, columns, below, tops }
    }

    /// The whole architecture, with `heads` on it; the names of its tensors start with `prefix`.
    pub fn trunk(&mut self, prefix: &str, heads: &[Head]) {
        let Architecture { convolutions, activation, units, cells } = self.architecture;
        // (height, width, channel); a vector is an image of one pixel
        let mut shape = match *self.input {
            ObsSpec::Image { channels, height, width } => (height, width, channels),
            ObsSpec::Vector { len } => (1, 1, len),
        };
        let mut below = Below { layer: None, outputs: self.input.len(), rows: self.input.len(), channels: shape.2 };
        for (i, filters) in convolutions.iter().enumerate() {
            let name = format!("{prefix}conv{}", i + 1);
            (below, shape) = self.conv2d(&name, below, shape, *filters, activation);
        }
        if let Some(units) = units {
            let name = format!("{prefix}fc");
            below = self.linear(below, &[Columns { name: &name, outputs: units }], Activation::Relu);
        }
        if let Some(cells) = cells {
            below = self.lstm(&format!("{prefix}lstm"), below, cells);
        }
        let names: Vec<_> = heads.iter().map(|head| format!("{prefix}{}", head.name)).collect();
        let columns: Vec<_> =
            heads.iter().zip(&names).map(|(head, name)| Columns { name, outputs: head.outputs }).collect();
        let top = self.linear(below, &columns, Activation::Identity);
        self.tops.extend(top.layer.map(|layer| (layer, top.outputs)));
    }

    /// Outputs that are parameters.
    pub fn constant(&mut self, head: Head) {
        let offset = self.layout.constant(head.name, head.outputs);
        self.add(None, Layer::constant(head.outputs, offset), &[head]);
        self.tops.push((self.layers.len() - 1, head.outputs));
    }

    fn add(&mut self, below: Option<usize>, layer: Layer, columns: &[Columns]) -> (Option<usize>, usize) {
        let rows = layer.output_len();
        self.columns.push(columns.iter().map(|c| (c.name.to_owned(), c.outputs)).collect());
        self.layers.push(layer);
        self.below.push(below);
        (Some(self.layers.len() - 1), rows)
    }

    /// Adds a convolution over an image of `(height, width, channels)`; returns the new shape too.
    fn conv2d(
        &mut self,
        name: &str,
        below: Below,
        (in_h, in_w, in_c): (usize, usize, usize),
        Filters { out_c, kernel, stride }: Filters,
        activation: Activation,
    ) -> (Below, (usize, usize, usize)) {
        let offsets = self.layout.conv2d(name, kernel, in_c, out_c);
        let shape = Conv2dShape { in_h, in_w, in_c, out_c, kernel, stride };
        let (layer, rows) =
            self.add(below.layer, Layer::conv2d(shape, offsets, activation), &[Columns { name, outputs: out_c }]);
        let (height, width) = (shape.out_h(), shape.out_w());
        (Below { layer, outputs: height * width * out_c, rows, channels: out_c }, (height, width, out_c))
    }

    fn linear(&mut self, below: Below, columns: &[Columns], activation: Activation) -> Below {
        let offsets = self.layout.linear(below.outputs, below.rows, below.channels, columns);
        let outputs = columns.iter().map(|c| c.outputs).sum();
        let (layer, rows) = self.add(below.layer, Layer::linear(below.rows, outputs, offsets, activation), columns);
        Below { layer, outputs, rows, channels: 1 }
    }

    fn lstm(&mut self, name: &str, below: Below, cells: usize) -> Below {
        let offsets = self.layout.lstm(name, below.outputs, below.rows, below.channels, cells);
        let (layer, rows) =
            self.add(below.layer, Layer::lstm(below.rows, cells, offsets), &[Columns { name, outputs: cells }]);
        Below { layer, outputs: cells, rows, channels: 1 }
    }
}
