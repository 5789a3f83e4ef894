//! Listen addresses of a configuration: whether the node has them, whether they can be bound, and
//! which ones a reload removes.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use corefile::Options;
use corefile::settings::{Listener, Settings};

use super::exit::FatalError;
use crate::http::BindError;
use crate::worker::{InheritedSockets, OpenError};

/// Checks that each address is in `-localip` or on the node, except those that are `served`
/// already. Sockets are bound regardless (IP_FREEBIND), since the link is set up later.
///
/// # Errors
/// The first address that is neither.
pub(super) fn check(
    settings: &Settings,
    served: Option<&Settings>,
    options: &Options,
) -> Result<(), FatalError> {
    let is_served = |address: &SocketAddr| served.is_some_and(|served| listens(served, *address));
    let is_exempt = |address: &SocketAddr| {
        let ip = address.ip();
        ip.is_unspecified() || options.local_ips.contains(&ip) || is_served(address)
    };
    for listener in &settings.listeners {
        for &address in listener.addresses.iter().filter(|address| !is_exempt(address)) {
            linux::check_local_address(address)
                .map_err(|error| FatalError::Listen(listener.location.clone(), address, error))?;
        }
    }
    let endpoints = settings.health.iter().chain(&settings.ready).copied();
    for address in endpoints.filter(|address| !is_exempt(address)) {
        linux::check_local_address(address)
            .map_err(|source| super::http_endpoints::located(settings, BindError { address, source }))?;
    }
    Ok(())
}

/// Checks that each address that the predecessor serves has a listener of its own. A wildcard
/// address would not do: the predecessor's sockets stay open while it is on standby, and take
/// precedence.
///
/// # Errors
/// The first address without one.
pub(super) fn check_served(settings: &Settings, predecessor: &InheritedSockets) -> Result<(), FatalError> {
    let is_lacking = |address: &SocketAddr| !addresses(settings).any(|own| own == *address);
    match predecessor.addresses().into_iter().find(is_lacking) {
        Some(address) => Err(FatalError::NotServed(settings.source.clone(), address)),
        None => Ok(()),
    }
}

/// An error in opening the listeners of `settings`, with the line of the address.
pub(super) fn located(settings: &Settings, error: OpenError) -> FatalError {
    match error {
        OpenError::Resources(error) => FatalError::Descriptors(error),
        OpenError::Bind(address, error) => {
            let listener = settings.listeners.iter().find(|listener| listener.addresses.contains(&address));
            let location = listener.map_or(&settings.source, |listener| &listener.location);
            FatalError::Listen(location.clone(), address, error)
        }
    }
}

/// Addresses that pods may use and that are no longer served when `after` replaces `before`: those
/// on the port of DNS, and those of an IP address that is not served on any port any more. Nobody
/// but the node itself reaches loopback, unless it is in `-localip`.
pub(super) fn removed(before: &Settings, after: &Settings, options: &Options) -> Vec<SocketAddr> {
    let served_ips: BTreeSet<_> = addresses(after).map(|address| address.ip()).collect();
    let is_used = |address: &SocketAddr| {
        let by_pods = !address.ip().is_loopback() || options.local_ips.contains(&address.ip());
        by_pods && (address.port() == options.dns_port || !served_ips.contains(&address.ip()))
    };
    let is_removed = |address: &SocketAddr| !addresses(after).any(|other| covers(other, *address));
    addresses(before).filter(|address| is_used(address) && is_removed(address)).collect()
}

fn addresses(settings: &Settings) -> impl Iterator<Item = SocketAddr> {
    settings.listeners.iter().flat_map(|listener: &Listener| listener.addresses.iter().copied())
}

/// True when a socket on `listener` receives what is sent to `address`.
fn covers(listener: SocketAddr, address: SocketAddr) -> bool {
    let is_wildcard = listener.ip().is_unspecified() && listener.is_ipv4() == address.is_ipv4();
    listener == address || (is_wildcard && listener.port() == address.port())
}

