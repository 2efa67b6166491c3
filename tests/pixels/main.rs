//! Views against torchvision, operation by operation.
//!
//! The reference is a file that `torchvision_fixtures.py` beside this one writes: images, steps and
//! what torchvision makes of them.

mod identities;

use std::collections::BTreeMap;

use genset::generate::ImageFormat;
use genset::recipe::{Axis, Dtype, Filter, Layout, Output, Padding, Sampling};
use genset::runtime::TensorView;
use genset::sample::{Fill, Step};
use genset::view::{Canvas, Delivery};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView as Stored;
use serde_json::Value;

const REFERENCE: &[u8] = include_bytes!("torchvision.safetensors");

/// Greatest difference between floats: both sides round every operation, in different orders.
const FLOATS: f32 = 2e-5;

/// Greatest difference between levels: torchvision cuts levels off where genset rounds them, and
/// does so between the passes of an operation.
const LEVELS: u8 = 1;

fn number(value: &Value) -> f32 {
    value.as_f64().expect("a number") as f32
}

fn whole(value: &Value) -> u32 {
    u32::try_from(value.as_i64().expect("a whole number")).expect("not negative")
}

fn pair(value: &Value) -> [u32; 2] {
    [whole(&value[0]), whole(&value[1])]
}

fn step(value: &Value) -> Step {
    let float = |key: &str| number(&value[key]);
    let size = |key: &str| whole(&value[key]);
    let word = |key: &str| value[key].as_str().expect("a word");
    match word("op") {
        "resized-crop" => Step::ResizedCrop {
            top: size("top"),
            left: size("left"),
            height: size("height"),
            width: size("width"),
            out: pair(&value["out"]),
            filter: match word("filter") {
                "bilinear" => Filter::Bilinear,
                "bicubic" => Filter::Bicubic,
                _ => Filter::Nearest,
            },
        },
        "crop" => Step::Crop {
            top: value["top"].as_i64().expect("a row") as i32,
            left: value["left"].as_i64().expect("a column") as i32,
            out: pair(&value["out"]),
            padding: match &value["padding"] {
                Value::String(word) if word == "reflect" => Padding::Reflect,
                Value::String(_) => Padding::Edge,
                fill => Padding::Constant(number(&fill["constant"])),
            },
        },
        "flip" if word("axis") == "horizontal" => Step::Flip { axis: Axis::Horizontal },
        "flip" => Step::Flip { axis: Axis::Vertical },
        "affine" => Step::Affine {
            matrix: std::array::from_fn(|i| number(&value["matrix"][i])),
            filter: match word("filter") {
                "bilinear" => Sampling::Bilinear,
                _ => Sampling::Nearest,
            },
            fill: float("fill"),
        },
        "brightness" => Step::Brightness { factor: float("factor") },
        "contrast" => Step::Contrast { factor: float("factor") },
        "saturation" => Step::Saturation { factor: float("factor") },
        "hue" => Step::Hue { shift: float("shift") },
        "grayscale" => Step::Grayscale,
        "blur" => Step::Blur { kernel: pair(&value["kernel"]), sigma: float("sigma") },
        "solarize" => Step::Solarize { threshold: float("threshold") },
        "posterize" => Step::Posterize { bits: size("bits") },
        "erase" => Step::Erase {
            top: size("top"),
            left: size("left"),
            height: size("height"),
            width: size("width"),
            fill: Fill::Constant(std::array::from_fn(|i| number(&value["fill"]["constant"][i]))),
        },
        other => panic!("unknown step {other}"),
    }
}

fn floats(stored: &Stored<'_>) -> Vec<f32> {
    let (four, _) = stored.data().as_chunks::<4>();
    four.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn is_bytes(stored: &Stored<'_>) -> bool {
    stored.dtype() == safetensors::Dtype::U8
}

/// Reads `stored` as a generator's output would be.
fn load(canvas: &mut Canvas, stored: &Stored<'_>) {
    let &[channels, height, width] = stored.shape() else { panic!("an image has three sides") };
    let white = if is_bytes(stored) { 255.0 } else { 1.0 };
    let format = ImageFormat { channels, height, width, interleaved: false, range: [0.0, white] };
    if is_bytes(stored) {
        canvas.load(&format, TensorView::U8(stored.data())).unwrap();
    } else {
        canvas.load(&format, TensorView::F32(&floats(stored))).unwrap();
    }
}

/// The greatest difference between what genset and torchvision make of an image: in levels where
/// torchvision's is bytes, else in intensity.
fn difference(canvas: &mut Canvas, image: &Stored<'_>, steps: &[Step], theirs: &Stored<'_>) -> f32 {
    load(canvas, image);
    if !is_bytes(theirs) {
        let (shape, ours) = canvas.apply(steps);
        assert_eq!(shape, theirs.shape(), "{steps:?}");
        return ours.iter().zip(floats(theirs)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    }
    let output = Output { dtype: Dtype::U8, layout: Layout::Nchw, normalise: None };
    let shape = theirs.shape().try_into().expect("three sides");
    let delivery = Delivery::of_canvas(shape, &output).unwrap();
    let mut ours = vec![0; delivery.image_bytes()];
    canvas.render(steps, &delivery, &mut ours).unwrap();
    let differences = ours.iter().zip(theirs.data()).map(|(a, b)| a.abs_diff(*b));
    differences.max().map_or(0.0, f32::from)
}

#[test]
fn every_step_is_torchvisions() {
    let (_, metadata) = SafeTensors::read_metadata(REFERENCE).unwrap();
    let tensors = SafeTensors::deserialize(REFERENCE).unwrap();
    let cases = &metadata.metadata().as_ref().unwrap()["cases"];
    let cases: BTreeMap<String, Value> = serde_json::from_str(cases).unwrap();
    assert!(cases.len() > 150, "{} cases", cases.len());
    let mut canvas = Canvas::new();
    let mut worst = BTreeMap::<String, f32>::new();
    let mut failures = Vec::new();
    for (case, description) in cases {
        let name = description["image"].as_str().unwrap();
        let words = description["steps"].as_array().unwrap();
        let steps: Vec<Step> = words.iter().map(step).collect();
        let image = tensors.tensor(name).unwrap();
        let theirs = tensors.tensor(&format!("{case}.out")).unwrap();
        let difference = difference(&mut canvas, &image, &steps, &theirs);
        let bytes = is_bytes(&theirs);
        if difference > if bytes { f32::from(LEVELS) } else { FLOATS } {
            failures.push(format!("{case} on {name}: {difference}: {steps:?}"));
        }
        let op = match &words[..] {
            [one] => one["op"].as_str().unwrap(),
            _ => "whole pipelines",
        };
        let kind = if bytes { "levels" } else { "intensity" };
        let worst = worst.entry(format!("{op}, {kind}")).or_default();
        *worst = worst.max(difference);
    }
    // Seen with `--nocapture`.
    for (op, worst) in worst {
        println!("{op}: {worst}");
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
