//! What a generator is, what is wrong with it, and a recipe for it; and what of it runs where, how
//! exactly.
//!
//! [`Inspection`] reads a model or a recipe, proposes what a recipe leaves out, asks for what no
//! file says, and runs a few samples to find out whether the generator keeps its word.
//! [`precision()`] and [`placement()`] ask a dataset that is open.

mod placement;
mod precision;

use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

pub use placement::{Placements, Share, placement};
pub use precision::{Reduced, precision};

use crate::error::{Error, Kind, Result};
use crate::generate::doctor::{self, Diagnosis, Finding};
use crate::generate::infer::{self, Proposal, Question};
use crate::generate::{Contract, output_shape, resolve};
use crate::graph::{Model, ValueInfo};
use crate::load::{read_model, read_recipe};
use crate::recipe::{BUILTIN_PREFIX, Notes, Recipe};
use crate::runtime::{Runtime, Search};
use crate::whole_file::write_whole;

/// What was found out about a generator.
#[derive(Debug)]
pub struct Inspection {
    /// The generator's file.
    pub model: Model,
    /// The recipe, as far as it is known, and what is not known.
    pub proposal: Proposal,
    /// What inputs and outputs mean; `None` while questions are open, or the model cannot be used.
    pub contract: Option<Contract>,
    /// What a run showed; `None` if there was none.
    pub diagnosis: Option<Diagnosis>,
    /// What is to be known of it, the worst first.
    pub findings: Vec<Finding>,
}

impl Inspection {
    /// Inspects what is at a path: an ONNX file, a recipe, or `builtin:NAME`. `settings` are put
    /// over the recipe, as answers to questions. A recipe for an ONNX file is meant for `output`, or
    /// to lie beside the file.
    ///
    /// # Errors
    /// Those of reading the files, of [`Runtime::open`] and of running the generator;
    /// [`Kind::Argument`] if the model is not in or below the folder of `output`. What is wrong with the generator
    /// is no error here: [`Inspection::failure`] says it.
    pub fn of_path(
        target: &Path,
        output: Option<&Path>,
        settings: &[String],
        search: &Search,
    ) -> Result<Self> {
        let builtin = target.to_str().is_some_and(|text| text.starts_with(BUILTIN_PREFIX));
        let toml = target.extension().is_some_and(|e| e.eq_ignore_ascii_case("toml"));
        if builtin || toml {
            return Self::of_recipe(read_recipe(target, settings)?, search);
        }
        let model = Model::read(target)?;
        let (folder, relative) = place(target, output)?;
        let text = format!("[generator]\nmodel = {}\n", toml_edit::Value::from(relative));
        let stem = target.file_stem().unwrap_or_default().to_string_lossy();
        let recipe = Recipe::parse_with(&text, "--set", &stem, &folder, settings)?;
        Self::new(recipe, model, search)
    }

    /// Inspects the generator of a recipe, which may leave out what can be found out.
    ///
    /// # Errors
    /// As [`Inspection::of_path`].
    pub fn of_recipe(recipe: Recipe, search: &Search) -> Result<Self> {
        let model = read_model(&recipe)?;
        Self::new(recipe, model, search)
    }

    fn new(recipe: Recipe, model: Model, search: &Search) -> Result<Self> {
        let mut proposal = infer::propose(recipe, &model)?;
        let findings = doctor::read_only(&model, &proposal.recipe);
        let hopeless = doctor::hopeless(&findings).is_some();
        if hopeless {
            proposal.questions.clear();
        }
        if hopeless || !proposal.questions.is_empty() {
            return Ok(Self { model, proposal, contract: None, diagnosis: None, findings });
        }
        let runtime = Runtime::open(search)?;
        let contract =
            resolve(&mut proposal.recipe, &model, &mut |recipe, inputs, batch, output| {
                output_shape(runtime, &model, recipe, inputs, batch, output)
            })?;
        let diagnosis = doctor::examine(runtime, &model, &proposal.recipe, &contract)?;
        let findings = diagnosis.findings.clone();
        let (contract, diagnosis) = (Some(contract), Some(diagnosis));
        Ok(Self { model, proposal, contract, diagnosis, findings })
    }

