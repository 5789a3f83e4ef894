//! Request for a query: sends it to a listener of this instance, as a client does, and reports the way
//! that the workers report.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio::time;
use wire::header::{Class, Flags, Header, RecordType};
use wire::name::Name;
use wire::query::OutgoingQuery;

use super::Inspection;
use super::report::{records, way};
use crate::insight::{Subscription, TraceFilter, Traced, TracedResponse};
use crate::self_check;

/// Longer than the deadline of any query.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(6);
/// For the report of a response that has arrived.
const REPORT_TIMEOUT: Duration = Duration::from_secs(1);
/// Octets of the longest UDP response.
const MAX_RESPONSE: usize = 4096;

impl Inspection {
    /// The response and its way; or why there is none.
    pub(super) async fn query(
        &self,
        name: &Name,
        qtype: RecordType,
        server: Option<SocketAddr>,
    ) -> Result<Value, String> {
        let server = server.or_else(|| self.status.first_listener()).ok_or("no listener is known")?;
        let unreachable = |error: io::Error| format!("{server}: {error}");
        let socket =
            self_check::connected_socket(self_check::connectable(server)).await.map_err(unreachable)?;
        let own = socket.local_addr().map_err(unreachable)?;
        let filter = TraceFilter { client: Some(own.ip()), port: Some(own.port()), zone: None };
        let mut reports = self.trace.subscribe(filter).ok_or("too many requests for traces: end one")?;
        let asked = time::timeout(RESPONSE_TIMEOUT, exchange(&socket, name, qtype)).await;
        let message = match asked {
            Ok(received) => received.map_err(unreachable)?,
            Err(_) => return Err(format!("{server} does not respond within {RESPONSE_TIMEOUT:?}")),
        };
        let report = time::timeout(REPORT_TIMEOUT, response_report(&mut reports)).await.ok().flatten();
        Ok(self.answer((name, qtype, server), &message, report))
    }

    fn answer(
        &self,
        (name, qtype, server): (&Name, RecordType, SocketAddr),
        message: &[u8],
        report: Option<TracedResponse>,
    ) -> Value {
        let records = records(message);
        let ttl = records.iter().filter_map(|record| record.get("ttl").and_then(Value::as_u64)).min();
        let header = Header::read(message);
        let rcode = report.map(|report| report.rcode).or_else(|| header.map(|header| header.flags.rcode()));
        let truncated = header.is_some_and(|header| header.flags.has(Flags::TC));
        let resolved = report.and_then(|report| report.resolved);
        let upstream = report.and_then(|report| report.upstream);
        json!({
            "name": name.to_string(),
            "type": qtype.to_string(),
            "server": server.to_string(),
            "rcode": rcode.map(|rcode| rcode.to_string()),
            "truncated": truncated,
            "way": report.map(|_| way(resolved.map(|(_, source)| source), upstream.is_some())),
            "block": resolved.map(|(route, _)| self.block(route)),
            "upstream": upstream.map(|upstream| upstream.to_string()),
            "ms": report.map(|report| report.duration.as_secs_f64() * 1000.0),
            "ttl": ttl,
            "records": records,
        })
    }
}

async fn response_report(reports: &mut Subscription) -> Option<TracedResponse> {
    loop {
        match reports.receive(1).await.first()?.traced {
            Traced::Response(response) => return Some(response),
            Traced::Query(_) => {}
        }
    }
}

/// Sends a query and receives its response.
async fn exchange(socket: &UdpSocket, name: &Name, qtype: RecordType) -> io::Result<Vec<u8>> {
    let question = [name.as_wire(), &qtype.0.to_be_bytes(), &Class::IN.0.to_be_bytes()].concat();
    let (id, mut message) = (rand::random(), Vec::new());
    let query = OutgoingQuery {
        id,
        question: &question,
        recursion_desired: true,
        checking_disabled: false,
        edns: true,
        dnssec_ok: false,
        udp_size: wire::edns::DEFAULT_UDP_SIZE,
        options: &[],
    };
    query.write(&mut message);
    socket.send(&message).await?;
    let mut response = vec![0; MAX_RESPONSE];
    loop {
        let len = socket.recv(&mut response).await?;
        if response.get(..len).and_then(Header::read).is_some_and(|header| header.id == id) {
            response.truncate(len);
            return Ok(response);
        }
    }
}
