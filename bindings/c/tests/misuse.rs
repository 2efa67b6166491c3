//! Calls that make no sense end in errors: never in a crash, a leak, or memory that is not theirs.
#![cfg(unix)]

mod common;

use std::path::Path;

use common::{LINKS, compiled, run};

#[test]
fn every_function_can_be_called_wrongly() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models");
    for link in LINKS {
        let folder = tempfile::tempdir().unwrap();
        let program = compiled("tests/misuse.c", link, folder.path());
        print!("{}", run(&program, &[&models]));
    }
}
