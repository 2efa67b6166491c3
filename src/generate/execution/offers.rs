//! Which edits fit a dataset's generator, and the model that comes of those that are taken.

use std::collections::HashMap;
use std::sync::Arc;

use super::edit::{Change, Edit};
use crate::error::{Error, Kind, Result};
use crate::generate::contract::{BatchSize, Contract, InputContract};
use crate::graph::{Element, Epilogue, InputValues, Model, Transposed};
use crate::recipe::{Balance, Dtype, ImageLayout, Layout, Recipe, Role};
use crate::sample::{BlockInputs, Column};

/// The edits that fit a generator as a recipe uses it.
#[derive(Debug)]
pub struct Offers {
    /// The model's name.
    model: String,
    /// The model without outputs that nobody wants, if it has any.
    lean: Option<Arc<Model>>,
    edits: Vec<Edit>,
    /// Those of the edits that only fit beside all fixed inputs.
    late: Vec<Edit>,
    /// By node: the transposed convolutions that can be written as phases.
    transposed: HashMap<String, Transposed>,
    /// By place in the contract: the values of inputs that never change, for a whole call.
    fixed: Vec<Option<Column>>,
    epilogue: Option<Epilogue>,
}

/// A generator ready to be opened: with edits carried out, or as it was exported.
#[derive(Debug)]
pub struct Execution {
    /// `None` if it is the exported one.
    model: Option<Arc<Model>>,
    /// What it is fed and what it makes.
    pub contract: Contract,
    /// What was done to it.
    pub edits: Vec<Edit>,
}

impl Execution {
    /// What sessions load; `exported` is the model that the offers were made for.
    #[must_use]
    pub fn model<'m>(&'m self, exported: &'m Model) -> &'m Model {
        self.model.as_deref().unwrap_or(exported)
    }
}

impl Offers {
    /// What fits `model`. `rows` is how many rows a block has, `block` any block of the dataset.
    ///
    /// # Errors
    /// Those of editing the model.
    pub fn of(
        model: &Model,
        contract: &Contract,
        recipe: &Recipe,
        rows: usize,
        block: &BlockInputs,
    ) -> Result<Self> {
        let rows_a_call = contract.batch.rows_a_call(rows);
        let mut offers = Self {
            model: model.name().to_owned(),
            lean: None,
            edits: Vec::new(),
            late: Vec::new(),
            transposed: HashMap::new(),
            fixed: vec![None; contract.inputs.len()],
            epilogue: None,
        };
        // Only a model in one file can be edited.
        if !model.external_files().is_empty() {
            return Ok(offers);
        }
        if model.outputs().len() > 1 {
            offers.lean = Some(Arc::new(model.only_outputs(&[&contract.output])?));
        }
        let lean = offers.lean.clone();
        let model = lean.as_deref().unwrap_or(model);
        offers.edits = model.offers().into_iter().map(Edit::from).collect();
        offers.transposed = model.transposed();
        for (place, input) in contract.inputs.iter().enumerate() {
            let role = &recipe.generator.inputs[input.column].1;
            if never_changes(role) {
                offers.fixed[place] =
                    Some(repeated(input, &block.columns[input.column], rows_a_call));
                let node = input.name.clone();
                offers.edits.push(Edit { rewrite: Change::FixedInputs, node });
            }
        }
        // A model without any input would be refused where it is opened.
        if offers.fixed.iter().all(Option::is_some) {
            offers.fixed.fill(None);
            offers.edits.retain(|edit| edit.rewrite != Change::FixedInputs);
        }
        if offers.fixed.iter().any(Option::is_some) {
            let fixed = offers.with_fixed(model, contract, |_| true)?;
            let new = fixed.iter().flat_map(|model| model.offers()).map(Edit::from);
            offers.late = new.filter(|edit| !offers.edits.contains(edit)).collect();
            offers.edits.extend(offers.late.iter().cloned());
        }
        offers.epilogue = epilogue(model, contract, recipe);
        if let Some(epilogue) = &offers.epilogue {
            let node = epilogue.output.clone();
            offers.edits.push(Edit { rewrite: Change::Epilogue, node });
        }
        Ok(offers)
    }

    /// All of them: rewrites of nodes in the order of the nodes, then the others. Some exclude each
    /// other.
    #[must_use]
    pub fn edits(&self) -> &[Edit] {
        &self.edits
    }

    /// What has to be taken beside `edit`: some only fit where inputs are constants.
    pub fn needs(&self, edit: &Edit) -> impl Iterator<Item = &Edit> {
        let late = self.late.contains(edit);
        self.edits.iter().filter(move |other| late && other.rewrite == Change::FixedInputs)
    }

    /// What a node is, if it is a transposed convolution that can be written as phases.
    pub(super) fn transposed(&self, node: &str) -> Option<&Transposed> {
        self.transposed.get(node)
    }

    pub(super) fn model(&self) -> &str {
        &self.model
    }

