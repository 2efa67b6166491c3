//! The audit: a generated dataset and real images in, a report out.

use std::ops::Range;

use ndarray::{Array2, Axis};

use super::balance::balance;
use super::copies::{self, Closeness, Copies, Pair};
use super::distances::{Among, Near, nearest};
use super::duplicates::duplicates;
use super::frechet::Moments;
use super::manifold::{Balls, DENSITY_NEIGHBOURS, Manifold, compare};
use super::progress::{Progress, Step, Tell};
use super::report::{Images, Measures, Report, Space, Variety};
use super::sides::{image, plain};
use super::vendi;
use crate::error::{Error, Kind, Result, ResultExt};
use crate::evaluate::counter::Counter;
use crate::evaluate::encoder::{self, Encoding, Ends, RawPixels};
use crate::evaluate::extract::{Extracted, Featurise, Wanted, extract, range, workers};
use crate::evaluate::probe::FEATURE_MEMORY;
use crate::graph::{EncoderInput, Model};
use crate::load::{Dataset, Options, Stop};
use crate::sample::Order;

/// Real images that each image is compared with: the nearest, and those that say what is usual.
pub const NEIGHBOURS: usize = 10;

/// Images of each kind whose variety is compared at most.
pub const MAX_VARIETY: usize = 10_000;

/// Held-out images that there must be: with fewer, no quantile can be told.
const LEAST_HELD_OUT: usize = 100;

/// What is held out of the real images where no others were given: a sixth of them.
const HELD_OUT: u64 = 6;

/// How to end a list of held-out images.
const HELD_OUT_ENDS: &str = "samples = N in its recipe takes the first N";

/// Closest pairs that a report names.
const PAIRS: usize = 100;

/// How a dataset is audited. What is open after [`Audit::default`] are the fields.
#[derive(Debug, Clone)]
pub struct Audit {
    /// At most so many generated images, the first. Default 10,000.
    pub samples: u64,
    /// At most so many real images, the first. Default: all.
    pub limit: Option<u64>,
    /// Real images that each image is compared with. Default [`NEIGHBOURS`].
    pub neighbours: usize,
    /// The probability of an alarm on honest images, over all tests of an audit. Default 0.01.
    pub level: f64,
    /// Draws held-out images and those whose variety is compared. Default 0.
    pub seed: u64,
    /// What values the encoder expects. Default: as its file says, or intensities in `[0, 1]`.
    pub input: Option<EncoderInput>,
    /// The encoder's output that features are read from. Default: the first.
    pub output: Option<String>,
    /// Images of a call of the encoder, where its file does not fix that. Default 256.
    pub batch: usize,
    /// Sessions of the encoder, each on its own thread. Default: one a core. Changes no result.
    pub workers: Option<usize>,
    /// Bytes that the features of one space may take, and copies of their rows. Default
    /// [`FEATURE_MEMORY`].
    pub memory: u64,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            samples: 10_000,
            limit: None,
            neighbours: NEIGHBOURS,
            level: 0.01,
            seed: 0,
            input: None,
            output: None,
            batch: 256,
            workers: None,
            memory: FEATURE_MEMORY,
        }
    }
}

/// What is audited, and what it is held against.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// A generator's dataset. A recipe is looked at as its generator makes images: one view a
    /// sample, without latent and pixel operations, echoes and stored images.
    pub generated: &'a Dataset,
    /// The images that the generator learnt from.
    pub real: &'a Dataset,
    /// Real images that it did not learn from. Without them, a sixth of the others are held out:
    /// drawn with the seed.
    pub held_out: Option<&'a Dataset>,
    /// Images are looked at in its features too.
    pub encoder: Option<&'a Model>,
}

/// The images of an audit as features in one space, rows in the same order in all of them.
struct Rows {
    generated: Array2<f32>,
    real: Array2<f32>,
    held_out: Array2<f32>,
}

/// Which samples the rows are.
struct Index {
    generated: Vec<u64>,
    labels: Vec<i64>,
    real: Vec<u64>,
    held_out: usize,
}

/// A space whose features are still to be made.
struct Wide {
    name: String,
    makers: Vec<Box<dyn Featurise>>,
}

