//! Optimizers against their formulas, one thread at a time.

use a3crs_core::kernel::Isa;
use a3crs_core::kernel::gradient::{Gradient, Outer};
use a3crs_core::kernel::simd::Simd;
use a3crs_core::shared::store::{Native, Update};
use a3crs_core::shared::{OptimizerConfig, OptimizerKind, SharedOptimizer, Store, clip_scale};
use support::store::{LEN, config, noise, statistic_of, ten_updates, values};

mod support {
    pub mod store;
}

#[test]
fn each_optimizer_follows_the_papers_formula() {
    let (alpha, beta2, eps, scale) = (f64::from(0.99_f32), f64::from(0.999_f32), f64::from(0.1_f32), 0.5);
    for kind in OptimizerKind::ALL {
        let (mut theta, mut statistic): (Vec<f64>, _) = (noise(99).iter().map(|&x| x.into()).collect(), vec![0.0; LEN]);
        let mut squares = vec![0.0; LEN];
        for step in 1..=10 {
            let eta = 1e-2 / f64::from(step);
            for (((theta, s), v), d_theta) in
                theta.iter_mut().zip(&mut statistic).zip(&mut squares).zip(noise(step as u64))
            {
                let d = scale * f64::from(d_theta);
                match kind {
                    OptimizerKind::MomentumSgd => {
                        *s = alpha * *s + (1.0 - alpha) * d;
                        *theta -= eta * *s;
                    }
                    OptimizerKind::RmsProp | OptimizerKind::SharedRmsProp => {
                        *s = alpha * *s + (1.0 - alpha) * d * d;
                        *theta -= eta * d / (*s + eps).sqrt();
                    }
                    OptimizerKind::Adam | OptimizerKind::SharedAdam => {
                        // Kingma and Ba (2015), Algorithm 1, line by line
                        *s = alpha * *s + (1.0 - alpha) * d;
                        *v = beta2 * *v + (1.0 - beta2) * d * d;
                        let (m_hat, v_hat) = (*s / (1.0 - alpha.powi(step)), *v / (1.0 - beta2.powi(step)));
                        *theta -= eta * m_hat / (v_hat.sqrt() + eps);
                    }
                }
            }
        }
        let (theta_32, statistic_32) = ten_updates::<Native>(kind, Isa::available()[0]);
        for (got, want) in theta_32.iter().zip(&theta).chain(statistic_32.iter().zip(&statistic)) {
            assert!((f64::from(*got) - want).abs() < 1e-6, "{}: {got} instead of {want}", kind.name());
        }
    }
}

#[test]
fn eps_is_added_inside_the_square_root() {
    let optimizer = SharedOptimizer::new(config(OptimizerKind::SharedRmsProp), 16, 1);
    let theta = Store::zeros(16);
    optimizer.apply(Isa::available()[0], 0, &theta, &[0.01; 16], 1.0, 1.0);
    // Inside the root: 0.01 / sqrt(1e-6 + 0.1) = 0.0316; outside it would be 0.01 / (sqrt(1e-6) + 0.1) = 0.099.
    let step = -values(&theta)[0];
    assert!((step - 0.031_622_62).abs() < 1e-6, "the step was {step}");
}

#[test]
fn with_one_thread_shared_statistics_are_those_of_an_actor() {
    let isa = Isa::available()[0];
    for (shared, own) in
        [(OptimizerKind::SharedRmsProp, OptimizerKind::RmsProp), (OptimizerKind::SharedAdam, OptimizerKind::Adam)]
    {
        assert_eq!(ten_updates::<Native>(shared, isa), ten_updates::<Native>(own, isa));
    }
}

#[test]
fn a_second_thread_continues_the_shared_mean_squares_but_begins_its_own() {
    let isa = Isa::available()[0];
    let g_of_the_second = |kind| {
        let (optimizer, theta) = (SharedOptimizer::new(config(kind), 16, 2), Store::zeros(16));
        optimizer.apply(isa, 0, &theta, &[1.0; 16], 1.0, 0.0);
        optimizer.apply(isa, 1, &theta, &[0.0; 16], 1.0, 0.0);
        values(optimizer.statistics().last().unwrap().1)[0]
    };
    assert!((g_of_the_second(OptimizerKind::SharedRmsProp) - 0.99 * 0.01).abs() < 1e-7);
    assert_eq!(g_of_the_second(OptimizerKind::RmsProp), 0.0);
}

#[test]
fn each_momentum_is_touched_by_its_own_actor_alone() {
    let (optimizer, theta) = (SharedOptimizer::new(config(OptimizerKind::MomentumSgd), LEN, 3), Store::zeros(LEN));
    optimizer.apply(Isa::available()[0], 1, &theta, &noise(1), 1.0, 0.1);
    let touched = |actor| statistic_of(&optimizer, actor).iter().any(|&m| m != 0.0);
    assert_eq!([0, 1, 2].map(touched), [false, true, false]);
    let names: Vec<String> = optimizer.statistics().map(|(name, _)| name).collect();
    assert_eq!(names, ["m.actor0", "m.actor1", "m.actor2"]);
}

