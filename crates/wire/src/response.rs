//! An upstream's message: whether it matches the query, its response type, the positions of its TTLs.

mod chain;
mod rrsig;

use chain::Chain;

use crate::edns;
use crate::header::{Flags, HEADER_LEN, Header, Rcode, RecordType};
use crate::name;
use crate::record::Walk;
use crate::scrub;

/// What a response says about its question; the cache stores by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseType {
    /// NOERROR with the type asked for at the end of its CNAME chain, or records for ANY.
    Positive,
    /// NOERROR, an SOA in authority and nothing of the type asked for (RFC 2308 section 2.2).
    NoData,
    /// NXDOMAIN with an SOA in authority (RFC 2308 section 2.1).
    NameError,
    /// NOERROR, no answer, no SOA, NS records in authority.
    Delegation,
    /// NOERROR without any record that says why.
    Empty,
    /// NOERROR with an answer that does not reach the type, and no SOA: nothing one may keep.
    IncompleteChain,
    /// SERVFAIL or NOTIMP.
    ServerFailure,
    /// Any other response code, or NXDOMAIN without an SOA.
    Other,
}

/// Why octets are not a response one can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// A response read once: every record is inside the packet, every name ends, every pointer points back.
#[derive(Clone, Debug)]
pub struct Response<'p> {
    /// The octets this was read from, without what may follow the last counted record.
    pub packet: &'p [u8],
    /// Its header.
    pub header: Header,
    /// The response code with the bits of OPT.
    pub rcode: Rcode,
    /// What it says.
    pub response_type: ResponseType,
    /// The smallest TTL of all records but OPT, in seconds. Values above 2^31-1 are large, not negative (RFC 8767
    /// section 4): whoever keeps the answer has a bound of its own.
    /// Nothing when there are no records.
    pub min_ttl: Option<u32>,
    /// Octets of the question section (name, type, class).
    pub(crate) question_len: u16,
    /// Where the TTL of each record but OPT begins, in order.
    pub(crate) ttls: Vec<u16>,
    /// Where OPT begins and ends, when there is one.
    pub(crate) opt: Option<(u16, u16)>,
    /// True when a name in it is compressed.
    pub(crate) has_pointers: bool,
    /// Places of records in the answer section that the question does not lead to.
    strays: Vec<u16>,
}

impl<'p> Response<'p> {
    /// Reads an upstream's message.
    ///
    /// # Errors
    /// [`Malformed`] when it is not a response (QR=0, opcode not QUERY), has not exactly one question, or any
    /// count, length or pointer in it is a lie.
    pub fn parse(packet: &'p [u8]) -> Result<Self, Malformed> {
        Self::read(packet).ok_or(Malformed)
    }

    fn read(packet: &'p [u8]) -> Option<Self> {
        let header = Header::read(packet)?;
        if !header.flags.has(Flags::QR) || header.flags.opcode() != 0 || header.qdcount != 1 {
            return None;
        }
        let question_end = name::plain_end(packet, HEADER_LEN)? + 4;
        let mut walk = Walk::new(packet, question_end);
        walk.section(header.ancount, |_| ())?;
        let (mut soa, mut ns) = (false, false);
        walk.section(header.nscount, |record| {
            soa |= record.rtype == RecordType::SOA;
            ns |= record.rtype == RecordType::NS;
        })?;
        walk.additional(header.arcount)?;
        let packet = packet.get(..walk.at)?;
        let rcode = match &walk.opt {
            None => header.flags.rcode(),
            Some(opt) => edns::read(packet, opt, header.flags.rcode())?.1,
        };
        let chain = Chain::follow(packet, question_end, header.ancount)?;
        let response_type = match rcode {
            Rcode::NOERROR if chain.reaches_type => ResponseType::Positive,
            Rcode::NOERROR if soa => ResponseType::NoData,
            Rcode::NOERROR if header.ancount > 0 => ResponseType::IncompleteChain,
            Rcode::NOERROR if ns => ResponseType::Delegation,
            Rcode::NOERROR => ResponseType::Empty,
            Rcode::NXDOMAIN if soa => ResponseType::NameError,
            Rcode::SERVFAIL | Rcode::NOTIMP => ResponseType::ServerFailure,
            _ => ResponseType::Other,
        };
        let opt = match &walk.opt {
            None => None,
            Some(opt) => Some((u16::try_from(opt.owner).ok()?, u16::try_from(opt.end).ok()?)),
        };
        Some(Self {
            packet,
            header,
            rcode,
            response_type,
            min_ttl: walk.min_ttl,
            question_len: u16::try_from(question_end - HEADER_LEN).ok()?,
            ttls: walk.ttls,
            opt,
            has_pointers: walk.steps > 0,
            strays: chain.strays,
        })
    }

    /// The message without records in its answer section that the question does not lead to, if there are any: whoever
    /// put them there wants someone to remember them.
    ///
    /// # Errors
    /// [`Malformed`] when it would be longer than a message can be with its names in full.
    pub fn scrub(&self) -> Result<Option<Vec<u8>>, Malformed> {
        if self.strays.is_empty() {
            return Ok(None);
        }
        let question_end = HEADER_LEN + usize::from(self.question_len);
        scrub::without(self.packet, question_end, &self.strays).map(Some).ok_or(Malformed)
    }

    /// True when every signature in it is valid at `time`, in seconds since 1970: within its own bounds, which are
    /// serial numbers (RFC 4034 section 3.1.5). Nothing is verified.
    pub fn rrsigs_valid_at(&self, time: u64) -> bool {
        rrsig::hold(self.packet, &self.ttls, time)
    }

    /// True when this answers `question` (name, type, class as octets): the names equal but for case
    /// (RFC 5452 section 9.1).
    pub fn matches_question(&self, question: &[u8]) -> bool {
        let ours =
            self.packet.get(HEADER_LEN..HEADER_LEN + usize::from(self.question_len)).unwrap_or_default();
        // Letters may differ in the name only: type 65 and type 97 are no letters.
        ours.eq_ignore_ascii_case(question) && ours.last_chunk::<4>() == question.last_chunk::<4>()
    }

    /// True when the sender knows EDNS (RFC 6891 section 7).
    pub fn has_opt(&self) -> bool {
        self.opt.is_some()
    }
}
