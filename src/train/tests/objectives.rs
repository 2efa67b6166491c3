//! Every objective on plain embeddings: loss and gradients are PyTorch's.

use super::{Fixture, distance, is_close, norm, runtime};
use crate::graph::Element;
use crate::graph::compose::Composer;
use crate::runtime::{ModelSource, Session, SessionOptions, Tensor};
use crate::train::objective::{Embedded, Objective};

#[test]
fn losses_and_gradients_on_plain_embeddings() {
    let fixture = Fixture::read("objectives");
    let [_, batch, width] = fixture.dims("views")[..] else { panic!("[V, B, D]") };
    let each = |values: &[f64], view: usize| -> Vec<f64> {
        values[view * batch * width..(view + 1) * batch * width].to_vec()
    };
    let (drawn, latents) = (fixture.floats("views"), fixture.floats("latents"));
    for case in fixture.case["objectives"].as_array().unwrap() {
        let text = case["objective"].as_str().unwrap();
        let objective: Objective = text.parse().unwrap();
        let views = case["views"].as_u64().unwrap() as usize;
        let mut c = Composer::new();
        let mut inputs = |stem: &str| -> Vec<_> {
            let one = |view| c.input(&format!("{stem}{view}"), Element::F64, &[batch, width]);
            (0..views).map(one).collect::<Result<_, _>>().unwrap()
        };
        let (rows, wanted) = (inputs("view"), inputs("latent"));
        let label = c.input("label", Element::I64, &[batch]).unwrap();
        let source = c.input("source", Element::I64, &[batch]).unwrap();
        let embedded = Embedded {
            views: &rows,
            targets: &[],
            label: Some(&label),
            latents: &wanted,
            source: case["sources"].as_bool().unwrap().then_some(&source),
        };
        let loss = objective.build(&mut c, &embedded).unwrap();
        c.output("loss", &loss).unwrap();
        for (view, gradient) in c.gradients(&loss, &rows, &[]).unwrap().iter().enumerate() {
            c.output(&format!("gradient{view}"), gradient.as_ref().unwrap()).unwrap();
        }
        let model = c.finish("objective").unwrap();
        let mut session = Session::open(
            runtime(),
            ModelSource::Memory(model.bytes()),
            &SessionOptions::default(),
        )
        .unwrap();
        let mut feeds = Vec::new();
        for input in session.inputs() {
            let numbers = match input.name.as_str() {
                name @ ("label" | "source") => {
                    fixture.ints(name).into_iter().map(|value| value as f64).collect()
                }
                name => {
                    let from = if name.starts_with("view") { &drawn } else { &latents };
                    each(from, name[name.len() - 1..].parse().unwrap())
                }
            };
            let is_rows = numbers.len() > batch;
            let (element, dims) = match is_rows {
                true => (Element::F64, vec![batch, width]),
                false => (Element::I64, vec![batch]),
            };
            let mut tensor = Tensor::new(element, &dims).unwrap();
            match is_rows {
                true => tensor.write_doubles(0, &numbers).unwrap(),
                false => {
                    let numbers: Vec<i64> = numbers.iter().map(|value| *value as i64).collect();
                    tensor.write_integers(0, &numbers).unwrap();
                }
            }
            feeds.push((input.name, tensor));
        }
        let feeds: Vec<_> = feeds.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let mut found = |name: &str| -> Vec<f64> {
            let made = session.run_once(&feeds, name).unwrap();
            made.view().unwrap().to_f32().into_iter().map(f64::from).collect()
        };
        let key = case["key"].as_str().unwrap();
        let expected = fixture.floats(&format!("loss/{key}"))[0];
        let value = found("loss")[0];
        assert!(is_close(value, expected, 1e-6), "{text} of {views}: {value}, not {expected}");
        let gradients = fixture.floats(&format!("gradient/{key}"));
        for view in 0..views {
            let expected = each(&gradients, view);
            let error = distance(&found(&format!("gradient{view}")), &expected) / norm(&expected);
            assert!(error < 1e-6, "{text}, view {view} of {views}: {error:.1e}");
        }
    }
}
