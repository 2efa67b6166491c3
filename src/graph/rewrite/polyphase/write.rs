//! The nodes that phases are written as: convolutions, what puts them together, what cuts them.

use super::{Axis, Weave};
use crate::graph::draft::Draft;
use crate::graph::nodes::{int, list, node, text};
use crate::graph::proto::NodeProto;
use crate::graph::rewrite::layer::Kernel;

/// The sums of taps that make the kernel of one phase, `[out, inner, height, width]`.
#[allow(clippy::cast_possible_truncation)]
fn phase_values(kernel: &Kernel, rows: &[&[usize]], columns: &[&[usize]]) -> Vec<f32> {
    let [height, width] = kernel.size;
    let mut values = Vec::with_capacity(kernel.out * kernel.inner * rows.len() * columns.len());
    for plane in kernel.values.chunks_exact(height * width) {
        for row in rows {
            for column in columns {
                let taps = row.iter().flat_map(|y| column.iter().map(move |x| y * width + x));
                values.push(taps.map(|tap| f64::from(plane[tap])).sum::<f64>() as f32);
            }
        }
    }
    values
}

/// A layer to be written as phases.
pub(in crate::graph::rewrite) struct Polyphase<'a> {
    pub axes: &'a [Axis; 2],
    pub kernel: &'a Kernel,
    pub group: usize,
    /// What the convolutions read.
    pub source: &'a str,
    pub bias: Option<&'a str>,
}

