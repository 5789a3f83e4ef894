//! What the kernel and the container allow: driver of the link, capabilities, packet filter.

use std::fs;

use linux::link::{LinkKindPreference, has_driver};
use linux::packet_filter::{FilterConfig, FilterError, FilteredAddress, check_support};

use super::finding::Finding;
use crate::control::service_translation::EarlyTranslation;
use crate::control::{fail_open, node};
use crate::flags::Flags;

const GROUP: &str = "node";
/// Capabilities by their number (capabilities(7)).
const NET_BIND_SERVICE: (u32, &str) = (10, "NET_BIND_SERVICE");
const NET_ADMIN: (u32, &str) = (12, "NET_ADMIN");
/// Ports below need NET_BIND_SERVICE, unless the node says otherwise.
const PRIVILEGED_PORTS: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";

/// The driver of the link.
pub(super) async fn link_driver(flags: &Flags) -> Finding {
    if !flags.setup_interface {
        return Finding::ok(GROUP, "the link is left to others (-setupinterface=false)");
    }
    let preferred = match flags.link_kind.parse::<LinkKindPreference>() {
        Ok(preference) => preference,
        Err(error) => return Finding::problem(GROUP, format!("-link-kind: {error}"), "correct the flag"),
    };
    let kind = preferred.first();
    match (has_driver(kind).await, preferred.fallback()) {
        (Ok(true), _) => Finding::ok(GROUP, format!("the kernel has the driver for links of kind {kind}")),
        (Ok(false), Some(other)) => Finding::warning(
            GROUP,
            format!("the kernel has no driver for links of kind {kind}; one of kind {other} is created"),
            format!("load it on the node (modprobe {kind}) or choose with -link-kind {other}"),
        ),
        (Ok(false), None) => Finding::problem(
            GROUP,
            format!("the kernel has no driver for links of kind {kind}"),
            format!("load it on the node (modprobe {kind}), or leave out -link-kind"),
        ),
        (Err(error), _) => Finding::warning(
            GROUP,
            format!("the driver of the link is not known: {error}"),
            "run as root with NET_ADMIN",
        ),
    }
}

/// The capabilities of this process, which are those of the daemon in the same container.
pub(super) fn capabilities(flags: &Flags) -> Vec<Finding> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let unprivileged = fs::read_to_string(PRIVILEGED_PORTS).ok().and_then(|port| port.trim().parse().ok());
    let mut needed = Vec::new();
    if flags.setup_interface || flags.setup_iptables {
        needed.push(NET_ADMIN);
    }
    if flags.options.dns_port < unprivileged.unwrap_or(1024) {
        needed.push(NET_BIND_SERVICE);
    }
    let Some(effective) = effective_capabilities(&status) else { return Vec::new() };
    let has = |number: u32| effective >> number & 1 == 1;
    needed
        .into_iter()
        .map(|(number, name)| match has(number) {
            true => Finding::ok(GROUP, format!("capability {name}")),
            false => Finding::problem(
                GROUP,
                format!("capability {name} is missing"),
                format!("add it: securityContext.capabilities.add: [{name}]"),
            ),
        })
        .collect()
}

fn effective_capabilities(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// Whether the kernel accepts the packet-filter table, and where fail-open leads.
pub(super) fn packet_filter(
    flags: &Flags,
    addresses: Vec<FilteredAddress>,
    early: Option<EarlyTranslation>,
) -> Vec<Finding> {
    if !flags.setup_iptables {
        return vec![Finding::ok(GROUP, "the packet filter is left to others (-setupiptables=false)")];
    }
    let config = node::filter_config(flags, addresses);
    let without_fail_open = || {
        let addresses =
            config.addresses.iter().map(|filtered| FilteredAddress { fallback: None, ..*filtered }).collect();
        check_support(&FilterConfig { addresses, ..config.clone() })
    };
    match check_support(&config) {
        Ok(()) => {
            let accepted = Finding::ok(GROUP, "the kernel accepts the packet-filter table");
            vec![accepted, fallbacks(flags, &config.addresses, early)]
        }
        Err(FilterError::NoPermission) => vec![unknown(&FilterError::NoPermission)],
        Err(error) => match without_fail_open() {
            Ok(()) => vec![Finding::warning(
                GROUP,
                format!("no fail-open: {error}"),
                "load the modules on the node, or accept that a crash interrupts DNS",
            )],
            Err(error) => vec![unknown(&error)],
        },
    }
}

fn unknown(error: &FilterError) -> Finding {
    Finding::problem(GROUP, "the packet-filter table cannot be installed", error.to_string())
}

fn fallbacks(flags: &Flags, addresses: &[FilteredAddress], early: Option<EarlyTranslation>) -> Finding {
    let led = format!("fail-open: {}", fail_open::description(addresses));
    if !flags.fail_open {
        return Finding::ok(GROUP, "fail-open is turned off (-fail-open=false)");
    }
    if let Some(early) = early.filter(|_| flags.fail_open_upstreams.is_empty()) {
        return Finding::warning(
            GROUP,
            format!("no fail-open: {early}"),
            "name an address of a DNS server that is no Service with -fail-open-upstream",
        );
    }
    match addresses.iter().all(|filtered| filtered.fallback.is_some()) {
        true => Finding::ok(GROUP, led),
        false => Finding::warning(
            GROUP,
            led,
            "forward the cluster's zones to the address of a Service, or name it with -fail-open-upstream",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_from_the_status() {
        assert_eq!(
            effective_capabilities("Name:\tx\nCapEff:\t0000000000001400\nSeccomp:\t0\n"),
            Some(0x1400)
        );
        assert_eq!(effective_capabilities("CapEff:\tx\n"), None);
        assert_eq!(effective_capabilities(""), None);
    }
}
