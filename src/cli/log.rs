//! `--log`: what the library tells `tracing`, on stderr.

use std::io;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, format::FmtSpan};
use tracing_subscriber::prelude::*;

use crate::error::{Error, Kind, Result};

/// A level, or levels by part of the library: `info`, `genset::load=debug,warn`.
pub(super) fn filter(text: &str) -> Result<Targets, String> {
    text.parse().map_err(|_| {
        "must be off, error, warn, info, debug or trace, or one for each target: \
         genset::load::worker=debug,info"
            .into()
    })
}

/// Writes what `filter` lets through from here on; spans when they end, with their time.
pub(super) fn start(filter: Targets) -> Result<()> {
    let lines = fmt::layer().with_writer(io::stderr).with_span_events(FmtSpan::CLOSE);
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .map_err(|e| Error::new(Kind::Argument, format!("--log: {e}")))
}