/// What is the same in all spaces.
struct Run<'a> {
    audit: &'a Audit,
    generated: (&'a Dataset, Range<u64>),
    real: (&'a Dataset, Range<u64>),
    held_out: Option<(&'a Dataset, Range<u64>)>,
    stop: &'a Stop,
    /// Of each test.
    level: f64,
}

impl Audit {
    /// Audits a dataset. `options` says where the encoder runs.
    ///
    /// # Errors
    /// - [`Kind::Argument`] if the datasets do not fit each other or the encoder, have no end, or
    ///   are too small; with what to set.
    /// - [`Kind::Limit`] if the features take more than [`Audit::memory`].
    /// - [`Kind::Model`] if the encoder is none.
    /// - [`Kind::Sample`] for an image that cannot be made or read or whose features are not
    ///   finite, and those of the loader and the runtime.
    pub fn run(
        &self,
        subject: &Subject<'_>,
        options: &Options,
        stop: &Stop,
        tell: Tell<'_>,
    ) -> Result<Report> {
        let Subject { generated, real, held_out, encoder } = *subject;
        self.check()?;
        let plain = plain(generated)?;
        let image = image([Some(&plain), Some(real), held_out])?;
        let mut spaces = vec![Wide { name: "pixels".into(), makers: self.pixels(image, options) }];
        if let Some(encoder) = encoder {
            spaces.push(self.encoded(encoder, image, options)?);
        }
        let run = Run {
            audit: self,
            generated: (&plain, range(&plain, Some(self.samples), "generated", "")?),
            real: (real, range(real, self.limit, "real", "--limit N takes the first N")?),
            held_out: held_out
                .map(|held| Ok((held, range(held, None, "held-out", HELD_OUT_ENDS)?)))
                .transpose()?,
            stop,
            level: 0.0,
        };
        run.fits_memory(&spaces)?;
        run.report(spaces, image, tell)
    }

    fn check(&self) -> Result<()> {
        let refuse = |message: String| Err(Error::new(Kind::Argument, message));
        if self.neighbours < 2 {
            return refuse(format!("{} neighbours, and at least 2 are compared", self.neighbours));
        }
        if !(self.level > 0.0 && self.level < 1.0) {
            return refuse(format!("a level of {}: it is a probability", self.level));
        }
        if self.batch == 0 || self.workers == Some(0) {
            return refuse("an audit needs at least one worker and one image a batch".into());
        }
        Ok(())
    }

    fn pixels(&self, image: [usize; 3], options: &Options) -> Vec<Box<dyn Featurise>> {
        let one = |_| Box::new(RawPixels::new(image)) as Box<dyn Featurise>;
        (0..workers(self.workers, options)).map(one).collect()
    }

    fn encoded(&self, model: &Model, image: [usize; 3], options: &Options) -> Result<Wide> {
        let Ends { input, output } = Ends::of(model, self.input.as_ref(), self.output.as_deref())?;
        let encoding =
            Encoding { model, input: &input, output: &output, batch: self.batch, options };
        let makers = encoder::open(&encoding, image, workers(self.workers, options))?;
        Ok(Wide { name: format!("{}: {output}", model.name()), makers })
    }
}

impl Run<'_> {
    /// Spaces are looked at one after the other, and rows that are chosen are copied.
    fn fits_memory(&self, spaces: &[Wide]) -> Result<()> {
        let length = |range: &Range<u64>| range.end.saturating_sub(range.start);
        let images = length(&self.generated.1)
            + length(&self.real.1)
            + self.held_out.as_ref().map_or(0, |(_, range)| length(range));
        let width = spaces.iter().filter_map(|space| space.makers.first()).map(|m| m.width()).max();
        let bytes = images.saturating_mul(width.unwrap_or(0) as u64).saturating_mul(2 * 4);
        if bytes > self.audit.memory {
            let message = format!(
                "{} features of {images} images take {bytes} bytes, and {} are allowed",
                width.unwrap_or(0),
                self.audit.memory
            );
            return Err(Error::new(Kind::Limit, message)
                .help("--memory MIB allows more, --samples N and --limit N take fewer images"));
        }
        Ok(())
    }

    fn report(mut self, spaces: Vec<Wide>, image: [usize; 3], tell: Tell<'_>) -> Result<Report> {
        let mut index = None;
        let mut found = Vec::new();
        let count = spaces.len();
        for (number, space) in spaces.into_iter().enumerate() {
            let name = space.name.clone();
            let (rows, of_rows) = self.rows(number, space, tell).at(|| name.clone())?;
            let index = &*index.get_or_insert(of_rows);
            if number == 0 {
                self.enough(&rows)?;
                let tests = copies::tests(rows.held_out.nrows()).max(1) * count;
                self.level = self.audit.level / tests as f64;
            }
            found.push(self.space(number, name, rows, index, tell)?);
        }
        let index = index.expect("there is a space");
        let images = |dataset: &Dataset, images| Images {
            name: dataset.name().to_owned(),
            digest: dataset.digest().to_string(),
            images,
        };
        let (generated, real) = (self.generated.0, self.real.0);
        let class = generated.generated().ok().and_then(|generated| generated.recipe().class());
        Ok(Report {
            generated: images(generated, index.generated.len()),
            real: images(real, index.real.len()),
            held_out: images(self.held_out.as_ref().map_or(real, |held| held.0), index.held_out),
            held_out_of_real: self.held_out.is_none(),
            image,
            level: self.audit.level,
            seed: self.audit.seed,
            alarm: found.iter().any(|space: &Space| space.copies.alarm),
            spaces: found,
            balance: class.and_then(|class| balance(&index.labels, class)),
        })
    }

    /// The features of all images in a space.
    fn rows(&self, number: usize, mut space: Wide, tell: Tell<'_>) -> Result<(Rows, Index)> {
        let mut features = |(dataset, samples): &(&Dataset, Range<u64>), step: Step| {
            let wanted = Wanted {
                dataset,
                samples,
                labelled: false,
                batch: self.audit.batch,
                stop: self.stop,
            };
            let total = samples.end - samples.start;
            extract(&wanted, &mut space.makers, &mut |done| {
                tell(Progress { space: number, step, done, total });
            })
        };
        let generated = features(&self.generated, Step::Generated)?;
        let real = features(&self.real, Step::Real)?;
        let held_out =
            self.held_out.as_ref().map(|held| features(held, Step::HeldOut)).transpose()?;
        let (real, held_out, index) = match held_out {
            Some(held_out) => {
                let Extracted { features, index } = real;
                (features.into_values(), held_out.features.into_values(), index)
            }
            None => self.split(&real),
        };
        let labels = generated.features.labels().to_vec();
        let index =
            Index { generated: generated.index, labels, real: index, held_out: held_out.nrows() };
        let generated = generated.features.into_values();
        Ok((Rows { generated, real, held_out }, index))
    }

    /// Holds out a part of the real images.
    fn split(&self, real: &Extracted) -> (Array2<f32>, Array2<f32>, Vec<u64>) {
        let count = real.index.len() as u64;
        let held = (count / HELD_OUT).min(self.audit.samples);
        let order = Order::new(self.audit.seed, 0, count);
        let (held, kept) = (drawn(&order, 0..held), drawn(&order, held..count));
        let values = real.features.values();
        let index = kept.iter().map(|row| real.index[*row]).collect();
        (values.select(Axis(0), &kept), values.select(Axis(0), &held), index)
    }

    fn enough(&self, rows: &Rows) -> Result<()> {
        let few = |count: usize, least: usize, what: &str, help: &str| {
            if count >= least {
                return Ok(());
            }
            let message = format!("{count} {what} images, and an audit needs {least} or more");
            Err(Error::new(Kind::Argument, message).help(help.to_owned()))
        };
        let help = "--held-out DATA names real images that the generator did not learn from";
        few(rows.held_out.nrows(), LEAST_HELD_OUT, "held-out", help)?;
        let least = (self.audit.neighbours + 1).max(LEAST_HELD_OUT);
        few(rows.real.nrows(), least, "real", "name more of them, or fewer --neighbours")?;
        few(rows.generated.nrows(), DENSITY_NEIGHBOURS + 1, "generated", "--samples N")
    }

    fn space(
        &self,
        number: usize,
        name: String,
        rows: Rows,
        index: &Index,
        tell: Tell<'_>,
    ) -> Result<Space> {
        let dimensions = rows.real.ncols();
        let total = (rows.generated.nrows() + rows.held_out.nrows()) as u64;
        let counter = Counter::new(|done| {
            tell(Progress { space: number, step: Step::Distances, done, total });
        });
        let near = |rows: &Array2<f32>, real: &Array2<f32>| {
            let k = self.audit.neighbours;
            nearest([rows, real], k, Among::Others, self.stop, &|done| counter.done(done))
        };
        let generated = near(&rows.generated, &rows.real)?;
        let held_out = near(&rows.held_out, &rows.real)?;
        let copies = self.copies(&generated, &held_out, index)?;
        let variety = self.variety(number, rows, tell)?;
        Ok(Space { name, dimensions, copies, variety })
    }

    fn copies(
        &self,
        generated: &[Vec<Near>],
        held_out: &[Vec<Near>],
        index: &Index,
    ) -> Result<Copies> {
        let of_generated = Closeness::of_each(generated);
        let of_held_out = Closeness::of_each(held_out);
        let counted = copies::count(&of_generated, &of_held_out, self.level)?;
        let mut suspects: Vec<Pair> = of_generated
            .iter()
            .zip(generated)
            .enumerate()
            .filter(|(_, (closeness, _))| closeness.relative < counted.below)
            .map(|(row, (closeness, near))| Pair {
                index: index.generated[row],
                real: index.real[near[0].row],
                distance: closeness.distance,
                relative: closeness.relative,
            })
            .collect();
        suspects.sort_by(|a, b| a.relative.total_cmp(&b.relative).then(a.index.cmp(&b.index)));
        let count = suspects.len();
        suspects.truncate(PAIRS);
        let [of_generated, of_held_out] = counted.spreads;
        Ok(Copies {
            neighbours: self.audit.neighbours,
            generated: of_generated,
            held_out: of_held_out,
            closer: counted.closer,
            level: self.level,
            alarm: counted.alarm,
            suspects: count,
            closest: suspects,
        })
    }

    fn variety(&self, number: usize, rows: Rows, tell: Tell<'_>) -> Result<Variety> {
        let sizes = [&rows.generated, &rows.real, &rows.held_out].map(|rows| rows.nrows());
        let images = sizes.into_iter().min().unwrap_or(0).min(MAX_VARIETY);
        // Drawn, as the first may be of one class.
        let some = |rows: Array2<f32>| {
            let order = Order::new(self.audit.seed, 1, rows.nrows() as u64);
            rows.select(Axis(0), &drawn(&order, 0..images as u64))
        };
        let (generated, real, held_out) =
            (some(rows.generated), some(rows.real), some(rows.held_out));
        // Three searches, two comparisons both ways.
        let total = 7 * images as u64;
        let counter =
            Counter::new(|done| tell(Progress { space: number, step: Step::Variety, done, total }));
        let done = |rows: usize| counter.done(rows);
        let (stop, k) = (self.stop, self.audit.neighbours);
        // One search serves balls and duplicates.
        let most = k.max(DENSITY_NEIGHBOURS);
        let among = |rows| nearest([rows, rows], most, Among::Themselves, stop, &done);
        let [mut near_generated, mut near_real, near_held_out] =
            [among(&generated)?, among(&real)?, among(&held_out)?];
        let of_generated = Balls::around(&generated, &near_generated);
        let of_real = Balls::around(&real, &near_real);
        let of_held_out = Balls::around(&held_out, &near_held_out);
        let moments = Moments::of(&real)?;
        let measures = |rows: &Array2<f32>, manifold: Manifold| -> Result<Measures> {
            Ok(Measures {
                manifold,
                frechet_distance: moments.distance(&Moments::of(rows)?),
                vendi_score: vendi::score(rows, moments.mean()),
            })
        };
        let both = near_generated.iter_mut().chain(&mut near_real);
        both.for_each(|near| near.truncate(k));
        Ok(Variety {
            images,
            generated: measures(&generated, compare(&of_generated, &of_real, stop, &done)?)?,
            held_out: measures(&held_out, compare(&of_held_out, &of_real, stop, &done)?)?,
            duplicates: duplicates(&generated, &near_generated, &near_real, self.level)?,
        })
    }
}

/// The rows that stand at some places of an order, in rising order.
fn drawn(order: &Order, places: Range<u64>) -> Vec<usize> {
    let at = |place: u64| usize::try_from(order.get(place)).unwrap_or(usize::MAX);
    let mut rows: Vec<usize> = places.map(at).collect();
    rows.sort_unstable();
    rows
}
