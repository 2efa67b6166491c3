//! What Python says of a dataset: a path or a table, settings over it, and how its generator runs.

use std::path::{Path, PathBuf};

use genset::inspect::Inspection;
use genset::load::Options;
use genset::recipe::Described;
use genset::runtime::Search;
use genset::{Dataset, Error, Kind, Result};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::Value;

use crate::error::Raise;

/// Everything that it takes to open a dataset, in any process.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    recipe: Recipe,
    options: Options,
}

#[derive(Debug, Clone)]
enum Recipe {
    /// A recipe's file, `builtin:NAME`, shards, or images.
    Path(PathBuf),
    /// A recipe's text, and the folder that its paths are relative to.
    Text(String, PathBuf),
}

/// What errors call a recipe that is in no file.
const UNNAMED: &str = "recipe";

impl Spec {
    /// `recipe` is a path or a table; `settings` a table that is put over it.
    pub(crate) fn new(
        recipe: &Bound<'_, PyAny>,
        settings: &Bound<'_, PyDict>,
        folder: PathBuf,
        options: Options,
    ) -> PyResult<Self> {
        let py = recipe.py();
        let recipe = match recipe.cast::<PyDict>() {
            Ok(table) => Recipe::Text(text(&value(table)?).raise(py)?, folder),
            Err(_) => Recipe::Path(recipe.extract()?),
        };
        let settings = assignments(&value(settings)?).raise(py)?;
        Ok(Self { recipe, options: Options { settings, ..options } })
    }

    pub(crate) fn open(&self) -> Result<Dataset> {
        match &self.recipe {
            Recipe::Path(path) => Dataset::open_with(path, self.options.clone()),
            Recipe::Text(text, folder) => {
                let settings = &self.options.settings;
                let described = Described::parse(text, UNNAMED, UNNAMED, folder, settings)?;
                Dataset::of_description(described, self.options.clone())
            }
        }
    }

    /// What the generator is; a recipe for it is meant for `output`.
    pub(crate) fn inspect(&self, output: Option<&Path>) -> Result<Inspection> {
        let Options { settings, search, .. } = &self.options;
        match &self.recipe {
            Recipe::Path(path) => Inspection::of_path(path, output, settings, search),
            Recipe::Text(text, folder) => {
                let recipe =
                    genset::recipe::Recipe::parse_with(text, UNNAMED, UNNAMED, folder, settings)?;
                Inspection::of_recipe(recipe, search)
            }
        }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }
}

/// How a generator runs, in the words of the command line.
#[derive(Debug, FromPyObject)]
pub(crate) struct Engine {
    provider: Vec<String>,
    provider_options: Vec<String>,
    threads: Option<usize>,
    rewrites: String,
    ort: Option<PathBuf>,
    /// The folder of the `onnxruntime` package of this Python.
    package: Option<PathBuf>,
    random_access: u64,
}

impl Engine {
    pub(crate) fn options(&self) -> Result<Options> {
        let providers =
            self.provider.iter().map(|name| name.parse()).collect::<Result<Vec<_>>>()?;
        let options = self.provider_options.iter().map(|option| option.parse());
        Ok(Options {
            search: Search {
                explicit: self.ort.clone(),
                package: self.package.clone(),
                providers: providers.clone(),
                install: true,
                say: |line| eprintln!("genset: {line}"),
            },
            providers,
            provider_options: options.collect::<Result<_>>()?,
            threads: self.threads,
            rewrites: self.rewrites.parse()?,
            random_access: self.random_access,
            settings: Vec::new(),
        })
    }
}

fn value(table: &Bound<'_, PyDict>) -> PyResult<Value> {
    pythonize::depythonize(table).map_err(Into::into)
}

/// A table as the text of a recipe.
fn text(table: &Value) -> Result<String> {
    let Value::Object(keys) = table else { return Ok(String::new()) };
    keys.iter()
        .map(|(key, value)| Ok(format!("{} = {}\n", quoted(key), inline(key, value)?)))
        .collect()
}

/// A table as `key.path=value` settings: what it leaves out stays as it is.
fn assignments(table: &Value) -> Result<Vec<String>> {
    fn walk(path: &str, value: &Value, out: &mut Vec<String>) -> Result<()> {
        match value {
            Value::Object(keys) if !keys.is_empty() => keys.iter().try_for_each(|(key, value)| {
                let path = match path {
                    "" => quoted(key),
                    _ => format!("{path}.{}", quoted(key)),
                };
                walk(&path, value, out)
            }),
            Value::Object(_) if path.is_empty() => Ok(()),
            _ => {
                out.push(format!("{path}={}", inline(path, value)?));
                Ok(())
            }
        }
    }
    let mut out = Vec::new();
    walk("", table, &mut out)?;
    Ok(out)
}

/// A value in TOML, on one line.
fn inline(key: &str, value: &Value) -> Result<String> {
    let list = |parts: Result<Vec<String>>| parts.map(|parts| parts.join(", "));
    Ok(match value {
        Value::Null => {
            return Err(Error::new(Kind::Recipe, format!("`{key}` is None"))
                .help("leave it out for its default"));
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            format!("[{}]", list(items.iter().map(|item| inline(key, item)).collect())?)
        }
        Value::Object(keys) => {
            let pair = |(key, value): (&String, &Value)| {
                Ok(format!("{} = {}", quoted(key), inline(key, value)?))
            };
            format!("{{ {} }}", list(keys.iter().map(pair).collect())?)
        }
    })
}

/// Text in quotes: what JSON escapes, TOML reads.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
