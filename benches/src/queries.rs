//! Queries for the addresses of Services, their responses, and the check of a response.

use wire::header::HEADER_LEN;
use wire::name::Name;

use crate::output::BenchError;

/// TTL in seconds: longer than a run, so that only the first query of a name is a miss.
const TTL: u32 = 3600;

const NOERROR: u8 = 0;
const NXDOMAIN: u8 = 3;
const A: u16 = 1;
const AAAA: u16 = 28;

/// The first octets of labels for which [`scripted`] responds with NXDOMAIN.
const ABSENT: &str = "nx";

/// A query packet and the correct response.
#[derive(Clone)]
pub(crate) struct TestQuery {
    /// The packet, with ID 0; half of the names have OPT, as with the stub resolvers in containers.
    pub(crate) packet: Vec<u8>,
    /// QNAME, QTYPE and QCLASS.
    pub(crate) question: Vec<u8>,
    expected: Expected,
}

/// A correct response.
#[derive(Clone, Copy)]
enum Expected {
    Address([u8; 4]),
    /// RCODE NXDOMAIN.
    Absent,
    /// NOERROR without answer records (RFC 2308 section 2.2).
    NoData,
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
        Self::typed((name, A), Expected::Address(address), with_opt)
    }

    /// The AAAA query for a `name` that has A records only.
    pub(crate) fn no_data(name: &str, with_opt: bool) -> Result<Self, BenchError> {
        Self::typed((name, AAAA), Expected::NoData, with_opt)
    }

    /// The query for the address of a name that does not exist, below `domain`.
    pub(crate) fn absent(label: &str, domain: &str, with_opt: bool) -> Result<Self, BenchError> {
        Self::typed((&format!("{ABSENT}-{label}.{domain}"), A), Expected::Absent, with_opt)
    }

    fn typed((name, qtype): (&str, u16), expected: Expected, with_opt: bool) -> Result<Self, BenchError> {
        let name = Name::parse(name).map_err(|error| BenchError(format!("{error:?}")))?;
        let mut question = name.as_wire().to_vec();
        question.extend(qtype.to_be_bytes());
        question.extend([0, 1]);
        let mut packet = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(with_opt)];
        packet.extend(&question);
        if with_opt {
            packet.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        }
        Ok(Self { packet, question, expected })
    }

    /// The queries for `count` Services.
    pub(crate) fn several(count: u16) -> Result<Vec<Self>, BenchError> {
        (0..count).map(Self::new).collect()
    }

    /// The upstream's response to this query with `id`.
    pub(crate) fn response(&self, id: [u8; 2]) -> Vec<u8> {
        let mut response = match self.expected {
            Expected::Address(address) => response(&self.question, address),
            Expected::Absent => negative(&self.question, NXDOMAIN),
            Expected::NoData => negative(&self.question, NOERROR),
        };
        response.splice(..2, id);
        response
    }

    /// True when `packet` answers this query, whatever its ID: QR, the same question, and NOERROR with
    /// the address, or NXDOMAIN or NOERROR without answer records.
    pub(crate) fn is_answered_by(&self, packet: &[u8]) -> bool {
        let Some((header, rest)) = packet.split_first_chunk::<HEADER_LEN>() else { return false };
        let [_, _, first, second, _, _, _, answers, ..] = *header;
        let Some(records) = rest.strip_prefix(&*self.question) else { return false };
        let is_expected = match self.expected {
            Expected::Address([a, b, c, d]) => {
                answers > 0 && records.windows(6).any(|octets| octets == [0, 4, a, b, c, d])
            }
            Expected::Absent | Expected::NoData => answers == 0,
        };
        let rcode = if matches!(self.expected, Expected::Absent) { NXDOMAIN } else { NOERROR };
        first & 0x80 != 0 && second & 0x0f == rcode && is_expected
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

/// The response of an upstream that has an address for each name, except for names that
/// [`TestQuery::absent`] makes, and no AAAA record.
pub(crate) fn scripted(question: &[u8], address: [u8; 4]) -> Vec<u8> {
    // A resolver may vary the letter case.
    let label = question.get(1..=ABSENT.len());
    if label.is_some_and(|label| label.eq_ignore_ascii_case(ABSENT.as_bytes())) {
        return negative(question, NXDOMAIN);
    }
    if question.ends_with(&[0, 28, 0, 1]) { negative(question, NOERROR) } else { response(question, address) }
}

/// A negative response, with ID 0 and the SOA record of the question's last two labels.
fn negative(question: &[u8], rcode: u8) -> Vec<u8> {
    let mut response = vec![0, 0, 0x81, 0x80 | rcode, 0, 1, 0, 0, 0, 1, 0, 0];
    let zone = [0xc0, u8::try_from(HEADER_LEN + last_two_labels(question)).unwrap_or(0)];
    response.extend(question);
    response.extend(zone);
    response.extend([0, 6, 0, 1]);
    response.extend(TTL.to_be_bytes());
    let mut data = b"\x02ns".to_vec();
    data.extend(zone);
    data.extend(b"\x0ahostmaster");
    data.extend(zone);
    for field in [1, 7200, 1800, 86_400, TTL] {
        data.extend(field.to_be_bytes());
    }
    response.extend([0, u8::try_from(data.len()).unwrap_or(0)]);
    response.extend(data);
    response
}

/// The offset of the last two labels of a name without compression.
fn last_two_labels(name: &[u8]) -> usize {
    let mut offsets = [0; 2];
    let mut offset = 0;
    while let Some(length) = name.get(offset).copied().filter(|length| *length > 0) {
        offsets = [offsets[1], offset];
        offset += usize::from(length) + 1;
    }
    offsets[0]
}
