//! How folders and files are called.

use std::collections::HashMap;

use crate::codec::Encoding;
use crate::error::{Error, Kind, Result};
use crate::shard::ShardForm;

/// Bytes of the longest name that comes from a class or group; file systems take 255, and a file
/// has an index and more beside it.
const MAX_NAME: usize = 100;

/// Where samples without labels are.
const UNLABELLED: &str = "unlabelled";

/// Names that mean a device on some systems, whatever follows a dot.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// Where each picture of a dataset is, relative to its folder.
#[derive(Debug)]
pub(super) struct Names {
    /// Of each class; empty if classes have no names.
    folders: Vec<String>,
    labels: bool,
    /// What follows the index, for each picture of a sample.
    suffixes: Vec<String>,
}

impl Names {
    /// The names in a dataset of this form.
    ///
    /// # Errors
    /// [`Kind::Argument`] if images are not to be files, or two classes or groups would have one
    /// name.
    pub fn new(form: &ShardForm) -> Result<Self> {
        if form.encoding == Encoding::Raw {
            return Err(Error::new(Kind::Argument, "raw images are no image files")
                .help("choose another encoding: png, jpeg or webp"));
        }
        let extension = form.encoding.extension();
        let folders: Vec<_> = form.classes.iter().map(|name| safe(name)).collect();
        distinct("classes", &form.classes, &folders)?;
        let mut suffixes = Vec::new();
        for group in &form.groups {
            let name = match group.name.is_empty() {
                true => String::new(),
                false => format!("-{}", safe(&group.name)),
            };
            suffixes.extend((0..group.views).map(|view| match group.views {
                1 => format!("{name}.{extension}"),
                _ => format!("{name}-{view}.{extension}"),
            }));
        }
        let of = |group: &crate::shard::GroupForm| vec![group.name.clone(); group.views];
        let groups: Vec<_> = form.groups.iter().flat_map(of).collect();
        distinct("groups of views", &groups, &suffixes)?;
        Ok(Self { folders, labels: form.labels, suffixes })
    }

    /// The folder of a class.
    ///
    /// # Errors
    /// [`Kind::Argument`] if there is no such class.
    pub fn folder(&self, label: Option<i64>) -> Result<String> {
        let Some(label) = label.filter(|_| self.labels) else { return Ok(UNLABELLED.into()) };
        let number = usize::try_from(label).ok();
        let folder = match self.folders.is_empty() {
            true => number.map(|label| format!("{label:04}")),
            false => number.and_then(|label| self.folders.get(label).cloned()),
        };
        folder.ok_or_else(|| Error::new(Kind::Argument, format!("there is no class {label}")))
    }

    /// The file of picture `picture` of a sample, within the folder of its class.
    pub fn file(&self, index: u64, picture: usize) -> String {
        let suffix = self.suffixes.get(picture).map_or("", String::as_str);
        format!("{index:09}{suffix}")
    }

    /// Pictures of a sample.
    pub fn pictures(&self) -> usize {
        self.suffixes.len()
    }
}

/// A name as that of a folder, on any system: what could leave the folder, hide, mean a device or
/// not be typed becomes `_`.
fn safe(name: &str) -> String {
    let plain = |c: char| match c {
        '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '_',
        c if c.is_control() => '_',
        // Marks that turn the direction of text, and what is not seen.
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '_',
        '\u{feff}' => '_',
        c => c,
    };
    let mut text: String = name.chars().map(plain).collect();
    while text.len() > MAX_NAME {
        text.pop();
    }
    // Leading dots hide; trailing dots and spaces are dropped by some systems.
    let start = text.len() - text.trim_start_matches(['.', ' ']).len();
    text.replace_range(..start, &"_".repeat(start));
    let end = text.trim_end_matches(['.', ' ']).len();
    let dropped = text.len() - end;
    text.replace_range(end.., &"_".repeat(dropped));
    let stem = text.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let numbered = ["com", "lpt"].iter().any(|device| {
        stem.strip_prefix(device)
            .is_some_and(|rest| rest.len() == 1 && rest.bytes().all(|b| b.is_ascii_digit()))
    });
    if text.is_empty() || numbered || DEVICES.contains(&stem.as_str()) {
        text.insert(0, '_');
    }
    text
}

