//! C programs, built with the library and run.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use genset::runtime::{Runtime, Search};

/// Which library a program is linked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    Shared,
    Static,
}

pub const LINKS: [Link; 2] = [Link::Shared, Link::Static];

/// The folder that cargo puts libraries in, with those of this package there: cargo builds only what
/// Rust links before it runs tests.
fn libraries() -> PathBuf {
    let test = env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
    let profile = match folder.file_name().and_then(OsStr::to_str) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--package", "genset-c", "--profile", profile]);
    build.arg("--target-dir").arg(folder.parent().unwrap());
    done(&mut build);
    folder.to_owned()
}

/// What a program needs beside the static library: `rustc --print native-static-libs`.
const SYSTEM: &[&str] = if cfg!(target_os = "macos") {
    &["-liconv", "-lm", "-framework", "CoreFoundation"]
} else {
    &["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl"]
};

/// Builds `source`, a path in this package, with every warning an error and with sanitizers, which
/// see the library's memory too, as it comes from the C library.
pub fn compiled(source: &str, link: Link, folder: &Path) -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (libraries, program) = (libraries(), folder.join("program"));
    let mut compiler = Command::new("cc");
    compiler
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-g", "-pthread"])
        .args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all"])
        .arg("-I")
        .arg(package.join("include"))
        .arg(package.join(source))
        .arg("-o")
        .arg(&program);
    match link {
        Link::Static => compiler.arg(libraries.join("libgenset.a")).args(SYSTEM),
        Link::Shared => {
            let search = format!("-Wl,-rpath,{}", libraries.display());
            compiler.arg("-L").arg(&libraries).args(["-lgenset", &search])
        }
    };
    done(&mut compiler);
    program
}

/// Runs a program on a machine that has an ONNX Runtime, in an environment that says nothing of ranks,
/// and gives what it printed. It fails if memory is used wrongly, and if any leaks.
pub fn run(program: &Path, arguments: &[&Path]) -> String {
    let search = Search { install: true, say: |line| eprintln!("{line}"), ..Search::default() };
    Runtime::open(&search).unwrap();
    let mut program = Command::new(program);
    program.args(arguments);
    let output = done(program.env_remove("RANK").env_remove("WORLD_SIZE"));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    output
}
