//! What shapes are computed from: the values of short tensors, where they do not depend on what
//! the model is fed. `Shape`, `Gather`, `Concat` and a little arithmetic are how exporters write
//! "as large as that other tensor, twice over".

use super::call::Call;
use super::elementwise::broadcast;
use super::fact::{Fact, MAX_VALUES, Values};
use super::parts::cuts;
use super::source::shape_part;
use crate::graph::constant::{attribute, is_standard};
use crate::graph::proto::TensorProto;
use crate::graph::value::Element;

/// Adds to `facts`, the outputs of `call` in shape and type, what values they have.
pub(super) fn find(call: &Call<'_>, facts: &mut [Fact]) {
    if !is_standard(&call.node.domain) {
        return;
    }
    let operator = call.node.op_type.as_str();
    if operator == "Split" {
        return split(call, facts);
    }
    let Some(fact) = facts.first_mut() else { return };
    let Some(dims) = &fact.dims else { return };
    let count = dims.iter().try_fold(1_usize, |count, &dim| count.checked_mul(dim));
    let Some(count) = count.filter(|count| *count <= MAX_VALUES) else { return };
    let values = match operator {
        "Constant" => return,
        "Shape" => call.dims(0).map(|dims| whole(shape_part(call, dims))),
        "Size" => call.dims(0).map(|dims| whole(&[dims.iter().product()])),
        "Identity" | "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" => call.values(0).cloned(),
        "Cast" => call.values(0).and_then(|values| cast(values, fact.element?)),
        "ConstantOfShape" => constant_of_shape(call, count),
        "Concat" => concat(call, dims),
        "Slice" => slice(call, dims),
        "Transpose" => transpose(call, dims),
        "Gather" => gather(call),
        "Range" => range(call, count),
        "Expand" => spread(call, 0, dims).map(Iterator::collect).and_then(|i| pick(call, 0, i)),
        "Where" => choose(call, dims),
        "ReduceProd" | "ReduceSum" | "ReduceMax" | "ReduceMin" => reduce(call, count),
        "Abs" | "Neg" | "Floor" | "Ceil" | "Round" | "Sqrt" | "Not" => unary(call),
        _ => binary(call, dims),
    };
    // What does not fit its type or shape would be another number in a runtime.
    fact.values = values.filter(|values| values.len() == count && fits(values, fact.element));
}

fn whole(dims: &[usize]) -> Values {
    Values::Ints(dims.iter().map(|&dim| dim as i64).collect())
}

