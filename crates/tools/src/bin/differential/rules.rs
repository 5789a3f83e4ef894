//! Rules: what the daemon's response must be, given the upstream's own responses.

use std::time::Duration;

use crate::deviations::Deviation;
use tools::message::{DNSSEC_OK, Message, Record, RecordContent, flag};
use tools::variants::Variant;

/// Our maximum UDP response and payload size, in octets.
const PAYLOAD_SIZE: u16 = 1232;
/// Extended DNS Error (RFC 8914 section 2).
const EXTENDED_DNS_ERROR: u16 = 15;
const SERVFAIL: u16 = 2;
const NXDOMAIN: u16 = 3;
const NOTIMP: u16 = 4;
const NS: u16 = 2;
const SOA: u16 = 6;
/// Types in whose RDATA names may be compressed (RFC 3597 section 4): NS, CNAME, SOA, PTR, MX.
const COMPRESSIBLE: [u16; 5] = [NS, 5, SOA, 12, 15];
/// Defaults of CoreDNS's cache: minimum TTL, maximum TTL of an answer and of a denial, in seconds.
const MIN_TTL: u32 = 5;
const MAX_TTL: u32 = 3600;
const MAX_DENIAL_TTL: u32 = 1800;
/// TTL of a referral, a failure or a denial without SOA, in seconds.
const FIXED_TTL: u32 = 5;

/// A response of the daemon and the responses to compare it with.
pub(crate) struct Case<'a> {
    pub(crate) variant: &'a Variant,
    /// The query.
    pub(crate) query: &'a Message,
    /// The upstream's response to this variant.
    pub(crate) direct: &'a Message,
    /// Its response to the same variant over TCP, never truncated.
    pub(crate) whole: &'a Message,
    /// The daemon's response.
    pub(crate) ours: &'a Message,
    /// QNAME has been queried with capital letters.
    pub(crate) has_capitals: bool,
    /// Range of TTLs in the upstream's responses so far.
    pub(crate) ttls: Ttls,
    /// Time since the first of its queries.
    pub(crate) age: Duration,
}

/// Lowest and highest of the minimum TTLs of several messages, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ttls {
    pub(crate) lowest: u32,
    pub(crate) highest: u32,
}

impl Ttls {
    pub(crate) const NONE: Self = Self { lowest: u32::MAX, highest: 0 };

    pub(crate) fn with(self, message: &Message) -> Self {
        match cache_ttl(message) {
            Some(ttl) => Self { lowest: self.lowest.min(ttl), highest: self.highest.max(ttl) },
            None => self,
        }
    }
}

fn min_ttl(message: &Message) -> Option<u32> {
    message.records().map(|record| record.ttl).min()
}

/// The smallest TTL, and at most MINIMUM of a denial's SOA (RFC 2308 section 5).
fn cache_ttl(message: &Message) -> Option<u32> {
    let minimum = soa_minimum(message).filter(|_| is_denial(message));
    min_ttl(message).into_iter().chain(minimum).min()
}

/// The last four octets of the SOA in authority.
fn soa_minimum(message: &Message) -> Option<u32> {
    let [_, authority, _] = &message.sections;
    let soa = authority.iter().find(|record| record.exact.rtype == SOA)?;
    Some(u32::from_be_bytes(*soa.exact.rdata.last_chunk()?))
}

/// NXDOMAIN or NODATA with an SOA.
fn is_denial(message: &Message) -> bool {
    let [answers, authority, _] = &message.sections;
    let has_soa = authority.iter().any(|record| record.exact.rtype == SOA);
    let qtype = message.question.len().checked_sub(4).and_then(|at| message.question.get(at..at + 2));
    let qtype = qtype.and_then(|octets| octets.first_chunk()).map(|octets| u16::from_be_bytes(*octets));
    let reaches_type = answers.iter().any(|record| Some(record.exact.rtype) == qtype);
    has_soa && (message.rcode == NXDOMAIN || !reaches_type)
}

type RuleResult = Result<(), String>;

/// An error if a rule is broken.
fn require(rule: bool, otherwise: impl FnOnce() -> String) -> RuleResult {
    if rule { Ok(()) } else { Err(otherwise()) }
}

