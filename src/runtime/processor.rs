//! Who made this machine's processor.

/// Whether it is by Intel: some plugins offer nothing on others.
#[cfg(target_arch = "x86_64")]
pub(super) fn is_intel() -> bool {
    // Leaf 0 gives the maker's name in these three registers, in this order.
    let leaf = std::arch::x86_64::__cpuid(0);
    [leaf.ebx, leaf.edx, leaf.ecx].map(u32::to_le_bytes).concat() == b"GenuineIntel"
}

/// Intel makes no others.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn is_intel() -> bool {
    false
}

#[cfg(all(test, target_os = "linux", target_arch = "x86_64"))]
mod tests {
    #[test]
    fn the_system_agrees_on_the_maker() {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap();
        assert_eq!(super::is_intel(), info.contains("GenuineIntel"));
    }
}
