//! What each input and output of a generator means, checked against the ONNX file.
//!
//! The recipe's word wins over the file's own `genset.contract` metadata; what neither says is an
//! error that names the key. [`resolve`] fills the recipe in, so that a recipe that says little
//! and one that says the same in full are the same dataset.

use crate::error::{Error, Kind, Result, ResultExt};
use crate::graph::{Dim, Element, Model, ValueInfo};
use crate::recipe::{self, Encoding, GeneratorOutput, ImageLayout, LatentKind, Recipe, Role};

/// Metadata of an ONNX file that holds `[inputs]` and `[output]` tables in the words of a recipe.
pub(super) const METADATA_KEY: &str = "genset.contract";

/// What the images of one block may take before the range is mapped. A model that wants more is
/// broken or hostile, or its block is far too large.
pub const MAX_BLOCK_BYTES: u64 = 4 << 30;

/// Gray, gray and alpha, RGB, RGBA. More is a layout that was mistaken for another.
const MAX_CHANNELS: usize = 4;

/// A generator's inputs and image output, with nothing left open.
#[derive(Debug, Clone, PartialEq)]
pub struct Contract {
    /// In the order of the recipe's (filled-in) inputs, which is the file's.
    pub inputs: Vec<InputContract>,
    /// The name of the image output.
    pub output: String,
    /// Its element type.
    pub element: Element,
    /// The order of its dimensions.
    pub layout: ImageLayout,
    /// Size and coding of an image.
    pub image: ImageFormat,
    /// How many rows a call takes.
    pub batch: BatchSize,
    /// Symbolic names of the batch dimension.
    pub batch_symbols: Vec<String>,
    /// An output of one float a row, which is finite if the row's image is. Only a model with an
    /// epilogue has it, whose bytes do not show that themselves.
    pub sums: Option<String>,
}

/// One input of a generator.
#[derive(Debug, Clone, PartialEq)]
pub struct InputContract {
    /// Its name in the ONNX file.
    pub name: String,
    /// Its element type.
    pub element: Element,
    /// The dimensions of one row, without the batch dimension.
    pub row: Vec<usize>,
    /// Whether it has a batch dimension.
    pub batched: bool,
    /// The column of a block that feeds it.
    pub column: usize,
}

impl InputContract {
    /// Values in one row.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.row.iter().product()
    }
}

/// Size and coding of the images that a generator makes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImageFormat {
    /// Channels: 1 gray, 3 RGB, 4 RGBA.
    pub channels: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Pixels a row.
    pub width: usize,
    /// Whether the channels of a pixel lie together.
    pub interleaved: bool,
    /// The values of black and white.
    pub range: [f64; 2],
}

impl Contract {
    /// The shape of one row of each input.
    #[must_use]
    pub fn input_shapes(&self) -> Vec<Vec<usize>> {
        self.inputs.iter().map(|input| input.row.clone()).collect()
    }
}

impl ImageFormat {
    /// Values in one image.
    #[must_use]
    pub fn len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// `(scale, bias)` such that `x * scale + bias` is the intensity of `x` in units of `1 / top`,
    /// plus `rounding`.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub fn coefficients(&self, top: f64, rounding: f64) -> (f32, f32) {
        let [black, white] = self.range;
        let scale = top / (white - black);
        (scale as f32, (rounding - black * scale) as f32)
    }

    /// `(scale, bias)` such that `floor(x * scale + bias)`, clamped, is the byte that `x` stands
    /// for. Product and sum are rounded one after the other.
    #[must_use]
    pub fn byte_coefficients(&self) -> (f32, f32) {
        self.coefficients(255.0, 0.5)
    }

    /// Whether an image has no pixel.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How many rows one call of a generator takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchSize {
    /// As many as are given.
    Dynamic,
    /// Exactly this many.
    Fixed(usize),
    /// One, without a batch dimension.
    None,
}

