//! Whether queries may be sent to us.

use std::net::{Ipv6Addr, SocketAddr, UdpSocket};

use socket2::{Domain, Socket, Type};

use crate::environment::{
    DNS, HEALTH, Launch, PATIENCE, READY, forwarding, has_ipv6, own_port, reached, upstream,
};
use crate::responses::get;

/// Sockets that share a port with the daemon and answer nothing, as those of a predecessor that hangs.
fn deaf_sockets(at: SocketAddr) -> Vec<UdpSocket> {
    let deaf = (0..31).map(|_| {
        let socket = Socket::new(Domain::for_address(at), Type::DGRAM, None).unwrap();
        socket.set_reuse_port(true).unwrap();
        socket.bind(&at.into()).unwrap();
        socket.into()
    });
    deaf.collect()
}

#[test]
fn ready_means_that_a_question_of_its_own_was_answered() {
    let upstream = upstream();
    let corefile = forwarding(&upstream, "force_tcp").replace("ready", &format!("health @:{HEALTH}\n ready"));
    let daemon = Launch::new(&corefile).start().when_ready();
    let (ready, health) = (daemon.at(READY), daemon.at(HEALTH));
    assert_eq!(get(ready, "/ready"), Some((200, "OK".to_owned())));
    let deaf = deaf_sockets(daemon.at(DNS));
    let awaited = Some((503, "self-check\n".to_owned()));
    assert!(reached(PATIENCE, || get(ready, "/ready") == awaited));
    assert_eq!(get(health, "/health"), Some((200, "OK".to_owned())), "it lives nevertheless");
    drop(deaf);
    assert!(reached(PATIENCE, || daemon.ready() == Some(200)));
    assert_eq!(get(ready, "/elsewhere").unwrap().0, 404);
}

#[test]
fn a_node_where_ipv6_leads_nowhere_is_ready_all_the_same() {
    let upstream = upstream();
    let port = own_port();
    let corefile = format!(".:{port} {{\n forward . {}\n ready @:{READY}\n}}", upstream.addr());
    // A socket on the address itself comes before one on every address.
    let _deaf = has_ipv6().then(|| deaf_sockets((Ipv6Addr::LOCALHOST, port).into()));
    Launch::new(&corefile).start().when_ready();
}