#[test]
fn gradients_are_scaled_down_to_the_norm_and_never_up() {
    assert_eq!(clip_scale(80.0, 40.0), 0.5);
    assert_eq!(clip_scale(39.0, 40.0), 1.0);
    assert_eq!(clip_scale(0.0, 40.0), 1.0);
    assert_eq!(clip_scale(1e9, 0.0), 1.0, "0 means no clipping");
}

#[test]
#[should_panic(expected = "the gradient has 32 values, but the parameters are 16")]
fn a_gradient_of_another_length_is_refused() {
    let optimizer = SharedOptimizer::new(config(OptimizerKind::SharedRmsProp), 16, 1);
    optimizer.apply(Isa::available()[0], 0, &Store::zeros(16), &[0.0; 32], 1.0, 0.1);
}

#[test]
#[should_panic(expected = "the optimizer's state has 32 values, but the parameters are 16")]
fn an_optimizer_of_another_network_is_refused() {
    let optimizer = SharedOptimizer::new(config(OptimizerKind::RmsProp), 32, 1);
    optimizer.apply(Isa::available()[0], 0, &Store::zeros(16), &[0.0; 16], 1.0, 0.1);
}

#[test]
fn optimizers_and_their_configs_are_read_by_name() {
    for kind in OptimizerKind::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
        let text = serde_json::to_string(&config(kind)).unwrap();
        assert!(text.contains(&format!("\"{}\"", kind.name())), "{text}");
        assert_eq!(serde_json::from_str::<OptimizerConfig>(&text).unwrap(), config(kind));
    }
    let message = "lion".parse::<OptimizerKind>().unwrap_err();
    assert!(message.contains("lion") && message.contains("shared-rmsprop"), "{message}");
}

#[test]
fn coefficients_outside_their_range_are_refused() {
    let good = config(OptimizerKind::RmsProp);
    assert_eq!(good.validate(), Ok(()));
    for (decay, eps) in [(1.0, 0.1), (-0.1, 0.1), (f32::NAN, 0.1), (0.99, 0.0), (0.99, f32::NAN)] {
        assert!(OptimizerConfig { decay, eps, ..good }.validate().is_err(), "decay {decay}, eps {eps}");
    }
    assert_eq!(OptimizerConfig { eps: 0.0, ..config(OptimizerKind::MomentumSgd) }.validate(), Ok(()));
}

/// Returns a gradient over 16 + 6 x 32 + 16 parameters whose middle is an outer product of rank 2; rows 1 and 4 have no
/// term.
fn with_outer<'a>(dense: &'a [f32], x: &'a [f32; 12], delta: &'a [f32]) -> Gradient<'a> {
    Gradient::from(dense).with_outer(Outer { start: 16, x, delta, rank: 2 })
}

#[test]
fn an_outer_product_updates_as_if_it_were_written_out_with_the_same_bits_on_every_instruction_set() {
    const LEN: usize = 16 + 6 * 32 + 16;
    let x = [1.0, 0.0, -0.5, 2.0, 0.0, 0.25, 0.0, 0.0, 3.0, 0.0, 0.0, -1.0];
    let delta: Vec<f32> = (0..64).map(|i| (i as f32).cos()).collect();
    let dense: Vec<f32> = (0..LEN).map(|i| (i as f32).sin()).collect();
    let start: Vec<f32> = (0..LEN).map(|i| i as f32 * 0.01 - 1.0).collect();
    for kind in OptimizerKind::ALL {
        let run = |isa: Isa, written_out: bool| {
            let optimizer = SharedOptimizer::new(OptimizerConfig { kind, decay: 0.9, decay2: 0.999, eps: 0.1 }, LEN, 1);
            let theta = Store::from_slice(&start);
            let (gradient, mut copy) = (with_outer(&dense, &x, &delta), vec![f32::NAN; LEN]);
            let whole = gradient.to_dense();
            for _ in 0..3 {
                let d_theta = if written_out { Gradient::from(&whole) } else { gradient };
                optimizer.apply_and_read(isa, 0, &theta, d_theta, 0.5, 0.1, &mut copy);
            }
            let mut values = vec![0.0; LEN];
            theta.read_into(isa, &mut values);
            assert_eq!(copy, values, "theta' is theta after the update");
            values
        };
        let reference = run(Isa::available()[0], false);
        for isa in Isa::available() {
            let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&run(isa, false)), bits(&reference), "{} {}", kind.name(), isa.name());
            for (a, b) in run(isa, true).iter().zip(&reference) {
                assert!((a - b).abs() < 1e-5, "{} {}: {a} {b}", kind.name(), isa.name());
            }
        }
        assert_ne!(reference[16], start[16]);
        assert_eq!(reference[16 + 32], start[16 + 32], "row 1 has no gradient and has never had one");
    }
}

