//! A product that reads constants beside its input: they become its bias.
//!
//! With `x = (u, v)` joined along the columns and the rows of `W` split in the same place,
//!
//! ```text
//! α · x · W + β · C  =  α · u · W_u + (α · v · W_v + β · C),
//! ```
//!
//! and where `v` is constant so is the bracket: one row if all rows of `v` are alike, as for one label
//! throughout, else one for each of the batch that `v` was made for. A generator whose label is fixed
//! then multiplies by fewer weights, and joins nothing.

use super::view::{View, input};
use crate::graph::constant::{attribute, int_attribute};
use crate::graph::draft::{Draft, Floats};
use crate::graph::nodes::{float, int, node};
use crate::graph::proto::NodeProto;

struct Plan {
    /// The joined inputs that are no constants, side by side.
    kept: Vec<String>,
    /// How many columns of `x` are constant before and behind them.
    before: usize,
    behind: usize,
    /// Rows and columns of `W`, which is stored the other way round if `transposed`.
    inputs: usize,
    outputs: usize,
    transposed: bool,
}

fn plan(view: &View<'_>, node: &NodeProto) -> Option<Plan> {
    let gemm = match node.op_type.as_str() {
        "Gemm" => true,
        "MatMul" => false,
        _ => return None,
    };
    let on = |name: &str| gemm && int_attribute(node, name).unwrap_or(0) != 0;
    if on("transA") {
        return None;
    }
    let [first, second] = view.float_dims(input(node, 1)?)?[..] else { return None };
    let transposed = on("transB");
    let (inputs, outputs) = if transposed { (second, first) } else { (first, second) };
    if let Some(bias) = input(node, 2).filter(|_| gemm) {
        let dims = view.float_dims(bias)?;
        // One that differs by row could differ in their number from the label's.
        let row = matches!(dims[..], [n] | [1, n] if n == outputs || n == 1) || dims.is_empty();
        row.then_some(())?;
    }
    let join = view.maker(input(node, 0)?).filter(|maker| maker.op_type == "Concat")?;
    if !matches!(int_attribute(join, "axis"), Some(1 | -1)) {
        return None;
    }
    let columns = |name: &String| match view.float_dims(name)?[..] {
        [rows, columns] if rows > 0 => Some(columns),
        _ => None,
    };
    let parts = &join.input;
    let start = parts.iter().take_while(|part| columns(part).is_some()).count();
    let end = parts.iter().rev().take_while(|part| columns(part).is_some()).count();
    let kept = parts.get(start..parts.len().checked_sub(end)?)?;
    // One that remains between others has columns that nobody counted.
    let constant = kept.iter().any(|part| view.constant(part).is_some());
    if kept.is_empty() || constant || start + end == 0 || outputs == 0 {
        return None;
    }
    let sum = |parts: &[String]| {
        parts.iter().try_fold(0_usize, |sum, part| sum.checked_add(columns(part)?))
    };
    let (before, behind) = (sum(&parts[..start])?, sum(&parts[parts.len() - end..])?);
    let plan = Plan { kept: kept.to_vec(), before, behind, inputs, outputs, transposed };
    (before.checked_add(behind)? < inputs && label_rows(view, join, &plan).is_some())
        .then_some(plan)
}

/// The constants that `join` reads, in order, with the first of the columns of `x` that they are;
/// and how many rows they have.
fn label_rows(
    view: &View<'_>,
    join: &NodeProto,
    plan: &Plan,
) -> Option<(Vec<(usize, Floats)>, usize)> {
    let (mut column, mut parts) = (0, Vec::new());
    for name in &join.input {
        if plan.kept.contains(name) {
            column = plan.inputs - plan.behind;
            continue;
        }
        let part = view.floats(name)?;
        let width = part.dims[1];
        parts.push((column, part));
        column += width;
    }
    let rows = parts.first()?.1.dims[0];
    parts.iter().all(|(_, part)| part.dims[0] == rows).then_some((parts, rows))
}

/// Whether `node` is a product with a constant beside its input.
pub(super) fn fits(view: &View<'_>, node: &NodeProto) -> bool {
    plan(view, node).is_some()
}

/// Makes the constants that the product at `position` reads its bias.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn apply(draft: &mut Draft, position: usize) -> Option<()> {
    let view = View::of(draft);
    let product = draft.graph().node[position].clone();
    let plan = plan(&view, &product)?;
    let join = view.maker(input(&product, 0)?)?;
    let (labels, rows) = label_rows(&view, join, &plan)?;
    let weights = view.floats(input(&product, 1)?)?.values;
    let number = |name: &str| attribute(&product, name).and_then(|a| a.f).map_or(1.0, f64::from);
    let (alpha, beta) = (number("alpha"), number("beta"));
    let weight = |row: usize, column: usize| {
        f64::from(match plan.transposed {
            true => weights[column * plan.inputs + row],
            false => weights[row * plan.outputs + column],
        })
    };
    let given = match input(&product, 2) {
        Some(bias) => view.floats(bias)?.values,
        None => vec![0.0],
    };
    let mut bias: Vec<f32> = Vec::with_capacity(rows * plan.outputs);
    for row in 0..rows {
        for column in 0..plan.outputs {
            let mut sum = 0.0;
            for (first, part) in &labels {
                let values = &part.values[row * part.dims[1]..][..part.dims[1]];
                let terms = values.iter().enumerate();
                sum += terms.map(|(at, v)| f64::from(*v) * weight(first + at, column)).sum::<f64>();
            }
            let own = f64::from(if given.len() == 1 { given[0] } else { given[column] });
            bias.push((alpha * sum + beta * own) as f32);
        }
    }
    let alike = bias.chunks_exact(plan.outputs).all(|row| *row == bias[..plan.outputs]);
    let rows = if alike { 1 } else { rows };
    bias.truncate(rows * plan.outputs);
    let kept = plan.before..plan.inputs - plan.behind;
    let height = kept.len();
    let matrix: Vec<f32> = kept
        .flat_map(|row| (0..plan.outputs).map(move |column| (row, column)))
        .map(|(row, column)| weight(row, column) as f32)
        .collect();

    let output = product.output.first()?.clone();
    let mut nodes = Vec::new();
    let source = match &plan.kept[..] {
        [one] => one.clone(),
        several => {
            let joined = draft.fresh(&format!("{output}_rest"));
            let inputs: Vec<&str> = several.iter().map(String::as_str).collect();
            nodes.push(node("Concat", &joined, &inputs, &joined, vec![int("axis", 1)]));
            joined
        }
    };
    let weight =
        draft.add_floats(&format!("{output}_rest_weight"), &[height, plan.outputs], &matrix);
    let bias = draft.add_floats(&format!("{output}_label"), &[rows, plan.outputs], &bias);
    let attributes = vec![float("alpha", alpha as f32)];
    let name = draft.fresh(&format!("{output}_split"));
    nodes.push(node("Gemm", &name, &[&source, &weight, &bias], &output, attributes));
    draft.replace(position, nodes);
    Some(())
}
