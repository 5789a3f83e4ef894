//! What an answer of ours must be, given the upstream's own.

use std::time::Duration;

use crate::asking::Way;
use crate::deviations::Deviation;
use crate::message::{DNSSEC_OK, Message, Record, Says, flag};

/// Octets that we send in a datagram at most, and say in OPT.
const DATAGRAM: u16 = 1232;
/// The option that carries an extended error (RFC 8914 section 2).
const EXTENDED_ERROR: u16 = 15;
const SERVFAIL: u16 = 2;
const NXDOMAIN: u16 = 3;
const NOTIMP: u16 = 4;
const NS: u16 = 2;
const SOA: u16 = 6;
/// Types in whose RDATA names may be compressed (RFC 3597 section 4): NS, CNAME, SOA, PTR, MX.
const SHORTENED: [u16; 5] = [NS, 5, SOA, 12, 15];
/// CoreDNS's cache by default: the least TTL, the greatest of an answer and of a denial, in seconds.
const LEAST: u32 = 5;
const GREATEST: u32 = 3600;
const GREATEST_DENIAL: u32 = 1800;
/// What a referral or a failure lives.
const FIXED: u32 = 5;

/// One answer of ours and what it is held against.
pub(crate) struct Case<'a> {
    pub(crate) way: &'a Way,
    /// The query we got.
    pub(crate) query: &'a Message,
    /// What the upstream says when it is asked in this way.
    pub(crate) direct: &'a Message,
    /// What it says when nothing has to be cut: the same over TCP.
    pub(crate) whole: &'a Message,
    pub(crate) ours: &'a Message,
    /// Whether the question has been asked with capital letters.
    pub(crate) in_capitals: bool,
    /// Between what TTLs the upstream's answers have been so far.
    pub(crate) ttls: Ttls,
    /// How long ago the first of them was asked for.
    pub(crate) age: Duration,
}

/// The smallest TTL of a message, lowest and highest over some messages; in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ttls {
    pub(crate) lowest: u32,
    pub(crate) highest: u32,
}

impl Ttls {
    pub(crate) const NONE: Self = Self { lowest: u32::MAX, highest: 0 };

    pub(crate) fn with(self, message: &Message) -> Self {
        match smallest(message) {
            Some(ttl) => Self { lowest: self.lowest.min(ttl), highest: self.highest.max(ttl) },
            None => self,
        }
    }
}

fn smallest(message: &Message) -> Option<u32> {
    message.records().map(|record| record.ttl).min()
}

type Verdict = Result<(), String>;

/// What to say of a rule that is broken.
fn holds(rule: bool, otherwise: impl FnOnce() -> String) -> Verdict {
    if rule { Ok(()) } else { Err(otherwise()) }
}

