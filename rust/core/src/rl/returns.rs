//! Returns: the one formula behind all methods.

/// Computes the lambda-return of every step of a segment, by the backward recursion
///
/// ```text
/// G_t = r_t + gamma [ (1 - lambda_{t+1}) v_{t+1} + lambda_{t+1} G_{t+1} ],      G_n = v_n
/// ```
///
/// `lambda = 0` is the one-step target of Algorithm 1, `lambda = 1` the n-step return `R <- r_i + gamma R` of Algorithms S2
/// and S3; with `V` as `v`, `G_t - V(s_t)` at `0 < lambda < 1` is the generalised advantage. V-trace's traces `c_t` are
/// lambdas that differ from step to step.
///
/// * `rewards[t]` is `r_t`, for t in `0..n`
/// * `v_next[t]` is `v_{t+1}`; `v_next[n-1] = v_n` is 0 where `s_n` is terminal. With `lambda = 1` only `v_n` is used.
/// * `lambda[t]` is `lambda_{t+1}`, the weight of `G_{t+1}` in `G_t`
/// * `g[t]` receives `G_t`
///
/// # Panics
/// If the lengths differ.
pub fn lambda_returns(rewards: &[f32], v_next: &[f32], gamma: f32, lambda: &[f32], g: &mut [f32]) {
    assert_eq!(rewards.len(), v_next.len());
    assert_eq!(rewards.len(), lambda.len());
    assert_eq!(rewards.len(), g.len());
    let mut g_next = v_next.last().copied().unwrap_or(0.0);
    for t in (0..rewards.len()).rev() {
        g_next = rewards[t] + gamma * ((1.0 - lambda[t]) * v_next[t] + lambda[t] * g_next);
        g[t] = g_next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The k-step return of step t, in the notation of section 4: a sum of k rewards and one bootstrap.
    fn k_step_return(rewards: &[f32], v_next: &[f32], gamma: f64, t: usize, k: usize) -> f64 {
        let mut sum = 0.0;
        for i in 0..k {
            sum += gamma.powi(i as i32) * f64::from(rewards[t + i]);
        }
        sum + gamma.powi(k as i32) * f64::from(v_next[t + k - 1])
    }

    /// The lambda-return as the weighted sum of all k-step returns: slow, and written as in the textbook.
    fn slow_double_sum(rewards: &[f32], v_next: &[f32], gamma: f64, lambda: f64) -> Vec<f64> {
        let n = rewards.len();
        (0..n)
            .map(|t| {
                let last = n - t;
                let mut g = lambda.powi(last as i32 - 1) * k_step_return(rewards, v_next, gamma, t, last);
                for k in 1..last {
                    g += (1.0 - lambda) * lambda.powi(k as i32 - 1) * k_step_return(rewards, v_next, gamma, t, k);
                }
                g
            })
            .collect()
    }

    proptest! {
        #[test]
        fn the_recursion_equals_the_double_sum(
            steps in prop::collection::vec((-1.0f32..1.0, -5.0f32..5.0), 1..21),
            gamma in 0.0f32..=1.0,
            lambda in prop::sample::select(vec![0.0f32, 0.3, 0.95, 1.0]),
        ) {
            let (rewards, v_next): (Vec<f32>, Vec<f32>) = steps.into_iter().unzip();
            let mut g = vec![f32::NAN; rewards.len()];
            lambda_returns(&rewards, &v_next, gamma, &vec![lambda; rewards.len()], &mut g);
            for (fast, slow) in g.iter().zip(slow_double_sum(&rewards, &v_next, gamma.into(), lambda.into())) {
                prop_assert!((f64::from(*fast) - slow).abs() < 1e-4 * (1.0 + slow.abs()), "{fast} {slow}");
            }
        }
    }

    #[test]
    fn lambda_0_is_the_one_step_target() {
        let mut g = [f32::NAN; 3];
        lambda_returns(&[1.0, 2.0, 3.0], &[10.0, 20.0, 30.0], 0.5, &[0.0; 3], &mut g);
        assert_eq!(g, [6.0, 12.0, 18.0]);
    }

    #[test]
    fn lambda_1_uses_the_last_bootstrap_only() {
        let mut g = [f32::NAN; 3];
        lambda_returns(&[1.0, 2.0, 3.0], &[f32::MAX, f32::MAX, 8.0], 0.5, &[1.0; 3], &mut g);
        assert_eq!(g, [1.0 + 0.5 * (2.0 + 0.5 * (3.0 + 0.5 * 8.0)), 2.0 + 0.5 * (3.0 + 0.5 * 8.0), 3.0 + 0.5 * 8.0]);
    }

    /// V-trace in the notation of Espeholt et al. (2018), equation 1, with rho = c: a sum of corrected differences.
    fn v_trace(rewards: &[f32], v: &[f32], c: &[f32], gamma: f32, s: usize) -> f32 {
        let mut sum = v[s];
        for t in s..rewards.len() {
            let traces: f32 = c[s..t].iter().product();
            let delta = c[t] * (rewards[t] + gamma * v[t + 1] - v[t]);
            sum += gamma.powi((t - s) as i32) * traces * delta;
        }
        sum
    }

    #[test]
    fn lambdas_that_differ_are_the_traces_of_v_trace() {
        let (rewards, v, c) = ([1.0, -2.0, 0.5, 3.0], [0.3, 1.5, -0.7, 2.0, 0.9], [0.4, 1.0, 0.2, 0.8]);
        let mut g = [f32::NAN; 4];
        lambda_returns(&rewards, &v[1..], 0.9, &[c[1], c[2], c[3], 1.0], &mut g);
        for s in 0..4 {
            let corrected = v[s] + c[s] * (g[s] - v[s]);
            let expected = v_trace(&rewards, &v, &c, 0.9, s);
            assert!((corrected - expected).abs() < 1e-5, "step {s}: {corrected} against {expected}");
        }
    }

    #[test]
    fn an_empty_segment_has_no_returns() {
        lambda_returns(&[], &[], 0.99, &[], &mut []);
    }
}
