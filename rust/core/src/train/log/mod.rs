//! Logs: what actors sum up and report, and the rows and files that become of it.

pub mod record;
pub mod stats;
pub mod summary;

pub use record::{
    EpisodeReport, EpisodeRow, IncidentReport, IncidentRow, JsonLines, ProgressReport, ProgressRow, Report,
    ReturnWindow,
};
pub use stats::{ActorStats, Meter, Reading, Stat, Totals};
pub use summary::Summary;
