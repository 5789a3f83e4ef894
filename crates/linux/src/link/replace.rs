//! Replacement of an address that has other attributes than configured, without a moment in which
//! the node lacks the address.

use std::net::{IpAddr, Ipv4Addr};

use super::error::LinkError;
use super::route::{AddressState, LinkState, Rtnetlink, host_prefix};

/// Prefix length of the temporary address: any but that of a host.
const TEMPORARY_PREFIX: u8 = 31;

/// Gives `address` the configured attributes.
pub(super) async fn replace_address(
    rtnetlink: &Rtnetlink,
    link: &LinkState,
    address: IpAddr,
) -> Result<(), LinkError> {
    let present = || link.addresses.iter().filter(move |state| state.address == address);
    let is_host = |state: &&AddressState| state.prefix_len() == host_prefix(address);
    match address {
        IpAddr::V4(ipv4) => {
            // The kernel changes no scope, but has an address with several prefix lengths, and the
            // address is local as long as one of them is left.
            let others: Vec<_> = present().filter(|state| !is_host(state)).collect();
            let temporary = match present().find(is_host) {
                Some(_) if others.is_empty() => add_temporary(rtnetlink, link, ipv4).await,
                _ => None,
            };
            for state in present().filter(is_host) {
                rtnetlink.delete_address(link, state).await?;
            }
            rtnetlink.add_address(link, address).await?;
            for state in others.into_iter().chain(&temporary) {
                rtnetlink.delete_address(link, state).await?;
            }
            Ok(())
        }
        IpAddr::V6(_) => {
            // The kernel changes flags and lifetimes in place, but has an address once per link. One
            // whose duplicate detection is pending or has failed is not usable anyway.
            for state in present().filter(|state| !is_host(state) || !state.is_usable()) {
                rtnetlink.delete_address(link, state).await?;
            }
            rtnetlink.add_address(link, address).await
        }
    }
}

/// Adds the address with another prefix length. Where this fails, because an address of others has
/// the same prefix, the address is missing while it is replaced.
async fn add_temporary(rtnetlink: &Rtnetlink, link: &LinkState, address: Ipv4Addr) -> Option<AddressState> {
    rtnetlink.add_ipv4(link, address, TEMPORARY_PREFIX).await.ok()
}