/// No two names are the same folder or file, also where upper and lower case are the same.
fn distinct(what: &str, names: &[String], places: &[String]) -> Result<()> {
    let mut seen = HashMap::new();
    for (name, place) in names.iter().zip(places) {
        if let Some(other) = seen.insert(place.to_lowercase(), name) {
            let message = format!("the {what} {other:?} and {name:?} would be the same files");
            return Err(Error::new(Kind::Argument, message)
                .help("give them names that differ, or export to another format"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::codec::RawForm;
    use crate::recipe::{Dtype, Layout};
    use crate::shard::GroupForm;

    fn form(classes: &[&str], groups: &[(&str, usize)]) -> ShardForm {
        let (dtype, layout) = (Dtype::U8, Layout::Nchw);
        let image = RawForm { channels: 3, height: 8, width: 8, dtype, layout };
        let group = |&(name, views): &(&str, usize)| GroupForm {
            name: name.to_owned(),
            views,
            form: image,
        };
        ShardForm {
            groups: groups.iter().map(group).collect(),
            encoding: Encoding::Png,
            labels: true,
            classes: classes.iter().map(|&name| name.to_owned()).collect(),
            latents: None,
            parameters: false,
        }
    }

    fn path(names: &Names, label: Option<i64>, index: u64, picture: usize) -> String {
        format!("{}/{}", names.folder(label).unwrap(), names.file(index, picture))
    }

    #[test]
    fn a_picture_has_its_class_index_group_and_view_in_its_name() {
        let names = Names::new(&form(&["zero", "one"], &[("", 1)])).unwrap();
        assert_eq!(path(&names, Some(1), 7, 0), "one/000000007.png");
        let names = Names::new(&form(&[], &[("global", 2), ("local", 1)])).unwrap();
        let picture = |picture| path(&names, Some(12), 1_234_567_890, picture);
        assert_eq!(picture(1), "0012/1234567890-global-1.png");
        assert_eq!(picture(2), "0012/1234567890-local.png");
        let unlabelled = ShardForm { labels: false, ..form(&[], &[("", 2)]) };
        let names = Names::new(&unlabelled).unwrap();
        assert_eq!(path(&names, None, 0, 1), "unlabelled/000000000-1.png");
    }

    #[test]
    fn a_class_name_cannot_leave_the_folder_or_hide() {
        for name in ["..", ".", "", "/etc", "a/../../b", "a\\b", ".git", "c:", "\0", "a\nb", "x. "]
            .into_iter()
            .chain(["NUL", "com1.txt", "\u{202e}gpj", " ", "   ...   ", &"ä".repeat(300)])
        {
            let safe = safe(name);
            assert!(!safe.is_empty() && safe.len() <= MAX_NAME + 1, "{name:?} is {safe:?}");
            assert!(!safe.contains(['/', '\\', ':', '\0', '\n', '\u{202e}']), "{safe:?}");
            assert!(!safe.starts_with(['.', ' ']) && !safe.ends_with(['.', ' ']), "{safe:?}");
            assert_eq!(PathBuf::from(&safe).components().count(), 1, "{safe:?}");
            let stem = safe.split('.').next().unwrap().to_lowercase();
            assert!(!["nul", "com1"].contains(&&*stem), "{safe:?}");
        }
        assert_eq!(safe("trouser & shirt, é"), "trouser & shirt, é");
    }

    #[test]
    fn classes_that_would_share_a_folder_are_an_error() {
        for classes in [["a/b", "a\\b"], ["Cat", "cat"], ["same", "same"], ["", "_"]] {
            let error = Names::new(&form(&classes, &[("", 1)])).unwrap_err();
            assert!(error.to_string().contains(&format!("{:?}", classes[1])), "{error}");
        }
        let error = Names::new(&form(&[], &[("a", 2), ("a-0", 1)])).unwrap_err();
        assert!(error.to_string().contains("\"a-0\""), "{error}");
    }

    #[test]
    fn a_label_without_a_class_is_an_error() {
        let names = Names::new(&form(&["zero"], &[("", 1)])).unwrap();
        for label in [1, -1, i64::MAX, i64::MIN] {
            assert!(names.folder(Some(label)).is_err(), "{label}");
        }
    }
}
