//! ICMP errors on connected UDP sockets.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use linux::link::bring_up_loopback;
use socket2::{Domain, Protocol, Socket, Type};

use crate::namespace::in_namespace;

/// Sends an ICMP error of type `kind` and `code` for a datagram from `source` to `target`, whose
/// headers it quotes (RFC 792, RFC 4443 section 3.1).
fn send_icmp_error(source: SocketAddr, target: SocketAddr, kind: u8, code: u8) {
    let ports = [source.port().to_be_bytes(), target.port().to_be_bytes()].concat();
    let datagram = [ports.as_slice(), &[0, 8, 0, 0]].concat();
    let (domain, protocol, header) = match (source.ip(), target.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let fixed = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
            (Domain::IPV4, Protocol::ICMPV4, [&fixed[..], &from.octets(), &to.octets()].concat())
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let fixed = [0x60, 0, 0, 0, 0, 8, 17, 64];
            (Domain::IPV6, Protocol::ICMPV6, [&fixed[..], &from.octets(), &to.octets()].concat())
        }
        _ => unreachable!("one family"),
    };
    let mut message = [&[kind, code, 0, 0, 0, 0, 0, 0][..], &header, &datagram].concat();
    let sum: u32 = message.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let socket = Socket::new(domain, Type::RAW, Some(protocol)).unwrap();
    socket.send_to(&message, &SocketAddr::new(source.ip(), 0).into()).unwrap();
}

#[test]
fn icmp_errors_are_returned_by_a_connected_socket() {
    in_namespace(|| async {
        bring_up_loopback().await.unwrap();
        let (host, network) = (io::ErrorKind::HostUnreachable, io::ErrorKind::NetworkUnreachable);
        for (upstream, kind, code, expected) in [
            ("127.0.0.1:5300", 3, 1, host),
            ("127.0.0.1:5300", 3, 0, network),
            ("[::1]:5300", 1, 3, host),
            ("[::1]:5300", 1, 0, network),
        ] {
            let unread = UdpSocket::bind(upstream).unwrap();
            let silent = unread.local_addr().unwrap();
            let socket = linux::udp::connect(silent, None).unwrap();
            let source = socket.local_addr().unwrap();
            let socket = tokio::net::UdpSocket::from_std(socket).unwrap();
            socket.send(b"question").await.unwrap();
            send_icmp_error(source, silent, kind, code);
            let mut buffer = [0; 16];
            let wait = tokio::time::timeout(Duration::from_secs(10), socket.recv(&mut buffer));
            assert_eq!(wait.await.unwrap().unwrap_err().kind(), expected, "{upstream} {kind}/{code}");
        }
    });
}
