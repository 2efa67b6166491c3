//! What must be measured in a process of its own: memory and threads.
//!
//! The process is this test binary again, running the one test [`task`] below.

use std::thread;

use genset::bench::peak_rss_bytes;
use genset::graph::Model;
use genset::load::{LoaderBuilder, Stop};
use genset::{Dataset, Kind};

use super::*;

const TASK: &str = "GENSET_TEST_TASK";
const MIB: u64 = 1 << 20;

/// The numbers that a task prints, one a line.
fn apart(task: &[&str]) -> Vec<u64> {
    runtime();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "apart::task", "--nocapture", "--test-threads=1"]);
    command.env(TASK, task.join("\n")).env_remove("RANK").env_remove("WORLD_SIZE");
    let ran = ran(&mut command);
    assert_eq!(ran.code, Some(0), "{task:?}: {ran:?}");
    ran.stdout.lines().filter_map(|line| line.strip_prefix("= ")?.parse().ok()).collect()
}

fn tell(number: u64) {
    println!("\n= {number}");
}

fn peak() -> u64 {
    peak_rss_bytes().expect("Linux says")
}

/// Not a test by itself.
#[test]
fn task() {
    let Ok(task) = std::env::var(TASK) else { return };
    match task.split('\n').collect::<Vec<_>>()[..] {
        ["refuse", path] => {
            let error = Model::read(path.as_ref()).expect_err("refused");
            eprintln!("{error}");
            tell(peak());
        }
        ["stream", recipe, samples] => {
            stream(recipe, samples.parse().unwrap(), |loader| loader, Duration::ZERO);
        }
        ["hold", recipe, memory] => {
            let memory: u64 = memory.parse().unwrap();
            let far_ahead = |loader: LoaderBuilder| loader.prefetch(1 << 30).memory(memory);
            stream(recipe, 1, far_ahead, Duration::from_secs(3));
        }
        ["threads", good, bad] => count_threads(good, bad),
        _ => panic!("{task}"),
    }
}

/// Takes `samples` from a loader, after `pause`, and tells the peak.
fn stream(
    recipe: &str,
    samples: u64,
    set_up: impl Fn(LoaderBuilder) -> LoaderBuilder,
    pause: Duration,
) {
    let dataset = Dataset::open_with(recipe, options()).unwrap();
    let loader = set_up(dataset.loader().workers(2)).build().unwrap();
    thread::sleep(pause);
    let mut taken = 0;
    for batch in loader {
        taken += batch.unwrap().len() as u64;
        if taken >= samples {
            break;
        }
    }
    tell(peak());
}

fn threads() -> u64 {
    fs::read_dir("/proc/self/task").unwrap().count() as u64
}

/// That `count` threads are left. A thread that was joined stays in the kernel's list for a moment
/// longer: it wakes who waits for it before it is taken out.
fn assert_left(count: u64, when: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while threads() != count && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(threads(), count, "{when}");
}

fn count_threads(good: &str, bad: &str) {
    const WORKERS: usize = 5;
    let open = |recipe: &str| Dataset::open_with(recipe, options()).unwrap();
    let (good, bad) = (open(good), open(bad));
    // What the runtime starts once and keeps is there now.
    good.get(0).unwrap();
    let before = threads();
    for _ in 0..20 {
        let stop = Stop::new();
        let loader =
            |of: &Dataset| of.loader().workers(WORKERS).stop(stop.clone()).build().unwrap();
        let at_once = loader(&good);
        assert_left(before + WORKERS as u64 + 1, "workers and the planner, no more");
        drop(at_once);
        assert_left(before, "dropped at once");
        drop(loader(&good).next());
        assert_left(before, "dropped in mid-stream");
        let mut whole = good.loader().workers(WORKERS).range(0..100).build().unwrap();
        assert_eq!(whole.by_ref().map(|batch| batch.unwrap().len()).sum::<usize>(), 100);
        assert_left(before, "at the end");
        let mut failing = loader(&bad);
        assert_eq!(failing.next().unwrap().unwrap_err().kind(), Kind::Sample);
        assert_left(before, "after an error");
        let mut stopped = loader(&good);
        stop.stop();
        assert!(stopped.next().unwrap().unwrap_err().is_interrupted());
        assert_left(before, "after a stop");
    }
    tell(before);
}

#[test]
fn hostile_files_are_refused_in_little_memory() {
    for name in models::HOSTILE {
        let peak = apart(&["refuse", model(name).to_str().unwrap()])[0];
        assert!(peak < 100 * MIB, "{name}: {} MiB", peak / MIB);
    }
}

#[test]
fn memory_stays_flat_however_long_the_stream() {
    let folder = Folder::of("channels-1");
    let recipe = folder.path("recipe.toml");
    let peak = |samples| apart(&["stream", recipe.to_str().unwrap(), samples])[0];
    let (short, long) = (peak("10000"), peak("1000000"));
    let difference = long.saturating_sub(short) / MIB;
    assert!(difference < 8, "{difference} MiB more after 10^6 samples than after 10^4");
}

#[test]
fn the_memory_setting_is_obeyed() {
    let folder = Folder::of("dynamic-batch").recipe(&format!("{PLAIN}[output]\ndtype = \"f32\"\n"));
    let recipe = folder.path("recipe.toml");
    let peak = |memory: u64| apart(&["hold", recipe.to_str().unwrap(), &memory.to_string()])[0];
    let (small, large) = (peak(8 * MIB), peak(72 * MIB));
    let difference = large.saturating_sub(small) / MIB;
    assert!(difference > 30, "{difference} MiB more: the larger setting was not used");
    assert!(difference < 72, "{difference} MiB more for a setting of 64 MiB more");
}

#[test]
fn no_thread_is_left() {
    let (good, bad) = (Folder::of("channels-1"), Folder::of("nan-always"));
    let path = |folder: &Folder| folder.path("recipe.toml").to_str().unwrap().to_owned();
    assert_eq!(apart(&["threads", &path(&good), &path(&bad)]).len(), 1);
}
