//! What there is to choose from, as a configuration spells it.

use serde::Serialize;

/// One choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// As in a configuration.
    pub name: &'static str,
    /// What it is, in a few words.
    pub what: &'static str,
    /// Where the paper describes it.
    pub paper: &'static str,
}
