//! How a call went.

use genset::Kind;

/// How a call went. Callers branch on it; messages are for people.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is done.
    Ok = 0,
    /// There is no further batch: all were delivered.
    End,
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
    /// A thread of the library panicked, or a call did: a defect.
    Worker,
    /// The work was asked to stop.
    Interrupted,
    /// An argument that makes no sense: NULL, a rank outside the world, an empty batch.
    Argument,
    /// A saved state belongs to another dataset.
    State,
    /// A failure of a kind that this header does not know.
    Other,
}

impl From<Kind> for Status {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Recipe => Self::Recipe,
            Kind::Model => Self::Model,
            Kind::Runtime => Self::Runtime,
            Kind::Provider => Self::Provider,
            Kind::Sample => Self::Sample,
            Kind::Limit => Self::Limit,
            Kind::Io => Self::Io,
            Kind::Worker => Self::Worker,
            Kind::Interrupted => Self::Interrupted,
            Kind::Argument => Self::Argument,
            Kind::State => Self::State,
            _ => Self::Other,
        }
    }
}
