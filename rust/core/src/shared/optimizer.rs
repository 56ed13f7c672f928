//! Momentum SGD, RMSProp and Adam, with statistics of each actor or shared by all, each an asynchronous update of shared theta
//! (sections 4 and 7 of the paper).

mod rules;

use super::store::{Lanes, Native, Slab, Update};
use crate::catalogue::Entry;
use crate::kernel::Isa;
use crate::kernel::gradient::Gradient;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use rules::{Adam, MomentumSgd, RmsProp};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Names of the optimizers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum OptimizerKind {
    /// `momentum-sgd`: each thread keeps its own momentum.
    MomentumSgd,
    /// `rmsprop`: each thread keeps its own mean squares.
    RmsProp,
    /// `shared-rmsprop`: one row of mean squares for all threads, the paper's choice.
    SharedRmsProp,
    /// `adam`: each thread keeps its own moments.
    Adam,
    /// `shared-adam`: one row of moments for all threads.
    SharedAdam,
}

impl OptimizerKind {
    /// All optimizers, in the order in which they are listed.
    pub const ALL: [OptimizerKind; 5] =
        [Self::MomentumSgd, Self::RmsProp, Self::SharedRmsProp, Self::Adam, Self::SharedAdam];

    /// The table of optimizers: a new one is a struct with its [`Rule`] and a row here.
    const fn row<L: Lanes>(self) -> Row<L> {
        match self {
            Self::MomentumSgd => Row::of::<MomentumSgd, 1>(
                Owner::Actor,
                Entry {
                    name: "momentum-sgd",
                    what: "stochastic gradient descent, each actor with its own momentum",
                    paper: "section 7",
                    settings: &["momentum"],
                },
            ),
            Self::RmsProp => Row::of::<RmsProp, 1>(
                Owner::Actor,
                Entry {
                    name: "rmsprop",
                    what: "RMSProp, each actor with its own mean squares g",
                    paper: "section 7; equation 1",
                    settings: &["rms_decay", "rms_eps"],
                },
            ),
            Self::SharedRmsProp => Row::of::<RmsProp, 1>(
                Owner::All,
                Entry {
                    name: "shared-rmsprop",
                    what: "RMSProp, one row of mean squares g for all actors",
                    paper: "section 7; equation 1",
                    settings: &["rms_decay", "rms_eps"],
                },
            ),
            Self::Adam => Row::of::<Adam, 2>(
                Owner::Actor,
                Entry {
                    name: "adam",
                    what: "Adam, each actor with its own moments m and v",
                    paper: "not in the paper; Kingma and Ba 2015, Algorithm 1",
                    settings: &["adam_beta1", "adam_beta2", "adam_eps"],
                },
            ),
            Self::SharedAdam => Row::of::<Adam, 2>(
                Owner::All,
                Entry {
                    name: "shared-adam",
                    what: "Adam, one row of moments m and v for all actors",
                    paper: "not in the paper; Kingma and Ba 2015, Algorithm 1",
                    settings: &["adam_beta1", "adam_beta2", "adam_eps"],
                },
            ),
        }
    }

    /// Name, description and source.
    pub const fn entry(self) -> Entry {
        self.row::<Native>().entry
    }

    /// Number of statistics, each as long as theta, that `actors` actor-learners keep together.
    pub const fn num_statistics(self, actors: usize) -> usize {
        let row = self.row::<Native>();
        row.statistics.len() * row.owner.count(actors)
    }

    /// The name in a configuration.
    pub const fn name(self) -> &'static str {
        self.entry().name
    }
}

impl FromStr for OptimizerKind {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            format!("there is no optimizer {name:?}; choose {}", Self::ALL.map(OptimizerKind::name).join(", "))
        })
    }
}

impl TryFrom<String> for OptimizerKind {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
    }
}

impl From<OptimizerKind> for &'static str {
    fn from(kind: OptimizerKind) -> Self {
        kind.name()
    }
}

/// An optimizer and its coefficients, except for the learning rate, which is annealed and so given with each update.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// The optimizer.
    pub kind: OptimizerKind,
    /// `alpha`, Adam's `beta_1`: the fraction of the momentum or of the mean square that survives an update.
    pub decay: f32,
    /// `beta_2` of Adam, the fraction of its mean square; the others ignore it.
    pub decay2: f32,
    /// `epsilon`, inside RMSProp's square root and outside Adam's; momentum SGD has none and ignores it.
    pub eps: f32,
}

