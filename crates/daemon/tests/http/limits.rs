//! Limits of a connection, and of connections per address.

use std::net::SocketAddr;

use daemon::http::{Endpoints, Limits};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client::{get, is_healthy, read_to_end};
use super::fixture::{SHORT, TIMEOUT, bound, first_health_request, local, until, with_server};

#[tokio::test]
async fn an_endless_header_is_rejected() {
    with_server(Limits::default(), async |mut server, _| {
        server.rebind(&Endpoints { health: vec![local(1)], ..Endpoints::default() }).unwrap();
        let address = bound(&server, local(1));
        let mut exact = TcpStream::connect(address).await.unwrap();
        exact.write_all(b"GET /health HTTP/1.1\r\nX: ").await.unwrap();
        exact.write_all(&vec![b'x'; 9 * 1024]).await.unwrap();
        let response = read_to_end(&mut exact).await;
        assert!(response.starts_with("HTTP/1.1 431 ") || response.is_empty(), "{response}");

        let mut endless = TcpStream::connect(address).await.unwrap();
        endless.write_all(b"GET /health HTTP/1.1\r\nX: ").await.unwrap();
        let flood = async { while endless.write_all(&[b'x'; 64 * 1024]).await.is_ok() {} };
        timeout(TIMEOUT, flood).await.unwrap();
        assert_eq!(get(address, "/health").await.0, 200);
    })
    .await;
}

#[tokio::test]
async fn slow_and_idle_connections_are_closed() {
    let limits = Limits { timeout: SHORT, ..Limits::default() };
    with_server(limits, async |mut server, _| {
        server.rebind(&Endpoints { health: vec![local(1)], ..Endpoints::default() }).unwrap();
        let address = bound(&server, local(1));
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET /health HTTP/1.1\r\nHost:").await.unwrap();
        let mut idle = TcpStream::connect(address).await.unwrap();
        assert!(is_healthy(&mut idle).await);
        for stream in [&mut silent, &mut slow, &mut idle] {
            let response = read_to_end(stream).await;
            assert!(response.is_empty() || response.starts_with("HTTP/1.1 408 "), "{response}");
        }
    })
    .await;
}

/// The largest send buffer of one connection, in octets.
fn send_buffer_len() -> usize {
    let sizes = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_wmem").unwrap();
    sizes.split_whitespace().last().unwrap().parse().unwrap()
}

/// True while the kernel has an established connection accepted on this port of 127.0.0.1.
fn is_connected(listening: SocketAddr) -> bool {
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let local = format!("0100007F:{:04X}", listening.port());
    table.lines().any(|row| {
        let mut columns = row.split_whitespace();
        columns.nth(1) == Some(&local) && columns.nth(1) == Some("01")
    })
}

#[tokio::test]
async fn a_connection_that_never_reads_is_closed() {
    let limits = Limits { timeout: SHORT, ..Limits::default() };
    with_server(limits, async |mut server, fixture| {
        // A histogram is 1.5 KB of the page; the page must exceed the send buffer of the kernel.
        for number in 0..=send_buffer_len() / 1024 {
            let zone = format!("{number}.example.");
            fixture.counters.lock().unwrap().route("dns://:53", &zone, 0).1.durations.observe(SHORT);
        }
        server.rebind(&Endpoints { metrics: vec![local(1)], ..Endpoints::default() }).unwrap();
        let address = bound(&server, local(1));
        let mut unread = TcpStream::connect(address).await.unwrap();
        unread.write_all(b"GET /metrics HTTP/1.1\r\nHost: node\r\n\r\n").await.unwrap();
        assert!(is_connected(address));
        until(|| !is_connected(address)).await;
        assert!(!read_to_end(&mut unread).await.contains("process_start_time_seconds"));
    })
    .await;
}

#[tokio::test]
async fn a_connection_flood_does_not_block_the_kubelet_probe() {
    let limits = Limits { max_connections: 3, health_request_period: TIMEOUT, ..Limits::default() };
    with_server(limits, async |mut server, fixture| {
        server.rebind(&Endpoints { health: vec![local(1)], ..Endpoints::default() }).unwrap();
        let address = bound(&server, local(1));
        first_health_request(&fixture).await;
        let mut connections = Vec::new();
        for _ in 0..3 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            assert!(is_healthy(&mut stream).await);
            connections.push(stream);
        }
        assert_eq!(get(address, "/health").await.0, 200);
        assert_eq!(read_to_end(connections.first_mut().unwrap()).await, "");
        assert!(is_healthy(connections.last_mut().unwrap()).await);
    })
    .await;
}
