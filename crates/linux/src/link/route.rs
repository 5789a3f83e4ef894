//! Links and addresses over routing netlink sockets (rtnetlink(7)).

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures_util::TryStreamExt;
use nix::errno::Errno;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope, CacheInfo,
};
use rtnetlink::packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use rtnetlink::packet_route::route::{RouteAttribute, RouteMessage, RouteType};
use rtnetlink::proto::Connection;
use rtnetlink::{LinkMessageBuilder, LinkUnspec, RouteMessageBuilder};

use crate::link::error::LinkError;
use crate::link::kind::LinkKind;

/// The state of a link.
pub(crate) struct LinkState {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// The kernel's name of its kind; empty for hardware.
    pub(crate) kind: String,
    pub(crate) up: bool,
    pub(crate) addresses: Vec<AddressState>,
}

/// A link by its index, name and kind.
pub(crate) struct LinkIdentity {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// The kernel's name of its kind; empty for hardware.
    pub(crate) kind: String,
}

/// The state of an address on a link.
pub(crate) struct AddressState {
    pub(crate) address: IpAddr,
    /// A usable host address (/32 or /128) that is never chosen as a source address.
    pub(crate) is_conforming: bool,
    /// The kernel's description, which identifies the address when it is deleted.
    pub(crate) message: AddressMessage,
}

impl AddressState {
    fn new(address: IpAddr, message: AddressMessage) -> Self {
        let is_never_source = match address {
            IpAddr::V4(_) => message.header.scope == AddressScope::Host,
            IpAddr::V6(_) => message.header.flags.contains(AddressHeaderFlags::Deprecated),
        };
        let mut state = Self { address, is_conforming: false, message };
        let is_host = state.prefix_len() == host_prefix(address);
        state.is_conforming = is_never_source && is_host && state.is_usable();
        state
    }

    pub(crate) const fn prefix_len(&self) -> u8 {
        self.message.header.prefix_len
    }

    /// Whether duplicate address detection is neither pending nor has failed.
    pub(crate) fn is_usable(&self) -> bool {
        let unusable = AddressHeaderFlags::Tentative | AddressHeaderFlags::Dadfailed;
        !self.message.header.flags.intersects(unusable)
    }
}

/// A routing netlink socket, opened for the first use and kept for the next ones.
#[derive(Default)]
pub(crate) struct RtnetlinkSocket {
    kept: Cell<Option<(Rtnetlink, Connection<RouteNetlinkMessage>)>>,
}

impl fmt::Debug for RtnetlinkSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RtnetlinkSocket").finish_non_exhaustive()
    }
}

