//! The header in the repository is the one that the sources make, and C++ takes it too.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// Set to anything, it makes this test write the header.
const UPDATE: &str = "GENSET_UPDATE_HEADER";

#[test]
fn the_header_is_what_the_sources_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(folder.join("cbindgen.toml")).unwrap();
    let source = folder.join("src/lib.rs");
    let mut written = Vec::new();
    cbindgen::Builder::new()
        .with_config(config)
        .with_src(source)
        .generate()
        .unwrap()
        .write(&mut written);
    let header = folder.join("include/genset.h");
    if env::var_os(UPDATE).is_some() {
        fs::write(&header, &written).unwrap();
    }
    assert!(
        fs::read(&header).is_ok_and(|there| there == written),
        "include/genset.h is not what the sources say; this writes it:\n\
         {UPDATE}=1 cargo test -p genset-c --test header"
    );
}

#[cfg(unix)]
#[test]
fn cpp_takes_the_header() {
    if Command::new("c++").arg("--version").output().is_err() {
        println!("nothing to do: there is no C++ compiler `c++`");
        return;
    }
    let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/genset.h");
    let mut compiler = Command::new("c++");
    compiler.args(["-std=c++11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only"]);
    // A header of its own is compiled as what includes it: nothing, and then it twice.
    let output =
        compiler.args(["-x", "c++", "-include"]).arg(&header).arg(&header).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
