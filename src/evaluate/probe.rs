//! The probe: an encoder, training and test images in, a report out.

use std::ops::Range;

use super::classes::Classes;
use super::counter::Counter;
use super::encoder::{self, Encoding, Ends, RawPixels};
use super::extract::{Featurise, Wanted, extract, range, source_settings, workers};
use super::features::{Features, standardise};
use super::interval::Accuracy;
use super::linear::{self, Regularisation, STRENGTHS};
use super::neighbours;
use super::report::{
    Baseline, Class, Data, Differences, LinearOutcome, NeighbourOutcome, Outcome, Report,
};
use crate::error::{Error, Kind, Result, ResultExt};
use crate::graph::{EncoderInput, Model};
use crate::load::{Dataset, Options, Stop};

/// Neighbours that vote, as in the papers.
pub const NEIGHBOURS: usize = 20;

/// Bytes that features may take.
pub const FEATURE_MEMORY: u64 = 4 << 30;

/// How an encoder is probed. What is open after [`Probe::default`] are the fields.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)]
pub struct Probe {
    /// What values the encoder expects. Default: as its file says, or intensities in `[0, 1]`.
    pub input: Option<EncoderInput>,
    /// The output that features are read from. Default: the first.
    pub output: Option<String>,
    /// The linear probe. Default: regularisation chosen on a part of the training images.
    pub linear: Option<Regularisation>,
    /// Neighbours that vote. Default [`NEIGHBOURS`].
    pub neighbours: Option<usize>,
    /// Whether raw pixels and the encoder with random parameters are probed too. Default yes.
    pub baselines: bool,
    /// At most so many training images, the first. Default: all.
    pub limit: Option<u64>,
    /// At most so many test images, the first. Default: all.
    pub test_limit: Option<u64>,
    /// Draws the split and the random parameters. Default 0.
    pub seed: u64,
    /// Images of a call of the encoder, where its file does not fix that. Default 256.
    pub batch: usize,
    /// Sessions of the encoder, each on its own thread. Default: one a core, divided by the threads
    /// inside a call. Changes no result.
    pub workers: Option<usize>,
    /// Bytes that the features of training and test images may take together; they are in memory,
    /// those of one encoder at a time. Default [`FEATURE_MEMORY`].
    pub memory: u64,
}

impl Default for Probe {
    fn default() -> Self {
        Self {
            input: None,
            output: None,
            linear: Some(Regularisation::Chosen),
            neighbours: Some(NEIGHBOURS),
            baselines: true,
            limit: None,
            test_limit: None,
            seed: 0,
            batch: 256,
            workers: None,
            memory: FEATURE_MEMORY,
        }
    }
}

/// How far a probe has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Whose features: `encoder`, `raw pixels`, `random encoder`.
    pub of: &'static str,
    /// What is being done.
    pub step: Step,
    /// So much of it is done.
    pub done: u64,
    /// Of so much.
    pub total: u64,
}

/// A step of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Features of the training images; counts images.
    Train,
    /// Features of the test images; counts images.
    Test,
    /// Nearest neighbours; counts test images.
    Neighbours,
    /// The linear probe; counts strengths of regularisation.
    Linear,
}

/// What is told how far a probe has come.
pub type Tell<'a> = &'a mut (dyn FnMut(Progress) + Send);

