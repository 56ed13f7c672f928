//! The kernels of the Atari network (paper, section 8: 16 filters 8x8/4, 32 filters 4x4/2, 256 units), of its 256 LSTM
//! cells and of the Nature network (32 filters 8x8/4, 64 filters 4x4/2, 64 filters 3x3/1, 512 units) on each instruction
//! set, beside their naive twins. Forward with one image, as acting does; backward with the five of a segment.
//!
//! `cargo bench --bench kernels -- --quick` prints the table in under a minute.

use a3crs_core::kernel::activation::{Activation, images_to_f32, sum_of_squares};
use a3crs_core::kernel::conv2d::{Conv2dShape, Site, conv2d_backward_input, conv2d_backward_weight, conv2d_forward};
use a3crs_core::kernel::linear::{LinearShape, linear_backward_input, linear_backward_weight, linear_forward};
use a3crs_core::kernel::lstm::{lstm_backward, lstm_forward};
use a3crs_core::kernel::{Isa, naive};
use criterion::{Criterion, criterion_group, criterion_main};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::time::Duration;

const CONV1: Conv2dShape = Conv2dShape { in_h: 84, in_w: 84, in_c: 4, out_c: 16, kernel: 8, stride: 4 };
const CONV2: Conv2dShape = Conv2dShape { in_h: 20, in_w: 20, in_c: 16, out_c: 32, kernel: 4, stride: 2 };
const FC: LinearShape = LinearShape { inputs: 2592, outputs: 256 };
const NATURE_CONV2: Conv2dShape = Conv2dShape { in_h: 20, in_w: 20, in_c: 32, out_c: 64, kernel: 4, stride: 2 };
const NATURE_CONV3: Conv2dShape = Conv2dShape { in_h: 9, in_w: 9, in_c: 64, out_c: 64, kernel: 3, stride: 1 };
const NATURE_FC: LinearShape = LinearShape { inputs: 3136, outputs: 512 };
const CELLS: usize = 256;
/// From the 256 units and the h of the step before to the gates of the LSTM.
const GATES: LinearShape = LinearShape { inputs: 256 + CELLS, outputs: 4 * CELLS };
const SEGMENT: usize = 5;

fn values(n: usize) -> Vec<f32> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(n as u64);
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Values behind a ReLU: half of them 0.
fn activated(n: usize) -> Vec<f32> {
    values(n).iter().map(|x| x.max(0.0)).collect()
}

/// One row of the table: the naive twin, then the kernel on each instruction set.
fn row(c: &mut Criterion, name: &str, mut naive: impl FnMut(), mut fast: impl FnMut(Isa)) {
    let mut group = c.benchmark_group(name);
    for isa in Isa::available() {
        group.bench_function(isa.name(), |b| b.iter(|| fast(isa)));
    }
    group.sample_size(10).bench_function("naive", |b| b.iter(&mut naive));
}

fn images(c: &mut Criterion) {
    let planes: Vec<u8> = (0..4 * 84 * 84).map(|i| i as u8).collect();
    let (mut out, mut twin) = (vec![0.0; planes.len()], vec![0.0; planes.len()]);
    row(
        c,
        "images_to_f32 4x84x84",
        || naive::images_to_f32::<f32>(4, &planes, &mut twin),
        |isa| images_to_f32(isa, 4, &planes, &mut out),
    );
    let x = values(680_000);
    row(
        c,
        "sum_of_squares 680k",
        || assert!(naive::sum_of_squares(&x) > 0.0),
        |isa| assert!(sum_of_squares(isa, &x) > 0.0),
    );
}

fn conv2d(c: &mut Criterion) {
    let relu = Activation::Relu;
    let atari = [("conv1", CONV1), ("conv2", CONV2)];
    for (name, s) in atari.into_iter().chain([("nature conv2", NATURE_CONV2), ("nature conv3", NATURE_CONV3)]) {
        let (x, weight, bias) = (values(SEGMENT * s.input_len()), values(s.weight_len()), values(s.out_c));
        let dy = values(SEGMENT * s.output_len());
        let sites: Vec<Site> = (0..SEGMENT).flat_map(|n| s.sites(n)).collect();
        let start: Vec<u32> = (0..(SEGMENT * s.in_h * s.in_w) as u32).collect();
        let (mut y, mut y_twin) = (vec![0.0; s.output_len()], vec![0.0; s.output_len()]);
        row(
            c,
            &format!("{name} forward, 1 image"),
            || naive::conv2d_forward(&s, 1, &x[..s.input_len()], &weight, &bias, relu, &mut y_twin),
            |isa| conv2d_forward(isa, &s, &sites[..s.positions()], &x[..s.input_len()], &weight, &bias, relu, &mut y),
        );
        let (mut dw, mut db) = (weight.clone(), bias.clone());
        let (mut dw_twin, mut db_twin) = (weight.clone(), bias.clone());
        row(
            c,
            &format!("{name} backward_weight, {SEGMENT} images"),
            || naive::conv2d_backward_weight(&s, SEGMENT, &x, &dy, &mut dw_twin, &mut db_twin),
            |isa| conv2d_backward_weight(isa, &s, &sites, &x, &dy, &mut dw, &mut db),
        );
        let (mut dx, mut dx_twin, mut scratch) = (x.clone(), x.clone(), weight.clone());
        row(
            c,
            &format!("{name} backward_input, {SEGMENT} images"),
            || naive::conv2d_backward_input(&s, SEGMENT, &weight, &dy, &mut dx_twin),
            |isa| {
                if s.in_c >= 16 {
                    conv2d_backward_input(isa, &s, &sites, &start, &weight, &dy, None, &mut scratch, &mut dx)
                }
            },
        );
    }
}

