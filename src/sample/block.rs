//! What one generator call is fed.

/// The values of one generator input for all rows of a block.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// `[rows, elements]`, row by row.
    Float(Vec<f32>),
    /// `[rows]`: class labels.
    Integer(Vec<i64>),
}

/// What one generator call is fed: rows are samples × [`Sampler::rows`](super::Sampler::rows), those of a sample together.
#[derive(Debug, Clone, Default)]
pub struct BlockInputs {
    /// Samples × rows of a sample.
    pub rows: usize,
    /// One for each generator input, in the order of the sampler's inputs.
    pub columns: Vec<Column>,
    /// The label of each sample; empty if the generator has no classes.
    pub labels: Vec<i64>,
}