fn fits(values: &Values, element: Option<Element>) -> bool {
    let within = |values: &[i64], low: i64, high: i64| {
        values.iter().all(|value| (low..=high).contains(value))
    };
    match (values, element) {
        (Values::Floats(_), Some(Element::F32)) | (Values::Ints(_), Some(Element::I64)) => true,
        (Values::Ints(v), Some(Element::I32)) => within(v, i32::MIN.into(), i32::MAX.into()),
        (Values::Ints(v), Some(Element::Bool)) => within(v, 0, 1),
        (Values::Ints(v), Some(Element::U8)) => within(v, 0, 255),
        (Values::Ints(v), Some(Element::I8)) => within(v, -128, 127),
        _ => false,
    }
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn cast(values: &Values, to: Element) -> Option<Values> {
    Some(match (values, to) {
        (Values::Ints(values), Element::F32) => {
            Values::Floats(values.iter().map(|&value| value as f32).collect())
        }
        (Values::Ints(values), Element::Bool) => {
            Values::Ints(values.iter().map(|&value| i64::from(value != 0)).collect())
        }
        (Values::Ints(values), to) if to.is_integer() => Values::Ints(values.clone()),
        (Values::Floats(values), Element::I64 | Element::I32) => {
            // Past this a float that is cast is whatever the machine makes of it.
            let small = values.iter().all(|value| value.abs() < 2e9);
            Values::Ints(values.iter().map(|&v| v as i64).collect::<Vec<_>>()).only_if(small)?
        }
        (Values::Floats(values), Element::F32) => Values::Floats(values.clone()),
        _ => return None,
    })
}

impl Values {
    fn only_if(self, condition: bool) -> Option<Self> {
        condition.then_some(self)
    }
}

fn constant_of_shape(call: &Call<'_>, count: usize) -> Option<Values> {
    let zero =
        TensorProto { data_type: 1, float_data: vec![0.0], dims: vec![1], ..Default::default() };
    let value = attribute(call.node, "value").and_then(|attribute| attribute.t.as_ref());
    Some(match Fact::of_tensor(value.unwrap_or(&zero)).values? {
        Values::Ints(values) => Values::Ints(vec![*values.first()?; count]),
        Values::Floats(values) => Values::Floats(vec![*values.first()?; count]),
    })
}

/// The elements of input `input` at `places`.
fn pick(call: &Call<'_>, input: usize, places: Vec<usize>) -> Option<Values> {
    let mut places = places.into_iter();
    Some(match call.values(input)? {
        Values::Ints(values) => {
            Values::Ints(places.map(|place| values.get(place).copied()).collect::<Option<_>>()?)
        }
        Values::Floats(values) => Values::Floats(
            places.by_ref().map(|place| values.get(place).copied()).collect::<Option<_>>()?,
        ),
    })
}

/// Of rows only, which shapes are.
fn concat(call: &Call<'_>, dims: &[usize]) -> Option<Values> {
    if dims.len() != 1 {
        return None;
    }
    let inputs = 0..call.node.input.len();
    Some(match call.values(0)? {
        Values::Ints(_) => {
            let parts = inputs.map(|input| call.ints(input));
            Values::Ints(parts.collect::<Option<Vec<_>>>()?.concat())
        }
        Values::Floats(_) => {
            let parts = inputs.map(|input| call.floats(input));
            Values::Floats(parts.collect::<Option<Vec<_>>>()?.concat())
        }
    })
}

/// How far apart neighbours along each axis are in a list of the elements.
fn units(dims: &[usize]) -> Vec<i128> {
    let mut units = vec![1; dims.len()];
    for axis in (1..dims.len()).rev() {
        units[axis - 1] = units[axis] * dims[axis] as i128;
    }
    units
}

/// For each element of `dims`, row by row: `first` and `steps` for each of its coordinates.
fn places(dims: &[usize], first: i128, steps: &[i128]) -> Option<Vec<usize>> {
    let mut places = vec![first];
    for (&size, step) in dims.iter().zip(steps) {
        let along = |from: i128| (0..size as i128).map(move |at| from + at * step);
        places = places.into_iter().flat_map(along).collect();
    }
    places.into_iter().map(|place| usize::try_from(place).ok()).collect()
}

fn slice(call: &Call<'_>, dims: &[usize]) -> Option<Values> {
    let from = call.dims(0)?;
    let (mut first, mut steps) = (0, units(from));
    for cut in cuts(call, from).ok()?? {
        first += cut.start * steps[cut.axis];
        steps[cut.axis] *= cut.step;
    }
    pick(call, 0, places(dims, first, &steps)?)
}

fn transpose(call: &Call<'_>, dims: &[usize]) -> Option<Values> {
    let units = units(call.dims(0)?);
    let mut steps: Vec<i128> = units.iter().rev().copied().collect();
    if let Some(order) = call.list("perm") {
        let step = |axis: &i64| units.get(usize::try_from(*axis).ok()?).copied();
        steps = order.iter().map(step).collect::<Option<_>>()?;
    }
    pick(call, 0, places(dims, 0, &steps)?)
}

fn gather(call: &Call<'_>) -> Option<Values> {
    let &[length] = call.dims(0)? else { return None };
    let place = |&index: &i64| {
        let index = if index < 0 { index.checked_add(length as i64)? } else { index };
        usize::try_from(index).ok()
    };
    pick(call, 0, call.ints(1)?.iter().map(place).collect::<Option<_>>()?)
}

fn split(call: &Call<'_>, facts: &mut [Fact]) {
    let (Some(values), Some([_])) = (call.values(0), call.dims(0)) else { return };
    let mut start = 0;
    for fact in facts {
        let Some(&[length]) = fact.dims.as_deref() else { return };
        let end = (start + length).min(values.len());
        fact.values = pick(call, 0, (start..end).collect());
        start = end;
    }
}

fn range(call: &Call<'_>, count: usize) -> Option<Values> {
    let (&[start], &[delta]) = (call.ints(0)?, call.ints(2)?) else { return None };
    let at = |i: usize| start.checked_add(delta.checked_mul(i as i64)?);
    (0..count).map(at).collect::<Option<_>>().map(Values::Ints)
}

/// For each element of `dims`, row by row, the place of the element of input `input` that is
/// stretched to it.
fn spread<'a>(
    call: &Call<'_>,
    input: usize,
    dims: &'a [usize],
) -> Option<impl Iterator<Item = usize> + 'a> {
    let from = call.dims(input)?.to_vec();
    if broadcast(&from, dims).as_deref() != Some(dims) {
        return None;
    }
    Some((0..dims.iter().product()).map(move |place: usize| {
        let (mut rest, mut unit, mut found) = (place, 1, 0);
        for back in 1..=dims.len() {
            let size = dims[dims.len() - back];
            let at = rest % size;
            rest /= size;
            if let Some(axis) = from.len().checked_sub(back) {
                found += if from[axis] == 1 { 0 } else { at * unit };
                unit *= from[axis];
            }
        }
        found
    }))
}