impl Case<'_> {
    /// The listed deviations of this response, or the rule that it breaks.
    pub(crate) fn check(&self) -> Result<Vec<Deviation>, String> {
        let mut seen = Vec::new();
        self.check_header(&mut seen)?;
        self.check_opt(&mut seen)?;
        self.check_records(&mut seen)?;
        self.check_ttl(&mut seen)?;
        Ok(seen)
    }

    fn check_header(&self, seen: &mut Vec<Deviation>) -> RuleResult {
        let Self { query, direct, ours, .. } = self;
        require(ours.question == query.question, || {
            "the question is not the client's, case included".to_owned()
        })?;
        require(ours.rcode == direct.rcode, || {
            format!("response code {}, expected {}", ours.rcode, direct.rcode)
        })?;
        let copied = flag::OPCODE | flag::RD | flag::CD;
        require(ours.flags & copied == query.flags & copied, || {
            "opcode, RD or CD are not the client's".to_owned()
        })?;
        require(ours.has(flag::QR) && !ours.has(flag::Z), || "QR is clear or Z is set".to_owned())?;
        require(ours.has(flag::AA) == direct.has(flag::AA), || "AA is not the upstream's".to_owned())?;
        let wanted = query.has(flag::AD) || query.opt.as_ref().is_some_and(|opt| opt.flags & DNSSEC_OK != 0);
        let authentic = wanted && direct.has(flag::AD);
        require(ours.has(flag::AD) == authentic, || {
            "AD is not the upstream's for a query with AD or DO, or not clear otherwise".to_owned()
        })?;
        require(ours.has(flag::RA), || "RA is clear".to_owned())?;
        note(seen, !direct.has(flag::RA), Deviation::RecursionAvailable);
        Ok(())
    }

    fn check_opt(&self, seen: &mut Vec<Deviation>) -> RuleResult {
        let Self { query, direct, ours, .. } = self;
        let (sent, opt) = match (&query.opt, &ours.opt) {
            (Some(sent), Some(opt)) => (sent, opt),
            (None, None) => return Ok(()),
            (Some(_), None) => return Err("no OPT for a client that sent one".to_owned()),
            (None, Some(_)) => return Err("OPT for a client that sent none".to_owned()),
        };
        let plain = opt.udp_size == PAYLOAD_SIZE && opt.version == 0 && opt.flags == sent.flags;
        require(plain, || {
            format!("OPT does not have {PAYLOAD_SIZE} octets, version 0 and the client's DO: {opt:?}")
        })?;
        let errors_only =
            opt.options.iter().all(|(code, _)| *code == EXTENDED_DNS_ERROR && ours.rcode == SERVFAIL);
        require(errors_only, || format!("OPT has options other than EDE with SERVFAIL: {opt:?}"))?;
        let theirs = direct.opt.as_ref();
        note(seen, theirs.is_none_or(|theirs| theirs.udp_size != opt.udp_size), Deviation::OwnOpt);
        let lost = theirs.is_some_and(|theirs| !theirs.options.is_empty() && theirs.options != opt.options);
        note(seen, lost, Deviation::UpstreamOptions);
        note(seen, !opt.options.is_empty(), Deviation::OwnExtendedError);
        Ok(())
    }

    fn check_records(&self, seen: &mut Vec<Deviation>) -> RuleResult {
        let Self { variant, direct, whole, ours, .. } = self;
        let limit = usize::from(variant.payload_size().min(PAYLOAD_SIZE));
        require(!variant.is_udp() || ours.len <= limit, || {
            format!("{} octets, more than {limit}", ours.len)
        })?;
        if matches!(whole.rcode, SERVFAIL | NOTIMP) {
            note(seen, whole.records().count() > 0, Deviation::FailureRecords);
            return require(ours.records().count() == 0, || "a failure with records".to_owned());
        }
        if ours.has(flag::TC) && variant.is_udp() {
            note(seen, !direct.has(flag::TC) && direct.len > limit, Deviation::DatagramLimit);
            return self.check_truncation(limit, seen);
        }
        require(ours.has(flag::TC) == whole.has(flag::TC), || {
            "TC although the whole response fits".to_owned()
        })?;
        let fits = direct.has(flag::TC);
        note(seen, fits, Deviation::FitsCompressed);
        let same = fits || contents(direct, folded) == contents(whole, folded);
        require(same, || "the upstream sends more over TCP, without TC".to_owned())?;
        if contents(ours, exact) != contents(whole, exact) {
            require(self.has_capitals && contents(ours, folded) == contents(whole, folded), || {
                self.difference()
            })?;
            note(seen, true, Deviation::Case);
        }
        let [answers, ..] = &ours.sections;
        let [theirs, ..] = &whole.sections;
        require(owners(answers) == owners(theirs), || {
            "CNAMEs and their targets are in another order".to_owned()
        })
    }

    /// Whole records from the beginning, as many as fit.
    fn check_truncation(&self, limit: usize, seen: &mut Vec<Deviation>) -> RuleResult {
        let Self { direct, whole, ours, .. } = self;
        let mut complete = true;
        for (ours, whole) in ours.sections.iter().zip(&whole.sections) {
            if !complete {
                require(ours.is_empty(), || "records after a truncated section".to_owned())?;
                continue;
            }
            let missing = missing(ours, whole)?;
            complete = missing.is_empty();
            let free = limit - self.ours.len.min(limit);
            let next = missing.iter().map(Record::len).max();
            require(next.is_none_or(|next| next > free), || {
                format!("{free} octets are free for the next record")
            })?;
        }
        require(!complete, || "TC although no record is missing".to_owned())?;
        if direct.len <= limit {
            let (here, there) = (ours.records().count(), direct.records().count());
            let shortened = whole.records().any(|record| COMPRESSIBLE.contains(&record.exact.rtype));
            require(here >= there || shortened, || format!("{here} records, the upstream has {there}"))?;
            note(seen, here < there, Deviation::Sparser);
            note(seen, here > there, Deviation::Fuller);
        }
        Ok(())
    }

    /// All TTLs are equal: the upstream's minimum, clamped as in CoreDNS's cache, less the age.
    fn check_ttl(&self, seen: &mut Vec<Deviation>) -> RuleResult {
        let Self { whole, ours, .. } = self;
        let Some(ttl) = min_ttl(ours) else { return Ok(()) };
        require(ours.records().all(|record| record.ttl == ttl), || "TTLs are not uniform".to_owned())?;
        let [answers, authority, _] = &whole.sections;
        let has = |rtype| authority.iter().any(|record| record.exact.rtype == rtype);
        let referral = answers.is_empty() && whole.rcode == 0 && has(NS) && !has(SOA);
        let max_ttl = if is_denial(whole) { MAX_DENIAL_TTL } else { MAX_TTL };
        let fixed = referral || whole.rcode != 0 && !(whole.rcode == NXDOMAIN && has(SOA));
        let clamp = |ttl: u32| if fixed { FIXED_TTL } else { ttl.clamp(MIN_TTL, max_ttl) };
        let age = u32::try_from(self.age.as_secs()).unwrap_or(u32::MAX);
        // Both sides count whole seconds from different moments.
        let from = clamp(self.ttls.lowest).saturating_sub(age).saturating_sub(1);
        // An entry that has expired since is a new one, of at most MINIMUM of the SOA.
        let has_expired = clamp(self.ttls.lowest) <= age;
        let renewed = soa_minimum(whole).filter(|_| has_expired && is_denial(whole)).unwrap_or_default();
        let to = clamp(self.ttls.highest.max(renewed)).saturating_add(1);
        require((from..=to).contains(&ttl), || format!("TTL {ttl} is not in {from}..={to}"))?;
        let theirs = cache_ttl(whole).unwrap_or(ttl);
        note(seen, min_ttl(whole).is_some_and(|smallest| smallest > theirs), Deviation::SoaMinimum);
        note(seen, whole.records().any(|record| record.ttl != theirs), Deviation::UniformTtl);
        note(seen, fixed && theirs != FIXED_TTL, Deviation::FixedTtl);
        note(seen, !fixed && theirs < MIN_TTL, Deviation::MinTtl);
        note(seen, !fixed && theirs > max_ttl, Deviation::MaxTtl);
        note(seen, ttl < clamp(theirs), Deviation::Age);
        Ok(())
    }

    fn difference(&self) -> String {
        let count = |message: &Message| message.sections.each_ref().map(Vec::len);
        format!(
            "the records differ: {:?} in the sections, expected {:?}",
            count(self.ours),
            count(self.whole)
        )
    }
}

