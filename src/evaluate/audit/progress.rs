//! How far an audit has come.

/// How far an audit has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The space, from 0.
    pub space: usize,
    /// What is being done.
    pub step: Step,
    /// So many images are done.
    pub done: u64,
    /// Of so many.
    pub total: u64,
}

/// A step of an audit, for each space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Features of the generated images.
    Generated,
    /// Features of the real images.
    Real,
    /// Features of the held-out images.
    HeldOut,
    /// Distances to the real images.
    Distances,
    /// What is measured of variety.
    Variety,
}

/// Who is told how far an audit has come.
pub(super) type Tell<'a> = &'a mut (dyn FnMut(Progress) + Send);
