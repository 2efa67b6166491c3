//! Providers put on a session, in order, each with what genset sets for it.

use ort::ep::{self, ArbitrarilyConfigurableExecutionProvider, ExecutionProviderDispatch};
use ort::session::builder::SessionBuilder;

use super::engines::Engines;
use super::options::ProviderOption;
use super::provider::Provider;
use super::session::{SessionOptions, one_line};
use super::{Runtime, plugin};
use crate::error::{Error, Kind, Result};
use crate::recipe::Precision;

/// Names and values, in the words of ONNX Runtime.
type Settings = Vec<(String, String)>;

/// The CPU provider's name in the words of ONNX Runtime.
const CPU: &str = "CPUExecutionProvider";

/// Puts the providers of `options` on `builder`. The CPU is always the last.
///
/// A session with nothing on it would be given by policy to whatever offers a device, once a plugin
/// is loaded, with that one's own settings: OpenVINO computes in bf16 where it can. So where the CPU is
/// alone, it is put on by name.
///
/// # Errors
/// [`Kind::Provider`] if one cannot start.
pub(super) fn append(
    runtime: &Runtime,
    mut builder: SessionBuilder,
    options: &SessionOptions,
    engines: Option<&Engines>,
) -> Result<SessionBuilder> {
    if options.providers.iter().all(|&provider| provider == Provider::Cpu) {
        let cpu = runtime
            .environment()
            .devices()
            .find(|device| device.ep().is_ok_and(|name| name == CPU));
        return builder.with_devices(cpu, None).map_err(|error| {
            let message = format!("cpu cannot start: {}", one_line(error.message()));
            Error::new(Kind::Provider, message)
        });
    }
    let built_in = runtime.providers()?;
    for &provider in &options.providers {
        if provider == Provider::Cpu {
            continue;
        }
        let settings = settings(provider, options, engines);
        let failed = |message: &str| {
            let message = format!("{provider} cannot start: {}", one_line(message));
            Error::new(Kind::Provider, message).help(match provider {
                Provider::Cuda => {
                    "it needs CUDA 13 and cuDNN 9 where the linker finds them \
                     (LD_LIBRARY_PATH); or use --provider cpu"
                }
                _ => "check its driver and libraries, or use --provider cpu",
            })
        };
        builder = if built_in.iter().any(|name| name == provider.reported()) {
            let Some(dispatch) = dispatch(provider, &settings) else { continue };
            // Without this a provider that cannot start is replaced by the CPU in silence.
            let strict = dispatch.error_on_failure();
            builder.with_execution_providers([strict]).map_err(|e| failed(e.message()))?
        } else {
            let devices = plugin::devices(runtime, provider)?;
            let index = ProviderOption::device(&options.provider_options, provider) as usize;
            let Some(device) = devices.into_iter().nth(index) else {
                return Err(failed(&format!("it offers no device {index}")));
            };
            let name = device.ep().unwrap_or_default().to_owned();
            let settings: Settings =
                settings.into_iter().map(|(key, value)| (format!("{name}.{key}"), value)).collect();
            builder.with_devices([device], Some(&settings)).map_err(|e| failed(e.message()))?
        };
    }
    Ok(builder)
}

