//! Encoding of responses with records of our own, by hickory-proto. Off the path of a cache hit.

use hickory_proto::op::{Message, OpCode, Query};
use hickory_proto::rr::Record;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use crate::header::{Flags, HEADER_LEN, Rcode};
use crate::response::Response;

/// The records of a response: answer, authority and additional section.
pub(crate) type Records = [Vec<Record>; 3];

/// A response with AA to a question (QNAME, QTYPE, QCLASS as octets), with the records that `records`
/// returns for it; `rcode` has four bits.
///
/// `None` for octets that are no question, without records, and for more records than a message holds.
pub(crate) fn response(
    question: &[u8],
    rcode: Rcode,
    records: impl FnOnce(&Query) -> Option<Records>,
) -> Option<Response<'static>> {
    let query = Query::read(&mut BinDecoder::new(question)).ok()?;
    let mut message = Message::response(0, OpCode::Query);
    message.metadata.authoritative = true;
    [message.answers, message.authorities, message.additionals] = records(&query)?;
    message.add_query(query);
    let mut packet = message.to_vec().ok()?;
    let [_, low] = rcode.0.to_be_bytes();
    *packet.get_mut(3)? |= low & 0x0f;
    let response = Response::read_written(packet, HEADER_LEN + question.len())?;
    // hickory-proto leaves out what exceeds a message, and sets TC.
    (!response.header.flags.has(Flags::TC)).then_some(response)
}
