//! How a dataset is opened.

use std::ffi::c_char;
use std::path::PathBuf;
use std::ptr;

use genset::Result;
use genset::runtime::Search;

use crate::arguments::{text_or_null, texts};

/// What is set over a recipe, and how its generator runs. Begin with `genset_options_default`.
#[repr(C)]
#[derive(Debug)]
pub struct Options {
    /// `key=value` settings put over the recipe, such as "samples=1000".
    pub settings: *const *const c_char,
    /// How many there are. Default 0.
    pub settings_len: usize,
    /// Execution providers in order of preference, such as "cuda".
    pub providers: *const *const c_char,
    /// How many there are. Default 0: the CPU.
    pub providers_len: usize,
    /// What is set on the providers: `provider.key=value`, such as "cuda.device_id=1".
    pub provider_options: *const *const c_char,
    /// How many there are. Default 0.
    pub provider_options_len: usize,
    /// Threads inside one generator call. Default 0: as measured by `genset tune`, or else 1.
    pub threads: usize,
    /// Edits of the generator's graph: "auto", "none", or names with commas between them. Default
    /// NULL: "auto".
    pub rewrites: *const c_char,
    /// The library of ONNX Runtime, or the folder that it is in. Default NULL: it is looked for where
    /// GENSET_ORT and ORT_DYLIB_PATH say, in genset's cache, and in the active Python. A process has
    /// one.
    pub ort: *const c_char,
    /// Whether ONNX Runtime is fetched into genset's cache if there is none, which is told on standard
    /// error. Default false.
    pub install: bool,
    /// Bytes of images that random access may keep of blocks that it has made, beside the last.
    /// Default 0.
    pub random_access: u64,
}

/// What is meant where no options are given.
#[unsafe(no_mangle)]
pub extern "C" fn genset_options_default() -> Options {
    Options {
        settings: ptr::null(),
        settings_len: 0,
        providers: ptr::null(),
        providers_len: 0,
        provider_options: ptr::null(),
        provider_options_len: 0,
        threads: 0,
        rewrites: ptr::null(),
        ort: ptr::null(),
        install: false,
        random_access: 0,
    }
}

impl Options {
    /// The same for the library; the usual ones for null.
    ///
    /// # Safety
    /// `options` is null or valid for reads, and so is what it points to, as its fields say.
    pub(crate) unsafe fn read(options: *const Self) -> Result<genset::load::Options> {
        let usual = genset_options_default();
        // SAFETY: the caller promises it.
        let options = unsafe { options.as_ref() }.unwrap_or(&usual);
        // SAFETY: the caller promises it.
        let (settings, providers, provider_options, rewrites, ort) = unsafe {
            (
                texts(options.settings, options.settings_len, "settings")?,
                texts(options.providers, options.providers_len, "providers")?,
                texts(options.provider_options, options.provider_options_len, "provider_options")?,
                text_or_null(options.rewrites, "rewrites")?,
                text_or_null(options.ort, "ort")?,
            )
        };
        let providers = providers.iter().map(|name| name.parse()).collect::<Result<Vec<_>>>()?;
        let provider_options = provider_options.iter().map(|option| option.parse());
        Ok(genset::load::Options {
            search: Search {
                explicit: ort.map(PathBuf::from),
                package: None,
                providers: providers.clone(),
                install: options.install,
                say: |line| eprintln!("genset: {line}"),
            },
            providers,
            provider_options: provider_options.collect::<Result<_>>()?,
            threads: (options.threads != 0).then_some(options.threads),
            rewrites: rewrites.unwrap_or("auto").parse()?,
            random_access: options.random_access,
            settings: settings.into_iter().map(str::to_owned).collect(),
        })
    }
}
