//! The `genset` command: parse, run, exit code.

fn main() -> std::process::ExitCode {
    genset::cli::run(std::env::args_os())
}
