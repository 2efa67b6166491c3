//! Recipes that are wrong in themselves, or do not fit their model.

use super::*;

/// `PLAIN` with `from` replaced.
fn edited(from: &str, to: &str) -> String {
    assert!(PLAIN.contains(from), "{from}");
    PLAIN.replace(from, to)
}

#[test]
fn unknown_missing_and_mistyped_keys_name_file_line_and_key() {
    for (recipe, words) in [
        (edited("seed", "sede"), ["recipe.toml:2: ", "unknown key `sede`", "`seed`?"]),
        (edited("block", "blok"), ["recipe.toml:6: ", "`generator.blok`", "`generator.block`?"]),
        (
            edited("role", "rol"),
            ["recipe.toml:8: ", "`generator.inputs.z.role` is missing", "role ="],
        ),
        (
            edited("layout", "lay"),
            ["recipe.toml:12: ", "unknown key", "`generator.output.layout`?"],
        ),
        (edited("model =", "#"), ["recipe.toml:4: ", "`generator.model` is missing", "ONNX file"]),
        (edited("16", "\"16\""), ["recipe.toml:6: ", "`generator.block`", "not a string"]),
        (edited("16", "0"), ["recipe.toml:6: ", "`generator.block`", "from 1 to 65536, not 0"]),
        (edited("latent", "latnet"), ["recipe.toml:9: ", "cannot be \"latnet\"", "\"latent\"?"]),
        (edited("NCHW", "NCWH"), ["recipe.toml:12: ", "cannot be \"NCWH\"", "\"NCHW\"?"]),
        (edited("[-1, 1]", "[-1, -1]"), ["recipe.toml:13: ", "two different numbers", "[0, 255]"]),
        (edited("[views]", "[view]"), ["recipe.toml:15: ", "unknown key `view`", "`views`?"]),
        (edited("seed = 3", "seed = = 3"), ["recipe.toml:2: ", "not valid TOML", ""]),
        (
            edited("seed = 3", "seed = 3\nseed = 4"),
            ["recipe.toml:3: ", "not valid TOML", "duplicate key"],
        ),
    ] {
        let folder = Folder::of("channels-1").recipe(&recipe);
        let ran = folder.digest(&[]);
        ran.says(1, &words).at_once();
        assert!(ran.stdout.is_empty(), "{ran:?}");
    }
}

#[test]
fn settings_on_the_command_line_are_checked_as_strictly() {
    let folder = Folder::of("channels-1");
    for (setting, words) in [
        ("generator.blok=3", ["generator.blok", "generator.block"]),
        ("generator.block=three", ["generator.block", ""]),
        ("generator.block", ["generator.block", "="]),
    ] {
        folder.digest(&["--set", setting]).says(1, &words).at_once();
    }
}

