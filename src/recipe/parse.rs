//! TOML to a checked [`Recipe`].

use std::path::Path;

use toml_edit::Document;

use super::inputs::inputs;
use super::read::{Field, Source, Table};
use super::{
    BUILTIN_PREFIX, Dtype, Generator, GeneratorOutput, ImageLayout, Layout, MAX_BLOCK,
    MAX_EXCLUDED, MAX_SAMPLES, ModelRef, Normalise, Output, PixelKind, Precision, Recipe, Role,
    Samples, Views, cache, inside, latent_edit, source, views,
};
use crate::error::Result;

/// Blocks are rows of a generator call; 32 keeps a core's caches warm without making a consumer
/// wait long for the first batch.
const DEFAULT_BLOCK: u32 = 32;

pub(super) fn recipe(text: &str, file: &str, name: &str, folder: &Path) -> Result<Recipe> {
    let source = Source { file, text };
    let document = document(&source)?;
    generated(Table::root(&source, document.as_table()), name, folder)
}

/// The recipe's name, or the one that it has if it gives none.
pub(super) fn name(root: &Table<'_>, name: &str) -> Result<String> {
    root.get("name").map_or_else(|| Ok(name.to_owned()), |field| field.str().map(str::to_owned))
}

pub(super) fn seed(root: &Table<'_>) -> Result<u64> {
    // TOML's integers are signed.
    root.get("seed").map_or(Ok(0), |field| field.integer(0..1 << 63))
}

/// The recipe of a generated dataset.
pub(super) fn generated(root: Table<'_>, called: &str, folder: &Path) -> Result<Recipe> {
    let mut recipe = Recipe {
        name: name(&root, called)?,
        seed: seed(&root)?,
        samples: match root.get("samples") {
            Some(field) => samples(&field)?,
            None => Samples::Endless,
        },
        generator: {
            let help = match root.get("source") {
                Some(_) => {
                    "this recipe reads stored images ([source]), and what you do needs a generator"
                }
                None => "a recipe names its generator: [generator] model = \"file.onnx\"",
            };
            generator(root.require("generator", help)?.table()?)?
        },
        views: match root.get("views") {
            Some(field) => views::read(field.table()?)?,
            None => Views::default(),
        },
        edits: root.get("edit").map_or(Ok(Vec::new()), |field| latent_edit::read(&field))?,
        output: match root.get("output") {
            Some(field) => output(field.table()?)?,
            None => Output::default(),
        },
        exclude: root.get("exclude").map_or(Ok(Vec::new()), |field| excluded(&field))?,
        cache: None,
        mix: None,
        folder: folder.to_path_buf(),
    };
    if let Some(field) = root.get("cache") {
        recipe.cache = Some(cache::read(field.table()?, recipe.generator.block)?);
    }
    if let Some(field) = root.get("mix") {
        if recipe.cache.is_some() {
            return Err(field
                .error("and `cache` cannot be in one recipe")
                .help("real images come again by themselves; leave out [cache], or [mix]"));
        }
        recipe.mix = Some(source::mix(field.table()?)?);
    }
    let views = root.get("views");
    root.finish()?;
    views.map_or(Ok(()), |views| normalised_once(&views, &recipe))?;
    Ok(recipe)
}

/// A list of pixel ops may end in a normalisation of its own. It needs floats, and must be the only
/// one; both are said in another table than the ops are.
fn normalised_once(views: &Field<'_>, recipe: &Recipe) -> Result<()> {
    let written = match views.table()?.get("groups") {
        Some(groups) => groups.items()?.iter().map(Field::table).collect::<Result<Vec<_>>>()?,
        None => vec![views.table()?],
    };
    for (group, table) in recipe.views.groups.iter().zip(written) {
        let last = group.pixel.last().map(|op| &op.kind);
        let (Some(PixelKind::Normalise(_)), Some(list)) = (last, table.get("pixel")) else {
            continue;
        };
        let ops = list.items()?;
        let Some(op) = ops.last() else { continue };
        if recipe.output.dtype == Dtype::U8 {
            return Err(op
                .error("normalises, which needs a float dtype")
                .help("set output.dtype = \"f32\" or \"f16\""));
        }
        if recipe.output.normalise.is_some() {
            return Err(op
                .error("would normalise a second time, after output.normalise")
                .help("keep one of the two"));
        }
    }
    Ok(())
}

pub(super) fn contract(text: &str, file: &str) -> Result<(Vec<(String, Role)>, GeneratorOutput)> {
    let source = Source { file, text };
    let document = document(&source)?;
    let root = Table::root(&source, document.as_table());
    let inputs = match root.get("inputs") {
        Some(field) => inputs(&field.table()?)?,
        None => Vec::new(),
    };
    let output = match root.get("output") {
        Some(field) => generator_output(field.table()?)?,
        None => GeneratorOutput::default(),
    };
    root.finish()?;
    Ok((inputs, output))
}

