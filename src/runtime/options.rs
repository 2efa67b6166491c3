//! What can be set on a provider: one table, in the words of ONNX Runtime.
//!
//! Only what does not change which numbers come out is here. Precision, threads and whatever makes
//! two sessions differ are set by genset alone, from the recipe and the options of a session.

use std::fmt;
use std::str::FromStr;

use super::provider::Provider;
use crate::error::{Error, Kind, Result};

/// One setting of a provider, such as `cuda.device_id=1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderOption {
    provider: Provider,
    key: &'static str,
    value: String,
}

/// What a value may be.
#[derive(Debug)]
enum Value {
    /// A whole number up to this.
    Number(u64),
    /// One of these words.
    Word(&'static [&'static str]),
}

/// Provider, key, value, and what it does.
type Row = (Provider, &'static str, Value, &'static str);

/// The key that says which GPU; nearly every provider with GPUs calls it so.
const DEVICE: &str = "device_id";
const GPUS: Value = Value::Number(255);
const BYTES: Value = Value::Number(u64::MAX);

const TABLE: [Row; 9] = [
    (Provider::Cuda, DEVICE, GPUS, "which GPU, counted from 0"),
    (Provider::Cuda, "gpu_mem_limit", BYTES, "bytes that the memory arena may take"),
    (
        Provider::Cuda,
        "arena_extend_strategy",
        Value::Word(&["kNextPowerOfTwo", "kSameAsRequested"]),
        "how the memory arena grows",
    ),
    (Provider::TensorRt, DEVICE, GPUS, "which GPU, counted from 0"),
    (Provider::TensorRt, "trt_max_workspace_size", BYTES, "bytes that building may take"),
    (Provider::TensorRtRtx, DEVICE, GPUS, "which GPU of those it offers, counted from 0"),
    (Provider::Rocm, DEVICE, GPUS, "which GPU, counted from 0"),
    (Provider::Cann, DEVICE, GPUS, "which device, counted from 0"),
    (Provider::Qnn, "backend_type", Value::Word(&["cpu", "gpu", "htp"]), "what it runs on"),
];

impl ProviderOption {
    /// Whose setting it is.
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Its name in ONNX Runtime.
    #[must_use]
    pub fn key(&self) -> &'static str {
        self.key
    }

    /// Its value.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// All that can be set, a line each.
    #[must_use]
    pub fn table() -> String {
        TABLE
            .iter()
            .map(|(provider, key, value, about)| {
                format!("{:<30} {about} ({value})\n", format!("{provider}.{key}"))
            })
            .collect()
    }

    /// Fails unless each is for one of `providers`, and none is given twice.
    pub(super) fn check_all(options: &[Self], providers: &[Provider]) -> Result<()> {
        for (i, option) in options.iter().enumerate() {
            let Self { provider, key, .. } = option;
            if !providers.contains(provider) {
                return Err(Error::new(
                    Kind::Argument,
                    format!("{option} is set, but provider `{provider}` is not used"),
                )
                .help(format!("add --provider {provider}, or leave it out")));
            }
            if options[..i].iter().any(|other| other.provider == *provider && other.key == *key) {
                return Err(Error::new(Kind::Argument, format!("{provider}.{key} is set twice")));
            }
        }
        Ok(())
    }

    /// The GPU that `provider` is to use; 0 if `options` do not say.
    pub(super) fn device(options: &[Self], provider: Provider) -> u32 {
        let is_it = |option: &&Self| option.provider == provider && option.key == DEVICE;
        options.iter().find(is_it).and_then(|option| option.value.parse().ok()).unwrap_or(0)
    }
}

impl Value {
    fn takes(&self, text: &str) -> bool {
        match self {
            Self::Number(most) => text.parse::<u64>().is_ok_and(|number| number <= *most),
            Self::Word(words) => words.contains(&text),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(u64::MAX) => f.write_str("a whole number"),
            Self::Number(most) => write!(f, "0 to {most}"),
            Self::Word(words) => f.write_str(&words.join(" | ")),
        }
    }
}

impl fmt::Display for ProviderOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}={}", self.provider, self.key, self.value)
    }
}

impl FromStr for ProviderOption {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = |message: String| Error::new(Kind::Argument, message);
        let parts = text.split_once('=').and_then(|(name, value)| {
            let (provider, key) = name.split_once('.')?;
            Some((provider.trim(), key.trim(), value.trim()))
        });
        let (provider, key, value) = parts.ok_or_else(|| {
            bad(format!("`{text}` is no provider option"))
                .help("write PROVIDER.KEY=VALUE, such as cuda.device_id=1")
        })?;
        let provider: Provider = provider.parse()?;
        let of_provider = || TABLE.iter().filter(|row| row.0 == provider);
        let Some((_, key, takes, _)) = of_provider().find(|row| row.1 == key) else {
            let known: Vec<_> = of_provider().map(|row| row.1).collect();
            let known = if known.is_empty() { "none".into() } else { known.join(", ") };
            return Err(bad(format!("provider `{provider}` has no option `{key}`"))
                .help(format!("its options: {known}")));
        };
        if !takes.takes(value) {
            return Err(bad(format!("{provider}.{key} cannot be `{value}`"))
                .help(format!("it takes {takes}")));
        }
        Ok(Self { provider, key, value: value.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        text.parse::<ProviderOption>().unwrap_err().to_string()
    }

    #[test]
    fn an_option_reads_back_and_an_unknown_one_names_the_known() {
        let option: ProviderOption = "cuda.device_id=1".parse().unwrap();
        assert_eq!(
            (option.provider(), option.key(), option.value()),
            (Provider::Cuda, DEVICE, "1")
        );
        assert_eq!(option.to_string(), "cuda.device_id=1");
        assert!(refused("cuda.device=1").contains("gpu_mem_limit"));
        assert!(refused("cpu.threads=2").contains("its options: none"));
        assert!(refused("cuda.device_id=-1").contains("0 to 255"));
        assert!(refused("qnn.backend_type=dsp").contains("cpu | gpu | htp"));
        assert!(refused("device_id=1").contains("PROVIDER.KEY=VALUE"));
        assert!(ProviderOption::table().contains("cuda.gpu_mem_limit"));
    }

    #[test]
    fn an_option_of_a_provider_that_is_not_used_is_an_error() {
        let options = ["cuda.device_id=1".parse().unwrap(), "cuda.device_id=2".parse().unwrap()];
        let error = ProviderOption::check_all(&options[..1], &[Provider::Cpu]).unwrap_err();
        assert!(error.to_string().contains("add --provider cuda"), "{error}");
        let error = ProviderOption::check_all(&options, &[Provider::Cuda]).unwrap_err();
        assert!(error.summary().contains("set twice"), "{error}");
        assert_eq!(ProviderOption::device(&options[..1], Provider::Cuda), 1);
        assert_eq!(ProviderOption::device(&options, Provider::TensorRt), 0);
    }
}