#[test]
fn a_recipe_that_does_not_fit_its_model_says_how() {
    let z = "[generator.inputs.z]\nrole = \"latent\"\n";
    let normalise = format!(
        "{PLAIN}[output]\ndtype = \"f32\"\nnormalise = {{ mean = [0, 0, 0], std = [1] }}\n"
    );
    for (model, recipe, words) in [
        ("channels-1", edited("inputs.z", "inputs.w"), ["no input `w`", "it has: z"]),
        (
            "channels-1",
            edited(z, ""),
            ["input `z` of the model has no role", "[generator.inputs.z]"],
        ),
        ("channels-1", edited("range", "#"), ["`generator.output.range`", "[-1, 1]"]),
        ("channels-1", edited("layout", "#"), ["`generator.output.layout`", "NCHW"]),
        ("channels-1", edited("NCHW", "NHWC"), ["8 channels, 1×8 pixels", "output.layout"]),
        ("channels-1", edited("NCHW", "flat"), ["[1, 8, 8] does not fit layout flat", "NCHW"]),
        ("channels-1", edited("NCHW", "CHW"), ["dimension N open", "is it NCHW"]),
        ("no-batch", PLAIN.into(), ["does not fit", "CHW"]),
        ("channels-1", normalise, ["`output.normalise.mean` has 3 numbers", "1 channel"]),
        ("class-one-hot", PLAIN.into(), ["input `y` of the model has no role", "inspect"]),
        (
            "class-one-hot",
            format!(
                "{PLAIN}[generator.inputs.y]\nrole=\"class\"\nencoding=\"one-hot\"\nclasses=4\n"
            ),
            ["input `y` takes 5 values, not 4 classes", "generator.inputs.y"],
        ),
        (
            "class-one-hot",
            format!("{PLAIN}[generator.inputs.y]\nrole=\"class\"\nencoding=\"index\"\nclasses=5\n"),
            ["a class index is one", "one-hot"],
        ),
        (
            "class-index",
            format!("{PLAIN}[generator.inputs.label]\nrole=\"latent\"\n"),
            ["input `label` takes integers", "not a latent"],
        ),
        (
            "flat-784",
            edited("NCHW\"", "flat\"\nshape = [3, 28, 28]"),
            ["`generator.output.shape` [3, 28, 28] is not 784 values", ""],
        ),
        (
            "channels-1",
            edited("layout", "name = \"picture\"\nlayout"),
            ["no output `picture`", "it has: image"],
        ),
        (
            "channels-1",
            format!("{PLAIN}latent = [{{ op = \"gaussian\", std = 1, inputs = [\"zz\"] }}]\n"),
            ["recipe.toml: views.latent[0].inputs: ", "no input `zz`"],
        ),
        (
            "truncation-input",
            format!(
                "{PLAIN}latent = [{{ op = \"resample\", inputs = [\"truncation_psi\"], value = 1 }}]\n\
                 [generator.inputs.truncation_psi]\nrole = \"truncation\"\n"
            ),
            ["views.latent[0].inputs: ", "`truncation_psi` is one for all rows of a call"],
        ),
        (
            "channels-1",
            format!("{PLAIN}latent = [{{ op = \"steer\", file = \"w.st\", strength = 1 }}]\n"),
            ["error: views.latent[0].file: cannot read ", "w.st"],
        ),
    ] {
        let folder = Folder::of(model).recipe(&recipe);
        folder.digest(&[]).says(1, &words).at_once();
    }
}

#[test]
fn a_block_of_gigabytes_is_refused_before_it_is_allocated() {
    let folder = Folder::of("dynamic-batch");
    let big = ["--set", "generator.block=65536", "--set", "views.count=1024"];
    folder.digest(&big).says(1, &["would take more than 4 GiB", "generator.block"]).at_once();
    // Views that share an image ask more of the delivery than of the generator; moved ones of both.
    let moved = [&big[..], &["--set", "views.latent=[{ op = \"gaussian\", std = 0.5 }]"]].concat();
    let words = ["generator call of 67108864 images", "would take more than 4 GiB"];
    folder.digest(&moved).says(1, &words).at_once();
    // What a block may take is one thing, what the loader may take another.
    let big = ["--set", "generator.block=65536", "--set", "views.count=32"];
    let words = ["512 MiB do not suffice", "MiB are the least", "allow more memory"];
    folder.digest(&big).says(1, &words).at_once();
    folder.digest(&["--memory", "0"]).says(1, &["0 MiB do not suffice", "1 MiB are the least"]);
    assert_eq!(folder.digest(&["--memory", "1"]).code, Some(0));
}

#[test]
fn files_that_are_not_there_are_named() {
    ran(genset().args(["digest", "nowhere/recipe.toml"]))
        .says(1, &["cannot read nowhere/recipe.toml: No such file"])
        .at_once();
    ran(genset().args(["digest", "builtin:digitz"]))
        .says(1, &["no generator `builtin:digitz`", "builtin:digits, builtin:fashion"])
        .at_once();
    ran(genset().args(["inspect", "nowhere.onnx"])).says(1, &["nowhere.onnx", "No such file"]);
}
