//! The identity of a dataset: BLAKE3 over the generator's bytes and a canonical recipe.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use super::{Balance, Distribution, Encoding, LatentEdit, Output, Recipe, Role, invalid};
use crate::error::{Error, Result};

/// Changes whenever equal recipes give other bytes than before.
const VERSION: &str = "genset dataset v1";

/// A dataset's identity. Prints as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match blake3::Hash::from_hex(text) {
            Ok(hash) => Ok(Self(*hash.as_bytes())),
            Err(error) => Err(invalid(format!("\"{text}\" is not a digest: {error}"))
                .help("a digest is 64 hexadecimal digits")),
        }
    }
}

pub(super) fn digest(
    recipe: &Recipe,
    model: impl FnOnce(&mut blake3::Hasher) -> Result<()>,
) -> Result<Digest> {
    finish(&text(recipe), model)
}

/// The digest of a canonical text and of files.
pub(super) fn finish(
    text: &str,
    files: impl FnOnce(&mut blake3::Hasher) -> Result<()>,
) -> Result<Digest> {
    let mut hasher = blake3::Hasher::new_derive_key(VERSION);
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
    files(&mut hasher)?;
    Ok(Digest(*hasher.finalize().as_bytes()))
}

/// One line a fact, in a fixed order, inputs sorted by name, floats in shortest exact form.
fn text(recipe: &Recipe) -> String {
    let generator = &recipe.generator;
    let mut text = format!(
        "seed {}\nprecision {}\nblock {}\n",
        recipe.seed,
        generator.precision.name(),
        generator.block
    );
    let mut inputs: Vec<_> = generator.inputs.iter().collect();
    inputs.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, role) in inputs {
        let meaning = match role {
            Role::Latent(d) | Role::Noise(d) => distribution(d),
            Role::Class(class) => {
                let encoding = match class.encoding {
                    Encoding::OneHot => "one-hot",
                    Encoding::Index => "index",
                };
                let balance = match &class.balance {
                    Balance::Uniform => "uniform".to_owned(),
                    Balance::Weights(weights) => format!("weights {weights:?}"),
                    Balance::Only(only) => format!("only {only:?}"),
                };
                format!("{encoding} {} {balance}", class.classes)
            }
            Role::Truncation(value) => format!("{value:?}"),
            Role::Constant(values) => format!("{values:?}"),
        };
        // `{name:?}` quotes, so that a name cannot pretend to be another line.
        let _ = writeln!(text, "input {name:?} {} {meaning}", role.name());
    }
    let output = &generator.output;
    let _ = writeln!(
        text,
        "image {:?} {} {:?} {:?}",
        output.name,
        output.layout.map_or("-", super::ImageLayout::name),
        output.range,
        output.shape
    );
    text.push_str(&recipe.views.canonical());
    text.extend(recipe.edits.iter().map(LatentEdit::canonical));
    deliver(&recipe.output, &mut text);
    if !recipe.exclude.is_empty() {
        let _ = writeln!(text, "exclude {:?}", recipe.exclude);
    }
    if let Some(cache) = &recipe.cache {
        text.push_str(&cache.canonical(generator.block));
    }
    if let Some(mix) = &recipe.mix {
        text.push_str(&mix.canonical());
    }
    text
}

/// What is delivered.
pub(super) fn deliver(output: &Output, text: &mut String) {
    let _ = writeln!(text, "deliver {} {}", output.dtype.name(), output.layout.name());
    if let Some(normalise) = &output.normalise {
        let _ = writeln!(text, "normalise {:?} {:?}", normalise.mean, normalise.std);
    }
}

fn distribution(distribution: &Distribution) -> String {
    match distribution {
        Distribution::Normal { truncation } => format!("normal {truncation:?}"),
        Distribution::Uniform { low, high } => format!("uniform {low:?} {high:?}"),
        Distribution::UniformBall { radius } => format!("uniform-ball {radius:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn digest_of(text: &str, model: &[u8]) -> Digest {
        let recipe = Recipe::parse(text, "r", Path::new(".")).unwrap();
        let hash = |hasher: &mut blake3::Hasher| {
            hasher.update(model);
            Ok(())
        };
        recipe.digest(hash).unwrap()
    }

    const BASE: &str = "name = \"a\"\nseed = 1\n[generator]\nmodel = \"g.onnx\"\n";

    #[test]
    fn spelling_names_and_length_are_not_identity() {
        let same = "samples = 9\nname='b'\nseed=0x1\ngenerator={block=32,model='other.onnx'}";
        assert_eq!(digest_of(BASE, b"m"), digest_of(same, b"m"));
    }

    #[test]
    fn everything_that_changes_bytes_is_identity() {
        let base = digest_of(BASE, b"m");
        assert_ne!(base, digest_of(BASE, b"n"));
        for more in [
            "block = 31",
            "precision = \"f16\"",
            "inputs.z = { role = \"latent\" }",
            "output.range = [0, 1]",
            "[views]\ncount = 2",
            "[views]\nlatent = [{op=\"gaussian\", std=0.5}]",
            "[output]\ndtype = \"f32\"",
            "[output]\nlayout = \"NHWC\"",
            "[cache]\nbudget = \"1 GB\"\necho = 2",
        ] {
            assert_ne!(base, digest_of(&format!("{BASE}{more}"), b"m"), "{more}");
        }
    }

    #[test]
    fn what_is_excluded_is_identity_and_the_order_of_the_list_is_not() {
        let with = |list: &str| digest_of(&format!("exclude = {list}\n{BASE}"), b"m");
        assert_eq!(with("[]"), digest_of(BASE, b"m"));
        assert_eq!(with("[5, 3, 5]"), with("[5, 5, 3]"));
        assert!(with("[5, 3]") != with("[5, 5, 3]") && with("[3]") != with("[]"));
    }

    #[test]
    fn the_order_of_echoes_is_identity_and_what_is_kept_for_it_is_not() {
        let with = |cache: &str| digest_of(&format!("{BASE}[cache]\n{cache}"), b"m");
        let base = with("budget = \"1 GB\"\necho = 4\nspread = 64");
        let same =
            "budget = \"9 MB\"\ndisk = \"1 TB\"\necho = 4\necho-at = \"pixels\"\nspread = 33";
        assert_eq!(base, with(same));
        for more in
            ["echo = 3\nspread = 64", "echo = 4", "echo = 4\nspread = 64\necho-at = \"views\""]
        {
            assert_ne!(base, with(&format!("budget = \"1 GB\"\n{more}")), "{more}");
        }
    }

    #[test]
    fn digests_read_back() {
        let digest = digest_of(BASE, b"m");
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        assert!("12".parse::<Digest>().is_err());
    }
}