fn note(seen: &mut Vec<Deviation>, is: bool, deviation: Deviation) {
    if is {
        seen.push(deviation);
    }
}

fn exact(record: &Record) -> &RecordContent {
    &record.exact
}

fn folded(record: &Record) -> &RecordContent {
    &record.folded
}

/// The contents of each section, sorted.
fn contents(message: &Message, of: fn(&Record) -> &RecordContent) -> [Vec<&RecordContent>; 3] {
    message.sections.each_ref().map(|section| {
        let mut contents: Vec<&RecordContent> = section.iter().map(of).collect();
        contents.sort();
        contents
    })
}

/// The owners of a section, in the order of their first records.
fn owners(section: &[Record]) -> Vec<&[u8]> {
    let mut owners: Vec<&[u8]> = Vec::new();
    for record in section {
        let owner = record.folded.owner.as_slice();
        if !owners.contains(&owner) {
            owners.push(owner);
        }
    }
    owners
}

/// The records of `whole` that are not in `part`; all of `part` must be in `whole`.
fn missing(part: &[Record], whole: &[Record]) -> Result<Vec<Record>, String> {
    let mut rest = whole.to_vec();
    for record in part {
        match rest.iter().position(|other| other.folded == record.folded) {
            Some(at) => drop(rest.remove(at)),
            None => return Err("a record that the upstream does not have".to_owned()),
        }
    }
    Ok(rest)
}
