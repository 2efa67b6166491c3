//! A recipe for an ONNX file that has none.
//!
//! What the file says (metadata, names, shapes, its last activation) becomes a recipe, with the
//! reason beside each value. What it does not say is a [`Question`] that names the setting to
//! give; nothing is guessed in silence.

use super::contract::{choose_output, declared};
use crate::error::Result;
use crate::graph::{Dim, Element, Model, ValueInfo};
use crate::recipe::{
    Balance, Class, Distribution, Encoding, ImageLayout, MAX_CLASSES, Notes, Recipe, Role,
};

/// Something the file does not say and only its author knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What is not known.
    pub what: String,
    /// The setting that answers it, as `--set` takes it.
    pub setting: String,
}

/// A proposed recipe, the reasons for it, and what is still open.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// The given recipe with everything filled in that could be found out.
    pub recipe: Recipe,
    /// Why, by key.
    pub notes: Notes,
    /// What has to be answered before the recipe runs.
    pub questions: Vec<Question>,
}

/// Fills in what `recipe` leaves open from what `model` says.
///
/// # Errors
/// [`crate::Kind::Recipe`] if the file's own metadata is not valid.
pub fn propose(mut recipe: Recipe, model: &Model) -> Result<Proposal> {
    let mut notes = Notes::new();
    let mut questions = Vec::new();
    let (declared_inputs, declared_output) = declared(model)?;

    let given = std::mem::take(&mut recipe.generator.inputs);
    for info in model.inputs() {
        let key = format!("generator.inputs.{}", info.name);
        let find = |roles: &[(String, Role)]| {
            roles.iter().find(|(name, _)| *name == info.name).map(|(_, role)| role.clone())
        };
        let role = find(&given).or_else(|| {
            let role = find(&declared_inputs)?;
            notes.insert(format!("{key}.role"), "the model's own metadata".into());
            Some(role)
        });
        let role = role.or_else(|| {
            let (role, reason) = guess_role(info, model)?;
            notes.insert(format!("{key}.role"), reason);
            Some(role)
        });
        match role {
            Some(role) => recipe.generator.inputs.push((info.name.clone(), role)),
            None => questions.push(input_question(info)),
        }
    }
    // Roles for inputs that do not exist are kept, so that checking the recipe names them.
    let unknown = |(name, _): &(String, Role)| !model.inputs().iter().any(|i| i.name == *name);
    recipe.generator.inputs.extend(given.into_iter().filter(unknown));

    let output = &mut recipe.generator.output;
    let from_file = |notes: &mut Notes, key: &str| {
        notes.insert(format!("generator.output.{key}"), "the model's own metadata".into());
    };
    if output.name.is_none() {
        output.name = declared_output.name;
    }
    if output.layout.is_none() && declared_output.layout.is_some() {
        output.layout = declared_output.layout;
        from_file(&mut notes, "layout");
    }
    if output.range.is_none() && declared_output.range.is_some() {
        output.range = declared_output.range;
        from_file(&mut notes, "range");
    }
    if output.shape.is_none() && declared_output.shape.is_some() {
        output.shape = declared_output.shape;
        from_file(&mut notes, "shape");
    }
    let Ok(info) = choose_output(model, output.name.as_deref()) else {
        let names: Vec<_> = model.outputs().iter().map(|o| o.name.as_str()).collect();
        questions.push(Question {
            what: format!("which of the outputs is the image: {}", names.join(", ")),
            setting: format!("generator.output.name={}", names.first().unwrap_or(&"NAME")),
        });
        return Ok(Proposal { recipe, notes, questions });
    };
    propose_output(&mut recipe, info, model, &mut notes, &mut questions);
    fit_block(&mut recipe, model, &mut notes);
    Ok(Proposal { recipe, notes, questions })
}