pub(super) fn document<'a>(source: &Source<'a>) -> Result<Document<&'a str>> {
    Document::parse(source.text).map_err(|error| {
        let message = error.message().trim_end_matches('.').replace('\n', ", ");
        source.error(error.span(), format!("not valid TOML: {message}"))
    })
}

/// Samples in any order, any of them several times.
fn excluded(field: &Field<'_>) -> Result<Vec<u64>> {
    let items = field.items()?;
    if items.len() > MAX_EXCLUDED {
        return Err(
            field.error(format!("names {} samples, and at most {MAX_EXCLUDED}", items.len()))
        );
    }
    let mut samples: Vec<u64> =
        items.iter().map(|item| item.integer(0..MAX_SAMPLES)).collect::<Result<_>>()?;
    samples.sort_unstable();
    Ok(samples)
}

fn samples(field: &Field<'_>) -> Result<Samples> {
    if field.is_str() {
        return field.one_of(&[("endless", Samples::Endless)]);
    }
    Ok(Samples::Finite(field.integer(1..MAX_SAMPLES)?))
}

fn generator(table: Table<'_>) -> Result<Generator> {
    let generator = Generator {
        model: model(&table.require("model", "name an ONNX file beside the recipe")?)?,
        precision: match table.get("precision") {
            Some(field) => field.one_of(&Precision::ALL)?,
            None => Precision::F32,
        },
        block: match table.get("block") {
            Some(field) => field.small(1..u64::from(MAX_BLOCK) + 1)?,
            None => DEFAULT_BLOCK,
        },
        inputs: match table.get("inputs") {
            Some(field) => inputs(&field.table()?)?,
            None => Vec::new(),
        },
        output: match table.get("output") {
            Some(field) => generator_output(field.table()?)?,
            None => GeneratorOutput::default(),
        },
    };
    table.finish()?;
    Ok(generator)
}

fn model(field: &Field<'_>) -> Result<ModelRef> {
    let text = field.str()?;
    if let Some(name) = text.strip_prefix(BUILTIN_PREFIX) {
        return Ok(ModelRef::Builtin(name.to_owned()));
    }
    inside::path(field, "the model").map(ModelRef::File)
}

fn generator_output(table: Table<'_>) -> Result<GeneratorOutput> {
    let output = GeneratorOutput {
        name: table.get("name").map(|field| field.str().map(str::to_owned)).transpose()?,
        layout: table.get("layout").map(|field| field.one_of(&ImageLayout::ALL)).transpose()?,
        range: table.get("range").map(|field| range(&field)).transpose()?,
        shape: table.get("shape").map(|field| shape(&field)).transpose()?,
    };
    table.finish()?;
    Ok(output)
}

fn range(field: &Field<'_>) -> Result<[f64; 2]> {
    match field.numbers()?[..] {
        // White may be below black: some models draw ink as high values.
        [black, white] if black != white => Ok([black, white]),
        _ => Err(field
            .error("must be two different numbers: the values of black and white")
            .help("for example [-1, 1], [0, 1] or [0, 255]")),
    }
}

fn shape(field: &Field<'_>) -> Result<[u32; 3]> {
    let sides = field.items()?;
    let sides: Vec<u32> = sides.iter().map(|side| side.small(1..1 << 16)).collect::<Result<_>>()?;
    <[u32; 3]>::try_from(sides).map_err(|_| field.error("must be [channels, height, width]"))
}

pub(super) fn output(table: Table<'_>) -> Result<Output> {
    let dtype = match table.get("dtype") {
        Some(field) => field.one_of(&Dtype::ALL)?,
        None => Dtype::U8,
    };
    let layout = match table.get("layout") {
        Some(field) => field.one_of(&Layout::ALL)?,
        None => Layout::Nchw,
    };
    let normalise = match table.get("normalise") {
        Some(field) if dtype == Dtype::U8 => {
            return Err(field
                .error("needs a float dtype")
                .help("set output.dtype = \"f32\" or \"f16\""));
        }
        Some(field) => {
            let table = field.table()?;
            let normalise = normalise(&table)?;
            table.finish()?;
            Some(normalise)
        }
        None => None,
    };
    table.finish()?;
    Ok(Output { dtype, layout, normalise })
}

/// The keys of a normalisation; the caller finishes the table.
pub(super) fn normalise(table: &Table<'_>) -> Result<Normalise> {
    let help = "one number for each channel, on values in [0, 1]";
    let (mean, std) = (table.require("mean", help)?, table.require("std", help)?);
    let one_or_four = |field: &Field<'_>| {
        let numbers = field.numbers()?;
        match numbers.len() {
            1..=4 => Ok(numbers),
            n => Err(field.error(format!("must have one number for each channel, not {n}"))),
        }
    };
    let normalise = Normalise { mean: one_or_four(&mean)?, std: one_or_four(&std)? };
    if normalise.std.iter().any(|s| *s <= 0.0) {
        return Err(std.error("must be greater than 0"));
    }
    Ok(normalise)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{Distribution, LatentKind, LatentOp, Span};

    const DESIGN: &str = r#"
