//! Elements that change places, are copied, cut or left out.

use crate::case::case;

#[test]
fn shapes() {
    case("Reshape").any(&[2, 6]).ints(&[3, -1]).check();
    case("Flatten").any(&[2, 3, 4]).int("axis", 2).check();
    case("Squeeze").any(&[2, 1, 3]).ints(&[1]).check();
    case("Unsqueeze").any(&[2, 3]).ints(&[0, 3]).check();
    case("Transpose").any(&[2, 3, 4]).list("perm", &[2, 0, 1]).check();
    case("Transpose").any(&[2, 3, 4]).check();
    case("Expand").any(&[3, 1]).ints(&[2, 3, 4]).check();
    case("Tile").any(&[2, 3]).ints(&[3, 2]).check();
    case("DepthToSpace").any(&[2, 8, 2, 3]).int("blocksize", 2).check();
    case("DepthToSpace").any(&[2, 8, 2, 3]).int("blocksize", 2).text("mode", "CRD").check();
    case("SpaceToDepth").any(&[2, 2, 4, 6]).int("blocksize", 2).check();
}

#[test]
fn cuts() {
    case("Slice").any(&[4, 7]).ints(&[1]).ints(&[6]).ints(&[1]).check();
    case("Slice").any(&[4, 7]).ints(&[1, 0]).ints(&[7, 3]).ints(&[1, 0]).ints(&[2, 1]).check();
    case("Slice").any(&[4, 7]).ints(&[-1]).ints(&[i64::MIN]).ints(&[-1]).ints(&[-1]).check();
    case("Slice").any(&[4, 7]).ints(&[5]).ints(&[0]).ints(&[1]).ints(&[-2]).check();
    case("Slice").any(&[4, 7]).ints(&[-3]).ints(&[i64::MAX]).ints(&[1]).ints(&[3]).check();
    case("Concat").any(&[2, 3]).any(&[2, 1]).any(&[2, 2]).int("axis", -1).check();
    case("Split").any(&[2, 7]).ints(&[3, 4]).int("axis", 1).outputs(2).check();
    case("Pad").any(&[2, 3]).ints(&[1, 0, 0, 2]).check();
    case("Pad").any(&[3, 4]).ints(&[-1, 1, 0, -2]).check();
}

#[test]
fn rows_by_number() {
    case("Gather").any(&[4, 3]).int_tensor(&[], &[1]).int("axis", 1).check();
    case("Gather").any(&[4, 3]).ints(&[2, 0, 2, -1]).check();
    case("Gather").any(&[2, 4, 3]).int_tensor(&[2, 2], &[2, 0, 2, 3]).int("axis", 1).check();
}

#[test]
fn other_sizes() {
    let resize = |dims: &[usize], scales: &[f32]| case("Resize").any(dims).none().floats(scales);
    resize(&[1, 2, 2, 3], &[1.0, 1.0, 2.0, 2.0]).text("mode", "nearest").check_linear();
    resize(&[1, 2, 2, 3], &[1.0, 1.0, 2.0, 3.0])
        .text("coordinate_transformation_mode", "asymmetric")
        .text("nearest_mode", "floor")
        .check_linear();
    for place in ["half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"] {
        resize(&[1, 2, 4, 3], &[1.0, 1.0, 1.7, 2.0])
            .text("mode", "linear")
            .text("coordinate_transformation_mode", place)
            .check_linear();
        resize(&[1, 1, 6, 5], &[1.0, 1.0, 0.5, 0.6])
            .text("mode", "linear")
            .text("coordinate_transformation_mode", place)
            .check_linear();
    }
    case("Resize").any(&[1, 1, 3, 4]).none().none().ints(&[1, 1, 5, 2]).check_linear();
}

#[test]
fn casts_to_the_type_of_another() {
    case("CastLike").any(&[2, 3]).floats(&[1.0]).check_linear();
}
