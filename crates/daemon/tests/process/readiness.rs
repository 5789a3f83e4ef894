//! Whether queries may be sent to us.

use std::net::UdpSocket;

use socket2::{Domain, Socket, Type};

use crate::stage::{DNS, HEALTH, Launch, PATIENCE, READY, forwarding, get, reached, upstream};

/// Sockets that share a port with the daemon and answer nothing, as those of a predecessor that hangs.
fn deaf_sockets(at: std::net::SocketAddr) -> Vec<UdpSocket> {
    let deaf = (0..31).map(|_| {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
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
    let awaited = Some((503, "an answer of our own\n".to_owned()));
    assert!(reached(PATIENCE, || get(ready, "/ready") == awaited));
    assert_eq!(get(health, "/health"), Some((200, "OK".to_owned())), "it lives nevertheless");
    drop(deaf);
    assert!(reached(PATIENCE, || daemon.ready() == Some(200)));
    assert_eq!(get(ready, "/elsewhere").unwrap().0, 404);
}
