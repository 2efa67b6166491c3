//! ONNX Runtime's training API, in a process of its own.
//!
//! Training ended with ONNX Runtime 1.19.2. No published library of it answers `GetTrainingApi`; the
//! packages that train have it inside a Python module, which exports nothing else. So a Python with
//! that package does the training, `onnx/ort_training.py`, told by messages through pipes what to do. The
//! same messages are described there.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::child::last_lines;
use super::python::interpreters;
use super::tensor::Tensor;
use crate::error::{Error, Kind, Result};
use crate::graph::Element;

/// What the other process runs.
const PROGRAM: &str = include_str!("../../onnx/ort_training.py");
/// It has nothing to do when it is told to end.
const END_LIMIT: Duration = Duration::from_secs(2);
/// An answer larger than this is none.
const ANSWER_LIMIT: u64 = 4 << 30;
/// Of its last words.
const WORDS_LIMIT: u64 = 4096;

/// A model that is being trained in another process.
#[derive(Debug)]
pub struct TrainingProcess {
    python: PathBuf,
    child: Child,
    /// `None` once it is told to end.
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    words: File,
    inputs: Vec<String>,
    version: String,
}

/// What a batch gives: names and elements.
pub type Outputs = Vec<(String, Vec<f32>)>;

impl TrainingProcess {
    /// Has `python`, or the active one, make the artifacts of the model `graph`, and a session on `threads`
    /// threads.
    ///
    /// # Errors
    /// [`Kind::Runtime`] if there is no such Python, or none with the training API; says what would be
    /// needed.
    pub fn open(python: Option<&Path>, graph: &[u8], threads: usize) -> Result<Self> {
        let pythons = python.map_or_else(interpreters, |python| vec![python.to_owned()]);
        let words =
            tempfile::tempfile().map_err(|error| Error::io(&std::env::temp_dir(), "use", error))?;
        let mut started = None;
        for python in pythons {
            // Isolated: nothing in the working folder is taken for a module.
            let mut command = Command::new(&python);
            command.args(["-I", "-c", PROGRAM, "serve"]).stdin(Stdio::piped());
            let words = words.try_clone().map_err(|error| Error::io(&python, "start", error))?;
            if let Ok(child) = command.stdout(Stdio::piped()).stderr(words).spawn() {
                started = Some((python, child));
                break;
            }
        }
        let Some((python, mut child)) = started else {
            let which = python.map_or("no Python".into(), |python| python.display().to_string());
            return Err(
                Error::new(Kind::Runtime, format!("{which} cannot be started")).help(NEEDED)
            );
        };
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::new(Kind::Runtime, "a process has no pipes"));
        };
        let mut process = Self {
            python,
            child,
            requests: Some(requests),
            answers: BufReader::new(answers),
            words,
            inputs: Vec::new(),
            version: String::new(),
        };
        let opened = process.ask(json!({ "do": "open", "threads": threads }), &[graph]);
        let (said, _) = opened.map_err(|error| error.help(NEEDED))?;
        let names = said["inputs"].as_array().into_iter().flatten();
        process.inputs = names.filter_map(|name| name.as_str().map(str::to_owned)).collect();
        process.version = said["onnxruntime"].as_str().unwrap_or_default().to_owned();
        Ok(process)
    }

    /// What it takes for each batch.
    #[must_use]
    pub fn inputs(&self) -> &[String] {
        &self.inputs
    }

    /// The version of its ONNX Runtime.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Adds the gradients of a batch to those that are there. Gives all outputs, and as `gradient_norm` the
    /// norm of all gradients.
    ///
    /// # Errors
    /// [`Kind::Runtime`] with what the other process says, or its last words.
    pub fn gather(&mut self, inputs: &[(&str, &Tensor)]) -> Result<Outputs> {
        let mut described = Vec::new();
        let mut content = Vec::new();
        for (name, tensor) in inputs {
            described.push(json!([name, type_of(tensor.element())?, tensor.shape()]));
            content.push(tensor.view()?.as_bytes());
        }
        let (said, made) = self.ask(json!({ "do": "gather", "tensors": described }), &content)?;
        let mut rest = floats(&made).into_iter();
        let outputs = said["outputs"].as_array().into_iter().flatten();
        let outputs = outputs.filter_map(|output| {
            let (name, count) = (output[0].as_str()?, output[1].as_u64()?);
            Some((name.to_owned(), rest.by_ref().take(count as usize).collect()))
        });
        Ok(outputs.collect())
    }

    /// Moves the parameters by the gradients that there are, and begins new ones.
    ///
    /// # Errors
    /// As [`TrainingProcess::gather`].
    pub fn move_parameters(&mut self, rate: f64) -> Result<()> {
        self.ask(json!({ "do": "move", "rate": rate }), &[]).map(drop)
    }

    /// The elements of a parameter as it is now.
    ///
    /// # Errors
    /// As [`TrainingProcess::gather`].
    pub fn parameter(&mut self, name: &str) -> Result<Vec<f32>> {
        let (_, content) = self.ask(json!({ "do": "get", "name": name }), &[])?;
        Ok(floats(&content))
    }

    /// Sets a parameter.
    ///
    /// # Errors
    /// As [`TrainingProcess::gather`].
    pub fn set_parameter(&mut self, name: &str, values: &[f32]) -> Result<()> {
        let content = bytemuck::cast_slice(values);
        self.ask(json!({ "do": "set", "name": name }), &[content]).map(drop)
    }

    /// Parameters and what the optimizer remembers.
    ///
    /// # Errors
    /// As [`TrainingProcess::gather`].
    pub fn checkpoint(&mut self) -> Result<Vec<u8>> {
        Ok(self.ask(json!({ "do": "save" }), &[])?.1)
    }

    /// Goes back to what [`TrainingProcess::checkpoint`] gave.
    ///
    /// # Errors
    /// As [`TrainingProcess::gather`].
    pub fn restore(&mut self, checkpoint: &[u8]) -> Result<()> {
        self.ask(json!({ "do": "load" }), &[checkpoint]).map(drop)
    }

    /// One message there and one back.
    fn ask(&mut self, mut asked: Value, content: &[&[u8]]) -> Result<(Value, Vec<u8>)> {
        asked["bytes"] = json!(content.iter().map(|part| part.len()).sum::<usize>());
        let asked = asked.to_string();
        let exchanged = self.exchange(asked.as_bytes(), content);
        let (said, content) = exchanged.map_err(|error| self.ended(&error))?;
        match said["error"].as_str() {
            Some(error) => {
                let error = super::session::one_line(error);
                Err(Error::new(Kind::Runtime, format!("ONNX Runtime's training API: {error}"))
                    .at(self.python.display()))
            }
            None => Ok((said, content)),
        }
    }

    fn exchange(&mut self, asked: &[u8], content: &[&[u8]]) -> std::io::Result<(Value, Vec<u8>)> {
        let requests = self.requests.as_mut().ok_or(std::io::ErrorKind::BrokenPipe)?;
        requests.write_all(&u32::try_from(asked.len()).unwrap_or(u32::MAX).to_le_bytes())?;
        requests.write_all(asked)?;
        for part in content {
            requests.write_all(part)?;
        }
        requests.flush()?;
        let mut size = [0; 4];
        self.answers.read_exact(&mut size)?;
        let mut document = vec![0; u32::from_le_bytes(size) as usize];
        self.answers.read_exact(&mut document)?;
        let said: Value = serde_json::from_slice(&document)?;
        let size = said["bytes"].as_u64().unwrap_or(0);
        if size > ANSWER_LIMIT {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        let mut content = vec![0; size as usize];
        self.answers.read_exact(&mut content)?;
        Ok((said, content))
    }

    /// What to say of a process that does not answer any more.
    fn ended(&mut self, error: &std::io::Error) -> Error {
        let mut words = String::new();
        let length = self.words.seek(SeekFrom::End(0)).unwrap_or(0);
        let _ = self.words.seek(SeekFrom::Start(length.saturating_sub(WORDS_LIMIT)));
        let _ = (&self.words).take(WORDS_LIMIT).read_to_string(&mut words);
        let last = match last_lines(&words, 1) {
            said if said.is_empty() => error.to_string(),
            said => format!("its last words: {said}"),
        };
        Error::new(Kind::Runtime, format!("the training process has ended; {last}"))
            .at(self.python.display())
    }
}

impl Drop for TrainingProcess {
    fn drop(&mut self) {
        // It ends when nothing more can come.
        self.requests = None;
        let deadline = Instant::now() + END_LIMIT;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        // Both fail only if it has ended by now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const NEEDED: &str = "the backend ort-training needs Python 3.11 or older with the packages of \
                      onnx/requirements-training.txt (Linux, x86-64): name it by --training-python";

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
}

/// NumPy's name of a type.
fn type_of(element: Element) -> Result<&'static str> {
    Ok(match element {
        Element::F32 => "<f4",
        Element::F16 => "<f2",
        Element::U8 => "|u1",
        Element::I64 => "<i8",
        other => return Err(Error::new(Kind::Model, format!("training is not fed {other}"))),
    })
}
