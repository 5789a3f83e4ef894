//! Queries without a response, and what upstreams have sent: each response of the resolver must be one
//! of a query, made from one of an upstream.

use std::time::{Duration, Instant};

use resolver::action::{Client, ClientResponse, ResponseSource, UpstreamConnectionId};
use resolver::policy::CacheOptions;
use wire::Query;

use super::QUERY_DEADLINE;
use super::directives::{ALIAS, AllDirectives, LOCAL_TTL, Origin, Question};
use super::messages::{A, CHAINED, Data, Kind, Message, Record, has_name, is_in_cluster, is_same_question};
use super::policies::{MAX_STALE, OUTAGE_TTL, STALE_TTL};

/// Size of a UDP response to a client without OPT (RFC 1035 section 4.2.1).
const MIN_UDP_SIZE: u16 = 512;
/// `bufsize`.
const MAX_UDP_SIZE: u16 = 1232;

/// The longest that a record is served after its expiry in an answer that is made of lookups: each of up to
/// three may find a stale answer, which is cached with the other records, and later stale itself.
const MAX_LOOKUP_STALE: Duration = Duration::from_secs(3 * (60 + 30 + 10));
/// TTL of an NXDOMAIN cut.
const MAX_CUT_TTL: u32 = 10_800;

/// A client's query.
pub(crate) struct OpenQuery {
    received: Instant,
    client: Client,
    id: u16,
    /// What it asks, if it is accepted, with DO and CD.
    accepted: Option<(Vec<u8>, (bool, bool))>,
    max_len: usize,
    has_opt: bool,
}

impl OpenQuery {
    pub(crate) fn new(received: Instant, client: Client, packet: &[u8], query: Option<&Query<'_>>) -> Self {
        let edns = query.and_then(|query| query.header.edns);
        let size = edns.map_or(MIN_UDP_SIZE, |edns| edns.udp_size.clamp(MIN_UDP_SIZE, MAX_UDP_SIZE));
        let accepted = query.map(|query| {
            let cd = query.header.flags.has(wire::header::Flags::CD);
            (query.header.question.to_vec(), (edns.is_some_and(|edns| edns.dnssec_ok), cd))
        });
        Self {
            received,
            client,
            id: u16::from_be_bytes([packet[0], packet[1]]),
            accepted,
            max_len: usize::from(if client.connection.is_some() { u16::MAX } else { size }),
            has_opt: edns.is_some(),
        }
    }
}

/// A response of an upstream.
struct Sent {
    at: Instant,
    question: Question,
    /// DO, if there was OPT, and CD.
    variant: (Option<bool>, bool),
    kind: Kind,
    /// In seconds.
    received_ttl: u32,
    /// In the cache, in seconds.
    ttl: u32,
}

impl Sent {
    /// True when it was sent for a query with DO and CD as in `variant`; without OPT, DO may be either.
    fn has_variant(&self, variant: (bool, bool)) -> bool {
        let (dnssec_ok, cd) = self.variant;
        (dnssec_ok.unwrap_or(variant.0), cd) == variant
    }
}

/// A response to a client's query.
struct Checked<'a> {
    message: &'a Message<'a>,
    octets: &'a [u8],
    question: &'a Question,
    /// DO and CD of the query.
    variant: (bool, bool),
    received: Instant,
    source: ResponseSource,
}

/// All of a simulation.
pub(crate) struct Responses {
    cache: CacheOptions,
    directives: AllDirectives,
    open: Vec<OpenQuery>,
    sent: Vec<Sent>,
}

impl Responses {
    pub(crate) fn new(cache: CacheOptions, directives: AllDirectives) -> Self {
        Self { cache, directives, open: Vec::new(), sent: Vec::new() }
    }

    pub(crate) fn open(&mut self, query: OpenQuery) {
        self.open.push(query);
    }

    pub(crate) fn is_open(&self, id: u16) -> bool {
        self.open.iter().any(|open| open.id == id)
    }

    /// The token of a response that an upstream sends.
    pub(crate) fn sent(&mut self, at: Instant, query: &Message<'_>, kind: Kind, ttl: u32) -> u32 {
        let store = if kind.is_negative() { &self.cache.denial } else { &self.cache.success };
        // RFC 2181 section 8: a TTL with the upper bit is 0.
        let received = if ttl & 0x8000_0000 != 0 { u32::MAX } else { ttl };
        let (dnssec_ok, cd) = query.variant();
        self.sent.push(Sent {
            at,
            question: Question::read(query.question),
            variant: (query.opt.map(|_| dnssec_ok), cd),
            kind,
            received_ttl: received,
            ttl: received.max(store.min_ttl).min(store.max_ttl),
        });
        u32::try_from(self.sent.len() - 1).unwrap()
    }

