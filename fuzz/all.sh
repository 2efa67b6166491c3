#!/bin/sh
# Runs every target, one after the other, for SECONDS each (default 300). What is new to a target
# goes to corpus/TARGET, findings go to artifacts/TARGET; a finding does not stop the others.
#
#     fuzz/all.sh [SECONDS [TARGET...]]
set -eu
cd "$(dirname "$0")"
seconds=${1:-300}
[ $# -gt 0 ] && shift
# Lets a stable toolchain pass the sanitizer's flags.
export RUSTC_BOOTSTRAP=1
found=
for target in ${*:-$(cargo fuzz list --fuzz-dir .)}; do
    mkdir -p "corpus/$target"
    echo "== $target"
    cargo fuzz run --fuzz-dir . "$target" "corpus/$target" "seeds/$target" -- \
        -max_total_time="$seconds" -max_len=4096 -rss_limit_mb=2048 -timeout=10 \
        -print_final_stats=1 || found="$found $target"
done
[ -z "$found" ] || { echo "findings in:$found"; exit 1; }
