//! A [`Recipe`] as TOML, with the reason for a value as a comment beside it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{
    BUILTIN_PREFIX, Balance, Class, Distribution, Encoding, ModelRef, Recipe, Role, Samples,
};

/// Comments for keys, by path: `generator.output.range` → `Tanh before the output`.
pub type Notes = BTreeMap<String, String>;

struct Writer<'a> {
    text: String,
    path: String,
    notes: &'a Notes,
}

impl Writer<'_> {
    fn table(&mut self, keys: &[&str]) {
        self.path = keys.join(".");
        let header: Vec<_> = keys.iter().map(|key| quote_key(key)).collect();
        let _ = write!(self.text, "\n[{}]", header.join("."));
        self.note(&self.path.clone());
        self.text.push('\n');
    }

    /// The next table of a list, whose keys have the path of its number.
    fn listed(&mut self, key: &str, ordinal: usize) {
        self.path = format!("{key}[{ordinal}]");
        let _ = write!(self.text, "\n[[{key}]]");
        self.note(&self.path.clone());
        self.text.push('\n');
    }

    fn key(&mut self, key: &str, value: impl AsRef<str>) {
        let _ = write!(self.text, "{key} = {}", value.as_ref());
        let path = if self.path.is_empty() { key.into() } else { format!("{}.{key}", self.path) };
        self.note(&path);
        self.text.push('\n');
    }

    fn note(&mut self, path: &str) {
        if let Some(note) = self.notes.get(path) {
            let _ = write!(self.text, "   # {}", note.replace(['\n', '\r'], " "));
        }
    }
}

pub(super) fn recipe(recipe: &Recipe, notes: &Notes) -> String {
    let mut w = Writer { text: String::new(), path: String::new(), notes };
    w.key("name", quote(&recipe.name));
    w.key("seed", recipe.seed.to_string());
    w.key(
        "samples",
        match recipe.samples {
            Samples::Finite(n) => n.to_string(),
            Samples::Endless => quote("endless"),
        },
    );

    if !recipe.exclude.is_empty() {
        w.key("exclude", format!("{:?}", recipe.exclude));
    }

    let generator = &recipe.generator;
    w.table(&["generator"]);
    w.key(
        "model",
        match &generator.model {
            ModelRef::Builtin(name) => quote(&format!("{BUILTIN_PREFIX}{name}")),
            ModelRef::File(path) => quote(&path.to_string_lossy()),
        },
    );
    w.key("precision", quote(generator.precision.name()));
    w.key("block", generator.block.to_string());
    for (name, role) in &generator.inputs {
        w.table(&["generator", "inputs", name]);
        w.key("role", quote(role.name()));
        match role {
            Role::Latent(d) | Role::Noise(d) => distribution(&mut w, d),
            Role::Class(c) => class(&mut w, c),
            Role::Truncation(value) => w.key("value", number(*value)),
            Role::Constant(values) if values.len() == 1 => w.key("value", number(values[0])),
            Role::Constant(values) => w.key("value", numbers(values)),
        }
    }
    let output = &generator.output;
    w.table(&["generator", "output"]);
    if let Some(name) = &output.name {
        w.key("name", quote(name));
    }
    if let Some(layout) = output.layout {
        w.key("layout", quote(layout.name()));
    }
    if let Some(range) = output.range {
        w.key("range", numbers(&range));
    }
    if let Some(shape) = output.shape {
        w.key("shape", format!("{shape:?}"));
    }

    w.table(&["views"]);
    for (key, value) in recipe.views.to_toml() {
        w.key(key, value);
    }

    for (ordinal, edit) in recipe.edits.iter().enumerate() {
        w.listed("edit", ordinal);
        for (key, value) in edit.keys() {
            w.key(key, value);
        }
    }

    w.table(&["output"]);
    w.key("dtype", quote(recipe.output.dtype.name()));
    w.key("layout", quote(recipe.output.layout.name()));
    if let Some(normalise) = &recipe.output.normalise {
        let (mean, std) = (numbers(&normalise.mean), numbers(&normalise.std));
        w.key("normalise", format!("{{ mean = {mean}, std = {std} }}"));
    }
    if let Some(mix) = &recipe.mix {
        w.table(&["mix"]);
        w.key("source", quote(&mix.source.to_string_lossy()));
        w.key("ratio", number(mix.ratio));
        w.key("on-bad", quote(mix.on_bad.name()));
    }
    if let Some(cache) = &recipe.cache {
        w.table(&["cache"]);
        for (key, value) in cache.to_toml() {
            w.key(key, value);
        }
    }
    w.text
}

