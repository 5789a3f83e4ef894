//! A response as it is kept, and how it is told to one client: aged, addressed and cut to size.

mod compress;

use crate::edns::{DEFAULT_UDP_SIZE, ExtendedError, Keepalive, OptRecord, push_opt};
use crate::header::{Flags, HEADER_LEN, Header, Rcode};
use crate::query::RequestHeader;
use crate::record::{TTL_LEN, record_end};
use crate::response::Response;

/// What every client must be able to receive (RFC 1035 section 2.3.4).
const MIN_LIMIT: usize = 512;

/// An upstream's response without its OPT: its octets and where their TTLs are.
#[derive(Clone, Debug)]
pub struct Answer {
    packet: Box<[u8]>,
    ttls: Box<[u16]>,
    question_len: u16,
}

/// The TTLs a client sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseTtl {
    /// As the upstream sent them.
    AsReceived,
    /// This many seconds on every record.
    Uniform(u32),
}

/// How an answer is told to one client.
#[derive(Clone, Copy, Debug)]
pub struct ResponseOptions {
    /// The TTLs it shows.
    pub ttl: ResponseTtl,
    /// Octets it may have; every client takes 512.
    pub limit: usize,
    /// Said in our OPT, if the client sent one (RFC 8914).
    pub error: Option<ExtendedError>,
    /// The UDP payload size our OPT says.
    pub udp_size: u16,
    /// Said in our OPT, to a client by TCP that wants to know (RFC 7828).
    pub keepalive: Option<Keepalive>,
    /// AA is set whether the upstream set it or not.
    pub authoritative: bool,
}

impl ResponseOptions {
    /// With these TTLs and this many octets at most, and nothing added.
    pub const fn new(ttl: ResponseTtl, limit: usize) -> Self {
        Self { ttl, limit, error: None, udp_size: DEFAULT_UDP_SIZE, keepalive: None, authoritative: false }
    }

    fn opt(&self) -> OptRecord {
        OptRecord { udp_size: self.udp_size, error: self.error, keepalive: self.keepalive }
    }
}

impl Answer {
    /// Keeps `response`. Its OPT is left out; so are records behind OPT, where only TSIG and SIG(0) belong
    /// (RFC 6891 section 6.1.1), which are hop by hop too. Names that came without compression are
    /// shortened, so that more records fit a small client.
    ///
    /// A response code above 15 speaks of the hop between the upstream and us, and without OPT its low bits would
    /// say something else: it is kept as SERVFAIL.
    pub fn from_response(response: &Response<'_>) -> Self {
        let end = response.opt.map_or(response.packet.len(), |(start, _)| usize::from(start));
        let ttls: Box<[u16]> = response.ttls.iter().copied().filter(|ttl| usize::from(*ttl) < end).collect();
        let mut header = response.header;
        let in_front = usize::from(header.ancount) + usize::from(header.nscount);
        header.arcount = u16::try_from(ttls.len().saturating_sub(in_front)).unwrap_or(header.arcount);
        if response.rcode != header.flags.rcode() {
            header.flags = header.flags.with_rcode(Rcode::SERVFAIL);
        }
        let kept = response.packet.get(..end).unwrap_or(response.packet);
        let question_end = HEADER_LEN + usize::from(response.question_len);
        let shorter = if response.has_pointers { None } else { compress::names(kept, question_end, &ttls) };
        let (mut packet, ttls): (Box<[u8]>, _) = match shorter {
            Some((packet, ttls)) => (packet.into(), ttls.into()),
            None => (kept.into(), ttls),
        };
        if let Some(octets) = packet.first_chunk_mut() {
            *octets = header.to_bytes();
        }
        Self { packet, ttls, question_len: response.question_len }
    }

    /// Appends the answer for one client to `out`, in the given options: the
    /// client's ID and question, RD and CD; AD only for who set AD or DO (RFC 6840 section 5.7); RA set; AA and
    /// response code as kept; an OPT of our own if the client sent one. What does not fit is left out in whole
    /// records from the end, and TC says so.
    ///
    /// The caller vouches that `request.question` equals the kept question but for case.
    pub fn write(&self, request: &RequestHeader<'_>, options: ResponseOptions, out: &mut Vec<u8>) {
        debug_assert_eq!(
            request.question.len(),
            usize::from(self.question_len),
            "the question is another one"
        );
        let start = out.len();
        let opt_len = request.edns.map_or(0, |_| options.opt().octets());
        let (records, end) = self.fit(options.limit.max(MIN_LIMIT) - opt_len);
        let mut header = self.header();
        header.id = request.id;
        header.flags = self.flags(request, records < self.ttls.len());
        if options.authoritative {
            header.flags = header.flags.with(Flags::AA);
        }
        cut(&mut header, records);
        header.arcount += u16::from(request.edns.is_some());
        out.reserve(end + opt_len);
        out.extend_from_slice(&header.to_bytes());
        out.extend_from_slice(request.question);
        out.extend_from_slice(
            self.packet.get(HEADER_LEN + usize::from(self.question_len)..end).unwrap_or_default(),
        );
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

    /// True when its answer section has records.
    pub fn has_answers(&self) -> bool {
        self.header().ancount > 0
    }

    /// The whole message as it is kept, from which [`Response::parse`] and [`Self::from_response`] make the same answer again.
    pub fn message(&self) -> &[u8] {
        &self.packet
    }

    /// Octets of the whole message, before OPT and cutting.
    pub fn message_len(&self) -> usize {
        self.packet.len()
    }

    /// Octets this keeps in memory beside the struct itself.
    pub fn heap_len(&self) -> usize {
        self.packet.len() + 2 * self.ttls.len()
    }

    fn header(&self) -> Header {
        const NONE: Header =
            Header { id: 0, flags: Flags(0), qdcount: 0, ancount: 0, nscount: 0, arcount: 0 };
        Header::read(&self.packet).unwrap_or(NONE)
    }

    fn flags(&self, request: &RequestHeader<'_>, is_cut: bool) -> Flags {
        let kept = self.header().flags;
        let mut flags = kept.only(Flags::AA.with(Flags::TC)).with(Flags::QR).with(Flags::RA);
        if is_cut {
            flags = flags.with(Flags::TC);
        }
        if request.flags.has(Flags::AD) || request.edns.is_some_and(|edns| edns.dnssec_ok) {
            flags = flags.with(kept.only(Flags::AD));
        }
        flags.with(request.flags.only(Flags::RD.with(Flags::CD))).with_rcode(kept.rcode())
    }

    /// How many records fit into `room` octets, and where the last of them ends.
    fn fit(&self, room: usize) -> (usize, usize) {
        if self.packet.len() <= room {
            return (self.ttls.len(), self.packet.len());
        }
        let records = self.ttls.partition_point(|ttl| record_end(&self.packet, *ttl) <= room);
        let last = records.checked_sub(1).and_then(|last| self.ttls.get(last));
        let question_end = HEADER_LEN + usize::from(self.question_len);
        (records, last.map_or(question_end, |ttl| record_end(&self.packet, *ttl)))
    }
}

/// Lowers the counts of `header` to the first `records` records: they are left out from the end.
fn cut(header: &mut Header, records: usize) {
    let mut left = records;
    for count in [&mut header.ancount, &mut header.nscount, &mut header.arcount] {
        *count = u16::try_from(left).map_or(*count, |left| left.min(*count));
        left -= usize::from(*count);
    }
}
