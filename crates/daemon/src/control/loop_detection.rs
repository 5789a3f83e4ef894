//! Loop detection (the `loop` directive): queries of our own that must not come back to us.

use std::collections::HashMap;

use resolver::policy::RouteId;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::self_check;
use crate::worker::WorkerEvent;
use crate::worker::config::LoopDetection;

pub(super) struct LoopDetectors {
    detections: JoinSet<()>,
    events: mpsc::Receiver<WorkerEvent>,
    /// The zone of each route, for the message.
    zones: HashMap<RouteId, String>,
}

impl LoopDetectors {
    /// Runs none yet; `events` are those of the workers.
    pub(super) fn new(events: mpsc::Receiver<WorkerEvent>) -> Self {
        Self { detections: JoinSet::new(), events, zones: HashMap::new() }
    }

    /// Starts the detections of a configuration; those of the previous one are aborted.
    pub(super) fn start(&mut self, detections: Vec<LoopDetection>, zones: HashMap<RouteId, String>) {
        self.detections = JoinSet::new();
        for detection in detections {
            self.detections.spawn_local(self_check::detect_loop(detection));
        }
        self.zones = zones;
    }

    /// Resolves with a message when a query of our own has come back.
    pub(super) async fn detected(&mut self) -> String {
        let Some(WorkerEvent::Loop(client, route)) = self.events.recv().await else {
            return std::future::pending().await;
        };
        let zone = self.zones.get(&route).map_or("", String::as_str);
        format!(
            "[FATAL] plugin/loop: Loop ({} -> us) detected for zone \"{zone}\", \
             see https://coredns.io/plugins/loop#troubleshooting. Query: \"HINFO\": an upstream of that zone is this \
             cache or forwards its queries here; forward to another address",
            client.peer
        )
    }

    pub(super) async fn stop(&mut self) {
        self.detections.shutdown().await;
    }
}
