//! What the system says of this process and its machine.

/// Resident memory now, in bytes; `None` where the system does not say.
pub(crate) fn resident_bytes() -> Option<u64> {
    status_bytes("VmRSS:")
}

/// The most resident memory so far, in bytes; `None` where the system does not say.
pub(crate) fn peak_resident_bytes() -> Option<u64> {
    status_bytes("VmHWM:")
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
