//! Removals of local addresses: of IPv4 ones, which a link has several times with different prefix
//! lengths, as the kernel reports those of their routes.

use std::net::IpAddr;

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_ROUTE;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};

pub(crate) struct RemovalMonitor {
    socket: Socket,
}

impl RemovalMonitor {
    pub(crate) fn new() -> Self {
        let mut socket = Socket::new(NETLINK_ROUTE).unwrap();
        socket.bind_auto().unwrap();
        socket.set_non_blocking(true).unwrap();
        for group in [libc::RTNLGRP_IPV4_ROUTE, libc::RTNLGRP_IPV6_IFADDR] {
            socket.add_membership(group).unwrap();
        }
        Self { socket }
    }

    /// The addresses that were not local any more at some moment since the last call. The kernel
    /// queues events before the request that causes them returns.
    pub(crate) fn of_local_addresses(&mut self) -> Vec<IpAddr> {
        let mut removed = Vec::new();
        while let Ok((datagram, _)) = self.socket.recv_from_full() {
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&datagram).unwrap();
            match message.payload {
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelRoute(route)) => {
                    removed.extend(local_destination(&route));
                }
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelAddress(address)) => {
                    removed.extend(address.attributes.iter().find_map(|attribute| match attribute {
                        AddressAttribute::Address(address) => Some(*address),
                        _ => None,
                    }));
                }
                _ => {}
            }
        }
        removed
    }
}

fn local_destination(route: &RouteMessage) -> Option<IpAddr> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(address)) if route.header.kind == RouteType::Local => {
            Some((*address).into())
        }
        _ => None,
    })
}
