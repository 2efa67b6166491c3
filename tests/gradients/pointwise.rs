//! Operators on every element by itself, and on several tensors stretched to one shape.

use crate::case::Values::{Apart, Positive};
use crate::case::case;

#[test]
fn of_one_tensor() {
    for operator in [
        "Abs",
        "Cos",
        "Erf",
        "Exp",
        "Identity",
        "Neg",
        "Reciprocal",
        "Relu",
        "Sigmoid",
        "Sin",
        "Softplus",
        "Tanh",
    ] {
        case(operator).any(&[2, 9]).check();
    }
    for operator in
        ["Elu", "HardSigmoid", "HardSwish", "LeakyRelu", "Selu", "Softsign", "Celu", "Mish", "Gelu"]
    {
        case(operator).any(&[2, 9]).check();
    }
    for operator in ["Log", "Sqrt"] {
        case(operator).input(&[2, 9], Positive).check();
    }
}

#[test]
fn with_their_numbers_set() {
    case("LeakyRelu").any(&[9]).float("alpha", 0.3).check();
    case("Elu").any(&[9]).float("alpha", 0.7).check();
    case("Celu").any(&[9]).float("alpha", 0.7).check();
    case("Selu").any(&[9]).float("alpha", 1.5).float("gamma", 1.2).check();
    case("HardSigmoid").any(&[9]).float("alpha", 0.6).float("beta", 0.4).check();
    case("Gelu").any(&[9]).text("approximate", "tanh").check();
    case("Clip").any(&[9]).floats(&[-0.95]).none().check();
}

#[test]
fn of_two_tensors_that_are_stretched() {
    for operator in ["Add", "Sub", "Mul"] {
        case(operator).any(&[2, 3, 4]).any(&[2, 3, 4]).check();
        case(operator).any(&[2, 3, 4]).any(&[3, 1]).check();
        case(operator).any(&[4]).any(&[2, 3, 4]).check();
        case(operator).any(&[2, 1, 4]).any(&[1, 3, 1]).check();
        case(operator).any(&[2, 3]).any(&[]).check();
        case(operator).any(&[5]).again().check();
    }
    case("Div").any(&[2, 3]).input(&[3], Positive).check();
    case("Div").any(&[3]).input(&[2, 3], Positive).check();
    case("Pow").input(&[2, 3], Positive).input(&[3], Positive).check();
    case("PRelu").any(&[2, 3, 4]).any(&[3, 1]).check();
}

#[test]
fn of_any_number() {
    for operator in ["Sum", "Mean"] {
        case(operator).any(&[2, 3]).any(&[3]).any(&[2, 1]).check();
    }
    case("Max").input(&[4, 5], Apart).any(&[4, 5]).check();
    case("Min").input(&[4, 5], Apart).any(&[4, 5]).check();
}
