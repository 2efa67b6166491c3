//! What was drawn for the views of a sample, in numbers and in words.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::Step;

/// Everything that is drawn for one sample.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// The sample's index.
    pub index: u64,
    /// The generated sample that it is: what inputs and label are drawn for. The index itself unless
    /// the recipe has `[cache]`.
    pub source: u64,
    /// How often that was delivered before.
    pub echo: u32,
    /// Its class, if the generator has classes.
    pub label: Option<u32>,
    /// Each generator input.
    pub inputs: Vec<PlannedInput>,
    /// Each edit of the recipe.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<PlannedEdit>,
    /// Each view, all groups after each other.
    pub views: Vec<PlannedView>,
}

/// One input of a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedInput {
    /// Its name in the ONNX file.
    pub name: String,
    /// The vector before any latent op, for latent inputs; edited where the recipe edits anchors.
    pub anchor: Option<Vec<f32>>,
    /// What the generator is fed for each view; labels of integer inputs as floats.
    pub views: Vec<Vec<f32>>,
}

/// One edit of a plan: what it sets, in all views alike. Prints as one line, such as `draw slant 0.43`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedEdit {
    /// Its name in a recipe: `remove`, `fix` or `draw`.
    pub op: &'static str,
    /// The generator input that it changes.
    pub input: String,
    /// The coordinate along each direction, by its name.
    pub values: BTreeMap<String, f32>,
}

/// One view of a plan. Prints as one line, such as `neighbour 3: gaussian std 0.43; flip
/// horizontal`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedView {
    /// The number of its group.
    pub group: usize,
    /// Whether it is made of a stored image, not of a latent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stored: bool,
    /// Its number in its group's pool, if that has one and the view is moved.
    pub neighbour: Option<u32>,
    /// What each latent op drew, in the order of the recipe; empty where the view keeps the anchor.
    pub latent: Vec<Drawn>,
    /// What is done to its image; empty unless asked of a [`Dataset`](crate::Dataset), which knows
    /// the size of the generator's images.
    pub pixel: Vec<Step>,
}

/// What one latent op drew for one view. Prints as the op's name and its numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "op")]
pub enum Drawn {
    /// Normal noise was added.
    Gaussian {
        /// Its standard deviation.
        std: f32,
    },
    /// Every row was turned in a random plane.
    Angular {
        /// By this angle.
        degrees: f32,
    },
    /// Elements were cut, or all were scaled; one of the two.
    Truncate {
        /// To ±this.
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<f32>,
        /// By this.
        #[serde(skip_serializing_if = "Option::is_none")]
        psi: Option<f32>,
    },
    /// Part of the way to another sample.
    Interpolate {
        /// How much of it.
        t: f32,
        /// The other sample's index in the endless stream.
        other: u64,
        /// Its class, if the class was interpolated too.
        #[serde(skip_serializing_if = "Option::is_none")]
        class: Option<u32>,
    },
    /// Along directions.
    Steer {
        /// Units along each, by its name.
        strength: BTreeMap<String, f32>,
    },
    /// Inputs were drawn anew.
    Resample {
        /// Which.
        inputs: Vec<String>,
        /// The truncation of those inputs that are one.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        value: BTreeMap<String, f32>,
        /// The class that the generator is given, if it was drawn.
        #[serde(skip_serializing_if = "Option::is_none")]
        class: Option<u32>,
    },
}

/// At most four digits behind the point: enough for people.
fn short(x: f32) -> String {
    let text = format!("{x:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn named(values: &BTreeMap<String, f32>) -> Vec<String> {
    values.iter().map(|(name, value)| format!("{name} {}", short(*value))).collect()
}

impl fmt::Display for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gaussian { std } => write!(f, "gaussian std {}", short(*std)),
            Self::Angular { degrees } => write!(f, "angular {}°", short(*degrees)),
            Self::Truncate { limit, psi } => {
                f.write_str("truncate")?;
                limit.map_or(Ok(()), |limit| write!(f, " limit {}", short(limit)))?;
                psi.map_or(Ok(()), |psi| write!(f, " psi {}", short(psi)))
            }
            Self::Interpolate { t, other, class } => {
                write!(f, "interpolate t {} to sample {other}", short(*t))?;
                class.map_or(Ok(()), |class| write!(f, " of class {class}"))
            }
            Self::Steer { strength } => write!(f, "steer {}", named(strength).join(", ")),
            Self::Resample { inputs, value, class } => {
                write!(f, "resample {}", inputs.join(", "))?;
                for value in named(value) {
                    write!(f, ", {value}")?;
                }
                class.map_or(Ok(()), |class| write!(f, ", class {class}"))
            }
        }
    }
}

impl fmt::Display for PlannedEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.op, named(&self.values).join(", "))
    }
}

impl fmt::Display for PlannedView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(neighbour) = self.neighbour {
            write!(f, "neighbour {neighbour}: ")?;
        }
        let mut drawn: Vec<_> = self.latent.iter().map(Drawn::to_string).collect();
        if drawn.is_empty() {
            drawn.push(if self.stored { "stored" } else { "anchor" }.into());
        }
        drawn.extend(self.pixel.iter().map(Step::to_string));
        f.write_str(&drawn.join("; "))
    }
}