fn propose_output(
    recipe: &mut Recipe,
    info: &ValueInfo,
    model: &Model,
    notes: &mut Notes,
    questions: &mut Vec<Question>,
) {
    let output = &mut recipe.generator.output;
    let shape = describe_shape(info);
    if output.layout.is_none() {
        match guess_layout(info) {
            Some((layout, reason)) => {
                output.layout = Some(layout);
                notes.insert("generator.output.layout".into(), reason);
            }
            None => questions.push(Question {
                what: format!("how the output `{}` of shape {shape} is laid out", info.name),
                setting: "generator.output.layout=NCHW".into(),
            }),
        }
    }
    if output.layout == Some(ImageLayout::Flat) && output.shape.is_none() {
        match flat_len(info).and_then(guess_square) {
            Some((shape, reason)) => {
                output.shape = Some(shape);
                notes.insert("generator.output.shape".into(), reason);
            }
            None => questions.push(Question {
                what: format!("channels, height and width of the flat output of shape {shape}"),
                setting: "generator.output.shape=[3,32,32]".into(),
            }),
        }
    }
    if output.range.is_none() {
        match model.output_range(&info.name) {
            Some(range) => {
                output.range = Some([range.low, range.high]);
                notes.insert("generator.output.range".into(), range.because);
            }
            None => questions.push(Question {
                what: format!("which values of output `{}` are black and white", info.name),
                setting: "generator.output.range=[-1,1]".into(),
            }),
        }
    }
}

/// A fixed batch is filled best by blocks that are a multiple of it.
fn fit_block(recipe: &mut Recipe, model: &Model, notes: &mut Notes) {
    let leader = model.inputs().first().and_then(|info| info.shape.as_ref()?.first());
    let batched =
        !matches!(recipe.generator.output.layout, Some(ImageLayout::Chw | ImageLayout::Hwc) | None);
    if let (true, Some(Dim::Fixed(n))) = (batched, leader)
        && let Ok(n) = u32::try_from(*n)
        && n > 0
        && !(recipe.generator.block * recipe.views.rows()).is_multiple_of(n)
    {
        recipe.generator.block = n;
        notes.insert("generator.block".into(), format!("the model's batch is fixed at {n}"));
    }
}

fn input_question(info: &ValueInfo) -> Question {
    let shape = describe_shape(info);
    let integer = matches!(info.element, Element::I32 | Element::I64);
    let (what, example) = if integer {
        ("how many classes", "{role=\"class\", encoding=\"index\", classes=10}")
    } else if info.shape.as_deref().is_some_and(|s| s.iter().all(|d| *d == Dim::Fixed(1))) {
        ("what", "{role=\"constant\", value=1.0}")
    } else {
        ("what", "{role=\"latent\"}")
    };
    Question {
        what: format!("{what} input `{}` ({} {shape}) takes", info.name, info.element),
        setting: format!("generator.inputs.{}={example}", quote_key(&info.name)),
    }
}

fn quote_key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { format!("{name:?}") }
}

/// The role of an input by its type, shape and name.
fn guess_role(info: &ValueInfo, model: &Model) -> Option<(Role, String)> {
    let shape = info.shape.as_deref()?;
    let name = info.name.to_lowercase();
    let named = |words: &[&'static str]| {
        words.iter().copied().find(|word| match word.len() {
            1 | 2 => name.split(|c: char| !c.is_ascii_alphabetic()).any(|part| part == *word),
            _ => name.contains(word),
        })
    };
    let class = |encoding, classes| {
        Role::Class(Class { encoding, classes, balance: Balance::Uniform, names: Vec::new() })
    };
    let normal = Distribution::Normal { truncation: None };
    if matches!(info.element, Element::I32 | Element::I64) {
        let classes = u32::try_from(model.class_count(&info.name)?).ok()?;
        let reason = format!("an integer that picks one of {classes} rows of a table");
        return (1..=MAX_CLASSES)
            .contains(&classes)
            .then(|| (class(Encoding::Index, classes), reason));
    }
    let spatial = shape.len() >= 4 && !shape[2..].iter().all(|d| *d == Dim::Fixed(1));
    if spatial {
        let word = named(&["noise"])?;
        return Some((Role::Noise(normal), format!("a map called {word}")));
    }
    let elements: u64 = shape
        .iter()
        .skip(usize::from(shape.len() > 1))
        .map(|dim| if let Dim::Fixed(n) = dim { *n } else { 0 })
        .product();
    if let Some(word) = named(&["trunc", "psi"]) {
        let few = shape.is_empty() || elements <= 1;
        return few.then(|| (Role::Truncation(1.0), format!("a number called {word}")));
    }
    if let Some(word) = named(&["label", "class", "onehot", "one_hot", "y", "cond"])
        && let Ok(classes) = u32::try_from(elements)
        && classes > 1
    {
        let reason = format!("{classes} floats called {word}");
        return Some((class(Encoding::OneHot, classes), reason));
    }
    if let Some(word) = named(&["latent", "noise", "z", "w", "style", "code"]) {
        return Some((Role::Latent(normal), format!("{elements} floats called {word}")));
    }
    (model.inputs().len() == 1)
        .then(|| (Role::Latent(normal), format!("the only input, of {elements} floats")))
}

