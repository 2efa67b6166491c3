//! Every ONNX Runtime that cannot work is an error that says why and what to do: never a panic, a
//! crash or a hang, neither when it is opened nor when the process exits.
//!
//! The bad libraries made here are ELF files.
#![cfg(all(feature = "cli", target_os = "linux"))]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use genset::runtime::{Runtime, Search};
use serde_json::Value;
use tempfile::TempDir;

/// Long enough for a busy machine, short enough to tell a hang.
const LIMIT: Duration = Duration::from_secs(30);

/// `genset`, without what the user's environment says about runtimes.
fn genset() -> assert_cmd::Command {
    let mut command = assert_cmd::Command::new(assert_cmd::cargo_bin!("genset"));
    for name in ["GENSET_ORT", "ORT_DYLIB_PATH", "ORT_LOG"] {
        command.env_remove(name);
    }
    command.timeout(LIMIT);
    command
}

/// The same with an empty cache and no Python.
fn bare(cache: &TempDir) -> assert_cmd::Command {
    let mut command = genset();
    command.env("GENSET_CACHE", cache.path()).env("GENSET_PYTHON", cache.path().join("no-python"));
    command
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// The pinned library, installed in the user's own cache if it is not there.
fn real() -> &'static Path {
    static REAL: OnceLock<PathBuf> = OnceLock::new();
    REAL.get_or_init(|| {
        let output = genset().args(["runtime", "install"]).timeout(20 * LIMIT).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        PathBuf::from(text(&output.stdout).trim())
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What `genset runtime probe PATH` complains about.
fn refused(path: &Path) -> String {
    let cache = folder();
    let output = bare(&cache).args(["runtime", "probe"]).arg(path).output().unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert!(stderr.contains("genset runtime install"), "{stderr}");
    assert!(output.stdout.is_empty());
    stderr
}

#[track_caller]
fn assert_says(message: &str, wanted: &str) {
    assert!(message.contains(wanted), "`{wanted}` is not in: {message}");
}

/// A shared library made from C.
fn compiled(folder: &TempDir, source: &str) -> PathBuf {
    let (input, output) = (folder.path().join("fake.c"), folder.path().join("libonnxruntime.so"));
    fs::write(&input, source).unwrap();
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&output, &input])
        .status()
        .expect("cc links every Rust program, so it is here");
    assert!(status.success());
    output
}

/// A shared library that answers like an ONNX Runtime of `version`, without any interface.
fn impostor(folder: &TempDir, version: &str) -> PathBuf {
    compiled(
        folder,
        &format!(
            "static const void *api(unsigned v) {{ return 0; }}\n\
             static const char *version(void) {{ return {version}; }}\n\
             static const struct {{ const void *(*a)(unsigned); const char *(*v)(void); }} base =\n\
             {{ api, version }};\n\
             const void *OrtGetApiBase(void) {{ return &base; }}\n"
        ),
    )
}

fn list(command: &mut assert_cmd::Command) -> Value {
    listed(command.args(["runtime", "list", "--json"]))
}

/// The same for a command that has its arguments already.
fn listed(command: &mut assert_cmd::Command) -> Value {
    let output: Output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Who named the runtime that would be used.
fn used(list: &Value) -> &str {
    let index = usize::try_from(list["used"].as_u64().expect("one is used")).unwrap();
    assert_eq!(list["candidates"][index]["used"], true);
    list["candidates"][index]["origin"].as_str().unwrap()
}

#[test]
fn a_missing_file_is_named() {
    assert_says(&refused("/no/such/libonnxruntime.so".as_ref()), "does not exist");
}

#[test]
fn a_folder_without_a_library_is_named() {
    assert_says(&refused(folder().path()), "is a folder without libonnxruntime");
}

#[test]
fn a_text_file_is_no_library() {
    let folder = folder();
    let path = folder.path().join("libonnxruntime.so");
    fs::write(&path, "version https://example.org/large-file/v1\n").unwrap();
    assert_says(&refused(&path), "this is not a shared library");
    fs::write(&path, "").unwrap();
    assert_says(&refused(&path), "this file is empty");
}

#[test]
fn a_pipe_does_not_make_us_wait() {
    let folder = folder();
    let path = folder.path().join("libonnxruntime.so");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert_says(&refused(&path), "this is not a plain file");
}

#[test]
fn a_library_that_was_cut_short_is_not_loaded() {
    let folder = folder();
    let path = folder.path().join("libonnxruntime.so");
    let whole = fs::read(real()).unwrap();
    for length in [64, 4096, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        assert_says(&refused(&path), "cut short");
    }
    // Without a section table only the segments tell: they are what the linker maps.
    let mut headless = whole[..whole.len() / 2].to_vec();
    headless[0x28..0x30].fill(0);
    headless[0x3c..0x40].fill(0);
    fs::write(&path, &headless).unwrap();
    assert_says(&refused(&path), "cut short");
}

#[test]
fn a_library_for_another_processor_or_system_is_named() {
    let folder = folder();
    let path = folder.path().join("libonnxruntime.so");
    let mut elf = fs::read(real()).unwrap();
    let (here, there) =
        (std::env::consts::ARCH, if cfg!(target_arch = "aarch64") { 62 } else { 183 });
    elf[0x12..0x14].copy_from_slice(&u16::to_le_bytes(there));
    fs::write(&path, &elf).unwrap();
    let message = refused(&path);
    assert_says(&message, if here == "aarch64" { "for x86_64" } else { "for aarch64" });
    assert_says(&message, &format!("for Linux on {here}"));

    // The head of an empty Mach-O library for arm64.
    let head: [u32; 8] = [0xfeed_facf, 0x0100_000c, 0, 6, 0, 0, 0, 0];
    fs::write(&path, head.map(u32::to_le_bytes).concat()).unwrap();
    assert_says(&refused(&path), "for macOS");
}

#[test]
fn another_library_is_not_loaded_at_all() {
    let folder = folder();
    let path = compiled(
        &folder,
        "#include <stdlib.h>\n\
         __attribute__((constructor)) static void start(void) { abort(); }\n",
    );
    assert_says(&refused(&path), "this is not ONNX Runtime: it has no function OrtGetApiBase");
}

#[test]
fn a_program_is_no_library() {
    assert_says(&refused(assert_cmd::cargo_bin!("genset")), "this is not");
}

#[test]
fn an_old_version_is_named_with_the_one_that_is_needed() {
    let folder = folder();
    let message = refused(&impostor(&folder, "\"1.19.2\""));
    assert_says(&message, "this is ONNX Runtime 1.19.2, and genset needs 1.24 or newer");
}

#[test]
fn strange_answers_are_errors() {
    let folder = folder();
    assert_says(&refused(&impostor(&folder, "0")), "does not say which version");
    assert_says(&refused(&impostor(&folder, "\"\\xff\"")), "does not say which version");
    assert_says(&refused(&impostor(&folder, "\"new\"")), "ONNX Runtime `new`");
    assert_says(&refused(&impostor(&folder, "\"2.40.0\"")), "ONNX Runtime `2.40.0`");
    assert_says(&refused(&impostor(&folder, "\"1.31.1\"")), "does not offer API 24");
    let path = compiled(&folder, "const void *OrtGetApiBase(void) { return 0; }\n");
    assert_says(&refused(&path), "offers no interface");
}

#[test]
fn a_library_that_misses_another_one_is_named() {
    let folder = folder();
    let path = compiled(
        &folder,
        "void nowhere(void); const void *OrtGetApiBase(void) { nowhere(); return 0; }\n",
    );
    // Undefined functions are bound late, so it is the missing library that must fail.
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-Wl,-soname,libnowhere.so.9", "-o"])
        .arg(folder.path().join("libnowhere.so"))
        .args(["-x", "c", "/dev/null"])
        .status()
        .unwrap();
    assert!(status.success());
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-Wl,--no-as-needed", "-o"])
        .arg(&path)
        .arg(folder.path().join("fake.c"))
        .arg(folder.path().join("libnowhere.so"))
        .status()
        .unwrap();
    assert!(status.success());
    assert_says(&refused(&path), "libnowhere.so.9");
}

#[test]
fn what_was_named_is_used_or_is_an_error() {
    let (cache, _) = (folder(), real());
    for name in ["GENSET_ORT", "ORT_DYLIB_PATH"] {
        let list = list(bare(&cache).env(name, "/no/such/thing"));
        assert!(list["used"].is_null());
        assert_eq!(list["error"], format!("{name}: /no/such/thing does not exist"));
    }
}

#[test]
fn a_library_that_crashes_or_hangs_while_loading_does_not_take_the_list_along() {
    let (cache, crashing, hanging) = (folder(), folder(), folder());
    let entry = "const void *OrtGetApiBase(void) { return 0; }\n#include <unistd.h>\n\
                 #include <stdlib.h>\n__attribute__((constructor)) static void start(void)";
    let crash = compiled(&crashing, &format!("{entry} {{ abort(); }}\n"));
    let hang = compiled(&hanging, &format!("{entry} {{ sleep(600); }}\n"));
    let start = Instant::now();
    let list = list(bare(&cache).env("GENSET_ORT", &crash).env("ORT_DYLIB_PATH", &hang));
    assert!(start.elapsed() < LIMIT);
    assert_says(list["candidates"][1]["why"].as_str().unwrap(), "loading it crashes");
    assert_says(list["candidates"][2]["why"].as_str().unwrap(), "more than 10 s");
}

#[test]
fn places_are_asked_in_order() {
    let cache = folder();
    let library = real();
    let own = cache.path().join("runtime").join(library.parent().unwrap().file_name().unwrap());

    // A Python that has the package: all that is asked of it is where the package is.
    let package = folder();
    fs::create_dir(package.path().join("capi")).unwrap();
    symlink(library, package.path().join("capi/libonnxruntime.so.1.31.1")).unwrap();
    let python = package.path().join("python");
    fs::write(&python, format!("#!/bin/sh\necho {}\n", package.path().display())).unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let command = || {
        let mut command = genset();
        command.env("GENSET_CACHE", cache.path()).env("GENSET_PYTHON", &python);
        command
    };
    assert_eq!(used(&list(&mut command())), "Python");

    fs::create_dir_all(&own).unwrap();
    symlink(library, own.join("libonnxruntime.so.1.31.1")).unwrap();
    assert_eq!(used(&list(&mut command())), "cache");

    assert_eq!(used(&list(command().env("ORT_DYLIB_PATH", library))), "ORT_DYLIB_PATH");
    let both = || {
        let mut both = command();
        both.env("ORT_DYLIB_PATH", library).env("GENSET_ORT", library.parent().unwrap());
        both
    };
    assert_eq!(used(&list(&mut both())), "GENSET_ORT");
    let explicit = listed(both().args(["runtime", "list", "--json", "--ort"]).arg(library));
    assert_eq!(used(&explicit), "--ort");

    // What nobody named is passed over if it cannot work.
    fs::remove_file(own.join("libonnxruntime.so.1.31.1")).unwrap();
    fs::write(own.join("libonnxruntime.so.1.31.1"), "damaged").unwrap();
    let list = list(&mut command());
    assert_eq!(used(&list), "Python");
    assert_eq!(list["candidates"][3]["verdict"], "refused");
}

#[test]
fn installing_fills_an_empty_cache_once_and_mends_a_damaged_one() {
    let cache = folder();
    let install = || {
        let output = genset()
            .args(["runtime", "install", "onnxruntime"])
            .env("GENSET_CACHE", cache.path())
            .timeout(20 * LIMIT)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        (PathBuf::from(text(&output.stdout).trim()), text(&output.stderr))
    };
    let (path, said) = install();
    assert_says(&said, "installing onnxruntime 1.31.1");
    let folder = path.parent().unwrap();
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "LICENSE",
            "ThirdPartyNotices.txt",
            "libonnxruntime.so.1.31.1",
            "libonnxruntime_providers_shared.so"
        ]
    );
    assert_eq!(fs::read_dir(cache.path().join("runtime")).unwrap().count(), 1, "nothing is left");

    assert_says(&install().1, "installed already");

    let half = fs::metadata(&path).unwrap().len() / 2;
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(half).unwrap();
    let (mended, said) = install();
    assert_says(&said, "replacing: ");
    assert_eq!(fs::read(mended).unwrap(), fs::read(real()).unwrap());
}

