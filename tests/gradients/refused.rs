//! What has no derivative here is told, with the node and the way out.

use crate::case::case;

#[test]
fn an_operator_without_a_rule_is_named_with_those_that_have_one() {
    case("Hardmax").any(&[2, 3]).refused("`Hardmax` cannot be differentiated");
    let error = case("Hardmax").any(&[2, 3]).differentiated().unwrap_err().to_string();
    assert!(error.contains("node") && error.contains("Conv, ConvTranspose"), "{error}");
}

#[test]
fn forms_without_a_rule_are_named() {
    case("Pad")
        .any(&[3, 4])
        .ints(&[1, 0, 0, 1])
        .text("mode", "reflect")
        .refused("in mode `reflect`");
    case("Resize")
        .any(&[1, 1, 3, 3])
        .none()
        .floats(&[1.0, 1.0, 2.0, 2.0])
        .text("mode", "cubic")
        .refused("in mode `cubic`");
}
