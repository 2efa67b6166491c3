//! `genset bench`: images a second against the ceiling, and against what is read from disk.

use std::path::PathBuf;
use std::time::Duration;

use clap::ArgGroup;

use super::bench_against;
use super::common::{
    ExecutionArgs, LoaderArgs, bytes, on_interrupt, print, print_json, progress, thousands,
};
use super::inspect_rewrites;
use crate::bench::{self, Measured, Occupancy, Report, Settings};
use crate::error::Result;
use crate::load::{CacheStatistics, Monitor, Stage};

/// Measure images a second against the bare generator, and against reading from disk
///
/// Rounds of the loader and of its ceiling (the same sessions in a tight loop) alternate; medians
/// are reported. Stored images have no generator, and no ceiling.
///
/// With --exports or --against, the stream and everything that it is compared with take turns in one
/// process, and a table says who delivers more images a second, what that takes, and from which
/// epoch on storing images costs less than generating them anew each time.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("rivals").args(["against", "exports"]).multiple(true)))]
pub(super) struct BenchArgs {
    /// A recipe, builtin:NAME, or stored images
    recipe: PathBuf,
    /// Compare with this too: shards, a folder of images, tar, IDX or NumPy files, another recipe;
    /// images of another size are brought to the recipe's
    #[arg(long, value_name = "PATH", help_heading = "Comparison")]
    pub against: Vec<PathBuf>,
    /// Compare with the recipe's own first samples, written as raw safetensors shards, raw MDS, a
    /// WebDataset of JPEG, a folder of JPEG and one of PNG, and read back
    #[arg(long, help_heading = "Comparison")]
    pub exports: bool,
    /// How many samples --exports writes [default: what takes seconds, and 256 MiB at most as raw
    /// images; or what the folder has]
    #[arg(long, value_name = "N", requires = "exports", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Comparison")]
    pub samples: Option<u64>,
    /// Where --exports writes to, to be kept and used again [default: a temporary folder]
    #[arg(long, value_name = "DIR", requires = "exports", help_heading = "Comparison")]
    pub folder: Option<PathBuf>,
    /// Draw the comparison
    #[arg(long, value_name = "SVG", requires = "rivals", help_heading = "Comparison")]
    pub plot: Option<PathBuf>,
    /// Rounds of each kind
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Seconds a round takes
    #[arg(long, default_value_t = 2.0, value_parser = positive)]
    seconds: f64,
    /// Milliseconds the consumer sleeps for each batch, as a training step would let it
    #[arg(long, default_value_t = 0.0, value_parser = not_negative, value_name = "MS")]
    consumer: f64,
    /// Serve live statistics for Prometheus at this loopback address, such as 127.0.0.1:9090
    #[cfg(feature = "metrics")]
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<std::net::SocketAddr>,
    #[command(flatten)]
    pub loader: LoaderArgs,
    #[command(flatten)]
    pub execution: ExecutionArgs,
}

fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=86_400_000.0).contains(&value) => Ok(value),
        _ => Err("must be a number, 0 or more".into()),
    }
}

pub(super) fn positive(text: &str) -> Result<f64, String> {
    not_negative(text).and_then(|v| if v > 0.0 { Ok(v) } else { Err("must be more than 0".into()) })
}

pub(super) fn run(args: &BenchArgs, json: bool) -> Result<()> {
    let stop = on_interrupt();
    let dataset = args.execution.open(&args.recipe)?;
    let line_up = bench_against::named(args).open(&dataset, &args.execution.options())?;
    let settings = Settings {
        rounds: usize::from(args.rounds),
        round: Duration::from_secs_f64(args.seconds),
        consumer: Duration::from_secs_f64(args.consumer / 1e3),
    };
    let monitor = Monitor::new();
    #[cfg(feature = "metrics")]
    let _server = match args.metrics {
        Some(address) => Some(crate::metrics::serve(address, monitor.clone())?),
        None => None,
    };
    let bar = progress(0, "rounds");
    let report = bench::run(
        &dataset,
        &|builder| args.loader.set_up(builder).monitor(monitor.clone()),
        &settings,
        &stop,
        &mut |done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
            let now = monitor.statistics();
            bar.set_message(format!(
                "{} images/s, limited by {}",
                thousands(now.recent_images_per_second),
                now.limiting_stage().name()
            ));
        },
    );
    bar.finish_and_clear();
    let report = report?;
    let run = |line_up| bench_against::run(line_up, args, &dataset, &report, &settings, &stop);
    let comparison = line_up.map(run).transpose()?;
    if json {
        return print_json(&Measured { report, comparison });
    }
    let mut text = table(&report);
    if let Some(comparison) = &comparison {
        text.push('\n');
        text += &bench_against::table(comparison, args.folder.as_deref());
    }
    print(&text)
}

