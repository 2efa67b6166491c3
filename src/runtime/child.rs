//! Runs another program with a time limit.
//!
//! Its output goes to temporary files instead of pipes, so neither a talkative child nor a
//! grandchild that outlives it can block us, and no thread is needed to read along.

use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::{Error, Kind, Result};

/// More than any child here has to say; the rest is not read.
const OUTPUT_LIMIT: u64 = 4 << 20;

/// How a child ended. `status` is `None` if it ran out of time and was ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: Option<ExitStatus>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Ended {
    pub(super) fn success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// The last `count` lines of the error output that say something.
    pub(super) fn last_lines(&self, count: usize) -> String {
        last_lines(&self.stderr, count)
    }
}

/// The last `count` lines of `text` that say something.
pub(super) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// Ends the child if we leave early.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // Both fail only if the child has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `command` to its end, or for `limit`.
///
/// # Errors
/// The error of the operating system if the program cannot be started.
pub(super) fn run(command: &mut Command, limit: Duration) -> std::io::Result<Ended> {
    let mut stdout = tempfile::tempfile()?;
    let mut stderr = tempfile::tempfile()?;
    command.stdin(Stdio::null()).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
    let deadline = Instant::now() + limit;
    let mut child = Guard(command.spawn()?);
    let mut pause = Duration::from_millis(1);
    let status = loop {
        if let Some(status) = child.0.try_wait()? {
            break Some(status);
        }
        if Instant::now() >= deadline {
            break None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    };
    drop(child);
    Ok(Ended { status, stdout: read(&mut stdout)?, stderr: read(&mut stderr)? })
}

fn read(file: &mut File) -> std::io::Result<String> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(OUTPUT_LIMIT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Like [`run`], for a program that is known to be there.
pub(super) fn run_known(command: &mut Command, limit: Duration) -> Result<Ended> {
    let program = command.get_program().to_string_lossy().into_owned();
    run(command, limit).map_err(|error| {
        Error::new(Kind::Io, format!("cannot run {program}: {error}")).because(error)
    })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Ended {
        run(Command::new("sh").args(["-c", script]), limit).unwrap()
    }

    #[test]
    fn output_and_status_come_back() {
        let ended = shell("echo out; echo one >&2; echo two >&2; exit 3", Duration::from_secs(20));
        assert_eq!(ended.status.unwrap().code(), Some(3));
        assert_eq!(ended.stdout, "out\n");
        assert_eq!(ended.last_lines(1), "two");
    }

    #[test]
    fn a_child_that_hangs_is_ended_and_its_grandchildren_do_not_hold_us() {
        let start = Instant::now();
        let ended = shell("sleep 5 & sleep 5", Duration::from_millis(100));
        assert!(ended.status.is_none());
        assert!(start.elapsed() < Duration::from_secs(4));
    }
}
