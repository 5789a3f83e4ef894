//! Descriptions of the sockets in a hand-over: `udp ADDRESS`, `tcp ADDRESS`, `http CONFIGURED
//! BOUND`.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::str::FromStr;

use linux::udp::UdpListener;
use resolver::action::Transport;

use crate::http;
use crate::worker::InheritedSockets;

/// A duplicate of a DNS socket with its description.
pub(crate) fn describe_dns_socket(
    (transport, address, socket): (Transport, SocketAddr, BorrowedFd<'_>),
) -> io::Result<(String, OwnedFd)> {
    let word = match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
    };
    Ok((format!("{word} {address}"), socket.try_clone_to_owned()?))
}

/// A duplicate of an HTTP socket with its description: the configured address and the bound one.
pub(crate) fn describe_http_socket(
    (configured, bound, socket): (SocketAddr, SocketAddr, BorrowedFd<'_>),
) -> io::Result<(String, OwnedFd)> {
    Ok((format!("http {configured} {bound}"), socket.try_clone_to_owned()?))
}

/// Sorts a received socket by its description, after checking that it is of that type and bound to
/// that address.
///
/// # Errors
/// Why the socket is rejected.
pub(super) fn accept_socket(
    dns: &mut InheritedSockets,
    http: &mut http::InheritedListeners,
    description: &str,
    descriptor: OwnedFd,
) -> Result<(), String> {
    let mut words = description.split(' ');
    let kind = words.next().unwrap_or_default();
    let address: SocketAddr = parse(words.next())?;
    match kind {
        "udp" => {
            let socket = UdpListener::inherit(descriptor, address).map_err(to_string)?;
            dns.udp.entry(address).or_default().push(socket);
        }
        "tcp" => {
            let socket = linux::tcp::inherit(descriptor, address).map_err(to_string)?;
            dns.tcp.entry(address).or_default().push(socket);
        }
        "http" => {
            let socket = linux::tcp::inherit(descriptor, parse(words.next())?).map_err(to_string)?;
            http.insert(address, socket);
        }
        _ => return Err("unknown kind of socket".to_owned()),
    }
    Ok(())
}

fn parse<T: FromStr<Err: Display>>(word: Option<&str>) -> Result<T, String> {
    word.unwrap_or_default().parse().map_err(to_string)
}

fn to_string(error: impl Display) -> String {
    error.to_string()
}
