//! Layout of theta: the place of each tensor, its initial values and its order in a checkpoint.

use crate::kernel::pad;

/// Named tensor of theta.
///
/// Inside theta a tensor lies in kernel order ([`crate::kernel`]), padded. Elsewhere it has the *canonical* shape
/// of the field: `(out, in)`, `(out, in, kernel_y, kernel_x)` or `(out)`. A layer after an image sees its inputs as
/// `(channel, y, x)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// Name, for example `conv1.weight`.
    pub name: String,
    /// Canonical shape.
    pub shape: Vec<usize>,
    fan_in: usize,
    offset: usize,
    order: Order,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    /// Order in theta: (kernel_y, kernel_x, in, out_padded)
    Conv { kernel: usize, in_c: usize, out_padded: usize },
    /// Order in theta: (in, out_padded), columns from `first_out`; inputs may be an image (pixel, channel)
    Linear { inputs: usize, channels: usize, out_padded: usize, first_out: usize },
    /// Order in theta: (out_padded) from `first_out`
    Bias { first_out: usize },
}

impl Param {
    /// Returns the number of canonical elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Returns true if it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of inputs that one of its outputs has.
    pub(super) fn fan_in(&self) -> usize {
        self.fan_in
    }

    /// False for constants, which start at 0.
    pub(super) fn is_drawn(&self) -> bool {
        self.fan_in > 0
    }

    /// Returns the index in theta of canonical element `i`.
    fn slot(&self, i: usize) -> usize {
        let within = match self.order {
            Order::Conv { kernel, in_c, out_padded } => {
                let (kx, ky) = (i % kernel, i / kernel % kernel);
                let (c, out) = (i / (kernel * kernel) % in_c, i / (kernel * kernel * in_c));
                ((ky * kernel + kx) * in_c + c) * out_padded + out
            }
            Order::Linear { inputs, channels, out_padded, first_out } => {
                let (input, out, pixels) = (i % inputs, i / inputs, inputs / channels);
                let (channel, pixel) = (input / pixels, input % pixels);
                (pixel * channels + channel) * out_padded + first_out + out
            }
            Order::Bias { first_out } => first_out + i,
        };
        self.offset + within
    }

    /// Returns the tensor in canonical order, read from `theta` (or from another vector of its layout: g, d_theta).
    pub fn export(&self, theta: &[f32]) -> Vec<f32> {
        (0..self.len()).map(|i| theta[self.slot(i)]).collect()
    }

    /// Writes canonical `values` into `theta`.
    ///
    /// # Panics
    /// If `values` does not have [`Param::len`] elements.
    pub fn import(&self, values: &[f32], theta: &mut [f32]) {
        assert_eq!(values.len(), self.len());
        for (i, &value) in values.iter().enumerate() {
            theta[self.slot(i)] = value;
        }
    }
}

/// Columns `first_out .. first_out + outputs` of a linear layer under their own name. Heads share one kernel call this
/// way.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    /// Name before `.weight` and `.bias`.
    pub name: &'a str,
    /// Number of outputs.
    pub outputs: usize,
}

/// All tensors of theta.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// Tensors in the order of the layers.
    pub params: Vec<Param>,
    len: usize,
}

impl Layout {
    /// Returns the length of theta in f32, padding included; a multiple of 16.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns true if there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the number of parameters without padding.
    pub fn num_params(&self) -> usize {
        self.params.iter().map(Param::len).sum()
    }

    fn reserve(&mut self, len: usize) -> usize {
        let offset = self.len;
        self.len += pad(len);
        offset
    }

    /// Adds a convolution; returns the offsets of its weight and bias.
    pub fn conv2d(&mut self, name: &str, kernel: usize, in_c: usize, out_c: usize) -> (usize, usize) {
        let (fan_in, out_padded) = (kernel * kernel * in_c, pad(out_c));
        let weight = self.reserve(fan_in * out_padded);
        let bias = self.reserve(out_padded);
        let shape = vec![out_c, in_c, kernel, kernel];
        let order = Order::Conv { kernel, in_c, out_padded };
        self.params.push(Param { name: format!("{name}.weight"), shape, fan_in, offset: weight, order });
        let order = Order::Bias { first_out: 0 };
        self.params.push(Param { name: format!("{name}.bias"), shape: vec![out_c], fan_in, offset: bias, order });
        (weight, bias)
    }

