//! Readiness (`/ready`).

use std::net::{Ipv6Addr, SocketAddr, UdpSocket};

use socket2::{Domain, Socket, Type};

use crate::fixture::{
    DNS, DaemonCommand, HEALTH, READY, WAIT_LIMIT, forward_corefile, has_ipv6, unique_port, upstream,
    wait_until,
};
use crate::responses::get;

/// Sockets that share a port with the daemon and answer nothing, as those of a hung predecessor.
pub(crate) fn unread_sockets(at: SocketAddr, count: usize) -> Vec<UdpSocket> {
    let unread = (0..count).map(|_| {
        let socket = Socket::new(Domain::for_address(at), Type::DGRAM, None).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.bind(&at.into()).unwrap();
        socket.into()
    });
    unread.collect()
}

#[test]
fn ready_requires_a_response_to_the_self_check() {
    let upstream = upstream();
    let corefile =
        forward_corefile(&upstream, "force_tcp").replace("ready", &format!("health @:{HEALTH}\n ready"));
    let daemon = DaemonCommand::new(&corefile).spawn().wait_until_ready();
    let (ready, health) = (daemon.addr(READY), daemon.addr(HEALTH));
    assert_eq!(get(ready, "/ready"), Some((200, "OK".to_owned())));
    let unread = unread_sockets(daemon.addr(DNS), 31);
    let unmet = Some((503, "self-check\n".to_owned()));
    assert!(wait_until(WAIT_LIMIT, || get(ready, "/ready") == unmet));
    assert_eq!(get(health, "/health"), Some((200, "OK".to_owned())), "the process is healthy nevertheless");
    drop(unread);
    assert!(wait_until(WAIT_LIMIT, || daemon.ready() == Some(200)));
    assert_eq!(get(ready, "/elsewhere").unwrap().0, 404);
}

#[test]
fn unreachable_ipv6_does_not_prevent_readiness() {
    let upstream = upstream();
    let port = unique_port();
    let corefile = format!(".:{port} {{\n forward . {}\n ready @:{READY}\n}}", upstream.addr());
    // A socket bound to the address takes precedence over one bound to all addresses.
    let _unread = has_ipv6().then(|| unread_sockets((Ipv6Addr::LOCALHOST, port).into(), 31));
    DaemonCommand::new(&corefile).spawn().wait_until_ready();
}