#[test]
fn without_a_gradient_mean_squares_decay_and_a_momentum_carries_theta_on() {
    let (dense, delta) = ([0.0; 32], [1.0; 16]);
    let gradient =
        |x: &'static [f32; 1]| Gradient::from(&dense).with_outer(Outer { start: 0, x, delta: &delta, rank: 1 });
    for kind in OptimizerKind::ALL {
        let isa = Isa::available()[0];
        let optimizer = SharedOptimizer::new(OptimizerConfig { kind, decay: 0.5, decay2: 0.999, eps: 0.1 }, 32, 1);
        let theta = Store::zeros(32);
        optimizer.apply(isa, 0, &theta, gradient(&[2.0]), 1.0, 1.0);
        let mut before = [0.0; 32];
        theta.read_into(isa, &mut before);
        optimizer.apply(isa, 0, &theta, gradient(&[0.0]), 1.0, 1.0);
        let mut after = [0.0; 32];
        theta.read_into(isa, &mut after);
        match kind {
            OptimizerKind::MomentumSgd => assert_eq!(after[0], before[0] - 0.5, "m = 0.5 * 1"),
            OptimizerKind::RmsProp | OptimizerKind::SharedRmsProp => {
                assert_eq!(after, before);
                assert_eq!(statistic_of(&optimizer, 0)[0], 1.0, "0.5 (0.5 * 2^2)");
            }
            OptimizerKind::Adam | OptimizerKind::SharedAdam => {
                let (m, v) = (0.5f64 / (1.0 - 0.25), 0.999 * 0.004 / (1.0 - 0.999f64.powi(2)));
                let expected = before[0] - (m / (v.sqrt() + 0.1)) as f32;
                assert!((after[0] - expected).abs() < 1e-4, "{} instead of {expected}", after[0]);
            }
        }
    }
}

/// Optimizer that keeps the sum of the gradients and the sum of their squares. It moves theta even where the gradient
/// is 0, as Adam does.
#[derive(Clone, Copy)]
struct Sums {
    rests: bool,
}

impl Update<2> for Sums {
    #[inline(always)]
    fn step<S: Simd>(self, s: S, d_theta: S::V, [sum, squares]: [S::V; 2], theta: S::V) -> ([S::V; 2], S::V) {
        let sum = s.add(sum, d_theta);
        ([sum, s.add(squares, s.mul(d_theta, d_theta))], s.sub(theta, sum))
    }

    #[inline(always)]
    fn rest<S: Simd>(self, _: S, statistics: [S::V; 2]) -> Option<[S::V; 2]> {
        self.rests.then_some(statistics)
    }
}

#[test]
fn a_rule_may_have_two_statistics_and_move_theta_without_a_gradient() {
    const LEN: usize = 16 + 6 * 32 + 16;
    let x = [1.0, 0.0, -0.5, 2.0, 0.0, 0.25, 0.0, 0.0, 3.0, 0.0, 0.0, -1.0]; // rows 1 and 4 have no term
    let (delta, dense) = ([0.5; 64], [0.25; LEN]);
    let gradient = with_outer(&dense, &x, &delta);
    let d_theta = gradient.to_dense();
    for isa in Isa::available() {
        for rests in [false, true] {
            let (theta, sum, squares) = (Store::zeros(LEN), Store::from_slice(&[1.0; LEN]), Store::zeros(LEN));
            let mut copy = vec![f32::NAN; LEN];
            theta.update(isa, [&sum, &squares], gradient, Sums { rests }, Some(&mut copy));
            let (theta, sum, squares) = (values(&theta), values(&sum), values(&squares));
            assert_eq!(copy, theta, "theta' is theta after the update");
            for (i, d) in d_theta.iter().enumerate() {
                let has_term = !(16 + 32..16 + 64).contains(&i) && !(16 + 128..16 + 160).contains(&i);
                let moved = if has_term || !rests { -(1.0 + d) } else { 0.0 };
                assert_eq!((theta[i], sum[i], squares[i]), (moved, 1.0 + d, d * d), "{} {rests} {i}", isa.name());
            }
        }
    }
}

#[test]
#[should_panic(expected = "the optimizer's state has 32 values, but the parameters are 16")]
fn a_second_statistic_of_another_length_is_refused() {
    let (isa, statistics) = (Isa::available()[0], [&Store::zeros(16), &Store::zeros(32)]);
    Store::zeros(16).update(isa, statistics, Gradient::from(&[0.0; 16][..]), Sums { rests: true }, None);
}
