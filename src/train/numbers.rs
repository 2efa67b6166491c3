//! What is chosen by name, and its numbers, set behind a colon: `contrast:temperature=0.1`,
//! `sgd:momentum=0.9,decay=0`.

use crate::error::{Error, Kind, Result};

/// What is called `name` among `all`; `what` is what they are, for errors.
///
/// # Errors
/// [`Kind::Argument`] with the names that there are.
pub(super) fn named<T: Copy, const N: usize>(
    what: &str,
    name: &str,
    all: [(&'static str, T); N],
) -> Result<T> {
    all.iter().find(|(known, _)| *known == name).map(|(_, it)| *it).ok_or_else(|| {
        Error::new(Kind::Argument, format!("unknown {what} `{name}`"))
            .help(format!("known: {}", all.map(|(known, _)| known).join(", ")))
    })
}

/// Sets what `text` names of `numbers`; `what` is what the text describes, for errors.
///
/// # Errors
/// [`Kind::Argument`] for a name that is not among them, and for what is no number of 0 or more.
pub(super) fn set(what: &str, text: &str, numbers: &mut [(&'static str, &mut f32)]) -> Result<()> {
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    for part in rest.split(',').filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let value: Option<f32> = value.parse().ok();
        let value = value.filter(|value| value.is_finite() && *value >= 0.0).ok_or_else(|| {
            let message = format!("{what} `{name}`: `{part}` sets no number of 0 or more");
            Error::new(Kind::Argument, message).help(format!("write {name}:{key}=0.1"))
        })?;
        let known: Vec<_> = numbers.iter().map(|(key, _)| *key).collect();
        let place = numbers.iter_mut().find(|(known, _)| *known == key);
        let (_, place) = place.ok_or_else(|| {
            let known = if known.is_empty() { "none".into() } else { known.join(", ") };
            Error::new(Kind::Argument, format!("{what} `{name}` has no `{key}`"))
                .help(format!("its numbers: {known}"))
        })?;
        **place = value;
    }
    Ok(())
}

/// `name:key=value,…`.
pub(super) fn show(name: &str, numbers: &[(&'static str, &mut f32)]) -> String {
    let parts: Vec<_> = numbers.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if parts.is_empty() { name.to_owned() } else { format!("{name}:{}", parts.join(",")) }
}
