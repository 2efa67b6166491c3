//! Providers, precisions and ranks that are not there.

use genset::runtime::{Package, installed};

use super::*;

#[test]
fn a_provider_that_is_not_there_is_an_error_with_the_command_that_brings_it() {
    let folder = Folder::of("channels-1");
    let there = runtime().providers().unwrap();
    for provider in ["cuda", "tensorrt"] {
        if there.iter().any(|name| name == provider) || installed(Package::Cuda).is_some() {
            // With a GPU it may well run.
            continue;
        }
        let missing = format!("provider `{provider}`");
        let words = [missing.as_str(), "`genset runtime install cuda`", "--provider cpu"];
        let ran = folder.digest(&["--provider", provider]);
        ran.says(1, &words).at_once();
        assert!(ran.stdout.is_empty(), "nothing was made on another provider: {ran:?}");
        // Also when another would do.
        folder.digest(&["--provider", &format!("{provider},cpu")]).says(1, &words).at_once();
        ran_bench(provider).says(1, &words).at_once();
    }
    assert_eq!(folder.digest(&["--provider", "cpu"]).code, Some(0));
}

fn ran_bench(provider: &str) -> Ran {
    ran(genset().args(["bench", "builtin:digits", "--provider", provider]))
}

#[test]
fn an_unknown_provider_is_a_usage_error_that_lists_the_known() {
    let folder = Folder::of("channels-1");
    folder
        .digest(&["--provider", "cdua"])
        .says(2, &["unknown provider `cdua`", "cpu", "cuda", "tensorrt"])
        .at_once();
}

#[test]
fn a_precision_that_is_not_there_is_an_error() {
    let folder = Folder::of("channels-1");
    for precision in ["f16", "bf16"] {
        let setting = format!("generator.precision={precision}");
        folder
            .digest(&["--set", &setting])
            .says(1, &["generator.precision", &format!("`cpu` cannot compute in {precision}")])
            .at_once();
    }
    folder.digest(&["--set", "generator.precision=f8"]).says(1, &["cannot be \"f8\"", "f32"]);
}

#[test]
fn half_a_rank_in_the_environment_is_a_usage_error() {
    for (rank, world, words) in [
        (Some("x"), Some("2"), "environment variable RANK is \"x\""),
        (Some("0"), Some("-1"), "environment variable WORLD_SIZE is \"-1\""),
        (Some("1"), None, "RANK is set in the environment, WORLD_SIZE is not"),
        (None, Some("2"), "WORLD_SIZE is set in the environment, RANK is not"),
        (Some("2"), Some("2"), "rank 2 is not in a world of 2"),
    ] {
        let mut bench = genset();
        bench.args(["bench", "builtin:digits", "--rounds", "1", "--seconds", "0.1"]);
        for (name, value) in [("RANK", rank), ("WORLD_SIZE", world)] {
            if let Some(value) = value {
                bench.env(name, value);
            }
        }
        ran(&mut bench).says(2, &[words]).at_once();
    }
}
