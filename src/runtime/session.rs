//! One model ready to run, with its inputs and its image output bound to fixed memory.
//!
//! `Session::run` needs `&mut self`: one session a thread. A session that is bound writes its
//! output to the same tensor at every run, so the hot path allocates nothing.

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{IoBinding, SessionInputValue};

use super::append::append;
use super::engines::Engines;
use super::operator::{self, Operator};
use super::options::ProviderOption;
use super::placement::{self, Placement};
use super::precision::{check_environment, check_precision};
use super::provider::Provider;
use super::tensor::{Tensor, element_of};
use super::{Runtime, failed};
use crate::error::{Error, Kind, Result};
use crate::graph::{Element, Loadable};
use crate::recipe::Precision;

/// By this setting ONNX Runtime finds the external data of a model that it was given in memory.
const EXTERNAL_FOLDER: &str = "session.model_external_initializers_file_folder_path";

/// Where a session reads its model from.
#[derive(Debug, Clone, Copy)]
pub enum ModelSource<'a> {
    /// The bytes of a model that has no external data.
    Memory(&'a [u8]),
    /// A model that may have external data beside it.
    Beside(&'a Loadable),
}

impl<'a> From<&'a Loadable> for ModelSource<'a> {
    fn from(model: &'a Loadable) -> Self {
        Self::Beside(model)
    }
}

/// How a session runs.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// Providers in order of preference; empty means the CPU. Nodes that the first cannot run go
    /// to the next.
    pub providers: Vec<Provider>,
    /// Threads inside one call; 1 runs on the caller's thread alone.
    pub threads: usize,
    /// What floats are computed in. A provider that cannot is an error.
    pub precision: Precision,
    /// Sizes of symbolic dimensions, so that the runtime can plan memory once.
    pub dimensions: Vec<(String, i64)>,
    /// What is set on the providers.
    pub provider_options: Vec<ProviderOption>,
    /// Whether [`Session::placements`] is asked for: the runtime keeps no record otherwise.
    pub placements: bool,
    /// Is told what takes long, such as the building of an engine, a line at a time.
    pub say: fn(&str),
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            providers: Vec::new(),
            threads: 1,
            precision: Precision::F32,
            dimensions: Vec::new(),
            provider_options: Vec::new(),
            placements: false,
            say: |_| {},
        }
    }
}

/// An input or output as the runtime sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub element: Element,
    /// Its dimensions; -1 where the file leaves them open.
    pub shape: Vec<i64>,
}

/// A model ready to run.
#[derive(Debug)]
pub struct Session {
    inner: ort::session::Session,
    binding: IoBinding,
    has_placements: bool,
    /// The NVIDIA GPU that makes the outputs, if one does.
    gpu: Option<i32>,
}

impl Session {
    /// Loads and optimises a model.
    ///
    /// # Errors
    /// [`Kind::Provider`] if a provider cannot run, or not in the precision that is asked for;
    /// [`Kind::Argument`] for an option of a provider that is not used; [`Kind::Model`] if ONNX
    /// Runtime refuses the model.
    pub fn open(
        runtime: &Runtime,
        model: ModelSource<'_>,
        options: &SessionOptions,
    ) -> Result<Self> {
        Self::open_with_operators(runtime, model, options, &[])
    }

