//! What happens when something is wrong: models, recipes, providers, consumers, signals, memory.
//!
//! Every bad input has a test that reads the message. The pipeline's own failures are proved with
//! stand-ins for generators in `src/load/tests`.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod apart;
mod models;
mod providers;
mod recipes;
mod samples;
mod signals;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use genset::load::Options;
use genset::runtime::{Runtime, Search};
use tempfile::TempDir;

/// A mistake is told faster than this, on a busy machine too.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Long enough for a busy machine, short enough to tell a hang.
const LIMIT: Duration = Duration::from_secs(60);

/// A model of `tests/models`.
fn model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models").join(format!("{name}.onnx"))
}

/// A folder with a recipe for a model that is copied there.
struct Folder(TempDir);

impl Folder {
    fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The model and a recipe that fits the plain ones.
    fn of(name: &str) -> Self {
        let folder = Self::empty();
        fs::copy(model(name), folder.path("model.onnx")).unwrap();
        folder.recipe(PLAIN)
    }

    fn recipe(self, text: &str) -> Self {
        fs::write(self.path("recipe.toml"), text).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `genset digest recipe.toml` with more arguments.
    fn digest(&self, arguments: &[&str]) -> Ran {
        let recipe = self.path("recipe.toml");
        ran(genset().arg("digest").arg(recipe).args(["--count", "64"]).args(arguments))
    }
}

/// For models with a latent `z` and an image output in NCHW.
const PLAIN: &str = r#"name = "plain"
seed = 3

[generator]
model = "model.onnx"
block = 16

[generator.inputs.z]
role = "latent"

[generator.output]
layout = "NCHW"
range = [-1, 1]

[views]
count = 1
"#;

/// Opens the runtime once, which installs it if it is not there.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<&Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::open(&options().search).unwrap())
}

fn options() -> Options {
    let search = Search { install: true, say: |line| eprintln!("{line}"), ..Search::default() };
    Options { search, ..Options::default() }
}

fn genset() -> Command {
    runtime();
    let mut command = Command::new(assert_cmd::cargo_bin!("genset"));
    command.env_remove("RANK").env_remove("WORLD_SIZE").stdin(Stdio::null());
    command
}

/// What a command did.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
    time: Duration,
}

fn ran(command: &mut Command) -> Ran {
    let begun = Instant::now();
    let mut command = assert_cmd::Command::from_std(std::mem::replace(command, Command::new("")));
    let output = command.timeout(LIMIT).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran {
        code: output.status.code(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
        time: begun.elapsed(),
    }
}

impl Ran {
    /// Ended with `code`, without a panic, and said all of `words` on stderr.
    #[track_caller]
    fn says(&self, code: i32, words: &[&str]) -> &Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is not in: {}", self.stderr);
        }
        self
    }

    #[track_caller]
    fn at_once(&self) -> &Self {
        assert!(self.time < AT_ONCE, "{self:?}");
        self
    }
}