    /// Why there is no recipe that runs, if there is none: what is wrong, or which questions are
    /// open and how to answer them.
    #[must_use]
    pub fn failure(&self) -> Option<Error> {
        let name = self.model.name();
        if let Some(finding) = doctor::hopeless(&self.findings) {
            let message = format!("{name} cannot be used: {}", finding.message);
            return Some(Error::new(Kind::Model, message).help(finding.help));
        }
        let questions = &self.proposal.questions;
        if questions.is_empty() {
            return None;
        }
        let whats: Vec<_> = questions.iter().map(|question| question.what.as_str()).collect();
        let set = |question: &Question| format!("--set '{}'", question.setting);
        let settings: Vec<_> = questions.iter().map(set).collect();
        let message = format!("{name} does not say {}", whats.join("; "));
        let help = format!("answer, with the true values, by: {}", settings.join(" "));
        Some(Error::new(Kind::Recipe, message).help(help))
    }

    /// The recipe as TOML, with everything that is known filled in, and why it says so.
    #[must_use]
    pub fn recipe_text(&self) -> String {
        self.proposal.recipe.to_toml(&self.proposal.notes)
    }

    /// Writes the recipe to a file, whole or not at all.
    ///
    /// # Errors
    /// [`Inspection::failure`], if there is no recipe; [`Kind::Io`] if it cannot be written.
    pub fn write(&self, file: &Path) -> Result<()> {
        match self.failure() {
            Some(error) => Err(error),
            None => write_whole(file, self.recipe_text().as_bytes()),
        }
    }

    fn document(&self) -> Value {
        let Self { model, proposal, contract, diagnosis, findings } = self;
        let failure = self.failure();
        let finding = |f: &Finding| json!({ "severity": f.severity.to_string(), "code": f.code, "message": f.message, "help": f.help });
        json!({
            "model": model.name(),
            "parameters": model.parameters(),
            "bytes": model.bytes().len(),
            "opset": model.opset(),
            "producer": model.producer(),
            "inputs": model.inputs().iter().map(port).collect::<Vec<_>>(),
            "outputs": model.outputs().iter().map(port).collect::<Vec<_>>(),
            "image": contract.as_ref().map(|c| json!({
                "channels": c.image.channels,
                "height": c.image.height,
                "width": c.image.width,
                "range": c.image.range,
                "layout": c.layout.name(),
            })),
            "values": diagnosis.as_ref().and_then(|d| d.values),
            "output_bytes": diagnosis.as_ref().map(|d| d.output_bytes),
            "block_memory_bytes": diagnosis.as_ref().and_then(|d| d.block_memory_bytes),
            "findings": findings.iter().map(finding).collect::<Vec<_>>(),
            "questions": proposal.questions.iter().map(|q| {
                json!({ "what": q.what, "set": q.setting })
            }).collect::<Vec<_>>(),
            "error": failure.as_ref(),
            "recipe": failure.is_none().then(|| proposal.recipe.to_toml(&Notes::new())),
        })
    }
}

/// One document of all of it, with `error` where there is no recipe that runs.
impl Serialize for Inspection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.document().serialize(serializer)
    }
}

fn port(info: &ValueInfo) -> Value {
    let dims = |dims: &Vec<_>| dims.iter().map(ToString::to_string).collect::<Vec<_>>();
    let shape = info.shape.as_ref().map(dims);
    json!({ "name": info.name, "element": info.element.to_string(), "shape": shape })
}

/// The folder of the recipe, and the model's path from there. A recipe cannot name a model outside
/// its folder.
fn place(model: &Path, output: Option<&Path>) -> Result<(PathBuf, String)> {
    let folder = match output.unwrap_or(model).parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let real = |path: &Path| path.canonicalize().map_err(|e| Error::io(path, "find", e));
    let relative = real(model)?.strip_prefix(real(&folder)?).map(Path::to_path_buf);
    match relative {
        Ok(relative) => Ok((folder, relative.to_string_lossy().into_owned())),
        Err(_) => Err(Error::new(
            Kind::Argument,
            format!("a recipe in {} cannot name {}", folder.display(), model.display()),
        )
        .help("write the recipe beside the model, or in a folder above it")),
    }
}
