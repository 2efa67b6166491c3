//! A strict view of TOML: every key must be asked for, or it is an error with its line.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::Range;

use toml_edit::{Array, Item, TableLike, Value};

use super::invalid;
use crate::error::{Error, Result};

/// The text a value came from, to turn byte spans into lines.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub file: &'a str,
    pub text: &'a str,
}

impl Source<'_> {
    pub fn error(&self, span: Option<Range<usize>>, message: impl Into<String>) -> Error {
        let error = invalid(message);
        match span {
            Some(span) => {
                let before = self.text.get(..span.start).unwrap_or(self.text);
                let line = before.matches('\n').count() + 1;
                error.at(format!("{}:{line}", self.file))
            }
            None => error.at(self.file),
        }
    }
}

/// A table of which every key must be asked for before [`Table::finish`].
pub(super) struct Table<'a> {
    source: &'a Source<'a>,
    path: String,
    table: &'a dyn TableLike,
    span: Option<Range<usize>>,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Table<'a> {
    pub fn root(source: &'a Source<'a>, table: &'a dyn TableLike) -> Self {
        Self { source, path: String::new(), table, span: None, known: RefCell::default() }
    }

    /// The value of `key`, which is hereby known.
    pub fn get(&self, key: &'static str) -> Option<Field<'a>> {
        self.known.borrow_mut().push(key);
        self.named(key)
    }

    /// The value of `key`, or an error that it is missing.
    pub fn require(&self, key: &'static str, help: &str) -> Result<Field<'a>> {
        self.get(key).ok_or_else(|| {
            let path = join(&self.path, key);
            self.source
                .error(self.span.clone(), format!("key `{path}` is missing"))
                .help(help.to_owned())
        })
    }

    fn named(&self, key: &str) -> Option<Field<'a>> {
        let item = self.table.get(key)?;
        let span = item.span().or_else(|| self.table.key(key).and_then(toml_edit::Key::span));
        let node = match item {
            Item::None => return None,
            Item::Value(value) => Node::Value(value),
            other => Node::Item(other),
        };
        Some(Field { source: self.source, path: join(&self.path, key), node, span })
    }

    /// All entries of a table whose keys are free, such as input names, in file order.
    pub fn entries(&self) -> Vec<(String, Field<'a>)> {
        let mut names: Vec<_> = self.table.iter().map(|(key, _)| key.to_owned()).collect();
        names.sort_by_key(|name| {
            self.table.key(name).and_then(toml_edit::Key::span).map_or(0, |span| span.start)
        });
        names.into_iter().filter_map(|name| Some((name.clone(), self.named(&name)?))).collect()
    }

    /// Fails on the first key that nobody asked for, and names the nearest that is known.
    pub fn finish(self) -> Result<()> {
        let known = self.known.borrow();
        for (key, _) in self.table.iter() {
            if known.contains(&key) {
                continue;
            }
            let span = self.table.key(key).and_then(toml_edit::Key::span);
            let message = format!("unknown key `{}`", join(&self.path, key));
            let help = match nearest(key, known.iter().copied()) {
                Some(near) => format!("did you mean `{}`?", join(&self.path, near)),
                None => format!("known here: {}", list(known.iter())),
            };
            return Err(self.source.error(span, message).help(help));
        }
        Ok(())
    }
}

