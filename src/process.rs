//! What the system says of this process and its machine.

use std::time::Duration;

/// Cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Resident memory now, in bytes; `None` where the system does not say.
pub(crate) fn resident_bytes() -> Option<u64> {
    status_bytes("VmRSS:")
}

/// The most resident memory so far, in bytes; `None` where the system does not say.
pub(crate) fn peak_resident_bytes() -> Option<u64> {
    status_bytes("VmHWM:")
}

/// The time that all threads of this process, those that have ended too, ran on a processor;
/// `None` where the system does not say.
pub(crate) fn cpu_time() -> Option<Duration> {
    #[cfg(target_os = "linux")]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Duration::try_from(time).ok()
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// Asks the system to back memory with large pages where whole ones fit in it: a buffer of many
/// megabytes is then written without a walk through the page tables for every 4 KiB of it. Where the
/// system has no such pages, or gives none, nothing changes.
#[allow(unused_variables, reason = "Linux alone is asked")]
pub(crate) fn prefer_large_pages(memory: &mut [u8]) {
    #[cfg(target_os = "linux")]
    {
        /// What the system wants the beginning to be aligned to: its largest usual page.
        const ALIGNMENT: usize = 64 << 10;
        /// Below this not one page of 2 MiB is sure to fit.
        const LEAST: usize = 4 << 20;
        if memory.len() < LEAST {
            return;
        }
        let skip = memory.as_ptr().align_offset(ALIGNMENT);
        let Some(inner) = memory.get_mut(skip..) else { return };
        let len = inner.len() / ALIGNMENT * ALIGNMENT;
        // SAFETY: the range is that of a slice that is borrowed here alone, and this advice changes
        // what memory is backed with, never what is in it. Its failure has no consequence.
        let _ = unsafe {
            rustix::mm::madvise(inner.as_mut_ptr().cast(), len, rustix::mm::Advice::LinuxHugepage)
        };
    }
}

/// The processor's name, family and model, as the system has them; elsewhere its architecture.
pub(crate) fn cpu_name() -> String {
    let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |key: &str| {
        let mut lines = information.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim())
    };
    match (field("model name"), field("cpu family"), field("model")) {
        // A cloud has one name for several generations.
        (Some(name), Some(family), Some(model)) => format!("{name} ({family}/{model})"),
        (Some(name), ..) => name.to_owned(),
        (None, ..) => std::env::consts::ARCH.to_owned(),
    }
}

/// A size in Linux's `/proc/self/status`, which counts in KiB.
fn status_bytes(key: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(key))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_work_of_a_thread_counts_also_when_it_has_ended() {
        let before = cpu_time().unwrap();
        let work = || {
            let begun = std::time::Instant::now();
            let mut sum = 0_u64;
            while begun.elapsed() < Duration::from_millis(200) {
                sum = std::hint::black_box(sum + 1);
            }
        };
        std::thread::spawn(work).join().unwrap();
        // Others may have had the core for some of that time.
        assert!(cpu_time().unwrap() - before >= Duration::from_millis(5));
    }
}
