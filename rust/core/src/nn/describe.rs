//! What a network consists of, for programs that compute it elsewhere.

use super::layer::Kind;
use super::network::Network;
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
    /// Whether negative outputs become 0.
    pub relu: bool,
    /// The number of the layer that it reads; none reads the observation.
    pub below: Option<usize>,
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
    /// Its layers, each after the one below it.
    pub fn describe(&self) -> Vec<LayerDescription> {
        let describe = |i: usize| LayerDescription {
            kind: self.layers[i].kind(),
            columns: self.columns[i]
                .iter()
                .map(|(name, outputs)| Column { name: name.clone(), outputs: *outputs })
                .collect(),
            relu: self.layers[i].activation == Activation::Relu,
            below: self.below[i],
            is_top: self.tops.iter().any(|(top, _)| *top == i),
        };
        (0..self.layers.len()).map(describe).collect()
    }
}
