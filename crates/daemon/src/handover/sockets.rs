//! Sockets in a hand-over: duplicates that are sent, and the check of those that are received.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};

use linux::udp::UdpListener;
use resolver::action::Transport;

use super::contents::SocketDescription;
use crate::http;
use crate::worker::InheritedSockets;

/// A duplicate of a DNS socket with its description.
pub(crate) fn describe_dns_socket(
    (transport, address, socket): (Transport, SocketAddr, BorrowedFd<'_>),
) -> io::Result<(String, OwnedFd)> {
    Ok((SocketDescription::Dns(transport, address).to_string(), socket.try_clone_to_owned()?))
}

/// A duplicate of an HTTP socket with its description: the configured address and the bound one.
pub(crate) fn describe_http_socket(
    (configured, bound, socket): (SocketAddr, SocketAddr, BorrowedFd<'_>),
) -> io::Result<(String, OwnedFd)> {
    Ok((SocketDescription::Http(configured, bound).to_string(), socket.try_clone_to_owned()?))
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
    match description.parse()? {
        SocketDescription::Dns(Transport::Udp, address) => {
            let socket = UdpListener::inherit(descriptor, address).map_err(to_string)?;
            dns.udp.entry(address).or_default().push(socket);
        }
        SocketDescription::Dns(Transport::Tcp, address) => {
            let socket = linux::tcp::inherit(descriptor, address).map_err(to_string)?;
            dns.tcp.entry(address).or_default().push(socket);
        }
        SocketDescription::Http(configured, bound) => {
            let socket = linux::tcp::inherit(descriptor, bound).map_err(to_string)?;
            http.insert(configured, socket);
        }
    }
    Ok(())
}

fn to_string(error: impl Display) -> String {
    error.to_string()
}
