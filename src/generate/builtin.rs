//! The generators that ship with genset, embedded with their recipes.

use bytes::Bytes;

use crate::error::{Error, Kind, Result};

/// A generator that needs no file: `builtin:NAME`.
#[derive(Debug)]
pub struct Builtin {
    /// What follows `builtin:`.
    pub name: &'static str,
    /// The ONNX file.
    pub model: &'static [u8],
    /// Its recipe.
    pub recipe: &'static str,
}

const BUILTINS: [Builtin; 2] = [
    Builtin {
        name: "digits",
        model: include_bytes!("../../onnx/models/digits.onnx"),
        recipe: include_str!("../../onnx/models/digits.toml"),
    },
    Builtin {
        name: "fashion",
        model: include_bytes!("../../onnx/models/fashion.onnx"),
        recipe: include_str!("../../onnx/models/fashion.toml"),
    },
];

/// All generators that ship with genset.
#[must_use]
pub fn builtins() -> &'static [Builtin] {
    &BUILTINS
}

impl Builtin {
    /// The one called `name`, without the prefix.
    ///
    /// # Errors
    /// [`Kind::Recipe`] with the names there are.
    pub fn find(name: &str) -> Result<&'static Self> {
        BUILTINS.iter().find(|builtin| builtin.name == name).ok_or_else(|| {
            let names = BUILTINS.iter().map(|b| format!("builtin:{}", b.name));
            Error::new(Kind::Recipe, format!("there is no generator `builtin:{name}`"))
                .help(format!("there are: {}", names.collect::<Vec<_>>().join(", ")))
        })
    }

    /// Its ONNX bytes, without a copy.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        Bytes::from_static(self.model)
    }
}
