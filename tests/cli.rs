//! The command keeps its word: help that helps, one JSON document, honest exit codes, silence where
//! nobody watches, whole files or none.
#![cfg(feature = "cli")]

mod common;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::{DIGITS, folder_with_recipe, genset, json};
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;

/// Every verb, and flags that its help must name.
const VERBS: [(&str, &[&str]); 15] = [
    (
        "encoder",
        &["<ARCHITECTURE>", "--output <FILE.onnx>", "--channels <N>", "--size <N>", "resnet-tiny"],
    ),
    (
        "train",
        &[
            "<RECIPE>",
            "--encoder <ENCODER.onnx>",
            "--output <DIR>",
            "--objective",
            "--optimizer",
            "--steps <N>",
            "--probe-train <DATA>",
            "barlow-twins",
        ],
    ),
    ("demo", &["--output <DIR>", "--ort <PATH>"]),
    (
        "inspect",
        &[
            "<MODEL|RECIPE>",
            "--output <TOML>",
            "--set <KEY=VALUE>",
            "--rewrites",
            "--precision",
            "--providers",
        ],
    ),
    (
        "preview",
        &[
            "<RECIPE>",
            "--output <PNG>",
            "--index <INDEX>",
            "--from",
            "--count",
            "--sweep <KEY=A:B:N>",
            "--plain",
            "--epoch",
        ],
    ),
    (
        "directions",
        &[
            "<RECIPE>",
            "--method",
            "--output <SAFETENSORS>",
            "--attribute <NAME>",
            "--scorer <ONNX>",
        ],
    ),
    (
        "digest",
        &[
            "<RECIPE>",
            "--from <A>",
            "--count <N>",
            "--batch <N>",
            "--workers <N>",
            "--prefetch <N>",
            "--rank <R>",
            "--world-size <W>",
            "--memory <MIB>",
            "--view-threads <N>",
            "--rewrites <auto|none|LIST>",
        ],
    ),
    (
        "export",
        &[
            "<RECIPE>",
            "--output <DIR>",
            "--format <FORMAT>",
            "--images <ENCODING>",
            "--from <A>",
            "--samples <N>",
            "--shard-bytes <BYTES>",
            "--shard-samples <N>",
            "--latents",
            "--parameters",
            "--rows",
            "--rank <R>",
            "--world-size <W>",
        ],
    ),
    ("verify", &["<FOLDER>", "--regenerate <K>", "--seed <N>", "--recipe <RECIPE>"]),
    (
        "bench",
        &[
            "--against <PATH>",
            "--exports",
            "--samples <N>",
            "--folder <DIR>",
            "--plot <SVG>",
            "<RECIPE>",
            "--rounds",
            "--seconds",
            "--consumer <MS>",
            "--batch <N>",
            "--threads",
        ],
    ),
    (
        "probe",
        &[
            "<ENCODER.onnx>",
            "--train <DATA>",
            "--test <DATA>",
            "--output <NAME>",
            "--range <LOW,HIGH>",
            "--mean <MEAN>",
            "--k <N>",
            "--limit <N>",
            "--no-baselines",
            "--seed <N>",
            "--set <KEY=VALUE>",
        ],
    ),
    ("tune", &["<RECIPE>", "--budget <S>", "--dry-run", "--provider <NAME>"]),
    ("runtime", &["list", "install"]),
    ("completions", &["bash", "zsh", "fish"]),
    ("man", &["[VERB]"]),
];

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn run(arguments: &[&str]) -> Output {
    genset().args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What a command that fails says, after its exit code was checked.
#[track_caller]
fn fails(code: i32, arguments: &[&str]) -> String {
    let output = run(arguments);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert_eq!(text(&output.stdout), "", "{arguments:?}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

#[track_caller]
fn assert_says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
}

/// Little work that shows an answer.
const FEW: [&str; 6] = ["digest", DIGITS, "--count", "40", "--workers", "1"];

// Help ----------------------------------------------------------------------------------------

#[test]
fn help_names_every_verb_and_the_first_steps() {
    for flag in ["-h", "--help"] {
        let help = text(&run(&[flag]).stdout);
        for (verb, _) in VERBS {
            assert!(help.contains(&format!("\n  {verb} ")), "{verb} is not in: {help}");
        }
        assert_says(&help, &["--json", "genset demo", "genset inspect YOUR-MODEL.onnx"]);
    }
    let long = text(&run(&["--help"]).stdout);
    assert_says(&long, &["builtin:digits", "builtin:fashion", "A RECIPE is"]);
}

#[test]
fn help_of_a_verb_is_short_or_long_and_names_its_flags() {
    for (verb, flags) in VERBS {
        let (short, long) = (run(&[verb, "-h"]), run(&[verb, "--help"]));
        for output in [&short, &long] {
            assert!(output.status.success() && output.stderr.is_empty(), "{verb}");
            let help = text(&output.stdout);
            assert_says(&help, &[&format!("genset {verb}"), "--json"]);
            assert_says(&help, flags);
            let about = help.lines().next().unwrap();
            assert!(about.len() > 15 && !about.ends_with('.'), "{verb}: {about}");
        }
        assert!(long.stdout.len() >= short.stdout.len(), "{verb}");
    }
}

#[test]
fn defaults_and_choices_are_shown() {
    assert_says(
        &text(&run(&["digest", "-h"]).stdout),
        &["[default: 256]", "as tuned, or one a", "[default: 1000]"],
    );
    let providers = ["cpu, openvino, cuda, tensorrt"];
    assert_says(&text(&run(&["bench", "-h"]).stdout), &providers);
}

#[test]
fn the_version_is_that_of_the_package() {
    for arguments in [&["--version"][..], &["digest", "--version"]] {
        let wanted = format!("{}\n", env!("CARGO_PKG_VERSION"));
        assert!(text(&run(arguments).stdout).ends_with(&wanted), "{arguments:?}");
    }
}

// JSON ----------------------------------------------------------------------------------------

#[test]
fn json_is_one_document_of_every_verb_and_stderr_is_quiet() {
    let folder = folder();
    let sheet = folder.path().join("sheet.png");
    let sheet = sheet.to_str().unwrap();
    let directions = folder.path().join("dirs.safetensors");
    let directions = directions.to_str().unwrap();
    for (arguments, keys) in [
        (&["inspect", DIGITS][..], &["model", "inputs", "image", "findings", "recipe"][..]),
        (
            &["preview", DIGITS, "--count", "2", "-o", sheet],
            &["file", "width", "height", "index", "label", "views"],
        ),
        (
            &[
                "directions",
                DIGITS,
                "--samples",
                "128",
                "--held-out",
                "16",
                "--attribute",
                "slant",
                "-o",
                directions,
            ],
            &["attributes", "directions"],
        ),
        (&FEW, &["dataset", "from", "count", "blake3", "samples", "runtime"]),
        (
            &["bench", DIGITS, "--rounds", "1", "--seconds", "0.2", "--workers", "1"],
            &[
                "images_per_second",
                "ceiling_images_per_second",
                "efficiency",
                "bytes_per_second",
                "wait_ms",
                "limiting_stage",
                "peak_rss_bytes",
            ],
        ),
        (&["runtime", "list"], &["candidates", "used"]),
        (&["completions", "bash"], &["shell", "script"]),
        (&["man"], &["page"]),
    ] {
        let output = genset().args(arguments).arg("--json").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
        let document = json(&output.stdout);
        for key in keys {
            assert!(!document[key].is_null(), "{arguments:?}: no `{key}` in {document}");
        }
    }
}

#[test]
fn json_of_a_failure_is_one_document_too() {
    let folder = folder_with_recipe("unknown-range", "");
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (arguments, code, kind) in [
        (vec!["digest".into(), path("missing.toml")], 1, "io"),
        (vec!["digest".into(), path("recipe.toml")], 1, "recipe"),
        (vec!["inspect".into(), path("unknown-range.onnx")], 1, "recipe"),
        (vec!["inspect".into(), path("missing.onnx")], 1, "io"),
        (vec!["preview".into(), DIGITS.into(), "--index".into(), "60000".into()], 2, "argument"),
        (vec!["man".into(), "nothing".into()], 2, "argument"),
    ] {
        let output = genset().args(&arguments).arg("--json").output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        let error = &json(&output.stdout)["error"];
        assert_eq!(error["kind"], kind, "{arguments:?}");
        let said = text(&output.stderr);
        assert!(said.contains(error["message"].as_str().unwrap()), "{said}");
    }
}

#[test]
fn a_log_is_written_to_stderr_when_it_is_asked_for() {
    let few = ["digest", DIGITS, "--count", "40"];
    let quiet = genset().args(few).output().unwrap();
    for (variable, arguments, wanted) in [
        ("info", &[][..], "a loader starts workers="),
        ("", &["--log", "genset::load=debug"], "block{start=32 end=40 epoch=0 worker="),
    ] {
        let mut command = genset();
        let output =
            command.env("GENSET_LOG", variable).args(few).args(arguments).output().unwrap();
        assert_eq!(output.stdout, quiet.stdout, "{variable}{arguments:?}");
        let said = text(&output.stderr);
        assert!(said.contains(wanted), "{variable}{arguments:?}: {said}");
    }
    let command = &mut genset();
    command
        .args(few)
        .args(["--log", "loud"])
        .assert()
        .code(2)
        .stderr(contains("must be off, error"));
}

#[test]
fn without_json_results_go_to_stdout_and_nothing_to_stderr() {
    let output = run(&FEW);
    assert!(output.status.success());
    assert_eq!(text(&output.stderr), "");
    let line = text(&output.stdout);
    let (hash, range) = line.trim_end().split_once("  ").unwrap();
    assert!(hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{line}");
    assert_eq!(range, "0..40");
}

// Digest --------------------------------------------------------------------------------------

#[test]
fn the_digest_is_the_same_for_all_flags_and_environments() {
    let hash = |more: &[&str], environment: &[(&str, &str)]| {
        let mut command = genset();
        command.args(["digest", DIGITS, "--from", "17", "--count", "600", "--json"]).args(more);
        command.envs(environment.iter().copied());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{more:?}: {}", text(&output.stderr));
        json(&output.stdout)
    };
    let whole = hash(&["--workers", "1"], &[]);
    assert_eq!(whole["count"], 600);
    for more in [
        &["--batch", "1"][..],
        &["--batch", "7", "--workers", "4", "--prefetch", "1"],
        &["--batch", "64", "--workers", "2", "--prefetch", "8"],
        &["--memory", "4", "--batch", "50"],
        &["--threads", "2"],
        &["--world-size", "2", "--batch", "64"],
        &["--world-size", "3", "--batch", "7"],
        &["--world-size", "5", "--batch", "33"],
        &["--provider", "cpu"],
        &["--set", "samples=endless"],
        &["--set", "name=other"],
    ] {
        assert_eq!(hash(more, &[])["blake3"], whole["blake3"], "{more:?}");
    }
    assert_eq!(hash(&[], &[("RANK", "1"), ("WORLD_SIZE", "2")])["blake3"], whole["blake3"]);
    for other in ["seed=8", "views.count=1", "output.dtype=f32", "generator.block=16"] {
        assert_ne!(hash(&["--set", other], &[])["dataset"], whole["dataset"], "{other}");
    }

    // Each rank's own samples are those of the whole.
    let mut samples: Vec<Value> = Vec::new();
    for rank in ["0", "1", "2"] {
        let part = hash(&["--world-size", "3", "--rank", rank, "--batch", "64"], &[]);
        assert!(part["blake3"].is_null(), "a part with gaps has no digest of its own");
        samples.extend(part["samples"].as_array().unwrap().iter().cloned());
    }
    samples.sort_by_key(|sample| sample["index"].as_u64());
    assert_eq!(&samples, whole["samples"].as_array().unwrap());
}

#[test]
fn the_environment_of_a_world_is_checked() {
    for (environment, wanted) in [
        (&[("RANK", "2"), ("WORLD_SIZE", "2")][..], "rank 2 is not in a world of 2"),
        (&[("WORLD_SIZE", "2")], "WORLD_SIZE is set in the environment, RANK is not"),
        (&[("RANK", "-1"), ("WORLD_SIZE", "2")], "environment variable RANK is \"-1\""),
    ] {
        let mut command = genset();
        command.args(["bench", DIGITS, "--rounds", "1", "--seconds", "0.1", "--workers", "1"]);
        command.envs(environment.iter().copied());
        command.assert().code(2).stderr(contains(wanted));
    }
}

// Tuning --------------------------------------------------------------------------------------

/// The command with a cache that holds nothing, and the library that the tests use.
fn with_cache(cache: &TempDir) -> assert_cmd::Command {
    let runtime = genset::runtime::Runtime::open(&common::options(&[]).search).unwrap();
    let mut command = genset();
    command.env("GENSET_CACHE", cache.path()).env("GENSET_ORT", runtime.path());
    command
}

/// What `tune` says of digits, measured for hardly any time.
#[track_caller]
fn tuned(cache: &TempDir, more: &[&str]) -> Value {
    let mut command = with_cache(cache);
    command.args(["tune", DIGITS, "--budget", "0.5", "--json"]).args(more);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    json(&output.stdout)
}

#[test]
fn tuning_says_what_was_tried_and_a_dry_run_stores_nothing() {
    let cache = folder();
    let document = tuned(&cache, &["--dry-run"]);
    assert!(document["rewrites"]["tried"].as_array().is_some_and(|tried| !tried.is_empty()));
    for (list, first) in [("shapes", " × 1 thread"), ("suggestions", "as it is: block 32, f32")] {
        let trials = document[list].as_array().unwrap();
        assert!(trials.len() > 1, "{list}: {document}");
        assert!(trials[0]["what"].as_str().unwrap().ends_with(first), "{list}: {document}");
        assert_eq!(trials.iter().filter(|trial| trial["best"] == true).count(), 1, "{list}");
        assert!(trials.iter().all(|trial| trial["images_per_second"].as_f64() > Some(0.0)));
    }
    let profile = &document["profile"];
    assert_eq!(profile["key"]["providers"], serde_json::json!(["cpu"]));
    assert!(profile["sessions"].as_u64() > Some(0) && profile["threads"].as_u64() > Some(0));
    assert_eq!(document["providers"][0]["provider"], "cpu");
    assert!(document["stored"].is_null());
    assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0, "nothing was stored");
}

#[test]
fn what_tuning_stores_is_followed_and_never_passed_over_when_it_is_broken() {
    let cache = folder();
    let document = tuned(&cache, &[]);
    let stored = document["stored"].as_str().unwrap();
    let digest = || {
        let output = with_cache(&cache).args(FEW).arg("--json").output().unwrap();
        (output.status.code(), json(&output.stdout))
    };
    let (code, followed) = digest();
    assert_eq!((code, &followed["rewrites"]), (Some(0), &document["profile"]["rewrites"]));
    // Half a second may find that nothing pays: also what a profile says by hand is followed.
    let mut profile = document["profile"].clone();
    profile["rewrites"] = serde_json::json!([{ "rewrite": "epilogue", "node": "image" }]);
    fs::write(stored, profile.to_string()).unwrap();
    let (code, followed) = digest();
    assert_eq!((code, &followed["rewrites"]), (Some(0), &profile["rewrites"]));

    fs::write(stored, "{").unwrap();
    let (code, broken) = digest();
    assert_eq!((code, &broken["error"]["kind"]), (Some(1), &"state".into()), "{broken}");
    assert_says(&broken.to_string(), &[stored, "no profile", "genset tune", "--rewrites none"]);

    fs::remove_file(stored).unwrap();
    let (code, by_rule) = digest();
    let rule = match cfg!(target_arch = "x86_64") {
        true => serde_json::json!([{ "rewrite": "woven-phases", "node": "convolution" }]),
        false => serde_json::json!([]),
    };
    assert_eq!((code, &by_rule["rewrites"]), (Some(0), &rule));
    assert!(by_rule["rewrites"] != followed["rewrites"]);
}

// Preview -------------------------------------------------------------------------------------

/// Width, height and pixels of an RGB PNG.
fn decode(path: &Path) -> (u32, u32, Vec<u8>) {
    let file = std::io::BufReader::new(fs::File::open(path).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((frame.color_type, frame.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
    (frame.width, frame.height, pixels)
}

#[test]
fn a_preview_is_a_png_of_the_size_that_was_said() {
    let folder = folder();
    let sheet = folder.path().join("sheet.png");
    for (more, samples, [width, height]) in [
        // Two views of 56 pixels with their gaps; samples are 10 apart.
        (&["--plain", "--index", "7"][..], 1, [118, 60]),
        (&["--plain", "--count", "6", "--columns", "2"], 6, [244, 176]),
        (&["--plain", "--count", "3", "--columns", "1", "--set", "views.count=4"], 3, [234, 176]),
        // Two views of 140 pixels, and a line of 9 below them.
        (&["--index", "7"], 1, [286, 153]),
    ] {
        let output = genset()
            .args(["preview", DIGITS, "--json", "-o"])
            .arg(&sheet)
            .args(more)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let document = json(&output.stdout);
        let (w, h, pixels) = decode(&sheet);
        assert_eq!(document["index"].as_array().unwrap().len(), samples);
        assert_eq!([&document["width"], &document["height"]], [w, h]);
        assert_eq!([w, h], [width, height], "{more:?}");
        assert!(pixels.iter().any(|p| *p < 10) && pixels.iter().any(|p| *p > 200), "{more:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else was left behind");
}

#[test]
fn one_sample_looks_as_it_does_among_others() {
    let folder = folder();
    let sheet = |name: &str, more: &[&str]| {
        let path = folder.path().join(name);
        genset().args(["preview", DIGITS, "-o"]).arg(&path).args(more).assert().success();
        decode(&path)
    };
    let (width, height, alone) = sheet("alone.png", &["--plain", "--index", "3"]);
    let two = ["--plain", "--from", "2", "--count", "2", "--columns", "1"];
    let (_, _, column) = sheet("column.png", &two);
    // The second sample of one column begins one cell, 58 rows, further down.
    let row = width as usize * 3;
    assert_eq!(column[58 * row..][..height as usize * row], alone);
}

#[test]
fn a_preview_shows_what_there_is() {
    let folder = folder();
    let sheet = folder.path().join("sheet.png");
    let sheet = sheet.to_str().unwrap();
    let output = run(&["preview", DIGITS, "--from", "59998", "--json", "-o", sheet]);
    assert_eq!(json(&output.stdout)["index"], serde_json::json!([59998, 59999]));
    for from in ["60000", "9223372036854775808", "18446744073709551615"] {
        let said = fails(2, &["preview", DIGITS, "--from", from, "-o", sheet]);
        assert_says(&said, &[&format!("there is no sample {from}")]);
    }
}

#[test]
fn any_recipe_can_be_looked_at() {
    let rest = "[generator.inputs.z]\nrole = \"latent\"\n[generator.output]\nlayout = \"NCHW\"\n\
                range = [-1, 1]\n[output]\ndtype = \"f32\"\nlayout = \"NHWC\"\n\
                normalise = { mean = [0.5], std = [0.25] }\n";
    for model in ["channels-4", "channels-1", "dynamic-batch"] {
        let folder = folder_with_recipe(model, rest);
        let sheet = folder.path().join("sheet.png");
        let recipe = folder.path().join("recipe.toml");
        genset().arg("preview").arg(recipe).arg("-o").arg(&sheet).assert().success();
        let (width, height, _) = decode(&sheet);
        assert!(width > 300 && height > 300, "{model}: {width}×{height}");
    }
}

// Completions and manual ----------------------------------------------------------------------

#[test]
fn completions_know_every_verb() {
    for (shell, begin) in [("bash", "_genset()"), ("zsh", "#compdef genset"), ("fish", "complete")]
    {
        let script = text(&run(&["completions", shell]).stdout);
        assert_says(&script, &[begin, "genset"]);
        for (verb, _) in VERBS {
            assert!(script.contains(verb), "{shell} does not know {verb}");
        }
    }
    let bash = run(&["completions", "bash"]).stdout;
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bash).unwrap();
    assert!(Command::new("bash").arg("-n").arg(file.path()).status().unwrap().success());
    assert_says(&fails(2, &["completions", "cmd"]), &["bash", "zsh", "fish"]);
}

#[test]
fn the_manual_has_a_page_for_the_command_and_for_each_verb() {
    let page = text(&run(&["man"]).stdout);
    assert_says(&page, &[".TH genset 1", ".SH NAME", ".SH SYNOPSIS", "A generator where"]);
    for (verb, _) in VERBS {
        let page = text(&run(&["man", verb]).stdout);
        assert_says(&page, &[&format!(".TH genset-{verb} 1"), ".SH NAME", ".SH OPTIONS"]);
    }
    assert_says(&fails(2, &["man", "nothing"]), &["there is no verb `nothing`", "digest", "bench"]);
}

// What is wrong is said -----------------------------------------------------------------------

#[test]
fn a_wrong_word_is_answered_with_the_right_one() {
    for (arguments, parts) in [
        (&["digset", DIGITS][..], &["digset", "digest"][..]),
        (&["digest", DIGITS, "--bacth", "3"], &["--bacth", "--batch"]),
        (&["digest", DIGITS, "--batch", "many"], &["many", "--batch"]),
        (&["digest"], &["RECIPE"]),
        (&["digest", DIGITS, "--rank", "1"], &["--world-size"]),
        (&["digest", DIGITS, "--rank", "3", "--world-size", "3"], &["rank 3 is not in a world"]),
        (
            &["digest", DIGITS, "--rank", "18446744073709551615", "--world-size", "3"],
            &["rank 18446744073709551615 is not in a world of 3"],
        ),
        (&["digest", DIGITS, "--batch", "0"], &["at least one sample"]),
        (&["digest", DIGITS, "--workers", "0"], &["at least one worker"]),
        (&["digest", DIGITS, "--from", "59990"], &["59990..60990", "which has 60000"]),
        (&["digest", DIGITS, "--from", "18446744073709551615"], &["too many"]),
        (&["digest", DIGITS, "--provider", "gpu"], &["gpu", "cpu", "cuda"]),
        (&["preview", DIGITS, "--index", "1", "--count", "2"], &["cannot be used with"]),
        (&["preview", DIGITS, "--index", "60000"], &["there is no sample 60000"]),
        (&["bench", DIGITS, "--seconds", "0"], &["must be more than 0"]),
        (&["bench", DIGITS, "--seconds", "nan"], &["must be"]),
        (&["tune", DIGITS, "--budget", "0"], &["must be more than 0"]),
        (&["tune", DIGITS, "--threads", "2"], &["--threads"]),
        (&["runtime", "install", "torch"], &["torch", "onnxruntime"]),
        (&[], &["Usage: genset", "demo"]),
    ] {
        assert_says(&fails(2, arguments), parts);
    }
}

#[test]
fn a_wrong_recipe_is_answered_with_the_next_step() {
    let folder = folder_with_recipe("dynamic-batch", "sede = 3\n");
    let recipe = folder.path().join("recipe.toml");
    let recipe = recipe.to_str().unwrap();
    for (arguments, parts) in [
        (&["digest", "missing.toml"][..], &["missing.toml", "No such file"][..]),
        (&["digest", "builtin:faces"], &["builtin:faces", "builtin:digits", "builtin:fashion"]),
        (&["digest", recipe], &["recipe.toml", "`sede`", "`seed`"]),
        (&["digest", DIGITS, "--set", "views.cuont=2"], &["`views.cuont`", "`views.count`"]),
        (&["digest", DIGITS, "--set", "views.count"], &["not key=value"]),
        (&["digest", DIGITS, "--set", "views.count=two"], &["`views.count`", "not a string"]),
        (&["digest", DIGITS, "--memory", "0"], &["0 MiB do not suffice", "more memory"]),
        (
            &["digest", DIGITS, "--set", "generator.precision=bf16"],
            &["cannot compute in bf16", "f32"],
        ),
        (&["digest", DIGITS, "--ort", "/nowhere"], &["/nowhere"]),
    ] {
        let said = fails(1, arguments);
        assert_says(&said, parts);
        assert!(said.starts_with("error: "), "{said}");
    }
}

// Files and pipes -----------------------------------------------------------------------------

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let folder = folder_with_recipe("dynamic-batch", "");
    let file = folder.path().join("recipe.toml");
    let model = folder.path().join("dynamic-batch.onnx");
    let (file, model) = (file.to_str().unwrap(), model.to_str().unwrap());
    for output in [
        folder.path().join("missing/sheet.png"),
        // A file where a folder should be, and a folder where a file should be.
        folder.path().join("recipe.toml/sheet.png"),
        folder.path().to_path_buf(),
    ] {
        let path = output.to_str().unwrap();
        let said = fails(1, &["preview", DIGITS, "--count", "1", "-o", path]);
        assert_says(&said, &["cannot write", path]);
    }
    let said = fails(1, &["demo", "-o", file]);
    assert_says(&said, &["cannot make", file]);
    let missing = folder.path().join("missing/recipe.toml");
    let said = fails(1, &["inspect", model, "-o", missing.to_str().unwrap()]);
    assert_says(&said, &["missing"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_place_that_takes_no_files_is_named() {
    // Also for root, whom permissions do not stop.
    let said = fails(1, &["preview", DIGITS, "--count", "1", "-o", "/proc/sheet.png"]);
    assert_says(&said, &["cannot write /proc/sheet.png"]);
}

#[cfg(unix)]
#[test]
fn written_files_have_the_permissions_of_any_other() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let (sheet, other) = (folder.path().join("sheet.png"), folder.path().join("other"));
    genset().args(["preview", DIGITS, "--count", "1", "-o"]).arg(&sheet).assert().success();
    fs::write(&other, "").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&sheet), mode(&other));
}

/// The command with pipes, for tests that close them.
fn spawn(arguments: &[&str]) -> std::process::Child {
    let mut command = Command::new(genset().get_program());
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("RANK").env_remove("WORLD_SIZE").spawn().unwrap()
}

#[test]
fn a_reader_that_leaves_is_no_panic() {
    let many = ["digest", DIGITS, "--count", "3000", "--per-sample"];
    for (arguments, code) in [
        (&many[..], 0),
        (&["--help"], 0),
        (&["digest", DIGITS, "--count", "100", "--json"], 0),
        (&["completions", "bash"], 0),
        (&["man"], 0),
        (&["runtime", "list"], 0),
        (&["digest", "missing.toml", "--json"], 1),
        (&["inspect", "missing.onnx", "--json"], 1),
    ] {
        let mut child = spawn(arguments);
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let status = child.wait().unwrap();
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
        assert_eq!(status.code(), Some(code), "{arguments:?}: {said}");
    }
}

#[test]
fn nobody_at_stderr_changes_no_exit_code() {
    for (arguments, code) in [(&["digest", "missing.toml"][..], 1), (&["digset"], 2), (&FEW, 0)] {
        let mut child = spawn(arguments);
        drop(child.stderr.take());
        let mut stdout = Vec::new();
        child.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{arguments:?}");
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_with_130_and_leaves_no_file() {
    use std::time::{Duration, Instant};
    let folder = folder();
    let sheet = folder.path().join("sheet.png");
    let sheet = sheet.to_str().unwrap();
    for arguments in [
        &["digest", DIGITS, "--set", "samples=endless", "--count", "100000000"][..],
        &["bench", DIGITS, "--seconds", "60"],
        &["preview", DIGITS, "--count", "4096", "--set", "views.count=32", "-o", sheet],
    ] {
        let mut child = spawn(arguments);
        std::thread::sleep(Duration::from_millis(1200));
        let asked = Instant::now();
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(130), "{arguments:?}: {said}");
        assert_eq!(said, "error: interrupted\n", "{arguments:?}");
        assert!(asked.elapsed() < Duration::from_secs(3), "{arguments:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

// The whole story -----------------------------------------------------------------------------

#[test]
fn the_demo_draws_measures_exports_and_learns() {
    let folder = folder();
    let mut command = genset();
    // Learning takes half a minute in a build for users, and several times that in one for tests.
    command.timeout(std::time::Duration::from_secs(600));
    let output = command.args(["demo", "--json", "-o"]).arg(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    let document = json(&output.stdout);
    let generators = document["generators"].as_array().unwrap();
    assert_eq!(generators.len(), 2);
    for generator in generators {
        let sheet = generator["sheet"].as_str().unwrap();
        let (width, height, _) = decode(Path::new(sheet));
        assert!(width > 1000 && height > 400, "{sheet}: {width}×{height}");
        assert_eq!(generator["blake3"].as_str().unwrap().len(), 64);
        assert!(generator["bench"]["images_per_second"].as_f64().unwrap() > 0.0);
    }
    assert!(predicate::path::exists().eval(&folder.path().join("digits.png")));
    assert!(predicate::path::exists().eval(&folder.path().join("fashion-shards/manifest.json")));
    let number = |name: &str| document["learnt"][name].as_f64().unwrap();
    assert!(Path::new(document["learnt"]["encoder"].as_str().unwrap()).is_file());
    assert!(number("accuracy") > number("random_encoder") + 0.02, "{}", document["learnt"]);
}
