//! Members of one key put together as a sample: which of them is its picture, which its label.

use serde_json::Value;

use crate::error::{Error, Kind, Result};

/// Keys of a JSON member that say the label, the first that is there.
const LABEL_KEYS: [&str; 5] = ["label", "cls", "class", "target", "y"];
/// Longest label in decimal, with blanks around it.
const MAX_LABEL: usize = 64;

/// A name cut as WebDataset cuts it: at the first dot of its last part. `None` for members that
/// belong to no sample.
pub(super) fn split(name: &str) -> Option<(&str, &str)> {
    let file = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = file + name[file..].find('.')?;
    // Folders in underscores are about the tar; a name that begins with its dot has no key.
    let top = name.split('/').next().unwrap_or_default();
    let about = top.len() >= 4 && top.starts_with("__") && top.ends_with("__");
    (!about && dot > file).then(|| (&name[..dot], &name[dot + 1..]))
}

/// What a member is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use<'a> {
    /// A picture, called this within the sample: empty for `KEY.jpg`, `left` for `KEY.left.jpg`.
    Picture(&'a str),
    /// The label in decimal.
    Label,
    /// JSON that may say the label.
    About,
    /// Something else.
    Other,
}

/// What a member with this suffix is for; letters may be small or large.
pub(super) fn use_of(suffix: &str) -> Use<'_> {
    let (name, extension) = suffix.rsplit_once('.').unwrap_or(("", suffix));
    let is = |other: &[&str]| other.iter().any(|other| extension.eq_ignore_ascii_case(other));
    let image = is(&["jpg", "jpeg", "jpe", "jfif", "png", "webp"]);
    if image || is(&["npy"]) && name != "latent" {
        Use::Picture(name)
    } else if suffix.eq_ignore_ascii_case("cls") {
        Use::Label
    } else if suffix.eq_ignore_ascii_case("json") {
        Use::About
    } else {
        Use::Other
    }
}

/// The pictures of every sample, found out from the first: the one without a name of its own if it
/// has one; else those named by numbers from 0 on; else the only one.
///
/// # Errors
/// [`Kind::Sample`] naming the members if it is not clear which are meant.
pub(super) fn choose(names: &[&str]) -> Result<Vec<String>> {
    let numbered: Vec<String> = (0..names.len()).map(|number| number.to_string()).collect();
    if names.contains(&"") {
        return Ok(vec![String::new()]);
    }
    // Members may come in any order, as 10 before 2.
    if !names.is_empty() && numbered.iter().all(|number| names.contains(&&**number)) {
        return Ok(numbered);
    }
    match names {
        [] => Err(Error::new(Kind::Sample, "the first sample has no picture").help(
            "a picture is a member `KEY.jpg`, `.png`, `.webp` or `.npy`, or `KEY.0.jpg`, \
             `KEY.1.jpg`, … for several views",
        )),
        [only] => Ok(vec![(*only).to_owned()]),
        several => {
            let message = format!("the first sample has several pictures: {}", several.join(", "));
            Err(Error::new(Kind::Sample, message)
                .help("rename the one that is meant to `KEY.jpg`, or views to `KEY.0.jpg`, …"))
        }
    }
}

/// A number in decimal, as members with the ending `cls` have it.
///
/// # Errors
/// [`Kind::Sample`] if it is none.
pub(super) fn integer(bytes: &[u8]) -> Result<i64> {
    let text = bytes.get(..bytes.len().min(MAX_LABEL)).unwrap_or_default();
    let number = std::str::from_utf8(text).ok().filter(|_| bytes.len() <= MAX_LABEL);
    number.and_then(|text| text.trim().parse().ok()).ok_or_else(|| {
        let shown = String::from_utf8_lossy(text);
        Error::new(Kind::Sample, format!("holds {shown:?} where a label's number should be"))
    })
}

/// The label that a JSON member says, if it says one.
///
/// # Errors
/// [`Kind::Sample`] if it is no JSON, or the label is no whole number.
pub(super) fn label_in(bytes: &[u8]) -> Result<Option<i64>> {
    let json: Value = serde_json::from_slice(bytes)
        .map_err(|error| Error::new(Kind::Sample, format!("is no JSON: {error}")))?;
    let said = LABEL_KEYS.iter().find_map(|key| Some((key, json.get(key)?)));
    let Some((key, value)) = said else { return Ok(None) };
    match value.as_i64() {
        Some(label) => Ok(Some(label)),
        None => Err(Error::new(Kind::Sample, format!("has no whole number under {key:?}"))
            .help("labels are numbers from 0 on: write them to `KEY.cls` members")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_at_the_first_dot_of_their_last_part() {
        assert_eq!(split("a.b/000.left.jpg"), Some(("a.b/000", "left.jpg")));
        assert_eq!(split("000.jpg"), Some(("000", "jpg")));
        for none in ["README", "a/.hidden", ".jpg", "__genset__", "__about__/a.json", "a.b/README"]
        {
            assert_eq!(split(none), None, "{none}");
        }
    }

    #[test]
    fn pictures_are_the_nameless_the_numbered_or_the_only_one() {
        assert_eq!(choose(&["seg", ""]).unwrap(), [""]);
        assert_eq!(choose(&["1", "0", "2"]).unwrap(), ["0", "1", "2"]);
        assert_eq!(choose(&["image"]).unwrap(), ["image"]);
        assert!(choose(&["left", "right"]).unwrap_err().summary().contains("left, right"));
        assert!(choose(&["0", "2"]).is_err());
        assert!(choose(&[]).is_err());
    }

    #[test]
    fn labels_are_whole_numbers() {
        assert_eq!(integer(b" -3\n").unwrap(), -3);
        for bad in [&b""[..], b"three", b"1.5", b"\xff", &[b'1'; 100], b"99999999999999999999"] {
            integer(bad).unwrap_err();
        }
        assert_eq!(label_in(br#"{"label": 4, "y": 5}"#).unwrap(), Some(4));
        assert_eq!(label_in(br#"{"caption": "x"}"#).unwrap(), None);
        assert_eq!(label_in(b"[1]").unwrap(), None);
        assert!(label_in(br#"{"label": "cat"}"#).is_err());
        assert!(label_in(b"{").is_err());
    }
}
