//! Examination of the node after a start, on the thread with NET_ADMIN, without queries to upstreams; a line of
//! the log for each warning and problem.

use std::time::{Duration, Instant};

use corefile::settings::Settings;
use tokio::sync::oneshot::{self, error::TryRecvError};
use tracing::{error, warn};

use super::finding::{Finding, Status};
use super::{cluster, port, report, upstreams};
use crate::clock;
use crate::control::context::ProcessContext;
use crate::flags::Flags;

/// After the start: a predecessor, or node-cache that is replaced, has gone by then.
const DELAY: Duration = Duration::from_secs(10);

/// The diagnosis of one process.
#[derive(Debug)]
pub(crate) enum StartCheck {
    Due(Instant),
    Running(oneshot::Receiver<Vec<Finding>>),
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
    pub(crate) fn proceed(&mut self, context: ProcessContext<'_>, settings: &Settings) {
        match std::mem::replace(self, Self::Done) {
            Self::Due(due) if clock::now() < due => *self = Self::Due(due),
            Self::Due(_) => {
                let (flags, settings) = (context.flags.clone(), settings.clone());
                let (done, findings) = oneshot::channel();
                context.netlink.post(move |_| drop(done.send(examine(&flags, &settings))));
                *self = Self::Running(findings);
            }
            Self::Running(mut findings) => match findings.try_recv() {
                Ok(findings) => findings.iter().for_each(log),
                Err(TryRecvError::Empty) => *self = Self::Running(findings),
                Err(TryRecvError::Closed) => {
                    warn!("doctor: the node is not examined: the thread has panicked")
                }
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
