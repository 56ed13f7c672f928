//! Networks: construction from a description, and the forward pass.

use super::architecture::{Net, NetSpec, Trunk};
use super::graph::Graph;
use super::layer::Layer;
use super::layout::{Columns, Layout};
use super::tape::{Image, Input, Observations, Tape, Workspace};
use crate::env::ObsSpec;
use crate::kernel::buffer::Buffer;
use crate::kernel::{Isa, LANE_PAD};
use std::ops::Range;

/// Named group of outputs, for example the policy's logits.
pub type Head<'a> = Columns<'a>;

/// Reason why a network cannot be built for an environment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// The image is smaller than a filter.
    #[error("images of {height}x{width} are too small for net {}, which needs {least}x{least} at least", net.entry().name)]
    ImageTooSmall {
        /// Rows of the image.
        height: usize,
        /// Columns of the image.
        width: usize,
        /// Shortest side that the network can process.
        least: usize,
        /// Requested network.
        net: Net,
    },
    /// The network has no form for such observations.
    #[error("net {} looks at images, but the environment shows {input}; choose ff or lstm", net.entry().name)]
    NeedsImages {
        /// The observations.
        input: ObsSpec,
        /// Requested network.
        net: Net,
    },
    /// Observation without elements.
    #[error("the observation is empty: {0}")]
    EmptyObservation(ObsSpec),
    /// Hidden layer without units.
    #[error("hidden is {0:?}, but each hidden layer needs at least one unit")]
    NoUnits(Vec<usize>),
    /// Cells for a network without an LSTM.
    #[error("the setting cells is {cells}, but net {} has no LSTM: leave cells out, or choose net lstm", net.entry().name)]
    NoLstm {
        /// Requested number of cells.
        cells: usize,
        /// Requested network.
        net: Net,
    },
    /// Number of LSTM cells that the kernels cannot compute.
    #[error("the setting cells is {0}, but the number of LSTM cells must be a multiple of {LANE_PAD}")]
    Cells(usize),
}

/// Part of a network that produces a part of y.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// Heads on a trunk of their own.
    Trunk {
        /// Prefix of the names of its tensors, before a dot.
        name: &'a str,
        /// Heads, in the order of their outputs.
        heads: &'a [Head<'a>],
    },
    /// Outputs that are parameters, the same for every observation.
    Constant(Head<'a>),
}

/// Layers over one flat theta, built by a [`Graph`].
#[derive(Clone, Debug)]
pub struct Network {
    pub(super) input: ObsSpec,
    /// Layers, each after those it reads.
    pub(super) nodes: Vec<Node>,
    /// Layers whose outputs, side by side, are y: index and number of outputs.
    pub(super) tops: Vec<(usize, usize)>,
    pub(super) layout: Layout,
    pub(super) outputs: usize,
}

/// Layer and its place in the graph.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub layer: Layer,
    /// Names of its outputs, and the number of each.
    pub columns: Vec<(String, usize)>,
    pub inputs: Vec<Edge>,
    /// True if the backward pass applies the derivative of its activation. A ReLU does not need this if all its
    /// readers' kernels do so.
    pub derives: bool,
    /// True if its gradient stays an outer product when a segment is short enough.
    pub is_outer: bool,
}

/// Input of a layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    /// Index of the layer that is read; none is the observation.
    pub from: Option<usize>,
    /// True if no other reader has written that layer's gradient before. The gradient is then overwritten, otherwise
    /// added to.
    pub is_first: bool,
}

impl Network {
    /// Builds the network of `net` from observations `input` to `heads` side by side.
    pub fn new(net: impl Into<NetSpec>, input: &ObsSpec, heads: &[Head]) -> Result<Self, NetError> {
        Self::build(&net.into(), input, Trunk::Shared, &[Part::Trunk { name: "", heads }])
    }

    /// Builds a network of `parts` that share no parameter, side by side (section 9).
    pub fn of_parts(net: impl Into<NetSpec>, input: &ObsSpec, parts: &[Part]) -> Result<Self, NetError> {
        Self::build(&net.into(), input, Trunk::Separate, parts)
    }

    fn build(net: &NetSpec, input: &ObsSpec, trunk: Trunk, parts: &[Part]) -> Result<Self, NetError> {
        if input.is_empty() {
            return Err(NetError::EmptyObservation(input.clone()));
        }
        let architecture = net.architecture(input, trunk)?;
        let least = architecture.smallest_side();
        if let &ObsSpec::Image { height, width, .. } = input
            && height.min(width) < least
        {
            return Err(NetError::ImageTooSmall { height, width, least, net: net.net });
        }
        let mut graph = Graph::new(input);
        for part in parts {
            match *part {
                Part::Trunk { name, heads } => {
                    let prefix = if name.is_empty() { String::new() } else { format!("{name}.") };
                    let top = architecture.trunk(&mut graph, &prefix);
                    graph.heads(&prefix, heads, top);
                }
                Part::Constant(head) => graph.constant(head),
            }
        }
        Ok(graph.finish())
    }

    /// Returns the layout of theta.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the shape of the observations.
    pub fn input(&self) -> &ObsSpec {
        &self.input
    }

    /// Returns the length of y.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Returns the length of the recurrent state; 0 if there is none.
    pub fn state_len(&self) -> usize {
        self.layers().map(Layer::state_len).sum()
    }