enum Node<'a> {
    Item(&'a Item),
    Value(&'a Value),
    /// One of an array of tables.
    Table(&'a toml_edit::Table),
}

/// One value with its path, ready to be read as one type or another.
pub(super) struct Field<'a> {
    source: &'a Source<'a>,
    path: String,
    node: Node<'a>,
    span: Option<Range<usize>>,
}

impl<'a> Field<'a> {
    /// An error about this value.
    pub fn error(&self, message: impl Display) -> Error {
        self.source.error(self.span.clone(), format!("`{}` {message}", self.path))
    }

    fn wrong_type(&self, wanted: &str) -> Error {
        let found = match &self.node {
            Node::Item(item) => item.type_name(),
            Node::Value(value) => value.type_name(),
            Node::Table(_) => "table",
        };
        self.error(format!("must be {wanted}, not {}", article(found)))
    }

    fn value(&self) -> Option<&'a Value> {
        match self.node {
            Node::Value(value) => Some(value),
            Node::Item(_) | Node::Table(_) => None,
        }
    }

    pub fn str(&self) -> Result<&'a str> {
        self.value().and_then(Value::as_str).ok_or_else(|| self.wrong_type("a string"))
    }

    /// An integer in `range`.
    pub fn integer(&self, range: Range<u64>) -> Result<u64> {
        let wanted = format!("a whole number from {} to {}", range.start, range.end - 1);
        let value =
            self.value().and_then(Value::as_integer).ok_or_else(|| self.wrong_type(&wanted))?;
        u64::try_from(value)
            .ok()
            .filter(|value| range.contains(value))
            .ok_or_else(|| self.error(format!("must be {wanted}, not {value}")))
    }

    /// An integer in `range`, which ends below 2^32.
    pub fn small(&self, range: Range<u64>) -> Result<u32> {
        let value = self.integer(range)?;
        u32::try_from(value).map_err(|_| self.error("is too large"))
    }

    /// A finite number; integers count.
    pub fn number(&self) -> Result<f64> {
        let value = self.value().ok_or_else(|| self.wrong_type("a number"))?;
        #[allow(clippy::cast_precision_loss)]
        let number = value
            .as_float()
            .or_else(|| value.as_integer().map(|i| i as f64))
            .ok_or_else(|| self.wrong_type("a number"))?;
        if number.is_finite() {
            Ok(number)
        } else {
            Err(self.error(format!("must be a finite number, not {number}")))
        }
    }

    /// A finite number for which `fits` holds; `wanted` says what that means.
    pub fn number_where(&self, wanted: &str, fits: impl Fn(f64) -> bool) -> Result<f64> {
        let number = self.number()?;
        if fits(number) {
            Ok(number)
        } else {
            Err(self.error(format!("must be {wanted}, not {number}")))
        }
    }

    /// One of the names in a table.
    pub fn one_of<T: Copy>(&self, table: &[(&'static str, T)]) -> Result<T> {
        let text = self.str()?;
        if let Some((_, value)) = table.iter().find(|(name, _)| *name == text) {
            return Ok(*value);
        }
        let error = self.error(format!("cannot be \"{text}\""));
        let names = table.iter().map(|(name, _)| *name);
        Err(match nearest(text, names.clone()) {
            Some(near) => error.help(format!("did you mean \"{near}\"? It can be {}", list(names))),
            None => error.help(format!("it can be {}", list(names))),
        })
    }

    /// A table, written out or inline.
    pub fn table(&self) -> Result<Table<'a>> {
        let table: &'a dyn TableLike = match self.node {
            Node::Item(item) => item.as_table_like(),
            Node::Value(value) => value.as_inline_table().map(|table| table as &dyn TableLike),
            Node::Table(table) => Some(table as &dyn TableLike),
        }
        .ok_or_else(|| self.wrong_type("a table"))?;
        Ok(Table {
            source: self.source,
            path: self.path.clone(),
            table,
            span: self.span.clone(),
            known: RefCell::default(),
        })
    }

    fn array(&self) -> Option<&'a Array> {
        self.value().and_then(Value::as_array)
    }

    /// Whether this is an array.
    pub fn is_array(&self) -> bool {
        self.array().is_some()
    }

    /// Whether this is a string.
    pub fn is_str(&self) -> bool {
        self.value().is_some_and(Value::is_str)
    }

    /// The elements of an array; also of an array of tables (`[[views.groups]]`).
    pub fn items(&self) -> Result<Vec<Field<'a>>> {
        if let Node::Item(Item::ArrayOfTables(tables)) = self.node {
            let field = |(i, table): (usize, &'a toml_edit::Table)| Field {
                source: self.source,
                path: format!("{}[{i}]", self.path),
                span: table.span().or_else(|| self.span.clone()),
                node: Node::Table(table),
            };
            return Ok(tables.iter().enumerate().map(field).collect());
        }
        let array = self.array().ok_or_else(|| self.wrong_type("an array"))?;
        let field = |(i, value): (usize, &'a Value)| Field {
            source: self.source,
            path: format!("{}[{i}]", self.path),
            span: value.span().or_else(|| self.span.clone()),
            node: Node::Value(value),
        };
        Ok(array.iter().enumerate().map(field).collect())
    }

    /// `true` or `false`.
    pub fn bool(&self) -> Result<bool> {
        let value = self.value().and_then(Value::as_bool);
        value.ok_or_else(|| self.wrong_type("true or false"))
    }

    /// Two rising finite numbers for which `fits` holds; `wanted` says what that means.
    pub fn interval(&self, wanted: &str, fits: impl Fn(f64) -> bool) -> Result<[f64; 2]> {
        let ends = self.items()?;
        let ends: Vec<f64> =
            ends.iter().map(|end| end.number_where(wanted, &fits)).collect::<Result<_>>()?;
        match ends[..] {
            [low, high] if low <= high => Ok([low, high]),
            _ => Err(self.error("must be [low, high], low first")),
        }
    }

    /// An array of finite numbers.
    pub fn numbers(&self) -> Result<Vec<f64>> {
        self.items()?.iter().map(Field::number).collect()
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn article(noun: &str) -> String {
    let vowel = noun.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {noun}", if vowel { "an" } else { "a" })
}

/// The known name nearest to `word`, if it is near enough to be what was meant.
pub(crate) fn nearest<'n>(word: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let lower = word.to_lowercase();
    known
        .map(|name| (strsim::jaro_winkler(&lower, &name.to_lowercase()), name))
        .filter(|(similarity, _)| *similarity > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

fn list(names: impl IntoIterator<Item = impl Display>) -> String {
    names.into_iter().map(|name| name.to_string()).collect::<Vec<_>>().join(", ")
}
