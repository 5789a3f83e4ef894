//! Diagnosis of a node (`nodelocaldns doctor`, and in short form after each start).

mod cluster;
mod finding;
mod node;
mod port;
mod report;
mod start;
mod upstreams;

use std::io::{self, Write};
use std::net::IpAddr;
use std::process::ExitCode;

use corefile::settings::Settings;
use linux::link::LeftoverLink;
use linux::packet_filter::FilteredAddress;

use self::finding::{Finding, Status};
pub(super) use self::start::StartCheck;
use super::exit::print_error;
use super::fail_open;
use super::service_translation::EarlyTranslation;
use crate::environment;
use crate::flags::{DoctorFlags, Flags};
use crate::handover::{self, SocketDirectory};
use crate::host::OsHost;

const CONFIGURATION: &str = "configuration";
const INSTANCE: &str = "instance";

/// Examines the node, and writes the report to stdout.
pub(super) fn run(flags: &DoctorFlags) -> ExitCode {
    let findings = match findings(&flags.daemon) {
        Ok(findings) => findings,
        Err(error) => {
            print_error(&format!("no timer from the system: {error}"));
            return ExitCode::from(2);
        }
    };
    let text = if flags.json { report::json(&findings) } else { report::text(&findings) };
    if io::stdout().write_all(text.as_bytes()).is_err() {
        return ExitCode::from(2);
    }
    match report::worst(&findings) {
        Status::Ok => ExitCode::SUCCESS,
        Status::Warning => ExitCode::from(1),
        Status::Problem => ExitCode::from(2),
    }
}

/// Examines the node as with these flags; the report for programs.
///
/// # Errors
/// The system refuses a timer.
pub(super) fn json(flags: &Flags) -> io::Result<String> {
    findings(flags).map(|findings| report::json(&findings))
}

fn findings(flags: &Flags) -> io::Result<Vec<Finding>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(examine(flags)))
}

async fn examine(flags: &Flags) -> Vec<Finding> {
    let environment = environment::from_process();
    let (settings, mut findings) = match corefile::load(&flags.options, &environment, &OsHost::default()) {
        Ok(settings) => {
            let warnings = settings
                .warnings
                .iter()
                .map(|warning| Finding::warning(CONFIGURATION, warning, "see README.md"));
            let findings = std::iter::once(Finding::ok(CONFIGURATION, format!("{} loads", settings.source)));
            let findings = findings.chain(warnings).collect();
            (Some(settings), findings)
        }
        Err(errors) => {
            let problem =
                Finding::problem(CONFIGURATION, errors.to_string().trim_end(), "see nodelocaldns check");
            (None, vec![problem])
        }
    };
    let addresses = addresses(flags).await;
    if addresses.is_empty() {
        findings.push(Finding::warning(CONFIGURATION, "no address of ours is known", "give -localip"));
    }
    findings.push(node::link_driver(flags).await);
    findings.extend(node::capabilities(flags));
    let early = EarlyTranslation::find().await;
    let filtered =
        filtered(flags, &addresses, settings.as_ref().map(|settings| (settings, &environment)), early);
    findings.extend(node::packet_filter(flags, filtered, early));
    let (is_active, instance) = active_instance(flags).await;
    findings.extend(port::conflicts(&addresses, flags.options.dns_port, is_active));
    findings.extend(cluster::host_firewall(&addresses, flags.options.dns_port, true));
    findings.extend(cluster::service_translation(&addresses).await);
    findings.extend(upstreams::loops(settings.as_ref(), &addresses));
    if let Some(settings) = &settings {
        findings.extend(upstreams::reachability(settings).await);
    }
    findings.push(instance);
    findings
}

/// The addresses of `-localip`, or those of the link.
async fn addresses(flags: &Flags) -> Vec<IpAddr> {
    if !flags.options.local_ips.is_empty() {
        return flags.options.local_ips.clone();
    }
    let link = LeftoverLink::find(&flags.interface_name).await.ok().flatten();
    link.map(|link| link.addresses).unwrap_or_default()
}

fn filtered(
    flags: &Flags,
    addresses: &[IpAddr],
    configuration: Option<(&Settings, &corefile::Environment)>,
    early: Option<EarlyTranslation>,
) -> Vec<FilteredAddress> {
    let mut flags = flags.clone();
    flags.options.local_ips = addresses.to_vec();
    match configuration {
        Some((settings, environment)) => fail_open::addresses(&flags, environment, settings, early),
        None => addresses.iter().map(|&address| FilteredAddress { address, fallback: None }).collect(),
    }
}

/// Whether an instance is active, and its state.
async fn active_instance(flags: &Flags) -> (bool, Finding) {
    let directory = flags.handover_dir.as_ref().map(|path| SocketDirectory::open(path));
    let status = match directory {
        Some(Ok(Some(directory))) => handover::query_status(&directory).await,
        _ => None,
    };
    let finding = match &status {
        None => Finding::ok(INSTANCE, "no instance is active"),
        Some(status) if !status.has_answered => Finding::problem(
            INSTANCE,
            "an instance is active, but does not answer",
            "its log, or delete its pod",
        ),
        Some(status) if status.unmet.is_empty() => Finding::ok(INSTANCE, "an instance is active and ready"),
        Some(status) => {
            let message = format!("an instance is active, but not ready: {}", status.unmet.join(", "));
            Finding::warning(INSTANCE, message, "its log has the reason")
        }
    };
    (status.is_some(), finding)
}
