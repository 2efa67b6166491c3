//! Encoders as PyTorch exports them learn as they would there.

use serde_json::Value;

use super::{
    Fixture, design, distance, encoder, is_close, loss, norm, pace, place, trainer, turned, values,
};
use crate::train::design::Design;
use crate::train::encoder::Encoder;
use crate::train::machine::Machine;
use crate::train::objective::Objective;
use crate::train::optimizer::Optimizer;

/// How far a gradient may be from PyTorch's, as a share of its norm.
const GRADIENT: f64 = 1e-4;
/// How far a parameter may be from PyTorch's after some steps, as a share of how far it went.
const PARAMETER: f64 = 1e-3;

/// One way in which an encoder was exported.
struct Export<'a> {
    file: &'a str,
    encoder: Encoder,
    /// Initializers, what PyTorch calls them, and whether they are turned.
    known: Vec<(&'a str, &'a str, bool)>,
    /// Initializers that PyTorch has no parameter for.
    others: Vec<&'a str>,
}

impl<'a> Export<'a> {
    fn of(case: &'a Value) -> Self {
        let file = case["file"].as_str().unwrap();
        let names = case["initializers"].as_object().unwrap();
        let known = names.iter().map(|(initializer, of)| {
            (initializer.as_str(), of[0].as_str().unwrap(), of[1] == "turned")
        });
        let others = case["others"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
        Self { file, encoder: encoder(file), known: known.collect(), others: others.collect() }
    }

    /// What PyTorch says of an initializer, in the file's order.
    fn expected(&self, fixture: &Fixture, of: &str, initializer: &str) -> Option<Vec<f64>> {
        let (_, name, is_turned) =
            self.known.iter().find(|(known, _, _)| *known == initializer).unwrap();
        let name = format!("{of}/{name}");
        if !fixture.has(&name) {
            return None;
        }
        let expected = fixture.floats(&name);
        Some(match (is_turned, &fixture.dims(&name)[..]) {
            (true, &[rows, columns]) => turned(&expected, [rows, columns]),
            _ => expected,
        })
    }

    fn objective(fixture: &Fixture) -> Objective {
        fixture.case["objective"].as_str().unwrap().parse().unwrap()
    }

    /// Everything that PyTorch trains is trained here.
    fn check_parameters(&self) {
        let trained: Vec<&str> =
            self.encoder.parameters().iter().map(|parameter| parameter.name.as_str()).collect();
        for (initializer, name, _) in &self.known {
            assert!(trained.contains(initializer), "{}: {name} is not trained", self.file);
        }
    }

    /// The gradient of every parameter, by genset's own kernels and by standard operators alone;
    /// gives the largest relative error.
    fn check_gradients(&self, fixture: &Fixture) -> f64 {
        let both = [true, false].map(|own_kernels| self.check_gradients_by(own_kernels, fixture));
        both[0].max(both[1])
    }

    fn check_gradients_by(&self, own_kernels: bool, fixture: &Fixture) -> f64 {
        let (groups, images) = ([fixture.group()], fixture.bytes("images"));
        let batch = fixture.dims("images")[0];
        // After one step from nothing, what momentum remembers is the gradient.
        let optimizer = Optimizer::Sgd { momentum: 0.5, decay: 0.0 };
        let design = design(&self.encoder, &groups, batch, Self::objective(fixture), optimizer);
        let mut trainer = trainer(&Design { own_kernels, ..design });
        let measured = trainer.step(&[fixture.feed(&images)], pace(1, 0.0)).unwrap();
        let expected = fixture.floats("loss/sgd")[0];
        assert!(is_close(loss(measured), expected, 1e-5), "{}: {measured:?}", self.file);
        let gradients = self.known.iter().filter_map(|(initializer, _, _)| {
            Some((*initializer, self.expected(fixture, "gradient", initializer)?))
        });
        let gradients: Vec<_> = gradients.collect();
        let whole = norm(&gradients.iter().map(|(_, values)| norm(values)).collect::<Vec<_>>());
        let mut largest = 0.0_f64;
        for (initializer, expected) in &gradients {
            let found = values(&trainer, &format!("momentum/{initializer}"));
            // The offset of a convolution before a normalisation has none: what is found is noise.
            let length = norm(expected).max(1e-3 * whole);
            let error = distance(&found, expected) / length;
            assert!(error < GRADIENT, "{}: gradient of `{initializer}`: {error:.1e}", self.file);
            largest = largest.max(error);
        }
        largest
    }

    /// Parameters and statistics after a few steps; gives the largest relative error.
    fn check_steps(&self, fixture: &Fixture, name: &str, how: &Value) -> f64 {
        let (groups, images) = ([fixture.group()], fixture.bytes("images"));
        let batch = fixture.dims("images")[0];
        let optimizer: Optimizer = format!("{name}:decay={}", how["decay"]).parse().unwrap();
        let design = design(&self.encoder, &groups, batch, Self::objective(fixture), optimizer);
        let mut trainer = trainer(&design);
        let losses = fixture.floats(&format!("loss/{name}"));
        for step in 1..=how["steps"].as_u64().unwrap() {
            let pace = pace(step, how["rate"].as_f64().unwrap());
            let measured = trainer.step(&[fixture.feed(&images)], pace).unwrap();
            let expected = losses[step as usize - 1];
            let close = is_close(loss(measured), expected, 1e-4);
            assert!(close, "{} {name} step {step}: {measured:?}, not {expected}", self.file);
            // Constants of a formula that look like parameters.
            for other in self.others.iter().filter(|other| self.trains(other)) {
                let start = self.encoder.values(other).unwrap();
                trainer.set(place(&trainer, other), &start).unwrap();
            }
        }
        let mut largest = 0.0_f64;
        for (initializer, _, _) in &self.known {
            let of = format!("after/{name}");
            let expected = self.expected(fixture, &of, initializer).unwrap();
            let start: Vec<f64> =
                self.encoder.values(initializer).unwrap().into_iter().map(f64::from).collect();
            let found = values(&trainer, initializer);
            let way = distance(&expected, &start).max(1e-3 * norm(&start)).max(1e-6);
            let error = distance(&found, &expected) / way;
            assert!(error < PARAMETER, "{} {name}: `{initializer}`: {error:.1e}", self.file);
            largest = largest.max(error);
        }
        largest
    }

    fn trains(&self, name: &str) -> bool {
        self.encoder.parameters().iter().any(|parameter| parameter.name == name)
    }
}

#[track_caller]
fn check(name: &str) {
    let fixture = Fixture::read(name);
    for case in fixture.case["files"].as_array().unwrap() {
        let export = Export::of(case);
        export.check_parameters();
        let gradient = export.check_gradients(&fixture);
        for (optimizer, how) in fixture.case["optimizers"].as_object().unwrap() {
            let after = export.check_steps(&fixture, optimizer, how);
            println!("{}: gradients {gradient:.1e}, {optimizer} {after:.1e}", export.file);
        }
    }
}

#[test]
fn small_convolutional_networks() {
    check("conv-small");
    check("conv-small-folded");
}

#[test]
fn residual_networks_with_a_small_stem() {
    check("resnet18-cifar");
    check("resnet18-cifar-folded");
}

#[test]
fn residual_networks_with_a_large_stem() {
    check("resnet18");
}

#[test]
fn plain_networks() {
    check("vgg");
    check("vgg-bn");
    check("vgg-bn-folded");
}

#[test]
fn mobile_networks() {
    check("mobilenet-v2");
    check("mobilenet-v2-folded");
    check("mobilenet-v3");
    check("mobilenet-v3-folded");
    check("efficientnet");
}

#[test]
fn convolutional_networks_with_layer_normalisation() {
    check("convnext");
}

#[test]
fn transformers() {
    check("vit");
    check("vit-mean");
    check("torch-transformer");
}

#[test]
fn other_layers() {
    check("mixed");
}

#[test]
fn untrained_networks_whose_equal_parameters_were_written_once() {
    check("conv-small-untrained");
    check("vit-untrained");
}
