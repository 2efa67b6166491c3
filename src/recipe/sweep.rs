//! A recipe with one parameter of its views set to a value: what `genset preview --sweep` shows.

use toml_edit::{Array, DocumentMut, InlineTable, Item, Value};

use super::read::nearest;
use super::{Notes, Recipe, invalid};
use crate::error::{Error, Kind, Result};

/// `recipe` with `key` set to `value` in every view op that has it. `key` is a parameter's name,
/// such as `std`, or `OP.NAME`, such as `gaussian-blur.sigma`. What may be drawn from an interval
/// is fixed at the value, and an op that is done now and then is done always.
///
/// # Errors
/// [`Kind::Argument`] if no op has such a key; [`Kind::Recipe`] if the value is not one for it.
pub(super) fn set(recipe: &Recipe, key: &str, value: f64) -> Result<Recipe> {
    let text = recipe.to_toml(&Notes::new());
    // Keys differ in what they take: an interval, a number, a whole number.
    let interval = Value::from_iter([value, value]);
    #[allow(clippy::cast_possible_truncation)]
    let whole = (value.fract() == 0.0).then(|| Value::from(value as i64));
    let mut last = None;
    for value in [Some(interval), whole, Some(Value::from(value))].into_iter().flatten() {
        let edited = edit(&text, key, &value)?;
        match Recipe::parse_with(&edited, key, &recipe.name, &recipe.folder, &[]) {
            Ok(recipe) => return Ok(recipe),
            Err(error) => last = Some(error),
        }
    }
    let error = last.map(|error| error.summary().to_owned()).unwrap_or_default();
    Err(invalid(format!("`{key}` cannot be {value}: {error}")))
}

fn edit(text: &str, key: &str, value: &Value) -> Result<String> {
    let mut document: DocumentMut =
        text.parse().map_err(|e| invalid(format!("the recipe cannot be written out: {e}")))?;
    let mut seen = Vec::new();
    let mut found = false;
    if let Some(Item::Table(views)) = document.get_mut("views") {
        let named = views.get_mut("groups").and_then(Item::as_array_mut);
        let mut visit = |ops: Option<&mut Array>| {
            let tables = ops.into_iter().flat_map(Array::iter_mut);
            for op in tables.filter_map(Value::as_inline_table_mut) {
                found |= put(op, key, value, &mut seen);
            }
        };
        match named {
            Some(groups) => {
                for group in groups.iter_mut().filter_map(Value::as_inline_table_mut) {
                    for list in ["latent", "pixel"] {
                        visit(group.get_mut(list).and_then(Value::as_array_mut));
                    }
                }
            }
            None => {
                for list in ["latent", "pixel"] {
                    visit(views.get_mut(list).and_then(Item::as_array_mut));
                }
            }
        }
    }
    if found {
        return Ok(document.to_string());
    }
    let error = Error::new(Kind::Argument, format!("no operation on the views has `{key}`"));
    seen.sort();
    seen.dedup();
    Err(match nearest(key, seen.iter().map(String::as_str)) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None if seen.is_empty() => error.help(
            "the recipe has no operations; give it one, such as \
             --set 'views.latent=[{op=\"gaussian\",std=0.5}]'",
        ),
        None => error.help(format!("there are: {}", seen.join(", "))),
    })
}

/// Sets `key` in `op`, if it is one of its; notes the keys there are.
fn put(op: &mut InlineTable, key: &str, value: &Value, seen: &mut Vec<String>) -> bool {
    let name = op.get("op").and_then(Value::as_str).unwrap_or_default().to_owned();
    let keys: Vec<String> = op.iter().map(|(key, _)| key.to_owned()).collect();
    for own in keys.iter().filter(|own| *own != "op") {
        seen.extend([own.clone(), format!("{name}.{own}")]);
    }
    let own = match key.split_once('.') {
        Some((of, own)) if of == name => own,
        Some(_) => return false,
        None if keys.iter().any(|own| own == key) => key,
        None => return false,
    };
    op.insert(own, value.clone());
    if own != "p" && op.contains_key("p") {
        op.insert("p", Value::from(1.0));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{LatentKind, Span};
    use std::path::Path;

    fn recipe(views: &str) -> Recipe {
        let text = format!("[generator]\nmodel = \"g\"\n[views]\n{views}");
        Recipe::parse(&text, "r", Path::new(".")).unwrap()
    }

    const NEIGHBOURS: &str = "latent = [{ op = \"gaussian\", std = [0.1, 0.9] }]";

    #[test]
    fn a_parameter_is_fixed_wherever_it_stands() {
        let groups = format!(
            "groups = [{{ name = \"a\", {NEIGHBOURS} }}, {{ name = \"b\", {NEIGHBOURS} }}]"
        );
        for (views, key) in [(NEIGHBOURS, "std"), (&groups, "gaussian.std")] {
            let swept = set(&recipe(views), key, 0.25).unwrap();
            for group in &swept.views.groups {
                let fixed = LatentKind::Gaussian { std: Span::fixed(0.25) };
                assert_eq!(group.latent[0].kind, fixed);
            }
        }
    }

    #[test]
    fn numbers_and_whole_numbers_are_set_too() {
        let views = "pixel = [{ op = \"posterize\", bits = 4, p = 0.2 }]";
        let swept = set(&recipe(views), "bits", 2.0).unwrap();
        assert_eq!(swept.views.groups[0].pixel[0].p, 1.0);
        assert_eq!(set(&recipe(views), "p", 0.5).unwrap().views.groups[0].pixel[0].p, 0.5);
    }

    #[test]
    fn what_cannot_be_swept_is_said() {
        let message = |views, key, value| set(&recipe(views), key, value).unwrap_err().to_string();
        assert!(message(NEIGHBOURS, "gausian.std", 1.0).contains("did you mean `gaussian.std`?"));
        assert!(message(NEIGHBOURS, "hue", 1.0).contains("there are: gaussian.std, std"));
        assert!(message("count = 2", "std", 1.0).contains("the recipe has no operations"));
        let wrong = message(NEIGHBOURS, "std", -1.0);
        assert!(wrong.contains("`std` cannot be -1"), "{wrong}");
    }
}
