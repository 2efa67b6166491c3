//! Sums along axes, products of matrices, and normalisations.

use crate::case::Values::{Apart, Positive};
use crate::case::case;

#[test]
fn reductions() {
    for operator in
        ["ReduceSum", "ReduceMean", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp"]
    {
        case(operator).any(&[2, 3, 4]).ints(&[1]).check();
        case(operator).any(&[2, 3, 4]).ints(&[0, -1]).int("keepdims", 0).check();
        case(operator).any(&[2, 3]).check();
    }
    case("ReduceLogSum").input(&[2, 3, 4], Positive).ints(&[1]).check();
    case("ReduceMax").input(&[2, 3, 4], Apart).ints(&[1]).check();
    case("ReduceMin").input(&[2, 3, 4], Apart).ints(&[2]).int("keepdims", 0).check();
    case("ReduceSum").any(&[2, 3]).int("noop_with_empty_axes", 1).check();
}

#[test]
fn softmaxes() {
    for operator in ["Softmax", "LogSoftmax"] {
        case(operator).any(&[3, 5]).check();
        case(operator).any(&[2, 3, 4]).int("axis", 1).check();
    }
}

#[test]
fn products() {
    case("MatMul").any(&[3, 4]).any(&[4, 2]).check();
    case("MatMul").any(&[2, 3, 4]).any(&[4, 2]).check();
    case("MatMul").any(&[2, 3, 4]).any(&[2, 4, 5]).check();
    case("MatMul").any(&[3, 4]).any(&[2, 4, 5]).check();
    case("MatMul").any(&[2, 1, 3, 4]).any(&[3, 4, 2]).check();
    case("MatMul").any(&[4]).any(&[4, 2]).check();
    case("MatMul").any(&[3, 4]).any(&[4]).check();
    case("MatMul").any(&[4]).any(&[2, 4, 3]).check();
    case("MatMul").any(&[4]).any(&[4]).check();
    for (turn_a, turn_b) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let a = if turn_a == 1 { [4, 3] } else { [3, 4] };
        let b = if turn_b == 1 { [2, 4] } else { [4, 2] };
        let gemm = case("Gemm").int("transA", turn_a).int("transB", turn_b);
        let gemm = gemm.float("alpha", 0.5).float("beta", 2.0);
        gemm.clone().any(&a).any(&b).check();
        gemm.clone().any(&a).any(&b).any(&[2]).check();
        gemm.any(&a).any(&b).any(&[3, 1]).check();
    }
}

#[test]
fn normalisations() {
    let parameters = |operator| case(operator).any(&[4, 3, 2, 2]).any(&[3]).any(&[3]);
    parameters("InstanceNormalization").float("epsilon", 1e-3).check();
    case("LayerNormalization").any(&[3, 4, 5]).any(&[5]).any(&[5]).check();
    case("LayerNormalization").any(&[3, 4, 5]).any(&[4, 5]).int("axis", 1).check();
    case("LpNormalization").any(&[3, 5]).check();
    case("LpNormalization").any(&[3, 5]).int("axis", 0).int("p", 1).check();
    // By given statistics, which are no parameters.
    parameters("BatchNormalization").floats(&[0.1, 0.2, -0.3]).floats(&[1.0, 0.5, 2.0]).check();
}
