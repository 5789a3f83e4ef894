//! Request for a trace: sends queries as they are answered, and those that are not.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;
use wire::header::RecordType;
use wire::name::{Name, PresentationFormat};

use super::Inspection;
use super::pods::Pods;
use super::report::way;
use crate::clock;
use crate::control_socket::Connection;
use crate::insight::{MAX_PENDING, TraceEvent, TraceFilter, Traced};

/// Events that are sent together.
const BATCH: usize = 64;
/// A query without a response for so long is unanswered: stub resolvers have given up.
const UNANSWERED_AFTER: Duration = Duration::from_secs(5);
/// Between two looks for unanswered queries.
const INTERVAL: Duration = Duration::from_secs(1);

/// What identifies a query among those in flight.
type QueryKey = (SocketAddr, bool, u16, Box<[u8]>, RecordType);

impl Inspection {
    /// Sends events until the client closes the connection.
    pub(super) async fn trace(
        &self,
        client: Option<IpAddr>,
        zone: Option<Name>,
        connection: &mut Connection,
    ) -> io::Result<()> {
        let filter = TraceFilter { client, port: None, zone };
        let Some(mut events) = self.trace.subscribe(filter) else {
            return connection.send_error("as many trace as may: end one").await;
        };
        let (mut pending, mut pods) = (Pending::default(), Pods::new(self.cni_results.clone()));
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut lines = Vec::new();
            tokio::select! {
                batch = events.receive(BATCH) => {
                    pods.refresh(batch.iter().map(|event| event.client.ip()), clock::now());
                    let traced = |event| self.traced(event, &mut pending, &pods);
                    lines.extend(batch.into_iter().filter_map(traced));
                }
                _ = interval.tick() => {}
                () = connection.closed() => return Ok(()),
            }
            if let Some(dropped) = pending.dropped(events.dropped()) {
                lines.push(json!({ "dropped": dropped }));
            }
            lines.extend(pending.unanswered(clock::now(), &pods));
            connection.send_all(&lines).await?;
        }
    }

    /// The line for a response; a query is noted.
    fn traced(&self, event: TraceEvent, pending: &mut Pending, pods: &Pods) -> Option<Value> {
        let TraceEvent { client, is_tcp, id, name, qtype, traced } = event;
        let response = match traced {
            Traced::Query(arrived) => {
                pending.add((client, is_tcp, id, name, qtype), arrived);
                return None;
            }
            Traced::Response(response) => response,
        };
        let text = PresentationFormat(&name).to_string();
        pending.queries.remove(&(client, is_tcp, id, name, qtype));
        let zone = response.resolved.map(|(route, _)| self.block(route));
        let source = response.resolved.map(|(_, source)| source);
        Some(json!({
            "client": client.to_string(),
            "pod": pods.get(client.ip()),
            "transport": transport(is_tcp),
            "name": text,
            "type": qtype.to_string(),
            "rcode": response.rcode.to_string(),
            "way": way(source, response.upstream.is_some()),
            "upstream": response.upstream.map(|upstream| upstream.to_string()),
            "ms": response.duration.as_secs_f64() * 1000.0,
            "block": zone,
        }))
    }
}

/// Queries that have no response yet, at most [`MAX_PENDING`]; of further ones only responses are sent.
#[derive(Default)]
struct Pending {
    queries: HashMap<QueryKey, Instant>,
    dropped: u64,
}

impl Pending {
    fn add(&mut self, key: QueryKey, arrived: Instant) {
        if self.queries.len() < MAX_PENDING {
            self.queries.insert(key, arrived);
        }
    }

    /// How many events were dropped since the last call, if any. A response may be among them, so that
    /// no query so far counts as unanswered.
    fn dropped(&mut self, dropped: u64) -> Option<u64> {
        let new = dropped.saturating_sub(std::mem::replace(&mut self.dropped, dropped));
        if new > 0 {
            self.queries.clear();
        }
        (new > 0).then_some(new)
    }

    /// The lines for those that wait for too long; each has one.
    fn unanswered(&mut self, now: Instant, pods: &Pods) -> Vec<Value> {
        let is_late =
            |_: &QueryKey, arrived: &mut Instant| now.saturating_duration_since(*arrived) >= UNANSWERED_AFTER;
        let late = self.queries.extract_if(is_late);
        let lines = late.map(|((client, is_tcp, _, name, qtype), _)| {
            json!({
                "client": client.to_string(),
                "pod": pods.get(client.ip()),
                "transport": transport(is_tcp),
                "name": PresentationFormat(&name).to_string(),
                "type": qtype.to_string(),
                "unanswered": true,
            })
        });
        lines.collect()
    }
}

const fn transport(is_tcp: bool) -> &'static str {
    if is_tcp { "tcp" } else { "udp" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insight::PENDING_OCTETS;

    fn key(id: u16) -> QueryKey {
        (([10, 0, 0, 1], 40_000).into(), false, id, Box::from(*b"\x01a\0"), RecordType::A)
    }

    /// Of the table and the names in it.
    fn octets(pending: &Pending) -> usize {
        let table = (pending.queries.capacity() * 8 / 7) * (size_of::<(QueryKey, Instant)>() + 1);
        table + pending.queries.keys().map(|(_, _, _, name, _)| name.len()).sum::<usize>()
    }

    #[test]
    fn a_query_is_unanswered_once_unless_its_response_may_have_been_dropped() {
        let (mut pending, none, start) = (Pending::default(), Pods::new(None), clock::now());
        pending.add(key(1), start);
        pending.add(key(2), start + INTERVAL);
        assert_eq!(pending.unanswered(start + UNANSWERED_AFTER - INTERVAL, &none), Vec::<Value>::new());
        let lines = pending.unanswered(start + UNANSWERED_AFTER, &none);
        assert_eq!((lines.len(), &lines[0]["name"]), (1, &json!("a.")));
        assert_eq!((pending.dropped(3), pending.dropped(3)), (Some(3), None));
        assert_eq!(pending.unanswered(start + 2 * UNANSWERED_AFTER, &none), Vec::<Value>::new());
    }

    #[test]
    fn pending_queries_are_limited() {
        let (mut pending, start) = (Pending::default(), clock::now());
        for id in 0..u16::MAX {
            let (client, is_tcp, id, _, qtype) = key(id);
            pending.add((client, is_tcp, id, Box::from([0; 255]), qtype), start);
        }
        assert_eq!(pending.queries.len(), MAX_PENDING);
        assert!(octets(&pending) <= MAX_PENDING * PENDING_OCTETS, "{}", octets(&pending));
    }
}
