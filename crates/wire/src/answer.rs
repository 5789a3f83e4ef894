//! Answers: a response as it is cached, and as it is sent to one client: TTLs, header, truncation.

use crate::compress;
use crate::edns::{DEFAULT_UDP_SIZE, ExtendedError, Keepalive, OptRecord, push_opt};
use crate::header::{Flags, HEADER_LEN, Header, Rcode};
use crate::query::RequestHeader;
use crate::record::{TTL_LEN, record_end};
use crate::response::Response;

/// The response size that every client must accept (RFC 1035 section 2.3.4).
const MIN_MAX_LEN: usize = 512;

/// A stored response: the octets of an upstream's response without OPT, and the positions of the
/// TTLs.
#[derive(Clone, Debug)]
pub struct Answer {
    packet: Box<[u8]>,
    ttls: Box<[u16]>,
    question_len: u16,
    uncompressed_len: u32,
}

/// The TTLs of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseTtl {
    /// As the upstream sent them.
    AsReceived,
    /// This many seconds on every record.
    Uniform(u32),
}

/// How an [`Answer`] is sent to one client.
#[derive(Clone, Copy, Debug)]
pub struct ResponseOptions {
    /// The TTLs of the records.
    pub ttl: ResponseTtl,
    /// Maximum octets of the response; values below 512 count as 512.
    pub max_len: usize,
    /// The extended error in OPT, if the client sent OPT (RFC 8914).
    pub error: Option<ExtendedError>,
    /// The UDP payload size in OPT.
    pub udp_size: u16,
    /// The edns-tcp-keepalive option in OPT, for a TCP client that sent the option (RFC 7828).
    pub keepalive: Option<Keepalive>,
    /// Sets AA, whether or not the upstream set it.
    pub authoritative: bool,
    /// Octets of `max_len` that are left for options to be appended to OPT.
    pub reserved: usize,
}

impl ResponseOptions {
    /// Default options with these TTLs and this size.
    pub const fn new(ttl: ResponseTtl, max_len: usize) -> Self {
        Self {
            ttl,
            max_len,
            error: None,
            udp_size: DEFAULT_UDP_SIZE,
            keepalive: None,
            authoritative: false,
            reserved: 0,
        }
    }

    fn opt(&self) -> OptRecord {
        OptRecord { udp_size: self.udp_size, error: self.error, keepalive: self.keepalive }
    }
}

impl Answer {
    /// Stores `response` without OPT, its last record if it has one. Compresses the names of an
    /// uncompressed response, so that more records fit into 512 octets.
    ///
    /// A response code above 15 concerns the hop to the upstream, and its low bits without OPT
    /// would be another code: it is stored as SERVFAIL.
    pub fn from_response(response: &Response<'_>) -> Self {
        let end = response.opt.map_or(response.packet.len(), |(start, _)| usize::from(start));
        let ttls: Box<[u16]> = response.ttls.iter().copied().filter(|ttl| usize::from(*ttl) < end).collect();
        let mut header = response.header;
        let before_additional = usize::from(header.ancount) + usize::from(header.nscount);
        header.arcount =
            u16::try_from(ttls.len().saturating_sub(before_additional)).unwrap_or(header.arcount);
        if response.rcode != header.flags.rcode() {
            header.flags = header.flags.with_rcode(Rcode::SERVFAIL);
        }
        let original = response.packet.get(..end).unwrap_or(&response.packet);
        let uncompressed_len =
            u32::try_from(original.len()).unwrap_or(u32::MAX).saturating_add_signed(response.saved_octets);
        let question_end = HEADER_LEN + usize::from(response.question_len);
        let compressed =
            if response.has_pointers { None } else { compress::names(original, question_end, &ttls) };
        let (mut packet, ttls): (Box<[u8]>, _) = match compressed {
            Some((packet, ttls)) => (packet.into(), ttls.into()),
            None => (original.into(), ttls),
        };
        if let Some(octets) = packet.first_chunk_mut() {
            *octets = header.to_bytes();
        }
        Self { packet, ttls, question_len: response.question_len, uncompressed_len }
    }

