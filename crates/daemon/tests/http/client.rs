//! A raw HTTP client.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::fixture::TIMEOUT;

/// Reads until the peer closes or resets the connection.
pub(super) async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut octets = Vec::new();
    let read = timeout(TIMEOUT, stream.read_to_end(&mut octets)).await.unwrap();
    assert!(read.is_ok() || read.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset));
    String::from_utf8(octets).unwrap()
}

/// The response to one request on a new connection.
pub(super) async fn request(address: SocketAddr, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    read_to_end(&mut stream).await
}

/// Status and body of a GET.
pub(super) async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let response = request(address, "GET", path).await;
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// One request on a connection that stays open; true when the response is 200 `OK`.
pub(super) async fn is_healthy(stream: &mut TcpStream) -> bool {
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: node\r\n\r\n").await.unwrap();
    let mut response = Vec::new();
    while !response.ends_with(b"\r\n\r\nOK") {
        match timeout(TIMEOUT, stream.read_buf(&mut response)).await.unwrap() {
            Ok(0) | Err(_) => return false,
            Ok(_) => {}
        }
    }
    response.starts_with(b"HTTP/1.1 200 OK\r\n")
}
