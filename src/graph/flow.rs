//! Where the values of an input have got to: which element of the input each value of a row is.

use super::constant::{attribute, int_attribute};
use super::proto::NodeProto;
use super::weights::Matrix;

/// A file could join a value with itself again and again.
const MAX_VALUES: usize = 1 << 22;

/// The values of one row of a tensor, in row-major order, as elements of the input.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Flow {
    /// For each value the element that it is, or nothing where it is something else.
    values: Vec<Option<usize>>,
    /// Dimensions with the batch as 1, where known; their product is the number of values.
    dims: Option<Vec<usize>>,
    /// Where values of unknown number lie, beside the known ones.
    open: Option<Open>,
    /// What the input was multiplied by on its way.
    pub scale: f32,
}

/// On which side of the known values others lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Before,
    After,
}

/// What an operator makes of a flow.
pub(super) enum Next {
    /// It moves the values about: what each of its outputs holds.
    Flows(Vec<Option<Flow>>),
    /// It multiplies them by this.
    Layers(Matrix),
    /// Something else, for this reason.
    End(&'static str),
    /// It does not look at the values.
    Ignore,
}

impl Flow {
    /// The input itself.
    pub fn of_input(row: &[usize], batched: bool) -> Self {
        let batch = batched.then_some(1);
        Self {
            values: (0..row.iter().product()).map(Some).collect(),
            dims: Some(batch.into_iter().chain(row.iter().copied()).collect()),
            open: None,
            scale: 1.0,
        }
    }

    fn with_dims(&self, dims: Option<Vec<usize>>) -> Next {
        // An unknown or impossible shape is no harm: the order of the values stays.
        let fits = |dims: &Vec<usize>| product(dims.iter().copied()) == Some(self.values.len());
        Next::Flows(vec![Some(Self { dims: dims.filter(fits), ..self.clone() })])
    }

    /// Through an operator whose first input this is; `constant` gives its other inputs where
    /// they are whole numbers known beforehand.
    pub fn through(&self, node: &NodeProto, constant: &dyn Fn(usize) -> Option<Vec<i64>>) -> Next {
        // Attributes became inputs in later operator sets.
        let listed = |name: &str, position: usize| match attribute(node, name) {
            Some(attribute) => Some(attribute.ints.clone()),
            None => constant(position),
        };
        match node.op_type.as_str() {
            "Identity" | "Cast" | "Dropout" => self.with_dims(self.dims.clone()),
            "Reshape" => self.with_dims(listed("shape", 1).and_then(|shape| self.reshaped(&shape))),
            "Flatten" => self.with_dims(Some(vec![1, self.values.len()])),
            "Squeeze" => {
                let all = node.input.len() < 2 && attribute(node, "axes").is_none();
                let axes = if all { None } else { listed("axes", 1) };
                self.with_dims(axes.and_then(|axes| self.squeezed(&axes)))
            }
            "Unsqueeze" => {
                self.with_dims(listed("axes", 1).and_then(|axes| self.unsqueezed(&axes)))
            }
            "Transpose" => self.transposed(attribute(node, "perm").map(|perm| &perm.ints[..])),
            "Split" => {
                let sizes = listed("split", 1);
                self.split(int_attribute(node, "axis").unwrap_or(0), sizes, node.output.len())
            }
            "Gather" => {
                let axis = int_attribute(node, "axis").unwrap_or(0);
                match constant(1).as_deref() {
                    Some(&[index]) => self.part(axis, index, index.checked_add(1)),
                    _ => Next::End("gathers more than one part"),
                }
            }
            "Slice" => {
                let (starts, ends) = (listed("starts", 1), listed("ends", 2));
                let axes = listed("axes", 3).unwrap_or_else(|| vec![0]);
                let steps = constant(4).unwrap_or_else(|| vec![1]);
                match (starts.as_deref(), ends.as_deref(), &axes[..], &steps[..]) {
                    (Some(&[start]), Some(&[end]), &[axis], &[1]) => {
                        self.part(axis, start, Some(end))
                    }
                    _ => Next::End("slices more than one part"),
                }
            }
            _ => Next::End("not a linear layer"),
        }
    }

    /// Through a sum or difference with something of `count` values a row, where known, that is
    /// `moved` by the input too or not.
    pub fn plus(&self, operator: &str, position: usize, moved: bool, count: Option<u64>) -> Next {
        let larger = count.is_some_and(|count| count > self.values.len() as u64);
        if moved || larger {
            return Next::End("adds something to it that is not fixed");
        }
        self.scaled(if operator == "Sub" && position == 1 { -1.0 } else { 1.0 })
    }