fn stretched(call: &Call<'_>, input: usize, dims: &[usize]) -> Option<Values> {
    pick(call, input, spread(call, input, dims)?.collect())
}

fn choose(call: &Call<'_>, dims: &[usize]) -> Option<Values> {
    let [which, yes, no] = [0, 1, 2].map(|input| stretched(call, input, dims));
    let Values::Ints(which) = which? else { return None };
    Some(match (yes?, no?) {
        (Values::Ints(yes), Values::Ints(no)) => Values::Ints(chosen(&which, &yes, &no)),
        (Values::Floats(yes), Values::Floats(no)) => Values::Floats(chosen(&which, &yes, &no)),
        _ => return None,
    })
}

fn chosen<T: Copy>(which: &[i64], yes: &[T], no: &[T]) -> Vec<T> {
    let pairs = which.iter().zip(yes.iter().zip(no));
    pairs.map(|(&which, (&yes, &no))| if which != 0 { yes } else { no }).collect()
}

/// Of all elements to one.
fn reduce(call: &Call<'_>, count: usize) -> Option<Values> {
    let values = call.ints(0).filter(|_| count == 1)?;
    let one = match call.node.op_type.as_str() {
        "ReduceProd" => values.iter().try_fold(1_i64, |all, &value| all.checked_mul(value)),
        "ReduceSum" => values.iter().try_fold(0_i64, |all, &value| all.checked_add(value)),
        "ReduceMax" => values.iter().copied().max(),
        _ => values.iter().copied().min(),
    };
    one.map(|one| Values::Ints(vec![one]))
}

fn unary(call: &Call<'_>) -> Option<Values> {
    let operator = call.node.op_type.as_str();
    Some(match call.values(0)? {
        Values::Ints(values) => {
            let of = |&value: &i64| match operator {
                "Abs" => value.checked_abs(),
                "Neg" => value.checked_neg(),
                "Not" => Some(i64::from(value == 0)),
                _ => None,
            };
            Values::Ints(values.iter().map(of).collect::<Option<_>>()?)
        }
        Values::Floats(values) => {
            let of = |&value: &f32| match operator {
                "Abs" => Some(value.abs()),
                "Neg" => Some(-value),
                "Floor" => Some(value.floor()),
                "Ceil" => Some(value.ceil()),
                "Round" => Some(value.round_ties_even()),
                "Sqrt" => Some(value.sqrt()),
                _ => None,
            };
            Values::Floats(values.iter().map(of).collect::<Option<_>>()?)
        }
    })
}

fn binary(call: &Call<'_>, dims: &[usize]) -> Option<Values> {
    let operator = call.node.op_type.as_str();
    if call.node.input.len() != 2 {
        return None;
    }
    match (stretched(call, 0, dims)?, stretched(call, 1, dims)?) {
        (Values::Ints(a), Values::Ints(b)) => {
            let pairs = a.iter().zip(&b).map(|(&a, &b)| of_ints(operator, a, b));
            pairs.collect::<Option<_>>().map(Values::Ints)
        }
        (Values::Floats(a), Values::Floats(b)) if compare(operator, 0, 0).is_some() => {
            let pairs = a.iter().zip(&b).map(|(&a, &b)| compare(operator, a, b));
            pairs.collect::<Option<_>>().map(Values::Ints)
        }
        (Values::Floats(a), Values::Floats(b)) => {
            let pairs = a.iter().zip(&b).map(|(&a, &b)| of_floats(operator, a, b));
            pairs.collect::<Option<_>>().map(Values::Floats)
        }
        _ => None,
    }
}

fn of_ints(operator: &str, a: i64, b: i64) -> Option<i64> {
    match operator {
        "Add" => a.checked_add(b),
        "Sub" => a.checked_sub(b),
        "Mul" => a.checked_mul(b),
        "Div" => a.checked_div(b),
        // With the sign of the divisor; the other kind, of C, agrees where neither is negative.
        "Mod" if a >= 0 && b > 0 => a.checked_rem(b),
        "Min" => Some(a.min(b)),
        "Max" => Some(a.max(b)),
        "And" => Some(a & b),
        "Or" => Some(a | b),
        _ => compare(operator, a, b),
    }
}

fn of_floats(operator: &str, a: f32, b: f32) -> Option<f32> {
    match operator {
        "Add" => Some(a + b),
        "Sub" => Some(a - b),
        "Mul" => Some(a * b),
        "Div" => Some(a / b),
        _ => None,
    }
}

fn compare<T: PartialOrd>(operator: &str, a: T, b: T) -> Option<i64> {
    Some(i64::from(match operator {
        "Equal" => a == b,
        "Less" => a < b,
        "LessOrEqual" => a <= b,
        "Greater" => a > b,
        "GreaterOrEqual" => a >= b,
        _ => return None,
    }))
}