    /// Checks a response, which ends its query.
    pub(crate) fn check(&mut self, now: Instant, response: &ClientResponse, octets: &[u8]) {
        let message = Message::read(octets);
        let index = self.open.iter().position(|open| open.id == message.id);
        let open = self.open.remove(index.expect("a response to no query, or a second one"));
        assert_eq!(open.client, response.client, "a response to another client");
        assert!(message.is_response());
        let Some((question, variant)) = open.accepted else {
            assert!(message.question.is_empty() && message.records.is_empty());
            return;
        };
        assert!(octets.len() <= open.max_len, "{} octets for {}", octets.len(), open.max_len);
        assert_eq!(message.question, question, "a response to another question");
        assert_eq!(message.opt.is_some(), open.has_opt);
        let info = response.info.expect("a response to an accepted query");
        assert_eq!(info.received, open.received);
        assert!(now <= open.received + QUERY_DEADLINE, "late");
        assert!(info.source != ResponseSource::Error || message.records.is_empty());
        let (question, source) = (&Question::read(&question), info.source);
        let checked =
            Checked { message: &message, octets, question, variant, received: info.received, source };
        if source == ResponseSource::NxdomainCut {
            self.check_cut(now, &checked);
        } else if !message.records.is_empty() {
            self.check_records(now, &checked);
        }
    }

    /// Each record is from where the directives for the question take records.
    fn check_records(&self, now: Instant, checked: &Checked<'_>) {
        let Checked { question, octets, .. } = *checked;
        let origins = self.directives.origins(question);
        let has_lookups = self.directives.follow_alias(question);
        for record in &checked.message.records {
            let sent = record.data.token().map(|token| &self.sent[token as usize]);
            let is_chained = sent.is_some_and(|sent| sent.kind == Kind::Chain);
            let owners: &[&[u8]] = match record.data {
                Data::Negative(_) => &[b"\0"],
                _ if has_lookups => &[question.name(), CHAINED, ALIAS],
                _ if is_chained => &[CHAINED],
                _ => &[question.name()],
            };
            assert!(
                owners.iter().any(|owner| has_name(octets, record.owner, owner)),
                "records of another name"
            );
            let Some(sent) = sent else {
                assert!(
                    record.data == Data::Alias || origins.contains(&Origin::Local),
                    "a directive's record"
                );
                assert!(record.data == Data::Alias || record.ttl <= LOCAL_TTL, "TTL {}", record.ttl);
                continue;
            };
            let is_looked_up = has_lookups || self.directives.synthesize(question);
            let is_origin =
                |origin: &Origin| matches!(origin, Origin::Upstream(sent_as) if *sent_as == sent.question);
            let is_found = origins.iter().any(is_origin) && sent.has_variant(checked.variant);
            if !is_found && is_looked_up && self.has_cut_for(&origins, sent) {
                check_cut_record(now, checked, record, sent);
                continue;
            }
            assert!(origins.iter().any(is_origin), "records of another name or type");
            self.check_origin(checked, record, sent);
            if is_looked_up {
                check_looked_up(now, record, sent);
            } else {
                check_record(now, record, sent, checked);
            }
        }
    }

    /// It is from a response of the same kind for the same options.
    fn check_origin(&self, checked: &Checked<'_>, record: &Record, sent: &Sent) {
        let Checked { question, variant, .. } = *checked;
        assert!(sent.has_variant(variant), "records for another DO or CD");
        let is_name_error = checked.message.rcode() == 3;
        let is_allowed = if sent.kind == Kind::NameError {
            self.directives.allow_rcode(&sent.question, is_name_error)
        } else {
            !is_name_error
        };
        assert!(is_allowed, "another response code");
        match record.data {
            Data::Negative(_) => assert!(sent.kind.is_negative()),
            Data::Synthesized(_) => {
                assert!(
                    self.directives.synthesize(question) && variant != (true, true),
                    "a synthesized address"
                );
                assert!(sent.question.qtype() == A && !sent.kind.is_negative());
            }
            _ => assert!(sent.question.qtype() == question.qtype() && !sent.kind.is_negative()),
        }
    }

    /// An answer without a query: a name above does not exist, and nothing else would answer this one.
    fn check_cut(&self, now: Instant, checked: &Checked<'_>) {
        let Checked { question, message, .. } = *checked;
        assert!(message.rcode() == 3 && !message.records.is_empty());
        assert!(self.directives.allow_cut(question), "a directive answers");
        for record in &message.records {
            let token = record.data.token().expect("a record of an upstream");
            let sent = &self.sent[token as usize];
            assert!(sent.kind == Kind::NameError && sent.question.is_cut_for(question), "not below a cut");
            check_cut_record(now, checked, record, sent);
        }
    }

