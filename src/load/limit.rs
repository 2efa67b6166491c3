//! Which stage limits a loader, and what to do about it.
//!
//! From the last stage to the first, each rule asks whether a stage is waited for, so the first
//! that holds names the one that nobody behind it holds up:
//!
//! | rule | verdict |
//! |---|---|
//! | no batch was delivered yet | unclear |
//! | the consumer waits for less than 10 % of its time | consumer |
//! | workers are idle for less than 25 % of theirs, and no generator was ever called | reading |
//! | workers are idle for less than 25 % of theirs, and spend more on views than on the generator | views |
//! | workers are idle for less than 25 % of theirs | generator |
//! | the planner is blocked for more than 50 % of its time: it may plan no more, and yet the consumer waits | window |
//! | the planner draws for more than 50 % of its time | latents |
//! | none of these | unclear |
//!
//! `docs/statistics.md` holds the same table, with what to do.

use std::time::Duration;

use super::statistics::Statistics;

/// What limits a loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Drawing latents and labels.
    Latents,
    /// Generator calls.
    Generator,
    /// Reading stored samples, and making views of them.
    Reading,
    /// Turning what the generator made into what is delivered.
    Views,
    /// The consumer of the batches.
    Consumer,
    /// Too few samples may be under way to keep all workers busy.
    Window,
    /// Nothing clear: too early to tell, or several stages hold each other up in turn.
    Unclear,
}

/// Parts of its time, in per cent, for which the consumer waits, a worker is idle, the planner does
/// one thing: from where on it says something.
const CONSUMER_WAITS: u32 = 10;
const WORKERS_IDLE: u32 = 25;
const PLANNER_MOSTLY: u32 = 50;

impl Stage {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Latents,
        Self::Generator,
        Self::Reading,
        Self::Views,
        Self::Consumer,
        Self::Window,
        Self::Unclear,
    ];

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Latents => "latents",
            Self::Generator => "generator",
            Self::Reading => "reading",
            Self::Views => "views",
            Self::Consumer => "consumer",
            Self::Window => "window",
            Self::Unclear => "unclear",
        }
    }

    /// What makes a loader faster that is limited by it.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Latents => "one thread draws all latents: fewer latent ops or smaller inputs",
            Self::Generator => "what `genset tune` finds, a faster provider, or echoes",
            Self::Reading => "raw shards instead of encoded images, more workers, faster storage",
            Self::Views => "cheaper pixel ops, or view threads on free cores",
            Self::Consumer => "nothing: batches are ready when they are asked for",
            Self::Window => "more prefetch or memory, or a smaller block",
            Self::Unclear => "measure for longer, or with a steadier consumer",
        }
    }
}

pub(super) fn of(statistics: &Statistics) -> Stage {
    let s = statistics;
    if s.batches == 0 || s.elapsed.is_zero() {
        return Stage::Unclear;
    }
    let all_workers = s.elapsed * u32::try_from(s.workers).unwrap_or(1);
    if !at_least(s.consumer_waited, CONSUMER_WAITS, s.elapsed) {
        Stage::Consumer
    } else if !at_least(s.workers_idle, WORKERS_IDLE, all_workers) {
        match (s.generator.is_zero(), s.views > s.generator) {
            (true, true) => Stage::Reading,
            (false, true) => Stage::Views,
            (_, false) => Stage::Generator,
        }
    } else if at_least(s.planner_blocked, PLANNER_MOSTLY, s.elapsed) {
        Stage::Window
    } else if at_least(s.latents, PLANNER_MOSTLY, s.elapsed) {
        Stage::Latents
    } else {
        Stage::Unclear
    }
}

fn at_least(part: Duration, per_cent: u32, whole: Duration) -> bool {
    part * 100 >= whole * per_cent
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten seconds of two workers that a generator keeps busy.
    fn busy() -> Statistics {
        let s = Duration::from_secs;
        Statistics {
            elapsed: s(10),
            workers: 2,
            latents: s(1),
            planner_blocked: s(1),
            planner_ahead: s(8),
            generator: s(18),
            views: s(1),
            workers_idle: s(1),
            consumer_waited: s(9),
            batches: 100,
            ..Statistics::default()
        }
    }

    #[track_caller]
    fn assert_limit(stage: Stage, change: impl Fn(&mut Statistics)) {
        let mut statistics = busy();
        change(&mut statistics);
        assert_eq!(of(&statistics), stage, "{statistics:?}");
    }

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn nothing_is_said_before_the_first_batch() {
        assert_limit(Stage::Unclear, |s| s.batches = 0);
        assert_eq!(of(&Statistics::default()), Stage::Unclear);
    }

    #[test]
    fn a_consumer_that_hardly_waits_is_the_limit_whatever_the_others_do() {
        assert_limit(Stage::Consumer, |s| s.consumer_waited = ms(999));
        assert_limit(Stage::Generator, |s| s.consumer_waited = ms(1000));
        assert_limit(Stage::Consumer, |s| {
            (s.consumer_waited, s.planner_blocked, s.workers_idle) = (ms(0), ms(9000), ms(19_000));
        });
    }

    #[test]
    fn busy_workers_are_the_limit_by_what_they_do() {
        assert_limit(Stage::Generator, |_| {});
        assert_limit(Stage::Views, |s| (s.generator, s.views) = (ms(9000), ms(9001)));
        assert_limit(Stage::Reading, |s| (s.generator, s.views) = (ms(0), ms(19_000)));
        assert_limit(Stage::Generator, |s| (s.generator, s.views) = (ms(9000), ms(9000)));
        // A quarter of the time of both.
        assert_limit(Stage::Generator, |s| s.workers_idle = ms(4999));
        assert_limit(Stage::Unclear, |s| s.workers_idle = ms(5000));
    }

    #[test]
    fn idle_workers_and_a_blocked_planner_mean_that_the_window_is_too_small() {
        let blocked = |s: &mut Statistics, blocked| {
            (s.workers_idle, s.planner_blocked, s.planner_ahead) = (ms(8000), blocked, ms(0));
        };
        assert_limit(Stage::Window, |s| blocked(s, ms(5000)));
        assert_limit(Stage::Unclear, |s| blocked(s, ms(4999)));
    }

    #[test]
    fn idle_workers_and_a_busy_planner_mean_latents() {
        let drawing = |s: &mut Statistics, drawing| {
            (s.workers_idle, s.latents, s.planner_ahead) = (ms(8000), drawing, ms(0));
        };
        assert_limit(Stage::Latents, |s| drawing(s, ms(5000)));
        assert_limit(Stage::Unclear, |s| drawing(s, ms(4999)));
    }

    #[test]
    fn names_are_the_names_of_one_stage_each() {
        let mut names = Stage::ALL.map(Stage::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Stage::ALL.len());
    }
}
