//! What a loader tells `tracing`: every block with its samples, what was done for it and where,
//! every batch, beginning and end.
//!
//! One test in a file of its own: the subscriber is that of the whole process.

mod common;

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use common::{DIGITS, open};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// A span or an event.
#[derive(Debug, Default, Clone)]
struct Told {
    name: String,
    parent: Option<String>,
    fields: HashMap<&'static str, String>,
}

impl Told {
    fn number(&self, field: &str) -> u64 {
        self.fields[field].parse().unwrap()
    }
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }
}

#[derive(Debug, Clone, Default)]
struct Ear {
    /// Spans that have ended.
    spans: Arc<Mutex<Vec<Told>>>,
    events: Arc<Mutex<Vec<Told>>>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Ear {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let parent = span.parent().map(|parent| parent.name().to_owned());
        let mut told = Told { name: span.name().to_owned(), parent, ..Told::default() };
        attributes.record(&mut told);
        span.extensions_mut().insert(told);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        values.record(span.extensions_mut().get_mut::<Told>().unwrap());
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut told = Told::default();
        event.record(&mut told);
        told.name = told.fields["message"].clone();
        self.events.lock().unwrap().push(told);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let told = context.span(&id).unwrap().extensions().get::<Told>().unwrap().clone();
        self.spans.lock().unwrap().push(told);
    }
}

#[test]
fn a_subscriber_sees_blocks_calls_views_and_batches() {
    let ear = Ear::default();
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(ear.clone()))
        .unwrap();
    let dataset = open(DIGITS, &["generator.block=8"]);
    let loader = dataset.loader().batch(10).workers(2).rank(0, 1).range(4..40).build().unwrap();
    assert_eq!(loader.map(|batch| batch.unwrap().len()).sum::<usize>(), 36);

    let spans = ear.spans.lock().unwrap();
    let named = |name: &str| spans.iter().filter(|s| s.name == name).cloned().collect::<Vec<_>>();
    let ranges = |spans: Vec<Told>| {
        let mut ranges: Vec<_> =
            spans.iter().map(|span| (span.number("start"), span.number("end"))).collect();
        ranges.sort_unstable();
        ranges
    };
    let blocks = named("block");
    assert!(blocks.iter().all(|block| block.number("worker") < 2 && block.number("epoch") == 0));
    assert_eq!(ranges(blocks), [(4, 8), (8, 16), (16, 24), (24, 32), (32, 40)]);
    for (name, parent) in [("generator", "block"), ("views", "generator")] {
        let spans = named(name);
        assert_eq!(spans.len(), 5, "{name}");
        assert!(spans.iter().all(|span| span.parent.as_deref() == Some(parent)), "{name}");
    }
    let batches = named("batch").into_iter().filter(|batch| !batch.fields.is_empty()).collect();
    assert_eq!(ranges(batches), [(4, 14), (14, 24), (24, 34), (34, 40)]);

    let events = ear.events.lock().unwrap();
    let told = |name: &str| events.iter().find(|event| event.name == name).cloned();
    let start = told("a loader starts").expect("a start");
    assert_eq!((start.number("workers"), start.number("batch"), start.number("block")), (2, 10, 8));
    let end = told("a loader ends").expect("an end");
    assert_eq!((end.number("epoch"), end.number("next")), (0, 40));
    assert!(told("a worker failed").is_none());
}
