//! Examination of the node after a start: in a thread of its own, without queries to upstreams; a line
//! of the log for each warning and problem.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use corefile::settings::Settings;
use tracing::{error, warn};

use super::finding::{Finding, Status};
use super::{cluster, port, report, upstreams};
use crate::clock;
use crate::flags::Flags;

/// After the start: a predecessor, or node-cache that is replaced, has gone by then.
const DELAY: Duration = Duration::from_secs(10);

/// The diagnosis of one process.
#[derive(Debug)]
pub(crate) enum StartCheck {
    Due(Instant),
    Running(JoinHandle<Vec<Finding>>),
    Done,
}

impl StartCheck {
    /// A node that is left to others as a whole is not examined.
    pub(crate) fn new(flags: &Flags) -> Self {
        match flags.setup_interface || flags.setup_iptables {
            true => Self::Due(clock::now() + DELAY),
            false => Self::Done,
        }
    }

    /// Starts it when it is due, and logs its findings when it has ended. Waits for nothing.
    pub(crate) fn proceed(&mut self, flags: &Flags, settings: &Settings) {
        match std::mem::replace(self, Self::Done) {
            Self::Due(due) if clock::now() < due => *self = Self::Due(due),
            Self::Due(_) => {
                let (flags, settings) = (flags.clone(), settings.clone());
                let thread = thread::Builder::new().name("doctor".to_owned());
                match thread.spawn(move || examine(&flags, &settings)) {
                    Ok(thread) => *self = Self::Running(thread),
                    Err(error) => warn!("doctor: the node is not examined: {error}"),
                }
            }
            Self::Running(thread) if !thread.is_finished() => *self = Self::Running(thread),
            Self::Running(thread) => match thread.join() {
                Ok(findings) => findings.iter().for_each(log),
                Err(_) => warn!("doctor: the node is not examined: the thread has panicked"),
            },
            Self::Done => {}
        }
    }
}

fn examine(flags: &Flags, settings: &Settings) -> Vec<Finding> {
    let (addresses, dns_port) = (&flags.options.local_ips, flags.options.dns_port);
    let mut findings = port::conflicts(addresses, dns_port, true);
    findings.extend(upstreams::loops(Some(settings), addresses));
    findings.extend(cluster::host_firewall(addresses, dns_port, false));
    findings
}

fn log(finding: &Finding) {
    match finding.status {
        Status::Ok => {}
        Status::Warning => warn!("{}", report::line(finding)),
        Status::Problem => error!("{}", report::line(finding)),
    }
}
