//! The `genset` command: parse, run, exit code.

fn main() {}
