use std::path::Path as Folder;

use proptest::prelude::*;

use super::*;
use crate::recipe::{Digest, Notes, Recipe};

fn with(edits: &str) -> Result<Recipe> {
    let text = format!("[generator]\nmodel = \"g\"\n{edits}");
    Recipe::parse(&text, "r.toml", Folder::new("."))
}

/// A recipe with one edit that has these keys.
fn edit(keys: &str) -> Result<Recipe> {
    with(&format!("[[edit]]\nfile = \"d.safetensors\"\n{keys}\n"))
}

fn digest(recipe: &Recipe) -> Digest {
    recipe.digest(|_| Ok(())).unwrap()
}

#[test]
fn keys_and_their_defaults_are_as_documented() {
    let recipe = edit("op = \"remove\"").unwrap();
    let expected = LatentEdit {
        file: "d.safetensors".into(),
        directions: Vec::new(),
        kind: EditKind::Remove,
        keep: Vec::new(),
        at: EditAt::Views,
        inputs: Vec::new(),
    };
    assert_eq!(recipe.edits, [expected]);
    assert!(with("").unwrap().edits.is_empty());
    let normal = edit("op = \"draw\"\nnormal = {}").unwrap();
    assert_eq!(normal.edits[0].kind, EditKind::Draw(Target::Normal { mean: 0.0, std: 1.0 }));
    let inline =
        with("[[edit]]\nfile = \"d\"\nop = \"fix\"\nvalue = 2\nat = \"anchor\"\n").unwrap();
    assert_eq!(inline.edits[0].kind, EditKind::Fix { value: 2.0 });
    assert_eq!(inline.edits[0].at, EditAt::Anchor);
}

#[test]
fn a_setting_can_bring_edits() {
    let settings = ["edit=[{file=\"d\",op=\"remove\",directions=[\"a\"],keep=[\"b\"]}]".to_owned()];
    let text = "[generator]\nmodel = \"g\"\n";
    let recipe = Recipe::parse_with(text, "r", "r", Folder::new("."), &settings).unwrap();
    assert_eq!((&recipe.edits[0].directions[0][..], &recipe.edits[0].keep[0][..]), ("a", "b"));
}

#[test]
fn what_an_edit_cannot_be_names_its_key() {
    for (keys, words) in [
        ("", "key `edit[0].op` is missing"),
        ("op = \"removes\"", "did you mean \"remove\"?"),
        ("op = \"remove\"\nvalue = 0", "unknown key `edit[0].value`"),
        ("op = \"fix\"", "key `edit[0].value` is missing"),
        ("op = \"fix\"\nvalue = [0, 1]", "`edit[0].value` must be a number, not an array"),
        ("op = \"fix\"\nvalue = 1e7", "`edit[0].value` must be from -1000000 to 1000000"),
        ("op = \"draw\"", "key `edit[0].uniform` is missing"),
        ("op = \"draw\"\nuniform = [2, 1]", "`edit[0].uniform` must be [low, high], low first"),
        ("op = \"draw\"\nuniform = [0, 1]\nchoice = [1]", "`edit[0].choice` stands beside another"),
        ("op = \"draw\"\nuniform = [0, 1]\nweights = [1]", "unknown key `edit[0].weights`"),
        ("op = \"draw\"\nnormal = { sd = 1 }", "unknown key `edit[0].normal.sd`"),
        ("op = \"draw\"\nnormal = { std = -1 }", "`edit[0].normal.std` must be from 0 to"),
        ("op = \"draw\"\nchoice = []", "`edit[0].choice` must have 1 to 65536 values, not 0"),
        ("op = \"draw\"\nchoice = [1, 2]\nweights = [1]", "has 1 numbers for 2 values"),
        ("op = \"draw\"\nchoice = [1, 2]\nweights = [0, 0]", "0 or more each, and not all 0"),
        ("op = \"remove\"\nat = \"view\"", "did you mean \"views\"?"),
        ("op = \"remove\"\ndirections = []", "`edit[0].directions` must name at least one"),
        ("op = \"remove\"\nkeep = [\"a\"]", "`edit[0].keep` is for an edit that names its"),
        (
            "op = \"remove\"\ndirections = [\"a\"]\nkeep = [\"a\"]",
            "`edit[0].keep` names \"a\", which `directions` names too",
        ),
    ] {
        let message = edit(keys).expect_err(keys).to_string();
        assert!(message.contains(words) && message.starts_with("r.toml:"), "{keys}: {message}");
    }
    let outside = with("[[edit]]\nfile = \"../d\"\nop = \"remove\"").unwrap_err().to_string();
    assert!(outside.contains("`edit[0].file` may not leave the recipe's folder"), "{outside}");
    let single = with("[edit]\nfile = \"d\"\nop = \"remove\"").unwrap_err().to_string();
    assert!(single.contains("`edit` must be an array") && single.contains("[[edit]]"), "{single}");
}

