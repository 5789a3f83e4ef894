//! Response header: what every server copies from the query.

use hickory_proto::op::{Edns, Message};
use resolver::action::Transport;

/// A response to `query` without records: its ID, opcode, RD, CD and question, RA set, OPT if the query
/// has one.
pub(crate) fn reply_to(query: &Message) -> Message {
    let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
    reply.metadata.recursion_desired = query.metadata.recursion_desired;
    reply.metadata.checking_disabled = query.metadata.checking_disabled;
    reply.metadata.recursion_available = true;
    reply.queries.clone_from(&query.queries);
    if let Some(query_edns) = &query.edns {
        let mut edns = Edns::new();
        edns.set_max_payload(query_edns.max_payload()).set_dnssec_ok(query_edns.flags().dnssec_ok);
        reply.edns = Some(edns);
    }
    reply
}

/// The octets of `reply`; an empty message with TC if it exceeds the transport's limit or the
/// payload size in its OPT.
pub(crate) fn encode(reply: &Message, transport: Transport) -> Vec<u8> {
    let limit = match transport {
        Transport::Udp => usize::from(reply.max_payload()),
        Transport::Tcp => usize::from(u16::MAX),
    };
    match reply.to_vec() {
        Ok(octets) if octets.len() <= limit => octets,
        // A header with one question always fits.
        _ => reply.truncate().to_vec().unwrap_or_default(),
    }
}
