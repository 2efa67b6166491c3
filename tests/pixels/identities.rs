//! What must hold for any image and any parameters.

use genset::generate::ImageFormat;
use genset::recipe::{Axis, Dtype, Filter, Layout, Normalise, Output, Padding, Sampling};
use genset::runtime::TensorView;
use genset::sample::{Fill, Step};
use genset::view::{Canvas, Delivery};
use half::{bf16, f16};
use proptest::prelude::*;

const FILTERS: [Filter; 3] = [Filter::Bilinear, Filter::Bicubic, Filter::Nearest];

fn planar([channels, height, width]: [usize; 3]) -> ImageFormat {
    ImageFormat { channels, height, width, interleaved: false, range: [0.0, 1.0] }
}

/// An image of any shape from one pixel on.
fn image() -> impl Strategy<Value = ([usize; 3], Vec<f32>)> {
    (1..=4usize, 1..40usize, 1..70usize).prop_flat_map(|(channels, height, width)| {
        let len = channels * height * width;
        (Just([channels, height, width]), prop::collection::vec(0f32..=1.0, len))
    })
}

fn loaded((shape, values): &([usize; 3], Vec<f32>)) -> Canvas {
    let mut canvas = Canvas::new();
    canvas.load(&planar(*shape), TensorView::F32(values)).unwrap();
    canvas
}

fn whole([_, height, width]: [usize; 3], out: [u32; 2], filter: Filter) -> Step {
    let (height, width) = (height as u32, width as u32);
    Step::ResizedCrop { top: 0, left: 0, height, width, out, filter }
}

fn size([_, height, width]: [usize; 3]) -> [u32; 2] {
    [height as u32, width as u32]
}

fn close(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6)
}

fn flips() -> [Step; 2] {
    [Axis::Horizontal, Axis::Vertical].map(|axis| Step::Flip { axis })
}

proptest! {
    #[test]
    fn steps_that_change_nothing_change_no_bit(image in image()) {
        let mut canvas = loaded(&image);
        let (out, mut nothing) = (size(image.0), Vec::new());
        nothing.extend(FILTERS.map(|filter| vec![whole(image.0, out, filter)]));
        nothing.extend([Padding::Constant(0.5), Padding::Reflect, Padding::Edge].map(
            |padding| vec![Step::Crop { top: 0, left: 0, out, padding }],
        ));
        nothing.extend(flips().map(|flip| vec![flip, flip]));
        let matrix = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        let filter = Sampling::Nearest;
        let fill = Fill::Constant([0.5; 4]);
        nothing.extend([
            vec![],
            vec![Step::Affine { matrix, filter, fill: 0.5 }],
            vec![Step::Brightness { factor: 1.0 }],
            vec![Step::Contrast { factor: 1.0 }],
            vec![Step::Saturation { factor: 1.0 }],
            vec![Step::Blur { kernel: [1, 1], sigma: 2.0 }],
            vec![Step::Blur { kernel: [9, 9], sigma: 0.01 }],
            vec![Step::Solarize { threshold: 1.5 }],
            vec![Step::Erase { top: 0, left: 0, height: 0, width: 0, fill }],
        ]);
        for steps in nothing {
            let (shape, values) = canvas.apply(&steps);
            prop_assert_eq!(shape, image.0);
            prop_assert!(values == image.1, "{:?}", steps);
        }
    }

    #[test]
    fn steps_that_change_nothing_but_rounding_change_no_more(image in image()) {
        let mut canvas = loaded(&image);
        let matrix = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        let filter = Sampling::Bilinear;
        for step in [Step::Affine { matrix, filter, fill: 0.3 }, Step::Hue { shift: 0.0 }] {
            let (_, values) = canvas.apply(&[step]);
            prop_assert!(close(values, &image.1), "{:?}", step);
        }
        let half = Step::Hue { shift: 0.5 };
        let there_and_back = [half, half];
        prop_assert!(close(canvas.apply(&there_and_back).1, &image.1));
    }

    #[test]
    fn constant_images_stay_constant(
        (shape, _) in image(), value in 0f32..=1.0, out in [1..60u32, 1..60u32],
        radius in [0..40u32, 0..40u32], sigma in 0.05f32..20.0,
    ) {
        let image = (shape, vec![value; shape.iter().product()]);
        let mut canvas = loaded(&image);
        let kernel = radius.map(|radius| 2 * radius + 1);
        let mut steps = vec![Step::Blur { kernel, sigma }];
        steps.extend(FILTERS.map(|filter| whole(shape, out, filter)));
        if shape[0] < 3 {
            // Not in colour: the luma of gray is 0.9999 of it, as in torchvision.
            steps.push(Step::Contrast { factor: 0.3 });
        }
        for step in steps {
            let (_, values) = canvas.apply(&[step]);
            prop_assert!(values.iter().all(|x| (x - value).abs() < 2e-6), "{step:?} {value}");
        }
    }

    #[test]
    fn a_flip_after_a_crop_is_the_crop_flipped(image in image(), out in [1..60u32, 1..60u32]) {
        for filter in FILTERS {
            let crop = whole(image.0, out, filter);
            for flip in flips() {
                let mut canvas = loaded(&image);
                let (shape, values) = canvas.apply(&[crop]);
                let mut cropped = loaded(&(shape, values.to_vec()));
                prop_assert!(cropped.apply(&[flip]).1 == canvas.apply(&[crop, flip]).1);
            }
        }
    }

    #[test]
    fn alpha_keeps_its_values(image in image(), factor in 0f32..2.0, shift in -0.5f32..0.5) {
        let mut canvas = loaded(&image);
        let channels = image.0[0];
        let alpha = image.1.len() / channels * (channels - 1);
        let steps = [
            Step::Brightness { factor },
            Step::Contrast { factor },
            Step::Saturation { factor },
            Step::Hue { shift },
            Step::Grayscale,
            Step::Solarize { threshold: 0.5 },
            Step::Posterize { bits: 2 },
        ];
        let (_, values) = canvas.apply(&steps);
        if channels % 2 == 0 {
            prop_assert_eq!(&values[alpha..], &image.1[alpha..]);
        }
    }

    #[test]
    fn a_canvas_without_steps_delivers_what_a_delivery_alone_does(image in image(), kind in 0..3) {
        let mut canvas = loaded(&image);
        let dtype = [Dtype::U8, Dtype::F16, Dtype::F32][kind as usize];
        for layout in [Layout::Nchw, Layout::Nhwc] {
            let normalise = Normalise { mean: vec![0.4], std: vec![0.2] };
            let normalise = (dtype != Dtype::U8).then_some(normalise);
            let output = Output { dtype, layout, normalise };
            let alone = Delivery::new(planar(image.0), &output).unwrap();
            let delivery = Delivery::of_canvas(image.0, &output).unwrap();
            let len = alone.image_bytes();
            let mut words = vec![0u32; 2 * len.div_ceil(4)];
            let (a, b) = words.split_at_mut(len.div_ceil(4));
            let a: &mut [u8] = &mut bytemuck::cast_slice_mut(a)[..len];
            let b: &mut [u8] = &mut bytemuck::cast_slice_mut(b)[..len];
            alone.write(TensorView::F32(&image.1), a).unwrap();
            canvas.render(&[], &delivery, b).unwrap();
            prop_assert!(a == b);
        }
    }
}

