//! The networks of the paper, a row each: the one place where a network is added.

use crate::catalogue::Entry;
use crate::env::ObsSpec;
use crate::kernel::activation::Activation;
use serde::{Deserialize, Serialize};

/// The networks there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Net {
    /// Images as in section 8 (the network of Mnih et al., 2013), vectors as in section 9 but for its LSTM.
    Ff,
    /// The same with an LSTM before the heads (sections 5.1 and 9).
    Lstm,
    /// What section 5.1 names for the 57 games (the network of Mnih et al., 2015).
    Nature,
    /// The same with an LSTM before the heads.
    NatureLstm,
}

/// One convolution: so many square filters, `kernel` pixels a side, `stride` pixels apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Filters {
    pub out_c: usize,
    pub kernel: usize,
    pub stride: usize,
}

/// Whether all heads stand on one trunk, or policy and value have a network each, as section 9 has it for continuous control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trunk {
    Shared,
    Separate,
}

/// Convolutions, fully connected units with ReLU and LSTM cells, each where there are some; the heads follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Architecture {
    pub convolutions: &'static [Filters],
    /// Behind each convolution.
    pub activation: Activation,
    pub units: Option<usize>,
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
    /// All of them.
    pub const ALL: [Net; 4] = [Net::Ff, Net::Lstm, Net::Nature, Net::NatureLstm];

    /// As a configuration and a person call it, and where the paper has it.
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

    /// What it looks like for such observations; none where it has no form for them.
    pub(super) fn architecture(self, input: &ObsSpec, trunk: Trunk) -> Option<Architecture> {
        let relu = |convolutions, units, cells| {
            Some(Architecture { convolutions, activation: Activation::Relu, units: Some(units), cells })
        };
        match (self, input, trunk) {
            // Section 9: "two layers of spatial convolutions without any non-linearity or pooling", then the LSTM.
            (Net::Lstm, ObsSpec::Image { .. }, Trunk::Separate) => Some(Architecture {
                convolutions: MNIH_2013,
                activation: Activation::Identity,
                units: None,
                cells: Some(128),
            }),
            (Net::Ff, ObsSpec::Image { .. }, _) => relu(MNIH_2013, 256, None),
            (Net::Lstm, ObsSpec::Image { .. }, _) => relu(MNIH_2013, 256, Some(256)),
            (Net::Nature, ObsSpec::Image { .. }, _) => relu(MNIH_2015, 512, None),
            (Net::NatureLstm, ObsSpec::Image { .. }, _) => relu(MNIH_2015, 512, Some(256)),
            (Net::Ff, ObsSpec::Vector { .. }, _) => relu(&[], 200, None),
            (Net::Lstm, ObsSpec::Vector { .. }, _) => relu(&[], 200, Some(128)),
            (Net::Nature | Net::NatureLstm, ObsSpec::Vector { .. }, _) => None,
        }
    }
}

impl Architecture {
    /// The shortest side of an image that its convolutions can look at.
    pub fn smallest_side(&self) -> usize {
        self.convolutions.iter().rev().fold(1, |side, filters| (side - 1) * filters.stride + filters.kernel)
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
        let side = |net: Net| net.architecture(&image, Trunk::Shared).unwrap().smallest_side();
        assert_eq!(Net::ALL.map(side), [20, 20, 36, 36]);
    }
}
