//! A generator ready to run: a session bound to fixed memory.

use crate::error::{Result, ResultExt};
use crate::graph::{Element, Model};
use crate::runtime::{Placement, Runtime, Session, SessionOptions, Tensor, TensorView};
use crate::sample::{BlockInputs, Column};

use super::contract::Contract;

/// Turns the inputs of a block into rows of images. Belongs to one thread at a time.
///
/// Inputs and output stay in the same memory from call to call. A block of more rows than a call
/// takes is made by several calls; the last is filled up by repeating its last row.
///
/// A generator with an epilogue makes bytes, which cannot show that an image was not finite: such
/// a row is shown as floats, all of them NaN, so that whoever delivers it finds out as always.
#[derive(Debug)]
pub struct Generator {
    /// The model's, for errors.
    name: String,
    session: Session,
    contract: Contract,
    inputs: Vec<Tensor>,
    output: Tensor,
    /// Of a generator with an epilogue: finite for each row that is.
    sums: Option<Tensor>,
    rows_a_call: usize,
}

impl Generator {
    /// Loads `model` for blocks of `rows` rows (samples × views).
    ///
    /// # Errors
    /// Those of [`Session::open`], with the model's name.
    pub fn open(
        runtime: &Runtime,
        model: &Model,
        contract: &Contract,
        rows: usize,
        options: &SessionOptions,
    ) -> Result<Self> {
        let name = || model.name().to_owned();
        let rows_a_call = contract.batch.rows_a_call(rows);
        let mut options = options.clone();
        let size = i64::try_from(rows_a_call).unwrap_or(i64::MAX);
        let symbols = contract.batch_symbols.iter();
        options.dimensions.extend(symbols.map(|symbol| (symbol.clone(), size)));
        let model = model.loadable()?;
        let mut session = Session::open(runtime, (&model).into(), &options).at(name)?;

        let mut inputs = Vec::with_capacity(contract.inputs.len());
        for input in &contract.inputs {
            let mut shape = input.row.clone();
            if input.batched {
                shape.insert(0, rows_a_call);
            }
            let tensor =
                Tensor::new(input.element, &shape).at(|| format!("input `{}`", input.name));
            inputs.push(tensor.at(name)?);
        }
        let mut output = session
            .new_output(contract.element, &output_shape(contract, rows_a_call))
            .at(|| format!("output `{}`", contract.output))
            .at(name)?;
        session.bind_output(&contract.output, &mut output).at(name)?;
        let sums = match &contract.sums {
            Some(output) => {
                let mut sums = Tensor::new(Element::F32, &[rows_a_call]).at(name)?;
                session.bind_output(output, &mut sums).at(name)?;
                Some(sums)
            }
            None => None,
        };
        let (name, contract) = (name(), contract.clone());
        Ok(Self { name, session, contract, inputs, output, sums, rows_a_call })
    }

    /// What it is fed and what it makes.
    #[must_use]
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// What runs where; empty unless [`SessionOptions::placements`] was set.
    ///
    /// # Errors
    /// Those of the runtime.
    pub fn placements(&self) -> Result<Vec<Placement>> {
        self.session.placements().at(|| &self.name)
    }

    /// Makes all rows of `block` and shows them to `sink`, call by call: the first row, and the
    /// images of the rows of that call, or of a part of them.
    ///
    /// # Errors
    /// Those of the runtime, and of `sink`.
    pub fn run(
        &mut self,
        block: &BlockInputs,
        sink: &mut dyn FnMut(usize, TensorView<'_>) -> Result<()>,
    ) -> Result<()> {
        let image = self.contract.image.len();
        let mut first = 0;
        while first < block.rows {
            let rows = self.rows_a_call.min(block.rows - first);
            self.feed(block, first, rows)?;
            self.session.run().at(|| &self.name)?;
            let values = self.output.view()?;
            match &self.sums {
                None => sink(first, values.slice(0..rows * image))?,
                Some(sums) => show(first, rows, image, values, sums.view()?, sink)?,
            }
            first += rows;
        }
        Ok(())
    }

    /// Runs once more on whatever inputs are bound, without looking at the output: the ceiling
    /// that a benchmark compares with.
    ///
    /// # Errors
    /// Those of the runtime.
    pub fn run_again(&mut self) -> Result<usize> {
        self.session.run().at(|| &self.name)?;
        Ok(self.rows_a_call)
    }

    fn feed(&mut self, block: &BlockInputs, first: usize, rows: usize) -> Result<()> {
        for (input, tensor) in self.contract.inputs.iter().zip(&mut self.inputs) {
            let column = &block.columns[input.column];
            let elements = input.elements();
            let wanted = if input.batched { self.rows_a_call } else { 1 };
            let given = rows.min(wanted);
            match column {
                Column::Float(values) => {
                    let row = |r: usize| &values[(first + r) * elements..][..elements];
                    tensor.write_floats(0, &values[first * elements..][..given * elements])?;
                    for r in given..wanted {
                        tensor.write_floats(r * elements, row(given - 1))?;
                    }
                }
                Column::Integer(values) => {
                    tensor.write_integers(0, &values[first..][..given])?;
                    for r in given..wanted {
                        tensor.write_integers(r, &values[first + given - 1..][..1])?;
                    }
                }
            }
            self.session.bind_input(&input.name, tensor)?;
        }
        Ok(())
    }
}

/// Shows rows whose sums are finite as they are, and NaN in place of each of the others.
fn show(
    first: usize,
    rows: usize,
    image: usize,
    values: TensorView<'_>,
    sums: TensorView<'_>,
    sink: &mut dyn FnMut(usize, TensorView<'_>) -> Result<()>,
) -> Result<()> {
    let TensorView::F32(sums) = sums else { unreachable!("it was allocated as floats") };
    let finite = |row: &usize| sums[*row].is_finite();
    let mut row = 0;
    while row < rows {
        let good = (row..rows).take_while(finite).count();
        if good > 0 {
            sink(first + row, values.slice(row * image..(row + good) * image))?;
        } else {
            sink(first + row, TensorView::F32(&vec![f32::NAN; image]))?;
        }
        row += good.max(1);
    }
    Ok(())
}

fn output_shape(contract: &Contract, rows: usize) -> Vec<usize> {
    use crate::recipe::ImageLayout::{Chw, Flat, Hwc, Nchw, Nhwc};
    let image = &contract.image;
    let (c, h, w) = (image.channels, image.height, image.width);
    match contract.layout {
        Nchw => vec![rows, c, h, w],
        Nhwc => vec![rows, h, w, c],
        Chw => vec![c, h, w],
        Hwc => vec![h, w, c],
        Flat => vec![rows, c * h * w],
    }
}
