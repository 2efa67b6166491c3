//! What each provider can compute in, said before anything is loaded.
//!
//! A provider that was asked for a precision computes in it or is an error. What a device does
//! inside one multiplication is its own; TF32, which has bf16's ten bits less three, is not f32.

use super::provider::Provider;
use crate::error::{Error, Kind, Result};
use crate::recipe::Precision;

/// Fails unless every provider that a generator may run on can compute in `precision`.
///
/// The CPU behind others is not asked: it takes the nodes that they cannot run, as they are.
///
/// # Errors
/// [`Kind::Provider`] that names the provider and those that can.
pub fn check_precision(providers: &[Provider], precision: Precision) -> Result<()> {
    let first = providers.first().copied().unwrap_or_default();
    let rest = providers.iter().skip(1).copied().filter(|other| *other != Provider::Cpu);
    for provider in std::iter::once(first).chain(rest) {
        check(provider, precision).map_err(|error| error.at("generator.precision"))?;
    }
    Ok(())
}

fn check(provider: Provider, precision: Precision) -> Result<()> {
    use Precision::{Bf16, F16, F32};
    match (provider, precision) {
        (Provider::OpenVino, Bf16) if !has_bf16() => Err(Error::new(
            Kind::Provider,
            "provider `openvino` cannot compute in bf16: this processor has no instructions for it",
        )
        .help("set generator.precision = \"f32\"")),
        (_, F32) | (Provider::OpenVino, Bf16) | (Provider::TensorRt, Bf16 | F16) => Ok(()),
        (Provider::Cuda | Provider::TensorRtRtx, Bf16 | F16) => Err(cannot(provider, precision)
            .help(format!(
                "it runs a graph in the types that it has: export the model in {}, keep \
                 generator.precision = \"f32\", or use --provider tensorrt",
                precision.name()
            ))),
        (_, Bf16 | F16) => Err(cannot(provider, precision).help(format!(
            "{}, or set generator.precision = \"f32\"",
            match precision {
                Bf16 => "--provider openvino and tensorrt can",
                _ => "--provider tensorrt can",
            }
        ))),
    }
}

/// Fails if one of `providers` would take another precision than it was asked for unless the
/// environment says otherwise.
///
/// TensorRT computes f32 in TF32 where the GPU has it, and ONNX Runtime has no option against it.
/// The variable is read when its libraries are loaded, so it cannot be set from here.
///
/// # Errors
/// [`Kind::Provider`] with the variable to set.
pub(super) fn check_environment(providers: &[Provider], precision: Precision) -> Result<()> {
    let off = std::env::var_os("NVIDIA_TF32_OVERRIDE").is_some_and(|value| value == "0");
    let would = |provider: &&Provider| {
        matches!(provider, Provider::TensorRt | Provider::TensorRtRtx)
            && precision == Precision::F32
            && !off
    };
    providers.iter().find(would).map_or(Ok(()), |provider| {
        let message = format!("provider `{provider}` would compute f32 in TF32");
        Err(Error::new(Kind::Provider, message)
            .help("start genset with NVIDIA_TF32_OVERRIDE=0 in its environment"))
    })
}

fn cannot(provider: Provider, precision: Precision) -> Error {
    let message = format!("provider `{provider}` cannot compute in {}", precision.name());
    Error::new(Kind::Provider, message)
}

/// Whether OpenVINO computes in bf16 when it is told to; without these it takes f32 in silence.
#[cfg(target_arch = "x86_64")]
fn has_bf16() -> bool {
    std::arch::is_x86_feature_detected!("avx512bf16")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_bf16() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(providers: &[Provider], precision: Precision) -> String {
        check_precision(providers, precision).unwrap_err().to_string()
    }

    #[test]
    fn the_cpu_is_f32_and_names_those_that_are_more() {
        check_precision(&[], Precision::F32).unwrap();
        let text = refused(&[], Precision::Bf16);
        assert!(text.starts_with("generator.precision: provider `cpu` cannot compute in bf16"));
        assert!(text.contains("openvino"), "{text}");
        assert!(refused(&[Provider::Cpu], Precision::F16).contains("tensorrt"));
    }

    #[test]
    fn openvino_takes_bf16_for_f16_so_f16_is_refused() {
        let text = refused(&[Provider::OpenVino], Precision::F16);
        assert!(text.contains("`openvino` cannot compute in f16"), "{text}");
        let bf16 = check_precision(&[Provider::OpenVino, Provider::Cpu], Precision::Bf16);
        assert_eq!(bf16.is_ok(), has_bf16(), "{bf16:?}");
    }

    #[test]
    fn cuda_says_what_to_convert() {
        check_precision(&[Provider::Cuda, Provider::Cpu], Precision::F32).unwrap();
        let text = refused(&[Provider::Cuda], Precision::F16);
        assert!(text.contains("export the model in f16"), "{text}");
        check_precision(&[Provider::TensorRt], Precision::F16).unwrap();
    }

    #[test]
    fn tf32_is_not_f32() {
        check_environment(&[Provider::Cuda], Precision::F32).unwrap();
        check_environment(&[Provider::TensorRt], Precision::F16).unwrap();
        // Nothing in this process sets it.
        if std::env::var_os("NVIDIA_TF32_OVERRIDE").is_none() {
            let error = check_environment(&[Provider::Cpu, Provider::TensorRt], Precision::F32);
            let text = error.unwrap_err().to_string();
            assert!(text.contains("NVIDIA_TF32_OVERRIDE=0"), "{text}");
        }
    }
}
