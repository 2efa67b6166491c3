//! All that a stream is compared with: what is named, and what is written of the stream for it.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use tempfile::TempDir;

use super::exports::Exports;
use super::report::Comparison;
use super::rival::Rival;
use super::{compare, plot};
use crate::bench::measure::Settings;
use crate::error::{Error, Kind, Result};
use crate::load::{Dataset, LoaderBuilder, Options, Stop};
use crate::whole_file::WholeFile;

/// What a stream is to be compared with.
#[derive(Debug, Clone, Default)]
pub struct Against {
    /// Whatever [`Rival::open`] opens.
    pub paths: Vec<PathBuf>,
    /// The stream's own first samples, in several formats.
    pub exports: Option<OwnSamples>,
    /// A file to draw the comparison to, as SVG.
    pub plot: Option<PathBuf>,
}

/// What of a stream is written to be read back.
#[derive(Debug, Clone, Default)]
pub struct OwnSamples {
    /// Where to, to be kept and used again; without one, to a temporary folder.
    pub folder: Option<PathBuf>,
    /// How many; without a number, [`Exports::usual`].
    pub samples: Option<u64>,
}

/// How far a comparison is.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// The stream's samples are written.
    Write {
        /// In which format.
        name: &'a str,
        /// So many samples are written.
        done: u64,
        /// Of so many.
        of: u64,
    },
    /// Contenders have their turns.
    Measure {
        /// So many turns are over.
        done: u64,
        /// Of so many.
        of: u64,
    },
}

impl Against {
    /// Opens what is named, and finds out what cannot be, before anything is measured; `None` if
    /// there is nothing to compare with. `options` say what generators among the rivals run on.
    ///
    /// # Errors
    /// As [`Rival::open`]; [`Kind::Argument`] if a stored dataset is to be exported;
    /// [`Kind::Io`] if the folder or the plot cannot be written.
    pub fn open(&self, dataset: &Dataset, options: &Options) -> Result<Option<LineUp>> {
        if self.paths.is_empty() && self.exports.is_none() {
            return Ok(None);
        }
        if let Some(OwnSamples { folder, .. }) = &self.exports {
            dataset.generated()?;
            if let Some(folder) = folder {
                fs::create_dir_all(folder).map_err(|error| Error::io(folder, "make", error))?;
            }
        }
        let image = dataset.forms()[0].form.planes();
        // Settings are for the stream's recipe.
        let options = || Options { settings: Vec::new(), ..options.clone() };
        let rivals = self.paths.iter().map(|path| Rival::open(path, image, options()));
        Ok(Some(LineUp {
            rivals: rivals.collect::<Result<_>>()?,
            exports: self.exports.clone(),
            plot: self.plot.as_deref().map(WholeFile::create).transpose()?,
        }))
    }
}

/// What a stream is compared with, ready to start.
#[derive(Debug)]
pub struct LineUp {
    rivals: Vec<Rival>,
    exports: Option<OwnSamples>,
    plot: Option<WholeFile>,
}

impl LineUp {
    /// Writes what is to be written, measures all as [`compare`] does, and draws it.
    /// `images_per_second` is how fast the stream is, about.
    ///
    /// # Errors
    /// As [`Exports::write`] and [`compare`].
    pub fn compare(
        mut self,
        dataset: &Dataset,
        images_per_second: f64,
        set_up: &dyn Fn(LoaderBuilder) -> LoaderBuilder,
        settings: &Settings,
        stop: &Stop,
        progress: &mut dyn FnMut(Step<'_>),
    ) -> Result<Comparison> {
        let mut absent = Vec::new();
        // Gone when it is dropped, also after an error or Ctrl-C.
        let mut temporary = None;
        if let Some(OwnSamples { folder, samples }) = &self.exports {
            let folder = match folder {
                Some(folder) => folder.as_path(),
                None => temporary.insert(new_folder()?).path(),
            };
            let samples =
                samples.unwrap_or_else(|| Exports::usual(dataset, folder, images_per_second));
            let exports = Exports { folder: folder.to_path_buf(), samples, stop: stop.clone() };
            let (exported, missing) = exports.write(dataset, set_up, &mut |name, now| {
                progress(Step::Write { name, done: now.samples, of: samples });
            })?;
            // What was named stands below what was made of the stream.
            self.rivals.splice(0..0, exported);
            absent = missing;
        }
        let compared = compare(dataset, &self.rivals, set_up, settings, stop, &mut |done, of| {
            progress(Step::Measure { done: done as u64, of: of as u64 });
        })?;
        let comparison = Comparison { absent, ..compared };
        if let Some(mut file) = self.plot {
            let written = file.file().write_all(plot(&comparison).as_bytes());
            written.map_err(|error| {
                Error::new(Kind::Io, format!("cannot write the plot: {error}")).because(error)
            })?;
            file.finish()?;
        }
        Ok(comparison)
    }
}

fn new_folder() -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("genset-bench-").tempdir();
    folder.map_err(|error| {
        Error::io(&std::env::temp_dir(), "write to", error).help("name another one: --folder DIR")
    })
}
