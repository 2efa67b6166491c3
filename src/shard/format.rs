//! The formats that shards come in, by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::codec::Encoding;
use crate::error::{Error, Kind, Result};

/// Longest part of a shard's name that comes from the recipe's name.
const MAX_STEM: usize = 64;

/// A format of shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Tensors behind a JSON header, read through a memory map: for speed.
    Safetensors,
    /// Tar files of one member a picture and a label: for interchange.
    WebDataset,
    /// Shards of MosaicML Streaming.
    Mds,
    /// Folders of image files by class, as `ImageFolder` reads them.
    Images,
}

impl Format {
    /// Every format with its name.
    pub const ALL: [(&'static str, Self); 4] = [
        ("safetensors", Self::Safetensors),
        ("webdataset", Self::WebDataset),
        ("mds", Self::Mds),
        ("images", Self::Images),
    ];

    /// Its name on the command line and in manifests.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, format)| *format == self).map_or("?", |(name, _)| name)
    }

    /// How images are written in it unless something else is asked for.
    #[must_use]
    pub fn default_encoding(self) -> Encoding {
        match self {
            Self::Safetensors | Self::Mds => Encoding::Raw,
            Self::WebDataset | Self::Images => Encoding::Png,
        }
    }

    /// What the shard `number` of the dataset `name` is called.
    #[must_use]
    pub fn shard_name(self, name: &str, number: u64) -> String {
        let stem = stem(name);
        match self {
            Self::Safetensors | Self::Images => format!("{stem}-{number:06}.safetensors"),
            Self::WebDataset => format!("{stem}-{number:06}.tar"),
            Self::Mds => format!("{stem}.{number:05}.mds"),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, format)| *format).ok_or_else(
            || {
                let known: Vec<_> = Self::ALL.iter().map(|(name, _)| *name).collect();
                Error::new(Kind::Argument, format!("unknown format `{text}`"))
                    .help(format!("known: {}", known.join(", ")))
            },
        )
    }
}

/// The letters of a name that are letters in every file system, URL and shell.
fn stem(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let text: String = name.chars().take(MAX_STEM).map(plain).collect();
    let text = text.trim_matches('-');
    if text.is_empty() { "samples".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_read_back_and_unknown_ones_list_the_known() {
        for (name, format) in Format::ALL {
            assert_eq!(name.parse::<Format>().unwrap(), format);
            assert_eq!(serde_json::to_string(&format).unwrap(), format!("\"{name}\""));
        }
        let error = "parquet".parse::<Format>().unwrap_err().to_string();
        assert!(error.contains("`parquet`") && error.contains("webdataset"), "{error}");
    }

    #[test]
    fn a_shards_name_is_harmless_whatever_the_recipes() {
        for name in ["../../etc", "a/b\\c", "", "...", "\0", "Ziffern für alle", &"x".repeat(999)]
        {
            let shard = Format::Safetensors.shard_name(name, 3);
            assert!(shard.ends_with("-000003.safetensors") && shard.len() < 100, "{shard}");
            assert!(!shard.contains(['/', '\\', '\0', ' ']) && !shard.starts_with(['.', '-']));
        }
        assert_eq!(Format::WebDataset.shard_name("digits", 1_000_000), "digits-1000000.tar");
    }
}
