//! Kernels of the Atari network (paper, section 8: 16 filters 8x8/4, 32 filters 4x4/2, 256 units), of its 256 LSTM
//! cells and of the Nature network (32 filters 8x8/4, 64 filters 4x4/2, 64 filters 3x3/1, 512 units). Each is measured
//! on each instruction set, next to its naive reference implementation and the machine's peak rates. Forward passes
//! take one image, as in acting; backward passes take the five of a segment. Images differ everywhere, or in the 32
//! windows of 400 that differ on Pong.
//!
//! `cargo bench --bench kernels -- --quick` measures all in two minutes; `python3 rust/core/benches/kernels.py bounds`
//! prints the table with each kernel's bound.

use a3crs_core::kernel::activation::{Activation, images_to_f32, sum_of_squares};
use a3crs_core::kernel::conv2d::{Conv2dShape, Site, conv2d_backward_input, conv2d_backward_weight, conv2d_forward};
use a3crs_core::kernel::linear::{LinearShape, linear_backward_input, linear_backward_weight, linear_forward};
use a3crs_core::kernel::lstm::{lstm_backward, lstm_forward};
use a3crs_core::kernel::simd::Simd;
use a3crs_core::kernel::{Isa, Kernel, dispatch, naive};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::hint::black_box;
use std::time::Duration;

const CONV1: Conv2dShape = Conv2dShape { in_h: 84, in_w: 84, in_c: 4, out_c: 16, kernel: 8, stride: 4 };
const CONV2: Conv2dShape = Conv2dShape { in_h: 20, in_w: 20, in_c: 16, out_c: 32, kernel: 4, stride: 2 };
const FC: LinearShape = LinearShape { inputs: 2592, outputs: 256 };
const NATURE_CONV2: Conv2dShape = Conv2dShape { in_h: 20, in_w: 20, in_c: 32, out_c: 64, kernel: 4, stride: 2 };
const NATURE_CONV3: Conv2dShape = Conv2dShape { in_h: 9, in_w: 9, in_c: 64, out_c: 64, kernel: 3, stride: 1 };
const NATURE_FC: LinearShape = LinearShape { inputs: 3136, outputs: 512 };
const CELLS: usize = 256;
/// Layer from the 256 units and the h of the step before to the gates of the LSTM.
const GATES: LinearShape = LinearShape { inputs: 256 + CELLS, outputs: 4 * CELLS };
const SEGMENT: usize = 5;

fn values(n: usize) -> Vec<f32> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(n as u64);
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Returns values as after a ReLU: half of them 0.
fn activated(n: usize) -> Vec<f32> {
    values(n).iter().map(|x| x.max(0.0)).collect()
}

/// Least work of a kernel: multiply-adds, and bytes it must read or write.
#[derive(Clone, Copy)]
struct Work {
    products: usize,
    bytes: usize,
}

/// Returns the work of `products` multiply-adds, and of `floats` read or written once each.
fn work(products: usize, floats: usize) -> Work {
    Work { products, bytes: 4 * floats }
}

/// Measures one row of the table: the naive implementation, then the kernel on each instruction set.
fn row(c: &mut Criterion, name: &str, work: Work, mut naive: impl FnMut(), mut fast: impl FnMut(Isa)) {
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::ElementsAndBytes { elements: work.products as u64, bytes: work.bytes as u64 });
    for isa in Isa::available() {
        group.bench_function(isa.name(), |b| b.iter(|| fast(isa)));
    }
    group.sample_size(10).bench_function("naive", |b| b.iter(&mut naive));
}

/// Multiply-adds of numbers in registers, which measure the CPU's peak rate.
struct MultiplyAdds(usize);

impl Kernel for MultiplyAdds {
    type Out = f32;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let (a, b) = (s.splat(black_box(0.5)), s.splat(black_box(1.0)));
        let mut sums = [s.splat(0.0); 12];
        for _ in 0..self.0 / (12 * S::LANES) {
            for sum in &mut sums {
                *sum = s.mul_add(*sum, a, b);
            }
        }
        let mut total = 0.0;
        for sum in sums {
            total += s.sum(sum);
        }
        total
    }
}

/// Measures the machine's peak rates: multiply-adds, and rows that fit the first, the second and the third cache.
fn peaks(c: &mut Criterion) {
    const PRODUCTS: usize = 12 * 16 * 10_000;
    let none = || ();
    row(c, "peak multiply-adds", work(PRODUCTS, 0), none, |isa| assert!(dispatch(isa, MultiplyAdds(PRODUCTS)) > 0.0));
    for (name, floats) in
        [("peak first cache", 4 << 10), ("peak second cache", 128 << 10), ("peak third cache", 1 << 20)]
    {
        let x = values(floats);
        row(c, name, work(0, floats), none, |isa| assert!(sum_of_squares(isa, &x) > 0.0));
    }
}

