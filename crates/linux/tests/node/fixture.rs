//! The configuration under test, the state of the link as libc reports it, and changes over
//! rtnetlink.

use std::net::IpAddr;

use futures_util::TryStreamExt;
use linux::link::{Link, LinkConfig, LinkError, LinkKind, LinkKindPreference};
use linux::packet_filter::{FilterConfig, FilteredAddress};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use rtnetlink::packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope};
use rtnetlink::packet_route::link::InfoKind;
use rtnetlink::{Handle, LinkMessageBuilder, LinkUnspec};

pub(crate) const NAME: &str = "nodelocaldns";

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn link_config(kind: impl Into<LinkKindPreference>) -> LinkConfig {
    LinkConfig {
        name: NAME.into(),
        kind: kind.into(),
        addresses: vec![ip("169.254.25.10"), ip("fd00:25::10"), ip("10.96.0.10")],
    }
}

pub(crate) fn filter_config() -> FilterConfig {
    FilterConfig {
        table: NAME.into(),
        addresses: vec![without_fallback("169.254.25.10"), without_fallback("fd00:25::10")],
        dns_port: 53,
        health_port: Some(9254),
        first_zone: 25,
        mark_mask: 0x3000,
        guard: false,
        notrack: true,
    }
}

pub(crate) fn without_fallback(address: &str) -> FilteredAddress {
    FilteredAddress { address: ip(address), fallback: None }
}

/// The addresses of a link that is up, each with its mask, without automatic ones, sorted, as
/// getifaddrs(3) reports them.
pub(crate) fn link_addresses(name: &str) -> Vec<(String, String)> {
    let mut addresses: Vec<_> = getifaddrs()
        .unwrap()
        .filter(|entry| entry.interface_name == name && entry.flags.contains(InterfaceFlags::IFF_UP))
        .filter_map(|entry| {
            let (address, mask) = (entry.address?, entry.netmask?);
            let text = |storage: &nix::sys::socket::SockaddrStorage| {
                let v4 = storage.as_sockaddr_in().map(|v4| v4.ip().to_string());
                v4.or_else(|| storage.as_sockaddr_in6().map(|v6| v6.ip().to_string()))
            };
            Some((text(&address)?, text(&mask)?))
        })
        .filter(|(address, _)| !address.starts_with("fe80:"))
        .collect();
    addresses.sort();
    addresses
}

pub(crate) fn configured_addresses() -> Vec<(String, String)> {
    [
        ("10.96.0.10", "255.255.255.255"),
        ("169.254.25.10", "255.255.255.255"),
        ("fd00:25::10", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ]
    .map(|(address, mask)| (address.to_owned(), mask.to_owned()))
    .to_vec()
}

/// Dummy, or bridge where the kernel lacks the driver.
pub(crate) async fn usable_kind() -> LinkKind {
    match Link::ensure(link_config(LinkKind::Dummy)).await {
        Err(LinkError::NoDriver(_)) => LinkKind::Bridge,
        made => {
            made.unwrap().0.remove().await.unwrap();
            LinkKind::Dummy
        }
    }
}

pub(crate) fn exists(name: &str) -> bool {
    if_nametoindex(name).is_ok()
}

/// The index of an existing link.
pub(crate) fn index(name: &str) -> u32 {
    if_nametoindex(name).unwrap()
}

/// Changes links or addresses of the namespace, as another process would.
pub(crate) async fn change(work: impl AsyncFnOnce(&Handle) -> Result<(), rtnetlink::Error>) {
    let (connection, handle, _) = rtnetlink::new_connection().unwrap();
    tokio::select! {
        result = work(&handle) => result.unwrap(),
        () = connection => unreachable!("the connection lasts as long as its handle"),
    }
}

pub(crate) async fn add_bridge(name: &str) {
    add_link(name, InfoKind::Bridge, None).await;
}

/// Adds a link, as a port of the bridge with the index `port_of` if given.
pub(crate) async fn add_link(name: &str, kind: InfoKind, port_of: Option<u32>) {
    let mut link = LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(kind).name(name.to_owned());
    if let Some(index) = port_of {
        link = link.controller(index);
    }
    let link = link.build();
    change(async |handle| handle.link().add(link).execute().await).await;
}

pub(crate) async fn delete_link(name: &str) {
    change(async |handle| handle.link().del(index(name)).execute().await).await;
}

pub(crate) async fn set_down(name: &str) {
    let link = LinkUnspec::new_with_index(index(name)).down().build();
    change(async |handle| handle.link().set(link).execute().await).await;
}

pub(crate) async fn bring_up(name: &str) {
    let link = LinkUnspec::new_with_index(index(name)).up().build();
    change(async |handle| handle.link().set(link).execute().await).await;
}

/// Adds an IPv6 address as [`add_address`] does, without duplicate address detection.
pub(crate) async fn add_usable_address(name: &str, address: IpAddr, prefix: u8) {
    change(async |handle| {
        let mut request = handle.address().add(index(name), address, prefix);
        request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
        request.execute().await
    })
    .await;
}

/// Address, prefix length, scope, flags and preferred lifetime in seconds.
pub(crate) type AddressAttributes = (IpAddr, u8, AddressScope, AddressHeaderFlags, u32);

/// The attributes of the addresses of a link, sorted by address, without automatic ones.
pub(crate) async fn address_attributes(name: &str) -> Vec<AddressAttributes> {
    let mut found = Vec::new();
    change(async |handle| {
        let mut dump = handle.address().get().set_link_index_filter(index(name)).execute();
        while let Some(AddressMessage { header, attributes, .. }) = dump.try_next().await? {
            let address = attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Address(address) => Some(*address),
                _ => None,
            });
            let lifetime = attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::CacheInfo(info) => Some(info.ifa_preferred),
                _ => None,
            });
            let (address, lifetime) = (address.unwrap(), lifetime.unwrap());
            found.push((address, header.prefix_len, header.scope, header.flags, lifetime));
        }
        Ok(())
    })
    .await;
    found
        .retain(|attributes| !matches!(attributes.0, IpAddr::V6(address) if address.is_unicast_link_local()));
    found.sort_by_key(|attributes| attributes.0);
    found
}

/// Adds an address with the kernel's defaults: global scope, unlimited preferred lifetime.
pub(crate) async fn add_address(name: &str, address: IpAddr, prefix: u8) {
    change(async |handle| handle.address().add(index(name), address, prefix).execute().await).await;
}

pub(crate) async fn delete_address(name: &str, address: IpAddr, prefix: u8) {
    change(async |handle| {
        let message = handle.address().add(index(name), address, prefix).message_mut().clone();
        handle.address().del(message).execute().await
    })
    .await;
}