fn listens(settings: &Settings, address: SocketAddr) -> bool {
    let endpoints = settings.health.iter().chain(&settings.ready).copied();
    addresses(settings).chain(endpoints).any(|served| served == address)
}

#[cfg(test)]
mod tests {
    use corefile::Environment;

    use super::*;
    use crate::flags;
    use crate::host::OsHost;

    const LOCAL_IP: &str = "169.254.25.10";

    fn options(corefile: &str) -> Options {
        let path = std::env::temp_dir().join(format!("nodelocaldns-listen-{}", rand::random::<u64>()));
        std::fs::write(&path, corefile).unwrap();
        let args = ["nodelocaldns", "-localip", LOCAL_IP, "-conf"].map(Into::into);
        flags::parse(args.into_iter().chain([path.into_os_string()])).unwrap().options
    }

    fn settings(corefile: &str) -> Settings {
        let options = options(corefile);
        let settings = corefile::load(&options, &Environment::default(), &OsHost::default()).unwrap();
        std::fs::remove_file(&options.conf).unwrap();
        settings
    }

    fn message(corefile: &str) -> Option<String> {
        let options = options(corefile);
        let settings = corefile::load(&options, &Environment::default(), &OsHost::default()).unwrap();
        std::fs::remove_file(&options.conf).unwrap();
        let error = check(&settings, None, &options).err()?.to_string();
        Some(error.replace(&options.conf, "FILE"))
    }

    #[test]
    fn an_address_neither_in_localip_nor_on_the_node_is_rejected_with_its_line() {
        let reason = "cannot assign requested address (the address is neither in -localip nor on the node)";
        for (corefile, expected) in [
            (". {\n bind 169.254.25.10 127.0.0.1\n health 169.254.25.10:8080\n ready\n}", None),
            (".:5300 {\n prometheus :9253\n}", None),
            (
                ". {\n bind 169.254.25.10\n bind 127.0.0.1 203.0.113.77\n}",
                Some(format!("FILE:3 - Listen: listen 203.0.113.77:53: bind: {reason}")),
            ),
            (
                ". {\n bind 127.0.0.1\n health 203.0.113.77:8080\n}",
                Some(format!("FILE:3 - listen tcp 203.0.113.77:8080: bind: {reason}")),
            ),
            (
                ". {\n ready 203.0.113.77:8181\n}",
                Some(format!("FILE:2 - listen tcp 203.0.113.77:8181: bind: {reason}")),
            ),
        ] {
            assert_eq!(message(corefile), expected, "{corefile}");
        }
    }

    #[test]
    fn addresses_that_pods_may_use_are_named_when_they_are_removed() {
        let bind = |port: u16, addresses: &str| settings(&format!(".:{port} {{\n bind {addresses}\n}}\n"));
        let removed = |before: &Settings, after: &Settings| {
            let options = Options { conf: String::new(), ..options("") };
            let removed = removed(before, after, &options);
            removed.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let before = bind(53, "169.254.25.10 10.233.0.3 127.0.0.1");
        assert_eq!(removed(&before, &before), Vec::<String>::new());
        assert_eq!(removed(&before, &bind(53, "169.254.25.10")), ["10.233.0.3:53"]);
        assert_eq!(removed(&before, &bind(5300, "169.254.25.10")), ["169.254.25.10:53", "10.233.0.3:53"]);
        assert_eq!(removed(&before, &settings(".:53 {\n}\n")), Vec::<String>::new());
        let wildcard = settings(".:53 {\n}\n");
        assert_eq!(removed(&wildcard, &before), ["[::]:53", "0.0.0.0:53"]);
        let both = settings(". {\n bind 169.254.25.10\n}\n.:54 {\n bind 169.254.25.10\n}\n");
        assert_eq!(removed(&both, &bind(53, "169.254.25.10")), Vec::<String>::new());
    }
}
