//! The control thread: brings the process up, keeps it in order, and takes it down again.
//!
//! Nothing here is on the way of an answer. What a worker needs to know it is told; what it has to say it leaves
//! for this thread to read.

mod exit;
mod instance;
mod reload;
mod signals;
mod startup_probe;
mod teardown;
mod upstream_files;

use std::future::poll_fn;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use linux::link::LinkConfig;
use linux::node::{NodeConfig, NodeEvent, NodeSetup};
use linux::notrack::NotrackConfig;
use tracing::{error, info, warn};

use crate::counters::CounterRegistry;
use crate::environment;
use crate::flags::{self, Flags};
use crate::handover::{ReceivedOffer, SocketDirectory};
use crate::host::OsHost;
use crate::http::{HandlerState, Limits};
use crate::logging::{self, Logger};
use crate::metrics::{BuildInfo, Exposition, ProcessCounters, SetupError};
use crate::readiness::Readiness;
use crate::worker::config;
use corefile::Corefile;
use corefile::Environment;
use corefile::settings::Settings;
pub(crate) use exit::{ExitReason, FatalError};
use instance::{Instance, ReadinessConditions, Standby, StopReason};
use signals::Signals;

/// The packet-filter table.
const TABLE: &str = "nodelocaldns";
/// The limit that most systems give a process that does not ask for more.
const USUAL_DESCRIPTORS: u64 = 1024;
/// How long the last log lines may take to be written.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs the program: `args` are the command line, the program's name first.
pub fn run(args: impl IntoIterator<Item = std::ffi::OsString>) -> ExitCode {
    let flags = match flags::parse(args) {
        Ok(flags) => flags,
        Err(usage) => return exit::usage(&usage),
    };
    if flags.probe {
        return startup_probe::probe(flags.handover_dir.as_deref());
    }
    let process = Arc::new(ProcessCounters::default());
    let ending = match Logger::start(std::io::stdout(), logging::QUEUE_LEN, Arc::clone(&process)) {
        Ok(logger) => {
            let ending = with_logger(&flags, &logger, &process);
            logger.flush(LAST_WORDS);
            ending
        }
        Err(error) => Err(FatalError::Thread(error)),
    };
    match ending {
        Ok(ExitReason::Signal | ExitReason::HandedOver) => ExitCode::SUCCESS,
        Ok(ExitReason::SecondSignal) => ExitCode::from(2),
        Err(error) => {
            // Where stderr is closed there is nobody left to tell.
            writeln!(std::io::stderr(), "{error}").unwrap_or_default();
            ExitCode::FAILURE
        }
    }
}

fn with_logger(
    flags: &Flags,
    logger: &Logger,
    process: &Arc<ProcessCounters>,
) -> Result<ExitReason, FatalError> {
    // It is set once per process; a second run in one process keeps the first logger.
    tracing::subscriber::set_global_default(logging::subscriber(logger)).unwrap_or_default();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(FatalError::Thread)?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, control(flags, logger, process))
}

async fn control(
    flags: &Flags,
    logger: &Logger,
    process: &Arc<ProcessCounters>,
) -> Result<ExitReason, FatalError> {
    let mut signals = Signals::listen().map_err(FatalError::Thread)?;
    let environment = environment::from_process();
    let corefile = Corefile::parse(&flags.options, &environment, &OsHost).map_err(FatalError::Config)?;
    let settings = corefile.build_settings(&flags.options, &OsHost).map_err(FatalError::Config)?;
    for warning in &settings.warnings {
        warn!("{warning}");
    }
    let descriptors = raise_descriptor_limit();
    let directory = teardown::socket_directory(flags);
    let estate = teardown::predecessor(directory.as_ref(), process).await;
    let mut node = set_up_node(flags, process).await?;
    let context = ProcessContext {
        flags,
        environment: &environment,
        logger,
        process,
        descriptors,
        directory: directory.as_ref(),
    };
    let serving = serve(context, (corefile, settings), estate, &mut node, &mut signals);
    let ended = surviving(serving).await.unwrap_or(Err(FatalError::Panicked));
    let restored = teardown::restore(context, node, &ended).await;
    match (ended, restored) {
        (Ok(ending), restored) => restored.map(|()| ending),
        (Err(error), restored) => {
            // The error is told last; what stays on the node must be told too.
            if let Err(leftover) = restored {
                error!("{leftover}");
            }
            Err(error)
        }
    }
}

/// What is there before anything is served.
#[derive(Clone, Copy)]
struct ProcessContext<'a> {
    flags: &'a Flags,
    environment: &'a Environment,
    logger: &'a Logger,
    process: &'a Arc<ProcessCounters>,
    /// How many the process may have open.
    descriptors: u64,
    /// Where predecessor and successor are met.
    directory: Option<&'a SocketDirectory>,
}

