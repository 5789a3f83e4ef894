//! The control thread: starts the process, runs the instance, and restores the node at the end.
//!
//! It handles no packets: workers receive configurations and commands from it, and write counters
//! that it reads.

mod active_config;
mod check;
mod commands;
mod confinement;
mod context;
mod doctor;
mod exit;
mod fail_open;
mod file_contents;
mod file_metadata;
mod handover;
mod heartbeat;
mod http_endpoints;
mod http_thread;
mod inspection;
mod instance;
mod listen_addresses;
mod loop_detection;
mod memory_parts;
mod netlink_thread;
mod node;
mod node_sockets;
mod packet_filter_log;
mod readiness_conditions;
mod reload;
mod service_translation;
mod shared_cache;
mod signals;
mod sleep;
mod startup_probe;
mod supervision;
mod teardown;
mod uninstall;
mod upstream_files;
mod upstreams_log;
mod watchdog;
mod workers;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use corefile::{Corefile, Environment, Settings};
use linux::supervisor::WatchdogTimer;
use tracing::{error, info, warn};

use crate::environment;
use crate::flags::{self, Flags, Subcommand, UsageError};
use crate::handover::{OfferResponse, ReceivedOffer, SocketDirectory};
use crate::host::OsHost;
use crate::insight::Statistics;
use crate::logging::{self, Logger};
use crate::memory_plan::MemoryPlan;
use crate::metrics::ProcessCounters;
use crate::panics::catch_panic;
use confinement::Privileged;
use context::ProcessContext;
use exit::{ExitReason, FatalError};
use instance::Instance;
use service_translation::ServiceTranslation;
use signals::Signals;
use supervision::Supervision;

/// The usual limit of open file descriptors (RLIMIT_NOFILE), assumed when it cannot be raised.
const DEFAULT_DESCRIPTOR_LIMIT: u64 = 1024;
/// For the last log lines to be written.
const LOG_FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs the program: `args` are the command line, the program's name first.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<_> = args.into_iter().collect();
    if let Some(subcommand) = Subcommand::of(&args) {
        return run_subcommand(subcommand, args).unwrap_or_else(|usage| exit::print_usage(&usage));
    }
    let flags = match flags::parse(args) {
        Ok(flags) => flags,
        Err(usage) => return exit::print_usage(&usage),
    };
    if flags.probe {
        return startup_probe::probe(flags.handover_dir.as_deref());
    }
    let seccomp = confinement::prepare(&flags);
    match supervision::start(&flags) {
        Supervision::Serve(watchdog_timer) => serve(&flags, &seccomp, watchdog_timer.as_ref()),
        Supervision::Ended(code) => code,
    }
}

/// Runs the daemon in this process.
fn serve(flags: &Flags, seccomp: &io::Result<()>, watchdog_timer: Option<&Arc<WatchdogTimer>>) -> ExitCode {
    match serve_confined(flags, seccomp, watchdog_timer) {
        Ok(ExitReason::Signal | ExitReason::HandedOver) => ExitCode::SUCCESS,
        Ok(ExitReason::SecondSignal) => ExitCode::from(2),
        Err(error) => {
            exit::print_error(&error);
            ExitCode::FAILURE
        }
    }
}

fn serve_confined(
    flags: &Flags,
    seccomp: &io::Result<()>,
    watchdog_timer: Option<&Arc<WatchdogTimer>>,
) -> Result<ExitReason, FatalError> {
    let privileged = Privileged::start()?;
    let counters = Arc::new(ProcessCounters::default());
    let logger = Logger::start(io::stdout(), logging::QUEUE_LEN, Arc::clone(&counters));
    let logger = logger.map_err(FatalError::System)?;
    // It can be set once per process; a second run in one process keeps the first logger.
    tracing::subscriber::set_global_default(logging::subscriber(&logger)).ok();
    confinement::report(flags, seccomp, &counters.confined);
    let ended = run_with_logger(flags, &logger, (&counters, &privileged), watchdog_timer);
    logger.flush(LOG_FLUSH_TIMEOUT);
    ended
}

fn run_subcommand(subcommand: Subcommand, args: Vec<OsString>) -> Result<ExitCode, UsageError> {
    match subcommand {
        Subcommand::Check => flags::parse_check(args).map(|flags| check::run(&flags)),
        Subcommand::Doctor => flags::parse_doctor(args).map(|flags| doctor::run(&flags)),
        Subcommand::Sleep => flags::parse_sleep(&args).map(sleep::run),
        Subcommand::Uninstall => flags::parse_uninstall(args).map(|flags| uninstall::run(&flags)),
        Subcommand::Status => flags::parse_status(args).map(|flags| commands::status(&flags)),
        Subcommand::Config => flags::parse_config(args).map(|flags| commands::config(&flags)),
        Subcommand::Cache => flags::parse_cache(args).map(|flags| commands::cache(&flags)),
        Subcommand::Query => flags::parse_query(args).map(|flags| commands::query(&flags)),
        Subcommand::Dump => flags::parse_dump(args).map(|flags| commands::dump(&flags)),
        Subcommand::Top => flags::parse_top(args).map(|flags| commands::top(&flags)),
        Subcommand::Trace => flags::parse_trace(args).map(|flags| commands::trace(&flags)),
    }
}

