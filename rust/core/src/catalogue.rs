//! Entries of the lists of methods, networks and optimizers, as a configuration spells them.

use serde::Serialize;

/// One choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Name in a configuration.
    pub name: &'static str,
    /// Description in a few words.
    pub what: &'static str,
    /// Section of the paper that describes it.
    pub paper: &'static str,
    /// Settings that this choice reads and the others of its list may not.
    pub settings: &'static [&'static str],
}
