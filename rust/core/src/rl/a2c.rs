//! Advantage actor-critic, the synchronous twin of A3C: one update from the rollouts of all actors, who wait for it.
//!
//! The loss of a step is A3C's ([`super::a3c`], [`super::gaussian`]), averaged over the steps of the update. Updates come one
//! after the other, so that a run can be repeated.

use super::method::{Experience, Row};
use super::{a3c, gaussian};
use crate::catalogue::Entry;

/// A2C's row.
pub const ROW: Row = Row {
    entry: Entry {
        name: "a2c",
        what: "advantage actor-critic, the synchronous twin of a3c: one update of all actors' rollouts",
        paper: "not in the paper; Wu et al. 2017, section 2",
        settings: a3c::ROW.entry.settings,
    },
    has_policy: true,
    reads_target: false,
    experience: Experience::All,
    clips: false,
    discrete: a3c::FORM,
    continuous: Some(gaussian::FORM),
};
