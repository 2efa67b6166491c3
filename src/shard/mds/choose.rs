//! Which columns of a folder that another tool wrote are pictures, and which is the label.

use super::encoding::Encoding;
use crate::error::{Error, Kind, Result};

/// Names of columns of pictures, the likeliest first.
const PICTURES: [&str; 9] =
    ["image", "images", "img", "jpg", "jpeg", "png", "picture", "pixel_values", "x"];
/// Names of columns of labels, the likeliest first.
const LABELS: [&str; 6] = ["label", "labels", "class", "cls", "target", "y"];

/// Columns by their number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub pictures: Vec<usize>,
    pub label: Option<usize>,
}

/// Chooses by name and encoding: `image.0`, `image.1`, … if there are such; else the first of the
/// usual names; else the only column that can be a picture.
///
/// # Errors
/// [`Kind::Sample`] listing the columns if it is not clear which is meant.
pub(super) fn choose(columns: &[(&str, Encoding)]) -> Result<Choice> {
    let named = |name: &str| columns.iter().position(|(other, _)| other.eq_ignore_ascii_case(name));
    let label =
        LABELS.iter().filter_map(|name| named(name)).find(|column| columns[*column].1.is_label());
    // Bytes are a picture only by their name.
    let can_be = |column: &usize| {
        let encoding = &columns[*column].1;
        encoding.is_picture() || *encoding == Encoding::Bytes
    };
    let views: Vec<usize> = (0..columns.len())
        .map_while(|view| named(&format!("image.{view}")))
        .filter(can_be)
        .collect();
    if !views.is_empty() {
        return Ok(Choice { pictures: views, label });
    }
    if let Some(column) = PICTURES.iter().filter_map(|name| named(name)).find(can_be) {
        return Ok(Choice { pictures: vec![column], label });
    }
    let certain: Vec<usize> =
        (0..columns.len()).filter(|column| columns[*column].1.is_picture()).collect();
    if let [only] = certain[..] {
        return Ok(Choice { pictures: vec![only], label });
    }
    let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
    let message = format!("no column is surely the picture: there are {}", names.join(", "));
    Err(Error::new(Kind::Sample, message).help(
        "call it `image`, encoded as jpeg, png, pil, bytes, or an ndarray of uint8, float16 or \
         float32 with two to four axes",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(columns: &[(&str, &str)]) -> Result<Choice> {
        let columns: Vec<_> =
            columns.iter().map(|(name, encoding)| (*name, Encoding::parse(encoding))).collect();
        choose(&columns)
    }

    #[test]
    fn usual_names_are_found_and_others_by_their_encoding() {
        let both = |pictures: &[usize], label| Choice { pictures: pictures.to_vec(), label };
        assert_eq!(chosen(&[("class", "int"), ("image", "jpeg")]).unwrap(), both(&[1], Some(0)));
        assert_eq!(chosen(&[("x", "bytes"), ("Y", "uint8")]).unwrap(), both(&[0], Some(1)));
        assert_eq!(chosen(&[("photo", "pil"), ("label", "str")]).unwrap(), both(&[0], None));
        assert_eq!(
            chosen(&[("image.1", "png"), ("image.0", "png"), ("image", "png")]).unwrap(),
            both(&[1, 0], None)
        );
    }

    #[test]
    fn what_is_not_clear_is_asked_for() {
        for columns in
            [&[("a", "jpeg"), ("b", "jpeg")][..], &[("a", "bytes")], &[("image", "str")], &[]]
        {
            assert!(chosen(columns).is_err(), "{columns:?}");
        }
    }
}
