//! Networks: construction from a description, and the forward pass.

use super::architecture::{Net, NetSpec, Trunk};
use super::graph::Graph;
use super::layer::Layer;
use super::layout::{Columns, Layout};
use super::tape::{Image, Input, Observations, Tape, Workspace};
use crate::env::ObsSpec;
use crate::kernel::buffer::Buffer;
use crate::kernel::{Isa, LANE_PAD};

/// A named group of outputs, for example the policy's logits.
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
        /// The shortest side it can look at.
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
    /// A hidden layer without units.
    #[error("hidden is {0:?}, but each hidden layer needs at least one unit")]
    NoUnits(Vec<usize>),
    /// Cells for a network without an LSTM.
    #[error("the setting cells is {cells}, but net {} has no LSTM: leave cells out, or choose net lstm", net.entry().name)]
    NoLstm {
        /// The number of cells asked for.
        cells: usize,
        /// The network asked for.
        net: Net,
    },
    /// A number of LSTM cells that the kernels cannot compute.
    #[error("the setting cells is {0}, but the number of LSTM cells must be a multiple of {LANE_PAD}")]
    Cells(usize),
}

/// Source of a part of y, in a network of several parts.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// Heads on a trunk of their own.
    Trunk {
        /// The names of its tensors start with this and a dot.
        name: &'a str,
        /// Its share of y.
        heads: &'a [Head<'a>],
    },
    /// Parameters that are outputs, for every observation the same.
    Constant(Head<'a>),
}

/// Layers over one flat theta, built by a [`Graph`].
#[derive(Clone, Debug)]
pub struct Network {
    pub(super) input: ObsSpec,
    /// Each after those it reads.
    pub(super) nodes: Vec<Node>,
    /// The layers whose outputs, side by side, are y: each with their number.
    pub(super) tops: Vec<(usize, usize)>,
    pub(super) layout: Layout,
    pub(super) outputs: usize,
}

/// A layer and its place in the graph.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub layer: Layer,
    /// The names of its outputs, and how many each has.
    pub columns: Vec<(String, usize)>,
    pub inputs: Vec<Edge>,
    /// Whether the backward pass takes its gradient through its activation; a ReLU whose readers all do so needs it not.
    pub derives: bool,
    /// Whether its gradient stays an outer product, where a segment is short enough.
    pub is_outer: bool,
}

/// An input of a layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    /// The layer that is read; none is the observation.
    pub from: Option<usize>,
    /// Whether no other reader has written that layer's gradient before: if so it is overwritten, else added to.
    pub is_first: bool,
}

impl Network {
    /// Returns the network of `net` from observations `input` to `heads` side by side.
    pub fn new(net: impl Into<NetSpec>, input: &ObsSpec, heads: &[Head]) -> Result<Self, NetError> {
        Self::build(&net.into(), input, Trunk::Shared, &[Part::Trunk { name: "", heads }])
    }

    /// Returns `parts` that share no parameter, side by side: section 9.
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

    /// Returns the places of the tensors in theta.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the observations it reads.
    pub fn input(&self) -> &ObsSpec {
        &self.input
    }

    /// Returns the length of y.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Returns the length of its recurrent state; 0 if it has none.
    pub fn state_len(&self) -> usize {
        self.layers().map(Layer::state_len).sum()
    }

    /// Returns how many numbers the layers put out in one step.
    pub fn activations(&self) -> usize {
        self.layers().map(Layer::output_len).sum()
    }

    pub(super) fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.nodes.iter().map(|node| &node.layer)
    }

    /// The layers that read the observation.
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
        for (i, node) in self.nodes.iter().enumerate() {
            let (below, own) = layers.split_at_mut(i);
            let inputs = node.inputs.iter().map(|edge| edge.from.map_or(observed, |from| below[from].input(slot)));
            node.layer.forward(isa, theta, inputs, &mut own[0], slot);
        }
        let mut y = &mut y[slot * self.outputs..][..self.outputs];
        for &(top, outputs) in &self.tops {
            y.split_off_mut(..outputs).expect("the tops make y").copy_from_slice(&layers[top].slot(slot)[..outputs]);
        }
    }

    /// [`Network::forward`] of the first `n` observations, each in its slot. Where a recurrent network starts anew,
    /// [`Tape::set_state`] has put the state.
    pub fn forward_all(&self, isa: Isa, theta: &[f32], obs: &Observations, tape: &mut Tape, n: usize) {
        (0..n).for_each(|t| self.forward(isa, theta, (obs, t), tape, t));
    }
}
