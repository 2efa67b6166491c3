//! Throughput against its ceiling, measured in one run.
//!
//! The *ceiling* is what the bare generator sessions make in a tight loop: same model, provider,
//! threads, block and number of sessions, nothing drawn, converted or handed over. Rounds of
//! ceiling and loader alternate, because machines drift; what is reported is medians.
//!
//! [`compare`] measures the same stream against stored datasets in the same way: its own samples, as
//! [`Exports`] writes them in several formats, and whatever else one has; [`Against`] says with what.

mod against;
mod ceiling;
mod measure;
mod report;
mod rewrites;
mod tune;

pub use against::{
    Absent, Against, BreakEven, Comparison, Contender, Costs, Exports, LineUp, Measured, Origin,
    OwnSamples, Rival, Speed, Step, compare, plot,
};
pub use measure::{Settings, run};
pub use report::{Occupancies, Occupancy, Report, Shares, StageTimes, WaitMs, peak_rss_bytes};
pub use rewrites::{RewriteReport, TriedRewrite, measure_rewrites};
pub use tune::{Trial, Tuning, tune};