    /// The same for a model that may hold these operators; they run on the CPU.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub(crate) fn open_with_operators(
        runtime: &Runtime,
        model: ModelSource<'_>,
        options: &SessionOptions,
        operators: &[Operator],
    ) -> Result<Self> {
        check_precision(&options.providers, options.precision)?;
        ProviderOption::check_all(&options.provider_options, &options.providers)?;
        for provider in &options.providers {
            provider.require(runtime)?;
        }
        check_environment(&options.providers, options.precision)?;
        let engines = Engines::of(runtime, model, options)?;
        let builder =
            builder(runtime, options).map_err(|e| failed(&e, "cannot set session options"))?;
        let mut builder = append(runtime, builder, options, engines.as_ref())?;
        if !operators.is_empty() {
            builder = builder
                .with_operators(operator::domain(operators)?)
                .map_err(|e| failed(&e, "cannot set session options"))?;
        }
        if let ModelSource::Beside(Loadable { folder: Some(folder), .. }) = model {
            let path = folder.to_str().ok_or_else(|| {
                let message = format!("{} is not written in UTF-8", folder.display());
                Error::new(Kind::Argument, message).help("move the model to another folder")
            })?;
            builder = builder
                .with_config_entry(EXTERNAL_FOLDER, path)
                .map_err(|e| failed(&e, "cannot set session options"))?;
        }
        let mut load = || match model {
            ModelSource::Memory(bytes) => builder.commit_from_memory(bytes),
            ModelSource::Beside(model) => builder.commit_from_memory(&model.bytes),
        };
        let session = match &engines {
            Some(engines) => engines.load(options.say, load),
            None => load(),
        };
        let inner = session.map_err(|error| {
            let reason = one_line(error.message());
            Error::new(Kind::Model, format!("ONNX Runtime cannot load the model: {reason}"))
        })?;
        let binding = inner.create_binding().map_err(|e| failed(&e, "cannot bind"))?;
        let on_gpu = |provider: &&Provider| matches!(provider, Provider::Cuda | Provider::TensorRt);
        let gpu = options.providers.iter().find(on_gpu).map(|provider| {
            let device = ProviderOption::device(&options.provider_options, *provider);
            i32::try_from(device).unwrap_or_default()
        });
        Ok(Self { inner, binding, has_placements: options.placements, gpu })
    }

    /// The inputs that must be fed.
    #[must_use]
    pub fn inputs(&self) -> Vec<Port> {
        self.inner.inputs().iter().map(port).collect()
    }

    /// The outputs.
    #[must_use]
    pub fn outputs(&self) -> Vec<Port> {
        self.inner.outputs().iter().map(port).collect()
    }

    /// A tensor to bind an output to: in pinned host memory if the session is on an NVIDIA GPU,
    /// which copies there without a detour, and in ordinary memory otherwise.
    ///
    /// # Errors
    /// As [`Tensor::new`].
    pub fn new_output(&self, element: Element, shape: &[usize]) -> Result<Tensor> {
        let Some(gpu) = self.gpu else { return Tensor::new(element, shape) };
        let info = MemoryInfo::new(
            AllocationDevice::CUDA_PINNED,
            gpu,
            AllocatorType::Device,
            MemoryType::CPUOutput,
        );
        // Pinned memory is scarce and changes no byte: ordinary memory takes its place.
        match info.and_then(|info| Allocator::new(&self.inner, info)) {
            Ok(allocator) => {
                Tensor::new_in(&allocator, element, shape).or_else(|_| Tensor::new(element, shape))
            }
            Err(_) => Tensor::new(element, shape),
        }
    }

    /// Binds an input to what `tensor` holds now. A provider with memory of its own copies at this
    /// moment, so bind again after writing.
    ///
    /// # Errors
    /// [`Kind::Model`] if there is no such input or its type or shape differs.
    pub fn bind_input(&mut self, name: &str, tensor: &Tensor) -> Result<()> {
        let bound = self.binding.bind_input(name, &tensor.value);
        bound.map_err(|e| failed(&e, format!("cannot bind input `{name}`")))
    }

    /// Binds an output to `tensor`, which every run overwrites.
    ///
    /// # Errors
    /// [`Kind::Model`] if there is no such output.
    pub fn bind_output(&mut self, name: &str, tensor: &mut Tensor) -> Result<()> {
        let bound = self.binding.bind_output(name, &mut tensor.value);
        bound.map_err(|e| failed(&e, format!("cannot bind output `{name}`")))
    }

    /// What runs where, node by node; empty unless [`SessionOptions::placements`] was set.
    ///
    /// # Errors
    /// [`Kind::Runtime`] if the runtime does not say.
    pub fn placements(&self) -> Result<Vec<Placement>> {
        if self.has_placements { placement::of(&self.inner) } else { Ok(Vec::new()) }
    }

    /// Runs on what is bound.
    ///
    /// # Errors
    /// [`Kind::Model`] with the runtime's reason.
    pub fn run(&mut self) -> Result<()> {
        let run = self.inner.run_binding(&self.binding);
        run.map(drop).map_err(|e| run_failed(e.message()))?;
        if self.gpu.is_some() {
            // Copies into pinned memory return before they are done.
            self.binding.synchronize_outputs().map_err(|e| run_failed(e.message()))?;
        }
        Ok(())
    }

    /// Runs on `inputs` and returns the output `name` in memory of its own, whatever its shape.
    ///
    /// # Errors
    /// [`Kind::Model`] with the runtime's reason.
    pub fn run_once(&mut self, inputs: &[(&str, &Tensor)], name: &str) -> Result<Tensor> {
        let feed: Vec<(String, SessionInputValue<'_>)> = inputs
            .iter()
            .map(|(name, tensor)| ((*name).to_owned(), SessionInputValue::from(&tensor.value)))
            .collect();
        let mut outputs = self.inner.run(feed).map_err(|e| run_failed(e.message()))?;
        let missing = || Error::new(Kind::Model, format!("the model has no output `{name}`"));
        let value = outputs.remove(name).ok_or_else(missing)?;
        let tensor = value.downcast::<ort::value::DynTensorValueType>();
        Ok(Tensor::from_value(
            tensor.map_err(|e| failed(&e, format!("output `{name}` is not a tensor")))?,
        ))
    }
}

#[allow(clippy::result_large_err, reason = "the runtime's own; it is mapped at once")]
fn builder(
    runtime: &Runtime,
    options: &SessionOptions,
) -> Result<SessionBuilder, ort::Error<SessionBuilder>> {
    let builder = match ort::session::Session::builder(runtime.environment()) {
        Ok(builder) => builder,
        Err(_) => unreachable!("session options are plain memory"),
    };
    let mut builder = builder
        .with_log_level(ort::logging::LogLevel::Fatal)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(options.threads.max(1))?
        .with_inter_threads(1)?
        // Workers outnumber cores or share them with the training loop; spinning would eat both.
        .with_intra_op_spinning(false)?
        .with_deterministic_compute(true)?;
    if options.placements {
        builder = builder.with_config_entry("session.record_ep_graph_assignment_info", "1")?;
    }
    for (name, size) in &options.dimensions {
        builder = builder.with_dimension_override(name, *size)?;
    }
    Ok(builder)
}

fn port(outlet: &ort::value::Outlet) -> Port {
    let dtype = outlet.dtype();
    Port {
        name: outlet.name().to_owned(),
        element: dtype.tensor_type().map_or(Element::Other(0), element_of),
        shape: dtype.tensor_shape().map(|shape| shape.to_vec()).unwrap_or_default(),
    }
}

fn run_failed(message: &str) -> Error {
    Error::new(Kind::Model, format!("the model failed to run: {}", one_line(message)))
}

/// The runtime's messages carry source paths and stack traces; the first line is the reason, and
/// lines that begin with `index:` say which dimensions.
pub(super) fn one_line(message: &str) -> String {
    let mut lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let reason = lines.next().unwrap_or("no reason given").to_owned();
    lines.take_while(|line| line.starts_with("index:")).fold(reason, |all, line| all + ", " + line)
}
