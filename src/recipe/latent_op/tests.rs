use std::path::{Path as Folder, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::recipe::{Digest, Group, Notes, Recipe, Views};

/// A recipe with inputs of every role and these views.
fn with_views(views: &str) -> Result<Recipe> {
    let text = format!(
        "name = \"r\"\n[generator]\nmodel = \"g.onnx\"\n\
         inputs.z = {{ role = \"latent\" }}\n\
         inputs.w = {{ role = \"latent\" }}\n\
         inputs.n = {{ role = \"noise\" }}\n\
         inputs.y = {{ role = \"class\", encoding = \"one-hot\", classes = 10 }}\n\
         inputs.psi = {{ role = \"truncation\" }}\n\
         inputs.c = {{ role = \"constant\", value = 1 }}\n\
         [views]\n{views}\n"
    );
    Recipe::parse(&text, "r.toml", Folder::new("."))
}

fn with_op(op: &str) -> Result<Recipe> {
    with_views(&format!("latent = [{{ {op} }}]"))
}

#[test]
fn every_op_reads_with_its_defaults() {
    let one = |op: &str| with_op(op).expect(op).views.groups[0].latent[0].clone();
    let kind = |op: &str| one(op).kind;
    let span = |low, high| Span { low, high };
    assert_eq!(one("op = 'gaussian', std = 1, inputs = ['w']").inputs, ["w"]);
    assert_eq!(
        kind("op = 'angular', degrees = [10, 20]"),
        LatentKind::Angular { degrees: span(10.0, 20.0) }
    );
    assert_eq!(
        kind("op = 'truncate', limit = 2"),
        LatentKind::Truncate(Truncate::Limit(Span::fixed(2.0)))
    );
    assert_eq!(
        kind("op = 'truncate', psi = [0.5, 1]"),
        LatentKind::Truncate(Truncate::Psi(span(0.5, 1.0)))
    );
    assert_eq!(
        kind("op = 'interpolate', t = 0.25"),
        LatentKind::Interpolate { t: Span::fixed(0.25), path: Path::Slerp, classes: false }
    );
    assert_eq!(
        kind("op = 'interpolate', t = 0.25, path = 'lerp', class = 'any'"),
        LatentKind::Interpolate { t: Span::fixed(0.25), path: Path::Lerp, classes: true }
    );
    assert_eq!(
        kind("op = 'steer', file = 'a/w.safetensors', strength = [-1, 1]"),
        LatentKind::Steer {
            file: PathBuf::from("a/w.safetensors"),
            directions: Vec::new(),
            strength: span(-1.0, 1.0)
        }
    );
    assert_eq!(
        kind("op = 'resample', inputs = ['y', 'psi'], groups = [[3, 5, 8], [4, 9]], value = 1"),
        LatentKind::Resample {
            groups: vec![vec![3, 5, 8], vec![4, 9]],
            value: Some(Span::fixed(1.0))
        }
    );
}

#[test]
fn what_an_op_cannot_mean_is_refused_with_line_and_key() {
    for (op, words) in [
        ("std = 1", "key `views.latent[0].op` is missing"),
        ("op = 'gausian', std = 1", "did you mean \"gaussian\"?"),
        ("op = 'gaussian'", "key `views.latent[0].std` is missing"),
        (
            "op = 'gaussian', std = -0.1",
            "`views.latent[0].std` must be from 0 to 1000000, not -0.1",
        ),
        ("op = 'gaussian', std = nan", "must be a finite number, not NaN"),
        ("op = 'gaussian', std = [0, inf]", "must be a finite number, not inf"),
        ("op = 'gaussian', std = [2, 1]", "`views.latent[0].std` must be [low, high], low first"),
        ("op = 'gaussian', std = [1]", "must be [low, high]"),
        ("op = 'gaussian', std = 1e300", "from 0 to 1000000"),
        ("op = 'gaussian', std = 1, degrees = 2", "unknown key `views.latent[0].degrees`"),
        ("op = 'gaussian', std = 1, input = ['z']", "did you mean `views.latent[0].inputs`?"),
        (
            "op = 'gaussian', std = 1, inputs = []",
            "`views.latent[0].inputs` must name at least one",
        ),
        ("op = 'gaussian', std = 1, inputs = ['z', 'z']", "inputs[1]` names \"z\" a second time"),
        ("op = 'angular', degrees = 181", "degrees` must be from 0 to 180, not 181"),
        ("op = 'truncate'", "key `views.latent[0].limit` is missing"),
        ("op = 'truncate', limit = 0", "limit` must be greater than 0"),
        ("op = 'truncate', psi = 1.5", "psi` must be from 0 to 1, not 1.5"),
        ("op = 'truncate', psi = 1, limit = 1", "are two ways to truncate"),
        ("op = 'interpolate'", "key `views.latent[0].t` is missing"),
        ("op = 'interpolate', t = [0, 2]", "t[1]` must be from 0 to 1, not 2"),
        ("op = 'interpolate', t = 0, path = 'arc'", "it can be lerp, slerp"),
        ("op = 'interpolate', t = 0, class = 'samee'", "did you mean \"same\"?"),
        ("op = 'steer', strength = 1", "key `views.latent[0].file` is missing"),
        ("op = 'steer', file = 'w'", "key `views.latent[0].strength` is missing"),
        ("op = 'steer', file = '../w', strength = 1", "may not leave the recipe's folder"),
        ("op = 'steer', file = '/w', strength = 1", "may not leave the recipe's folder"),
        ("op = 'steer', file = '', strength = 1", "may not leave the recipe's folder"),
        ("op = 'steer', file = 'w', strength = 1, directions = []", "must name at least one"),
        ("op = 'resample'", "key `views.latent[0].inputs` is missing"),
        ("op = 'resample', inputs = 'n'", "inputs` must be an array, not a string"),
        ("op = 'resample', inputs = ['y'], groups = []", "groups` must have at least one group"),
        ("op = 'resample', inputs = ['y'], groups = [[1]]", "groups[0]` must have two labels"),
        (
            "op = 'resample', inputs = ['y'], groups = [[1, 2], [3, 1]]",
            "groups[1][1]` names label 1 a second time",
        ),
        ("op = 'resample', inputs = ['y'], groups = [[1, -2]]", "groups[0][1]` must be a whole"),
    ] {
        let message = with_op(op).expect_err(op).to_string();
        assert!(message.contains(words), "{op}: {message}");
        assert!(message.starts_with("r.toml:11: "), "{op}: {message}");
    }
}

#[test]
fn what_does_not_fit_the_inputs_is_refused_with_its_key() {
    for (op, words) in [
        ("op = 'gaussian', std = 1, inputs = ['zz']", ".inputs: the generator has no input `zz`"),
        ("op = 'gaussian', std = 1, inputs = ['n']", ".inputs: input `n` is of role noise"),
        ("op = 'angular', degrees = 1, inputs = ['y']", ".inputs: input `y` is of role class"),
        ("op = 'resample', inputs = ['c']", ".inputs: input `c` is constant"),
        ("op = 'resample', inputs = ['y']", "[0]: key `groups` is missing"),
        ("op = 'resample', inputs = ['psi']", "[0]: key `value` is missing"),
        ("op = 'resample', inputs = ['n'], value = 1", ".value: is for a truncation input"),
        ("op = 'resample', inputs = ['n'], groups = [[1, 2]]", ".groups: is for a class input"),
        ("op = 'resample', inputs = ['y'], groups = [[1, 10]]", ".groups: there is no class 10"),
    ] {
        let error = with_op(op).unwrap().latent_targets(0, 0).expect_err(op).to_string();
        assert!(error.starts_with("views.latent[0]"), "{op}: {error}");
        assert!(error.contains(words), "{op}: {error}");
    }
    let grouped = with_views(
        "groups = [{ name = 'a' }, { name = 'b', latent = [{ op = 'gaussian', std = 1 }, { op = 'gaussian', std = 1, inputs = ['q'] }] }]",
    );
    let error = grouped.unwrap().latent_targets(1, 1).unwrap_err().to_string();
    assert!(error.starts_with("views.groups[1].latent[1].inputs: "), "{error}");

    let any = "[views]\nlatent = [{ op = 'interpolate', t = 1, class = 'any' }]";
    let integer = "inputs.y = { role = 'class', encoding = 'index', classes = 2 }\n";
    for (inputs, words) in [(integer, "the class is an integer"), ("", "has no classes")] {
        let text =
            format!("[generator]\nmodel = 'g'\ninputs.z = {{ role = 'latent' }}\n{inputs}{any}");
        let recipe = Recipe::parse(&text, "r", Folder::new(".")).unwrap();
        let error = recipe.latent_targets(0, 0).unwrap_err().to_string();
        assert!(error.starts_with("views.latent[0].class: cannot be \"any\""), "{error}");
        assert!(error.contains(words), "{error}");
    }
    let text = "[generator]\nmodel = 'g'\ninputs.n = { role = 'noise' }\n\
                [views]\nlatent = [{ op = 'gaussian', std = 1 }]";
    let recipe = Recipe::parse(text, "r", Folder::new(".")).unwrap();
    let error = recipe.latent_targets(0, 0).unwrap_err().to_string();
    assert!(error.contains("gaussian needs an input of role latent"), "{error}");
}

#[test]
fn ops_go_to_the_inputs_they_name_or_to_all_latents() {
    for (op, inputs) in [
        ("op = 'gaussian', std = 1", &[0, 1][..]),
        ("op = 'gaussian', std = 1, inputs = ['w']", &[1]),
        ("op = 'resample', inputs = ['psi', 'z', 'n'], value = [0, 1]", &[0, 2, 4]),
        ("op = 'interpolate', t = 1, class = 'any'", &[0, 1]),
    ] {
        assert_eq!(with_op(op).unwrap().latent_targets(0, 0).unwrap(), inputs, "{op}");
    }
}

fn digest(recipe: &Recipe) -> Digest {
    recipe.digest(|_| Ok(())).unwrap()
}

#[test]
fn every_parameter_is_identity_but_where_a_file_lies() {
    let ops = [
        "op = 'gaussian', std = 1",
        "op = 'gaussian', std = 2",
        "op = 'gaussian', std = [1, 2]",
        "op = 'gaussian', std = 1, inputs = ['w']",
        "op = 'angular', degrees = 1",
        "op = 'truncate', limit = 1",
        "op = 'truncate', psi = 1",
        "op = 'interpolate', t = 1",
        "op = 'interpolate', t = 1, path = 'lerp'",
        "op = 'interpolate', t = 1, class = 'any'",
        "op = 'steer', file = 'w', strength = 1",
        "op = 'steer', file = 'w', strength = 2",
        "op = 'steer', file = 'w', strength = 1, directions = ['a']",
        "op = 'steer', file = 'w', strength = 1, directions = ['b']",
        "op = 'resample', inputs = ['n']",
        "op = 'resample', inputs = ['psi'], value = 1",
        "op = 'resample', inputs = ['psi'], value = 2",
        "op = 'resample', inputs = ['y'], groups = [[1, 2]]",
        "op = 'resample', inputs = ['y'], groups = [[1, 3]]",
    ];
    let digests: Vec<_> = ops.iter().map(|op| digest(&with_op(op).unwrap())).collect();
    for (i, digest) in digests.iter().enumerate() {
        assert!(!digests[..i].contains(digest), "{}", ops[i]);
    }
    let moved = with_op("op = 'steer', file = 'elsewhere/v', strength = 1").unwrap();
    assert_eq!(digest(&moved), digests[10]);
}

fn span(low: f64, high: f64) -> impl Strategy<Value = Span> {
    (low..high, low..high, any::<bool>()).prop_map(|(a, b, fixed)| match fixed {
        true => Span::fixed(a),
        false => Span { low: a.min(b), high: a.max(b) },
    })
}

fn kind() -> impl Strategy<Value = LatentKind> {
    let names = prop::sample::subsequence(vec!["a", "b\"", "ü d"], 0..3);
    let label_groups = prop_oneof![
        Just(Vec::new()),
        Just(vec![vec![1, 2]]),
        Just(vec![vec![9, 0, 4], vec![1, 2]]),
    ];
    prop_oneof![
        span(0.0, 10.0).prop_map(|std| LatentKind::Gaussian { std }),
        span(0.0, 180.0).prop_map(|degrees| LatentKind::Angular { degrees }),
        span(1e-9, 10.0).prop_map(|limit| LatentKind::Truncate(Truncate::Limit(limit))),
        span(0.0, 1.0).prop_map(|psi| LatentKind::Truncate(Truncate::Psi(psi))),
        (span(0.0, 1.0), any::<bool>(), any::<bool>()).prop_map(|(t, lerp, classes)| {
            let path = if lerp { Path::Lerp } else { Path::Slerp };
            LatentKind::Interpolate { t, path, classes }
        }),
        (names, span(-9.0, 9.0)).prop_map(|(names, strength)| LatentKind::Steer {
            file: PathBuf::from("walks/\"odd\".safetensors"),
            directions: names.into_iter().map(str::to_owned).collect(),
            strength,
        }),
        (label_groups, prop::option::of(span(-1.0, 1.0)))
            .prop_map(|(groups, value)| LatentKind::Resample { groups, value }),
    ]
}

fn op() -> impl Strategy<Value = LatentOp> {
    let names = prop::sample::subsequence(vec!["z", "w/0", "y \"1\""], 1..3);
    (names, any::<bool>(), kind()).prop_map(|(names, all, kind)| {
        let all = all && !matches!(kind, LatentKind::Resample { .. });
        let inputs = if all { Vec::new() } else { names };
        LatentOp { inputs: inputs.into_iter().map(str::to_owned).collect(), kind }
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back_equal(
        ops in prop::collection::vec(op(), 1..5),
        count in 2u32..9,
        anchor: bool,
        pool in prop::option::of(9u32..2000),
        named: bool,
    ) {
        let mut recipe = with_views("").unwrap();
        let group = Group { count, anchor, pool, latent: ops, ..Group::default() };
        let other = Group { name: "other".into(), ..Group::default() };
        let groups = match named {
            true => vec![Group { name: "odd \"name\"".into(), ..group }, other],
            false => vec![group],
        };
        recipe.views = Views { groups, ..recipe.views };
        let written = recipe.to_toml(&Notes::new());
        let again = Recipe::parse(&written, "r", Folder::new(".")).expect(&written);
        prop_assert_eq!(&recipe, &again, "{}", written);
        prop_assert_eq!(digest(&recipe), digest(&again));
    }
}
