//! A model that takes images, ready to run: a scorer, an encoder.

use super::{Runtime, Session, SessionOptions, Tensor};
use crate::error::{Error, Kind, Result};
use crate::graph::{Dim, Element, Model};

/// A session of a model whose only input is images, `[N, C, H, W]` floats.
#[derive(Debug)]
pub struct ImageModel {
    session: Session,
    input: String,
    element: Element,
    /// `[channels, height, width]`.
    image: [usize; 3],
    /// Images a call takes, if the file fixes it.
    batch: Option<usize>,
}

impl ImageModel {
    /// Opens `model` for images of `[channels, height, width]`.
    ///
    /// # Errors
    /// [`Kind::Model`] if it takes anything else, with what it takes; those of [`Session::open`].
    pub fn open(
        model: &Model,
        image: [usize; 3],
        runtime: &Runtime,
        options: &SessionOptions,
    ) -> Result<Self> {
        let [c, h, w] = image;
        let [input] = model.inputs() else {
            let message = format!("it has {} inputs, not one", model.inputs().len());
            return Err(Error::new(Kind::Model, message));
        };
        let misfit = || {
            let message = format!("it takes {input}, and images are f32 [N, {c}, {h}, {w}]");
            Error::new(Kind::Model, message)
        };
        let floats =
            matches!(input.element, Element::F32 | Element::F16 | Element::Bf16 | Element::F64);
        let shape = input.shape.as_deref().unwrap_or_default();
        let [batch, rest @ ..] = shape else { return Err(misfit()) };
        let fits = |(dim, size): (&Dim, usize)| match dim {
            Dim::Fixed(n) => *n == size as u64,
            _ => true,
        };
        if !floats || rest.len() != 3 || !rest.iter().zip(image).all(fits) {
            return Err(misfit());
        }
        let batch = match batch {
            Dim::Fixed(0) => return Err(misfit()),
            Dim::Fixed(n) => Some(usize::try_from(*n).unwrap_or(usize::MAX)),
            _ => None,
        };
        let loadable = model.loadable()?;
        Ok(Self {
            session: Session::open(runtime, (&loadable).into(), options)?,
            input: input.name.clone(),
            element: input.element,
            image,
            batch,
        })
    }

    /// Images that a call takes, if the file fixes it.
    #[must_use]
    pub fn batch(&self) -> Option<usize> {
        self.batch
    }

    /// The output named `output` for `count` images, whatever its shape.
    ///
    /// # Errors
    /// [`Kind::Model`] with the runtime's reason.
    ///
    /// # Panics
    /// If `images` are not `count` images.
    pub fn run(&mut self, images: &[f32], count: usize, output: &str) -> Result<Tensor> {
        let [c, h, w] = self.image;
        assert_eq!(images.len(), count * c * h * w, "{count} images");
        let mut tensor = Tensor::new(self.element, &[count, c, h, w])?;
        tensor.write_floats(0, images)?;
        self.session.run_once(&[(&self.input, &tensor)], output)
    }
}
