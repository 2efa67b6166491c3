//! `cargo xtask …`: set-up and checks, so that a fresh clone needs one command.
//!
//! `cargo xtask test` runs every check in order, fetches what the checks need, and stops at the
//! first that fails.

mod python;
mod steps;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use steps::{STEPS, Step};

/// Why a step failed: what to tell a person, on one or more lines.
type Failure = String;
type Outcome = Result<(), Failure>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let chosen = match words.as_slice() {
        [] | ["help" | "-h" | "--help"] | ["test", "-h" | "--help"] => {
            println!("{}", help());
            return ExitCode::SUCCESS;
        }
        ["test"] => Ok(STEPS.iter().collect()),
        ["test", "--only", names] => choose(names),
        ["test", "--skip", names] => choose(names).map(|skipped| without(&skipped)),
        ["test", one] if one.starts_with("--only=") => choose(&one["--only=".len()..]),
        ["test", one] if one.starts_with("--skip=") => {
            choose(&one["--skip=".len()..]).map(|skipped| without(&skipped))
        }
        _ => Err(format!("cannot understand `{}`", words.join(" "))),
    };
    match chosen {
        Ok(chosen) => steps::run(&chosen),
        Err(problem) => {
            eprintln!("error: {problem}\n\n{}", help());
            ExitCode::from(2)
        }
    }
}

/// The steps called `names`, in their own order.
fn choose(names: &str) -> Result<Vec<&'static Step>, Failure> {
    let names: Vec<&str> =
        names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if let Some(unknown) = names.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        return Err(format!("there is no step `{unknown}`"));
    }
    if names.is_empty() {
        return Err("--only and --skip need the name of a step".into());
    }
    Ok(STEPS.iter().filter(|step| names.contains(&step.name)).collect())
}

/// All steps but `skipped`.
fn without(skipped: &[&Step]) -> Vec<&'static Step> {
    STEPS.iter().filter(|step| skipped.iter().all(|other| other.name != step.name)).collect()
}

fn help() -> String {
    let mut text = String::from(
        "cargo xtask test                          run every check, stop at the first that fails\n\
         cargo xtask test --only fmt,clippy        run only these\n\
         cargo xtask test --skip openvino,python   run all but these\n\n\
         steps, in order:\n",
    );
    for step in STEPS {
        text.push_str(&format!("  {:<12} {}\n", step.name, step.about));
    }
    text.push_str(
        "\nSystem packages (Debian names): gcc and libc6-dev (Rust links with them), python3,\n\
         python3-venv. Everything else is fetched by the steps that need it: ONNX Runtime by\n\
         `runtime`, OpenVINO (60 MB) by `openvino`, ONNX Runtime's last release with training (30 MB) by\n\
         `ort-training`, PyTorch (3 GB) by `python`, `interchange` and `bindings`.",
    );
    text
}

/// The root of the repository.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// A command that runs in the root of the repository.
fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// Runs a command with our own output, and fails as it does.
fn call(command: &mut Command) -> Outcome {
    let line = line_of(command);
    println!("$ {line}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{line}` failed ({status})")),
        Err(error) => Err(format!("`{line}` cannot be run: {error}")),
    }
}

/// Whether a command works; its output is not shown.
fn works(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// A command as one would type it.
fn line_of(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut line =
        program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_chosen_by_name_and_run_in_their_own_order() {
        let names = |chosen: Vec<&Step>| chosen.iter().map(|step| step.name).collect::<Vec<_>>();
        assert_eq!(names(choose("clippy, fmt").unwrap()), ["fmt", "clippy"]);
        assert_eq!(choose("fmt,lint").err().unwrap(), "there is no step `lint`");
        assert!(choose("").is_err());
        let rest = names(without(&choose("python,openvino").unwrap()));
        assert_eq!(rest.len(), STEPS.len() - 2);
        assert!(!rest.contains(&"python") && !rest.contains(&"openvino"), "{rest:?}");
    }
}