    /// Returns the total number of outputs that the layers compute in one step.
    pub fn activations(&self) -> usize {
        self.layers().map(Layer::output_len).sum()
    }

    pub(super) fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.nodes.iter().map(|node| &node.layer)
    }

    /// Returns the layers that read the observation, with their indices.
    pub(super) fn roots(&self) -> impl Iterator<Item = (usize, &Layer)> {
        let reads = |node: &Node| node.inputs.iter().any(|edge| edge.from.is_none());
        self.nodes.iter().enumerate().filter(move |(_, node)| reads(node)).map(|(i, node)| (i, &node.layer))
    }

    /// Allocates memory for the activations of `slots` steps.
    pub fn tape(&self, slots: usize) -> Tape {
        let layers = self.layers().map(|layer| layer.tape(slots)).collect();
        Tape { image: Image::new(&self.input), layers, y: Buffer::zeros(slots * self.outputs), outputs: self.outputs }
    }

    /// Allocates working memory for passes over up to `slots` steps.
    pub fn workspace(&self, slots: usize) -> Workspace {
        let added = self.nodes.iter().flat_map(|node| &node.inputs).filter(|edge| !edge.is_first);
        let spare = added.filter_map(|edge| edge.from).map(|from| self.nodes[from].layer.output_len()).max();
        Workspace {
            image: Image::new(&self.input),
            d_first: Buffer::zeros(self.roots().map(|(_, root)| root.params().end).max().unwrap_or(0)),
            layers: self.layers().map(|layer| layer.workspace(slots)).collect(),
            dy: Buffer::zeros(slots * self.outputs),
            outputs: self.outputs,
            scratch: Buffer::zeros(self.layers().map(|layer| layer.scratch_len(slots)).max().unwrap_or(0)),
            spare: Buffer::zeros(slots * spare.unwrap_or(0)),
            d_theta: Buffer::zeros(self.layout.len()),
        }
    }

    /// Computes `y <- network(s; theta)` for observation `t` of `obs`, and keeps the activations in `slot` of the tape.
    ///
    /// Slots are computed in order, from consecutive observations, with one theta: outputs that have not changed since
    /// the slot before are copied from it. A recurrent network reads the state before `slot` and stores the state
    /// before the next slot.
    pub fn forward(&self, isa: Isa, theta: &[f32], (obs, t): (&Observations, usize), tape: &mut Tape, slot: usize) {
        self.forward_nodes(isa, theta, (obs, t), tape, slot, 0..self.nodes.len());
        self.collect(tape, slot);
    }

    /// The part of [`Network::forward`] that some layers compute; the first of them looks at the observation.
    fn forward_nodes(
        &self,
        isa: Isa,
        theta: &[f32],
        (obs, t): (&Observations, usize),
        tape: &mut Tape,
        slot: usize,
        nodes: Range<usize>,
    ) {
        let Tape { image, layers, .. } = tape;
        let observed = match obs.vectors() {
            Some(all) => Input { all, nth: t, changed: &[] },
            None => {
                if nodes.start == 0 {
                    image.show(isa, obs.get(t), (slot > 0).then(|| obs.get(t - 1)));
                }
                Input { all: &image.x, nth: 0, changed: &image.changed }
            }
        };
        for (i, node) in nodes.clone().zip(&self.nodes[nodes]) {
            let (below, own) = layers.split_at_mut(i);
            let inputs = node.inputs.iter().map(|edge| edge.from.map_or(observed, |from| below[from].input(slot)));
            node.layer.forward(isa, theta, inputs, &mut own[0], slot);
        }
    }

    /// Puts the outputs of one slot side by side.
    fn collect(&self, tape: &mut Tape, slot: usize) {
        let Tape { layers, y, .. } = tape;
        let mut y = &mut y[slot * self.outputs..][..self.outputs];
        for &(top, outputs) in &self.tops {
            y.split_off_mut(..outputs).expect("the tops make y").copy_from_slice(&layers[top].slot(slot)[..outputs]);
        }
    }

    /// [`Network::forward`] of the first `n` observations, each in its slot. Where a recurrent network starts anew,
    /// [`Tape::set_state`] has put the state. Behind the convolutions it goes layer by layer, so that a weight is read once and
    /// not once a step.
    pub fn forward_all(&self, isa: Isa, theta: &[f32], obs: &Observations, tape: &mut Tape, n: usize) {
        let (observed, first) = (obs.vectors(), self.nodes.iter().rposition(|node| node.layer.has_positions()));
        let first = first.map_or(0, |last| last + 1);
        if observed.is_none() {
            (0..n).for_each(|t| self.forward_nodes(isa, theta, (obs, t), tape, t, 0..first));
        }
        for (i, node) in self.nodes.iter().enumerate().skip(first) {
            let (below, own) = tape.layers.split_at_mut(i);
            match (node.inputs.first(), observed) {
                (Some(Edge { from: Some(from), .. }), _) if node.layer.reads_all() => {
                    node.layer.forward_all(isa, theta, below[*from].first(n), &mut own[0], n);
                }
                (Some(Edge { from: None, .. }), Some(x)) if node.layer.reads_all() => {
                    node.layer.forward_all(isa, theta, &x[..n * self.input.len()], &mut own[0], n);
                }
                _ => (0..n).for_each(|t| self.forward_nodes(isa, theta, (obs, t), tape, t, i..i + 1)),
            }
        }
        (0..n).for_each(|t| self.collect(tape, t));
    }
}