    /// Adds a linear layer whose outputs are `columns` side by side; returns the offsets of its weight and bias.
    ///
    /// `channels` is the number of channels where the input is a flattened image, else 1; `rows >= inputs` counts the
    /// padding of the layer below.
    pub fn linear(&mut self, inputs: usize, rows: usize, channels: usize, columns: &[Columns]) -> (usize, usize) {
        let out_padded = pad(columns.iter().map(|c| c.outputs).sum());
        let weight = self.reserve(rows * out_padded);
        let bias = self.reserve(out_padded);
        let mut first_out = 0;
        for &Columns { name, outputs } in columns {
            let order = Order::Linear { inputs, channels, out_padded, first_out };
            let (shape, fan_in) = (vec![outputs, inputs], inputs);
            self.params.push(Param { name: format!("{name}.weight"), shape, fan_in, offset: weight, order });
            let order = Order::Bias { first_out };
            self.params.push(Param { name: format!("{name}.bias"), shape: vec![outputs], fan_in, offset: bias, order });
            first_out += outputs;
        }
        (weight, bias)
    }

    /// Adds LSTM cells, gates in the order i, f, g, o; returns the offsets of their weight (of x, then of h) and bias.
    /// `channels` and `rows` are those of [`Layout::linear`].
    pub fn lstm(&mut self, name: &str, inputs: usize, rows: usize, channels: usize, cells: usize) -> (usize, usize) {
        let out_padded = 4 * cells;
        let weight = self.reserve((rows + cells) * out_padded);
        let bias = self.reserve(out_padded);
        let of_h = weight + rows * out_padded;
        for (what, inputs, channels, offset) in [("weight_ih", inputs, channels, weight), ("weight_hh", cells, 1, of_h)]
        {
            let order = Order::Linear { inputs, channels, out_padded, first_out: 0 };
            let (name, shape) = (format!("{name}.{what}"), vec![out_padded, inputs]);
            self.params.push(Param { name, shape, fan_in: cells, offset, order });
        }
        let (name, order) = (format!("{name}.bias"), Order::Bias { first_out: 0 });
        self.params.push(Param { name, shape: vec![out_padded], fan_in: cells, offset: bias, order });
        (weight, bias)
    }

    /// Adds outputs that are parameters themselves and start at 0; returns their offset.
    pub fn constant(&mut self, name: &str, outputs: usize) -> usize {
        let offset = self.reserve(outputs);
        let order = Order::Bias { first_out: 0 };
        self.params.push(Param { name: name.into(), shape: vec![outputs], fan_in: 0, offset, order });
        offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        let mut layout = Layout::default();
        layout.conv2d("conv1", 3, 4, 5);
        layout.linear(
            6 * 5,
            6 * 5,
            5,
            &[Columns { name: "policy", outputs: 3 }, Columns { name: "value", outputs: 1 }],
        );
        layout.lstm("lstm", 5, 8, 1, 16);
        layout
    }

    #[test]
    fn export_undoes_import_and_no_two_elements_share_a_slot() {
        let layout = layout();
        let mut seen = vec![0u32; layout.len()];
        let mut theta = vec![0.0; layout.len()];
        for param in &layout.params {
            (0..param.len()).for_each(|i| seen[param.slot(i)] += 1);
            let values: Vec<f32> = (0..param.len()).map(|i| i as f32 + 0.5).collect();
            param.import(&values, &mut theta);
            assert_eq!(param.export(&theta), values, "{}", param.name);
        }
        assert!(seen.iter().all(|&n| n <= 1));
        assert_eq!(seen.iter().sum::<u32>() as usize, layout.num_params());
    }

    #[test]
    fn a_linear_layer_after_an_image_takes_its_inputs_channel_first() {
        let layout = layout();
        let weight = layout.params.iter().find(|p| p.name == "policy.weight").unwrap();
        assert_eq!(weight.shape, [3, 30]);
        // canonical input 6 is channel 1, pixel 0; in theta that is row 1 (pixel 0, channel 1)
        assert_eq!(weight.slot(6) - weight.slot(0), 16);
        // canonical input 1 is channel 0, pixel 1; in theta row 5
        assert_eq!(weight.slot(1) - weight.slot(0), 5 * 16);
    }
}