impl Case<'_> {
    /// The listed deviations of this answer, or the rule that it breaks.
    pub(crate) fn judge(&self) -> Result<Vec<Deviation>, String> {
        let mut seen = Vec::new();
        self.head(&mut seen)?;
        self.opt(&mut seen)?;
        self.records(&mut seen)?;
        self.ttl(&mut seen)?;
        Ok(seen)
    }

    fn head(&self, seen: &mut Vec<Deviation>) -> Verdict {
        let Self { query, direct, ours, .. } = self;
        holds(ours.question == query.question, || {
            "the question is not the client's, letter by letter".to_owned()
        })?;
        holds(ours.rcode == direct.rcode, || {
            format!("response code {} and not {}", ours.rcode, direct.rcode)
        })?;
        let copied = flag::OPCODE | flag::RD | flag::CD;
        holds(ours.flags & copied == query.flags & copied, || {
            "opcode, RD or CD are not the client's".to_owned()
        })?;
        holds(ours.has(flag::QR) && !ours.has(flag::Z), || "QR is clear or Z is set".to_owned())?;
        holds(ours.has(flag::AA) == direct.has(flag::AA), || "AA is not the upstream's".to_owned())?;
        let wanted = query.has(flag::AD) || query.opt.as_ref().is_some_and(|opt| opt.flags & DNSSEC_OK != 0);
        let authentic = wanted && direct.has(flag::AD);
        holds(ours.has(flag::AD) == authentic, || {
            "AD is not the upstream's to who asks for it, else clear".to_owned()
        })?;
        holds(ours.has(flag::RA), || "RA is clear".to_owned())?;
        note(seen, !direct.has(flag::RA), Deviation::RecursionAvailable);
        Ok(())
    }

    fn opt(&self, seen: &mut Vec<Deviation>) -> Verdict {
        let Self { query, direct, ours, .. } = self;
        let (asked, opt) = match (&query.opt, &ours.opt) {
            (Some(asked), Some(opt)) => (asked, opt),
            (None, None) => return Ok(()),
            (Some(_), None) => return Err("no OPT for a client that sent one".to_owned()),
            (None, Some(_)) => return Err("OPT for a client that sent none".to_owned()),
        };
        let plain = opt.udp_size == DATAGRAM && opt.version == 0 && opt.flags == asked.flags;
        holds(plain, || format!("OPT is not of {DATAGRAM} octets, version 0 and the client's DO: {opt:?}"))?;
        let errors_only =
            opt.options.iter().all(|(code, _)| *code == EXTENDED_ERROR && ours.rcode == SERVFAIL);
        holds(errors_only, || format!("OPT has options, and not an extended error of SERVFAIL: {opt:?}"))?;
        let theirs = direct.opt.as_ref();
        note(seen, theirs.is_none_or(|theirs| theirs.udp_size != opt.udp_size), Deviation::OwnOpt);
        let lost = theirs.is_some_and(|theirs| !theirs.options.is_empty() && theirs.options != opt.options);
        note(seen, lost, Deviation::UpstreamOptions);
        note(seen, !opt.options.is_empty(), Deviation::OwnError);
        Ok(())
    }

    fn records(&self, seen: &mut Vec<Deviation>) -> Verdict {
        let Self { way, direct, whole, ours, .. } = self;
        let limit = usize::from(way.datagram().min(DATAGRAM));
        holds(!way.is_udp() || ours.len <= limit, || format!("{} octets, more than {limit}", ours.len))?;
        if ours.has(flag::TC) && way.is_udp() {
            note(seen, !direct.has(flag::TC) && direct.len > limit, Deviation::DatagramLimit);
            return self.is_cut_well(limit, seen);
        }
        holds(ours.has(flag::TC) == whole.has(flag::TC), || "TC though nothing needs to be cut".to_owned())?;
        let fits = direct.has(flag::TC);
        note(seen, fits, Deviation::FitsShortened);
        let same = fits || says(direct, folded) == says(whole, folded);
        holds(same, || "the upstream says more over TCP, without TC".to_owned())?;
        if says(ours, exact) != says(whole, exact) {
            holds(self.in_capitals && says(ours, folded) == says(whole, folded), || self.difference())?;
            note(seen, true, Deviation::Case);
        }
        let [answers, ..] = &ours.sections;
        let [theirs, ..] = &whole.sections;
        holds(owners(answers) == owners(theirs), || {
            "aliases and what they lead to are in another order".to_owned()
        })
    }

    /// Whole records from the front, as many as there is room for.
    fn is_cut_well(&self, limit: usize, seen: &mut Vec<Deviation>) -> Verdict {
        let Self { direct, whole, ours, .. } = self;
        let mut complete = true;
        for (ours, whole) in ours.sections.iter().zip(&whole.sections) {
            if !complete {
                holds(ours.is_empty(), || "records behind a section that has been cut".to_owned())?;
                continue;
            }
            let missing = missing(ours, whole)?;
            complete = missing.is_empty();
            let room = limit - self.ours.len.min(limit);
            let next = missing.iter().map(Record::len).max();
            holds(next.is_none_or(|next| next > room), || {
                format!("{room} octets are free for the next record")
            })?;
        }
        holds(!complete, || "TC though no record is missing".to_owned())?;
        if direct.len <= limit {
            let (here, there) = (ours.records().count(), direct.records().count());
            let shortened = whole.records().any(|record| SHORTENED.contains(&record.exact.rtype));
            holds(here >= there || shortened, || format!("{here} records left, the upstream left {there}"))?;
            note(seen, here < there, Deviation::Sparser);
            note(seen, here > there, Deviation::Fuller);
        }
        Ok(())
    }

    /// All TTLs are one, and that is what the upstream's became in CoreDNS's cache, less the age of the answer.
    fn ttl(&self, seen: &mut Vec<Deviation>) -> Verdict {
        let Self { whole, ours, .. } = self;
        let Some(ttl) = smallest(ours) else { return Ok(()) };
        holds(ours.records().all(|record| record.ttl == ttl), || "TTLs are not uniform".to_owned())?;
        let [answers, authority, _] = &whole.sections;
        let has = |rtype| authority.iter().any(|record| record.exact.rtype == rtype);
        let referral = answers.is_empty() && whole.rcode == 0 && has(NS) && !has(SOA);
        let denial = has(SOA) && (whole.rcode == NXDOMAIN || !self.reaches_type(answers));
        let greatest = if denial { GREATEST_DENIAL } else { GREATEST };
        let fixed = referral || matches!(whole.rcode, SERVFAIL | NOTIMP);
        let clamp = |ttl: u32| if fixed { FIXED } else { ttl.clamp(LEAST, greatest) };
        let age = u32::try_from(self.age.as_secs()).unwrap_or(u32::MAX);
        // Either side counts whole seconds from a moment of its own.
        let from = clamp(self.ttls.lowest).saturating_sub(age).saturating_sub(1);
        let to = clamp(self.ttls.highest).saturating_add(1);
        holds((from..=to).contains(&ttl), || format!("TTL {ttl} is not in {from}..={to}"))?;
        let theirs = smallest(whole).unwrap_or(ttl);
        note(seen, whole.records().any(|record| record.ttl != theirs), Deviation::UniformTtl);
        note(seen, fixed && theirs != FIXED, Deviation::FixedTtl);
        note(seen, !fixed && theirs < LEAST, Deviation::LeastTtl);
        note(seen, !fixed && theirs > greatest, Deviation::GreatestTtl);
        note(seen, ttl < clamp(theirs), Deviation::Age);
        Ok(())
    }

    fn reaches_type(&self, answers: &[Record]) -> bool {
        let end = self.query.question.len().saturating_sub(4);
        let wanted = self.query.question.get(end..end + 2).and_then(|octets| octets.first_chunk());
        let wanted = wanted.map(|octets| u16::from_be_bytes(*octets));
        answers.iter().any(|record| Some(record.exact.rtype) == wanted)
    }

    fn difference(&self) -> String {
        let count = |message: &Message| message.sections.each_ref().map(Vec::len);
        format!(
            "the records are others: {:?} in the sections and not {:?}",
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

fn exact(record: &Record) -> &Says {
    &record.exact
}

fn folded(record: &Record) -> &Says {
    &record.folded
}

/// What each section says, without order.
fn says(message: &Message, of: fn(&Record) -> &Says) -> [Vec<&Says>; 3] {
    message.sections.each_ref().map(|section| {
        let mut says: Vec<&Says> = section.iter().map(of).collect();
        says.sort();
        says
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
