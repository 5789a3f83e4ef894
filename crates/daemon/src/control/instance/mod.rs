//! The running instance of the program: its parts and its life cycle.
//!
//! `startup`, `serve` (the event loop), `housekeeping`, `reconfigure`, `standby` (after a
//! hand-over) and `shutdown` have one phase each.

mod housekeeping;
mod reconfigure;
mod serve;
mod shutdown;
mod standby;
mod startup;

use super::active_config::ActiveConfig;
use super::context::ProcessContext;
use super::doctor::StartCheck;
use super::handover::Handover;
use super::http_thread::HttpThread;
use super::inspection::ControlSocket;
use super::node::NodeKeeper;
use super::readiness_conditions::ReadinessConditions;
use super::shared_cache::SharedCache;
use super::workers::Workers;

pub(super) struct Instance<'a> {
    context: ProcessContext<'a>,
    config: ActiveConfig,
    workers: Workers,
    http: HttpThread,
    cache: SharedCache<'a>,
    handover: Handover<'a>,
    node: NodeKeeper<'a>,
    readiness: ReadinessConditions,
    start_check: StartCheck,
    control_socket: ControlSocket<'a>,
}