impl BatchSize {
    /// Rows that a call takes when `rows` are wanted in all.
    #[must_use]
    pub fn rows_a_call(self, rows: usize) -> usize {
        match self {
            Self::Dynamic => rows,
            Self::Fixed(n) => n,
            Self::None => 1,
        }
    }
}

/// Runs the generator once, with these inputs and this batch, and gives the shape of the named
/// output.
pub type ShapeProbe<'a> =
    dyn FnMut(&Recipe, &[InputContract], BatchSize, &str) -> Result<Vec<usize>> + 'a;

/// Fills in `recipe` from the file's metadata and checks all of it against the file.
///
/// `probe` is asked only if the file leaves the shape of the output open.
///
/// # Errors
/// [`Kind::Recipe`] if an input or a property of the output is not described, does not exist, or
/// does not fit; [`Kind::Limit`] if a block would be absurdly large.
pub fn resolve(recipe: &mut Recipe, model: &Model, probe: &mut ShapeProbe<'_>) -> Result<Contract> {
    complete(recipe, model)?;
    let output = choose_output(model, recipe.generator.output.name.as_deref())?;
    let layout = recipe.generator.output.layout.ok_or_else(|| missing("layout", "NCHW"))?;
    let range = recipe.generator.output.range.ok_or_else(|| missing("range", "[-1, 1]"))?;

    let batch = batch_size(recipe, model, layout)?;
    let mut batch_symbols = Vec::new();
    let roles = recipe.generator.inputs.iter().map(|(_, role)| role);
    let inputs = model
        .inputs()
        .iter()
        .zip(roles)
        .enumerate()
        .map(|(column, (info, role))| {
            Ok(InputContract { column, ..input_contract(info, role, batch, &mut batch_symbols)? })
        })
        .collect::<Result<Vec<_>>>()?;
    check_input_size(recipe, &inputs, batch)?;
    check_resampled(recipe, &inputs, batch)?;
    let shape = match fixed_row(output, layout) {
        Some(row) => row,
        None => {
            let whole = probe(recipe, &inputs, batch, &output.name)?;
            let batched = !matches!(layout, ImageLayout::Chw | ImageLayout::Hwc);
            whole.get(usize::from(batched)..).unwrap_or_default().to_vec()
        }
    };
    let [channels, height, width] = image_shape(&shape, layout, recipe.generator.output.shape)
        .at(|| format!("output `{}`", output.name))?;
    let image = ImageFormat {
        channels,
        height,
        width,
        interleaved: matches!(layout, ImageLayout::Nhwc | ImageLayout::Hwc),
        range,
    };
    let contract = Contract {
        inputs,
        output: output.name.clone(),
        element: output.element,
        layout,
        image,
        batch,
        batch_symbols,
        sums: None,
    };
    check_block_size(recipe, &contract)?;
    Ok(contract)
}

/// Gives every input of the file its role, in the file's order, and fills in the output.
fn complete(recipe: &mut Recipe, model: &Model) -> Result<()> {
    let (declared_inputs, declared_output) = declared(model)?;
    let names: Vec<&str> = model.inputs().iter().map(|info| info.name.as_str()).collect();
    for (name, _) in &recipe.generator.inputs {
        if !names.contains(&name.as_str()) {
            let known = names.join(", ");
            return Err(Error::new(
                Kind::Recipe,
                format!("the model has no input `{name}` (generator.inputs.{name})"),
            )
            .help(format!("it has: {known}")));
        }
    }
    let role = |name: &str| {
        let mut given = recipe.generator.inputs.iter().chain(&declared_inputs);
        let found = given.find(|(other, _)| other == name).cloned();
        found.ok_or_else(|| {
            Error::new(Kind::Recipe, format!("input `{name}` of the model has no role"))
                .at("generator.inputs")
                .help(format!(
                    "add [generator.inputs.{name}] with a role, or let `genset inspect MODEL \
                     -o recipe.toml` write it"
                ))
        })
    };
    recipe.generator.inputs = names.into_iter().map(role).collect::<Result<_>>()?;
    let output = &mut recipe.generator.output;
    let GeneratorOutput { name, layout, range, shape } = declared_output;
    output.name = output.name.take().or(name);
    output.layout = output.layout.or(layout);
    output.range = output.range.or(range);
    output.shape = output.shape.or(shape);
    Ok(())
}