    /// Appends the response for one client to `out`: ID, question, RD and CD of the request; AD
    /// only if the request has AD or DO (RFC 6840 section 5.7); RA set; AA and response code as
    /// stored; an OPT of our own if the request has OPT. Truncates by whole records from the end
    /// and sets TC.
    ///
    /// `request.question` must equal the stored question, apart from case.
    pub fn write(&self, request: &RequestHeader<'_>, options: ResponseOptions, out: &mut Vec<u8>) {
        debug_assert_eq!(request.question.len(), usize::from(self.question_len), "another question");
        let start = out.len();
        let opt_len = request.edns.map_or(0, |_| options.opt().wire_len());
        let (records, end) =
            self.fit((options.max_len.max(MIN_MAX_LEN) - opt_len).saturating_sub(options.reserved));
        let mut header = self.header();
        header.id = request.id;
        header.flags = self.flags(request, records < self.ttls.len());
        if options.authoritative {
            header.flags = header.flags.with(Flags::AA);
        }
        limit_counts(&mut header, records);
        header.arcount += u16::from(request.edns.is_some());
        out.reserve(end + opt_len);
        out.extend_from_slice(&header.to_bytes());
        out.extend_from_slice(request.question);
        out.extend_from_slice(self.packet.get(self.question_end()..end).unwrap_or_default());
        if let ResponseTtl::Uniform(seconds) = options.ttl {
            for at in self.ttls.iter().take(records) {
                let at = start + usize::from(*at);
                if let Some(octets) = out.get_mut(at..at + TTL_LEN) {
                    octets.copy_from_slice(&seconds.to_be_bytes());
                }
            }
        }
        if let Some(edns) = request.edns {
            push_opt(out, options.opt(), edns.dnssec_ok, self.rcode());
        }
    }

    /// The response code (low four bits).
    pub fn rcode(&self) -> Rcode {
        self.header().flags.rcode()
    }

    /// True when the answer section has records.
    pub fn has_answers(&self) -> bool {
        self.header().ancount > 0
    }

    /// Where the answer section of the stored message begins.
    pub(crate) fn question_end(&self) -> usize {
        HEADER_LEN + usize::from(self.question_len)
    }

    /// Positions of the TTLs of the records in the answer section.
    pub(crate) fn answer_ttls(&self) -> &[u16] {
        let answers = usize::from(self.header().ancount);
        self.ttls.get(..answers).unwrap_or(&self.ttls)
    }

    /// The stored message. [`Response::parse`] and [`Self::from_response`] restore the answer from
    /// it.
    pub fn message(&self) -> &[u8] {
        &self.packet
    }

    /// Octets of the stored message, before OPT and truncation.
    pub fn message_len(&self) -> usize {
        self.packet.len()
    }

    /// The same without name compression.
    pub fn uncompressed_len(&self) -> u32 {
        self.uncompressed_len
    }

    /// Heap memory in octets.
    pub fn heap_len(&self) -> usize {
        self.packet.len() + 2 * self.ttls.len()
    }

    fn header(&self) -> Header {
        const NONE: Header =
            Header { id: 0, flags: Flags(0), qdcount: 0, ancount: 0, nscount: 0, arcount: 0 };
        Header::read(&self.packet).unwrap_or(NONE)
    }

    fn flags(&self, request: &RequestHeader<'_>, truncated: bool) -> Flags {
        let stored = self.header().flags;
        let mut flags = stored.only(Flags::AA.with(Flags::TC)).with(Flags::QR).with(Flags::RA);
        if truncated {
            flags = flags.with(Flags::TC);
        }
        if request.flags.has(Flags::AD) || request.edns.is_some_and(|edns| edns.dnssec_ok) {
            flags = flags.with(stored.only(Flags::AD));
        }
        flags.with(request.flags.only(Flags::RD.with(Flags::CD))).with_rcode(stored.rcode())
    }

    /// The number of records that fit into `space` octets, and the end of the last of them.
    fn fit(&self, space: usize) -> (usize, usize) {
        if self.packet.len() <= space {
            return (self.ttls.len(), self.packet.len());
        }
        let records = self.ttls.partition_point(|ttl| record_end(&self.packet, *ttl) <= space);
        let last = records.checked_sub(1).and_then(|last| self.ttls.get(last));
        let question_end = self.question_end();
        (records, last.map_or(question_end, |ttl| record_end(&self.packet, *ttl)))
    }
}

/// Limits the counts of `header` to the first `records` records of the message.
fn limit_counts(header: &mut Header, records: usize) {
    let mut left = records;
    for count in [&mut header.ancount, &mut header.nscount, &mut header.arcount] {
        *count = u16::try_from(left).map_or(*count, |left| left.min(*count));
        left -= usize::from(*count);
    }
}
