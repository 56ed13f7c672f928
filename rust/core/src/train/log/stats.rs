//! Running sums of the actors, read by the supervisor: one writer each, relaxed, no locks.

use cpu_time::{ProcessTime, ThreadTime};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Quantity that an actor sums up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stat {
    /// Steps that were learned from.
    Steps,
    /// Updates applied.
    Updates,
    /// Updates refused because their gradient was not finite.
    RefusedUpdates,
    /// Updates whose gradient was clipped.
    ClippedUpdates,
    /// Sum over updates: L2 norm of the gradient before clipping.
    GradNorm,
    /// Sum over updates: updates by others between an actor's pull and its push.
    Staleness,
    /// Sum over steps: entropy of pi in nats.
    Entropy,
    /// Sum over steps: policy loss.
    PolicyLoss,
    /// Sum over steps: value loss.
    ValueLoss,
    /// CPU seconds in forward passes.
    ForwardSecs,
    /// CPU seconds in backward passes.
    BackwardSecs,
    /// CPU seconds in snapshots and updates of the store.
    UpdateSecs,
    // Those below came later: checkpoints keep the sums in this order.
    /// Steps of updates over the number of passes: the losses' weight, where the passes over the same steps end in another window.
    Weight,
    /// Sum over steps: 1 where the policy loss was clipped.
    ClippedSteps,
    /// Sum over steps: estimate of `KL(pi_acted || pi)` in nats.
    Kl,
    /// Steps in the four sums below.
    Explained,
    /// Sum over steps: the return G.
    Returns,
    /// Sum over steps: G^2.
    SquaredReturns,
    /// Sum over steps: `G - V`.
    ValueErrors,
    /// Sum over steps: `(G - V)^2`.
    SquaredValueErrors,
}

const STATS: usize = Stat::SquaredValueErrors as usize + 1;

/// Sums of one actor, in cache lines of their own.
#[repr(align(128))]
#[derive(Debug, Default)]
pub struct ActorStats([AtomicU64; STATS]);

impl ActorStats {
    /// Adds `x`. Only the actor that owns these sums calls this, so a load and a store suffice.
    pub fn add(&self, stat: Stat, x: f64) {
        let cell = &self.0[stat as usize];
        cell.store((f64::from_bits(cell.load(Relaxed)) + x).to_bits(), Relaxed);
    }

    /// Sums that go on from `sums`.
    pub fn new(sums: &Totals) -> Self {
        ActorStats(sums.0.map(|sum| AtomicU64::new(sum.to_bits())))
    }

    /// The present sums.
    pub fn sums(&self) -> Totals {
        Totals(std::array::from_fn(|i| f64::from_bits(self.0[i].load(Relaxed))))
    }

    /// Runs `work` and adds the CPU seconds this thread spent in it: time in which the thread waited for a core is not its.
    pub fn timed<R>(&self, stat: Stat, work: impl FnOnce() -> R) -> R {
        let start = ThreadTime::now();
        let result = work();
        self.add(stat, start.elapsed().as_secs_f64());
        result
    }
}

/// The sums over all actors.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals([f64; STATS]);

impl Totals {
    /// The present sums.
    pub fn of(actors: &[ActorStats]) -> Self {
        Totals::sum(actors.iter().map(ActorStats::sums))
    }

    /// Total of several sums, added in order.
    pub fn sum(all: impl Iterator<Item = Totals>) -> Self {
        all.fold(Totals::default(), |sum, one| Totals(std::array::from_fn(|i| sum.0[i] + one.0[i])))
    }

    /// The sums in the order of [`Stat`], as a checkpoint keeps them.
    pub fn as_slice(&self) -> &[f64] {
        &self.0
    }

    /// Reads the order of [`Totals::as_slice`]; missing sums are 0.
    pub fn from_slice(sums: &[f64]) -> Self {
        Totals(std::array::from_fn(|i| sums.get(i).copied().unwrap_or(0.0)))
    }

    /// Sum of `stat`.
    pub fn get(&self, stat: Stat) -> f64 {
        self.0[stat as usize]
    }

    /// Difference to `earlier` sums.
    pub fn since(&self, earlier: &Totals) -> Totals {
        Totals(std::array::from_fn(|i| self.0[i] - earlier.0[i]))
    }
}

/// Shares of the machine's core-time (cores x wall time) in a window; they sum to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// The environment, with what surrounds it (its own threads, Python, the log).
    pub env: f64,
    /// Forward passes.
    pub forward: f64,
    /// Backward passes.
    pub backward: f64,
    /// Snapshots and updates of the store.
    pub update: f64,
    /// Cores that this process left idle.
    pub waiting: f64,
}

