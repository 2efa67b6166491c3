//! The file of directions, which the `steer` operation of a recipe reads.
//!
//! safetensors. Each direction is one `f32` tensor with the dimensions of a row of the latent
//! input and length 1, under its name: kebab-case without dots. Names with dots are for walks that
//! are networks (`NAME.0.weight`), the name `mean` is for the mean of a latent; neither is written
//! here. The metadata says `format`, `input`, `method`, `model`, and holds the report as JSON.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::Value;

use super::report::Report;
use crate::error::{Error, Kind, Result};
use crate::whole_file::write_whole;

/// The `format` in the metadata of a file of directions.
pub const FORMAT: &str = "genset directions 1";

/// Directions with their report.
#[derive(Debug, Clone)]
pub struct Found {
    /// One of length 1 for each direction of the report, in its order; as many elements as the
    /// latent input has.
    pub vectors: Vec<Vec<f32>>,
    /// How they were found and what they do.
    pub report: Report,
}

impl Found {
    /// The direction with this name.
    #[must_use]
    pub fn vector(&self, name: &str) -> Option<&[f32]> {
        let at = self.report.directions.iter().position(|direction| direction.name == name)?;
        self.vectors.get(at).map(Vec::as_slice)
    }

    /// The file, the same bytes for the same directions.
    ///
    /// # Errors
    /// [`Kind::Limit`] if the format cannot hold them.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let failed = |e: &dyn std::fmt::Display| {
            Error::new(Kind::Limit, format!("cannot write directions: {e}"))
        };
        let report = &self.report;
        let json = serde_json::to_string(report).map_err(|e| failed(&e))?;
        let metadata: HashMap<String, String> = [
            ("format", FORMAT),
            ("input", &report.input),
            ("method", &report.method),
            ("model", &report.model),
            ("model_digest", &report.model_digest),
            ("report", &json),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        let tensors: Vec<(&str, Vec<u8>)> = report
            .directions
            .iter()
            .zip(&self.vectors)
            .map(|(direction, vector)| {
                let bytes = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
                (direction.name.as_str(), bytes)
            })
            .collect();
        let views = tensors
            .iter()
            .map(|(name, bytes)| {
                let view = TensorView::new(Dtype::F32, report.shape.clone(), bytes);
                view.map(|view| (*name, view)).map_err(|e| failed(&e))
            })
            .collect::<Result<Vec<_>>>()?;
        let bytes = serialize(views, Some(metadata)).map_err(|e| failed(&e))?;
        sorted(&bytes).ok_or_else(|| failed(&"its header cannot be read back"))
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// [`Kind::Io`] naming `path`.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_whole(path, &self.to_bytes()?)
    }
}

/// One past the last sample that the directions in a file were found and measured on, as its report
/// says; `None` if it has no report.
///
/// # Errors
/// [`Kind::Io`] naming `path`; [`Kind::Recipe`] if it is no safetensors file.
pub(crate) fn samples_used(path: &Path) -> Result<Option<u64>> {
    let bytes = std::fs::read(path).map_err(|error| Error::io(path, "read", error))?;
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).map_err(|error| {
        let message = format!("is not a safetensors file: {error}");
        Error::new(Kind::Recipe, message).at(path.display())
    })?;
    let report = header.metadata().as_ref().and_then(|metadata| metadata.get("report"));
    let report: Option<Value> = report.and_then(|text| serde_json::from_str(text).ok());
    let end = |report: &Value, key: &str| report.get(key)?.get(1)?.as_u64();
    Ok(report.and_then(|report| end(&report, "fitted").max(end(&report, "held_out"))))
}

