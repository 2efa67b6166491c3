//! Operators of genset's own, for the CPU provider: plain functions of `f32` tensors that a session
//! is given beside the standard ones, and that run on the session's threads.

use std::fmt;
use std::sync::Arc;

use ort::operator::{
    BoxedKernel, ComputeContext, KernelContext, Operator as Foreign, OperatorDomain, OperatorInput,
    OperatorOutput,
};
use ort::value::TensorElementType;

use super::failed;
use crate::error::Result;
use crate::graph::OWN_DOMAIN;

/// An operator on `f32` tensors, which is what it is by these functions alone.
#[derive(Clone, Copy)]
pub(crate) struct Operator {
    /// Its name in graphs, in the domain [`OWN_DOMAIN`].
    pub name: &'static str,
    /// How many inputs it has.
    pub inputs: usize,
    /// How many outputs it has.
    pub outputs: usize,
    /// The lists of whole numbers that a node sets, by name.
    pub lists: &'static [&'static str],
    /// The numbers that it sets, by name.
    pub numbers: &'static [&'static str],
    /// The sizes of the outputs.
    pub sizes: fn(&Call<'_>) -> Vec<Vec<usize>>,
    /// Computes them. Must not panic: the runtime calls it through C.
    pub compute: fn(&Call<'_>, &mut [&mut [f32]], &Threads<'_>),
}

/// What a node is computed from.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// In the order of [`Operator::lists`].
    pub lists: &'a [Vec<usize>],
    /// In the order of [`Operator::numbers`].
    pub numbers: &'a [f32],
    /// Sizes and elements.
    pub inputs: &'a [(Vec<usize>, &'a [f32])],
}

/// The threads of a session, on which a node's work is done in parts.
pub(crate) struct Threads<'a>(Option<&'a ComputeContext>);

impl Threads<'_> {
    /// None but the caller's.
    #[cfg(test)]
    pub fn none() -> Self {
        Self(None)
    }

    /// Calls `part` with every number below `parts`; each call may be on another thread.
    pub fn each(&self, parts: usize, part: impl Fn(usize) + Send + Sync) {
        match self.0 {
            Some(session) if parts > 1 && session.par_for(parts, 0, &part).is_ok() => {}
            _ => (0..parts).for_each(part),
        }
    }
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operator").field("name", &self.name).finish_non_exhaustive()
    }
}

/// `operators` as what a session takes.
///
/// # Errors
/// [`Kind::Runtime`](crate::Kind::Runtime) if the runtime refuses them.
pub(super) fn domain(operators: &[Operator]) -> Result<Arc<OperatorDomain>> {
    let refused = |error: ort::Error| failed(&error, "cannot add operators");
    let mut domain = OperatorDomain::new(OWN_DOMAIN).map_err(refused)?;
    for operator in operators {
        domain = domain.add(Own(*operator)).map_err(refused)?;
    }
    Ok(domain.into())
}

struct Own(Operator);

impl Foreign for Own {
    type Kernel<'attr> = BoxedKernel<'attr>;

    fn name(&self) -> &str {
        self.0.name
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        (0..self.0.inputs).map(|_| OperatorInput::required(TensorElementType::Float32))
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        (0..self.0.outputs).map(|_| OperatorOutput::required(TensorElementType::Float32))
    }

    fn create_kernel<'attr>(
        &self,
        node: &KernelContext<'attr>,
    ) -> ort::Result<Self::Kernel<'attr>> {
        let operator = self.0;
        let missing = |name: &&str| ort::Error::new(format!("{} needs `{name}`", operator.name));
        let lists = operator.lists.iter().map(|name| {
            let list: Vec<i64> = node.get(name).ok_or_else(|| missing(name))?;
            Ok(list.into_iter().map(|number| usize::try_from(number).unwrap_or(0)).collect())
        });
        let lists: Vec<Vec<usize>> = lists.collect::<ort::Result<_>>()?;
        let numbers =
            operator.numbers.iter().map(|name| node.get(name).ok_or_else(|| missing(name)));
        let numbers: Vec<f32> = numbers.collect::<ort::Result<_>>()?;
        Ok(Box::new(move |context: &ComputeContext| compute(&operator, &lists, &numbers, context)))
    }
}

fn compute(
    operator: &Operator,
    lists: &[Vec<usize>],
    numbers: &[f32],
    context: &ComputeContext,
) -> ort::Result<()> {
    let lacks = || ort::Error::new(format!("{} lacks a tensor", operator.name));
    let mut values = Vec::new();
    for input in 0..operator.inputs {
        values.push(context.input(input)?.ok_or_else(lacks)?);
    }
    let inputs = values.iter().map(|value| {
        let (shape, elements) = value.try_extract_tensor::<f32>()?;
        Ok((shape.iter().map(|&dim| usize::try_from(dim).unwrap_or(0)).collect(), elements))
    });
    let inputs: Vec<(Vec<usize>, &[f32])> = inputs.collect::<ort::Result<_>>()?;
    let call = Call { lists, numbers, inputs: &inputs };
    let mut made = Vec::new();
    for (output, dims) in (operator.sizes)(&call).iter().enumerate() {
        let sizes: Vec<i64> = dims.iter().map(|&dim| dim as i64).collect();
        made.push(context.output(output, sizes)?.ok_or_else(lacks)?);
    }
    let outputs = made.iter_mut().map(|value| Ok(value.try_extract_tensor_mut::<f32>()?.1));
    let mut outputs: Vec<&mut [f32]> = outputs.collect::<ort::Result<_>>()?;
    (operator.compute)(&call, &mut outputs, &Threads(Some(context)));
    Ok(())
}
