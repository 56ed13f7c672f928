//! Backward pass of a network, from the last layer to the first.

use super::network::{Edge, Network};
use super::tape::{Image, LayerTape, LayerWorkspace, Observations, Tape, Workspace};
use crate::kernel::Isa;
use crate::kernel::activation::activation_backward;
use crate::kernel::buffer::Buffer;
use crate::kernel::gradient::{Gradient, MAX_RANK};

impl Network {
    /// Returns the gradient of the first `n` steps' summed loss, given their dL/dy ([`Workspace::dy`]). `theta`, `obs`
    /// (from 0 on) and `tape` are those of the forward passes. The state before slot 0 is a constant: backpropagation
    /// through time stops there.
    pub fn backward<'a>(
        &self,
        isa: Isa,
        theta: &[f32],
        obs: &'a Observations,
        tape: &'a Tape,
        n: usize,
        workspace: &'a mut Workspace,
    ) -> Gradient<'a> {
        self.scatter(n, workspace);
        let Workspace { layers: gradients, scratch, spare, image, d_first, d_theta, .. } = workspace;
        // Observed images are stored as bytes; the parameters of the layers that read them come last.
        let vectors = obs.vectors().map(|x| &x[..n * self.input.len()]);
        for (i, node) in self.nodes.iter().enumerate().rev() {
            let (below, own) = gradients.split_at_mut(i);
            let (layer, own, on_tape) = (&node.layer, &mut own[0], &tape.layers[i]);
            if node.derives {
                activation_backward(isa, layer.activation, on_tape.first(n), own.first_mut(n));
            }
            layer.backward_state(isa, theta, n, on_tape, own, scratch);
            let x = match node.inputs.first() {
                Some(Edge { from: Some(from), .. }) => Some(tape.layers[*from].first(n)),
                Some(Edge { from: None, .. }) => vectors,
                None => Some(&[][..]),
            };
            if let Some((x, dy)) = x.map(|x| factors(x, on_tape, own, n)) {
                match node.is_outer && n <= MAX_RANK {
                    true => layer.backward_bias(dy, d_theta),
                    false => layer.backward_params(isa, n, x, on_tape, dy, d_theta),
                }
            }
            for Edge { from, is_first } in &node.inputs {
                let Some(from) = *from else { continue };
                let (source, activation) = (&tape.layers[from], self.nodes[from].layer.activation);
                let dx = below[from].first_mut(n);
                let dy = own.before_weights(n);
                match is_first {
                    true => layer.backward_input(isa, theta, n, (source, activation), on_tape, dy, scratch, dx),
                    false => {
                        let more = &mut spare[..dx.len()];
                        layer.backward_input(isa, theta, n, (source, activation), on_tape, dy, scratch, more);
                        source.runs.add(n, more, dx);
                    }
                }
            }
        }
        if vectors.is_none() {
            self.backward_images(isa, (obs, n), tape, gradients, (image, d_first), d_theta);
        }
        self.gradient(tape, n, gradients, d_theta)
    }

    /// Returns the gradient, which is dense in `d_theta` except for the large linear layers. Those stay outer products.
    fn gradient<'a>(
        &self,
        tape: &'a Tape,
        n: usize,
        gradients: &'a [LayerWorkspace],
        d_theta: &'a [f32],
    ) -> Gradient<'a> {
        let mut gradient = Gradient::from(d_theta);
        for (i, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.is_outer && n <= MAX_RANK) {
            let from = node.inputs[0].from.expect("a layer that reads the observation has its gradient written out");
            let (x, dy) = factors(tape.layers[from].first(n), &tape.layers[i], &gradients[i], n);
            gradient = gradient.with_outer(node.layer.outer(n, x, dy));
        }
        gradient
    }

    /// Copies dL/dy of the first `n` steps to the layers that produce y.
    fn scatter(&self, n: usize, workspace: &mut Workspace) {
        let Workspace { layers, dy, .. } = workspace;
        for (slot, mut dy) in dy.chunks_exact(self.outputs).take(n).enumerate() {
            for &(top, outputs) in &self.tops {
                let of_top = dy.split_off(..outputs).expect("the tops make y");
                let (own, padding) = layers[top].slot_mut(slot).split_at_mut(outputs);
                own.copy_from_slice(of_top);
                padding.fill(0.0);
            }
        }
    }

    /// Computes the gradient with respect to the parameters of the layers that read observed images. The images are
    /// stored as bytes, which take a quarter of the memory, and are converted again here, one after the other.
    fn backward_images(
        &self,
        isa: Isa,
        (obs, n): (&Observations, usize),
        tape: &Tape,
        gradients: &[LayerWorkspace],
        (image, d_first): (&mut Image, &mut Buffer),
        d_theta: &mut [f32],
    ) {
        self.roots().for_each(|(_, layer)| d_theta[layer.params()].fill(0.0));
        for slot in 0..n {
            image.show(isa, obs.get(slot), (slot > 0).then(|| obs.get(slot - 1)));
            for (i, layer) in self.roots() {
                let (sites, dy) = (tape.layers[i].runs.sites_of(slot), gradients[i].first(n));
                layer.backward_sites(isa, sites, &image.x, dy, d_first);
                let d = &d_first[layer.params()];
                d_theta[layer.params()].iter_mut().zip(d).for_each(|(sum, d)| *sum += d);
            }
        }
    }
}

/// Returns the two factors of a layer's weight gradient over `n` slots: its input (`x`, except for LSTM cells) and the
/// gradient with respect to its `W x + b`.
fn factors<'a>(x: &'a [f32], tape: &'a LayerTape, gradients: &'a LayerWorkspace, n: usize) -> (&'a [f32], &'a [f32]) {
    (tape.lstm.as_ref().map_or(x, |tape| tape.xh(n)), gradients.before_weights(n))
}
