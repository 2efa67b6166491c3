//! Tensors put into other shapes, cut and joined.

use super::{Attribute, Composer, Tensor};
use crate::error::Result;

/// For `Slice`: to the end.
const END: i64 = i64::MAX;

/// Sizes, axes or places as attributes and constants have them.
pub(in crate::graph) fn signed(list: &[usize]) -> Vec<i64> {
    list.iter().map(|&number| number as i64).collect()
}

impl Composer {
    /// A list of sizes or axes, as a tensor.
    pub fn sizes(&mut self, list: &[usize]) -> Tensor {
        self.ints(&signed(list))
    }

    /// The axis `number` of a tensor, which may count from the end.
    pub fn axis_of(&self, tensor: &Tensor, number: i64) -> usize {
        let rank = self.dims(tensor).len() as i64;
        usize::try_from(if number < 0 { number + rank } else { number }).unwrap_or(0)
    }

    /// The same elements in the same order, in a shape of as many.
    pub fn reshape(&mut self, a: &Tensor, dims: &[usize]) -> Result<Tensor> {
        if self.dims(a) == dims {
            return Ok(a.clone());
        }
        let dims = self.sizes(dims);
        self.op("Reshape", &[a, &dims], &[])
    }

    /// Axis `i` of what comes out is axis `order[i]` of A.
    pub fn transpose(&mut self, a: &Tensor, order: &[usize]) -> Result<Tensor> {
        if order.iter().enumerate().all(|(axis, &from)| axis == from) {
            return Ok(a.clone());
        }
        let order = signed(order);
        self.op("Transpose", &[a], &[Attribute::Ints("perm", &order)])
    }

    /// A with its last two axes swapped.
    pub fn swap_last(&mut self, a: &Tensor) -> Result<Tensor> {
        let rank = self.dims(a).len();
        let mut order: Vec<usize> = (0..rank).collect();
        order.swap(rank - 1, rank - 2);
        self.transpose(a, &order)
    }

    /// A stretched to `dims`, which it must be broadcastable to.
    pub fn expand(&mut self, a: &Tensor, dims: &[usize]) -> Result<Tensor> {
        if self.dims(a) == dims {
            return Ok(a.clone());
        }
        let dims = self.sizes(dims);
        self.op("Expand", &[a, &dims], &[])
    }

    /// The sum over what was stretched when a tensor of sizes `dims` was broadcast to A's.
    pub fn unstretch(&mut self, a: &Tensor, dims: &[usize]) -> Result<Tensor> {
        let wide = self.dims(a).to_vec();
        let more = wide.len() - dims.len();
        let axes: Vec<usize> = (0..wide.len())
            .filter(|&axis| axis < more || (dims[axis - more] == 1 && wide[axis] != 1))
            .collect();
        let summed = self.sum(a, &axes, true)?;
        self.reshape(&summed, dims)
    }

    /// Elements `from..to` of `axis`, every `step`th.
    pub fn slice(
        &mut self,
        a: &Tensor,
        axis: usize,
        from: usize,
        to: usize,
        step: usize,
    ) -> Result<Tensor> {
        if from == 0 && to == self.dims(a)[axis] && step == 1 {
            return Ok(a.clone());
        }
        self.slices(a, &[(axis, from as i64, to as i64, step as i64)])
    }

    /// Several cuts at once: axis, first, end, step, as `Slice` has them.
    pub fn slices(&mut self, a: &Tensor, cuts: &[(usize, i64, i64, i64)]) -> Result<Tensor> {
        let list = |pick: fn(&(usize, i64, i64, i64)) -> i64| cuts.iter().map(pick).collect();
        let lists: [Vec<i64>; 4] =
            [list(|cut| cut.1), list(|cut| cut.2), list(|cut| cut.0 as i64), list(|cut| cut.3)];
        let lists = lists.map(|list| self.ints(&list));
        let [starts, ends, axes, steps] = &lists;
        self.op("Slice", &[a, starts, ends, axes, steps], &[])
    }

    /// A with the elements of `axes` in reverse order.
    pub fn flip(&mut self, a: &Tensor, axes: &[usize]) -> Result<Tensor> {
        let long: Vec<usize> =
            axes.iter().copied().filter(|&axis| self.dims(a)[axis] > 1).collect();
        if long.is_empty() {
            return Ok(a.clone());
        }
        let cuts: Vec<_> = long.into_iter().map(|axis| (axis, -1, -END, -1)).collect();
        self.slices(a, &cuts)
    }

    /// A with zeros around it: `before` and `after` say how many along each axis. Negative ones
    /// take away.
    pub fn pad(&mut self, a: &Tensor, before: &[i64], after: &[i64]) -> Result<Tensor> {
        if before.iter().chain(after).all(|&many| many == 0) {
            return Ok(a.clone());
        }
        let pads: Vec<i64> = before.iter().chain(after).copied().collect();
        let pads = self.ints(&pads);
        let zero = self.scalar(a, 0.0);
        self.op("Pad", &[a, &pads, &zero], &[Attribute::Text("mode", "constant")])
    }

    /// The tensors one after the other along `axis`.
    pub fn concat(&mut self, tensors: &[Tensor], axis: usize) -> Result<Tensor> {
        if let [tensor] = tensors {
            return Ok(tensor.clone());
        }
        let tensors: Vec<&Tensor> = tensors.iter().collect();
        self.op("Concat", &tensors, &[Attribute::Int("axis", axis as i64)])
    }

    /// Every element of the axes from `axis` on is moved `step` apart, with zeros between, and
    /// as many zeros at the end.
    pub fn spread(&mut self, a: &Tensor, axis: usize, steps: &[usize]) -> Result<Tensor> {
        if steps.iter().all(|&step| step == 1) {
            return Ok(a.clone());
        }
        let dims = self.dims(a).to_vec();
        // [.., H, W] -> [.., H, 1, W, 1] -> zeros behind each -> [.., H * s, W * t].
        let mut apart = dims[..axis].to_vec();
        let mut after = vec![0; axis];
        let mut wide = dims[..axis].to_vec();
        for (&size, &step) in dims[axis..].iter().zip(steps) {
            apart.extend([size, 1]);
            after.extend([0, step as i64 - 1]);
            wide.push(size * step);
        }
        let apart = self.reshape(a, &apart)?;
        let before = vec![0; after.len()];
        let padded = self.pad(&apart, &before, &after)?;
        self.reshape(&padded, &wide)
    }
}