    /// Through a product or quotient with one constant, if it is one.
    pub fn times(&self, operator: &str, position: usize, factor: Option<f64>) -> Next {
        match (operator, position, factor) {
            ("Mul", _, Some(factor)) => self.scaled(factor),
            ("Div", 0, Some(divisor)) if divisor != 0.0 => self.scaled(1.0 / divisor),
            _ => Next::End("not a linear layer"),
        }
    }

    #[allow(clippy::cast_possible_truncation)]
    fn scaled(&self, factor: f64) -> Next {
        Next::Flows(vec![Some(Self { scale: self.scale * factor as f32, ..self.clone() })])
    }

    /// Parts after each other; of those that are not flows the number of values, where known.
    pub fn concat(node: &NodeProto, parts: Vec<Result<&Self, Option<usize>>>) -> Next {
        const UNCLEAR: Next = Next::End("joins the input with values of unknown number");
        let mut whole: Option<Self> = None;
        let mut before: Option<usize> = Some(0);
        for part in parts {
            match (part, &mut whole) {
                (Ok(flow), None) => {
                    let outermost = match &flow.dims {
                        Some(dims) => flow.axis(attribute_axis(node), dims).is_some(),
                        None => attribute_axis(node) == 1,
                    };
                    if !outermost || flow.open.is_some() {
                        return UNCLEAR;
                    }
                    let padding = std::iter::repeat_n(None, before.unwrap_or(0));
                    whole = Some(Self {
                        values: padding.chain(flow.values.iter().copied()).collect(),
                        dims: None,
                        open: before.is_none().then_some(Open::Before),
                        scale: flow.scale,
                    });
                }
                (Ok(flow), Some(whole)) => {
                    if flow.open.is_some() || flow.scale != whole.scale {
                        return UNCLEAR;
                    }
                    if whole.open == Some(Open::After) {
                        return UNCLEAR;
                    }
                    whole.values.extend(&flow.values);
                }
                (Err(Some(count)), Some(whole)) if whole.open != Some(Open::After) => {
                    whole.values.extend(std::iter::repeat_n(None, count));
                }
                (Err(None), Some(whole)) if whole.open == Some(Open::Before) => return UNCLEAR,
                (Err(_), Some(whole)) => whole.open = Some(Open::After),
                (Err(count), None) => before = before.zip(count).map(|(sum, count)| sum + count),
            }
        }
        if whole.as_ref().is_some_and(|whole| whole.values.len() > MAX_VALUES) {
            return Next::End("joins too many values");
        }
        if let Some(whole) = &mut whole
            && whole.open.is_none()
        {
            whole.dims = Some(vec![1, whole.values.len()]);
        }
        Next::Flows(vec![whole])
    }

    /// The groups of values that a matrix of `rows` rows is applied to, each as pairs of a row and
    /// the element that it is multiplied by. A spatial layer is applied to one pixel only.
    pub fn groups(&self, rows: usize, spatial: bool) -> Option<Vec<Vec<(usize, usize)>>> {
        let len = self.values.len();
        let offset = match self.open {
            Some(_) if rows < len => return None,
            Some(Open::Before) => rows - len,
            Some(Open::After) => 0,
            None if rows == len => 0,
            None if spatial || rows == 0 || !len.is_multiple_of(rows) => return None,
            None => 0,
        };
        let group = |values: &[Option<usize>]| {
            let pairs = values.iter().enumerate();
            pairs.filter_map(|(row, element)| Some((row + offset, (*element)?))).collect()
        };
        Some(self.values.chunks(rows.max(1)).map(group).collect())
    }

    fn reshaped(&self, shape: &[i64]) -> Option<Vec<usize>> {
        let mut dims: Vec<Option<usize>> = Vec::new();
        for (axis, &size) in shape.iter().enumerate() {
            dims.push(match (axis, size) {
                // The batch, which counts as one.
                (0, -1 | 0) if shape.len() > 1 => Some(1),
                (_, 0) => Some(*self.dims.as_ref()?.get(axis)?),
                (_, -1) => None,
                _ => Some(usize::try_from(size).ok()?),
            });
        }
        let known = product(dims.iter().flatten().copied())?;
        let open = dims.iter().filter(|dim| dim.is_none()).count();
        if open > 1 || known == 0 {
            return None;
        }
        Some(dims.into_iter().map(|dim| dim.unwrap_or(self.values.len() / known)).collect())
    }

    fn squeezed(&self, axes: &[i64]) -> Option<Vec<usize>> {
        let dims = self.dims.as_ref()?;
        let axes: Vec<usize> =
            axes.iter().map(|&axis| from_end(axis, dims.len())).collect::<Option<_>>()?;
        let kept = dims.iter().enumerate().filter(|(axis, _)| !axes.contains(axis));
        Some(kept.map(|(_, size)| *size).collect())
    }

