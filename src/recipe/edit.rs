//! `key.path=value` settings put over a recipe's text.

use std::borrow::Cow;

use toml_edit::{DocumentMut, Item, Key, Table, Value};

use super::invalid;
use crate::error::Result;

/// `text` itself without settings, or with every setting in place.
pub(super) fn applied<'t>(text: &'t str, file: &str, settings: &[String]) -> Result<Cow<'t, str>> {
    match settings.is_empty() {
        true => Ok(Cow::Borrowed(text)),
        false => apply(text, file, settings).map(Cow::Owned),
    }
}

/// `text` with every setting in place. A value that is not TOML is taken as a string.
fn apply(text: &str, file: &str, settings: &[String]) -> Result<String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        invalid(format!("not valid TOML: {}", error.message())).at(file)
    })?;
    for setting in settings {
        let shape = || {
            invalid(format!("setting `{setting}` is not key=value"))
                .help("for example --set generator.output.range=[0,1]")
        };
        let (path, value) = setting.split_once('=').ok_or_else(shape)?;
        let keys = Key::parse(path.trim()).map_err(|_| shape())?;
        let (last, parents) = keys.split_last().ok_or_else(shape)?;
        let mut item = document.as_item_mut();
        for key in parents {
            let table = item.as_table_like_mut().ok_or_else(|| {
                invalid(format!("setting `{setting}`: `{}` is not in a table", key.get()))
            })?;
            item = table.entry(key.get()).or_insert_with(|| {
                let mut table = Table::new();
                table.set_implicit(true);
                Item::Table(table)
            });
        }
        let table = item.as_table_like_mut().ok_or_else(|| {
            invalid(format!("setting `{setting}`: `{}` is not in a table", last.get()))
        })?;
        let value = value.trim();
        let value = value.parse::<Value>().unwrap_or_else(|_| Value::from(value));
        table.insert(last.get(), Item::Value(value));
    }
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_make_their_tables_and_replace_values() {
        let settings =
            ["generator.output.range=[0,1]", "seed=9", "output.dtype=f32"].map(str::to_owned);
        let text = apply("seed = 1\n[generator]\nmodel = \"g\"\n", "r", &settings).unwrap();
        let recipe = super::super::Recipe::parse(&text, "r", ".".as_ref()).unwrap();
        assert_eq!(recipe.seed, 9);
        assert_eq!(recipe.generator.output.range, Some([0.0, 1.0]));
        assert_eq!(recipe.output.dtype, super::super::Dtype::F32);
    }

    #[test]
    fn settings_without_a_value_are_refused() {
        let error = apply("", "r", &["seed".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("`seed` is not key=value"), "{error}");
        let error = apply("seed = 1", "r", &["seed.x=1".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("not in a table"), "{error}");
    }
}
