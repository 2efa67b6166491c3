//! `--log`: what the library tells `tracing`, on stderr.

use std::io;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::{self, format::FmtSpan};
use tracing_subscriber::prelude::*;

use crate::error::{Error, Kind, Result};

/// A level, or levels by part of the library: `info`, `genset::load=debug,warn`.
pub(super) fn filter(text: &str) -> Result<Targets, String> {
    if text.is_empty() {
        return Ok(Targets::new());
    }
    // A single word would be taken for a target of which everything is wanted.
    let clear = |part: &str| {
        let (target, level) = part.rsplit_once('=').unwrap_or(("genset", part));
        !target.is_empty() && !level.is_empty() && level.parse::<LevelFilter>().is_ok()
    };
    text.parse().ok().filter(|_| text.split(',').all(clear)).ok_or_else(|| {
        "must be off, error, warn, info, debug or trace, or one for each target: \
         genset::load::worker=debug,info"
            .into()
    })
}

/// Writes what `filter` lets through from here on; spans when they end, with their time. Nobody
/// may be listening, which is no reason to say more.
pub(super) fn start(filter: Targets) -> Result<()> {
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(false)
        .log_internal_errors(false)
        .with_span_events(FmtSpan::CLOSE);
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .map_err(|e| Error::new(Kind::Argument, format!("--log: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_levels_and_targets_have_one() {
        for text in ["info", "OFF", "genset::load=debug", "genset=trace,warn", ""] {
            assert!(filter(text).is_ok(), "{text}");
        }
        for text in ["loud", "genset", "info,genset", "genset=loud", "="] {
            assert!(filter(text).is_err(), "{text}");
        }
    }
}