fn linear_forwards(c: &mut Criterion) {
    let relu = Activation::Relu;
    let rows = [
        ("fc forward, 1 row", FC, 1, values(FC.inputs)),
        ("fc forward, 1 row, half 0", FC, 1, activated(FC.inputs)),
        ("fc forward, 5 rows", FC, SEGMENT, activated(SEGMENT * FC.inputs)),
        ("nature fc forward, 1 row, half 0", NATURE_FC, 1, activated(NATURE_FC.inputs)),
        ("lstm gates forward, 1 row, half of x 0", GATES, 1, [activated(256), values(CELLS)].concat()),
    ];
    for (name, s, batch, x) in rows {
        let (weight, bias) = (values(s.inputs * s.outputs), values(s.outputs));
        let (mut y, mut y_twin) = (vec![0.0; batch * s.outputs], vec![0.0; batch * s.outputs]);
        row(
            c,
            name,
            || naive::linear_forward(&s, batch, &x, &weight, &bias, relu, &mut y_twin),
            |isa| linear_forward(isa, &s, batch, &x, &weight, &bias, relu, &mut y),
        );
    }
}

fn linear_backwards(c: &mut Criterion) {
    for (name, s) in [("fc", FC), ("nature fc", NATURE_FC)] {
        let (weight, bias) = (values(s.inputs * s.outputs), values(s.outputs));
        let (x, dy) = (activated(SEGMENT * s.inputs), values(SEGMENT * s.outputs));
        let (mut dw, mut db) = (weight.clone(), bias.clone());
        let (mut dw_twin, mut db_twin) = (weight.clone(), bias.clone());
        row(
            c,
            &format!("{name} backward_weight, {SEGMENT} rows"),
            || naive::linear_backward_weight(&s, SEGMENT, &x, &dy, &mut dw_twin, &mut db_twin),
            |isa| linear_backward_weight(isa, &s, SEGMENT, &x, &dy, &mut dw, &mut db),
        );
        let (mut dx, mut dx_twin, mut scratch) = (x.clone(), x.clone(), dy.clone());
        let start: Vec<u32> = (0..SEGMENT as u32).collect();
        row(
            c,
            &format!("{name} backward_input, {SEGMENT} rows"),
            || naive::linear_backward_input(&s, SEGMENT, &weight, &dy, Some(&x), &mut dx_twin),
            |isa| linear_backward_input(isa, &s, 1, &start, &weight, &dy, Some(&x), &mut scratch, &mut dx),
        );
    }
}

fn lstm(c: &mut Criterion) {
    let (z, c_prev, dh) = (values(4 * CELLS), values(CELLS), values(CELLS));
    // A step turns z into gates in place, and the next starts from them: values like any others.
    let (mut gates, mut cell, mut h) = (z.clone(), c_prev.clone(), c_prev.clone());
    let (mut gates_twin, mut cell_twin, mut h_twin) = (z.clone(), c_prev.clone(), c_prev.clone());
    row(
        c,
        "lstm cells forward, 1 step",
        || naive::lstm_forward(&mut gates_twin, &c_prev, &mut cell_twin, &mut h_twin),
        |isa| lstm_forward(isa, &mut gates, &c_prev, &mut cell, &mut h),
    );
    let (mut dc, mut d_gates) = (values(CELLS), z.clone());
    let (mut dc_twin, mut d_gates_twin) = (values(CELLS), z.clone());
    row(
        c,
        "lstm cells backward, 1 step",
        || naive::lstm_backward(&gates_twin, &c_prev, &cell_twin, &dh, &mut dc_twin, &mut d_gates_twin),
        |isa| lstm_backward(isa, &gates, &c_prev, &cell, &dh, &mut dc, &mut d_gates),
    );
}

criterion_group! {
    name = kernels;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500))
        .sample_size(20)
        .without_plots();
    targets = images, conv2d, linear_forwards, linear_backwards, lstm
}
criterion_main!(kernels);
