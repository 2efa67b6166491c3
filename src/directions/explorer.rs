//! A generator whose latents can be moved.

use std::ops::Range;

use super::meter::Meter;
use super::pca::Rows;
use crate::error::{Error, Kind, Result, ResultExt};
use crate::generate::{Generator, InputContract, Probe};
use crate::load::{Dataset, Generated, Options, Stop};
use crate::recipe::{Dtype, Layout, Output, Recipe, Role, Samples};
use crate::runtime::SessionOptions;
use crate::sample::{BlockInputs, Column};
use crate::view::Delivery;

/// A recipe's generator, run on anchor latents that are moved along directions.
///
/// Sees the images as the generator makes them, in `[0, 1]`: one view a sample, no latent or pixel
/// operations. Latents are the recipe's own; as they are a pure function of the index, those
/// beyond the dataset's end are there too.
#[derive(Debug)]
pub struct Explorer {
    pub(super) dataset: Dataset,
    generator: Generator,
    delivery: Delivery,
    /// Which of the generator's inputs is moved.
    input: usize,
    options: Options,
}

impl Explorer {
    /// Opens the generator of `recipe`; `input` names the latent input to move, if there are
    /// several. The settings of `options` must have been put over the recipe already.
    ///
    /// # Errors
    /// Those of [`Dataset::from_recipe`]; [`Kind::Argument`] if there is no such latent input.
    pub fn open(recipe: &Recipe, options: &Options, input: Option<&str>) -> Result<Self> {
        Self::open_on(recipe, options, |recipe| choose_input(recipe, input))
    }

    /// As [`Explorer::open`], where nothing is to be moved: any latent input will do.
    ///
    /// # Errors
    /// As [`Explorer::open`], if there is none.
    pub(crate) fn open_to_measure(recipe: &Recipe, options: &Options) -> Result<Self> {
        Self::open_on(recipe, options, |recipe| {
            let inputs = &recipe.generator.inputs;
            let latent = inputs.iter().find(|(_, role)| matches!(role, Role::Latent(_)));
            choose_input(recipe, latent.map(|(name, _)| name.as_str()))
        })
    }

    fn open_on(
        recipe: &Recipe,
        options: &Options,
        choose: impl FnOnce(&Recipe) -> Result<usize>,
    ) -> Result<Self> {
        let output = Output { dtype: Dtype::F32, layout: Layout::Nchw, normalise: None };
        let recipe = Recipe { samples: Samples::Endless, ..recipe.as_generated(output) };
        let dataset = Dataset::from_recipe(recipe, options.clone())?;
        let generated = dataset.generated()?;
        let input = choose(generated.recipe())?;
        Ok(Self {
            generator: generated.generator()?,
            delivery: Delivery::new(generated.contract().image, &generated.recipe().output)?,
            input,
            options: options.clone(),
            dataset,
        })
    }

    /// The recipe that is explored: the given one with one view a sample.
    #[must_use]
    pub fn recipe(&self) -> &Recipe {
        self.generated().recipe()
    }

    pub(super) fn generated(&self) -> &Generated {
        self.dataset.generated().expect("it was opened from a generator's recipe")
    }

    /// The latent input that is moved.
    #[must_use]
    pub fn input(&self) -> &InputContract {
        &self.generated().contract().inputs[self.input]
    }

    /// `[channels, height, width]`.
    pub(super) fn image(&self) -> [usize; 3] {
        let image = &self.generated().contract().image;
        [image.channels, image.height, image.width]
    }

    pub(super) fn session_options(&self) -> SessionOptions {
        let precision = self.recipe().generator.precision;
        let threads = self.options.threads.unwrap_or(1);
        SessionOptions { precision, ..self.options.session(threads) }
    }

    /// The inputs of `samples`, call by call, each with its first sample.
    pub(super) fn calls(
        &self,
        samples: Range<u64>,
    ) -> impl Iterator<Item = (u64, BlockInputs)> + use<> {
        let block = u64::from(self.recipe().generator.block);
        let (dataset, mut next) = (self.dataset.clone(), samples.start);
        std::iter::from_fn(move || {
            if next >= samples.end {
                return None;
            }
            let (first, start) = (next, next / block * block);
            next = samples.end.min(start + block);
            let row = |index: u64| usize::try_from(index - start).unwrap_or(0);
            let inputs = dataset.block_inputs(first);
            Some((first, cut(&inputs, row(first)..row(next))))
        })
    }

