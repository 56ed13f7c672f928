//! Description of a network's layers, for programs that compute the network outside this library.

use super::layer::Kind;
use super::network::{Network, Node};
use crate::kernel::activation::Activation;
use serde::Serialize;

/// Description of one layer. The layout holds its tensors under the names of its columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerDescription {
    /// Operation of the layer.
    #[serde(flatten)]
    pub kind: Kind,
    /// Named groups of its outputs, in their order.
    pub columns: Vec<Column>,
    /// Activation of its outputs.
    pub activation: Activation,
    /// Indices of the layers that it reads; none is the observation.
    pub inputs: Vec<Option<usize>>,
    /// True if its outputs are a part of y. The network's y concatenates the outputs of all such layers in their order.
    pub is_top: bool,
}

/// Named group of a layer's outputs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Name, for example `policy`, whose weight is the tensor `policy.weight`.
    pub name: String,
    /// Number of outputs.
    pub outputs: usize,
}

impl Network {
    /// Returns the layers, each after those it reads.
    pub fn describe(&self) -> Vec<LayerDescription> {
        let column = |(name, outputs): &(String, usize)| Column { name: name.clone(), outputs: *outputs };
        let describe = |(i, node): (usize, &Node)| LayerDescription {
            kind: node.layer.kind(),
            columns: node.columns.iter().map(column).collect(),
            activation: node.layer.activation,
            inputs: node.inputs.iter().map(|edge| edge.from).collect(),
            is_top: self.tops.iter().any(|(top, _)| *top == i),
        };
        self.nodes.iter().enumerate().map(describe).collect()
    }
}
