//! Networks of the paper, one table row each. A new network is added here alone.

use super::graph::{Graph, Source};
use super::layout::Columns;
use super::network::NetError;
use crate::catalogue::Entry;
use crate::env::ObsSpec;
use crate::kernel::LANE_PAD;
use crate::kernel::activation::Activation;
use serde::{Deserialize, Serialize};

/// Choice of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Net {
    /// Network of section 8 for images (Mnih et al., 2013), and of section 9 without its LSTM for vectors.
    Ff,
    /// [`Net::Ff`] with an LSTM before the heads (sections 5.1 and 9).
    Lstm,
    /// Network that section 5.1 names for the 57 games (Mnih et al., 2015).
    Nature,
    /// [`Net::Nature`] with an LSTM before the heads.
    NatureLstm,
}

/// Settings of a network; a part of the run's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetSpec {
    /// Network.
    pub net: Net,
    /// Units of each fully connected layer before the LSTM or the heads. Empty means the network's default, as in older
    /// files.
    #[serde(default)]
    pub hidden: Vec<usize>,
    /// Activation of the hidden layers and of the convolutions, except those that section 9 defines without one.
    #[serde(default = "relu")]
    pub activation: Activation,
    /// Number of LSTM cells. 0 means the network's default, as in older files.
    #[serde(default)]
    pub cells: usize,
}

/// Returns the activation of files that are older than the setting.
fn relu() -> Activation {
    Activation::Relu
}

impl From<Net> for NetSpec {
    /// Returns the network in the paper's sizes.
    fn from(net: Net) -> Self {
        NetSpec { net, hidden: Vec::new(), activation: Activation::Relu, cells: 0 }
    }
}

/// Convolution of `out_c` square filters, `kernel` pixels a side, `stride` pixels apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filters {
    /// Number of filters.
    pub out_c: usize,
    /// Height and width of a filter.
    pub kernel: usize,
    /// Distance between two windows, in both directions.
    pub stride: usize,
}

/// Form of a network with several heads: one trunk for all, or separate trunks for policy and value, as in section 9
/// for continuous control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trunk {
    Shared,
    Separate,
}

/// Convolutions, hidden layers and LSTM cells in sequence; the heads follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Architecture<'a> {
    pub convolutions: &'static [Filters],
    /// Activation after each convolution.
    pub behind_convolutions: Activation,
    pub hidden: &'a [usize],
    /// Activation after each hidden layer.
    pub activation: Activation,
    pub cells: Option<usize>,
}

const MNIH_2013: &[Filters] =
    &[Filters { out_c: 16, kernel: 8, stride: 4 }, Filters { out_c: 32, kernel: 4, stride: 2 }];
const MNIH_2015: &[Filters] = &[
    Filters { out_c: 32, kernel: 8, stride: 4 },
    Filters { out_c: 64, kernel: 4, stride: 2 },
    Filters { out_c: 64, kernel: 3, stride: 1 },
];

impl Net {
    /// All networks.
    pub const ALL: [Net; 4] = [Net::Ff, Net::Lstm, Net::Nature, Net::NatureLstm];

    /// Returns the catalogue entry: the name in a configuration, a description and the place in the paper.
    pub const fn entry(self) -> Entry {
        let (name, what, paper) = match self {
            Net::Ff => (
                "ff",
                "images: 16 filters 8x8/4, 32 of 4x4/2, 256 units (Mnih et al. 2013); vectors: 200 units",
                "sections 8 and 9",
            ),
            Net::Lstm => (
                "lstm",
                "ff, then 256 LSTM cells for images, 128 for vectors; from images to continuous actions: the \
                 convolutions without ReLU, then 128 cells",
                "sections 5.1 and 9",
            ),
            Net::Nature => (
                "nature",
                "images: 32 filters 8x8/4, 64 of 4x4/2, 64 of 3x3/1, 512 units (Mnih et al. 2015)",
                "section 5.1",
            ),
            Net::NatureLstm => ("nature-lstm", "nature, then 256 LSTM cells", "section 5.1"),
        };
        Entry { name, what, paper, settings: &[] }
    }

