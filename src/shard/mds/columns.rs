//! Which columns a shard has, and how each is encoded.

use crate::codec::Encoding;
use crate::error::{Error, Kind, Result};
use crate::recipe::Dtype;
use crate::shard::{GroupForm, ShardForm};

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub name: String,
    /// As Streaming calls it.
    pub encoding: String,
    /// Bytes that each sample has in it; `None` if they vary.
    pub size: Option<u32>,
    pub holds: Holds,
}

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holds {
    /// One encoded picture, by its number in the sample.
    Picture(usize),
    /// The raw pictures of a group.
    Pictures {
        first: usize,
        group: GroupForm,
    },
    Index,
    Label,
    Latents,
    Parameters,
}

/// The columns in the order of their names, as Streaming writes them.
///
/// # Errors
/// [`Kind::Argument`] if two columns would have one name, [`Kind::Limit`] if a sample would have
/// more than 4 GiB.
pub(super) fn columns(form: &ShardForm) -> Result<Vec<Column>> {
    let mut columns = Vec::new();
    let mut add = |name: String, encoding: String, size, holds| {
        columns.push(Column { name, encoding, size, holds });
    };
    let mut first = 0;
    for group in &form.groups {
        let dot = if group.name.is_empty() { "" } else { "." };
        let stem = format!("{dot}{}", group.name);
        let encoding = match form.encoding {
            Encoding::Raw => {
                let name = if group.views == 1 { "image" } else { "images" };
                let axes = axes(group);
                let encoding = array(group.form.dtype, &axes);
                let size = size(group.form.dtype.size(), &axes)?;
                let holds = Holds::Pictures { first, group: group.clone() };
                add(format!("{name}{stem}"), encoding, Some(size), holds);
                first += group.views;
                continue;
            }
            Encoding::Png => "png",
            Encoding::Jpeg { .. } => "jpeg",
            Encoding::WebP => "bytes",
        };
        for view in 0..group.views {
            let number = if group.views == 1 { String::new() } else { format!(".{view}") };
            let name = format!("image{stem}{number}");
            add(name, encoding.into(), None, Holds::Picture(first + view));
        }
        first += group.views;
    }
    add("index".into(), "int".into(), Some(8), Holds::Index);
    if form.labels {
        add("label".into(), "int".into(), Some(8), Holds::Label);
    }
    if let Some(shape) = form.latents {
        let encoding = array(Dtype::F32, &shape);
        add("latent".into(), encoding, Some(size(4, &shape)?), Holds::Latents);
    }
    if form.parameters {
        add("parameters".into(), "json".into(), None, Holds::Parameters);
    }
    columns.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(twice) = columns.windows(2).find(|pair| pair[0].name == pair[1].name) {
        let message = format!("two columns of a shard would be called `{}`", twice[0].name);
        return Err(
            Error::new(Kind::Argument, message).help("give the groups of views other names")
        );
    }
    Ok(columns)
}

/// The axes of the array of a group: Streaming's own datasets have no axis of views.
fn axes(group: &GroupForm) -> Vec<usize> {
    let views = (group.views != 1).then_some(group.views);
    views.into_iter().chain(group.form.axes()).collect()
}

fn array(dtype: Dtype, axes: &[usize]) -> String {
    let kind = match dtype {
        Dtype::U8 => "uint8",
        Dtype::F16 => "float16",
        Dtype::F32 => "float32",
    };
    let axes: Vec<_> = axes.iter().map(usize::to_string).collect();
    format!("ndarray:{kind}:{}", axes.join(","))
}

fn size(element: usize, axes: &[usize]) -> Result<u32> {
    let len = axes.iter().try_fold(element, |len, axis| len.checked_mul(*axis));
    len.and_then(|len| u32::try_from(len).ok()).ok_or_else(|| {
        Error::new(Kind::Limit, format!("arrays of {axes:?} are beyond the 4 GiB of an MDS shard"))
            .help("export another format, or smaller images")
    })
}