#[test]
fn everything_but_the_path_is_identity_and_no_edit_is_none() {
    let none = with("").unwrap();
    let text = "edit = []\n[generator]\nmodel = \"g\"\n";
    let empty = Recipe::parse(text, "r", Folder::new(".")).unwrap();
    assert_eq!(digest(&none), digest(&empty));
    let edits = [
        "op = \"remove\"",
        "op = \"remove\"\nat = \"anchor\"",
        "op = \"remove\"\ninputs = [\"z\"]",
        "op = \"remove\"\ndirections = [\"a\"]",
        "op = \"remove\"\ndirections = [\"a\", \"b\"]",
        "op = \"remove\"\ndirections = [\"a\"]\nkeep = [\"b\"]",
        "op = \"fix\"\nvalue = 0",
        "op = \"fix\"\nvalue = 0.5",
        "op = \"draw\"\nuniform = [0, 0.5]",
        "op = \"draw\"\nnormal = { mean = 0, std = 0.5 }",
        "op = \"draw\"\nchoice = [0, 0.5]",
        "op = \"draw\"\nchoice = [0, 0.5]\nweights = [1, 2]",
    ];
    let mut known = vec![digest(&none)];
    for keys in edits {
        let digest = digest(&edit(keys).unwrap());
        assert!(!known.contains(&digest), "{keys}");
        known.push(digest);
    }
    let moved = with("[[edit]]\nfile = \"elsewhere/d\"\nop = \"remove\"").unwrap();
    assert_eq!(digest(&moved), known[1]);
}

fn target() -> impl Strategy<Value = Target> {
    let value = || -9.0f64..9.0;
    prop_oneof![
        (value(), 0.0f64..3.0)
            .prop_map(|(low, width)| Target::Uniform(Span { low, high: low + width })),
        (value(), 0.0f64..3.0).prop_map(|(mean, std)| Target::Normal { mean, std }),
        (prop::collection::vec((value(), 0.1f64..2.0), 1..4), any::<bool>()).prop_map(
            |(pairs, alike)| {
                let (values, weights): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
                Target::Choice { values, weights: if alike { Vec::new() } else { weights } }
            }
        ),
    ]
}

fn any_edit() -> impl Strategy<Value = LatentEdit> {
    let kind = prop_oneof![
        Just(EditKind::Remove),
        (-9.0f64..9.0).prop_map(|value| EditKind::Fix { value }),
        target().prop_map(EditKind::Draw),
    ];
    let names = |all: Vec<&'static str>, least: usize| {
        prop::sample::subsequence(all, least..3)
            .prop_map(|names| names.into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    let inputs = names(vec!["z", "w/0"], 0);
    let directions = names(vec!["a", "b\"", "ü d"], 1);
    (kind, directions, names(vec!["k", "l\n"], 0), any::<bool>(), inputs).prop_map(
        |(kind, directions, keep, anchor, inputs)| LatentEdit {
            file: "walks/\"odd\".safetensors".into(),
            directions,
            kind,
            keep,
            at: if anchor { EditAt::Anchor } else { EditAt::Views },
            inputs,
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_reads_back_equal(edits in prop::collection::vec(any_edit(), 1..4)) {
        let mut recipe = with("").unwrap();
        recipe.edits = edits;
        let written = recipe.to_toml(&Notes::new());
        let again = Recipe::parse(&written, "r", Folder::new(".")).expect(&written);
        prop_assert_eq!(&recipe.edits, &again.edits, "{}", written);
        prop_assert_eq!(digest(&recipe), digest(&again));
    }
}