/// The report for people.
pub(super) fn table(report: &Report) -> String {
    let (wait, stages) = (&report.wait_ms, &report.microseconds_an_image);
    let (shares, queues) = (&report.shares, &report.occupancy);
    let advice = Stage::ALL.iter().find(|stage| stage.name() == report.limiting_stage);
    let of = |queue: &Occupancy| format!("{:.1} of {}", queue.mean, queue.room);
    let memory = report.peak_rss_bytes.map_or_else(|| "unknown".into(), bytes);
    format!(
        "\
delivered     {:>12} images/s   {}/s
{}wait          {:>12.2} ms         median; 95 % {:.2}, 99 % {:.2}
first batch   {:>12.0} ms
{}limited by    {:>12}            {}
stages        {:>12}            µs an image: latents {:.2}, generator {:.2}, views {:.2}
waiting       {:>12.1} %         the consumer; workers {:.1} %, planner {:.1} % for room, {:.1} % for workers
queues        {:>12}            batches ready; jobs {}, events {}, samples under way {}
peak memory   {:>12}
settings      batch {}, {} view(s), {}{} worker(s), prefetch {}{}
",
        thousands(report.images_per_second),
        bytes_rate(report.bytes_per_second),
        ceiling(report).unwrap_or_default(),
        wait.p50,
        wait.p95,
        wait.p99,
        report.first_batch_ms,
        report.cache.map_or_else(String::new, |cache| echoes(report.unique_ratio, &cache)),
        report.limiting_stage,
        advice.map_or("", |stage| stage.advice()),
        "",
        stages.latents,
        stages.generator,
        stages.views,
        shares.consumer_waited * 100.0,
        shares.workers_idle * 100.0,
        shares.planner_blocked * 100.0,
        shares.planner_ahead * 100.0,
        of(&queues.ready),
        of(&queues.jobs),
        of(&queues.events),
        of(&queues.window),
        memory,
        report.batch,
        report.views,
        report.block.map_or_else(String::new, |block| format!("block {block}, ")),
        report.workers,
        report.prefetch,
        report.runtime.as_ref().map_or_else(String::new, |version| {
            let rewrites = inspect_rewrites::summary(&report.rewrites);
            format!(", ONNX Runtime {version}\nrewrites      {rewrites}")
        }),
    )
}

/// What only a generator has.
fn ceiling(report: &Report) -> Option<String> {
    Some(format!(
        "\
generated     {:>12} images/s
ceiling       {:>12} images/s   the bare generator, {} session(s)
efficiency    {:>12.1} %
",
        thousands(report.generated_images_per_second?),
        thousands(report.ceiling_images_per_second?),
        report.workers,
        report.efficiency? * 100.0,
    ))
}

/// What came of `[cache]`.
fn echoes(unique_ratio: f64, cache: &CacheStatistics) -> String {
    format!(
        "\
unique        {:>12.1} %          of the samples; the others come again
cache         {:>12} blocks     from it ({} from disk); {} generated, {} of them again; holds {}, {} on disk
",
        unique_ratio * 100.0,
        cache.hits,
        cache.hits_on_disk,
        cache.misses,
        cache.regenerated,
        bytes(cache.memory_bytes),
        bytes(cache.disk_bytes),
    )
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn bytes_rate(bytes_per_second: f64) -> String {
    bytes(bytes_per_second as u64)
}
