//! The HTTP server as flags and settings request it.

use std::sync::{Arc, Mutex};

use corefile::settings::Settings;

use super::context::ProcessContext;
use super::exit::FatalError;
use super::http_thread::HttpThread;
use crate::counters::CounterRegistry;
use crate::http::{BindError, Endpoints, HandlerState};
use crate::metrics::{BuildInfo, Exposition};
use crate::readiness::Readiness;
use crate::status::StatusReader;

/// The HTTP thread, without endpoints yet.
pub(super) fn server(
    context: ProcessContext<'_>,
    counters: &Arc<Mutex<CounterRegistry>>,
    (readiness, status): (&Readiness, &Arc<StatusReader>),
) -> Result<HttpThread, FatalError> {
    let build = BuildInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: option_env!("NODELOCALDNS_REVISION").unwrap_or_default().to_owned(),
        compiler: "rustc".to_owned(),
    };
    let exposition = Exposition::new(Arc::clone(counters), Arc::clone(context.counters), build)
        .map_err(FatalError::Metrics)?;
    let state = HandlerState {
        exposition: Arc::new(exposition),
        readiness: readiness.clone(),
        status: context.flags.status_page.then(|| Arc::clone(status)),
        counters: Arc::clone(context.counters),
    };
    HttpThread::start(state, context.binder.clone()).map_err(FatalError::System)
}

/// The addresses of each endpoint.
pub(super) fn endpoints(context: ProcessContext<'_>, settings: &Settings) -> Endpoints {
    Endpoints {
        health: settings.health.clone(),
        ready: settings.ready.clone(),
        metrics: settings.prometheus.clone(),
        process_metrics: context.flags.metrics_listen_address,
        local_ips: context.flags.options.local_ips.clone(),
    }
}

/// An error of the HTTP server, with the line of the address.
pub(super) fn located(settings: &Settings, error: BindError) -> FatalError {
    let location = settings.endpoint_locations.get(&error.address).unwrap_or(&settings.source);
    FatalError::Http(location.clone(), error)
}
