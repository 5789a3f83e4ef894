//! Answers: a response as it is cached, and as it is sent to one client: TTLs, header, truncation.

use std::iter::Take;

use crate::compress;
use crate::edns::{DEFAULT_UDP_SIZE, ExtendedError, Keepalive, OptRecord, push_opt};
use crate::header::{Flags, HEADER_LEN, Header, Rcode, RecordType};
use crate::query::RequestHeader;
use crate::record::{TTL_LEN, record_end};
use crate::response::Response;
use crate::ttl_positions::{self, TtlPositions};

/// The response size that every client must accept (RFC 1035 section 2.3.4).
const MIN_MAX_LEN: usize = 512;

/// Octets of QTYPE and QCLASS.
const TYPE_AND_CLASS_LEN: usize = 4;

/// A response as it is cached and relayed: the octets of an upstream's response without OPT, QNAME in
/// lower case, and behind them the positions of the TTLs. `O` owns the octets or borrows them.
#[derive(Clone, Copy, Debug)]
pub struct Answer<O = Vec<u8>> {
    layout: AnswerLayout,
    octets: O,
}

/// What is where in the octets of an [`Answer`].
#[derive(Clone, Copy, Debug)]
pub struct AnswerLayout {
    /// Octets of the message without name compression.
    uncompressed_len: u32,
    question_len: u16,
    /// Octets of the positions.
    positions_len: u16,
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
        let records = response.ttls.partition_point(|ttl| usize::from(*ttl) < end);
        let ttls = response.ttls.get(..records).unwrap_or(&response.ttls);
        let mut header = response.header;
        let before_additional = usize::from(header.ancount) + usize::from(header.nscount);
        header.arcount = u16::try_from(records.saturating_sub(before_additional)).unwrap_or(header.arcount);
        if response.rcode != header.flags.rcode() {
            header.flags = header.flags.with_rcode(Rcode::SERVFAIL);
        }
        let original = response.packet.get(..end).unwrap_or(&response.packet);
        let uncompressed_len =
            u32::try_from(original.len()).unwrap_or(u32::MAX).saturating_add_signed(response.saved_octets);
        let question_end = HEADER_LEN + usize::from(response.question_len);
        let compressed =
            if response.has_pointers { None } else { compress::names(original, question_end, ttls) };
        let (mut octets, ttls) = match &compressed {
            Some((packet, ttls)) => (copy(packet, ttls.len()), ttls.as_slice()),
            None => (copy(original, records), ttls),
        };
        let message_len = octets.len();
        ttl_positions::encode(question_end, ttls, &mut octets);
        let positions_len = u16::try_from(octets.len() - message_len).unwrap_or(0);
        if let Some(to) = octets.first_chunk_mut() {
            *to = header.to_bytes();
        }
        if let Some(name) = octets.get_mut(HEADER_LEN..question_end.saturating_sub(TYPE_AND_CLASS_LEN)) {
            // Octets of length are at most 63, below the capital letters.
            name.make_ascii_lowercase();
        }
        let layout = AnswerLayout { uncompressed_len, question_len: response.question_len, positions_len };
        Self { layout, octets }
    }
}

impl<'a> Answer<&'a [u8]> {
    /// The answer with these octets, which belong to `layout`.
    pub const fn new(layout: AnswerLayout, octets: &'a [u8]) -> Self {
        Self { layout, octets }
    }

    /// [`Self::message`], for as long as the octets are borrowed.
    pub fn into_message(self) -> &'a [u8] {
        let len = self.message_len();
        self.octets.get(..len).unwrap_or(self.octets)
    }

    /// The stored QNAME in wire form and lower case, and QTYPE.
    pub fn question(&self) -> Option<(&'a [u8], RecordType)> {
        let question = self.octets.get(HEADER_LEN..self.question_end())?;
        let (name, rest) = question.split_at_checked(question.len().checked_sub(TYPE_AND_CLASS_LEN)?)?;
        Some((name, RecordType(u16::from_be_bytes(*rest.first_chunk()?))))
    }
}

/// A copy with room for the positions of `records` TTLs, as long as they are close to each other.
fn copy(packet: &[u8], records: usize) -> Vec<u8> {
    let mut octets = Vec::with_capacity(packet.len() + records);
    octets.extend_from_slice(packet);
    octets
}

impl<O: AsRef<[u8]>> Answer<O> {
    /// The same, borrowed.
    pub fn borrowed(&self) -> Answer<&[u8]> {
        Answer { layout: self.layout, octets: self.octets.as_ref() }
    }

    /// What is where in [`Self::octets`].
    pub const fn layout(&self) -> AnswerLayout {
        self.layout
    }

