//! Which generator inputs a latent op or an edit changes, and whether it can.
//!
//! What an input means may come from the model, so this is checked when a recipe has met its
//! model, not when it is read. Errors name the op's key: `views.latent[1].inputs`.

use super::read::nearest;
use super::{Class, Encoding, LatentEdit, LatentKind, LatentOp, Recipe, Role, Views, invalid};
use crate::error::{Error, Result};

impl Views {
    /// The path of a latent op in the recipe, such as `views.groups[0].latent[1]`.
    pub(crate) fn latent_key(&self, group: usize, ordinal: usize) -> String {
        match &self.groups[..] {
            [one] if one.name.is_empty() => format!("views.latent[{ordinal}]"),
            _ => format!("views.groups[{group}].latent[{ordinal}]"),
        }
    }
}

impl Recipe {
    /// The numbers of the inputs that latent op `ordinal` of `group` changes, in the order of
    /// `generator.inputs`; at least one. Without the class that `interpolate` may change besides.
    ///
    /// # Errors
    /// [`Kind::Recipe`](crate::error::Kind::Recipe) with the op's key if an input does not exist or
    /// has a role that the op has no use for, or a label is no class.
    pub(crate) fn latent_targets(&self, group: usize, ordinal: usize) -> Result<Vec<usize>> {
        let key = self.views.latent_key(group, ordinal);
        let op = &self.views.groups[group].latent[ordinal];
        let at = |error: (&str, Error)| match error {
            ("", error) => error.at(&key),
            (name, error) => error.at(format!("{key}.{name}")),
        };
        let resample = matches!(op.kind, LatentKind::Resample { .. });
        let targets = self
            .chosen(op.kind.name(), &op.inputs, resample)
            .map_err(|error| at(("inputs", error)))?;
        match &op.kind {
            LatentKind::Resample { groups, value } => {
                self.check_resample(op, &targets, groups, value.is_some()).map_err(at)?;
            }
            LatentKind::Interpolate { classes: true, .. } => {
                self.check_class_any().map_err(|error| at(("class", error)))?;
            }
            _ => {}
        }
        Ok(targets)
    }

    /// The numbers of the inputs that edit `ordinal` may change, in the order of
    /// `generator.inputs`; at least one.
    ///
    /// # Errors
    /// [`Kind::Recipe`](crate::error::Kind::Recipe) with the edit's key if an input does not exist
    /// or is no latent.
    pub(crate) fn edit_targets(&self, ordinal: usize) -> Result<Vec<usize>> {
        self.chosen("edit", &self.edits[ordinal].inputs, false)
            .map_err(|error| error.at(format!("{}.inputs", LatentEdit::key(ordinal))))
    }

    /// The inputs that `op` names, or all latents; `resample` takes other roles too.
    fn chosen(&self, op: &str, named: &[String], resample: bool) -> Result<Vec<usize>> {
        let inputs = &self.generator.inputs;
        let known = || inputs.iter().map(|(name, _)| name.as_str());
        for name in named {
            let Some((_, role)) = inputs.iter().find(|(other, _)| other == name) else {
                let error = invalid(format!("the generator has no input `{name}`"));
                return Err(match nearest(name, known()) {
                    Some(near) => error.help(format!("did you mean `{near}`?")),
                    None => {
                        error.help(format!("it has: {}", known().collect::<Vec<_>>().join(", ")))
                    }
                });
            };
            match role {
                Role::Latent(_) => {}
                Role::Constant(_) if resample => {
                    return Err(invalid(format!("input `{name}` is constant: nothing to draw"))
                        .help(format!("give generator.inputs.{name} the role noise or latent")));
                }
                _ if resample => {}
                _ => {
                    let role = role.name();
                    return Err(invalid(format!(
                        "input `{name}` is of role {role}, and {op} moves latents"
                    ))
                    .help("op = \"resample\" draws noise, truncation and class anew"));
                }
            }
        }
        let wanted = |name: &String, role: &Role| match named.is_empty() {
            true => matches!(role, Role::Latent(_)),
            false => named.contains(name),
        };
        let targets: Vec<usize> =
            (0..inputs.len()).filter(|i| wanted(&inputs[*i].0, &inputs[*i].1)).collect();
        if targets.is_empty() {
            return Err(invalid(format!("{op} needs an input of role latent; there is none")));
        }
        Ok(targets)
    }

    /// `groups` belong to a class and `value` to truncation: neither is ignored in silence.
    fn check_resample(
        &self,
        op: &LatentOp,
        targets: &[usize],
        groups: &[Vec<u32>],
        value: bool,
    ) -> Result<(), (&'static str, Error)> {
        let role = |i: &&usize| &self.generator.inputs[**i].1;
        let class = targets.iter().find_map(|i| match role(&i) {
            Role::Class(class) => Some(class),
            _ => None,
        });
        let truncation = targets.iter().any(|i| matches!(role(&i), Role::Truncation(_)));
        let names = op.inputs.join(", ");
        match class {
            Some(_) if groups.is_empty() => {
                return Err(("", invalid("key `groups` is missing: which labels are alike").help(
                    "groups = [[3, 5, 8], [4, 9]]: a label is exchanged for another of its group",
                )));
            }
            None if !groups.is_empty() => {
                return Err(("groups", invalid(format!("is for a class input, not for {names}"))));
            }
            _ => {}
        }
        match (truncation, value) {
            (true, false) => Err((
                "",
                invalid("key `value` is missing: what truncation is drawn from")
                    .help("value = [0.5, 1]"),
            )),
            (false, true) => {
                Err(("value", invalid(format!("is for a truncation input, not for {names}"))))
            }
            _ => class.map_or(Ok(()), |class| check_labels(groups, class)),
        }
    }

    /// A one-hot class can be mixed with another; an integer cannot.
    fn check_class_any(&self) -> Result<()> {
        match self.class().map(|class| class.encoding) {
            Some(Encoding::OneHot) => Ok(()),
            Some(Encoding::Index) => Err(invalid(
                "cannot be \"any\": the class is an integer, and there is none between two labels",
            )
            .help("class = \"same\" keeps the sample's class")),
            None => Err(invalid("cannot be \"any\": the generator has no classes")),
        }
    }
}

fn check_labels(groups: &[Vec<u32>], class: &Class) -> Result<(), (&'static str, Error)> {
    match groups.iter().flatten().find(|label| **label >= class.classes) {
        None => Ok(()),
        Some(label) => {
            let last = class.classes - 1;
            Err(("groups", invalid(format!("there is no class {label}: labels are 0 to {last}"))))
        }
    }
}
