//! The encoder as it came: an ONNX model from images to features, checked for training.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Kind, Result, ResultExt};
use crate::graph::compose::{Composer, Imported, Parameter, Tensor};
use crate::graph::{Dim, Element, Model, ValueInfo};

/// An encoder: `f32` images `[N, C, H, W]` in, features out.
#[derive(Debug, Clone)]
pub struct Encoder {
    model: Arc<Model>,
    /// Which of its outputs are the features.
    output: usize,
    channels: usize,
    /// Height and width, where the file fixes them.
    size: [Option<usize>; 2],
    parameters: Vec<Parameter>,
}

impl Encoder {
    /// Reads the encoder at `path`; `output` names its features if it has several outputs.
    ///
    /// # Errors
    /// Those of [`Model::read`], and [`Encoder::of`].
    pub fn read(path: &Path, output: Option<&str>) -> Result<Self> {
        Self::of(Model::read(path)?, output)
    }

    /// Checks that `model` is one.
    ///
    /// # Errors
    /// [`Kind::Model`] if it does not take `f32` images alone, or has nothing to train;
    /// [`Kind::Argument`] if it has no output of that name. All name the model.
    pub fn of(model: Model, output: Option<&str>) -> Result<Self> {
        let name = model.name().to_owned();
        Self::check(model, output).at(|| format!("encoder {name}"))
    }

    fn check(model: Model, output: Option<&str>) -> Result<Self> {
        let [input] = model.inputs() else {
            let message = format!("it has {} inputs, not one", model.inputs().len());
            return Err(Error::new(Kind::Model, message)
                .help("an encoder takes images [N, C, H, W] and nothing else"));
        };
        let (channels, size) = image_of(input)?;
        let output = output.map_or(Ok(0), |name| model.output_place(name))?;
        let model = model.untied()?;
        let parameters = model.trainable();
        if !parameters.iter().any(|parameter| parameter.is_trained()) {
            return Err(Error::new(Kind::Model, "it has no weights that could be trained").help(
                "export it with its weights as f32 initializers, not quantised, cast or folded",
            ));
        }
        Ok(Self { output, channels, size, parameters, model: model.into() })
    }

    /// The model as it came.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Channels of the images that it takes.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Its parameters and statistics.
    pub(super) fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The same encoder with parameters drawn anew from `seed`.
    ///
    /// # Errors
    /// Those of [`Model::initialised`].
    pub(super) fn initialised(&self, seed: u64) -> Result<Self> {
        let model = self.model.initialised(seed)?.model;
        Ok(Self { model: Arc::new(model), ..self.clone() })
    }

    /// What its parameter or statistic `name` is in the file.
    ///
    /// # Errors
    /// [`Kind::Model`] if the file of its weights is gone.
    pub(super) fn values(&self, name: &str) -> Result<Vec<f32>> {
        self.model.initializer(name).ok_or_else(|| {
            Error::new(Kind::Model, format!("the numbers of `{name}` cannot be read"))
                .at(self.model.name())
        })
    }

    /// Numbers that training changes.
    #[must_use]
    pub fn trained(&self) -> usize {
        let trained = self.parameters.iter().filter(|parameter| parameter.is_trained());
        trained.map(|parameter| parameter.dims.iter().product::<usize>()).sum()
    }

    /// Checks that it takes images of `[channels, height, width]`.
    ///
    /// # Errors
    /// [`Kind::Argument`] with what to set.
    pub(super) fn check_images(&self, [channels, height, width]: [usize; 3]) -> Result<()> {
        let fits = |fixed: Option<usize>, size: usize| fixed.is_none_or(|fixed| fixed == size);
        if !(fits(self.size[0], height) && fits(self.size[1], width)) {
            let [h, w] = self.size.map(|size| size.map_or("any".to_owned(), |s| s.to_string()));
            let message = format!("the encoder takes images of {h} x {w}, not {height} x {width}");
            return Err(Error::new(Kind::Argument, message).help(
                "resize in the recipe's views, or export the encoder with dynamic height and width",
            ));
        }
        if self.channels == channels || channels == 1 {
            return Ok(());
        }
        let message =
            format!("the encoder takes {} channels, the images have {channels}", self.channels);
        Err(Error::new(Kind::Argument, message).help("export the encoder for as many channels"))
    }

    /// Its features `[N, D]` of `images` `[N, C, H, W]`. Pixels of features are averaged.
    ///
    /// # Errors
    /// [`Kind::Model`] for operators that are not understood, and features that are no rows.
    pub(super) fn apply(
        &self,
        c: &mut Composer,
        images: &Tensor,
        parameters: &HashMap<String, Tensor>,
    ) -> Result<(Tensor, Imported)> {
        let imported = c.import(&self.model, std::slice::from_ref(images), parameters, true)?;
        let made = imported.outputs[self.output].clone();
        let batch = c.dims(images)[0];
        let dims = c.dims(&made).to_vec();
        let features = match dims[..] {
            [n, _] if n == batch => made,
            [n, d, 1, 1] if n == batch => c.reshape(&made, &[n, d])?,
            [n, _, _, _] if n == batch => c.mean(&made, &[2, 3], false)?,
            _ => {
                let output = &self.model.outputs()[self.output];
                let message = format!("output `{}` is {dims:?} for {batch} images", output.name);
                return Err(Error::new(Kind::Model, message).help(
                    "features are [N, D] or [N, D, H, W]; name another output, or export one",
                ));
            }
        };
        Ok((features, imported))
    }
}

fn image_of(input: &ValueInfo) -> Result<(usize, [Option<usize>; 2])> {
    let misfit = || {
        Error::new(Kind::Model, format!("it takes {input}, not f32 images [N, C, H, W]"))
            .help("export it for float images, with the number of channels fixed")
    };
    if input.element != Element::F32 {
        return Err(misfit());
    }
    let size = |dim: &Dim| match dim {
        Dim::Fixed(size) => usize::try_from(*size).ok(),
        _ => None,
    };
    match input.shape.as_deref() {
        Some([_, channels, height, width]) => {
            Ok((size(channels).ok_or_else(misfit)?, [size(height), size(width)]))
        }
        _ => Err(misfit()),
    }
}
