//! What is kept of a generated block for its echoes, and whether the recipe's budgets hold it.
//!
//! Budgets never change a byte that is delivered. But a budget that cannot hold the blocks between
//! the first and the last delivery of a sample would make every echo cost a generator call, so it is
//! refused, with the numbers.

use super::views::ViewGroup;
use crate::error::{Error, Kind, Result};
use crate::generate::Contract;
use crate::graph::Element;
use crate::recipe::{EchoAt, Epochs, Recipe, in_units};
use crate::sample::Echo;

/// What is kept of each block, and how many blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keep {
    pub form: Form,
    /// Bytes of one block.
    pub bytes: usize,
    /// Blocks that memory holds.
    pub memory: u64,
    /// Blocks that the temporary file holds.
    pub disk: u64,
    /// Whether every epoch has the same blocks, so that they are kept beyond their last echo.
    pub recurs: bool,
}

/// In which form a block is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The generator's rows, of which views are made anew each time.
    Rows(Element),
    /// The delivered bytes, group after group: they will be the same again.
    Views,
}

impl Keep {
    /// `None` for a recipe without `[cache]`.
    ///
    /// # Errors
    /// [`Kind::Recipe`] if the budgets do not hold the blocks that have to be kept at once.
    pub fn new(
        recipe: &Recipe,
        contract: &Contract,
        echo: Echo,
        groups: &[ViewGroup],
    ) -> Result<Option<Self>> {
        let Some(cache) = &recipe.cache else { return Ok(None) };
        let block = u64::from(recipe.generator.block);
        let same = cache.echo_at == EchoAt::Views || groups.iter().all(|group| !group.drawn);
        let (form, sample) = if same {
            let bytes: usize = groups.iter().map(|group| group.format.sample_bytes()).sum();
            (Form::Views, bytes as u64)
        } else {
            let row = contract.image.len() * contract.element.size_of().unwrap_or(8);
            (Form::Rows(contract.element), row as u64 * u64::from(recipe.views.rows()))
        };
        let drawn = form == Form::Views && groups.iter().any(|group| group.drawn);
        // Both factors have been checked against the limit of a block.
        let bytes = block * sample;
        let keep = Self {
            form,
            bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            memory: cache.budget / bytes,
            disk: cache.disk.unwrap_or(0) / bytes,
            recurs: recipe.views.epochs == Epochs::Same || !(rows_are_moved(recipe) || drawn),
        };
        // A short dataset has fewer blocks than its echoes are apart.
        let all = echo.unique(recipe.samples.end()).div_ceil(block);
        let needed = echo.blocks_kept().min(all);
        if keep.memory.saturating_add(keep.disk) >= needed {
            return Ok(Some(keep));
        }
        let what = if same { "views" } else { "generated images" };
        let file = match cache.disk {
            Some(disk) => format!(" and cache.disk = \"{}\" hold", in_units(disk)),
            None => " holds".into(),
        };
        let (held, least) = (keep.memory + keep.disk, needed.saturating_mul(bytes));
        let mut fits = (held.saturating_sub(1) / (echo.factor() - 1)).saturating_mul(block);
        fits = fits.min(cache.spread_blocks(recipe.generator.block) * block);
        let nearer = match fits {
            0 => String::new(),
            fits => format!(", or set cache.spread = {fits} (it is {})", cache.spread),
        };
        Err(Error::new(
            Kind::Recipe,
            format!(
                "\"{}\"{file} {held} of the {needed} blocks that wait for an echo: the {what} of \
                 {} samples take {}",
                in_units(cache.budget),
                needed * block,
                rounded_up(least),
            ),
        )
        .at("cache.budget")
        .help(format!(
            "allow {} in memory and on disk (cache.disk) together{nearer}",
            rounded_up(least)
        )))
    }

    /// The epoch in which the blocks of `epoch` are made for the first time.
    pub fn epoch(&self, epoch: u64) -> u64 {
        if self.recurs { 0 } else { epoch }
    }
}

/// Whether later epochs have other images of the generator.
pub(super) fn rows_are_moved(recipe: &Recipe) -> bool {
    recipe.views.groups.iter().any(|group| group.moved() > 0)
}

/// A number of bytes that is enough, in words.
fn rounded_up(bytes: u64) -> String {
    match bytes.div_ceil(1_000_000) {
        n @ ..10_000 => format!("{n} MB"),
        n => format!("{} GB", n.div_ceil(1000)),
    }
}