/// What is set on `provider`: first what makes it exact and repeatable, then the user's own.
fn settings(provider: Provider, options: &SessionOptions, engines: Option<&Engines>) -> Settings {
    let mut settings: Vec<(&str, String)> = match provider {
        Provider::OpenVino => vec![
            ("device_type", "CPU".into()),
            ("load_config", openvino(options.precision, options.threads)),
        ],
        Provider::Cuda => vec![
            ("use_tf32", "0".into()),
            // The default tries all algorithms and takes the fastest, which differs by the day.
            ("cudnn_conv_algo_search", "HEURISTIC".into()),
        ],
        Provider::TensorRt => {
            let flag = |wanted| u8::from(options.precision == wanted).to_string();
            vec![
                ("trt_fp16_enable", flag(Precision::F16)),
                ("trt_bf16_enable", flag(Precision::Bf16)),
            ]
        }
        Provider::Xnnpack => vec![("intra_op_num_threads", options.threads.max(1).to_string())],
        _ => Vec::new(),
    };
    if let Some(engines) = engines {
        settings.extend(engines.settings(provider));
    }
    // A plugin is handed its device itself.
    let is_plugin = provider.package().is_some_and(|package| package.plugin().is_some());
    if is_plugin {
        settings.retain(|(key, _)| *key != "device_type");
    }
    let own = options.provider_options.iter().filter(|option| option.provider() == provider);
    settings.extend(
        own.filter(|option| !(is_plugin && option.key() == "device_id"))
            .map(|option| (option.key(), option.value().to_owned())),
    );
    settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// OpenVINO's own settings: one request at a time on as many threads as were asked for, which the
/// system may move from core to core. Its default is all cores, and to hold each thread to one:
/// two sessions would share the same.
fn openvino(precision: Precision, threads: usize) -> String {
    serde_json::json!({ "CPU": {
        // Its default is bf16 where the processor has it.
        "INFERENCE_PRECISION_HINT": precision.name(),
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": threads.max(1).to_string(),
        "ENABLE_CPU_PINNING": "NO",
    } })
    .to_string()
}

/// The registration of a provider that is inside ONNX Runtime; `None` for the CPU, which always
/// is.
fn dispatch(provider: Provider, settings: &Settings) -> Option<ExecutionProviderDispatch> {
    fn with<E>(provider: E, settings: &Settings) -> ExecutionProviderDispatch
    where
        E: ArbitrarilyConfigurableExecutionProvider + Into<ExecutionProviderDispatch>,
    {
        settings
            .iter()
            .fold(provider, |provider, (key, value)| provider.with_arbitrary_config(key, value))
            .into()
    }
    Some(match provider {
        Provider::Cpu => return None,
        Provider::OpenVino => with(ep::OpenVINO::default(), settings),
        Provider::Cuda => with(ep::CUDA::default(), settings),
        Provider::TensorRt => with(ep::TensorRT::default(), settings),
        Provider::TensorRtRtx => with(ep::NVRTX::default(), settings),
        Provider::Cann => with(ep::CANN::default(), settings),
        Provider::CoreMl => with(ep::CoreML::default(), settings),
        Provider::OneDnn => with(ep::OneDNN::default(), settings),
        Provider::Qnn => with(ep::QNN::default(), settings),
        Provider::Rocm => with(ep::ROCm::default(), settings),
        Provider::Vitis => with(ep::Vitis::default(), settings),
        Provider::WebGpu => with(ep::WebGPU::default(), settings),
        Provider::Xnnpack => with(ep::XNNPACK::default(), settings),
        // These take no settings by name, and the table of options has none for them.
        Provider::Acl => ep::ACL::default().build(),
        #[allow(deprecated, reason = "there are boards that have no other")]
        Provider::ArmNn => ep::ArmNN::default().build(),
        Provider::DirectMl => ep::DirectML::default().build(),
        Provider::MiGraphX => ep::MIGraphX::default().build(),
        Provider::Nnapi => ep::NNAPI::default().build(),
        Provider::RkNpu => ep::RKNPU::default().build(),
        Provider::Tvm => ep::TVM::default().build(),
        Provider::VsiNpu => ep::VSINPU.build(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(provider: Provider, options: &SessionOptions, key: &str) -> Option<String> {
        let found = settings(provider, options, None).into_iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value)
    }

    #[test]
    fn f32_is_f32_everywhere() {
        let options = SessionOptions { threads: 3, ..SessionOptions::default() };
        assert_eq!(set(Provider::Cuda, &options, "use_tf32").unwrap(), "0");
        assert_eq!(set(Provider::TensorRt, &options, "trt_fp16_enable").unwrap(), "0");
        let openvino = set(Provider::OpenVino, &options, "load_config").unwrap();
        let openvino: serde_json::Value = serde_json::from_str(&openvino).unwrap();
        assert_eq!(openvino["CPU"]["INFERENCE_PRECISION_HINT"], "f32");
        assert_eq!(openvino["CPU"]["INFERENCE_NUM_THREADS"], "3");
    }

    #[test]
    fn a_reduced_precision_is_switched_on_by_name() {
        let bf16 = SessionOptions { precision: Precision::Bf16, ..SessionOptions::default() };
        assert_eq!(set(Provider::TensorRt, &bf16, "trt_bf16_enable").unwrap(), "1");
        assert_eq!(set(Provider::TensorRt, &bf16, "trt_fp16_enable").unwrap(), "0");
        assert!(set(Provider::OpenVino, &bf16, "load_config").unwrap().contains("\"bf16\""));
    }

    #[test]
    fn options_reach_their_own_provider_alone() {
        let options = SessionOptions {
            provider_options: vec!["cuda.device_id=1".parse().unwrap()],
            ..SessionOptions::default()
        };
        assert_eq!(set(Provider::Cuda, &options, "device_id").unwrap(), "1");
        assert_eq!(set(Provider::TensorRt, &options, "device_id"), None);
    }

    #[test]
    fn every_provider_but_the_cpu_can_be_registered() {
        for (name, provider) in Provider::ALL {
            let there = dispatch(provider, &Settings::new());
            assert_eq!(there.is_none(), provider == Provider::Cpu, "{name}");
            if let Some(there) = there {
                let reported = there.name().strip_suffix("ExecutionProvider").unwrap();
                assert_eq!(reported.to_lowercase(), provider.reported());
            }
        }
    }
}
