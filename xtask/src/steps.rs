//! The checks: one table, run from top to bottom.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use genset::runtime::{Package, Runtime, Search};

use crate::{Failure, Outcome, call, command, python, works};

/// One check.
#[derive(Debug)]
pub(crate) struct Step {
    /// What `--only` and `--skip` call it.
    pub(crate) name: &'static str,
    /// What it does, for the help.
    pub(crate) about: &'static str,
    run: fn() -> Outcome,
}

/// Cheap ones first, so that a small mistake is found in seconds.
pub(crate) const STEPS: &[Step] = &[
    Step { name: "tools", about: "what this machine must have", run: tools },
    Step { name: "fmt", about: "formatting (rustfmt)", run: fmt },
    Step { name: "clippy", about: "lints, with and without default features", run: clippy },
    Step { name: "doc", about: "documentation builds without a warning (rustdoc)", run: doc },
    Step { name: "runtime", about: "ONNX Runtime is here, or is installed", run: runtime },
    Step { name: "test", about: "unit and integration tests, proofs by loom", run: test },
    Step {
        name: "openvino",
        about: "the OpenVINO provider is installed, and agrees with the CPU",
        run: openvino,
    },
    Step {
        name: "ort-training",
        about: "ONNX Runtime's training API trains as the step graph does",
        run: ort_training,
    },
    Step {
        name: "turbojpeg",
        about: "lints and tests of JPEG through libjpeg-turbo, where the system has it",
        run: turbojpeg,
    },
    Step { name: "doctest", about: "examples in the documentation", run: doctest },
    Step {
        name: "python",
        about: "the Python tests of onnx/, in an environment of their own",
        run: python::test,
    },
    Step {
        name: "interchange",
        about: "what other packages make of exports, in the same environment",
        run: interchange,
    },
    Step {
        name: "bindings",
        about: "the Python package is built, and its tests, in the same environment",
        run: bindings,
    },
    Step { name: "c", about: "the C library, called from C with sanitizers", run: c },
];