/// What the ONNX file says of itself.
pub(super) fn declared(model: &Model) -> Result<(Vec<(String, Role)>, GeneratorOutput)> {
    match model.metadata(METADATA_KEY) {
        Some(text) => recipe::parse_contract(text, METADATA_KEY).at(|| model.name().to_owned()),
        None => Ok((Vec::new(), GeneratorOutput::default())),
    }
}

/// The output that is the image: the named one, or the only one.
pub(super) fn choose_output<'m>(model: &'m Model, name: Option<&str>) -> Result<&'m ValueInfo> {
    let outputs = model.outputs();
    let names = || outputs.iter().map(|o| o.name.as_str()).collect::<Vec<_>>().join(", ");
    match (name, outputs) {
        (Some(name), _) => outputs.iter().find(|o| o.name == name).ok_or_else(|| {
            Error::new(Kind::Recipe, format!("the model has no output `{name}`"))
                .at("generator.output.name")
                .help(format!("it has: {}", names()))
        }),
        (None, [only]) => Ok(only),
        (None, _) => Err(Error::new(
            Kind::Recipe,
            format!("the model has {} outputs ({})", outputs.len(), names()),
        )
        .help("say which is the image: --set generator.output.name=NAME")),
    }
}

fn missing(key: &str, example: &str) -> Error {
    Error::new(Kind::Recipe, format!("neither recipe nor model say `generator.output.{key}`")).help(
        format!(
            "set it, for example generator.output.{key} = {example}, or let `genset inspect` \
             find it out"
        ),
    )
}

/// The batch dimension as the first latent (or, without one, the first input) has it.
fn batch_size(recipe: &Recipe, model: &Model, layout: ImageLayout) -> Result<BatchSize> {
    if matches!(layout, ImageLayout::Chw | ImageLayout::Hwc) {
        return Ok(BatchSize::None);
    }
    let paired = || model.inputs().iter().zip(&recipe.generator.inputs);
    let leader = paired()
        .find(|(_, (_, role))| matches!(role, Role::Latent(_)))
        .or_else(|| paired().next())
        .map(|(info, _)| info)
        .ok_or_else(|| {
            Error::new(Kind::Model, "the model has no inputs, so all its images are one")
        })?;
    let first = leader.shape.as_ref().and_then(|shape| shape.first());
    match first {
        Some(Dim::Fixed(0)) => Err(Error::new(
            Kind::Model,
            format!("input `{}` takes no rows: its batch dimension is 0", leader.name),
        )
        .help("export the model with a batch of 1 or more, or a dynamic one")),
        Some(Dim::Fixed(n)) => Ok(BatchSize::Fixed(usize::try_from(*n).unwrap_or(usize::MAX))),
        Some(Dim::Symbol(_) | Dim::Unknown) => Ok(BatchSize::Dynamic),
        None => Err(Error::new(
            Kind::Model,
            format!("input `{}` has no batch dimension but the output has one", leader.name),
        )
        .help("set generator.output.layout = \"CHW\" if a call makes one image")),
    }
}

