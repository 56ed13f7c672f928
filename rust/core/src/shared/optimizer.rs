//! Momentum SGD, RMSProp and shared RMSProp, each an asynchronous update of shared theta (sections 4 and 7 of the paper).
//!
//! Every rule is written with separate multiplications and additions, all correctly rounded, so that it gives the same bits
//! on every instruction set.

use super::store::{Lanes, Native, Slab, Update};
use crate::catalogue::Entry;
use crate::kernel::Isa;
use crate::kernel::gradient::Gradient;
use crate::kernel::simd::Simd;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Which of the paper's three optimizers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum OptimizerKind {
    /// `momentum-sgd`: each thread keeps its own momentum.
    MomentumSgd,
    /// `rmsprop`: each thread keeps its own mean squares.
    RmsProp,
    /// `shared-rmsprop`: one row of mean squares for all threads, the paper's choice.
    SharedRmsProp,
}

impl OptimizerKind {
    /// All three.
    pub const ALL: [OptimizerKind; 3] = [Self::MomentumSgd, Self::RmsProp, Self::SharedRmsProp];

    /// As a configuration and a person call it, and where the paper has it.
    pub const fn entry(self) -> Entry {
        match self {
            Self::MomentumSgd => Entry {
                name: "momentum-sgd",
                what: "stochastic gradient descent, each actor with its own momentum",
                paper: "section 7",
                settings: &["momentum"],
            },
            Self::RmsProp => Entry {
                name: "rmsprop",
                what: "RMSProp, each actor with its own mean squares g",
                paper: "section 7; equation 1",
                settings: &["rms_decay", "rms_eps"],
            },
            Self::SharedRmsProp => Entry {
                name: "shared-rmsprop",
                what: "RMSProp, one row of mean squares g for all actors",
                paper: "section 7; equation 1",
                settings: &["rms_decay", "rms_eps"],
            },
        }
    }

    /// `momentum-sgd`, `rmsprop` or `shared-rmsprop`.
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

/// An optimizer and its coefficients; the learning rate comes with each update, since it is annealed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Which one.
    pub kind: OptimizerKind,
    /// `alpha`: how much of the momentum or of the mean square survives an update.
    pub decay: f32,
    /// `epsilon`, inside the square root; momentum SGD has none and ignores it.
    pub eps: f32,
}

impl OptimizerConfig {
    /// # Errors
    /// A sentence for the user when a coefficient lies outside its range.
    pub fn validate(&self) -> Result<(), String> {
        if !(0.0..1.0).contains(&self.decay) {
            return Err(format!("the optimizer's decay is {}; it must be at least 0 and less than 1", self.decay));
        }
        // With eps = 0 a parameter whose gradient has always been zero would become 0 / 0.
        if self.kind != OptimizerKind::MomentumSgd && !(self.eps.is_finite() && self.eps > 0.0) {
            return Err(format!("the optimizer's eps is {}; it must be a positive number", self.eps));
        }
        Ok(())
    }
}

/// The optimizer that a run's actor-learners share, touching shared memory as this build prefers.
pub type SharedOptimizer = AsyncOptimizer<Native>;

/// The optimizer of a run: its coefficients, and its statistics (momentum `m` or mean squares `g`), `(parameters)` each.
///
/// Every statistic lies in a store, also those that only one actor-learner touches: a checkpoint reads them while it goes on.
#[derive(Debug)]
pub struct AsyncOptimizer<L: Lanes> {
    config: OptimizerConfig,
    /// One for each actor-learner, or one for all of them.
    statistics: Vec<Slab<L>>,
}

impl<L: Lanes> AsyncOptimizer<L> {
    /// An optimizer of `len` parameters for `actors` actor-learners whose statistics are zero.
    ///
    /// # Panics
    /// If the config does not pass [`OptimizerConfig::validate`], or as [`Slab::zeros`].
    pub fn new(config: OptimizerConfig, len: usize, actors: usize) -> Self {
        config.validate().unwrap_or_else(|problem| panic!("{problem}"));
        let rows = if config.kind == OptimizerKind::SharedRmsProp { 1 } else { actors };
        AsyncOptimizer { config, statistics: (0..rows).map(|_| Slab::zeros(len)).collect() }
    }