    /// The octets: [`Answer::new`] restores the answer from them.
    pub fn octets(&self) -> &[u8] {
        self.octets.as_ref()
    }

    /// Appends the response for one client to `out`: ID, question, RD and CD of the request; AD
    /// only if the request has AD or DO (RFC 6840 section 5.7); RA set; AA and response code as
    /// stored; an OPT of our own if the request has OPT. Truncates by whole records from the end
    /// and sets TC.
    ///
    /// `request.question` must equal the stored question, apart from case.
    pub fn write(&self, request: &RequestHeader<'_>, options: ResponseOptions, out: &mut Vec<u8>) {
        debug_assert_eq!(request.question.len(), usize::from(self.layout.question_len), "another question");
        let start = out.len();
        let opt_len = request.edns.map_or(0, |_| options.opt().wire_len());
        let space = (options.max_len.max(MIN_MAX_LEN) - opt_len).saturating_sub(options.reserved);
        let message = self.message();
        let stored = self.header();
        let mut header = Header { id: request.id, flags: flags(stored.flags, request), ..stored };
        let end = if message.len() <= space { message.len() } else { self.cut(space, &mut header) };
        if options.authoritative {
            header.flags = header.flags.with(Flags::AA);
        }
        header.arcount += u16::from(request.edns.is_some());
        out.reserve(end + opt_len);
        out.extend_from_slice(&header.to_bytes());
        out.extend_from_slice(request.question);
        out.extend_from_slice(message.get(self.question_end()..end).unwrap_or_default());
        if let ResponseTtl::Uniform(seconds) = options.ttl {
            for at in self.ttls().map(|at| start + at) {
                // Those of records that were cut off are behind the end.
                let Some(octets) = out.get_mut(at..at + TTL_LEN) else { break };
                octets.copy_from_slice(&seconds.to_be_bytes());
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
        HEADER_LEN + usize::from(self.layout.question_len)
    }

    /// Positions of the TTLs of the records in the answer section.
    pub(crate) fn answer_ttls(&self) -> Take<TtlPositions<'_>> {
        self.ttls().take(self.header().ancount.into())
    }

    /// The stored message. [`Response::parse`] and [`Answer::from_response`] restore the answer from
    /// it.
    pub fn message(&self) -> &[u8] {
        self.split().0
    }

    /// Octets of the stored message, before OPT and truncation.
    pub fn message_len(&self) -> usize {
        self.message().len()
    }

    /// The same without name compression.
    pub const fn uncompressed_len(&self) -> u32 {
        self.layout.uncompressed_len
    }

    fn ttls(&self) -> TtlPositions<'_> {
        TtlPositions::new(self.question_end(), self.split().1)
    }

    /// The message and the positions.
    fn split(&self) -> (&[u8], &[u8]) {
        let octets = self.octets();
        let message_len = octets.len().saturating_sub(self.layout.positions_len.into());
        octets.split_at_checked(message_len).unwrap_or_default()
    }

    fn header(&self) -> Header {
        const NONE: Header =
            Header { id: 0, flags: Flags(0), qdcount: 0, ancount: 0, nscount: 0, arcount: 0 };
        Header::read(self.octets()).unwrap_or(NONE)
    }

    /// Sets TC and the counts for the records that fit into `space` octets; returns the end of the last
    /// of them.
    fn cut(&self, space: usize, header: &mut Header) -> usize {
        let ends = self.ttls().map(|ttl| record_end(self.message(), ttl));
        let (records, end) = ends
            .take_while(|end| *end <= space)
            .fold((0, self.question_end()), |(records, _), end| (records + 1, end));
        header.flags = header.flags.with(Flags::TC);
        limit_counts(header, records);
        end
    }
}

/// The flags of a response to `request`.
fn flags(stored: Flags, request: &RequestHeader<'_>) -> Flags {
    let mut flags = stored.only(Flags::AA.with(Flags::TC)).with(Flags::QR).with(Flags::RA);
    if request.flags.has(Flags::AD) || request.edns.is_some_and(|edns| edns.dnssec_ok) {
        flags = flags.with(stored.only(Flags::AD));
    }
    flags.with(request.flags.only(Flags::RD.with(Flags::CD))).with_rcode(stored.rcode())
}

/// Limits the counts of `header` to the first `records` records of the message.
fn limit_counts(header: &mut Header, records: usize) {
    let mut left = records;
    for count in [&mut header.ancount, &mut header.nscount, &mut header.arcount] {
        *count = u16::try_from(left).map_or(*count, |left| left.min(*count));
        left -= usize::from(*count);
    }
}