fn input_contract(
    info: &ValueInfo,
    role: &Role,
    batch: BatchSize,
    symbols: &mut Vec<String>,
) -> Result<InputContract> {
    let name = &info.name;
    let shape = info.shape.as_ref().ok_or_else(|| {
        Error::new(Kind::Model, format!("input `{name}` has no shape in the file"))
            .help("export the model with its input shapes")
    })?;
    let batched = match (batch, shape.first(), role) {
        (BatchSize::None, ..) | (_, None, _) => false,
        // A constant may be given once for all rows.
        (_, Some(Dim::Symbol(_) | Dim::Unknown), _) => true,
        (BatchSize::Fixed(n), Some(Dim::Fixed(m)), _) if *m == n as u64 => {
            shape.len() > 1 || matches!(role, Role::Class(_)) || n > 1
        }
        (_, Some(Dim::Fixed(_)), Role::Truncation(_) | Role::Constant(_)) => false,
        (_, Some(Dim::Fixed(m)), _) => {
            return Err(Error::new(
                Kind::Model,
                format!("input `{name}` takes {m} rows, unlike the others"),
            )
            .help("export the model with one batch size for all inputs"));
        }
    };
    if let (true, Some(Dim::Symbol(symbol))) = (batched, shape.first())
        && !symbols.contains(symbol)
    {
        symbols.push(symbol.clone());
    }
    let row = shape[usize::from(batched)..]
        .iter()
        .map(|dim| match dim {
            Dim::Fixed(n) => Ok(usize::try_from(*n).unwrap_or(usize::MAX)),
            open => {
                let help = match batch {
                    BatchSize::None => {
                        "generator.output.layout CHW or HWC is for a model without a batch \
                         dimension: is it NCHW, NHWC or flat?"
                    }
                    _ => "export the model with only the batch dimension dynamic",
                };
                Err(Error::new(Kind::Model, format!("input `{name}` leaves dimension {open} open"))
                    .help(help))
            }
        })
        .collect::<Result<Vec<_>>>()?;
    let integer = matches!(info.element, Element::I32 | Element::I64);
    if integer && matches!(role, Role::Latent(_) | Role::Noise(_)) {
        return Err(Error::new(
            Kind::Recipe,
            format!("input `{name}` takes integers ({}), not a {}", info.element, role.name()),
        )
        .at(format!("generator.inputs.{name}.role")));
    }
    if let (Role::Class(class), true) = (role, integer)
        && class.encoding == Encoding::OneHot
        && row.iter().product::<usize>() == 1
    {
        return Err(Error::new(Kind::Recipe, format!("input `{name}` takes one integer"))
            .at(format!("generator.inputs.{name}.encoding"))
            .help("use encoding = \"index\""));
    }
    Ok(InputContract { name: name.clone(), element: info.element, row, batched, column: 0 })
}

/// The dimensions of one image as the file has them, if it has all of them.
pub(super) fn fixed_row(output: &ValueInfo, layout: ImageLayout) -> Option<Vec<usize>> {
    let batched = !matches!(layout, ImageLayout::Chw | ImageLayout::Hwc);
    let fixed = |dim: &Dim| match dim {
        Dim::Fixed(n) => usize::try_from(*n).ok(),
        _ => None,
    };
    output.shape.as_ref()?.get(usize::from(batched)..)?.iter().map(fixed).collect()
}

/// `[channels, height, width]` of an image whose dimensions are `row`.
fn image_shape(row: &[usize], layout: ImageLayout, flat: Option<[u32; 3]>) -> Result<[usize; 3]> {
    let misfit = || {
        Error::new(
            Kind::Recipe,
            format!("an image of shape {row:?} does not fit layout {}", layout.name()),
        )
        .help("set generator.output.layout to NCHW, NHWC, CHW, HWC or flat")
    };
    let shape = match (layout, row) {
        (ImageLayout::Nchw | ImageLayout::Chw, &[c, h, w]) => [c, h, w],
        (ImageLayout::Nhwc | ImageLayout::Hwc, &[h, w, c]) => [c, h, w],
        (ImageLayout::Flat, &[n]) => {
            let wanted = flat.ok_or_else(|| missing("shape", "[1, 28, 28]"))?;
            let sides = wanted.map(|side| side as usize);
            if sides.iter().product::<usize>() != n {
                return Err(Error::new(
                    Kind::Recipe,
                    format!("`generator.output.shape` {wanted:?} is not {n} values"),
                ));
            }
            sides
        }
        _ => return Err(misfit()),
    };
    if layout != ImageLayout::Flat
        && let Some(wanted) = flat
        && wanted.map(|side| side as usize) != shape
    {
        return Err(Error::new(
            Kind::Recipe,
            format!("`generator.output.shape` is {wanted:?} but the model makes {shape:?}"),
        ));
    }
    if shape.contains(&0) || shape[0] > MAX_CHANNELS {
        let [c, h, w] = shape;
        return Err(Error::new(
            Kind::Recipe,
            format!(
                "{row:?} in layout {} is an image of {c} channels, {h}×{w} pixels",
                layout.name()
            ),
        )
        .help("an image has 1 to 4 channels: check generator.output.layout"));
    }
    Ok(shape)
}