    /// The statistics and their names: `g` for shared RMSProp, `g.actor<i>` for RMSProp, `m.actor<i>` for momentum SGD.
    pub fn statistics(&self) -> impl Iterator<Item = (String, &Slab<L>)> {
        let kind = self.config.kind;
        self.statistics.iter().enumerate().map(move |(actor, statistic)| {
            let name = match kind {
                OptimizerKind::SharedRmsProp => "g".into(),
                OptimizerKind::RmsProp => format!("g.actor{actor}"),
                OptimizerKind::MomentumSgd => format!("m.actor{actor}"),
            };
            (name, statistic)
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
        let OptimizerConfig { kind, decay: alpha, eps } = self.config;
        let statistic = match kind {
            OptimizerKind::SharedRmsProp => &self.statistics[0],
            OptimizerKind::RmsProp | OptimizerKind::MomentumSgd => &self.statistics[actor],
        };
        match kind {
            OptimizerKind::MomentumSgd => {
                theta.update(isa, statistic, d_theta, MomentumSgd { alpha, eta: lr, scale }, copy)
            }
            OptimizerKind::RmsProp | OptimizerKind::SharedRmsProp => {
                theta.update(isa, statistic, d_theta, RmsProp { alpha, eps, eta: lr, scale }, copy)
            }
        }
    }
}

/// The factor that brings a gradient of global L2 norm `norm` down to `max_norm`: `min(1, max_norm / norm)`.
/// `max_norm = 0` means that gradients are not clipped.
pub fn clip_scale(norm: f64, max_norm: f32) -> f32 {
    let max_norm = f64::from(max_norm);
    if max_norm > 0.0 && norm > max_norm { (max_norm / norm) as f32 } else { 1.0 }
}

#[derive(Clone, Copy)]
struct MomentumSgd {
    alpha: f32,
    eta: f32,
    scale: f32,
}

impl Update for MomentumSgd {
    #[inline(always)]
    fn step<S: Simd>(self, s: S, d_theta: S::V, m: S::V, theta: S::V) -> (S::V, S::V) {
        let (alpha, rest, eta) = (s.splat(self.alpha), s.splat(1.0 - self.alpha), s.splat(self.eta));
        let d_theta = s.mul(s.splat(self.scale), d_theta);
        // m = alpha m + (1 - alpha) d_theta
        let m = s.add(s.mul(alpha, m), s.mul(rest, d_theta));
        // theta <- theta - eta m
        (m, s.sub(theta, s.mul(eta, m)))
    }
}

#[derive(Clone, Copy)]
struct RmsProp {
    alpha: f32,
    eps: f32,
    eta: f32,
    scale: f32,
}

impl Update for RmsProp {
    #[inline(always)]
    fn step<S: Simd>(self, s: S, d_theta: S::V, g: S::V, theta: S::V) -> (S::V, S::V) {
        let (alpha, rest) = (s.splat(self.alpha), s.splat(1.0 - self.alpha));
        let (eta, eps) = (s.splat(self.eta), s.splat(self.eps));
        let d_theta = s.mul(s.splat(self.scale), d_theta);
        // g = alpha g + (1 - alpha) d_theta^2
        let g = s.add(s.mul(alpha, g), s.mul(rest, s.mul(d_theta, d_theta)));
        // theta <- theta - eta d_theta / sqrt(g + eps)
        (g, s.sub(theta, s.div(s.mul(eta, d_theta), s.sqrt(s.add(g, eps)))))
    }

    #[inline(always)]
    fn rest<S: Simd>(self, s: S, g: S::V) -> Option<S::V> {
        Some(s.mul(s.splat(self.alpha), g)) // eta 0 / sqrt(g + eps) moves nothing
    }
}