/// Runs `steps` and tells how each went.
pub(crate) fn run(steps: &[&Step]) -> ExitCode {
    let start = Instant::now();
    let mut done: Vec<(&str, Duration)> = Vec::new();
    let mut failure = None;
    for step in steps {
        println!("\n=== {}: {}", step.name, step.about);
        let begin = Instant::now();
        let outcome = (step.run)();
        let time = begin.elapsed();
        if let Err(problem) = outcome {
            failure = Some((step.name, time, problem));
            break;
        }
        println!("=== {}: passed in {:.1} s", step.name, time.as_secs_f64());
        done.push((step.name, time));
    }
    println!("\n=== summary");
    for (name, time) in &done {
        println!("  passed   {name:<12} {:>7.1} s", time.as_secs_f64());
    }
    if let Some((name, time, _)) = &failure {
        println!("  FAILED   {name:<12} {:>7.1} s", time.as_secs_f64());
        for step in &steps[done.len() + 1..] {
            println!("  not run  {}", step.name);
        }
    }
    println!("  in all   {:<12} {:>7.1} s", "", start.elapsed().as_secs_f64());
    match failure {
        None => {
            println!("everything passed");
            ExitCode::SUCCESS
        }
        Some((name, _, problem)) => {
            eprintln!("error: {name}: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// The cargo that runs us.
fn cargo() -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn tools() -> Outcome {
    for (tool, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !works(cargo().args([tool, "--version"])) {
            return Err(format!("cargo {tool} is missing: rustup component add {component}"));
        }
    }
    if cfg!(unix) && !works(command("cc").arg("--version")) {
        return Err("there is no C compiler `cc` (Debian: apt install gcc libc6-dev)".into());
    }
    let python = python::find()?;
    println!("cargo, rustfmt, clippy, cc and {} are here", python.display());
    Ok(())
}

fn fmt() -> Outcome {
    call(cargo().args(["fmt", "--all", "--check"]))
        .map_err(|problem| format!("{problem}; `cargo fmt --all` mends it"))
}

/// What is not built unless asked for must be checked all the same.
const FEATURES: [&str; 2] = ["--features", "genset/metrics"];

fn clippy() -> Outcome {
    let common = ["clippy", "--workspace", "--all-targets"];
    call(cargo().args(common).args(FEATURES).args(["--", "-D", "warnings"]))?;
    call(cargo().args(common).args(["--no-default-features", "--", "-D", "warnings"]))
}

fn doc() -> Outcome {
    call(
        cargo()
            .args(["doc", "--workspace", "--no-deps"])
            .args(FEATURES)
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

fn runtime() -> Outcome {
    let search = Search { install: true, say: |line| println!("{line}"), ..Search::default() };
    let runtime = Runtime::open(&search).map_err(|error| error.to_string())?;
    println!("ONNX Runtime {}: {}", runtime.version(), runtime.path().display());
    Ok(())
}

fn test() -> Outcome {
    // Random cases are new ones for whoever works on the code, and the same ones for whoever checks
    // it: a check must not depend on luck.
    let checks = ["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"];
    // It builds a library of its own, for which the rest would be built once more: see `c`.
    let but = ["--exclude", "genset-c"];
    call(cargo().args(checks).args(but).args(FEATURES).env("PROPTEST_RNG_SEED", "1"))
}

/// The other provider that runs on any machine with x86-64, whoever made its processor.
fn openvino() -> Outcome {
    if !Package::named("openvino").is_ok_and(Package::is_pinned) {
        println!("nothing to do: there is no OpenVINO provider for this machine");
        return Ok(());
    }
    // With the features of the step before, so that nothing is built again.
    let install = ["--", "runtime", "install", "openvino"];
    call(cargo().args(["run", "--quiet", "--bin", "genset"]).args(FEATURES).args(install))?;
    let tests = ["--", "--include-ignored"];
    call(cargo().args(["test", "--test", "providers"]).args(FEATURES).args(tests))
}

/// The other backend of training, on the machines that its packages are for.
fn ort_training() -> Outcome {
    let is_for_here = cfg!(all(target_os = "linux", target_arch = "x86_64"));
    let Some(python) = python::training()?.filter(|_| is_for_here) else {
        println!("nothing to do: its packages are for Python 3.11 on Linux with x86-64 alone");
        return Ok(());
    };
    let tests = ["--", "--include-ignored"];
    let mut test = cargo();
    test.args(["test", "--test", "ort_training"]).args(FEATURES).args(tests);
    call(test.env("GENSET_TRAINING_PYTHON", python))
}

/// What reads JPEG, built the other way.
fn turbojpeg() -> Outcome {
    if !works(command("pkg-config").args(["--exists", "libturbojpeg"])) {
        println!("nothing to do: there is no libturbojpeg (Debian: apt install libturbojpeg0-dev)");
        return Ok(());
    }
    let features = ["--features", "genset/metrics,genset/turbojpeg"];
    call(cargo().args(["clippy", "--lib"]).args(features).args(["--", "-D", "warnings"]))?;
    let tests = ["test", "--lib", "--test", "pictures"];
    call(cargo().args(tests).args(features).args(["--", "codec::", "source::", "files"]))
}

/// Exports are read by the packages that people train with.
fn interchange() -> Outcome {
    python::interchange(&genset()?)
}

fn bindings() -> Outcome {
    // The command has its default features too.
    python::bindings(&genset()?, "genset/cli,genset/metrics")
}

fn c() -> Outcome {
    call(cargo().args(["test", "--package", "genset-c"]))
}

/// The command.
fn genset() -> Result<PathBuf, Failure> {
    // With the features of the steps before, so that nothing is built again.
    call(cargo().args(["build", "--quiet", "--bin", "genset"]).args(FEATURES))?;
    let name = format!("genset{}", std::env::consts::EXE_SUFFIX);
    Ok(python::target().join("debug").join(name))
}

fn doctest() -> Outcome {
    call(cargo().args(["test", "--workspace", "--doc"]).args(FEATURES))
}
