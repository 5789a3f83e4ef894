//! Local requests to `/health`: counts failures and latency, as CoreDNS does.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::warn;

use crate::clock;
use crate::metrics::ProcessCounters;

/// Timeout of a request.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Latency above which a warning is logged.
const SLOW: Duration = Duration::from_secs(1);
/// Octets read of a response.
const MAX_RESPONSE_LEN: u64 = 4096;

/// Requests `/health` from `addresses`, which change with the configuration, once per `period`.
pub(super) async fn run(
    addresses: Rc<RefCell<Vec<SocketAddr>>>,
    period: Duration,
    counters: Arc<ProcessCounters>,
) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let addresses = addresses.borrow().clone();
        for address in addresses {
            let started = clock::now();
            let result = request(reachable(address), TIMEOUT).await;
            let latency = clock::now().saturating_duration_since(started);
            let url = format!("http://{address}/health");
            match result {
                Err(error) => {
                    counters.health_request_failures.inc();
                    warn!("plugin/health: Local health request to {url:?} failed: {error}");
                }
                Ok(()) => {
                    counters.health_requests.observe(latency);
                    if latency > SLOW {
                        warn!(
                            "plugin/health: Local health request to {url:?} took more than 1s: {latency:?}"
                        );
                    }
                }
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

/// One request to `/health`.
///
/// # Errors
/// No response within the timeout, or a status other than 200.
async fn request(address: SocketAddr, limit: Duration) -> io::Result<()> {
    let response = timeout(limit, async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut response = Vec::new();
        stream.take(MAX_RESPONSE_LEN).read_to_end(&mut response).await?;
        io::Result::Ok(response)
    });
    let response = response.await??;
    if response.starts_with(b"HTTP/1.1 200 ") {
        return Ok(());
    }
    let status: String = response.iter().map(|&octet| char::from(octet)).take_while(|c| *c != '\r').collect();
    Err(io::Error::other(format!("answered {status:?}")))
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
        let limit = if response.is_some() { TIMEOUT } else { SHORT };
        tokio::select! {
            result = request(address, limit) => result,
            () = server => unreachable!(),
        }
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
        assert_eq!(request(address, TIMEOUT).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
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
