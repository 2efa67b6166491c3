//! `shard-{000000..000012}.tar`: several files by one name, as WebDataset's users write them.

use crate::error::{Error, Kind, Result};

/// Most files that a name may stand for.
const MAX_FILES: usize = 1 << 20;

/// The names that `pattern` stands for, in order; itself if it has no braces.
///
/// # Errors
/// [`Kind::Argument`] for braces that do not close or are empty, [`Kind::Limit`] for too many names.
pub(super) fn expand(pattern: &str) -> Result<Vec<String>> {
    let mut done = vec![String::new()];
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        let wrong = |why: &str| {
            Error::new(Kind::Argument, format!("the name {pattern:?} {why}"))
                .help("write `{000..012}` for numbers, `{train,test}` for words")
        };
        let (inside, after) = after.split_once('}').ok_or_else(|| wrong("has an open brace"))?;
        let choices = match inside.split_once("..") {
            Some((from, to)) => {
                numbers(from, to).ok_or_else(|| wrong("has a range that is none"))?
            }
            None => inside.split(',').map(str::to_owned).collect(),
        };
        if done.len().checked_mul(choices.len()).is_none_or(|count| count > MAX_FILES) {
            return Err(Error::new(
                Kind::Limit,
                format!("{pattern:?} is more than {MAX_FILES} files"),
            ));
        }
        done = done
            .iter()
            .flat_map(|start| choices.iter().map(move |choice| format!("{start}{before}{choice}")))
            .collect();
        rest = after;
    }
    for name in &mut done {
        name.push_str(rest);
    }
    Ok(done)
}

/// Both ends included, with as many digits as the first is written with.
fn numbers(from: &str, to: &str) -> Option<Vec<String>> {
    let number = |text: &str| -> Option<usize> {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
    };
    let (first, last, digits) = (number(from)?, number(to)?, from.len());
    if first > last || last - first >= MAX_FILES || digits > 20 {
        return None;
    }
    Some((first..=last).map(|number| format!("{number:0digits$}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_keep_their_digits_and_lists_their_order() {
        assert_eq!(
            expand("a-{08..11}.tar").unwrap(),
            ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]
        );
        assert_eq!(expand("{b,a}-{0..1}").unwrap(), ["b-0", "b-1", "a-0", "a-1"]);
        assert_eq!(expand("plain.tar").unwrap(), ["plain.tar"]);
    }

    #[test]
    fn a_range_that_fills_memory_is_refused() {
        for bad in
            ["{0..99999999999}", "{0..999999}{0..999999}", "{2..1}", "{-1..2}", "{a..b}", "{0..1"]
        {
            expand(bad).unwrap_err();
        }
    }
}