    /// True when one of the questions that lookups have asked may be answered from a cut that a response made.
    fn has_cut_for(&self, origins: &[Origin], sent: &Sent) -> bool {
        sent.kind == Kind::NameError
            && origins.iter().any(|origin| {
                matches!(origin, Origin::Upstream(sent_as)
                    if sent.question.is_cut_for(sent_as) && self.directives.allow_cut(sent_as))
            })
    }

    /// No query is left that has waited for longer than the deadline.
    pub(crate) fn check_deadlines(&self, now: Instant) {
        assert!(
            self.open.iter().all(|open| now < open.received + QUERY_DEADLINE),
            "a query is past its deadline"
        );
    }

    pub(crate) fn check_all_answered(&self) {
        assert!(self.open.is_empty(), "{} queries have no response", self.open.len());
    }
}

/// It is not served beyond its life.
fn check_record(now: Instant, record: &Record, sent: &Sent, checked: &Checked<'_>) {
    let (age, life) = (now - sent.at, Duration::from_secs(sent.ttl.into()));
    match checked.source {
        ResponseSource::Cache => {
            assert!(age <= life, "{age:?} old, with a TTL of {life:?}");
            // Whole seconds, rounded up.
            let ttl = Duration::from_secs(record.ttl.into());
            assert!(ttl < life - age + Duration::from_secs(1), "TTL {ttl:?} after {age:?} of {life:?}");
        }
        ResponseSource::Stale => {
            // It is found when the first of the coalesced queries arrives, which may wait for a newer one.
            let age = checked.received.saturating_duration_since(sent.at);
            let max_age = life + MAX_STALE + QUERY_DEADLINE;
            assert!(age < max_age, "stale, {age:?} old, with a TTL of {life:?}");
            assert!([STALE_TTL, OUTAGE_TTL].contains(&record.ttl), "TTL {} of a stale answer", record.ttl);
        }
        ResponseSource::Resolved => assert!(age <= QUERY_DEADLINE, "{age:?} old"),
        source => panic!("records from {source:?}"),
    }
}

/// A record of an answer without a query is the SOA of the cut, within the life of the cut.
fn check_cut_record(now: Instant, checked: &Checked<'_>, record: &Record, sent: &Sent) {
    assert!(!checked.variant.0, "a client that wants proof");
    assert!(matches!(record.data, Data::Negative(_)), "a positive answer from a cut");
    assert!(has_name(checked.octets, record.owner, b"\0"));
    // Whole seconds, rounded up, when it was learned as well.
    let (age, ttl) = (now - sent.at, Duration::from_secs(record.ttl.into()));
    let life = Duration::from_secs(sent.received_ttl.min(MAX_CUT_TTL).into()) + Duration::from_secs(1);
    assert!(age <= life, "{age:?} old, with a TTL of {life:?}");
    assert!(ttl < life - age + Duration::from_secs(1), "TTL {ttl:?} after {age:?} of {life:?}");
}

/// A record that lookups have found, in the cache or not, is not served beyond its life.
fn check_looked_up(now: Instant, record: &Record, sent: &Sent) {
    let (age, life) = (now - sent.at, Duration::from_secs(sent.ttl.into()));
    assert!(age <= life + MAX_LOOKUP_STALE, "{age:?} old, with a TTL of {life:?}");
    let received = sent.received_ttl.max(sent.ttl);
    assert!(record.ttl <= received.max(STALE_TTL), "TTL {} of {received}", record.ttl);
}

/// An upstream's query is a plain one for a name of its server block, without options of a client, that no
/// directive answers or changes.
pub(crate) fn check_upstream_query(
    query: &Message<'_>,
    connection: UpstreamConnectionId,
    directives: &AllDirectives,
) {
    assert!(!query.is_response() && query.opcode() == 0 && query.records.is_empty());
    assert!(query.opt.is_none_or(|(_, _, options)| options == 0), "options for the upstream");
    let question = Question::read(query.question);
    let is_cluster = is_in_cluster(question.name());
    let is_health_check = is_same_question(query.question, b"\0\0\x02\0\x01");
    // DS records are in the zone above.
    let is_own = is_cluster == (connection.upstream.0 == 2) || query.qtype == 43;
    assert!(is_own || is_health_check, "the upstream of another server block");
    assert!(
        is_health_check || directives.pass(&question),
        "an upstream is queried in place of a directive: {question:?}"
    );
}
