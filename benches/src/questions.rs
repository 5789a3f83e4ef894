//! What is asked: addresses of Services, and how to tell a right answer.

use wire::header::HEADER_LEN;
use wire::name::Name;

use crate::Failed;

/// Seconds an answer lives: longer than a run, so that nothing but the first look at a name is a miss.
const TTL: u32 = 3600;

/// A question as packets, and its answer.
pub(crate) struct Question {
    /// The query, with ID 0; every second name's has an OPT, as half of the resolvers in containers send one.
    pub(crate) query: Vec<u8>,
    /// Name, type and class.
    pub(crate) section: Vec<u8>,
    address: [u8; 4],
}

impl Question {
    /// The question for Service `number`.
    pub(crate) fn new(number: u16) -> Result<Self, Failed> {
        let [high, low] = number.to_be_bytes();
        let name = format!("service-{number:05}.default.svc.cluster.local");
        Self::named(&name, [10, 233, high, low], number % 2 == 1)
    }

    /// The question for the address of `name`, with an OPT if wanted.
    pub(crate) fn named(name: &str, address: [u8; 4], with_opt: bool) -> Result<Self, Failed> {
        let name = Name::parse(name).map_err(|error| Failed(format!("{error:?}")))?;
        let mut section = name.as_wire().to_vec();
        section.extend([0, 1, 0, 1]);
        let mut query = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(with_opt)];
        query.extend(&section);
        if with_opt {
            query.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        }
        Ok(Self { query, section, address })
    }

    /// The questions for `count` Services.
    pub(crate) fn several(count: u16) -> Result<Vec<Self>, Failed> {
        (0..count).map(Self::new).collect()
    }

    /// What an upstream says to a query for this with `id`: one address.
    pub(crate) fn response(&self, id: [u8; 2]) -> Vec<u8> {
        let mut response = response(&self.section, self.address);
        response.splice(..2, id);
        response
    }

    /// True when `packet`, beside its ID, is an answer to this: QR, NOERROR, one answer record at least, the same
    /// question, and the address behind it.
    pub(crate) fn is_answered_by(&self, packet: &[u8]) -> bool {
        let Some((header, rest)) = packet.split_first_chunk::<HEADER_LEN>() else { return false };
        let [_, _, first, second, _, _, _, answers, ..] = *header;
        let [a, b, c, d] = self.address;
        first & 0x80 != 0
            && second & 0x0f == 0
            && answers > 0
            && rest
                .strip_prefix(&*self.section)
                .is_some_and(|records| records.windows(6).any(|octets| octets == [0, 4, a, b, c, d]))
    }
}

/// The response to a question (name, type and class), with ID 0: one address.
pub(crate) fn response(section: &[u8], address: [u8; 4]) -> Vec<u8> {
    let mut response = vec![0, 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
    response.extend(section);
    response.extend(b"\xc0\x0c\0\x01\0\x01");
    response.extend(TTL.to_be_bytes());
    response.extend([0, 4]);
    response.extend(address);
    response
}
