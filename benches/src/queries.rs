//! Queries for the addresses of Services, their responses, and the check of a response.

use wire::header::HEADER_LEN;
use wire::name::Name;

use crate::output::BenchError;

/// TTL in seconds: longer than a run, so that only the first query of a name is a miss.
const TTL: u32 = 3600;

/// A query packet and the address that answers it.
#[derive(Clone)]
pub(crate) struct TestQuery {
    /// The packet, with ID 0; half of the names have OPT, as with the stub resolvers in containers.
    pub(crate) packet: Vec<u8>,
    /// QNAME, QTYPE and QCLASS.
    pub(crate) question: Vec<u8>,
    address: [u8; 4],
}

impl TestQuery {
    /// The query for Service `number`.
    pub(crate) fn new(number: u16) -> Result<Self, BenchError> {
        let [high, low] = number.to_be_bytes();
        let name = format!("service-{number:05}.default.svc.cluster.local");
        Self::named(&name, [10, 233, high, low], number % 2 == 1)
    }

    /// The query for the address of `name`, with or without OPT.
    pub(crate) fn named(name: &str, address: [u8; 4], with_opt: bool) -> Result<Self, BenchError> {
        let name = Name::parse(name).map_err(|error| BenchError(format!("{error:?}")))?;
        let mut question = name.as_wire().to_vec();
        question.extend([0, 1, 0, 1]);
        let mut packet = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(with_opt)];
        packet.extend(&question);
        if with_opt {
            packet.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        }
        Ok(Self { packet, question, address })
    }

    /// The queries for `count` Services.
    pub(crate) fn several(count: u16) -> Result<Vec<Self>, BenchError> {
        (0..count).map(Self::new).collect()
    }

    /// The upstream's response to this query with `id`: one address.
    pub(crate) fn response(&self, id: [u8; 2]) -> Vec<u8> {
        let mut response = response(&self.question, self.address);
        response.splice(..2, id);
        response
    }

    /// True when `packet` answers this query, whatever its ID: QR, NOERROR, at least one answer
    /// record, the same question, and the address.
    pub(crate) fn is_answered_by(&self, packet: &[u8]) -> bool {
        let Some((header, rest)) = packet.split_first_chunk::<HEADER_LEN>() else { return false };
        let [_, _, first, second, _, _, _, answers, ..] = *header;
        let [a, b, c, d] = self.address;
        first & 0x80 != 0
            && second & 0x0f == 0
            && answers > 0
            && rest
                .strip_prefix(&*self.question)
                .is_some_and(|records| records.windows(6).any(|octets| octets == [0, 4, a, b, c, d]))
    }
}

/// The response to a question, with ID 0: one address.
pub(crate) fn response(question: &[u8], address: [u8; 4]) -> Vec<u8> {
    let mut response = vec![0, 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
    response.extend(question);
    response.extend(b"\xc0\x0c\0\x01\0\x01");
    response.extend(TTL.to_be_bytes());
    response.extend([0, 4]);
    response.extend(address);
    response
}
