//! Theoretical action values of [`Chain`], in f64.

use a3crs_core::env::Chain;

pub const CELLS: usize = 4;

/// Returns a chain whose time limit never truncates an actor that goes right at least every fourth time.
pub fn chain() -> Chain {
    Chain::new(CELLS, 10_000)
}

/// Action values, `Q[cell][action]`.
pub type Q = [[f64; 2]; CELLS];

/// Number of sweeps, enough for convergence: each is a contraction by gamma.
const SWEEPS: usize = 1_000;
const ACTIONS: [usize; 2] = [0, 1];

/// Returns the reward, and the next cell unless the episode is over.
fn step(cell: usize, action: usize) -> (f64, Option<usize>) {
    match (cell, action) {
        (_, 0) => (0.0, Some(cell.saturating_sub(1))),
        (cell, _) if cell + 1 == CELLS => (1.0, None),
        _ => (0.0, Some(cell + 1)),
    }
}

/// Returns `r + gamma v(s')`.
fn backup(gamma: f64, cell: usize, action: usize, v: impl Fn(usize) -> f64) -> f64 {
    let (reward, next) = step(cell, action);
    reward + next.map_or(0.0, |next| gamma * v(next))
}

fn table(value: impl Fn(usize, usize) -> f64) -> Q {
    std::array::from_fn(|cell| ACTIONS.map(|action| value(cell, action)))
}

fn fixed_point(sweep: impl Fn(&Q) -> Q) -> Q {
    (0..SWEEPS).fold([[0.0; 2]; CELLS], |q, _| sweep(&q))
}

fn max(q: [f64; 2]) -> f64 {
    q[0].max(q[1])
}

/// Returns the eps-greedy policy where right is best, `[left, right]`.
fn eps_greedy(eps: f64) -> [f64; 2] {
    [eps / 2.0, 1.0 - eps / 2.0]
}

fn mean(pi: [f64; 2], q: [f64; 2]) -> f64 {
    pi[0] * q[0] + pi[1] * q[1]
}

/// Returns the optimal values, to which one-step Q converges under any behaviour.
pub fn q_optimal(gamma: f64) -> Q {
    fixed_point(|q| table(|cell, action| backup(gamma, cell, action, |next| max(q[next]))))
}

/// Returns the values of the policies `pi[cell]`.
pub fn q_of(gamma: f64, pi: [[f64; 2]; CELLS]) -> Q {
    fixed_point(|q| table(|cell, action| backup(gamma, cell, action, |next| mean(pi[next], q[next]))))
}

/// Returns the values of the eps-greedy policy itself, to which Sarsa converges.
pub fn q_eps_greedy(gamma: f64, eps: f64) -> Q {
    q_of(gamma, [eps_greedy(eps); CELLS])
}

/// Returns the values to which n-step Q converges if every actor follows the same eps-greedy policy: `(least,
/// greatest)` of each value.
///
/// They are neither Q* nor the policy's Q. To the end of the segment the return sums the rewards of the behaviour,
/// exploration included; there it bootstraps from the maximum. A step in slot `k` of a segment of t_max thus looks
/// `t_max - k` steps ahead, and Q(s, a) is the mean of these targets over the slots in which s is visited. Segments
/// begin anew at the start of an episode, so cell and slot depend on each other: their joint frequency is that of a
/// Markov chain.
///
/// For a feed-forward network least and greatest are both that mean. A recurrent one can infer the slot from the steps
/// since the episode began, and may learn each slot's own target.
pub fn q_n_step(gamma: f64, eps: f64, t_max: usize, recurrent: bool) -> (Q, Q) {
    let met = slots_met(eps, t_max);
    let mean_over_slots = |targets: &[Q]| -> Q {
        table(|cell, action| {
            let sum: f64 = (0..t_max).map(|slot| met[cell][slot] * targets[slot][cell][action]).sum();
            sum / met[cell].iter().sum::<f64>()
        })
    };
    let blind = fixed_point(|q| mean_over_slots(&targets_by_slot(gamma, eps, t_max, q)));
    if !recurrent {
        return (blind, blind);
    }
    // A segment's last state is the first of the next, so the bootstrap uses the values of slot 0.
    let aware = fixed_point(|q| targets_by_slot(gamma, eps, t_max, q)[0]);
    let mut all = targets_by_slot(gamma, eps, t_max, &aware);
    all.push(blind);
    let pick = |better: fn(f64, f64) -> f64| {
        table(|cell, action| all.iter().map(|q| q[cell][action]).reduce(better).expect("there is at least one"))
    };
    (pick(f64::min), pick(f64::max))
}

/// Returns the expected n-step target in each slot, with a bootstrap from `max_a q` after the last.
fn targets_by_slot(gamma: f64, eps: f64, t_max: usize, q: &Q) -> Vec<Q> {
    let mut targets = vec![[[0.0; 2]; CELLS]; t_max];
    for slot in (0..t_max).rev() {
        targets[slot] = table(|cell, action| {
            backup(gamma, cell, action, |next| match targets.get(slot + 1) {
                Some(later) => mean(eps_greedy(eps), later[next]),
                None => max(q[next]),
            })
        });
    }
    targets
}

/// Returns the frequency of each `[cell][slot]` under the eps-greedy policy.
fn slots_met(eps: f64, t_max: usize) -> Vec<Vec<f64>> {
    let start = || vec![vec![0.0; t_max]; CELLS];
    let mut met = start();
    met[0][0] = 1.0;
    for _ in 0..SWEEPS {
        let mut after = start();
        for (cell, slot) in (0..CELLS).flat_map(|cell| (0..t_max).map(move |slot| (cell, slot))) {
            after[cell][slot] += 0.5 * met[cell][slot]; // half of it stays, to avoid oscillation
            for action in ACTIONS {
                let (cell_after, slot_after) = step(cell, action).1.map_or((0, 0), |next| (next, (slot + 1) % t_max));
                after[cell_after][slot_after] += 0.5 * met[cell][slot] * eps_greedy(eps)[action];
            }
        }
        met = after;
    }
    met
}
