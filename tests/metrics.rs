//! What Prometheus sees of a loader.
#![cfg(feature = "metrics")]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;

use common::{DIGITS, open};
use genset::load::Monitor;
use genset::metrics;

/// The value of a metric.
#[track_caller]
fn value(page: &str, metric: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {metric} in {page}")).parse().unwrap()
}

fn page(server: &metrics::Server) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_loader_is_seen_while_it_runs() {
    let monitor = Monitor::new();
    let server = metrics::serve(([127, 0, 0, 1], 0).into(), monitor.clone()).unwrap();
    assert_eq!(value(&page(&server), "genset_images_total"), 0.0);

    let dataset = open(DIGITS, &[]);
    let loader = dataset.loader().batch(32).workers(2).rank(0, 1).monitor(monitor.clone());
    let mut loader = loader.build().unwrap();
    for _ in 0..5 {
        loader.next().unwrap().unwrap();
    }
    let page = page(&server);
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(body.ends_with("# EOF\n"), "{body}");
    assert!(body.contains("# TYPE genset_images counter\n"), "{body}");
    assert_eq!(value(body, "genset_samples_total"), 160.0);
    assert_eq!(value(body, "genset_images_total"), 320.0);
    assert_eq!(value(body, "genset_batches_total"), 5.0);
    assert_eq!(value(body, "genset_workers"), 2.0);
    assert!(value(body, "genset_generator_calls_total") >= 5.0);
    assert!(value(body, "genset_stage_seconds_total{stage=\"generator\"}") > 0.0);
    assert!(value(body, "genset_waiting_seconds_total{who=\"consumer_for_batches\"}") > 0.0);
    let window = value(body, "genset_queue_capacity{queue=\"window\"}");
    assert!(value(body, "genset_queue_length{queue=\"window\"}") <= window);
    let limit = monitor.statistics().limiting_stage().name();
    assert_eq!(value(body, &format!("genset_limiting_stage{{stage=\"{limit}\"}}")), 1.0);
}
