//! Local requests to `/health`: counts failures and latency, as CoreDNS does. A connection is kept
//! for the next request.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::warn;

use crate::clock::{self, AlignedTimer};
use crate::metrics::ProcessCounters;

/// Timeout of a request.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Latency above which a warning is logged.
const SLOW: Duration = Duration::from_secs(1);
/// Octets read of a response.
const MAX_RESPONSE_LEN: usize = 4096;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// Requests `/health` from `addresses`, which change with the configuration, once per `period`.
pub(super) async fn run(
    addresses: Rc<RefCell<Vec<SocketAddr>>>,
    period: Duration,
    counters: Arc<ProcessCounters>,
) {
    let mut timer = AlignedTimer::new(period);
    let mut clients: BTreeMap<SocketAddr, HealthClient> = BTreeMap::new();
    loop {
        let addresses = addresses.borrow().clone();
        clients.retain(|address, _| addresses.contains(address));
        for address in addresses {
            let client = clients.entry(address).or_default();
            let started = clock::now();
            let result = timeout(TIMEOUT, client.request(reachable(address))).await;
            let latency = clock::now().saturating_duration_since(started);
            report(address, result.map_err(io::Error::from).flatten(), latency, &counters);
        }
        timer.expired().await;
    }
}

fn report(address: SocketAddr, result: io::Result<()>, latency: Duration, counters: &ProcessCounters) {
    let url = format!("http://{address}/health");
    match result {
        Err(error) => {
            counters.health_request_failures.inc();
            warn!("plugin/health: Local health request to {url:?} failed: {error}");
        }
        Ok(()) => {
            counters.health_requests.observe(latency);
            if latency > SLOW {
                warn!("plugin/health: Local health request to {url:?} took more than 1s: {latency:?}");
            }
        }
    }
}

/// The address to connect to for a listener on `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())
    } else {
        address
    }
}

/// Requests `/health` on one connection for as long as the server keeps it open: a new connection
/// per request takes two sockets and several times the CPU time.
#[derive(Default)]
struct HealthClient {
    idle: Option<TcpStream>,
}

impl HealthClient {
    /// One request. Cancelling it closes the connection.
    ///
    /// # Errors
    /// No response, or a status other than 200.
    async fn request(&mut self, address: SocketAddr) -> io::Result<()> {
        // Without a response the server has closed the connection since the last request.
        let mut response = match self.idle.take() {
            Some(stream) => self.exchange(stream, address).await.unwrap_or_default(),
            None => Vec::new(),
        };
        if response.is_empty() {
            response = self.exchange(TcpStream::connect(address).await?, address).await?;
        }
        if response.starts_with(b"HTTP/1.1 200 ") {
            return Ok(());
        }
        let octets = response.iter().map(|&octet| char::from(octet));
        let status: String = octets.take_while(|character| *character != '\r').collect();
        Err(io::Error::other(format!("answered {status:?}")))
    }

    /// The response, empty or cut short if the server closes the connection. After a complete one
    /// the connection is kept.
    async fn exchange(&mut self, mut stream: TcpStream, address: SocketAddr) -> io::Result<Vec<u8>> {
        let request = format!("GET /health HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut response = Vec::with_capacity(MAX_RESPONSE_LEN);
        while !is_complete(&response) {
            if response.len() >= MAX_RESPONSE_LEN || stream.read_buf(&mut response).await? == 0 {
                return Ok(response);
            }
        }
        self.idle = Some(stream);
        Ok(response)
    }
}

/// Whether these octets are a head and the body whose length it gives.
fn is_complete(response: &[u8]) -> bool {
    length(response).is_some_and(|length| response.len() >= length)
}

/// The length of head and body, if the head has been received.
fn length(response: &[u8]) -> Option<usize> {
    let end = response.windows(END_OF_HEAD.len()).position(|octets| octets == END_OF_HEAD)?;
    let head = std::str::from_utf8(response.get(..end)?).ok()?;
    let body = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    })?;
    end.checked_add(END_OF_HEAD.len())?.checked_add(body)
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    /// Sends a request to a server that sends `response`, or none.
    async fn request_to_server(response: Option<&str>) -> io::Result<()> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_buf(&mut Vec::with_capacity(512)).await.unwrap();
            match response {
                Some(response) => stream.write_all(response.as_bytes()).await.unwrap(),
                None => pending().await,
            }
            drop(stream);
            pending().await
        };
        let mut client = HealthClient::default();
        let limit = if response.is_some() { TIMEOUT } else { SHORT };
        tokio::select! {
            result = timeout(limit, client.request(address)) => result?,
            () = server => unreachable!(),
        }
    }

    /// Answers `count` requests on the next connection, then closes it.
    async fn serve_connection(listener: &tokio::net::TcpListener, count: usize) {
        let (mut stream, _) = listener.accept().await.unwrap();
        for _ in 0..count {
            stream.read_buf(&mut Vec::with_capacity(512)).await.unwrap();
            // In two parts: neither of them is the whole response.
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nO").await.unwrap();
            tokio::task::yield_now().await;
            stream.write_all(b"K").await.unwrap();
        }
    }

    #[tokio::test]
    async fn requests_share_a_connection_until_the_server_closes_it() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = async {
            serve_connection(&listener, 3).await;
            serve_connection(&listener, 2).await;
        };
        let requested = async {
            let mut client = HealthClient::default();
            for _ in 0..5 {
                client.request(address).await.unwrap();
            }
        };
        timeout(TIMEOUT, async { tokio::join!(served, requested) }).await.unwrap();
    }

    #[tokio::test]
    async fn only_status_200_is_healthy() {
        request_to_server(Some("HTTP/1.1 200 OK\r\n\r\nOK")).await.unwrap();
        let error = request_to_server(Some("HTTP/1.1 503 Service Unavailable\r\n\r\n")).await.unwrap_err();
        assert_eq!(error.to_string(), "answered \"HTTP/1.1 503 Service Unavailable\"");
        assert_eq!(request_to_server(Some("")).await.unwrap_err().to_string(), "answered \"\"");
        assert_eq!(request_to_server(None).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_closed_port_is_not_healthy() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert_eq!(
            HealthClient::default().request(address).await.unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
    }

    #[test]
    fn unspecified_addresses_are_requested_over_loopback() {
        for (address, reached) in [
            ("[::]:8080", "127.0.0.1:8080"),
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("169.254.25.10:9254", "169.254.25.10:9254"),
        ] {
            assert_eq!(reachable(address.parse().unwrap()), reached.parse().unwrap());
        }
    }
}
