//! The epilogue's bytes are those of `Delivery` for every float, and its sums tell what is not
//! finite. The images here are the inputs, so every float can be asked for.

use genset::generate::ImageFormat;
use genset::graph::{Element, Epilogue};
use genset::recipe::{Dtype, Layout, Output};
use genset::runtime::{ModelSource, Runtime, Session, SessionOptions, Tensor, TensorView};
use genset::view::Delivery;

use crate::common;
use crate::onnx::Model;

const SIDE: usize = 64;
const CHANNELS: usize = 3;
const IMAGE: usize = CHANNELS * SIDE * SIDE;

/// Sessions over a model that gives back what it is given, with an epilogue.
struct Bytes {
    session: Session,
    bytes: String,
    sums: String,
    delivery: Delivery,
}

impl Bytes {
    fn new(range: [f64; 2], layout: Layout) -> Self {
        let format = ImageFormat {
            channels: CHANNELS,
            height: SIDE,
            width: SIDE,
            interleaved: false,
            range,
        };
        let output = Output { dtype: Dtype::U8, layout, normalise: None };
        let (scale, bias) = format.byte_coefficients();
        let model = Model::new(13)
            .input("x", &[-1, CHANNELS as i64, SIDE as i64, SIDE as i64])
            .node("Identity", &["x"], "image", &[])
            .output("image")
            .build();
        let epilogue = Epilogue {
            output: "image".into(),
            image: [CHANNELS, SIDE, SIDE],
            interleaved: false,
            interleave: layout == Layout::Nhwc,
            scale,
            bias,
        };
        let (model, delivered) = model.with_epilogue(&epilogue).unwrap();
        let runtime = Runtime::open(&common::options(&[]).search).unwrap();
        let source = ModelSource::Memory(model.bytes());
        Self {
            session: Session::open(runtime, source, &SessionOptions::default()).unwrap(),
            bytes: delivered.bytes,
            sums: delivered.sums,
            delivery: Delivery::new(format, &output).unwrap(),
        }
    }

    /// One image's bytes and its sum.
    fn run(&mut self, image: &[f32]) -> (Vec<u8>, f32) {
        let mut x = Tensor::new(Element::F32, &[1, CHANNELS, SIDE, SIDE]).unwrap();
        x.write_floats(0, image).unwrap();
        let bytes = self.session.run_once(&[("x", &x)], &self.bytes).unwrap();
        let sums = self.session.run_once(&[("x", &x)], &self.sums).unwrap();
        let TensorView::U8(bytes) = bytes.view().unwrap() else { panic!("not bytes") };
        (bytes.to_vec(), sums.view().unwrap().to_f32()[0])
    }

    #[track_caller]
    fn check(&mut self, image: &[f32]) {
        let (bytes, sum) = self.run(image);
        let mut expected = vec![0; IMAGE];
        self.delivery.write(TensorView::F32(image), &mut expected).unwrap();
        assert!(sum.is_finite());
        if let Some(at) = (0..IMAGE).find(|at| bytes[*at] != expected[*at]) {
            panic!("byte {at}: {} for {}", bytes[at], expected[at]);
        }
    }
}

#[test]
fn every_boundary_between_two_bytes_is_where_delivery_has_it() {
    const STEPS: i32 = 128;
    for range in [[-1.0, 1.0], [0.0, 1.0], [0.0, 255.0], [-0.3, 0.71], [2.5, -1.0]] {
        let mut floats = Vec::new();
        let [black, white]: [f64; 2] = range;
        for level in -1..=257 {
            let near = black + (f64::from(level) - 0.5) / 255.0 * (white - black);
            let bits = (near as f32).to_bits() as i32;
            floats.extend((-STEPS..STEPS).map(|step| f32::from_bits((bits + step) as u32)));
        }
        floats.retain(|x| x.is_finite());
        for layout in [Layout::Nchw, Layout::Nhwc] {
            let mut bytes = Bytes::new(range, layout);
            for chunk in floats.chunks_exact(IMAGE) {
                bytes.check(chunk);
            }
        }
    }
}

#[test]
fn floats_of_all_sizes_are_clamped_as_delivery_does() {
    let mut bytes = Bytes::new([-1.0, 1.0], Layout::Nchw);
    let mut bits = 1_u32;
    for _ in 0..16 {
        let image: Vec<f32> = std::iter::repeat_with(|| {
            bits = bits.wrapping_mul(0x9e37_79b1).wrapping_add(0x7f4a_7c15);
            f32::from_bits(bits)
        })
        .filter(|x| x.is_finite())
        .take(IMAGE)
        .collect();
        bytes.check(&image);
    }
    bytes.check(&[f32::MAX; IMAGE]);
    bytes.check(&[f32::MIN; IMAGE]);
}

#[test]
fn one_value_that_is_not_finite_shows_in_the_sum() {
    let mut bytes = Bytes::new([-1.0, 1.0], Layout::Nchw);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for place in [0, 777, IMAGE - 1] {
            let mut image = vec![0.25; IMAGE];
            image[place] = bad;
            // A second one must not hide the first.
            image[1] = -bad;
            assert!(!bytes.run(&image).1.is_finite(), "{bad} at {place}");
        }
    }
}
