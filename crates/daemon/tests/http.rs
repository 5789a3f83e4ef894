//! The HTTP endpoints over loopback, asked with raw sockets.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use daemon::counters::CounterRegistry;
use daemon::http::{Endpoints, HandlerState, HttpServer, Limits};
use daemon::metrics::{BuildInfo, Exposition, ProcessCounters};
use daemon::readiness::Readiness;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{LocalSet, yield_now};
use tokio::time::timeout;

/// The bound of every wait: long enough for a busy machine, never waited for when all is well.
const PATIENCE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(100);

fn sources(registry: &Arc<Mutex<CounterRegistry>>) -> HandlerState {
    let counters = Arc::new(ProcessCounters::default());
    let exposition =
        Exposition::new(Arc::clone(registry), Arc::clone(&counters), BuildInfo::default()).unwrap();
    HandlerState { exposition: Arc::new(exposition), readiness: Readiness::new(), counters }
}

/// Addresses on loopback whose port the kernel chooses; different numbers are different addresses.
fn local(number: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, number], 0))
}

fn bound(admin: &HttpServer, asked: SocketAddr) -> SocketAddr {
    admin.addresses().find(|(known, _)| *known == asked).unwrap().1
}

/// What a test may turn, beside the endpoints themselves.
struct Behind {
    counters: Arc<Mutex<CounterRegistry>>,
    readiness: Readiness,
    exposition: Arc<Exposition>,
}

async fn with_admin<F: AsyncFnOnce(HttpServer, Behind)>(limits: Limits, test: F) {
    let counters = Arc::default();
    let sources = sources(&counters);
    let readiness = sources.readiness.clone();
    let behind = Behind { counters, readiness, exposition: Arc::clone(&sources.exposition) };
    LocalSet::new().run_until(async { test(HttpServer::new(sources, limits), behind).await }).await;
}

/// What comes until the peer closes, however it does that.
async fn rest(stream: &mut TcpStream) -> String {
    let mut octets = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut octets)).await.unwrap();
    assert!(read.is_ok() || read.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset));
    String::from_utf8(octets).unwrap()
}

/// The answer to one request on a connection of its own.
async fn request(address: SocketAddr, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    rest(&mut stream).await
}

/// Status and body of a GET.
async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let answer = request(address, "GET", path).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// One request on a connection that stays open; true when it was answered with 200 `OK`.
async fn is_healthy(stream: &mut TcpStream) -> bool {
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: node\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nOK") {
        match timeout(PATIENCE, stream.read_buf(&mut answer)).await.unwrap() {
            Ok(0) | Err(_) => return false,
            Ok(_) => {}
        }
    }
    answer.starts_with(b"HTTP/1.1 200 OK\r\n")
}

#[tokio::test]
async fn every_address_serves_what_it_is_for() {
    with_admin(Limits::default(), async |mut admin, _| {
        let endpoints = Endpoints {
            health: vec![local(1), local(5)],
            ready: vec![local(2), local(5)],
            metrics: vec![local(3), local(5)],
            process_metrics: Some(local(4)),
        };
        admin.rebind(&endpoints).unwrap();
        for (number, health, ready, metrics) in [
            (1, 200, 404, 404),
            (2, 404, 200, 404),
            (3, 404, 404, 200),
            (4, 404, 404, 200),
            (5, 200, 200, 200),
        ] {
            let address = bound(&admin, local(number));
            let mut statuses = Vec::new();
            for path in ["/health", "/ready", "/metrics", "/", "/health/", "/metrics/x"] {
                statuses.push(get(address, path).await.0);
            }
            assert_eq!(statuses, [health, ready, metrics, 404, 404, 404], "{number}");
        }
    })
    .await;
}