impl RtnetlinkSocket {
    /// Runs `work` with the socket. No task outlives the call.
    pub(crate) async fn run<T>(
        &self,
        work: impl AsyncFnOnce(&Rtnetlink) -> Result<T, LinkError>,
    ) -> Result<T, LinkError> {
        let lost = |error| LinkError::Kernel { action: "use rtnetlink".to_owned(), error };
        let (rtnetlink, mut connection) = match self.kept.take() {
            Some(kept) => kept,
            None => Rtnetlink::open().map_err(lost)?,
        };
        tokio::select! {
            biased;
            result = work(&rtnetlink) => {
                // After a failure, replies that nobody waits for may be left in the socket.
                if result.is_ok() {
                    self.kept.set(Some((rtnetlink, connection)));
                }
                result
            }
            () = &mut connection => Err(lost(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

/// Requests on an open routing netlink socket.
pub(crate) struct Rtnetlink {
    pub(super) handle: rtnetlink::Handle,
}

impl Rtnetlink {
    fn open() -> io::Result<(Self, Connection<RouteNetlinkMessage>)> {
        let (connection, handle, unsolicited) = rtnetlink::new_connection()?;
        drop(unsolicited);
        Ok((Self { handle }, connection))
    }

    pub(crate) async fn find(&self, name: &str) -> Result<Option<LinkState>, LinkError> {
        let mut links = Box::pin(self.handle.link().get().match_name(name).execute());
        let link = match links.try_next().await {
            Ok(link) => link,
            Err(error) if errno(&error) == Some(Errno::ENODEV) => None,
            Err(error) => return Err(failed(format!("look up link {name}"), error)),
        };
        let Some(link) = link else {
            return Ok(None);
        };
        let index = link.header.index;
        Ok(Some(LinkState {
            index,
            name: name.to_owned(),
            kind: kind(&link),
            up: link.header.flags.contains(LinkFlags::Up),
            addresses: self.addresses(name, index).await?,
        }))
    }

    async fn addresses(&self, name: &str, index: u32) -> Result<Vec<AddressState>, LinkError> {
        let dump = self.handle.address().get().set_link_index_filter(index).execute();
        dump.try_filter_map(async |message| Ok(address_state(message)))
            .try_collect()
            .await
            .map_err(|error| failed(format!("list the addresses of link {name}"), error))
    }

    /// Creates a link; false when it exists already.
    pub(crate) async fn create(&self, name: &str, kind: LinkKind) -> Result<bool, LinkError> {
        let info = match kind {
            LinkKind::Dummy => InfoKind::Dummy,
            LinkKind::Bridge => InfoKind::Bridge,
            LinkKind::Ifb => InfoKind::Ifb,
        };
        let link = LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(info).name(name.to_owned()).build();
        match self.handle.link().add(link).execute().await {
            Ok(()) => Ok(true),
            Err(error) => match errno(&error) {
                Some(Errno::EEXIST) => Ok(false),
                Some(Errno::EOPNOTSUPP) => Err(LinkError::NoDriver(kind)),
                _ => Err(failed(format!("create link {name}"), error)),
            },
        }
    }

    /// Adds a host address that is never chosen as a source address; an existing one with the same
    /// prefix length gets these attributes, except the scope.
    pub(crate) async fn add_address(&self, link: &LinkState, address: IpAddr) -> Result<(), LinkError> {
        let request = match address {
            IpAddr::V4(ipv4) => return self.add_ipv4(link, ipv4, host_prefix(address)).await.map(|_| ()),
            IpAddr::V6(_) => {
                let mut request = self.handle.address().add(link.index, address, host_prefix(address));
                let message = request.message_mut();
                message.header.flags |= AddressHeaderFlags::Nodad;
                let mut lifetime = CacheInfo::default();
                lifetime.ifa_valid = u32::MAX;
                message.attributes.push(AddressAttribute::CacheInfo(lifetime));
                request.replace()
            }
        };
        request.execute().await.map_err(|error| match errno(&error) {
            Some(Errno::EACCES | Errno::EAFNOSUPPORT | Errno::EOPNOTSUPP) => LinkError::Ipv6Disabled(address),
            _ => failed(format!("add {address} to link {}", link.name), error),
        })
    }

    /// Adds an IPv4 address with host scope and without a route to its prefix; returns what
    /// identifies it.
    pub(crate) async fn add_ipv4(
        &self,
        link: &LinkState,
        address: Ipv4Addr,
        prefix_len: u8,
    ) -> Result<AddressState, LinkError> {
        let mut request = self.handle.address().add(link.index, address.into(), prefix_len).replace();
        let message = request.message_mut();
        message.header.scope = AddressScope::Host;
        if prefix_len < host_prefix(address.into()) {
            message.attributes.push(AddressAttribute::Flags(AddressFlags::Noprefixroute));
        }
        let message = message.clone();
        match request.execute().await {
            Ok(()) => Ok(AddressState::new(address.into(), message)),
            Err(error) => Err(failed(format!("add {address}/{prefix_len} to link {}", link.name), error)),
        }
    }

    /// Removes an address; a missing one is ignored.
    pub(crate) async fn delete_address(
        &self,
        link: &LinkState,
        state: &AddressState,
    ) -> Result<(), LinkError> {
        match self.handle.address().del(state.message.clone()).execute().await {
            Err(error) if !matches!(errno(&error), Some(Errno::EADDRNOTAVAIL | Errno::ENODEV)) => {
                Err(failed(format!("remove {} from link {}", state.address, link.name), error))
            }
            _ => Ok(()),
        }
    }

    pub(crate) async fn set_up(&self, link: &LinkState) -> Result<(), LinkError> {
        let request = self.handle.link().set(LinkUnspec::new_with_index(link.index).up().build());
        request.execute().await.map_err(|error| failed(format!("set link {} up", link.name), error))
    }

    /// Deletes a link; a missing one is ignored.
    pub(crate) async fn delete(&self, link: &LinkState) -> Result<(), LinkError> {
        match self.handle.link().del(link.index).execute().await {
            Err(error) if errno(&error) != Some(Errno::ENODEV) => {
                Err(failed(format!("delete link {}", link.name), error))
            }
            _ => Ok(()),
        }
    }

    /// All links.
    pub(crate) async fn links(&self) -> Result<Vec<LinkIdentity>, LinkError> {
        let links: Vec<LinkMessage> = self
            .handle
            .link()
            .get()
            .execute()
            .try_collect()
            .await
            .map_err(|error| failed("list the links".to_owned(), error))?;
        Ok(links.iter().filter_map(identity).collect())
    }

    /// The indices of the interfaces that default routes lead to.
    pub(crate) async fn default_route_interfaces(&self) -> Result<BTreeSet<u32>, LinkError> {
        let mut indices = BTreeSet::new();
        let requests =
            [RouteMessageBuilder::<Ipv4Addr>::new().build(), RouteMessageBuilder::<Ipv6Addr>::new().build()];
        for request in requests {
            let mut routes = Box::pin(self.handle.route().get(request).execute());
            loop {
                match routes.try_next().await {
                    Ok(Some(route)) => indices.extend(default_interfaces(&route)),
                    Ok(None) => break,
                    // A kernel without IPv6.
                    Err(error) if errno(&error) == Some(Errno::EOPNOTSUPP) => break,
                    Err(error) => return Err(failed("list the routes".to_owned(), error)),
                }
            }
        }
        Ok(indices)
    }

    /// Whether other links are ports of this bridge.
    pub(crate) async fn has_ports(&self, link: &LinkState) -> Result<bool, LinkError> {
        let is_port = |port: LinkMessage| port.attributes.contains(&LinkAttribute::Controller(link.index));
        let links = self.handle.link().get().execute();
        let ports = links.try_any(async |port| is_port(port)).await;
        ports.map_err(|error| failed(format!("list the ports of link {}", link.name), error))
    }
}

fn identity(link: &LinkMessage) -> Option<LinkIdentity> {
    let name = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    });
    Some(LinkIdentity { index: link.header.index, name: name?, kind: kind(link) })
}

/// The interfaces of a route if it is a default route that packets can take.
fn default_interfaces(route: &RouteMessage) -> Vec<u32> {
    if route.header.destination_prefix_length != 0 || route.header.kind != RouteType::Unicast {
        return Vec::new();
    }
    let interfaces = route.attributes.iter().flat_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => vec![*index],
        RouteAttribute::MultiPath(hops) => hops.iter().map(|hop| hop.interface_index).collect(),
        _ => Vec::new(),
    });
    interfaces.collect()
}

fn kind(link: &LinkMessage) -> String {
    let infos = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => Some(infos),
        _ => None,
    });
    let kind = infos.into_iter().flatten().find_map(|info| match info {
        LinkInfo::Kind(kind) => Some(kind.to_string()),
        _ => None,
    });
    kind.unwrap_or_default()
}

fn address_state(message: AddressMessage) -> Option<AddressState> {
    // With a peer address, `Local` is our address and `Address` the peer's.
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let plain = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    });
    let address = local.or(plain)?;
    Some(AddressState::new(address, message))
}

pub(crate) const fn host_prefix(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn errno(error: &rtnetlink::Error) -> Option<Errno> {
    match error {
        rtnetlink::Error::NetlinkError(message) => Some(Errno::from_raw(message.raw_code().checked_neg()?)),
        _ => None,
    }
}

pub(super) fn failed(action: String, error: rtnetlink::Error) -> LinkError {
    match errno(&error) {
        Some(Errno::EPERM) => LinkError::NoPermission { action },
        Some(errno) => LinkError::Kernel { action, error: errno.into() },
        None => LinkError::Kernel { action, error: io::Error::other(error) },
    }
}
