//! The `[generator.inputs]` tables: roles, distributions, classes.

use super::read::{Field, Table};
use super::{Balance, Class, Distribution, Encoding, MAX_CLASSES, Role};
use crate::error::Result;

const ROLES: [(&str, &str); 5] = [
    ("latent", "latent"),
    ("class", "class"),
    ("noise", "noise"),
    ("truncation", "truncation"),
    ("constant", "constant"),
];

pub(super) fn inputs(table: &Table<'_>) -> Result<Vec<(String, Role)>> {
    let read = |(name, field): (String, Field<'_>)| Ok((name, role(&field)?));
    table.entries().into_iter().map(read).collect()
}

fn role(field: &Field<'_>) -> Result<Role> {
    let table = field.table()?;
    let help = "role = \"latent\", \"class\", \"noise\", \"truncation\" or \"constant\"";
    let role = match table.require("role", help)?.one_of(&ROLES)? {
        "latent" => Role::Latent(distribution(&table)?),
        "noise" => Role::Noise(distribution(&table)?),
        "class" => Role::Class(class(&table)?),
        "truncation" => Role::Truncation(match table.get("value") {
            Some(field) => field.number()?,
            None => 1.0,
        }),
        _ => {
            let value = table.require("value", "value = 1.0, or one number for each element")?;
            Role::Constant(match value.is_array() {
                true => value.numbers()?,
                false => vec![value.number()?],
            })
        }
    };
    table.finish()?;
    Ok(role)
}

fn distribution(table: &Table<'_>) -> Result<Distribution> {
    let names = [("normal", 0), ("truncated-normal", 1), ("uniform", 2), ("uniform-ball", 3)];
    let kind = match table.get("distribution") {
        Some(field) => field.one_of(&names)?,
        None => 0,
    };
    let positive = |x: f64| x > 0.0;
    Ok(match kind {
        0 | 1 => Distribution::Normal {
            truncation: match table.get("truncation") {
                Some(field) => Some(field.number_where("greater than 0", positive)?),
                None if kind == 1 => Some(2.0),
                None => None,
            },
        },
        2 => {
            let (low, high) = (table.get("low"), table.get("high"));
            let low = low.map_or(Ok(-1.0), |field| field.number())?;
            let above = format!("greater than low ({low})");
            let high = match high {
                Some(field) => field.number_where(&above, |high| high > low)?,
                None if low < 1.0 => 1.0,
                // The default would be an empty interval.
                None => table.require("high", &above)?.number()?,
            };
            Distribution::Uniform { low, high }
        }
        _ => Distribution::UniformBall {
            radius: match table.get("radius") {
                Some(field) => field.number_where("greater than 0", positive)?,
                None => 1.0,
            },
        },
    })
}

fn class(table: &Table<'_>) -> Result<Class> {
    let encodings = [("one-hot", Encoding::OneHot), ("index", Encoding::Index)];
    let encoding =
        table.require("encoding", "encoding = \"one-hot\" or \"index\"")?.one_of(&encodings)?;
    let help = "say how many classes the generator was trained with";
    let classes = table.require("classes", help)?.small(1..u64::from(MAX_CLASSES) + 1)?;
    let balance = match table.get("balance") {
        Some(field) => balance(&field, classes)?,
        None => Balance::Uniform,
    };
    let names = match table.get("names") {
        Some(field) => {
            let items = field.items()?;
            if items.len() != classes as usize {
                let (n, wanted) = (items.len(), classes);
                return Err(field.error(format!("has {n} names for {wanted} classes")));
            }
            items.iter().map(|item| item.str().map(str::to_owned)).collect::<Result<_>>()?
        }
        None => Vec::new(),
    };
    Ok(Class { encoding, classes, balance, names })
}

/// How often each of `count` things is drawn, in proportion; `what` they are, for errors.
pub(super) fn weights_of(field: &Field<'_>, count: usize, what: &str) -> Result<Vec<f64>> {
    let weights = field.numbers()?;
    if weights.len() != count {
        let n = weights.len();
        return Err(field.error(format!("has {n} numbers for {count} {what}")));
    }
    let sum: f64 = weights.iter().sum();
    if weights.iter().any(|w| *w < 0.0) || sum <= 0.0 || !sum.is_finite() {
        return Err(field.error("must be 0 or more each, and not all 0"));
    }
    Ok(weights)
}

fn balance(field: &Field<'_>, classes: u32) -> Result<Balance> {
    if field.is_str() {
        let help = "or balance = { weights = [ … ] }, or balance = { only = [ … ] }";
        return field
            .one_of(&[("uniform", ())])
            .map(|()| Balance::Uniform)
            .map_err(|e| e.help(help));
    }
    let table = field.table()?;
    let (weights, only) = (table.get("weights"), table.get("only"));
    let balance = match (&weights, &only) {
        (Some(field), None) => Balance::Weights(weights_of(field, classes as usize, "classes")?),
        (None, Some(field)) => {
            let items = field.items()?;
            let only: Vec<u32> = items
                .iter()
                .map(|item| item.small(0..u64::from(classes)))
                .collect::<Result<_>>()?;
            let mut sorted = only.clone();
            sorted.sort_unstable();
            sorted.dedup();
            if only.is_empty() || sorted.len() != only.len() {
                return Err(field.error("must name at least one class, each once"));
            }
            Balance::Only(sorted)
        }
        _ => return Err(field.error("needs either `weights` or `only`")),
    };
    table.finish()?;
    Ok(balance)
}