fn raise_descriptor_limit() -> u64 {
    match linux::raise_descriptor_limit() {
        Ok(limit) => {
            info!("up to {limit} descriptors");
            limit
        }
        Err(error) => {
            warn!("the limit of descriptors stays as it was: {error}");
            USUAL_DESCRIPTORS
        }
    }
}

async fn serve(
    context: ProcessContext<'_>,
    configuration: (Corefile, Settings),
    estate: Option<Box<ReceivedOffer>>,
    node: &mut NodeSetup,
    signals: &mut Signals,
) -> Result<ExitReason, FatalError> {
    let counters = Arc::new(Mutex::new(CounterRegistry::new()));
    let readiness = Readiness::new();
    let state = HandlerState {
        exposition: Arc::new(exposition(&counters, context.process)?),
        readiness: readiness.clone(),
        counters: Arc::clone(context.process),
    };
    let config_builder = config::WorkerConfigBuilder::new(counters, context.flags.workers);
    let http_server = crate::http::HttpServer::new(state, Limits::default());
    let conditions = ReadinessConditions::of(&readiness);
    let mut instance = Instance::start(context, configuration, config_builder, http_server, estate).await?;
    let ended = in_service(&mut instance, node, signals, &conditions, &readiness).await;
    instance.close().await;
    ended
}

/// Serves until it is told to leave, alone or beside a successor.
async fn in_service(
    instance: &mut Instance<'_>,
    node: &mut NodeSetup,
    signals: &mut Signals,
    conditions: &ReadinessConditions,
    readiness: &Readiness,
) -> Result<ExitReason, FatalError> {
    loop {
        match instance.attend(node, signals, conditions).await? {
            StopReason::Terminate => {
                readiness.withdraw();
                return Ok(instance.leave(signals, conditions).await);
            }
            StopReason::Superseded(succession) => {
                if instance.stand_by(*succession, signals).await? == Standby::Over {
                    return Ok(instance.retire(signals).await);
                }
            }
        }
    }
}

fn exposition(
    counters: &Arc<Mutex<CounterRegistry>>,
    process: &Arc<ProcessCounters>,
) -> Result<Exposition, FatalError> {
    let build = BuildInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: option_env!("NODELOCALDNS_REVISION").unwrap_or_default().to_owned(),
        compiler: "rustc".to_owned(),
    };
    Exposition::new(Arc::clone(counters), Arc::clone(process), build).map_err(FatalError::Metrics)
}

async fn set_up_node(flags: &Flags, process: &ProcessCounters) -> Result<NodeSetup, FatalError> {
    let kind = flags.link_kind.parse().map_err(FatalError::LinkKind)?;
    let link = flags.setup_interface.then(|| LinkConfig {
        name: flags.interface_name.clone(),
        kind,
        addresses: flags.options.local_ips.clone(),
    });
    let notrack = flags.setup_iptables.then(|| NotrackConfig {
        table: TABLE.to_owned(),
        addresses: flags.options.local_ips.clone(),
        dns_port: flags.options.dns_port,
        health_port: Some(flags.health_port),
    });
    let (node, events) = NodeSetup::apply(NodeConfig { link, notrack }).await.map_err(FatalError::Node)?;
    for event in &events {
        tell(event, process);
    }
    Ok(node)
}

/// Says and counts what happened to the node.
fn tell(event: &NodeEvent, process: &ProcessCounters) {
    match event {
        NodeEvent::LinkFailed(_) => process.setup_error(SetupError::InterfaceCheck),
        NodeEvent::RulesFailed(_) => process.setup_error(SetupError::Iptables),
        NodeEvent::FallbackKind { .. } | NodeEvent::WatchFailed { .. } => return warn!("{event}"),
        NodeEvent::LinkChanged { .. } | NodeEvent::RulesInstalled(_) => {}
    }
    if event.is_failure() {
        error!("{event}");
    } else {
        info!("{event}");
    }
}

/// A panic on this thread is a bug, and must not cost the node its link and rules in the wrong state.
async fn surviving<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let survived =
        poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(polled) => polled.map(Some),
            Err(_) => Poll::Ready(None),
        });
    survived.await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_panics_is_survived_and_what_does_not_is_passed_on() {
        let panics = async {
            tokio::task::yield_now().await;
            assert!(std::hint::black_box(false), "as the test wants");
        };
        assert_eq!(surviving(panics).await, None);
        assert_eq!(surviving(async { 7 }).await, Some(7));
    }
}