impl Polyphase<'_> {
    /// Puts one convolution a phase, put together, in the place of the node at `position`. The
    /// blocks of the axes must be those for this way to `weave`.
    pub fn write(&self, draft: &mut Draft, position: usize, weave: Weave) {
        let (stem, output) = names(draft, position);
        let mut nodes = Vec::new();
        let mut parts = Vec::new();
        for row in 0..self.axes[0].phases.len() {
            for column in 0..self.axes[1].phases.len() {
                let (rows, vertical) = self.axes[0].kernel(row);
                let (columns, horizontal) = self.axes[1].kernel(column);
                let values = phase_values(self.kernel, &rows, &columns);
                let dims = [self.kernel.out, self.kernel.inner, rows.len(), columns.len()];
                let stem = format!("{stem}_phase_{row}_{column}");
                let weight = draft.add_floats(&format!("{stem}_weight"), &dims, &values);
                let part = draft.fresh(&stem);
                let pads = [vertical[0], horizontal[0], vertical[1], horizontal[1]];
                nodes.push(self.conv(&part, &weight, self.bias, &dims, &pads));
                parts.push(part);
            }
        }
        let whole = self.whole(draft, &stem, &output);
        match weave {
            Weave::DepthToSpace => {
                let inputs: Vec<&str> = parts.iter().map(String::as_str).collect();
                let together = draft.fresh(&format!("{stem}_phases"));
                nodes.push(node("Concat", &together, &inputs, &together, vec![int("axis", 1)]));
                nodes.push(self.depth_to_space(draft, &together, "DCR", &whole));
            }
            Weave::Concat => self.weave(draft, &mut nodes, &parts, &stem, &whole),
        }
        self.crop(draft, &mut nodes, &whole, &stem, &output);
        draft.replace(position, nodes);
    }

    /// Pixels of each row, then the rows.
    fn weave(
        &self,
        draft: &mut Draft,
        nodes: &mut Vec<NodeProto>,
        parts: &[String],
        stem: &str,
        whole: &str,
    ) {
        let [height, width] = self.axes.each_ref().map(|axis| axis.phases.len());
        // The last axis takes in the pixels that lie behind it.
        let wider = draft.add_ints(&format!("{stem}_wider"), &[0, 0, 0, -1]);
        let innermost = match draft.opset() >= 13 {
            true => Some(draft.add_ints(&format!("{stem}_innermost"), &[4])),
            false => None,
        };
        let mut rows = Vec::new();
        for (number, row) in parts.chunks(width).enumerate() {
            if let [one] = row {
                rows.push(one.clone());
                continue;
            }
            let mut pixels = Vec::new();
            for part in row {
                let pixel = draft.fresh(&format!("{part}_pixels"));
                let (inputs, attributes) = match &innermost {
                    Some(axes) => (vec![part.as_str(), axes], vec![]),
                    None => (vec![part.as_str()], vec![list("axes", &[4])]),
                };
                nodes.push(node("Unsqueeze", &pixel, &inputs, &pixel, attributes));
                pixels.push(pixel);
            }
            let pixels: Vec<&str> = pixels.iter().map(String::as_str).collect();
            let pairs = draft.fresh(&format!("{stem}_pixels_{number}"));
            nodes.push(node("Concat", &pairs, &pixels, &pairs, vec![int("axis", 4)]));
            let last = height == 1;
            let row =
                if last { whole.to_owned() } else { draft.fresh(&format!("{stem}_row_{number}")) };
            let name = draft.fresh(&format!("{stem}_wide_{number}"));
            nodes.push(node("Reshape", &name, &[&pairs, &wider], &row, vec![]));
            rows.push(row);
        }
        let Some(size) = self.axes[0].whole.filter(|_| height > 1) else { return };
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let together = draft.fresh(&format!("{stem}_rows"));
        nodes.push(node("Concat", &together, &rows, &together, vec![int("axis", 3)]));
        let taller = draft.add_ints(&format!("{stem}_taller"), &[0, 0, size, -1]);
        let name = draft.fresh(&format!("{stem}_tall"));
        nodes.push(node("Reshape", &name, &[&together, &taller], whole, vec![]));
    }

    /// Puts one convolution that makes all phases as channels, interleaved, in the place of the
    /// node at `position`. The axes must be [`Axis::joined`]; `bias` is its values.
    pub fn write_joined(&self, draft: &mut Draft, position: usize, bias: Option<&[f32]>) {
        let (stem, output) = names(draft, position);
        let [height, width] = self.axes.each_ref().map(|axis| axis.phases.len());
        let phases: Vec<(usize, usize)> =
            (0..height).flat_map(|row| (0..width).map(move |column| (row, column))).collect();
        let (rows, vertical) = self.axes[0].kernel(0);
        let (columns, horizontal) = self.axes[1].kernel(0);
        let (height, width) = (rows.len(), columns.len());
        let values: Vec<Vec<f32>> = phases
            .iter()
            .map(|(row, column)| {
                let (rows, columns) = (self.axes[0].kernel(*row).0, self.axes[1].kernel(*column).0);
                phase_values(self.kernel, &rows, &columns)
            })
            .collect();
        // Channels of the layer outermost, phases within: what CRD takes apart, and what keeps
        // the channels of a group together.
        let one = self.kernel.inner * height * width;
        let channels = 0..self.kernel.out;
        let joined: Vec<f32> = channels
            .flat_map(|channel| values.iter().map(move |v| &v[channel * one..][..one]))
            .flatten()
            .copied()
            .collect();
        let dims = [self.kernel.out * phases.len(), self.kernel.inner, height, width];
        let weight = draft.add_floats(&format!("{stem}_joined_weight"), &dims, &joined);
        let bias = bias.map(|bias| {
            let spread: Vec<f32> =
                bias.iter().flat_map(|b| std::iter::repeat_n(*b, phases.len())).collect();
            draft.add_floats(&format!("{stem}_joined_bias"), &[spread.len()], &spread)
        });
        let together = draft.fresh(&format!("{stem}_joined"));
        let pads = [vertical[0], horizontal[0], vertical[1], horizontal[1]];
        let mut nodes = vec![self.conv(&together, &weight, bias.as_deref(), &dims, &pads)];
        let whole = self.whole(draft, &stem, &output);
        nodes.push(self.depth_to_space(draft, &together, "CRD", &whole));
        self.crop(draft, &mut nodes, &whole, &stem, &output);
        draft.replace(position, nodes);
    }

    fn conv(
        &self,
        output: &str,
        weight: &str,
        bias: Option<&str>,
        dims: &[usize; 4],
        pads: &[i64; 4],
    ) -> NodeProto {
        let inputs: Vec<&str> = [self.source, weight].into_iter().chain(bias).collect();
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let attributes = vec![
            list("kernel_shape", &[number(dims[2]), number(dims[3])]),
            list("strides", &self.axes.each_ref().map(|axis| axis.stride)),
            list("dilations", &self.axes.each_ref().map(|axis| axis.step)),
            list("pads", pads),
            int("group", number(self.group)),
        ];
        node("Conv", output, &inputs, output, attributes)
    }

    fn depth_to_space(
        &self,
        draft: &Draft,
        from: &str,
        mode: &'static str,
        whole: &str,
    ) -> NodeProto {
        let block = self.axes[0].phases.len();
        let mut attributes = vec![int("blocksize", i64::try_from(block).unwrap_or(i64::MAX))];
        // Before version 11 there is only DCR, and no attribute that says so.
        if draft.opset() >= 11 {
            attributes.push(text("mode", mode));
        }
        node("DepthToSpace", whole, &[from], whole, attributes)
    }

    fn crops(&self) -> [[i64; 2]; 2] {
        self.axes.each_ref().map(|axis| axis.crop)
    }

    /// The name of the phases put together: that of the output, unless something is over.
    fn whole(&self, draft: &mut Draft, stem: &str, output: &str) -> String {
        match self.crops() {
            [[0, 0], [0, 0]] => output.to_owned(),
            _ => draft.fresh(&format!("{stem}_whole")),
        }
    }

    /// `Slice`, where there is more than wanted.
    fn crop(
        &self,
        draft: &mut Draft,
        nodes: &mut Vec<NodeProto>,
        whole: &str,
        stem: &str,
        output: &str,
    ) {
        if whole == output {
            return;
        }
        let starts = self.crops().map(|[front, _]| front);
        let ends = self.crops().map(|[_, behind]| if behind == 0 { i64::MAX } else { -behind });
        nodes.push(if draft.opset() >= 10 {
            let starts = draft.add_ints(&format!("{stem}_starts"), &starts);
            let ends = draft.add_ints(&format!("{stem}_ends"), &ends);
            let axes = draft.add_ints(&format!("{stem}_axes"), &[2, 3]);
            node("Slice", output, &[whole, &starts, &ends, &axes], output, vec![])
        } else {
            let attributes =
                vec![list("starts", &starts), list("ends", &ends), list("axes", &[2, 3])];
            node("Slice", output, &[whole], output, attributes)
        });
    }
}

/// The stem of new names, and the output, of the node at `position`.
fn names(draft: &Draft, position: usize) -> (String, String) {
    let node = &draft.graph().node[position];
    let output = node.output.first().cloned().unwrap_or_default();
    (output.clone(), output)
}