/// Two datasets that fit each other.
struct Pair<'a> {
    train: (&'a Dataset, Range<u64>),
    test: (&'a Dataset, Range<u64>),
    image: [usize; 3],
}

impl Probe {
    /// Probes `encoder` on two datasets that are open. The same bytes give the same report on the
    /// same machine, whatever the number of threads. `options` says where the encoder runs.
    ///
    /// # Errors
    /// - [`Kind::Argument`] if the datasets have no labels, other classes, other images than each
    ///   other or the encoder, are the same, or have no end; with what to set.
    /// - [`Kind::Limit`] if the features take more than [`Probe::memory`].
    /// - [`Kind::Model`] if the encoder is none.
    /// - [`Kind::Sample`] with the index of an image without a label or with features that are not
    ///   finite, and those of the loader and the runtime.
    pub fn run(
        &self,
        encoder: &Model,
        [train, test]: [&Dataset; 2],
        options: &Options,
        stop: &Stop,
        tell: Tell<'_>,
    ) -> Result<Report> {
        let Ends { input, output } =
            Ends::of(encoder, self.input.as_ref(), self.output.as_deref())?;
        let pair = self.pair(train, test)?;
        let workers = match self.workers {
            Some(0) => return Err(Error::new(Kind::Argument, "a probe needs at least one worker")),
            asked => workers(asked, options),
        };
        if self.batch == 0 {
            return Err(Error::new(Kind::Argument, "a batch of no images"));
        }
        let encoding =
            Encoding { model: encoder, input: &input, output: &output, batch: self.batch, options };
        let run = Run { probe: self, pair: &pair, stop };

        let makers = encoder::open(&encoding, pair.image, workers)?;
        let (features, images, classes) = run.outcome("encoder", makers, tell)?;
        let mut baselines = Vec::new();
        if self.baselines {
            let raw = || Box::new(RawPixels::new(pair.image)) as Box<dyn Featurise>;
            let makers = (0..workers).map(|_| raw()).collect();
            let (outcome, ..) = run.outcome("raw pixels", makers, tell)?;
            baselines.push(baseline("raw pixels", outcome, &features, Vec::new()));

            let random = encoder.initialised(self.seed).map_err(|error| {
                error.help("--no-baselines does without a random encoder to compare with")
            })?;
            let encoding = Encoding { model: &random.model, ..encoding };
            let makers = encoder::open(&encoding, pair.image, workers)?;
            let (outcome, ..) = run.outcome("random encoder", makers, tell)?;
            baselines.push(baseline("random encoder", outcome, &features, random.kept));
        }
        let data = |dataset: &Dataset, images| Data {
            name: dataset.name().to_owned(),
            digest: dataset.digest().to_string(),
            images,
        };
        Ok(Report {
            encoder: encoder.name().to_owned(),
            input,
            output,
            train: data(train, images[0]),
            test: data(test, images[1]),
            classes,
            seed: self.seed,
            features,
            baselines,
        })
    }

    /// How well classes can be told from features that are there already. Those of the training
    /// images are not used otherwise than by a classifier.
    ///
    /// # Errors
    /// [`Kind::Argument`] for one class only, test classes that training has not, more neighbours
    /// than images, features of unlike lengths; [`Kind::Interrupted`].
    pub fn judge(
        &self,
        train: Features,
        test: Features,
        stop: &Stop,
        tell: Tell<'_>,
    ) -> Result<Outcome> {
        self.judged("features", [train, test], stop, tell).map(|(outcome, _)| outcome)
    }

    fn judged(
        &self,
        of: &'static str,
        [mut train, mut test]: [Features; 2],
        stop: &Stop,
        tell: Tell<'_>,
    ) -> Result<(Outcome, Classes)> {
        let dimensions = train.values().ncols();
        if test.values().ncols() != dimensions {
            let message = format!(
                "{dimensions} features of training images, {} of test images",
                test.values().ncols()
            );
            return Err(Error::new(Kind::Argument, message));
        }
        let classes = Classes::of(train.labels())?;
        let learnt = classes.numbers(train.labels())?;
        let wanted = classes.numbers(test.labels())?;
        let count = classes.len();
        let right =
            |told: &[u32]| -> Vec<bool> { told.iter().zip(&wanted).map(|(a, b)| a == b).collect() };

        let knn = match self.neighbours {
            None => None,
            Some(k) if k == 0 || k > learnt.len() => {
                let message = format!("{k} neighbours among {} training images", learnt.len());
                return Err(Error::new(Kind::Argument, message).help("choose another --k"));
            }
            Some(k) => {
                let total = wanted.len() as u64;
                let counter = Counter::new(|done| {
                    tell(Progress { of, step: Step::Neighbours, done, total });
                });
                let told = neighbours::classify(
                    [train.values(), test.values()],
                    &learnt,
                    count,
                    k,
                    stop,
                    &|rows| counter.done(rows),
                )?;
                let right = right(&told);
                let accuracy = Accuracy::of_list(&right);
                let classes = by_class(&right, &wanted, count);
                Some(NeighbourOutcome { k, accuracy, classes, right })
            }
        };

        let linear = match self.linear {
            None => None,
            Some(Regularisation::Fixed(l2)) if !(l2.is_finite() && l2 > 0.0) => {
                let message = format!("regularisation of {l2}: it must be more than 0");
                return Err(Error::new(Kind::Argument, message));
            }
            Some(how) => {
                standardise(train.values_mut(), &mut [test.values_mut()]);
                let mut step = |done: usize, total: usize| {
                    tell(Progress {
                        of,
                        step: Step::Linear,
                        done: done as u64,
                        total: total as u64,
                    });
                };
                let fitted =
                    linear::fit(train.values(), &learnt, count, how, self.seed, stop, &mut step)?;
                let right = right(&fitted.classify(test.values()));
                let l2_at_the_end = matches!(how, Regularisation::Chosen)
                    && [STRENGTHS[0], STRENGTHS[STRENGTHS.len() - 1]].contains(&fitted.l2);
                Some(LinearOutcome {
                    accuracy: Accuracy::of_list(&right),
                    classes: by_class(&right, &wanted, count),
                    l2: fitted.l2,
                    l2_at_the_end,
                    tried: fitted.tried,
                    held_out: fitted.held_out,
                    passes: fitted.passes,
                    converged: fitted.converged,
                    right,
                })
            }
        };
        Ok((Outcome { dimensions, linear, knn }, classes))
    }

    /// Checks that the datasets are ones to learn from and to test on.
    fn pair<'a>(&self, train: &'a Dataset, test: &'a Dataset) -> Result<Pair<'a>> {
        let image = form(train).at(|| format!("training images {}", train.name()))?;
        let other = form(test).at(|| format!("test images {}", test.name()))?;
        if image != other {
            let message = format!("training images are {image:?}, test images {other:?}");
            return Err(Error::new(Kind::Argument, message).help(source_settings(image)));
        }
        if train.digest() == test.digest() {
            let message = format!("training and test images are the same: {}", test.name());
            return Err(Error::new(Kind::Argument, message).help(
                "a folder of MNIST's or CIFAR's files stands for its training images: name the \
                 file of test images, such as t10k-images-idx3-ubyte or test_batch.bin",
            ));
        }
        let (a, b) = (train.classes(), test.classes());
        if !a.is_empty() && !b.is_empty() && a != b {
            let message = format!(
                "training and test images have other classes: {} ({}) and {} ({})",
                a.len(),
                listed(a),
                b.len(),
                listed(b)
            );
            let help =
                "labels are places in the sorted list of classes: both need the same folders";
            return Err(Error::new(Kind::Argument, message).help(help));
        }
        let range = |dataset: &Dataset, limit: Option<u64>, what: &str, flag: &str| {
            let range = range(dataset, limit, what, &format!("{flag} N takes the first N"))?;
            if range.is_empty() {
                let message = format!("there are no {what} images in {}", dataset.name());
                return Err(Error::new(Kind::Argument, message));
            }
            Ok(range)
        };
        Ok(Pair {
            train: (train, range(train, self.limit, "training", "--limit")?),
            test: (test, range(test, self.test_limit, "test", "--test-limit")?),
            image,
        })
    }
}

/// What is the same for the encoder and its baselines.
struct Run<'a> {
    probe: &'a Probe,
    pair: &'a Pair<'a>,
    stop: &'a Stop,
}

