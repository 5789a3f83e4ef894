//! Asks our own `/health`, as the kubelet does, and counts how long it takes.

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

/// After which a probe has failed.
const PATIENCE: Duration = Duration::from_secs(3);
/// After which an answer is worth a warning.
const SLOW: Duration = Duration::from_secs(1);
/// Octets of an answer that are looked at.
const MAX_ANSWER_LEN: u64 = 4096;

/// Probes `addresses`, which change with the configuration, once per `period`.
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
            let answered = ask(reachable(address), PATIENCE).await;
            let took = clock::now().saturating_duration_since(started);
            let url = format!("http://{address}/health");
            match answered {
                Err(error) => {
                    counters.health_check_failures.inc();
                    warn!("plugin/health: Local health request to {url:?} failed: {error}");
                }
                Ok(()) => {
                    counters.health_checks.observe(took);
                    if took > SLOW {
                        warn!("plugin/health: Local health request to {url:?} took more than 1s: {took:?}");
                    }
                }
            }
        }
    }
}

/// Where to ask what listens on `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())
    } else {
        address
    }
}

/// One probe.
///
/// # Errors
/// No answer in time, or not status 200.
async fn ask(address: SocketAddr, patience: Duration) -> io::Result<()> {
    let answer = timeout(patience, async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(MAX_ANSWER_LEN).read_to_end(&mut answer).await?;
        io::Result::Ok(answer)
    });
    let answer = answer.await??;
    if answer.starts_with(b"HTTP/1.1 200 ") {
        return Ok(());
    }
    let status: String = answer.iter().map(|&octet| char::from(octet)).take_while(|c| *c != '\r').collect();
    Err(io::Error::other(format!("answered {status:?}")))
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    /// Answers the first connection with `answer`, or, without one, keeps it waiting.
    async fn asked(answer: Option<&str>) -> io::Result<()> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_buf(&mut Vec::with_capacity(512)).await.unwrap();
            match answer {
                Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                None => pending().await,
            }
            drop(stream);
            pending().await
        };
        let patience = if answer.is_some() { PATIENCE } else { SHORT };
        tokio::select! {
            result = ask(address, patience) => result,
            () = server => unreachable!(),
        }
    }

    #[tokio::test]
    async fn only_status_200_is_healthy() {
        asked(Some("HTTP/1.1 200 OK\r\n\r\nOK")).await.unwrap();
        let refusal = asked(Some("HTTP/1.1 503 Service Unavailable\r\n\r\n")).await.unwrap_err();
        assert_eq!(refusal.to_string(), "answered \"HTTP/1.1 503 Service Unavailable\"");
        assert_eq!(asked(Some("")).await.unwrap_err().to_string(), "answered \"\"");
        assert_eq!(asked(None).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_closed_port_is_not_healthy() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert_eq!(ask(address, PATIENCE).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn every_address_is_reached_by_loopback() {
        for (address, reached) in [
            ("[::]:8080", "127.0.0.1:8080"),
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("169.254.25.10:9254", "169.254.25.10:9254"),
        ] {
            assert_eq!(reachable(address.parse().unwrap()), reached.parse().unwrap());
        }
    }
}
