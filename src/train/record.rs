//! What a run says of itself, step by step: `metrics.jsonl`, one JSON object a line.
//!
//! Lines are appended as they come. A run that goes on takes away those of steps that it makes
//! again, and a line that was cut short.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The file's name in the folder of the run.
pub(super) const FILE: &str = "metrics.jsonl";

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Steps that are done.
    pub step: u64,
    /// The mean loss since the line before.
    pub loss: f64,
    /// The mean norm of all gradients together, before clipping.
    pub gradient_norm: f64,
    /// 1 if embeddings are spread over the sphere, 0 if they collapsed.
    pub spread: f64,
    /// At this step.
    pub learning_rate: f64,
    /// Images that were learnt from, all views, a second since the line before.
    pub images_per_second: f64,
    /// The share of the time since then that was spent waiting for data.
    pub data_wait: f64,
    /// What a probe of the features said, 0 to 1, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<f64>,
}

/// The file, open for more lines.
#[derive(Debug)]
pub(super) struct Record {
    path: PathBuf,
    file: File,
    lines: Vec<Line>,
}

impl Record {
    /// The record of the run in `folder`, up to `step`.
    ///
    /// # Errors
    /// [`crate::Kind::Io`] naming the file.
    pub fn open(folder: &Path, step: u64) -> Result<Self> {
        let path = folder.join(FILE);
        let io = |error| Error::io(&path, "write", error);
        let lines: Vec<Line> = read(&path)?.into_iter().filter(|line| line.step <= step).collect();
        let mut text = String::new();
        for line in &lines {
            text += &serde_json::to_string(line).map_err(|error| io(error.into()))?;
            text.push('\n');
        }
        crate::whole_file::write_whole(&path, text.as_bytes())?;
        let file = File::options().append(true).open(&path).map_err(io)?;
        Ok(Self { path, file, lines })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// [`crate::Kind::Io`] naming the file.
    pub fn push(&mut self, line: Line) -> Result<()> {
        let io = |error| Error::io(&self.path, "write", error);
        let mut text = serde_json::to_string(&line).map_err(|error| io(error.into()))?;
        text.push('\n');
        self.file.write_all(text.as_bytes()).map_err(io)?;
        self.lines.push(line);
        Ok(())
    }

    /// All lines so far.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }
}

/// The whole lines of a record; none if there is no file.
///
/// # Errors
/// [`crate::Kind::Io`] naming the file.
pub(super) fn read(path: &Path) -> Result<Vec<Line>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::io(path, "read", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(step: u64) -> Line {
        Line {
            step,
            loss: 1.5,
            gradient_norm: 2.0,
            spread: 0.5,
            learning_rate: 0.1,
            images_per_second: 100.0,
            data_wait: 0.01,
            probe: (step == 20).then_some(0.9),
        }
    }

    #[test]
    fn a_run_that_goes_on_takes_away_what_it_makes_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut record = Record::open(folder.path(), 0).unwrap();
        for step in [10, 20, 30] {
            record.push(line(step)).unwrap();
        }
        drop(record);
        let path = folder.path().join(FILE);
        let cut = fs::read_to_string(&path).unwrap() + "{\"step\": 40, \"lo";
        fs::write(&path, cut).unwrap();
        let mut record = Record::open(folder.path(), 20).unwrap();
        assert_eq!(record.lines(), [line(10), line(20)]);
        record.push(line(30)).unwrap();
        assert_eq!(read(&path).unwrap(), [line(10), line(20), line(30)]);
    }
}
