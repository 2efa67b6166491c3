//! Engines that TensorRT builds from a model, kept in the cache.
//!
//! Building takes minutes and times kernels, so that two builds may compute in another order: all
//! sessions of a model must share one engine, or a worker's images would differ from another's.
//! What is kept is found again by the model's bytes, the precision, the GPU, its driver and the
//! libraries' versions, and whoever builds holds a lock.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::options::ProviderOption;
use super::provider::Provider;
use super::session::{ModelSource, SessionOptions};
use super::{Runtime, cache, nvidia};
use crate::error::{Error, Result};
use crate::graph::Model;

/// How often a build that is not done says so.
const TICK: Duration = Duration::from_secs(10);

/// The engines of one model for one GPU. Others who want them wait while this is held.
#[derive(Debug)]
pub(super) struct Engines {
    folder: PathBuf,
    provider: Provider,
    _lock: File,
}

impl Engines {
    /// The engines for a session; `None` if none of its providers builds any.
    ///
    /// # Errors
    /// [`Kind::Provider`](crate::Kind::Provider) if the GPU or TensorRT is not here,
    /// [`Kind::Io`](crate::Kind::Io) if the model cannot be read or the cache not written to.
    pub(super) fn of(
        runtime: &Runtime,
        model: ModelSource<'_>,
        options: &SessionOptions,
    ) -> Result<Option<Self>> {
        let builds =
            |provider: &&Provider| matches!(provider, Provider::TensorRt | Provider::TensorRtRtx);
        let Some(&provider) = options.providers.iter().find(builds) else { return Ok(None) };
        let device = ProviderOption::device(&options.provider_options, provider);
        let gpu = nvidia::driver(provider)?.identity(device)?;
        let library = match provider {
            Provider::TensorRt => nvidia::tensorrt_version()?.to_string(),
            _ => provider.package().map(|package| package.version()).unwrap_or_default().to_owned(),
        };
        let parts = [provider.name(), &library, runtime.version(), options.precision.name(), &gpu];
        Self::held(&cache::engines()?, provider, &name(&parts, model)?).map(Some)
    }

    /// The folder `name` in `root`, made if need be, once nobody else holds it.
    fn held(root: &Path, provider: Provider, name: &str) -> Result<Self> {
        let folder = root.join(name);
        let writable = |error| {
            Error::io(&folder, "write to", error)
                .help("set GENSET_CACHE to a folder that can be written to")
        };
        fs::create_dir_all(&folder).map_err(writable)?;
        let lock = File::create(folder.join(".lock")).map_err(writable)?;
        lock.lock().map_err(writable)?;
        Ok(Self { folder, provider, _lock: lock })
    }

    /// What `provider` is told about the folder.
    pub(super) fn settings(&self, provider: Provider) -> Vec<(&'static str, String)> {
        let folder = || self.folder.to_string_lossy().into_owned();
        match provider {
            _ if provider != self.provider => Vec::new(),
            Provider::TensorRt => vec![
                ("trt_engine_cache_enable", "1".into()),
                ("trt_engine_cache_path", folder()),
                ("trt_timing_cache_enable", "1".into()),
                ("trt_timing_cache_path", folder()),
            ],
            _ => vec![("nv_runtime_cache_path", folder())],
        }
    }

    /// Does `work`, which loads the engine, and tells `say` how long it has taken if it must be
    /// built first.
    pub(super) fn load<T>(&self, say: fn(&str), work: impl FnOnce() -> T) -> T {
        let is_built = fs::read_dir(&self.folder).is_ok_and(|mut entries| {
            entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != ".lock"))
        });
        if is_built {
            return work();
        }
        let what = format!("building a {} engine", self.provider);
        say(&format!("{what} for this model and GPU; it is kept in {}", self.folder.display()));
        with_ticks(TICK, &|seconds| say(&format!("{what}: {seconds} s")), work)
    }
}

/// Does `work` on this thread, and calls `tick` with the seconds that have passed after each
/// `pause`.
fn with_ticks<T>(pause: Duration, tick: &(dyn Fn(u64) + Sync), work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    thread::scope(|scope| {
        // Dropped when the work is done, or panics: either way the other end hears of it.
        let (working, done) = channel::<()>();
        scope.spawn(move || {
            while done.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                tick(begun.elapsed().as_secs());
            }
        });
        let result = work();
        drop(working);
        result
    })
}

/// A folder's name from what an engine depends on and the model's bytes, those of its external
/// data included.
fn name(parts: &[&str], model: ModelSource<'_>) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    match model {
        ModelSource::Memory(bytes) => {
            hasher.update(bytes);
        }
        ModelSource::File(path) => Model::read(path)?.hash_into(&mut hasher)?,
    }
    let text = format!("{}-{}", parts.join("-"), &hasher.finalize().to_hex()[..32]);
    let plain = |c: char| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '_' };
    Ok(text.chars().map(plain).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn another_model_gpu_or_library_has_other_engines() {
        let of = |parts: &[&str], bytes: &[u8]| name(parts, ModelSource::Memory(bytes)).unwrap();
        let one = of(&["tensorrt", "101300", "f16", "NVIDIA H200-13000"], b"model");
        assert_eq!(one, of(&["tensorrt", "101300", "f16", "NVIDIA H200-13000"], b"model"));
        assert!(one.starts_with("tensorrt-101300-f16-NVIDIA_H200-13000-"), "{one}");
        assert_ne!(one, of(&["tensorrt", "101300", "f16", "NVIDIA H200-13000"], b"other"));
        assert_ne!(one, of(&["tensorrt", "101301", "f16", "NVIDIA H200-13000"], b"model"));
        let hostile = of(&["../../x"], b"");
        assert!(!hostile.contains('/'), "{hostile}");
    }

    #[test]
    fn only_one_builds_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let inside = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let engines = Engines::held(root.path(), Provider::TensorRt, "x").unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    let settings = engines.settings(Provider::TensorRt);
                    let path = root.path().join("x").to_string_lossy().into_owned();
                    assert!(settings.contains(&("trt_engine_cache_path", path)));
                    assert!(engines.settings(Provider::Cuda).is_empty());
                    thread::sleep(Duration::from_millis(5));
                    inside.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
    }

    #[test]
    fn a_build_says_that_it_goes_on_and_a_kept_engine_says_nothing() {
        static LINES: AtomicUsize = AtomicUsize::new(0);
        let say: fn(&str) = |_| {
            LINES.fetch_add(1, Ordering::SeqCst);
        };
        let ticks = AtomicUsize::new(0);
        let tick = |_| {
            ticks.fetch_add(1, Ordering::SeqCst);
        };
        let pause = Duration::from_millis(2);
        let until_told = || {
            while ticks.load(Ordering::SeqCst) < 2 {
                thread::sleep(pause);
            }
            7
        };
        assert_eq!(with_ticks(pause, &tick, until_told), 7);

        let root = tempfile::tempdir().unwrap();
        let engines = Engines::held(root.path(), Provider::TensorRt, "x").unwrap();
        engines.load(say, || fs::write(engines.folder.join("a.engine"), "").unwrap());
        assert_eq!(LINES.load(Ordering::SeqCst), 1);
        engines.load(say, || ());
        assert_eq!(LINES.load(Ordering::SeqCst), 1);
    }
}