/// Whether a value has the shape of images, not flat.
pub(super) fn is_image(info: &ValueInfo) -> bool {
    guess_layout(info).is_some_and(|(layout, _)| layout != ImageLayout::Flat)
}

/// The layout of an output by its shape: a dimension of 1, 3 or 4 is the channels.
fn guess_layout(info: &ValueInfo) -> Option<(ImageLayout, String)> {
    let shape = info.shape.as_deref()?;
    let channels = |dim: &Dim| matches!(dim, Dim::Fixed(1 | 3 | 4));
    let text = describe_shape(info);
    let pick = |first, last, planar, interleaved| match (channels(first), channels(last)) {
        (true, false) => Some((planar, format!("{text}: channels come first"))),
        (false, true) => Some((interleaved, format!("{text}: channels come last"))),
        _ => None,
    };
    match shape {
        [_, a, _, b] => pick(a, b, ImageLayout::Nchw, ImageLayout::Nhwc),
        [a, _, b] => pick(a, b, ImageLayout::Chw, ImageLayout::Hwc),
        [_, _] => Some((ImageLayout::Flat, format!("{text}: all values of an image in a row"))),
        _ => None,
    }
}

fn flat_len(info: &ValueInfo) -> Option<u64> {
    match info.shape.as_deref()? {
        [_, Dim::Fixed(n)] => Some(*n),
        _ => None,
    }
}

/// A square image of 1 or 3 channels with `n` values; no `n` fits both, as 3 is not a square.
/// Four channels would fit wherever one fits an even side: the reason says so.
fn guess_square(n: u64) -> Option<([u32; 3], String)> {
    for channels in [1u32, 3] {
        let pixels = n / u64::from(channels);
        let side = pixels.isqrt();
        if side > 0 && side * side * u64::from(channels) == n {
            let side = u32::try_from(side).ok()?;
            let reason = match (channels, side / 2) {
                (1, half) if side % 2 == 0 => format!(
                    "{n} values, read as a gray square; [4, {half}, {half}] would fit as well"
                ),
                (1, _) => format!("{n} values, read as a gray square"),
                _ => format!("{n} values, read as a square of 3 channels, one after the other"),
            };
            return Some(([channels, side, side], reason));
        }
    }
    None
}

fn describe_shape(info: &ValueInfo) -> String {
    match &info.shape {
        Some(shape) => {
            let dims: Vec<_> = shape.iter().map(ToString::to_string).collect();
            format!("[{}]", dims.join(", "))
        }
        None => "of unknown shape".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_outputs_are_square_or_asked_for() {
        assert_eq!(guess_square(784).unwrap().0, [1, 28, 28]);
        assert_eq!(guess_square(3 * 64 * 64).unwrap().0, [3, 64, 64]);
        assert!(guess_square(6).is_none() && guess_square(0).is_none());
    }

    #[test]
    fn the_small_dimension_is_the_channels() {
        let output = |dims: &[u64]| ValueInfo {
            name: "image".into(),
            element: Element::F32,
            shape: Some(dims.iter().map(|d| Dim::Fixed(*d)).collect()),
        };
        for (dims, layout) in [
            (&[2, 3, 8, 8][..], Some(ImageLayout::Nchw)),
            (&[2, 8, 8, 4], Some(ImageLayout::Nhwc)),
            (&[1, 8, 8], Some(ImageLayout::Chw)),
            (&[8, 8, 3], Some(ImageLayout::Hwc)),
            (&[2, 784], Some(ImageLayout::Flat)),
            (&[2, 3, 3, 3], None),
            (&[2, 8, 8, 8], None),
            (&[5], None),
        ] {
            assert_eq!(guess_layout(&output(dims)).map(|g| g.0), layout, "{dims:?}");
        }
    }
}
