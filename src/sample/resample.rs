//! Inputs that a view draws anew.

use super::block::Column;
use super::class::Labels;
use super::drawn::Drawn;
use super::latent::Draw;
use super::moves::{Setting, Target};
use super::place::{Amount, Place, Scratch, below};
use super::random::Stream;
use crate::recipe::{Role, Span};

/// New values for some inputs of a view: as many independent draws as there are inputs.
#[derive(Debug, Clone)]
pub(super) struct Resample {
    names: Vec<String>,
    /// Latents and noise.
    vectors: Vec<(Target, Draw)>,
    /// Truncation, by the input's name.
    numbers: Vec<(String, Target, Amount)>,
    class: Option<Exchange>,
}

/// Another label of the same group.
#[derive(Debug, Clone)]
struct Exchange {
    target: Target,
    groups: Vec<Vec<u32>>,
    stream: Stream,
}

impl Resample {
    pub fn new(
        setting: &Setting<'_>,
        purpose: &str,
        inputs: &[usize],
        groups: &[Vec<u32>],
        value: Option<Span>,
    ) -> Self {
        let seed = setting.recipe.seed;
        let mut resample =
            Self { names: Vec::new(), vectors: Vec::new(), numbers: Vec::new(), class: None };
        for &input in inputs {
            let (name, role) = &setting.recipe.generator.inputs[input];
            let target = Target::new(input, &setting.shapes[input]);
            let purpose = format!("{purpose} resample {name}");
            resample.names.push(name.clone());
            match role {
                Role::Latent(distribution) | Role::Noise(distribution) => {
                    resample.vectors.push((target, Draw::new(seed, &purpose, *distribution)));
                }
                Role::Truncation(_) => {
                    let value = Amount::new(value.expect("checked"), seed, &purpose);
                    resample.numbers.push((name.clone(), target, value));
                }
                Role::Class(_) => {
                    let stream = Stream::new(seed, &purpose);
                    resample.class = Some(Exchange { target, groups: groups.to_vec(), stream });
                }
                Role::Constant(_) => unreachable!("checked"),
            }
        }
        resample
    }

    /// The numbers of the latents and noises among its inputs.
    pub fn inputs(&self) -> impl Iterator<Item = usize> {
        self.vectors.iter().map(|(target, _)| target.input)
    }

    pub fn apply(
        &self,
        place: Place,
        row: usize,
        columns: &mut [Column],
        labels: Option<&Labels>,
        scratch: &mut Scratch,
    ) {
        for (target, draw) in &self.vectors {
            draw.fill(place, target.of_row(columns, row), &mut scratch.words);
        }
        for (_, target, value) in &self.numbers {
            target.of_row(columns, row).fill(value.draw(place));
        }
        if let (Some(class), Some(labels)) = (&self.class, labels) {
            let label = class.label(place, labels);
            match &mut columns[class.target.input] {
                Column::Integer(values) => values[row] = i64::from(label),
                Column::Float(_) => {
                    let weights = class.target.of_row(columns, row);
                    weights.fill(0.0);
                    weights[label as usize] = 1.0;
                }
            }
        }
    }

    pub fn drawn(&self, place: Place, labels: Option<&Labels>) -> Drawn {
        let number =
            |(name, _, value): &(String, Target, Amount)| (name.clone(), value.draw(place));
        Drawn::Resample {
            inputs: self.names.clone(),
            value: self.numbers.iter().map(number).collect(),
            class: self
                .class
                .as_ref()
                .zip(labels)
                .map(|(class, labels)| class.label(place, labels)),
        }
    }
}

impl Exchange {
    /// Another label of the group of the sample's own, each alike; its own if it is in no group.
    fn label(&self, place: Place, labels: &Labels) -> u32 {
        let own = labels.label(place.index);
        let position = |group: &Vec<u32>| group.iter().position(|label| *label == own);
        let found = self.groups.iter().find_map(|group| Some((group, position(group)?)));
        let Some((group, at)) = found else { return own };
        let others = u32::try_from(group.len()).unwrap_or(u32::MAX) - 1;
        let other = below(place.word(&self.stream), others) as usize;
        group[if other < at { other } else { other + 1 }]
    }
}