/// A window shorter than this says nothing: the end of a run comes at any moment after the last reading.
const SHORTEST_WINDOW: Duration = Duration::from_millis(500);

/// Longest wait of a poll for an update, in methods that learn from much at once.
const LONGEST_POLL: Duration = Duration::from_secs(10);

/// Measures windows of time between its readings.
#[derive(Debug)]
pub struct Meter {
    wall: Instant,
    cpu: ProcessTime,
    totals: Totals,
    last: Option<Reading>,
}

/// Reading of a [`Meter`]: the sums of a window and the shares of core-time in it.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Length of the window.
    pub wall: Duration,
    /// The sums in the window.
    pub totals: Totals,
    /// Shares of the core-time.
    pub shares: Shares,
}

impl Meter {
    /// Starts a window.
    pub fn start(totals: Totals) -> Self {
        Meter { wall: Instant::now(), cpu: ProcessTime::now(), totals, last: None }
    }

    /// The last reading; where the window is too short to say anything, the one before it once more.
    pub fn read_at_end(&mut self, totals: Totals) -> Reading {
        match self.last {
            Some(last) if self.wall.elapsed() < SHORTEST_WINDOW => last,
            _ => self.read(totals),
        }
    }

    /// The last reading once more where nothing was learned since; else as [`Meter::read`].
    pub fn poll(&mut self, totals: Totals) -> Reading {
        match self.last {
            Some(last)
                if totals.get(Stat::Updates) == self.totals.get(Stat::Updates)
                    && self.wall.elapsed() < LONGEST_POLL =>
            {
                last
            }
            _ => self.read(totals),
        }
    }

    /// Ends the window and starts the next.
    pub fn read(&mut self, totals: Totals) -> Reading {
        let (wall, cpu, window) = (self.wall.elapsed(), self.cpu.elapsed(), totals.since(&self.totals));
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        let capacity = (wall.as_secs_f64() * cores as f64).max(1e-9);
        let share = |stat| window.get(stat) / capacity;
        let (forward, backward, update) =
            (share(Stat::ForwardSecs), share(Stat::BackwardSecs), share(Stat::UpdateSecs));
        let busy = (cpu.as_secs_f64() / capacity).min(1.0);
        let env = (busy - forward - backward - update).max(0.0);
        let shares = Shares { env, forward, backward, update, waiting: 1.0 - busy };
        let reading = Reading { wall, totals: window, shares };
        *self = Meter { last: Some(reading), ..Meter::start(totals) };
        reading
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_add_up_over_actors_and_windows() {
        let actors = [ActorStats::default(), ActorStats::default()];
        actors[0].add(Stat::Steps, 5.0);
        let first = Totals::of(&actors);
        actors[1].add(Stat::Steps, 2.0);
        actors[1].add(Stat::Entropy, 0.5);
        let both = Totals::of(&actors);
        assert_eq!(both.get(Stat::Steps), 7.0);
        assert_eq!(both.since(&first).get(Stat::Steps), 2.0);
        assert_eq!(both.since(&first).get(Stat::Entropy), 0.5);
    }

    #[test]
    fn a_poll_between_two_updates_says_what_the_one_before_said() {
        let actors = [ActorStats::default()];
        let mut meter = Meter::start(Totals::of(&actors));
        (0..2).for_each(|_| actors[0].add(Stat::Steps, 128.0));
        actors[0].add(Stat::Updates, 1.0);
        assert_eq!(meter.poll(Totals::of(&actors)).totals.get(Stat::Steps), 256.0);
        assert_eq!(meter.poll(Totals::of(&actors)).totals.get(Stat::Steps), 256.0, "nothing was learned since");
        actors[0].add(Stat::Updates, 1.0);
        assert_eq!(meter.poll(Totals::of(&actors)).totals.get(Stat::Steps), 0.0);
    }

    #[test]
    fn shares_sum_to_one_and_sleeping_is_waiting() {
        let actors = [ActorStats::default()];
        let mut meter = Meter::start(Totals::of(&actors));
        actors[0].timed(Stat::ForwardSecs, || std::thread::sleep(Duration::from_millis(30)));
        let Shares { env, forward, backward, update, waiting } = meter.read(Totals::of(&actors)).shares;
        assert!((env + forward + backward + update + waiting - 1.0).abs() < 1e-6);
        assert!(forward < 0.2, "a sleeping thread uses no core: {forward}");
    }
}