fn run_with_logger(
    flags: &Flags,
    logger: &Logger,
    process: (&Arc<ProcessCounters>, &Privileged),
    watchdog_timer: Option<&Arc<WatchdogTimer>>,
) -> Result<ExitReason, FatalError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(FatalError::System)?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, control(flags, logger, process, watchdog_timer))
}

/// Reads the configuration, sets up the node, runs the instance, and restores the node.
async fn control(
    flags: &Flags,
    logger: &Logger,
    (counters, privileged): (&Arc<ProcessCounters>, &Privileged),
    watchdog_timer: Option<&Arc<WatchdogTimer>>,
) -> Result<ExitReason, FatalError> {
    let Privileged { binder, netlink } = privileged;
    // Before the sockets: the kernel closes it after them when this process is killed, and it sends
    // queries to the fallback when the sockets are closed.
    let file_monitor = reload::file_monitor();
    let mut signals = Signals::install().map_err(FatalError::System)?;
    let environment = environment::from_process();
    let (corefile, settings, files) = read_config(flags, &environment)?;
    let descriptor_limit = raise_descriptor_limit();
    // It reads the limit of the cgroup, which is of no use later.
    let memory = plan_memory(flags);
    let _files = confinement::restrict_files(flags, &files, netlink, &counters.confined);
    let directory = open_handover_directory(flags);
    let directory = directory.as_ref();
    let offer = request_offer(directory, counters).await;
    listen_addresses::check(&settings, None, &flags.options)?;
    if let Some(offer) = &offer {
        listen_addresses::check_served(&settings, &offer.dns)?;
    }
    let environment = &environment;
    let translation = ServiceTranslation::default();
    translation.update(netlink, flags).await;
    let addresses = fail_open::addresses(flags, environment, &settings, translation.early());
    node::set_up(netlink, flags, addresses, counters).await?;
    let statistics = flags.insight.then(|| Arc::new(Statistics::new()));
    let context = ProcessContext {
        flags,
        environment,
        logger,
        counters,
        descriptor_limit,
        memory,
        watchdog_timer,
        heartbeat: &Arc::default(),
        file_monitor: file_monitor.as_ref(),
        directory,
        binder,
        netlink,
        translation: &translation,
        trace: &Arc::default(),
        statistics: statistics.as_ref(),
    };

    let has_served = Cell::new(false);
    let serving = async {
        let instance = Instance::start(context, (corefile, settings), offer).await?;
        has_served.set(true);
        instance.run(&mut signals).await
    };
    let ended = catch_panic(serving).await.unwrap_or(Err(FatalError::ControlPanicked));

    let restored = teardown::restore_node(context, &ended, has_served.get()).await;
    first_error(ended, restored)
}

/// How the instance ended, or why the node was not restored.
fn first_error(
    ended: Result<ExitReason, FatalError>,
    restored: Result<(), FatalError>,
) -> Result<ExitReason, FatalError> {
    match (ended, restored) {
        (Ok(reason), restored) => restored.map(|()| reason),
        (Err(error), restored) => {
            // The error goes to stderr at the very end; what could not be removed is logged.
            if let Err(leftover) = restored {
                error!("{leftover}");
            }
            Err(error)
        }
    }
}

/// Reads the Corefile and the files that it names, which are returned, and logs warnings.
fn read_config(
    flags: &Flags,
    environment: &Environment,
) -> Result<(Corefile, Settings, BTreeSet<PathBuf>), FatalError> {
    let host = OsHost::default();
    let corefile = Corefile::parse(&flags.options, environment, &host).map_err(FatalError::Config)?;
    let settings = corefile.build_settings(&flags.options, &host).map_err(FatalError::Config)?;
    for warning in &settings.warnings {
        warn!("{warning}");
    }
    Ok((corefile, settings, host.into_paths()))
}

fn plan_memory(flags: &Flags) -> MemoryPlan {
    let plan = MemoryPlan::of_process(flags.cache_bytes);
    info!("memory: {plan}");
    if plan.exceeds_limit() {
        warn!("the memory limit is too low for this plan: raise it, or lower -cache-bytes");
    }
    plan
}

fn raise_descriptor_limit() -> u64 {
    match linux::raise_descriptor_limit() {
        Ok(limit) => {
            info!("up to {limit} descriptors");
            limit
        }
        Err(error) => {
            warn!("the limit of descriptors stays as it was: {error}");
            DEFAULT_DESCRIPTOR_LIMIT
        }
    }
}

/// The directory of the hand-over; `None` when it is absent or unusable.
fn open_handover_directory(flags: &Flags) -> Option<SocketDirectory> {
    let path = flags.handover_dir.as_ref()?;
    match SocketDirectory::open(path) {
        Ok(None) => {
            info!("no directory {}: upgrades are without hand-over", path.display());
            None
        }
        Ok(directory) => directory,
        Err(error) => {
            error!("-handover-dir: {error}; upgrades are without hand-over");
            None
        }
    }
}

/// The offer of the active instance on this node, if there is one.
async fn request_offer(
    directory: Option<&SocketDirectory>,
    counters: &ProcessCounters,
) -> Option<Box<ReceivedOffer>> {
    match crate::handover::request_offer(directory?).await {
        OfferResponse::Received(offer) => Some(offer),
        OfferResponse::NoInstance => None,
        OfferResponse::Closed => {
            info!("the predecessor exited before its offer was complete");
            None
        }
        OfferResponse::Refused(reason) => {
            counters.handovers.refused.inc();
            warn!("the predecessor does not hand over: {reason}; starting beside it");
            None
        }
    }
}