    fn unsqueezed(&self, axes: &[i64]) -> Option<Vec<usize>> {
        let dims = self.dims.as_ref()?;
        let rank = dims.len() + axes.len();
        let axes: Vec<usize> =
            axes.iter().map(|&axis| from_end(axis, rank)).collect::<Option<_>>()?;
        let mut rest = dims.iter();
        (0..rank)
            .map(|axis| if axes.contains(&axis) { Some(1) } else { rest.next().copied() })
            .collect()
    }

    fn transposed(&self, permutation: Option<&[i64]>) -> Next {
        const UNCLEAR: Next = Next::End("transposes a tensor of unknown shape");
        let Some(dims) = &self.dims else { return UNCLEAR };
        let rank = dims.len();
        let order: Option<Vec<usize>> = match permutation {
            Some(axes) if axes.len() == rank => axes.iter().map(|&a| from_end(a, rank)).collect(),
            Some(_) => None,
            None => Some((0..rank).rev().collect()),
        };
        let Some(order) = order else { return UNCLEAR };
        let mut axes = order.clone();
        axes.sort_unstable();
        if !axes.iter().copied().eq(0..rank) {
            return UNCLEAR;
        }
        let stride = |axis: usize| dims[axis + 1..].iter().product::<usize>();
        let mut places = vec![0];
        for &axis in &order {
            let steps = (0..dims[axis]).map(|i| i * stride(axis));
            places =
                places.iter().flat_map(|place| steps.clone().map(move |s| place + s)).collect();
        }
        if places.len() != self.values.len() || places.iter().any(|p| *p >= self.values.len()) {
            return UNCLEAR;
        }
        Next::Flows(vec![Some(Self {
            values: places.into_iter().map(|place| self.values[place]).collect(),
            dims: Some(order.iter().map(|&axis| dims[axis]).collect()),
            ..self.clone()
        })])
    }

    fn split(&self, axis: i64, sizes: Option<Vec<i64>>, parts: usize) -> Next {
        let dims = self.dims.as_deref().unwrap_or_default();
        let Some(axis) = self.axis(axis, dims) else {
            return Next::End("splits an inner dimension");
        };
        let equal = dims[axis].div_ceil(parts.max(1));
        let mut from = 0;
        let mut flows = Vec::new();
        for part in 0..parts {
            let size = match &sizes {
                Some(sizes) => sizes.get(part).and_then(|s| usize::try_from(*s).ok()).unwrap_or(0),
                None => equal,
            };
            let to = dims[axis].min(from + size);
            flows.push(Some(self.range(axis, from.min(to)..to, dims)));
            from = to;
        }
        Next::Flows(flows)
    }

    fn part(&self, axis: i64, start: i64, end: Option<i64>) -> Next {
        let dims = self.dims.as_deref().unwrap_or_default();
        let Some(axis) = self.axis(axis, dims) else {
            return Next::End("takes a part of an inner dimension");
        };
        let size = i64::try_from(dims[axis]).unwrap_or(i64::MAX);
        let place = |at: i64| {
            let from_start = if at < 0 { at.saturating_add(size) } else { at };
            usize::try_from(from_start.clamp(0, size)).unwrap_or(0)
        };
        // An index of -1 ends where the dimension does, not at its start.
        let end = match end {
            Some(0) if start == -1 => dims[axis],
            Some(end) => place(end),
            None => dims[axis],
        };
        let start = place(start);
        Next::Flows(vec![Some(self.range(axis, start..end.max(start), dims))])
    }

    fn range(&self, axis: usize, range: std::ops::Range<usize>, dims: &[usize]) -> Self {
        let unit: usize = dims[axis + 1..].iter().product();
        let mut dims = dims.to_vec();
        dims[axis] = range.len();
        Self {
            values: self.values[range.start * unit..range.end * unit].to_vec(),
            dims: Some(dims),
            ..self.clone()
        }
    }

    /// The axis, if values along it lie after each other in the row: all outer ones are 1.
    fn axis(&self, axis: i64, dims: &[usize]) -> Option<usize> {
        let axis = from_end(axis, dims.len())?;
        dims[..axis].iter().all(|size| *size == 1).then_some(axis)
    }
}

/// A hostile shape must not overflow.
fn product(mut sizes: impl Iterator<Item = usize>) -> Option<usize> {
    sizes.try_fold(1, usize::checked_mul)
}

fn attribute_axis(node: &NodeProto) -> i64 {
    int_attribute(node, "axis").unwrap_or(1)
}

/// An axis, which ONNX may count from the end.
fn from_end(axis: i64, rank: usize) -> Option<usize> {
    let rank_signed = i64::try_from(rank).ok()?;
    let axis = if axis < 0 { axis + rank_signed } else { axis };
    usize::try_from(axis).ok().filter(|axis| *axis < rank)
}