    /// `model` with `edits` carried out, and without outputs that nobody wants. With no edits and
    /// one output it is the exported one.
    ///
    /// # Errors
    /// [`Kind::Argument`] if one is not offered, or excludes another.
    pub fn carry_out(
        &self,
        model: &Model,
        contract: &Contract,
        edits: &[Edit],
    ) -> Result<Execution> {
        for (number, edit) in edits.iter().enumerate() {
            let refuse = |why: String| {
                Err(Error::new(Kind::Argument, format!("`{edit}` {why}")).at(&self.model))
            };
            if !self.edits.contains(edit) {
                return refuse("does not fit the model".into());
            }
            if let Some(other) = edits[..number].iter().find(|other| other.excludes(edit)) {
                return refuse(format!("cannot be done beside `{other}`"));
            }
        }
        let mut contract = contract.clone();
        let mut edited = self.lean.clone();
        let taken = |rewrite, node: &str| {
            edits.iter().any(|edit| edit.rewrite == rewrite && edit.node == node)
        };
        let base = edited.as_deref().unwrap_or(model);
        let fixed = self.with_fixed(base, &contract, |name| taken(Change::FixedInputs, name))?;
        edited = fixed.map(Arc::new).or(edited);
        contract.inputs.retain(|input| !taken(Change::FixedInputs, &input.name));
        let offers: Vec<_> = edits.iter().filter_map(Edit::offer).collect();
        if !offers.is_empty() {
            edited = Some(Arc::new(edited.as_deref().unwrap_or(model).rewritten(&offers)?));
        }
        if let Some(epilogue) = &self.epilogue
            && taken(Change::Epilogue, &epilogue.output)
        {
            let (model, delivered) = edited.as_deref().unwrap_or(model).with_epilogue(epilogue)?;
            edited = Some(Arc::new(model));
            contract.output = delivered.bytes;
            contract.sums = Some(delivered.sums);
            contract.element = Element::U8;
            contract.layout = match epilogue.interleave {
                true => ImageLayout::Nhwc,
                false => ImageLayout::Nchw,
            };
            contract.image.interleaved = epilogue.interleave;
            contract.image.range = [0.0, 255.0];
        }
        Ok(Execution { model: edited, contract, edits: edits.to_vec() })
    }

    /// `model` with the inputs that are `wanted` and never change as constants; `None` if none is.
    fn with_fixed(
        &self,
        model: &Model,
        contract: &Contract,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Option<Model>> {
        let mut fixed = None;
        for (input, values) in contract.inputs.iter().zip(&self.fixed) {
            if let (Some(values), true) = (values, wanted(&input.name)) {
                fixed = Some(fix(fixed.as_ref().unwrap_or(model), input, values)?);
            }
        }
        Ok(fixed)
    }
}

/// Whether an input has the same value in every sample.
fn never_changes(role: &Role) -> bool {
    match role {
        Role::Constant(_) | Role::Truncation(_) => true,
        Role::Class(class) => matches!(&class.balance, Balance::Only(only) if only.len() == 1),
        Role::Latent(_) | Role::Noise(_) => false,
    }
}

/// The first row of a column, for all rows of a call.
fn repeated(input: &InputContract, column: &Column, rows_a_call: usize) -> Column {
    let rows = if input.batched { rows_a_call } else { 1 };
    match column {
        Column::Float(values) => Column::Float(values[..input.elements()].repeat(rows)),
        Column::Integer(values) => Column::Integer(values[..1].repeat(rows)),
    }
}

/// `model` with `values` in place of `input`.
fn fix(model: &Model, input: &InputContract, values: &Column) -> Result<Model> {
    let elements = match values {
        Column::Float(values) => values.len(),
        Column::Integer(values) => values.len(),
    };
    let mut dims = input.row.clone();
    if input.batched {
        dims.insert(0, elements / input.elements().max(1));
    }
    let values = match values {
        Column::Float(values) => InputValues::Floats(values),
        Column::Integer(values) => InputValues::Ints(values),
    };
    model.with_constant_input(&input.name, &dims, values)
}

/// The epilogue that delivers what `recipe` asks for, if the graph can.
fn epilogue(model: &Model, contract: &Contract, recipe: &Recipe) -> Option<Epilogue> {
    let plain = recipe.views.groups.iter().all(|group| group.pixel.is_empty());
    let output = &recipe.output;
    let bytes = output.dtype == Dtype::U8 && output.normalise.is_none();
    let floats = matches!(contract.element, Element::F32 | Element::F16 | Element::Bf16);
    if !(plain && bytes && floats && contract.batch != BatchSize::None && model.can_deliver()) {
        return None;
    }
    let image = &contract.image;
    let (scale, bias) = image.byte_coefficients();
    Some(Epilogue {
        output: contract.output.clone(),
        image: [image.channels, image.height, image.width],
        interleaved: image.interleaved,
        interleave: output.layout == Layout::Nhwc,
        scale,
        bias,
    })
}
