//! A loader's statistics for Prometheus, over HTTP on loopback (feature `metrics`).
//!
//! In goes a [`Monitor`]; out comes, at `/metrics`, what it shows at the moment of each request, in
//! the [OpenMetrics] text format. [`Server`] ends at once when it is dropped. `docs/statistics.md`
//! lists the metrics.
//!
//! ```no_run
//! # fn main() -> genset::Result<()> {
//! let loader = genset::Dataset::open("builtin:digits")?.loader().build()?;
//! let server = genset::metrics::serve(([127, 0, 0, 1], 9090).into(), loader.monitor())?;
//! # Ok(())
//! # }
//! ```
//!
//! [OpenMetrics]: https://prometheus.io/docs/specs/om/open_metrics_spec/

use std::convert::Infallible;
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use tokio::sync::oneshot;

use crate::error::{Error, Kind, Result};
use crate::load::{Monitor, Occupancy, Stage};

const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// For a client to send its request; one that stays silent is let go.
const PATIENCE: Duration = Duration::from_secs(5);

/// An endpoint that is being served. Dropping it closes the port and every connection.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    /// Ends the thread when it is dropped.
    running: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

/// Serves what `monitor` shows at `http://ADDRESS/metrics`, on a thread of its own. Port 0 takes
/// any free one; [`Server::address`] says which.
///
/// # Errors
/// [`Kind::Argument`] for an address that other machines can reach: there is no password, so only
/// loopback is served. [`Kind::Io`] if the port is taken.
pub fn serve(address: SocketAddr, monitor: Monitor) -> Result<Server> {
    if !address.ip().is_loopback() {
        return Err(Error::new(
            Kind::Argument,
            format!("metrics are served on loopback alone, and {address} is not"),
        )
        .help("use 127.0.0.1 or [::1], and forward the port to see it from elsewhere"));
    }
    let failed = |e: std::io::Error| {
        Error::new(Kind::Io, format!("cannot serve metrics at {address}: {e}"))
            .because(e)
            .help("port 0 takes any that is free")
    };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(failed)?;
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape(monitor)));
    let (running, ended) = oneshot::channel::<Infallible>();
    let thread = Builder::new().name("genset-metrics".into()).spawn(move || {
        let _entered = runtime.enter();
        let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
        runtime.spawn(accept(listener, Arc::new(registry)));
        // What runs besides ends with the runtime.
        let _ = runtime.block_on(ended);
    });
    let thread = thread.map_err(failed)?;
    Ok(Server { address, running: Some(running), thread: Some(thread) })
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.running = None;
        if let Some(thread) = self.thread.take() {
            // A panic there is no reason for another here.
            let _ = thread.join();
        }
    }
}

async fn accept(listener: tokio::net::TcpListener, registry: Arc<Registry>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files, most likely: others may close some.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let registry = Arc::clone(&registry);
        let answer = service_fn(move |request| {
            let response = answer(&request, &registry);
            async { Ok::<_, Infallible>(response) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), answer);
        // A client that goes away half-way is its own affair.
        tokio::spawn(async { drop(connection.await) });
    }
}

fn answer(request: &Request<Incoming>, registry: &Registry) -> Response<String> {
    let mut response = Response::new(String::new());
    if request.uri().path() != "/metrics" {
        *response.status_mut() = StatusCode::NOT_FOUND;
        *response.body_mut() = "metrics are at /metrics\n".into();
    } else if !matches!(*request.method(), Method::GET | Method::HEAD) {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, "GET, HEAD".parse().expect("a header"));
    } else if text::encode(response.body_mut(), registry).is_err() {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    } else {
        response.headers_mut().insert(CONTENT_TYPE, TEXT.parse().expect("a header"));
    }
    response
}