/// The same file with its header in order: the metadata comes out of a hash map, which has
/// another order in every process.
fn sorted(file: &[u8]) -> Option<Vec<u8>> {
    let length = usize::try_from(u64::from_le_bytes(file.get(..8)?.try_into().ok()?)).ok()?;
    let (header, data) = file.get(8..)?.split_at_checked(length)?;
    let mut header: BTreeMap<String, Value> = serde_json::from_slice(header).ok()?;
    let metadata: BTreeMap<String, String> =
        serde_json::from_value(header.remove("__metadata__")?).ok()?;
    // Put together by hand so that it does not hang on how JSON objects are kept.
    let mut text = format!("{{\"__metadata__\":{}", serde_json::to_string(&metadata).ok()?);
    for (name, tensor) in &header {
        let field = |key: &str| serde_json::to_string(tensor.get(key)?).ok();
        text += &format!(
            ",{}:{{\"dtype\":{},\"shape\":{},\"data_offsets\":{}}}",
            serde_json::to_string(name).ok()?,
            field("dtype")?,
            field("shape")?,
            field("data_offsets")?
        );
    }
    text.push('}');
    // The data must begin at a multiple of eight.
    text += &" ".repeat(text.len().next_multiple_of(8) - text.len());
    Some([&(text.len() as u64).to_le_bytes(), text.as_bytes(), data].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directions::report::Direction;

    fn found() -> Found {
        let direction = |name: &str| Direction {
            name: name.into(),
            eigenvalue: None,
            share: None,
            r2: Some(f64::NAN),
            latent_std: 1.0,
            moves: None,
            also: vec![],
            effects: vec![],
        };
        Found {
            vectors: vec![vec![0.0, 1.0, 0.0, 0.0], vec![0.6, 0.0, 0.0, 0.8]],
            report: Report {
                method: "regress".into(),
                model: "g.onnx".into(),
                model_digest: "00".into(),
                seed: 7,
                input: "z".into(),
                shape: vec![2, 2],
                source: vec![],
                ridge: None,
                conditional: false,
                fitted: None,
                held_out: [0, 8],
                step: 1.0,
                attributes: vec![],
                directions: vec![direction("slant"), direction("aspect")],
                skipped: vec![],
            },
        }
    }

    #[test]
    fn the_file_reads_back_as_it_was_found() {
        let bytes = found().to_bytes().unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut names = file.names();
        names.sort_unstable();
        assert_eq!(names, ["aspect", "slant"]);
        let tensor = file.tensor("aspect").unwrap();
        assert_eq!((tensor.dtype(), tensor.shape()), (Dtype::F32, &[2, 2][..]));
        let values: Vec<u8> =
            [0.6f32, 0.0, 0.0, 0.8].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(tensor.data(), values);
        let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        let metadata = metadata.metadata().as_ref().unwrap();
        assert_eq!((metadata["format"].as_str(), metadata["input"].as_str()), (FORMAT, "z"));
        let report: Value = serde_json::from_str(&metadata["report"]).unwrap();
        assert_eq!(report["directions"][0]["name"], "slant");
        // No number is no number, in JSON.
        assert_eq!(report["directions"][0]["r2"], Value::Null);
        assert_eq!(found().vector("slant"), Some(&[0.0, 1.0, 0.0, 0.0][..]));
        assert_eq!(found().vector("none"), None);
    }

    #[test]
    fn the_header_is_in_order_whatever_the_hash_map_says() {
        let first = found().to_bytes().unwrap();
        for _ in 0..8 {
            assert_eq!(found().to_bytes().unwrap(), first);
        }
        let text = String::from_utf8_lossy(&first[8..]).into_owned();
        let places = ["__metadata__", "\"format\"", "\"model\"", "\"aspect\":{", "\"slant\":{"];
        let places = places.map(|part| text.find(part).unwrap());
        assert!(places.is_sorted(), "{places:?}");
    }

    #[test]
    fn a_file_is_written_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dirs.safetensors");
        found().write(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), found().to_bytes().unwrap());
        assert_eq!(samples_used(&path).unwrap(), Some(8));
        let error = found().write(&folder.path().join("none/dirs.safetensors")).unwrap_err();
        assert!(error.to_string().contains("none/dirs.safetensors"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
