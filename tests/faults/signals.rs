//! Ctrl-C, and how a process ends.

use std::io::Read;
use std::process::Child;
use std::thread;

use super::*;

/// A digest that would take hours.
const LONG: [&str; 6] =
    ["digest", "builtin:digits", "--set", "samples=endless", "--count", "100000000"];

/// Starts a command and lets it run for a while.
fn started(arguments: &[&str], time: Duration) -> Child {
    let mut command = genset();
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    thread::sleep(time);
    assert!(child.try_wait().unwrap().is_none(), "{arguments:?} has ended by itself");
    child
}

fn send(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Waits for the end; how long that took is the time.
fn ended(mut child: Child) -> Ran {
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if begun.elapsed() > LIMIT => {
                child.kill().unwrap();
                panic!("it goes on and on");
            }
            None => thread::sleep(Duration::from_millis(2)),
        }
    };
    let time = begun.elapsed();
    let read = |stream: Option<&mut dyn Read>| {
        let mut text = String::new();
        stream.unwrap().read_to_string(&mut text).unwrap();
        text
    };
    let stdout = read(child.stdout.as_mut().map(|s| s as &mut dyn Read));
    let stderr = read(child.stderr.as_mut().map(|s| s as &mut dyn Read));
    Ran { code: status.code(), stdout, stderr, time }
}

#[test]
fn ctrl_c_ends_a_digest_at_once() {
    for (signal, time) in [("-INT", 500), ("-INT", 100), ("-TERM", 500)] {
        let child = started(&LONG, Duration::from_millis(time));
        send(&child, signal);
        let ran = ended(child);
        ran.says(130, &["error: interrupted"]).at_once();
        assert!(ran.stdout.is_empty(), "half a digest is none: {ran:?}");
    }
}

#[test]
fn ctrl_c_ends_a_benchmark_in_the_ceiling_and_in_the_loader() {
    let rounds = ["bench", "builtin:digits", "--seconds", "0.7"];
    for time in [500, 1300] {
        let child = started(&rounds, Duration::from_millis(time));
        send(&child, "-INT");
        ended(child).says(130, &["error: interrupted"]).at_once();
    }
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_the_call_in_flight() {
    // One call takes seconds.
    let slow = ["--set", "generator.block=8192", "--memory", "4096", "--batch", "8192"];
    for _ in 0..3 {
        let child = started(&[&LONG[..], &slow].concat(), Duration::from_millis(600));
        send(&child, "-INT");
        thread::sleep(Duration::from_millis(30));
        send(&child, "-INT");
        ended(child).says(130, &[]).at_once();
    }
}

#[test]
fn a_sheet_is_there_whole_or_not_at_all() {
    let folder = Folder::empty();
    let sheet = folder.path("sheet.png");
    let arguments = ["preview", "builtin:digits", "--count", "2000", "-o", sheet.to_str().unwrap()];
    let whole = |bytes: &[u8]| bytes.ends_with(b"IEND\xaeB`\x82");
    for attempt in 0..12 {
        let mut command = genset();
        let mut child = command.args(arguments).stdout(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(60 * attempt));
        // It may be done by then.
        let _ = child.kill();
        child.wait().unwrap();
        match fs::read(&sheet) {
            Ok(bytes) => assert!(whole(&bytes), "{} bytes of a sheet", bytes.len()),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
        }
    }
    // An old sheet stays until the new one is whole.
    fs::write(&sheet, "old").unwrap();
    let mut child = genset().args(arguments).stdout(Stdio::null()).spawn().unwrap();
    thread::sleep(Duration::from_millis(100));
    let _ = child.kill();
    child.wait().unwrap();
    let bytes = fs::read(&sheet).unwrap();
    assert!(bytes == b"old" || whole(&bytes));
}

#[test]
fn a_sheet_that_cannot_be_written_is_named() {
    let folder = Folder::empty();
    for place in ["no/such/folder/sheet.png", ""] {
        let sheet = folder.path(place);
        let ran =
            ran(genset().args(["preview", "builtin:digits", "--count", "1", "-o"]).arg(sheet));
        ran.says(1, &["cannot write", folder.path(place).to_str().unwrap()]);
    }
    assert_eq!(fs::read_dir(folder.path("")).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn files_are_as_public_as_the_umask_lets_them_be() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::empty();
    let sheet = folder.path("sheet.png");
    ran(genset().args(["preview", "builtin:digits", "--count", "1", "-o"]).arg(&sheet))
        .says(0, &[]);
    fs::write(folder.path("other"), "").unwrap();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(sheet), mode(folder.path("other")));
}

/// The runtime has been seen to hang when a process ends (pykeio/ort #560, #579, #604).
#[test]
fn processes_end_when_they_are_done() {
    for run in 0..30 {
        let workers = ["1", "2", "7"][run % 3];
        let done = ran(genset()
            .args(["digest", "builtin:digits", "--count", "64"])
            .args(["--workers", workers]));
        done.says(0, &[]);
        assert!(done.time < 3 * AT_ONCE, "run {run}: {done:?}");
    }
}