/// Refuses to draw an input anew for each view if a call takes it once for all rows.
fn check_resampled(recipe: &Recipe, inputs: &[InputContract], batch: BatchSize) -> Result<()> {
    if batch == BatchSize::None {
        return Ok(());
    }
    for (number, group) in recipe.views.groups.iter().enumerate() {
        for (ordinal, op) in group.latent.iter().enumerate() {
            let resample = matches!(op.kind, LatentKind::Resample { .. });
            let whole = |input: &&InputContract| !input.batched && op.inputs.contains(&input.name);
            if let (true, Some(input)) = (resample, inputs.iter().find(whole)) {
                let name = &input.name;
                let message = format!("input `{name}` is one for all rows of a call");
                return Err(Error::new(Kind::Recipe, format!("{message}, so views share it"))
                    .at(format!("{}.inputs", recipe.views.latent_key(number, ordinal)))
                    .help("export the model with a batch dimension on this input"));
            }
        }
    }
    Ok(())
}

/// Refuses inputs before anything is drawn for them: a small file can declare a large latent.
fn check_input_size(recipe: &Recipe, inputs: &[InputContract], batch: BatchSize) -> Result<()> {
    let rows = u64::from(recipe.generator.block) * u64::from(recipe.views.rows());
    let call = batch.rows_a_call(usize::try_from(rows).unwrap_or(usize::MAX)) as u64;
    let rows = rows.max(call);
    for input in inputs {
        let elements = input.elements() as u64;
        let bytes = rows.checked_mul(elements).and_then(|values| values.checked_mul(8));
        if bytes.is_none_or(|bytes| bytes > MAX_BLOCK_BYTES) {
            return Err(Error::new(
                Kind::Limit,
                format!(
                    "{elements} values for each of the {rows} rows of a block would take more \
                     than {} GiB",
                    MAX_BLOCK_BYTES >> 30
                ),
            )
            .at(format!("input `{}`", input.name))
            .help("make generator.block smaller"));
        }
    }
    Ok(())
}

/// Refuses a block before anything is allocated for it.
fn check_block_size(recipe: &Recipe, contract: &Contract) -> Result<()> {
    let rows = u64::from(recipe.generator.block) * u64::from(recipe.views.rows());
    let rows = contract.batch.rows_a_call(usize::try_from(rows).unwrap_or(usize::MAX)) as u64;
    let image = &contract.image;
    let bytes = [rows, image.channels as u64, image.height as u64, image.width as u64, 8]
        .into_iter()
        .try_fold(1, u64::checked_mul);
    match bytes {
        Some(bytes) if bytes <= MAX_BLOCK_BYTES => Ok(()),
        _ => Err(Error::new(
            Kind::Limit,
            format!(
                "one generator call of {rows} images of {}×{}×{} would take more than {} GiB",
                image.channels,
                image.height,
                image.width,
                MAX_BLOCK_BYTES >> 30
            ),
        )
        .help("make generator.block smaller")),
    }
}