#[tokio::test]
async fn answers_look_like_coredns() {
    with_admin(Limits::default(), async |mut admin, _| {
        let endpoints = Endpoints {
            health: vec![local(1)],
            metrics: vec![local(1)],
            process_metrics: Some(local(2)),
            ..Endpoints::default()
        };
        admin.rebind(&endpoints).unwrap();
        for method in ["GET", "POST", "PUT"] {
            let answer =
                request(bound(&admin, local(1)), method, "/health?verbose").await.to_ascii_lowercase();
            assert!(answer.starts_with("http/1.1 200 ok\r\n"), "{answer}");
            assert!(answer.contains("\r\ncontent-type: text/plain; charset=utf-8\r\n"), "{answer}");
            assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
        }
        let page = request(bound(&admin, local(1)), "GET", "/metrics").await;
        let content_type =
            "\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8; escaping=underscores\r\n";
        assert!(page.to_ascii_lowercase().contains(content_type));
        assert!(page.contains("\ncoredns_panics_total 0\n"));
        assert!(!page.contains("promhttp_"));
        let (_, page) = get(bound(&admin, local(2)), "/metrics").await;
        assert!(page.contains("\npromhttp_metric_handler_requests_in_flight 1\n"));
    })
    .await;
}

#[tokio::test]
async fn ready_names_what_is_awaited() {
    with_admin(Limits::default(), async |mut admin, behind| {
        let readiness = behind.readiness;
        let (link, worker) = (readiness.add_condition("link"), readiness.add_condition("worker"));
        admin.rebind(&Endpoints { ready: vec![local(1)], ..Endpoints::default() }).unwrap();
        let address = bound(&admin, local(1));
        assert_eq!(get(address, "/ready").await, (503, "link\nworker\n".to_owned()));
        link.fulfil();
        assert_eq!(get(address, "/ready").await, (503, "worker\n".to_owned()));
        worker.fulfil();
        assert_eq!(get(address, "/ready").await, (200, "OK".to_owned()));
        link.revoke();
        assert_eq!(get(address, "/ready").await, (503, "link\n".to_owned()));
        readiness.withdraw();
        assert_eq!(get(address, "/ready").await, (503, "shutting down\nlink\n".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_reload_keeps_what_stays_and_closes_what_goes() {
    with_admin(Limits::default(), async |mut admin, _| {
        let first = Endpoints {
            health: vec![local(1)],
            ready: vec![local(2)],
            metrics: vec![local(1)],
            process_metrics: None,
        };
        admin.rebind(&first).unwrap();
        let (kept, gone) = (bound(&admin, local(1)), bound(&admin, local(2)));
        let mut open = TcpStream::connect(kept).await.unwrap();
        let mut closed = TcpStream::connect(gone).await.unwrap();
        assert!(is_healthy(&mut open).await);
        assert_eq!(get(gone, "/ready").await.0, 200);

        let second = Endpoints { health: vec![local(1)], metrics: vec![local(3)], ..Endpoints::default() };
        admin.rebind(&second).unwrap();
        assert!(is_healthy(&mut open).await);
        assert_eq!(bound(&admin, local(1)), kept);
        assert_eq!(get(kept, "/metrics").await.0, 404);
        assert_eq!(get(bound(&admin, local(3)), "/metrics").await.0, 200);
        assert_eq!(rest(&mut closed).await, "");
        assert!(TcpStream::connect(gone).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_taken_health_port_is_an_error_and_changes_nothing() {
    with_admin(Limits::default(), async |mut admin, _| {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = (taken.local_addr().unwrap(), taken);
        let before = Endpoints { health: vec![local(1)], ..Endpoints::default() };
        admin.rebind(&before).unwrap();

        for wrong in [
            Endpoints { health: vec![local(2), taken.0], ..Endpoints::default() },
            Endpoints { metrics: vec![local(2)], ready: vec![taken.0], ..Endpoints::default() },
        ] {
            let refusal = admin.rebind(&wrong).unwrap_err();
            assert_eq!(refusal.address, taken.0);
            assert_eq!(refusal.to_string(), format!("listen tcp {}: bind: address already in use", taken.0));
            assert_eq!(admin.addresses().map(|(asked, _)| asked).collect::<Vec<_>>(), [local(1)]);
        }
        assert_eq!(get(bound(&admin, local(1)), "/health").await.0, 200);
    })
    .await;
}

#[tokio::test]
async fn a_taken_metrics_port_is_left_out_until_it_is_free() {
    with_admin(Limits::default(), async |mut admin, _| {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let endpoints = Endpoints { health: vec![local(1)], metrics: vec![address], ..Endpoints::default() };
        admin.rebind(&endpoints).unwrap();
        assert_eq!(admin.addresses().map(|(asked, _)| asked).collect::<Vec<_>>(), [local(1)]);
        assert!(admin.is_incomplete());
        drop(taken);
        admin.rebind(&endpoints).unwrap();
        assert!(!admin.is_incomplete());
        assert_eq!(get(address, "/metrics").await.0, 200);
    })
    .await;
}

#[tokio::test]
async fn a_successor_shares_the_address() {
    with_admin(Limits::default(), async |mut admin, _| {
        admin.rebind(&Endpoints { health: vec![local(1)], ..Endpoints::default() }).unwrap();
        let address = bound(&admin, local(1));
        let mut successor = HttpServer::new(sources(&Arc::default()), Limits::default());
        successor.rebind(&Endpoints { health: vec![address], ..Endpoints::default() }).unwrap();
        admin.close().await;
        assert_eq!(get(address, "/health").await.0, 200);
    })
    .await;
}

#[tokio::test]
async fn an_unspecified_address_is_open_for_both_families() {
    with_admin(Limits::default(), async |mut admin, _| {
        for asked in ["[::]:0", "0.0.0.0:0"] {
            let asked: SocketAddr = asked.parse().unwrap();
            admin.rebind(&Endpoints { health: vec![asked], ..Endpoints::default() }).unwrap();
            let port = bound(&admin, asked).port();
            assert_eq!(get(SocketAddr::from(([127, 0, 0, 1], port)), "/health").await.0, 200);
            if std::net::TcpListener::bind("[::1]:0").is_ok() {
                let by_ipv6 = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port));
                assert_eq!(get(by_ipv6, "/health").await.0, 200);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_address_the_node_does_not_have_yet_is_opened() {
    with_admin(Limits::default(), async |mut admin, _| {
        let absent: SocketAddr = "203.0.113.77:0".parse().unwrap();
        admin.rebind(&Endpoints { health: vec![absent], ..Endpoints::default() }).unwrap();
        assert_eq!(bound(&admin, absent).ip(), absent.ip());
    })
    .await;
}

#[tokio::test]
async fn a_header_that_never_ends_is_refused() {
    with_admin(Limits::default(), async |mut admin, _| {
        admin.rebind(&Endpoints { health: vec![local(1)], ..Endpoints::default() }).unwrap();
        let address = bound(&admin, local(1));
        let mut exact = TcpStream::connect(address).await.unwrap();
        exact.write_all(b"GET /health HTTP/1.1\r\nX: ").await.unwrap();
        exact.write_all(&vec![b'x'; 9 * 1024]).await.unwrap();
        let answer = rest(&mut exact).await;
        assert!(answer.starts_with("HTTP/1.1 431 ") || answer.is_empty(), "{answer}");

        let mut endless = TcpStream::connect(address).await.unwrap();
        endless.write_all(b"GET /health HTTP/1.1\r\nX: ").await.unwrap();
        let flood = async { while endless.write_all(&[b'x'; 64 * 1024]).await.is_ok() {} };
        timeout(PATIENCE, flood).await.unwrap();
        assert_eq!(get(address, "/health").await.0, 200);
    })
    .await;
}

#[tokio::test]
async fn who_is_slow_or_idle_is_cut_off() {
    let limits = Limits { timeout: SHORT, ..Limits::default() };
    with_admin(limits, async |mut admin, _| {
        admin.rebind(&Endpoints { health: vec![local(1)], ..Endpoints::default() }).unwrap();
        let address = bound(&admin, local(1));
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET /health HTTP/1.1\r\nHost:").await.unwrap();
        let mut idle = TcpStream::connect(address).await.unwrap();
        assert!(is_healthy(&mut idle).await);
        for stream in [&mut silent, &mut slow, &mut idle] {
            let answer = rest(stream).await;
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
        }
    })
    .await;
}

/// What the kernel takes for one connection at most, in octets.
fn send_buffer_len() -> usize {
    let sizes = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_wmem").unwrap();
    sizes.split_whitespace().last().unwrap().parse().unwrap()
}

/// True while the kernel has an established connection on this port of 127.0.0.1 at its listening end.
fn is_connected(listening: SocketAddr) -> bool {
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let local = format!("0100007F:{:04X}", listening.port());
    table.lines().any(|row| {
        let mut columns = row.split_whitespace();
        columns.nth(1) == Some(&local) && columns.nth(1) == Some("01")
    })
}

#[tokio::test]
async fn who_never_reads_is_cut_off() {
    let limits = Limits { timeout: SHORT, ..Limits::default() };
    with_admin(limits, async |mut admin, behind| {
        // A histogram is 1.5 KB of page, and the kernel may take in all of its send buffer.
        for number in 0..=send_buffer_len() / 1024 {
            let zone = format!("{number}.example.");
            behind.counters.lock().unwrap().route("dns://:53", &zone, 0).1.durations.observe(SHORT);
        }
        admin.rebind(&Endpoints { metrics: vec![local(1)], ..Endpoints::default() }).unwrap();
        let address = bound(&admin, local(1));
        let mut deaf = TcpStream::connect(address).await.unwrap();
        deaf.write_all(b"GET /metrics HTTP/1.1\r\nHost: node\r\n\r\n").await.unwrap();
        assert!(is_connected(address));
        until(|| !is_connected(address)).await;
        assert!(!rest(&mut deaf).await.contains("process_start_time_seconds"));
    })
    .await;
}

#[tokio::test]
async fn a_crowd_does_not_keep_a_probe_out() {
    let limits = Limits { max_connections: 3, health_check_period: PATIENCE, ..Limits::default() };
    with_admin(limits, async |mut admin, behind| {
        admin.rebind(&Endpoints { health: vec![local(1)], ..Endpoints::default() }).unwrap();
        let address = bound(&admin, local(1));
        first_probe(&behind).await;
        let mut crowd = Vec::new();
        for _ in 0..3 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            assert!(is_healthy(&mut stream).await);
            crowd.push(stream);
        }
        assert_eq!(get(address, "/health").await.0, 200);
        assert_eq!(rest(crowd.first_mut().unwrap()).await, "");
        assert!(is_healthy(crowd.last_mut().unwrap()).await);
    })
    .await;
}

fn counted(behind: &Behind, series: &str) -> f64 {
    let page = behind.exposition.render().unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix(series)).unwrap();
    line.trim().parse().unwrap()
}

async fn until(what: impl Fn() -> bool) {
    let seen = async {
        while !what() {
            yield_now().await;
        }
    };
    timeout(PATIENCE, seen).await.unwrap();
}

async fn first_probe(behind: &Behind) {
    until(|| counted(behind, "coredns_health_request_duration_seconds_count ") > 0.0).await;
}

#[tokio::test]
async fn health_is_probed_and_timed() {
    let limits = Limits { health_check_period: Duration::from_millis(1), ..Limits::default() };
    with_admin(limits, async |mut admin, behind| {
        admin.rebind(&Endpoints { health: vec!["[::]:0".parse().unwrap()], ..Endpoints::default() }).unwrap();
        first_probe(&behind).await;
        assert!(counted(&behind, "coredns_health_request_duration_seconds_sum ") > 0.0);
        assert_eq!(counted(&behind, "coredns_health_request_failures_total ").to_bits(), 0.0_f64.to_bits());
        admin.close().await;
    })
    .await;
}

#[tokio::test]
async fn closing_ends_connections_and_frees_the_address() {
    with_admin(Limits::default(), async |mut admin, _| {
        admin.rebind(&Endpoints { health: vec![local(1)], ..Endpoints::default() }).unwrap();
        let address = bound(&admin, local(1));
        let mut idle = TcpStream::connect(address).await.unwrap();
        assert!(is_healthy(&mut idle).await);
        timeout(PATIENCE, admin.close()).await.unwrap();
        assert_eq!(rest(&mut idle).await, "");
        assert!(TcpStream::connect(address).await.is_err());
        std::net::TcpListener::bind(address).unwrap();
    })
    .await;
}