impl OptimizerConfig {
    /// # Errors
    /// A sentence for the user when a coefficient lies outside its range.
    pub fn validate(&self) -> Result<(), String> {
        for decay in [self.decay, self.decay2] {
            if !(0.0..1.0).contains(&decay) {
                return Err(format!("the optimizer's decay is {decay}; it must be at least 0 and less than 1"));
            }
        }
        // With eps = 0 a parameter whose gradient has always been zero would become 0 / 0.
        if self.kind.row::<Native>().has_eps && !(self.eps.is_finite() && self.eps > 0.0) {
            return Err(format!("the optimizer's eps is {}; it must be a positive number", self.eps));
        }
        Ok(())
    }
}

/// The optimizer that a run's actor-learners share, touching shared memory as this build prefers.
pub type SharedOptimizer = AsyncOptimizer<Native>;

/// Threads that update the same statistics.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// One actor-learner: each has statistics of its own.
    Actor,
    /// All actor-learners, without locks.
    All,
}

impl Owner {
    /// Number of owners among `actors` actor-learners.
    const fn count(self, actors: usize) -> usize {
        match self {
            Owner::Actor => actors,
            Owner::All => 1,
        }
    }

    /// Index of the owner whose statistics `actor` updates.
    const fn of(self, actor: usize) -> usize {
        match self {
            Owner::Actor => actor,
            Owner::All => 0,
        }
    }

    /// Name of the tensor with `statistic` of the owner with that index: `g`, or `g.actor<i>`.
    fn tensor(self, statistic: &str, index: usize) -> String {
        match self {
            Owner::Actor => format!("{statistic}.actor{index}"),
            Owner::All => statistic.into(),
        }
    }
}

/// One row of the table of optimizers.
struct Row<L: Lanes> {
    entry: Entry,
    owner: Owner,
    statistics: &'static [&'static str],
    has_eps: bool,
    pass: fn(&OptimizerConfig, &[Slab<L>], Pass<'_, L>),
}

impl<L: Lanes> Row<L> {
    const fn of<R: Rule<N>, const N: usize>(owner: Owner, entry: Entry) -> Self {
        const { assert!(R::STATISTICS.len() == N, "a rule names each of its statistics") };
        Row { entry, owner, statistics: R::STATISTICS, has_eps: R::HAS_EPS, pass: pass::<L, R, N> }
    }
}

/// Rule of an optimizer with `N` statistics.
trait Rule<const N: usize>: Update<N> {
    /// Names of the statistics in a checkpoint.
    const STATISTICS: &'static [&'static str];
    /// True where the rule reads epsilon, which then must be positive.
    const HAS_EPS: bool;
    /// The rule for one update.
    fn new(config: &OptimizerConfig, step: StepSize) -> Self;
}

/// Factors of one update.
#[derive(Clone, Copy)]
struct StepSize {
    /// Factor of the gradient (see [`clip_scale`]).
    scale: f32,
    /// Learning rate.
    eta: f32,
    /// Number of updates of these statistics, this one included.
    count: u64,
}

/// Operands of one update, except for the statistics.
struct Pass<'a, L: Lanes> {
    isa: Isa,
    theta: &'a Slab<L>,
    d_theta: Gradient<'a>,
    step: StepSize,
    copy: Option<&'a mut [f32]>,
}

fn pass<L: Lanes, R: Rule<N>, const N: usize>(config: &OptimizerConfig, statistics: &[Slab<L>], pass: Pass<'_, L>) {
    let Pass { isa, theta, d_theta, step, copy } = pass;
    theta.update(isa, std::array::from_fn::<_, N, _>(|i| &statistics[i]), d_theta, R::new(config, step), copy);
}

/// Optimizer of a run: its coefficients and its statistics, each `(parameters)`.
///
/// All statistics lie in stores, those of a single actor-learner too, because a checkpoint reads them during training.
#[derive(Debug)]
pub struct AsyncOptimizer<L: Lanes> {
    config: OptimizerConfig,
    /// The statistics of each owner, in the order of [`Rule::STATISTICS`].
    statistics: Vec<Vec<Slab<L>>>,
    /// Updates that each owner's statistics have seen.
    counts: Vec<AtomicU64>,
}