impl Run<'_> {
    /// Features by `makers`, and how well classes are told from them; with the numbers of images.
    fn outcome(
        &self,
        of: &'static str,
        mut makers: Vec<Box<dyn Featurise>>,
        tell: Tell<'_>,
    ) -> Result<(Outcome, [usize; 2], Vec<Class>)> {
        let Pair { train, test, .. } = self.pair;
        let width = makers.first().map_or(0, |maker| maker.width()) as u64;
        let images = [train, test].iter().map(|(_, range)| range.end - range.start).sum::<u64>();
        let bytes = images.saturating_mul(width).saturating_mul(4);
        if bytes > self.probe.memory {
            let message = format!(
                "{of}: {width} features of {images} images take {bytes} bytes, and {} are allowed",
                self.probe.memory
            );
            return Err(Error::new(Kind::Limit, message)
                .help("--memory MIB allows more, --limit N takes fewer images"));
        }
        let mut features = |(dataset, range): &(&Dataset, Range<u64>),
                            step: Step|
         -> Result<Features> {
            let wanted = Wanted {
                dataset,
                samples: range,
                labelled: true,
                batch: self.probe.batch,
                stop: self.stop,
            };
            let total = range.end - range.start;
            let extracted =
                extract(&wanted, &mut makers, &mut |done| tell(Progress { of, step, done, total }));
            Ok(extracted?.features)
        };
        let both = [features(train, Step::Train)?, features(test, Step::Test)?];
        drop(makers);
        let counts = [both[0].labels().len(), both[1].labels().len()];
        let (outcome, classes) =
            self.probe.judged(of, both, self.stop, tell).at(|| of.to_owned())?;
        Ok((outcome, counts, classes.named(train.0.classes())))
    }
}

/// `[C, H, W]` of a dataset with labels and one view a sample.
fn form(dataset: &Dataset) -> Result<[usize; 3]> {
    if !dataset.has_labels() {
        let help =
            "a probe needs classes: a folder for each, or a file of labels beside the images";
        return Err(Error::new(Kind::Argument, "they have no labels").help(help));
    }
    match &dataset.forms()[..] {
        [group] if group.views == 1 => {
            let form = group.form;
            Ok([form.channels, form.height, form.width])
        }
        _ => {
            let message = format!("there are {} views of each", dataset.views());
            Err(Error::new(Kind::Argument, message)
                .help("a probe looks at one: --set views.count=1"))
        }
    }
}

fn baseline(
    name: &'static str,
    outcome: Outcome,
    encoder: &Outcome,
    kept: Vec<String>,
) -> Baseline {
    let difference = Differences::of(encoder, &outcome);
    Baseline { name, outcome, difference, kept }
}

/// The accuracy of each class.
fn by_class(right: &[bool], classes: &[u32], count: usize) -> Vec<Option<Accuracy>> {
    let mut counts = vec![(0, 0); count];
    for (right, class) in right.iter().zip(classes) {
        let (correct, of) = &mut counts[*class as usize];
        *correct += usize::from(*right);
        *of += 1;
    }
    counts.into_iter().map(|(correct, of)| (of > 0).then(|| Accuracy::new(correct, of))).collect()
}

fn listed(names: &[String]) -> String {
    let more = if names.len() > 4 { ", …" } else { "" };
    names[..names.len().min(4)].join(", ") + more
}