#[test]
fn a_quarter_turn_moves_pixels_exactly() {
    let image = ([1, 3, 3], vec![0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]);
    // Pixel (x, y) reads (-y, x): counter-clockwise.
    let matrix = [0.0, -1.0, 0.0, 1.0, 0.0, 0.0];
    for filter in [Sampling::Nearest, Sampling::Bilinear] {
        let mut canvas = loaded(&image);
        let (_, values) = canvas.apply(&[Step::Affine { matrix, filter, fill: 0.9 }]);
        assert!(close(values, &[0.2, 0.5, 0.8, 0.1, 0.4, 0.7, 0.0, 0.3, 0.6]), "{values:?}");
    }
}

#[test]
fn every_element_type_range_and_layout_is_read() {
    let format =
        ImageFormat { channels: 3, height: 1, width: 2, interleaved: true, range: [-1.0, 1.0] };
    let wanted = [0.0, 1.0, 1.0, 1.0, 0.5, 0.0];
    let values = [-1, 1, 0, 1, 5, -7];
    let rows = (
        values.map(|x| x as f32),
        values.map(f64::from),
        values.map(|x| f16::from_f32(x as f32)),
        values.map(|x| bf16::from_f32(x as f32)),
        values.map(i64::from),
    );
    let mut canvas = Canvas::new();
    for row in [
        TensorView::F32(&rows.0),
        TensorView::F64(&rows.1),
        TensorView::F16(&rows.2),
        TensorView::Bf16(&rows.3),
        TensorView::I32(&values),
        TensorView::I64(&rows.4),
    ] {
        canvas.load(&format, row).unwrap();
        assert_eq!(canvas.apply(&[]), ([3, 1, 2], &wanted[..]), "{row:?}");
    }
    let bytes = ImageFormat { range: [255.0, 0.0], ..format };
    canvas.load(&bytes, TensorView::U8(&[255, 0, 255, 0, 255, 0])).unwrap();
    assert_eq!(canvas.apply(&[]).1, [0.0, 1.0, 1.0, 0.0, 0.0, 1.0]);
}

#[test]
fn values_that_no_image_may_have_are_named_and_leave_nothing_behind() {
    let mut canvas = Canvas::new();
    for (element, value) in [(1, f32::NAN), (0, f32::INFINITY), (2, f32::NEG_INFINITY)] {
        let mut values = [0.5; 3];
        values[element] = value;
        let bad = canvas.load(&planar([1, 1, 3]), TensorView::F32(&values)).unwrap_err();
        assert_eq!((bad.row, bad.element, bad.value.to_bits()), (0, element, value.to_bits()));
    }
}

#[test]
#[should_panic(expected = "an image is loaded before it is rendered")]
fn an_empty_canvas_is_not_rendered() {
    Canvas::new().apply(&[]);
}