fn distribution(w: &mut Writer<'_>, distribution: &Distribution) {
    match *distribution {
        Distribution::Normal { truncation: None } => w.key("distribution", quote("normal")),
        Distribution::Normal { truncation: Some(t) } => {
            w.key("distribution", quote("truncated-normal"));
            w.key("truncation", number(t));
        }
        Distribution::Uniform { low, high } => {
            w.key("distribution", quote("uniform"));
            w.key("low", number(low));
            w.key("high", number(high));
        }
        Distribution::UniformBall { radius } => {
            w.key("distribution", quote("uniform-ball"));
            w.key("radius", number(radius));
        }
    }
}

fn class(w: &mut Writer<'_>, class: &Class) {
    w.key(
        "encoding",
        quote(match class.encoding {
            Encoding::OneHot => "one-hot",
            Encoding::Index => "index",
        }),
    );
    w.key("classes", class.classes.to_string());
    w.key(
        "balance",
        match &class.balance {
            Balance::Uniform => quote("uniform"),
            Balance::Weights(weights) => format!("{{ weights = {} }}", numbers(weights)),
            Balance::Only(only) => format!("{{ only = {only:?} }}"),
        },
    );
    if !class.names.is_empty() {
        let names: Vec<_> = class.names.iter().map(|name| quote(name)).collect();
        w.key("names", format!("[{}]", names.join(", ")));
    }
}

pub(super) fn quote(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}

fn quote_key(key: &str) -> String {
    toml_edit::Key::new(key).display_repr().into_owned()
}

/// Whole numbers without a point, as people write ranges; TOML reads both as numbers here.
pub(super) fn number(value: f64) -> String {
    if value == value.trunc() && value.abs() < 1e15 {
        format!("{value:.0}")
    } else {
        format!("{value:?}")
    }
}

pub(super) fn numbers(values: &[f64]) -> String {
    let values: Vec<_> = values.iter().map(|v| number(*v)).collect();
    format!("[{}]", values.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn what_is_written_reads_back_equal() {
        let text = r#"
name = "odd \"name\""
samples = "endless"
exclude = [9, 2, 9]
[generator]
model = "models/g.onnx"
block = 4
[generator.inputs."z/0"]
role = "latent"
distribution = "uniform"
low = 0.25
[generator.inputs.n]
role = "noise"
truncation = 1.5
[generator.inputs.y]
role = "class"
encoding = "index"
classes = 3
balance = { weights = [1, 0.5, 1e-9] }
names = ["a", "b\n", "c"]
[generator.inputs.psi]
role = "truncation"
value = 0.7
[generator.inputs.c]
role = "constant"
value = [1, 2.5]
[generator.output]
name = "img"
layout = "flat"
range = [0, 255]
shape = [3, 2, 2]
[views]
count = 3
latent = [{ op = "gaussian", std = 0.5 }, { op = "gaussian", std = 1 }]
[output]
dtype = "f16"
layout = "NHWC"
normalise = { mean = [0.5], std = [0.25] }
"#;
        let recipe = Recipe::parse(text, "r", Path::new("x")).unwrap();
        let notes = Notes::from([("generator.output.range".into(), "two\nlines".into())]);
        let written = recipe.to_toml(&notes);
        let again = Recipe::parse(&written, "r", Path::new("x")).unwrap();
        assert_eq!(recipe, again, "{written}");
        assert!(written.contains("range = [0, 255]   # two lines"), "{written}");
    }
}
