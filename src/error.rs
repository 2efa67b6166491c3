//! The one error of this library: what failed, where, and what to do about it.
//!
//! An [`Error`] is opaque and cheap to pass around. It has a [`Kind`], a message, the places it
//! passed on its way up (file, sample, tensor), and where possible the next step to take.

use std::fmt;
use std::path::Path;

use serde::ser::SerializeStruct as _;

/// What every fallible function of this library returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of thing failed. Callers branch on it; messages are for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A recipe that cannot be read, or that asks for something impossible.
    Recipe,
    /// An ONNX file that is broken, hostile, or not a generator.
    Model,
    /// ONNX Runtime is missing, too old, built for another machine, or failed.
    Runtime,
    /// An execution provider that was asked for cannot run.
    Provider,
    /// One sample could not be made, or holds a value that no image may have.
    Sample,
    /// Something would need more memory, bytes or draws than its limit allows.
    Limit,
    /// A file or folder could not be read or written.
    Io,
    /// A worker thread panicked.
    Worker,
    /// The caller asked the work to stop (Ctrl-C, or [`crate::load::Stop`]).
    Interrupted,
    /// An argument that makes no sense: a rank outside the world, an empty batch.
    Argument,
    /// A saved state or list of digests belongs to another dataset.
    State,
}

/// An error that says what failed, where, and what to do next.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    message: String,
    /// Innermost first; printed outermost first.
    places: Vec<String>,
    help: Option<String>,
    sample: Option<u64>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A new error of `kind`. The message is a phrase without a full stop that names the thing.
    #[must_use]
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            places: Vec::new(),
            help: None,
            sample: None,
            source: None,
        }))
    }

    /// Adds the next step a reader can take. The innermost advice is kept, as it knows most.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help.get_or_insert_with(|| help.into());
        self
    }

    /// Adds where it happened: a file, a key, a tensor, a stage. A path that the error names already
    /// is not added again.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        let place = place.to_string();
        let is_path = place.contains(std::path::MAIN_SEPARATOR);
        let said = |text: &String| text.contains(&place);
        if !(is_path && (said(&self.0.message) || self.0.places.iter().any(said))) {
            self.0.places.push(place);
        }
        self
    }

    /// Names the sample at fault.
    #[must_use]
    pub fn with_sample(mut self, index: u64) -> Self {
        self.0.sample = Some(index);
        self
    }

    /// Keeps the error that caused this one.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// An input or output error on `path`.
    #[must_use]
    pub fn io(path: &Path, doing: &str, error: std::io::Error) -> Self {
        Self::new(Kind::Io, format!("cannot {doing} {}: {error}", path.display())).because(error)
    }

    /// What sort of thing failed.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The index of the sample at fault, where there is one.
    #[must_use]
    pub fn sample(&self) -> Option<u64> {
        self.0.sample
    }

    /// The next step to take, where one is known.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// Whether the work was asked to stop.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.kind() == Kind::Interrupted
    }

    /// Whether a limit was hit before anything was allocated.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        self.kind() == Kind::Limit
    }

    /// What failed and where, on one line, without the advice.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = String::new();
        for place in self.0.places.iter().rev() {
            text.push_str(place);
            text.push_str(": ");
        }
        text.push_str(&self.0.message);
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())?;
        if let Some(help) = &self.0.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// Adds a place to the error of a result.
pub trait ResultExt<T> {
    /// Adds where it happened; computed only when there is an error.
    fn at<D: fmt::Display>(self, place: impl FnOnce() -> D) -> Result<T>;
}

impl<T> ResultExt<T> for Result<T> {
    fn at<D: fmt::Display>(self, place: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|error| error.at(place()))
    }
}

/// As documents and logs have it: `kind` in lower case, `message` on one line, `help` and `sample`
/// where they are known.
impl serde::Serialize for Error {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut error = serializer.serialize_struct("Error", 4)?;
        error.serialize_field("kind", &format!("{:?}", self.kind()).to_lowercase())?;
        error.serialize_field("message", &self.summary())?;
        error.serialize_field("help", &self.advice())?;
        error.serialize_field("sample", &self.sample())?;
        error.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_named_once() {
        let path = Path::new("a/b.tar");
        let gone = std::io::Error::from(std::io::ErrorKind::NotFound);
        let error = Error::io(path, "read", gone).at(path.display()).to_string();
        assert_eq!(error.matches("a/b.tar").count(), 1, "{error}");
        let error = Error::new(Kind::Sample, "torn").at("a/b.tar: c").at(path.display());
        assert_eq!(error.to_string(), "a/b.tar: c: torn");
        let error = Error::new(Kind::Sample, "torn").at("a/b.tar").at("c/d.tar").to_string();
        assert_eq!(error, "c/d.tar: a/b.tar: torn");
    }

    #[test]
    fn outer_places_come_first_and_the_innermost_help_wins() {
        let error = Error::new(Kind::Recipe, "unknown key `sede`")
            .help("did you mean `seed`?")
            .at("line 3")
            .help("read the manual")
            .at("digits.toml");
        assert_eq!(
            error.to_string(),
            "digits.toml: line 3: unknown key `sede`\n  help: did you mean `seed`?"
        );
        assert_eq!(error.kind(), Kind::Recipe);
    }
}