fn images(c: &mut Criterion) {
    let planes: Vec<u8> = (0..4 * 84 * 84).map(|i| i as u8).collect();
    let (mut out, mut twin) = (vec![0.0; planes.len()], vec![0.0; planes.len()]);
    row(
        c,
        "images_to_f32 4x84x84",
        Work { products: 0, bytes: 5 * planes.len() },
        || naive::images_to_f32::<f32>(4, &planes, &mut twin),
        |isa| images_to_f32(isa, 4, &planes, &mut out),
    );
    let x = values(680_000);
    row(
        c,
        "sum_of_squares 680k",
        work(0, 680_000),
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
        let products = |sites: usize| sites * s.weight_len();
        let all = s.positions();
        for (what, sites) in [("1 image", &sites[..all]), ("32 windows", &sites[all / 3..all / 3 + 32])] {
            row(
                c,
                &format!("{name} forward, {what}"),
                work(products(sites.len()), sites.len() * s.weight_len() / s.out_c.min(16) / 4 + s.weight_len()),
                || naive::conv2d_forward(&s, 1, &x[..s.input_len()], &weight, &bias, relu, &mut y_twin),
                |isa| conv2d_forward(isa, &s, sites, &x[..s.input_len()], &weight, &bias, relu, &mut y),
            );
        }
        let (mut dw, mut db) = (weight.clone(), bias.clone());
        let (mut dw_twin, mut db_twin) = (weight.clone(), bias.clone());
        row(
            c,
            &format!("{name} backward_weight, {SEGMENT} images"),
            work(products(sites.len()), x.len() + dy.len() + s.weight_len()),
            || naive::conv2d_backward_weight(&s, SEGMENT, &x, &dy, &mut dw_twin, &mut db_twin),
            |isa| conv2d_backward_weight(isa, &s, &sites, &x, &dy, &mut dw, &mut db),
        );
        if s.in_c < 16 {
            continue; // the gradient with respect to an observation is never needed
        }
        let (mut dx, mut dx_twin, mut scratch) = (x.clone(), x.clone(), weight.clone());
        row(
            c,
            &format!("{name} backward_input, {SEGMENT} images"),
            work(products(sites.len()), x.len() + dy.len() + s.weight_len()),
            || naive::conv2d_backward_input(&s, SEGMENT, &weight, &dy, &mut dx_twin),
            |isa| conv2d_backward_input(isa, &s, &sites, &start, &weight, &dy, None, &mut scratch, &mut dx),
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
            {
                let rows = (0..s.inputs).filter(|i| (0..batch).any(|n| x[n * s.inputs + i] != 0.0)).count();
                let products = x.iter().filter(|x| **x != 0.0 || batch > 1).count() * s.outputs;
                work(products, rows * s.outputs)
            },
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
            work(SEGMENT * weight.len(), weight.len()),
            || naive::linear_backward_weight(&s, SEGMENT, &x, &dy, &mut dw_twin, &mut db_twin),
            |isa| linear_backward_weight(isa, &s, SEGMENT, &x, &dy, &mut dw, &mut db),
        );
        let (mut dx, mut dx_twin, mut scratch) = (x.clone(), x.clone(), dy.clone());
        let start: Vec<u32> = (0..SEGMENT as u32).collect();
        row(
            c,
            &format!("{name} backward_input, {SEGMENT} rows"),
            work(SEGMENT * weight.len(), weight.len()),
            || naive::linear_backward_input(&s, SEGMENT, &weight, &dy, Some(&x), &mut dx_twin),
            |isa| linear_backward_input(isa, &s, 1, &start, &weight, &dy, Some(&x), &mut scratch, &mut dx),
        );
    }
}

fn lstm(c: &mut Criterion) {
    let (z, c_prev, dh) = (values(4 * CELLS), values(CELLS), values(CELLS));
    // A step turns z into gates in place, and the next step starts from these, which are valid values of z.
    let (mut gates, mut cell, mut h) = (z.clone(), c_prev.clone(), c_prev.clone());
    let (mut gates_twin, mut cell_twin, mut h_twin) = (z.clone(), c_prev.clone(), c_prev.clone());
    row(
        c,
        "lstm cells forward, 1 step",
        work(60 * CELLS, 10 * CELLS), // three sigmoids, two tanh
        || naive::lstm_forward(&mut gates_twin, &c_prev, &mut cell_twin, &mut h_twin),
        |isa| lstm_forward(isa, &mut gates, &c_prev, &mut cell, &mut h),
    );
    let (mut dc, mut d_gates) = (values(CELLS), z.clone());
    let (mut dc_twin, mut d_gates_twin) = (values(CELLS), z.clone());
    row(
        c,
        "lstm cells backward, 1 step",
        work(30 * CELLS, 12 * CELLS), // one tanh
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
    targets = peaks, images, conv2d, linear_forwards, linear_backwards, lstm
}
criterion_main!(kernels);
