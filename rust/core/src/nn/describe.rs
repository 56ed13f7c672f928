//! Description of a network's layers, for programs that compute it elsewhere.

use super::layer::Kind;
use super::network::{Network, Node};
use crate::kernel::activation::Activation;
use serde::Serialize;

/// One layer. Its tensors are in the layout, under the names of its columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerDescription {
    /// What it computes.
    #[serde(flatten)]
    pub kind: Kind,
    /// What its outputs are called, in their order.
    pub columns: Vec<Column>,
    /// Function of its outputs.
    pub activation: Activation,
    /// The numbers of the layers that it reads; none is the observation.
    pub inputs: Vec<Option<usize>>,
    /// Whether its outputs are a part of y, which is the parts of all such layers in their order.
    pub is_top: bool,
}

/// Some outputs of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// For example `policy`, whose weight is the tensor `policy.weight`.
    pub name: String,
    /// How many.
    pub outputs: usize,
}

impl Network {
    /// Returns its layers, each after those it reads.
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