    /// The latents in `inputs`, `[rows, elements]`.
    pub(super) fn latents<'b>(&self, inputs: &'b BlockInputs) -> &'b [f32] {
        match &inputs.columns[self.input] {
            Column::Float(values) => values,
            Column::Integer(_) => unreachable!("latents are floats"),
        }
    }

    /// `inputs` with every latent moved by `amount` along `direction`.
    pub(super) fn moved(
        &self,
        inputs: &BlockInputs,
        direction: &[f32],
        amount: f64,
    ) -> BlockInputs {
        let mut inputs = inputs.clone();
        let Column::Float(values) = &mut inputs.columns[self.input] else {
            unreachable!("latents are floats");
        };
        for (i, x) in values.iter_mut().enumerate() {
            #[allow(clippy::cast_possible_truncation)]
            let moved = (f64::from(*x) + amount * f64::from(direction[i % direction.len()])) as f32;
            *x = moved;
        }
        inputs
    }

    /// Images of all rows of `inputs`, `[rows, C, H, W]` in `[0, 1]`.
    ///
    /// # Errors
    /// [`Kind::Sample`] if a pixel is not finite, and those of the runtime.
    pub(super) fn images(&mut self, first: u64, inputs: &BlockInputs) -> Result<Vec<f32>> {
        let len = self.delivery.format().len();
        let mut images = vec![0.0_f32; inputs.rows * len];
        let delivery = &self.delivery;
        self.generator.run(inputs, &mut |row, values| {
            let out = &mut images[row * len..][..values.len()];
            delivery.write(values, bytemuck::cast_slice_mut(out)).map_err(|bad| {
                let sample = first + (row + bad.row) as u64;
                let message = format!("the image of sample {sample} holds {}", bad.value);
                Error::new(Kind::Sample, message)
                    .with_sample(sample)
                    .help("`genset inspect` says what is wrong with the generator")
            })
        })?;
        Ok(images)
    }

    /// The attributes of `samples`, `[samples, attributes]`, with the latents moved by `amount`
    /// along `direction`.
    pub(super) fn measured(
        &mut self,
        samples: Range<u64>,
        moved: Option<(&[f32], f64)>,
        meter: &mut Meter,
        stop: &Stop,
        done: &mut dyn FnMut(u64),
    ) -> Result<Vec<f64>> {
        let mut values = Vec::new();
        for (first, inputs) in self.calls(samples) {
            stop.check()?;
            let inputs = match moved {
                Some((direction, amount)) => self.moved(&inputs, direction, amount),
                None => inputs,
            };
            values.extend(meter.measure(&self.images(first, &inputs)?)?);
            done(inputs.rows as u64);
        }
        Ok(values)
    }

    /// The values of the inner tensor `name` for `samples`, a row each.
    ///
    /// # Errors
    /// [`Kind::Model`] if there is no such tensor or it has no batch, [`Kind::Limit`] if all of
    /// them would not fit [`super::pca::MAX_BYTES`].
    pub(super) fn activations(
        &self,
        name: &str,
        samples: Range<u64>,
        stop: &Stop,
        done: &mut dyn FnMut(u64),
    ) -> Result<Rows> {
        let contract = self.generated().contract();
        let model = self.generated().model().with_output(name)?;
        let (runtime, options) = (self.generated().runtime(), self.session_options());
        let mut probe =
            Probe::open(runtime, &model, &contract.inputs, contract.batch, name, &options)?;
        let place = || format!("activation `{name}`");
        let count = samples.end - samples.start;
        let mut rows = Rows { width: 0, values: Vec::new() };
        for (_, inputs) in self.calls(samples) {
            stop.check()?;
            for row in probe.run(&inputs).at(place)?.rows {
                if rows.values.is_empty() {
                    rows.width = row.len();
                    let bytes = (rows.width as u64).saturating_mul(4).saturating_mul(count);
                    if bytes > super::pca::MAX_BYTES {
                        let message = format!(
                            "{count} samples of {} values are more than {} MiB",
                            rows.width,
                            super::pca::MAX_BYTES >> 20
                        );
                        return Err(Error::new(Kind::Limit, message)
                            .help("use fewer samples, or an earlier and smaller activation")
                            .at(place()));
                    }
                }
                rows.values.extend(row);
            }
            done(inputs.rows as u64);
        }
        Ok(rows)
    }
}

/// Some rows of a block with one view a sample.
fn cut(inputs: &BlockInputs, rows: Range<usize>) -> BlockInputs {
    let column = |column: &Column| match column {
        Column::Float(values) => {
            let elements = values.len() / inputs.rows.max(1);
            Column::Float(values[rows.start * elements..rows.end * elements].to_vec())
        }
        Column::Integer(values) => Column::Integer(values[rows.clone()].to_vec()),
    };
    let mut part = inputs.clone();
    part.rows = rows.len();
    part.columns = inputs.columns.iter().map(column).collect();
    part.labels = inputs.labels.get(rows.clone()).unwrap_or_default().to_vec();
    part
}

fn choose_input(recipe: &Recipe, wanted: Option<&str>) -> Result<usize> {
    let inputs = recipe.generator.inputs.iter().enumerate();
    let latents: Vec<(usize, &str)> = inputs
        .filter(|(_, (_, role))| matches!(role, Role::Latent(_)))
        .map(|(at, (name, _))| (at, name.as_str()))
        .collect();
    let names = || latents.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", ");
    match (wanted, &latents[..]) {
        (_, []) => Err(Error::new(Kind::Argument, "the generator has no latent input")
            .help("a direction needs one: give an input role = \"latent\" in the recipe")),
        (Some(name), _) => latents.iter().find(|latent| latent.1 == name).map_or_else(
            || {
                let message = format!("the generator has no latent input `{name}`");
                Err(Error::new(Kind::Argument, message).help(format!("it has: {}", names())))
            },
            |latent| Ok(latent.0),
        ),
        (None, [only]) => Ok(only.0),
        (None, _) => {
            let message = format!("the generator has {} latent inputs", latents.len());
            Err(Error::new(Kind::Argument, message)
                .help(format!("say which with --input: {}", names())))
        }
    }
}
