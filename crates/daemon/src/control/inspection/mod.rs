//! Inspection: answers the requests of the control socket, from state that all threads share. Neither a
//! worker nor the event loop of the control thread waits for it.

mod cache;
mod listening;
mod pods;
mod query;
mod report;
mod trace;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use resolver::cache::Cache;
use serde_json::{Map, Value, json};

pub(super) use self::listening::ControlSocket;
use self::pods::Pods;
use super::context::ProcessContext;
use crate::clock;
use crate::control_socket::{Connection, Request, Responder};
use crate::counters::CounterRegistry;
use crate::insight::{Statistics, TraceHub};
use crate::metrics::Exposition;
use crate::status::StatusReader;
use crate::worker::L1Handle;

/// The most rows of a list of statistics.
const MAX_ROWS: usize = 256;

/// What requests are answered from.
pub(super) struct Inspection {
    status: Arc<StatusReader>,
    flags: Map<String, Value>,
    exposition: Arc<Exposition>,
    counters: Arc<Mutex<CounterRegistry>>,
    cache: Arc<Cache>,
    /// Of every worker.
    l1: Vec<L1Handle>,
    trace: Arc<TraceHub>,
    statistics: Option<Arc<Statistics>>,
    /// `-cni-results-dir`.
    cni_results: Option<PathBuf>,
}

/// State that the instance shares with the inspection.
pub(super) struct Inspected {
    pub(super) status: Arc<StatusReader>,
    pub(super) exposition: Arc<Exposition>,
    pub(super) counters: Arc<Mutex<CounterRegistry>>,
    pub(super) cache: Arc<Cache>,
    pub(super) l1: Vec<L1Handle>,
}

impl Inspection {
    fn new(context: ProcessContext<'_>, inspected: Inspected) -> Self {
        let flags = context.flags.effective().into_iter();
        let flags = flags.map(|(name, value)| (name.to_owned(), Value::String(value))).collect();
        let Inspected { status, exposition, counters, cache, l1 } = inspected;
        Self {
            status,
            flags,
            exposition,
            counters,
            cache,
            l1,
            trace: Arc::clone(context.trace),
            statistics: context.statistics.cloned(),
            cni_results: context.flags.cni_results_dir.clone(),
        }
    }

    /// At most [`MAX_ROWS`] of each list; clients with the names of their pods.
    fn insight(&self, limit: u64) -> Value {
        let limit = usize::try_from(limit).map_or(MAX_ROWS, |limit| limit.min(MAX_ROWS));
        let Some(statistics) = &self.statistics else { return json!({ "off": true }) };
        let (now, mut pods) = (clock::now(), Pods::new(self.cni_results.clone()));
        let mut report = statistics.report(now, limit);
        let Some(clients) = report.get_mut("clients").and_then(Value::as_array_mut) else { return report };
        let address = |client: &Value| client.get("client")?.as_str()?.parse().ok();
        pods.refresh(clients.iter().filter_map(address), now);
        for client in clients {
            let pod = address(client).and_then(|address| pods.get(address));
            if let Value::Object(fields) = client {
                fields.insert("pod".to_owned(), json!(pod));
            }
        }
        report
    }

    fn config(&self) -> Value {
        let mut config = self.status.corefile();
        if let Value::Object(fields) = &mut config {
            fields.insert("flags".to_owned(), Value::Object(self.flags.clone()));
        }
        config
    }
}

impl Responder for Inspection {
    async fn respond(&self, request: Request, connection: &mut Connection) -> io::Result<()> {
        match request {
            Request::Status => connection.send(&self.status.status(clock::now())).await,
            Request::Config => connection.send(&self.config()).await,
            Request::Metrics => match self.exposition.render() {
                Ok(page) => connection.send(&json!({ "metrics": page })).await,
                Err(error) => connection.send_error(&error.to_string()).await,
            },
            Request::Insight(limit) => connection.send(&self.insight(limit)).await,
            Request::CacheList(names, limit) => self.list_cache(&names, limit, connection).await,
            Request::CacheGet(names) => self.show_cache(&names, connection).await,
            Request::CacheFlush(names) => self.flush_cache(&names, connection).await,
            Request::Query(name, qtype, server) => match self.query(&name, qtype, server).await {
                Ok(reply) => connection.send(&reply).await,
                Err(reason) => connection.send_error(&reason).await,
            },
            Request::Trace(client, zone) => self.trace(client, zone, connection).await,
        }
    }
}
