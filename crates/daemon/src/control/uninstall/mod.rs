//! Uninstalling (`nodelocaldns uninstall`): removes from a node what instances of this program and
//! node-cache have left behind.

mod directory;
mod report;

use std::io::{self, Write};
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use linux::iptables::{Iptables, IptablesError, LOCK_FILE};
use linux::link::{LeftoverLink, LinkError};
use linux::packet_filter::{FilterError, remove_table};

use self::report::{Item, Outcome, Report};
use super::exit::print_error;
use super::node::TABLE;
use super::node_sockets;
use crate::clock;
use crate::environment;
use crate::flags::UninstallFlags;
use crate::handover::{self, SocketDirectory};

/// The link of node-cache and, by default, ours.
const LINK: &str = "nodelocaldns";
/// How often `-wait` looks.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Rules of node-cache have comments that begin with this.
const COMMENT: &str = "NodeLocal DNS Cache:";

/// A link by its name, if it is there.
type FoundLink<'a> = (&'a str, Result<Option<LeftoverLink>, LinkError>);

/// Removes what has been left behind, and writes the report to stdout.
pub(super) fn run(flags: &UninstallFlags) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            print_error(&format!("no timer from the system: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let report = runtime.block_on(uninstall(flags));
    let text = if flags.json { report.json() } else { report.text() };
    let written = io::stdout().write_all(text.as_bytes()).is_ok();
    if written && report.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn uninstall(flags: &UninstallFlags) -> Report {
    let deadline = clock::now() + if flags.force { Duration::ZERO } else { flags.wait };
    let (links, user) = loop {
        let links = find_links(flags).await;
        let user = user(flags, &addresses(flags, &links)).await;
        if user.is_none() || clock::now() >= deadline {
            break (links, user);
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    };
    if !flags.force
        && let Some(reason) = user
    {
        return Report::refused(format!("{reason}: stop it first, or add -force"));
    }
    let mut items = Vec::new();
    if flags.daemon.setup_iptables {
        items.push(remove_packet_filter_table());
        items.extend(Iptables::ALL.map(remove_rules_of_node_cache));
    }
    for (name, found) in links {
        let outcome = match found {
            Ok(Some(link)) => remove_link(link, &flags.daemon.options.local_ips).await,
            Ok(None) => Outcome::Absent,
            Err(error) => Outcome::failed(&error),
        };
        items.push(Item { subject: format!("link {name}"), outcome });
    }
    items.extend(flags.daemon.handover_dir.as_deref().map(directory::remove));
    Report::new(items)
}

/// The links that may be left, by name.
async fn find_links(flags: &UninstallFlags) -> Vec<FoundLink<'_>> {
    let mut links = Vec::new();
    for name in link_names(flags) {
        links.push((name, LeftoverLink::find(name).await));
    }
    links
}

/// Addresses of the links and of `-localip`.
fn addresses(flags: &UninstallFlags, links: &[FoundLink<'_>]) -> Vec<IpAddr> {
    links
        .iter()
        .filter_map(|(_, found)| found.as_ref().ok()?.as_ref())
        .flat_map(|link| link.addresses.clone())
        .chain(flags.daemon.options.local_ips.iter().copied())
        .collect()
}

fn link_names(flags: &UninstallFlags) -> Vec<&str> {
    let ours = flags.daemon.interface_name.as_str();
    match flags.daemon.setup_interface {
        true if ours == LINK => vec![LINK],
        true => vec![ours, LINK],
        false => Vec::new(),
    }
}

/// Who uses what is to be removed.
async fn user(flags: &UninstallFlags, addresses: &[IpAddr]) -> Option<String> {
    if let Some(path) = &flags.daemon.handover_dir
        && let Ok(Some(directory)) = SocketDirectory::open(path)
        && handover::query_status(&directory).await.is_some()
    {
        return Some(format!("an instance is active, which listens in {}", path.display()));
    }
    let port = flags.daemon.options.dns_port;
    let sockets = node_sockets::list();
    let mut used = sockets
        .iter()
        .filter(|socket| addresses.iter().any(|address| socket.address == (*address, port).into()));
    used.next().map(|socket| match node_sockets::owner(socket.inode) {
        Some(owner) => format!("{owner} listens on {socket}"),
        None => format!("a process listens on {socket}"),
    })
}

fn remove_packet_filter_table() -> Item {
    let outcome = match remove_table(TABLE) {
        Ok(true) => Outcome::Removed(None),
        Ok(false) | Err(FilterError::NoKernelSupport) => Outcome::Absent,
        Err(FilterError::NoPermission) => Outcome::failed(&IptablesError::NoPermission),
        Err(error) => Outcome::failed(&error),
    };
    Item { subject: format!("packet-filter table inet {TABLE}"), outcome }
}

fn remove_rules_of_node_cache(program: Iptables) -> Item {
    let lock_file = environment::xtables_lock_file().unwrap_or_else(|| LOCK_FILE.into());
    let outcome = match program.remove_rules(COMMENT, &lock_file) {
        Ok(removed) if removed.is_empty() => Outcome::Absent,
        Ok(removed) => Outcome::Removed(Some(removed.to_string())),
        Err(IptablesError::NoPermission) => Outcome::failed(&IptablesError::NoPermission),
        Err(error) => {
            Outcome::Failed { reason: error.to_string(), command: Some(program.removal_command(COMMENT)) }
        }
    };
    Item { subject: format!("rules of node-cache in {program}"), outcome }
}

/// Deletes a link, or removes our addresses from one that is not ours.
async fn remove_link(link: LeftoverLink, ours: &[IpAddr]) -> Outcome {
    let (kind, is_removable) = (link.kind.clone(), link.is_removable);
    let addresses = if is_removable { link.addresses.clone() } else { Vec::new() };
    let removed = match is_removable {
        true => link.delete().await.map(|()| addresses),
        false => link.remove_addresses(ours).await,
    };
    let removed = match removed {
        Ok(removed) => removed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Err(error) => return Outcome::failed(&error),
    };
    match (is_removable, removed.is_empty()) {
        (true, true) => Outcome::Removed(Some(kind)),
        (true, false) => Outcome::Removed(Some(format!("{kind}, {removed}"))),
        (false, true) => Outcome::Kept(format!("not ours: kind {kind}, or with ports")),
        (false, false) => Outcome::Kept(format!("not ours: kind {kind}, or with ports; {removed} removed")),
    }
}
