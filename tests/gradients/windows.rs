//! Convolutions and pooling: strides, dilations, groups, padding of all kinds, leftovers.

use crate::case::Values::Apart;
use crate::case::{Case, case};

fn conv(x: &[usize], w: &[usize]) -> Case {
    case("Conv").any(x).any(w)
}

#[test]
fn convolutions() {
    conv(&[2, 3, 5, 6], &[4, 3, 3, 3]).any(&[4]).list("pads", &[1, 1, 1, 1]).check_linear();
    conv(&[2, 3, 5, 6], &[4, 3, 1, 1]).check_linear();
    conv(&[2, 3, 5, 6], &[4, 3, 1, 1]).list("strides", &[2, 2]).check_linear();
    conv(&[2, 3, 6, 7], &[4, 3, 3, 2])
        .list("strides", &[2, 3])
        .list("pads", &[1, 0, 0, 1])
        .check_linear();
    conv(&[1, 2, 8, 7], &[3, 2, 3, 3])
        .list("dilations", &[2, 2])
        .list("pads", &[2, 1, 2, 0])
        .check_linear();
    conv(&[1, 2, 9, 9], &[3, 2, 3, 3])
        .list("dilations", &[2, 1])
        .list("strides", &[2, 2])
        .check_linear();
    // More padding than the kernel reaches.
    conv(&[1, 2, 3, 3], &[2, 2, 2, 2]).list("pads", &[2, 2, 2, 2]).check_linear();
    for mode in ["SAME_UPPER", "SAME_LOWER", "VALID"] {
        conv(&[1, 2, 5, 6], &[2, 2, 3, 2])
            .text("auto_pad", mode)
            .list("strides", &[2, 2])
            .check_linear();
    }
    conv(&[2, 3, 7], &[4, 3, 3]).list("strides", &[2]).check_linear();
    conv(&[1, 2, 3, 4, 3], &[2, 2, 2, 2, 2]).check_linear();
}

#[test]
fn grouped_convolutions() {
    conv(&[2, 4, 5, 5], &[6, 2, 3, 3]).int("group", 2).list("pads", &[1, 1, 1, 1]).check_linear();
    conv(&[2, 4, 5, 5], &[6, 2, 3, 3]).int("group", 2).list("strides", &[2, 2]).check_linear();
    conv(&[2, 3, 5, 5], &[3, 1, 3, 3]).int("group", 3).list("pads", &[1, 1, 1, 1]).check_linear();
    conv(&[2, 3, 5, 5], &[6, 1, 3, 3]).int("group", 3).list("strides", &[2, 2]).check_linear();
}

#[test]
fn transposed_convolutions() {
    let case = |x: &[usize], w: &[usize]| case("ConvTranspose").any(x).any(w);
    case(&[2, 3, 3, 4], &[3, 2, 3, 3]).any(&[2]).check_linear();
    case(&[2, 3, 3, 4], &[3, 2, 4, 4])
        .list("strides", &[2, 2])
        .list("pads", &[1, 1, 1, 1])
        .check_linear();
    case(&[1, 4, 3, 3], &[4, 1, 3, 3])
        .list("strides", &[2, 2])
        .list("output_padding", &[1, 1])
        .list("pads", &[1, 1, 1, 1])
        .int("group", 2)
        .check_linear();
}

#[test]
fn means_over_windows() {
    let pool =
        |x: &[usize], kernel: &[i64]| case("AveragePool").any(x).list("kernel_shape", kernel);
    pool(&[2, 3, 4, 6], &[2, 2]).list("strides", &[2, 2]).check_linear();
    pool(&[2, 3, 5, 6], &[3, 2]).check_linear();
    for with_frame in [0, 1] {
        let framed = |case: Case| case.int("count_include_pad", with_frame).check_linear();
        framed(pool(&[1, 2, 6, 7], &[3, 3]).list("strides", &[2, 2]).list("pads", &[1, 1, 1, 1]));
        framed(pool(&[1, 2, 6, 7], &[3, 3]).list("strides", &[2, 2]).int("ceil_mode", 1));
    }
    case("GlobalAveragePool").any(&[2, 3, 4, 5]).check_linear();
}

#[test]
fn maxima_over_windows() {
    let pool =
        |x: &[usize], kernel: &[i64]| case("MaxPool").input(x, Apart).list("kernel_shape", kernel);
    pool(&[2, 3, 4, 6], &[2, 2]).list("strides", &[2, 2]).check();
    pool(&[2, 2, 7, 6], &[3, 3]).list("strides", &[2, 2]).list("pads", &[1, 1, 1, 1]).check();
    pool(&[1, 2, 5, 6], &[3, 2]).check();
    pool(&[1, 2, 6, 7], &[3, 3]).list("strides", &[2, 2]).int("ceil_mode", 1).check();
    case("GlobalMaxPool").input(&[2, 3, 3, 4], Apart).check();
}