/// Asks the monitor at every request.
#[derive(Debug)]
struct Scrape(Monitor);

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let s = self.0.statistics();
        let mut to = To(encoder);
        to.counter("genset_samples", "Samples delivered.", s.samples)?;
        to.counter("genset_images", "Images delivered.", s.images)?;
        to.counter("genset_batches", "Batches delivered.", s.batches)?;
        to.counter("genset_generator_calls", "Generator calls.", s.calls)?;
        let seconds = |named: &[(&'static str, Duration)]| {
            named.iter().map(|(name, time)| (*name, time.as_secs_f64())).collect::<Vec<_>>()
        };
        to.seconds(
            "genset_stage",
            "Thread time spent in each stage.",
            "stage",
            &seconds(&[
                ("latents", s.latents),
                ("generator", s.generator),
                ("views", s.views),
                ("hand_over", s.handing_over),
            ]),
        )?;
        to.seconds(
            "genset_waiting",
            "Thread time spent waiting.",
            "who",
            &seconds(&[
                ("planner_for_room", s.planner_blocked),
                ("planner_for_workers", s.planner_ahead),
                ("workers_for_jobs", s.workers_idle),
                ("consumer_for_batches", s.consumer_waited),
            ]),
        )?;
        let queues = |of: fn(&Occupancy) -> u64| s.queues.named().map(|(name, q)| (name, of(&q)));
        let (now, room) = (queues(|queue| queue.now), queues(|queue| queue.room));
        to.gauges("genset_queue_length", "What waits in each queue.", "queue", &now)?;
        to.gauges("genset_queue_capacity", "What each queue has room for.", "queue", &room)?;
        let limit = s.limiting_stage();
        let limits = Stage::ALL.map(|stage| (stage.name(), u64::from(stage == limit)));
        to.gauges("genset_limiting_stage", "1 for what limits the loader.", "stage", &limits)?;
        to.gauge("genset_workers", "Generator sessions.", s.workers as u64)
    }
}

/// The few kinds of metrics that there are.
struct To<'a>(DescriptorEncoder<'a>);

impl To<'_> {
    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let counter = ConstCounter::new(value);
        counter.encode(self.0.encode_descriptor(name, help, None, counter.metric_type())?)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let gauge = ConstGauge::new(value);
        gauge.encode(self.0.encode_descriptor(name, help, None, gauge.metric_type())?)
    }

    fn seconds(&mut self, name: &str, help: &str, label: &str, all: &[(&str, f64)]) -> fmt::Result {
        let kind = ConstCounter::new(0.0).metric_type();
        let mut encoder = self.0.encode_descriptor(name, help, Some(&Unit::Seconds), kind)?;
        all.iter().try_for_each(|(value, seconds)| {
            ConstCounter::new(*seconds).encode(encoder.encode_family(&[(label, *value)])?)
        })
    }

    fn gauges(&mut self, name: &str, help: &str, label: &str, all: &[(&str, u64)]) -> fmt::Result {
        let kind = ConstGauge::new(0u64).metric_type();
        let mut encoder = self.0.encode_descriptor(name, help, None, kind)?;
        all.iter().try_for_each(|(value, number)| {
            ConstGauge::new(*number).encode(encoder.encode_family(&[(label, *value)])?)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::Instant;

    use super::*;

    const ANY: &str = "127.0.0.1:0";

    fn ask(server: &Server, request: &str) -> String {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        write!(stream, "{request} HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn only_loopback_is_served_and_a_port_only_once() {
        for address in ["0.0.0.0:0", "192.0.2.1:9090", "[::]:0"] {
            let error = serve(address.parse().unwrap(), Monitor::new()).unwrap_err();
            assert_eq!(error.kind(), Kind::Argument, "{error}");
            assert!(error.to_string().contains("loopback"), "{error}");
        }
        let server = serve(ANY.parse().unwrap(), Monitor::new()).unwrap();
        let error = serve(server.address(), Monitor::new()).unwrap_err();
        assert_eq!(error.kind(), Kind::Io, "{error}");
    }

    #[test]
    fn what_is_not_there_is_said_so() {
        let server = serve(ANY.parse().unwrap(), Monitor::new()).unwrap();
        assert!(ask(&server, "GET /metrics").starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(ask(&server, "GET /").starts_with("HTTP/1.1 404 Not Found\r\n"));
        assert!(ask(&server, "POST /metrics").starts_with("HTTP/1.1 405 Method Not Allowed\r\n"));
    }

    #[test]
    fn it_ends_at_once_whoever_is_connected() {
        let server = serve(ANY.parse().unwrap(), Monitor::new()).unwrap();
        let address = server.address();
        let mut silent = TcpStream::connect(address).unwrap();
        let mut half = TcpStream::connect(address).unwrap();
        write!(half, "GET /metr").unwrap();
        std::thread::sleep(Duration::from_millis(50));
        let begun = Instant::now();
        drop(server);
        assert!(begun.elapsed() < Duration::from_millis(200), "{:?}", begun.elapsed());
        assert!(TcpStream::connect(address).is_err(), "the port is closed");
        // Both connections are: an end, or a reset.
        for stream in [&mut silent, &mut half] {
            assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
        }
    }
}
