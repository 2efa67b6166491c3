//! Running a generator that is not yet understood: whatever comes out is looked at.

use super::contract::{BatchSize, InputContract};
use crate::error::{Error, Kind, Result, ResultExt};
use crate::graph::Model;
use crate::recipe::{Recipe, Views};
use crate::runtime::{Runtime, Session, SessionOptions, Tensor};
use crate::sample::{BlockInputs, Column, Sampler};

/// A session without fixed shapes, for finding things out. Slow next to a
/// [`Generator`](super::Generator), and it allocates at every call.
#[derive(Debug)]
pub struct Probe {
    session: Session,
    inputs: Vec<InputContract>,
    batch: BatchSize,
    output: String,
}

/// What one probing run gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Probed {
    /// The shape of the output of the last call, as it came.
    pub shape: Vec<usize>,
    /// One image a row, as floats, in the generator's own layout and range.
    pub rows: Vec<Vec<f32>>,
}

impl Probe {
    /// Loads `model` as it is.
    ///
    /// # Errors
    /// Those of [`Session::open`], with the model's name.
    pub fn open(
        runtime: &Runtime,
        model: &Model,
        inputs: &[InputContract],
        batch: BatchSize,
        output: &str,
        options: &SessionOptions,
    ) -> Result<Self> {
        let loadable = model.loadable()?;
        let session =
            Session::open(runtime, (&loadable).into(), options).at(|| model.name().to_owned())?;
        Ok(Self { session, inputs: inputs.to_vec(), batch, output: output.to_owned() })
    }

    /// Makes all rows of `block`, in as many calls as the batch size asks for.
    ///
    /// # Errors
    /// Those of the runtime; [`Kind::Model`] if the output does not hold the rows that were asked
    /// for.
    pub fn run(&mut self, block: &BlockInputs) -> Result<Probed> {
        let rows_a_call = self.batch.rows_a_call(block.rows);
        let mut probed = Probed { shape: Vec::new(), rows: Vec::with_capacity(block.rows) };
        for first in (0..block.rows).step_by(rows_a_call.max(1)) {
            let tensors = self
                .inputs
                .iter()
                .zip(&block.columns)
                .map(|(input, column)| feed(input, column, first, rows_a_call, block.rows))
                .collect::<Result<Vec<_>>>()?;
            let names = self.inputs.iter().map(|input| input.name.as_str());
            let feed: Vec<_> = names.zip(&tensors).collect();
            let output = self.session.run_once(&feed, &self.output)?;
            let values = output.view()?.to_f32();
            let wanted = rows_a_call.min(block.rows - first);
            if values.is_empty() || values.len() % rows_a_call != 0 {
                return Err(Error::new(
                    Kind::Model,
                    format!(
                        "output `{}` has shape {:?} for {rows_a_call} rows of input",
                        self.output,
                        output.shape()
                    ),
                )
                .help("the output's first dimension must be the batch"));
            }
            let row_len = values.len() / rows_a_call;
            probed.rows.extend(values.chunks(row_len).take(wanted).map(<[f32]>::to_vec));
            probed.shape = output.shape().to_vec();
        }
        Ok(probed)
    }
}

/// The tensor of one input for `rows` rows from `first` on, filled up with the block's last row.
fn feed(
    input: &InputContract,
    column: &Column,
    first: usize,
    rows: usize,
    block_rows: usize,
) -> Result<Tensor> {
    let mut shape = input.row.clone();
    if input.batched {
        shape.insert(0, rows);
    }
    let mut tensor = Tensor::new(input.element, &shape)?;
    let elements = input.elements();
    for row in 0..if input.batched { rows } else { 1 } {
        let from = (first + row).min(block_rows - 1);
        match column {
            Column::Float(values) => {
                tensor.write_floats(row * elements, &values[from * elements..][..elements])?;
            }
            Column::Integer(values) => tensor.write_integers(row, &values[from..=from])?,
        }
    }
    Ok(tensor)
}

/// The shape of the output, found by making one image: for [`resolve`](super::resolve).
///
/// # Errors
/// Those of opening and running the model.
pub fn output_shape(
    runtime: &Runtime,
    model: &Model,
    recipe: &Recipe,
    inputs: &[InputContract],
    batch: BatchSize,
    output: &str,
) -> Result<Vec<usize>> {
    let shapes: Vec<Vec<usize>> = inputs.iter().map(|input| input.row.clone()).collect();
    let mut one_view = recipe.clone();
    one_view.views = Views::default();
    let mut block = BlockInputs::default();
    Sampler::new(&one_view, &shapes)?.fill(0, 1, 0, &mut block);
    let options = SessionOptions::default();
    let mut probe = Probe::open(runtime, model, inputs, batch, output, &options)?;
    Ok(probe.run(&block).at(|| model.name().to_owned())?.shape)
}
