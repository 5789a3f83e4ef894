//! A server inside a `LocalSet`, with its counters and readiness.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use daemon::counters::CounterRegistry;
use daemon::http::{HandlerState, HttpServer, Limits};
use daemon::metrics::{BuildInfo, Exposition, ProcessCounters};
use daemon::readiness::Readiness;
use tokio::task::{LocalSet, yield_now};
use tokio::time::timeout;

/// The bound of every wait: long enough for a busy machine.
pub(super) const TIMEOUT: Duration = Duration::from_secs(20);
pub(super) const SHORT: Duration = Duration::from_millis(100);

pub(super) fn handler_state(registry: &Arc<Mutex<CounterRegistry>>) -> HandlerState {
    let counters = Arc::new(ProcessCounters::default());
    let exposition =
        Exposition::new(Arc::clone(registry), Arc::clone(&counters), BuildInfo::default()).unwrap();
    HandlerState { exposition: Arc::new(exposition), readiness: Readiness::new(), status: None, counters }
}

/// A loopback address with port 0; different numbers are different addresses.
pub(super) fn local(number: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, number], 0))
}

pub(super) fn bound(server: &HttpServer, configured: SocketAddr) -> SocketAddr {
    server.addresses().find(|(known, _)| *known == configured).unwrap().1
}

/// What a test changes and reads besides the endpoints.
pub(super) struct Fixture {
    pub(super) counters: Arc<Mutex<CounterRegistry>>,
    pub(super) readiness: Readiness,
    pub(super) exposition: Arc<Exposition>,
}

pub(super) async fn with_server<F: AsyncFnOnce(HttpServer, Fixture)>(limits: Limits, test: F) {
    let counters = Arc::default();
    let state = handler_state(&counters);
    let readiness = state.readiness.clone();
    let fixture = Fixture { counters, readiness, exposition: Arc::clone(&state.exposition) };
    LocalSet::new().run_until(async { test(HttpServer::new(state, limits), fixture).await }).await;
}

pub(super) async fn until(condition: impl Fn() -> bool) {
    let seen = async {
        while !condition() {
            yield_now().await;
        }
    };
    timeout(TIMEOUT, seen).await.unwrap();
}

pub(super) fn metric(fixture: &Fixture, series: &str) -> f64 {
    let page = fixture.exposition.render().unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix(series)).unwrap();
    line.trim().parse().unwrap()
}

pub(super) async fn first_health_request(fixture: &Fixture) {
    until(|| metric(fixture, "coredns_health_request_duration_seconds_count ") > 0.0).await;
}
