//! What the edits of a recipe do to attributes of its images, and whether what was taken out can
//! still be read from them.
//!
//! Every sample is made twice: as the recipe makes it, and as it would without `[[edit]]`; everything
//! else is the same, so images are compared one by one. An attribute is *removed* when nothing in the
//! edited images says any more what it would have been. For each attribute, samples are labelled by
//! whether their unedited image lies above the median of its class; probes learn to read that label
//! from edited images, and tell it on others. Where all of them come to chance, 50 %, removal counts.
//! (The label is the sample's, not the edited image's: what is left of an attribute that was nearly
//! removed always has a median of its own, and is told apart however little it is.) How much the
//! edited images still vary is said beside it, and how well their classes are told by probes that
//! learnt from unedited ones.

mod distribution;
mod report;
mod run;

pub use distribution::{BINS, Distribution, QUANTILES};
pub use report::{AttributeOutcome, Classes, Direct, ProbeOutcome, Probed, Report};
pub use run::{AttributeAudit, Encoder, Step, Tell};