name    = "digits"
seed    = 7
samples = 60_000
[generator]
model     = "mnist_cgan.onnx"
precision = "f32"
block     = 32
[generator.inputs.z]
role = "latent"
distribution = "normal"
truncation = 2.0
[generator.inputs.y]
role = "class"
encoding = "one-hot"
classes = 10
balance = "uniform"
[generator.output]
layout = "NCHW"
range  = [-1, 1]
[views]
count = 2
latent = [ { op = "gaussian", std = 0.5 } ]
[output]
dtype = "u8"
layout = "NCHW"
"#;

    fn parse(text: &str) -> Result<Recipe> {
        recipe(text, "r.toml", "r", Path::new("."))
    }

    fn message(text: &str) -> String {
        parse(text).expect_err("must be refused").to_string()
    }

    #[test]
    fn the_documented_recipe_is_read() {
        let recipe = parse(DESIGN).unwrap();
        assert_eq!(recipe.samples, Samples::Finite(60_000));
        let [group] = &recipe.views.groups[..] else { panic!("one group") };
        let kind = LatentKind::Gaussian { std: Span::fixed(0.5) };
        assert_eq!(group.latent, [LatentOp { inputs: Vec::new(), kind }]);
        assert_eq!(
            recipe.generator.inputs[0],
            ("z".into(), Role::Latent(Distribution::Normal { truncation: Some(2.0) }))
        );
        assert_eq!(recipe.class().unwrap().classes, 10);
    }

    #[test]
    fn a_minimal_recipe_has_documented_defaults() {
        let recipe = parse("[generator]\nmodel = \"g.onnx\"\n").unwrap();
        assert_eq!((recipe.seed, recipe.samples), (0, Samples::Endless));
        assert_eq!((recipe.generator.block, recipe.views.count()), (32, 1));
        assert_eq!(recipe.name, "r");
    }

    #[test]
    fn unknown_keys_name_file_line_and_neighbour() {
        let text = DESIGN.replace("truncation =", "truncatoin =");
        assert_eq!(
            message(&text),
            "r.toml:12: unknown key `generator.inputs.z.truncatoin`\n  \
             help: did you mean `generator.inputs.z.truncation`?"
        );
        assert!(message("sede = 1\n[generator]\nmodel=\"g\"").contains("did you mean `seed`?"));
        let far = message("[generator]\nmodel=\"g\"\nxyzzy = 1");
        assert!(far.contains("known here: model, precision, block"), "{far}");
    }

    #[test]
    fn keys_of_another_distribution_are_not_ignored() {
        let text = DESIGN.replace("distribution = \"normal\"", "distribution = \"uniform-ball\"");
        assert!(message(&text).contains("unknown key `generator.inputs.z.truncation`"));
    }

    #[test]
    fn mistyped_and_impossible_values_name_their_key() {
        for (from, to, expected) in [
            ("seed    = 7", "seed = \"7\"", "r.toml:3: `seed` must be a whole number from 0 to"),
            ("block     = 32", "block = 0", "`generator.block` must be a whole number from 1 to"),
            ("samples = 60_000", "samples = \"endles\"", "did you mean \"endless\"?"),
            ("range  = [-1, 1]", "range = [1, 1]", "two different numbers"),
            ("std = 0.5", "std = nan", "must be a finite number, not NaN"),
            ("std = 0.5", "std = -1", "must be from 0 to 1000000, not -1"),
            ("\"gaussian\"", "\"gausian\"", "did you mean \"gaussian\"?"),
            ("classes = 10", "", "key `generator.inputs.y.classes` is missing"),
            ("balance = \"uniform\"", "balance = { only = [10] }", "balance.only[0]` must be"),
            ("balance = \"uniform\"", "balance = { weights = [1] }", "1 numbers for 10 classes"),
            ("model     = \"mnist_cgan.onnx\"", "", "key `generator.model` is missing"),
            ("\"mnist_cgan.onnx\"", "\"../x.onnx\"", "may not leave the recipe's folder"),
            ("\"mnist_cgan.onnx\"", "\"/etc/x.onnx\"", "may not leave the recipe's folder"),
            ("dtype = \"u8\"", "dtype = \"u16\"", "can be u8, f16, f32"),
            ("dtype = \"u8\"", "dtype = \"u8\"\nnormalise = {mean=[0],std=[1]}", "float dtype"),
            ("count = 2", "count = 2.5", "must be a whole number from 1 to 1024, not a float"),
            ("[views]", "[views", "not valid TOML"),
            ("balance = \"uniform\"", "balance = 3", "balance` must be a table, not an integer"),
        ] {
            let text = DESIGN.replace(from, to);
            assert_ne!(text, DESIGN, "{from}");
            let message = message(&text);
            assert!(message.contains(expected), "{to}: {message}");
            assert!(message.starts_with("r.toml:"), "{message}");
        }
    }
}
