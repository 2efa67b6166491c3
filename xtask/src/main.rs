//! `cargo xtask …`: set-up and checks.
fn main() {}