#[test]
fn two_installations_at_a_time_agree() {
    real();
    let cache = folder();
    let paths: Vec<String> = std::thread::scope(|scope| {
        let start = || {
            let mut command = genset();
            command.args(["runtime", "install"]).env("GENSET_CACHE", cache.path());
            let output = command.timeout(20 * LIMIT).output().unwrap();
            assert!(output.status.success(), "{}", text(&output.stderr));
            text(&output.stdout)
        };
        let both = [scope.spawn(start), scope.spawn(start)];
        both.map(|thread| thread.join().unwrap()).into()
    });
    assert_eq!(paths[0], paths[1]);
    assert_eq!(fs::read_dir(cache.path().join("runtime")).unwrap().count(), 1);
}

#[test]
fn without_python_or_room_installing_says_what_to_do() {
    let cache = folder();
    let fails = |command: &mut assert_cmd::Command| {
        let output = command.args(["runtime", "install"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        text(&output.stderr)
    };
    let message = fails(&mut bare(&cache));
    assert_says(&message, "does not start");
    assert_says(&message, "python3-pip");
    assert_says(&message, "GENSET_ORT");

    let mut lonely = bare(&cache);
    let message = fails(lonely.env("GENSET_PYTHON", "false"));
    assert_says(&message, "false has no pip, and no venv");

    let file = cache.path().join("file");
    fs::write(&file, "").unwrap();
    let message = fails(bare(&cache).env("GENSET_CACHE", file.join("cache")));
    assert_says(&message, "set GENSET_CACHE");
}

/// An installation with pip cut off from every index; `wheels` is all it can see.
fn install_offline(wheels: &Path) -> String {
    let cache = folder();
    let output = genset()
        .args(["runtime", "install"])
        .env("GENSET_CACHE", cache.path())
        .env("PIP_NO_INDEX", "1")
        .env("PIP_FIND_LINKS", wheels)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read_dir(cache.path().join("runtime")).unwrap().count(), 0, "nothing is left");
    text(&output.stderr)
}

#[test]
fn without_a_network_pip_is_quoted_and_the_way_out_named() {
    let message = install_offline(folder().path());
    assert_says(&message, "pip could not download onnxruntime 1.31.1");
    assert_says(&message, "No matching distribution");
    assert_says(&message, "GENSET_ORT");
}

#[test]
fn a_wheel_with_other_bytes_is_refused() {
    let wheels = folder();
    for platform in ["manylinux_2_28_x86_64", "manylinux_2_28_aarch64"] {
        let name = format!("onnxruntime-1.31.1-cp311-cp311-{platform}.whl");
        fs::write(wheels.path().join(name), "not what was pinned").unwrap();
    }
    assert_says(&install_offline(wheels.path()), "DO NOT MATCH THE HASHES");
}

#[test]
fn a_python_without_pip_makes_one_for_the_occasion() {
    let (cache, environment) = (folder(), folder());
    let made = Command::new("python3")
        .args(["-m", "venv", "--without-pip"])
        .arg(environment.path())
        .status()
        .unwrap();
    assert!(made.success());
    let output = genset()
        .args(["runtime", "install"])
        .env("GENSET_CACHE", cache.path())
        .env("GENSET_PYTHON", environment.path().join("bin/python"))
        .timeout(20 * LIMIT)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_folder_called_pip_is_not_run() {
    let trap = folder();
    for name in ["pip", "onnxruntime"] {
        fs::create_dir(trap.path().join(name)).unwrap();
        fs::write(trap.path().join(name).join("__init__.py"), "raise SystemExit('trapped')")
            .unwrap();
        fs::create_dir(trap.path().join(name).join("capi")).unwrap();
        fs::copy(real(), trap.path().join(name).join("capi/libonnxruntime.so")).unwrap();
    }
    let cache = folder();
    let list = list(genset().env("GENSET_CACHE", cache.path()).current_dir(trap.path()));
    let path = list["candidates"][4]["path"].as_str().unwrap_or_default();
    assert!(!Path::new(path).starts_with(trap.path()), "{path}");
    let output = genset()
        .args(["runtime", "install"])
        .env("GENSET_CACHE", cache.path())
        .current_dir(trap.path())
        .timeout(20 * LIMIT)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn an_unknown_package_lists_the_known_ones() {
    let output = genset().args(["runtime", "install", "onnxrutime"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_says(&text(&output.stderr), "what can be installed: onnxruntime");
}

#[test]
fn nothing_found_is_said_for_people_and_for_programs() {
    let cache = folder();
    let document = list(&mut bare(&cache));
    assert!(document["used"].is_null());
    assert_eq!(document["candidates"].as_array().unwrap().len(), 5);
    let output = bare(&cache).args(["runtime", "list"]).output().unwrap();
    assert_says(&text(&output.stdout), "genset runtime install");
}

#[test]
fn one_process_holds_one_runtime() {
    let named = |path: &Path| Search { explicit: Some(path.into()), ..Search::default() };
    let runtime = Runtime::open(&named(real())).unwrap();
    assert_eq!((runtime.version(), runtime.path()), ("1.31.1", real()));
    assert!(runtime.providers().unwrap().contains(&"cpu".to_owned()));

    assert!(std::ptr::eq(runtime, Runtime::open(&Search::default()).unwrap()));
    assert!(std::ptr::eq(runtime, Runtime::open(&named(real().parent().unwrap())).unwrap()));
    let folder = folder();
    let other = folder.path().join("libonnxruntime.so");
    fs::copy(real(), &other).unwrap();
    let error = Runtime::open(&named(&other)).unwrap_err();
    assert_says(&error.summary(), "one process holds one ONNX Runtime");
}

#[test]
fn a_process_that_holds_a_runtime_exits_every_time() {
    let library = real();
    for _ in 0..20 {
        let start = Instant::now();
        let output = genset().args(["runtime", "probe", "--json"]).arg(library).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(start.elapsed() < Duration::from_secs(10));
        let probe: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(probe["version"], "1.31.1");
        assert!(probe["providers"].as_array().unwrap().contains(&Value::from("cpu")));
    }
}