    /// Returns the network's form for such observations, in the paper's sizes; none if it has no form for them.
    fn architecture(self, input: &ObsSpec, trunk: Trunk, activation: Activation) -> Option<Architecture<'static>> {
        let form = |convolutions, hidden, cells| {
            Some(Architecture { convolutions, behind_convolutions: activation, hidden, activation, cells })
        };
        match (self, input, trunk) {
            // Section 9: "two layers of spatial convolutions without any non-linearity or pooling", then the LSTM.
            (Net::Lstm, ObsSpec::Image { .. }, Trunk::Separate) => Some(Architecture {
                convolutions: MNIH_2013,
                behind_convolutions: Activation::Identity,
                hidden: &[],
                activation,
                cells: Some(128),
            }),
            (Net::Ff, ObsSpec::Image { .. }, _) => form(MNIH_2013, &[256], None),
            (Net::Lstm, ObsSpec::Image { .. }, Trunk::Shared) => form(MNIH_2013, &[256], Some(256)),
            (Net::Nature, ObsSpec::Image { .. }, _) => form(MNIH_2015, &[512], None),
            (Net::NatureLstm, ObsSpec::Image { .. }, _) => form(MNIH_2015, &[512], Some(256)),
            (Net::Ff, ObsSpec::Vector { .. }, _) => form(&[], &[200], None),
            (Net::Lstm, ObsSpec::Vector { .. }, _) => form(&[], &[200], Some(128)),
            (Net::Nature | Net::NatureLstm, ObsSpec::Vector { .. }, _) => None,
        }
    }
}

impl NetSpec {
    /// Returns the network's form for such observations, in the configured sizes.
    pub(super) fn architecture(&self, input: &ObsSpec, trunk: Trunk) -> Result<Architecture<'_>, NetError> {
        let NetSpec { net, ref hidden, activation, cells } = *self;
        let Some(mut architecture) = net.architecture(input, trunk, activation) else {
            return Err(NetError::NeedsImages { input: input.clone(), net });
        };
        if hidden.contains(&0) {
            return Err(NetError::NoUnits(hidden.clone()));
        }
        if !hidden.is_empty() {
            architecture.hidden = hidden;
        }
        if cells > 0 {
            let own = architecture.cells.as_mut().ok_or(NetError::NoLstm { cells, net })?;
            *own = Some(cells).filter(|cells| cells.is_multiple_of(LANE_PAD)).ok_or(NetError::Cells(cells))?;
        }
        Ok(architecture)
    }

    /// Returns the first setting in which this network differs from `other`, with both values as text; none if they are
    /// the same.
    pub fn difference(&self, other: &NetSpec) -> Option<(&'static str, String, String)> {
        let net = |spec: &NetSpec| spec.net.entry().name.to_owned();
        let activation = |spec: &NetSpec| format!("{:?}", spec.activation).to_lowercase();
        let numbers = |numbers: &[usize]| match numbers {
            [] | [0] => "(the net's own)".to_owned(),
            _ => numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(","),
        };
        let hidden = |spec: &NetSpec| numbers(&spec.hidden);
        let cells = |spec: &NetSpec| numbers(&[spec.cells]);
        let of = |spec| {
            [("net", net(spec)), ("hidden", hidden(spec)), ("activation", activation(spec)), ("cells", cells(spec))]
        };
        let pairs = of(self).into_iter().zip(of(other));
        pairs.map(|((name, own), (_, other))| (name, own, other)).find(|(_, own, other)| own != other)
    }
}

impl Architecture<'_> {
    /// Returns the shortest side of an image that the convolutions can process.
    pub fn smallest_side(&self) -> usize {
        self.convolutions.iter().rev().fold(1, |side, filters| (side - 1) * filters.stride + filters.kernel)
    }

    /// Adds the layers to `graph`, with `prefix` before the names of their tensors; returns the last layer.
    pub fn trunk(&self, graph: &mut Graph, prefix: &str) -> Source {
        let mut top = graph.observation();
        for (i, filters) in self.convolutions.iter().enumerate() {
            top = graph.conv2d(&format!("{prefix}conv{}", i + 1), top, *filters, self.behind_convolutions);
        }
        for (i, &outputs) in self.hidden.iter().enumerate() {
            let name = if self.hidden.len() == 1 { format!("{prefix}fc") } else { format!("{prefix}fc{}", i + 1) };
            top = graph.linear(&[Columns { name: &name, outputs }], top, self.activation);
        }
        self.cells.map_or(top, |cells| graph.lstm(&format!("{prefix}lstm"), top, cells))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_called_in_a_configuration_as_in_the_catalogue() {
        for net in Net::ALL {
            assert_eq!(serde_json::to_string(&net).unwrap(), format!("{:?}", net.entry().name));
        }
    }

    #[test]
    fn the_smallest_image_leaves_one_pixel_at_the_top() {
        let image = ObsSpec::Image { channels: 4, height: 84, width: 84 };
        let side = |net: Net| NetSpec::from(net).architecture(&image, Trunk::Shared).unwrap().smallest_side();
        assert_eq!(Net::ALL.map(side), [20, 20, 36, 36]);
    }
}