impl<L: Lanes> AsyncOptimizer<L> {
    /// Creates an optimizer of `len` parameters for `actors` actor-learners, with statistics of zero.
    ///
    /// # Panics
    /// If the config does not pass [`OptimizerConfig::validate`], or as [`Slab::zeros`].
    pub fn new(config: OptimizerConfig, len: usize, actors: usize) -> Self {
        config.validate().unwrap_or_else(|problem| panic!("{problem}"));
        let row = config.kind.row::<L>();
        let of_one = || row.statistics.iter().map(|_| Slab::zeros(len)).collect();
        let owners = 0..row.owner.count(actors);
        let counts = owners.clone().map(|_| AtomicU64::new(0)).collect();
        AsyncOptimizer { config, statistics: owners.map(|_| of_one()).collect(), counts }
    }

    /// Updates that each owner's statistics have seen.
    pub fn counts(&self) -> Vec<u64> {
        self.counts.iter().map(|count| count.load(Relaxed)).collect()
    }

    /// Goes on from [`AsyncOptimizer::counts`]; owners that it lacks have seen no update.
    pub fn set_counts(&self, counts: &[u64]) {
        self.counts.iter().zip(counts).for_each(|(count, seen)| count.store(*seen, Relaxed));
    }

    /// The statistics with their names in a checkpoint, such as `g` where all actors share it and `g.actor<i>` where not.
    pub fn statistics(&self) -> impl Iterator<Item = (String, &Slab<L>)> {
        let Row { owner, statistics: names, .. } = self.config.kind.row::<L>();
        self.statistics.iter().enumerate().flat_map(move |(index, of_one)| {
            names.iter().zip(of_one).map(move |(name, statistic)| (owner.tensor(name, index), statistic))
        })
    }

    /// "Perform asynchronous update of theta using d_theta" (Algorithms 1, S2 and S3), without locks.
    ///
    /// `actor`: who calls; `theta`, `d_theta`: `(parameters)`; `scale` multiplies the gradient first
    /// (see [`clip_scale`]); `lr` is eta.
    ///
    /// # Panics
    /// If the lengths differ, or `actor` is none of the actor-learners.
    pub fn apply<'a>(
        &self,
        isa: Isa,
        actor: usize,
        theta: &Slab<L>,
        d_theta: impl Into<Gradient<'a>>,
        scale: f32,
        lr: f32,
    ) {
        self.pass(isa, actor, theta, d_theta.into(), scale, lr, None);
    }

    /// As [`AsyncOptimizer::apply`], and `theta' <- theta` in the same pass over memory. `theta_local`: `(parameters)`
    ///
    /// # Panics
    /// As [`AsyncOptimizer::apply`].
    #[allow(clippy::too_many_arguments, reason = "apply and where theta' is")]
    pub fn apply_and_read(
        &self,
        isa: Isa,
        actor: usize,
        theta: &Slab<L>,
        d_theta: Gradient<'_>,
        scale: f32,
        lr: f32,
        theta_local: &mut [f32],
    ) {
        self.pass(isa, actor, theta, d_theta, scale, lr, Some(theta_local));
    }

    #[allow(clippy::too_many_arguments, reason = "the two functions above")]
    fn pass(
        &self,
        isa: Isa,
        actor: usize,
        theta: &Slab<L>,
        d_theta: Gradient<'_>,
        scale: f32,
        lr: f32,
        copy: Option<&mut [f32]>,
    ) {
        let row = self.config.kind.row::<L>();
        let owner = row.owner.of(actor);
        let step = StepSize { scale, eta: lr, count: self.counts[owner].fetch_add(1, Relaxed) + 1 };
        (row.pass)(&self.config, &self.statistics[owner], Pass { isa, theta, d_theta, step, copy });
    }
}

/// The factor that brings a gradient of global L2 norm `norm` down to `max_norm`: `min(1, max_norm / norm)`.
/// `max_norm = 0` means that gradients are not clipped.
pub fn clip_scale(norm: f64, max_norm: f32) -> f32 {
    let max_norm = f64::from(max_norm);
    if max_norm > 0.0 && norm > max_norm { (max_norm / norm) as f32 } else { 1.0 }
}
