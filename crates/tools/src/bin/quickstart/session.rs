//! Runs the lookups and compares each response, its origin and the upstream queries with the
//! expectation.

use std::error::Error;
use std::fmt;
use std::io;
use std::thread;
use std::time::Duration;

use testkit::RecordType;
use testkit::client::{CandidateResult, Response, Stub, rcode_name};
use testkit::clock::now;
use testkit::upstream::{Transport, Upstream};

use crate::metrics::{self, Metrics};
use crate::queries::{Expected, Lookup, Section, Source};
use crate::report::Report;
use crate::setup::SERVICE;

/// Time within which the counters must show a query.
const COUNTER_TIMEOUT: Duration = Duration::from_secs(2);
/// Interval of reading the counters.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Counters that show the origin of a response.
const HITS: &str = "coredns_cache_hits_total";
const MISSES: &str = "coredns_cache_misses_total";

/// A series of lookups.
pub(crate) struct Session<'a> {
    report: &'a mut Report,
    zone: &'a Upstream,
    /// The counters after the last response.
    counters: Metrics,
    /// Number of upstream queries at that time.
    upstream_queries: usize,
    summary: Summary,
}

/// Response times of misses and hits.
#[derive(Default)]
pub(crate) struct Summary {
    hits: Vec<Duration>,
    misses: Vec<Duration>,
}

impl<'a> Session<'a> {
    pub(crate) fn new(report: &'a mut Report, zone: &'a Upstream) -> io::Result<Self> {
        let (counters, summary) = (metrics::scrape()?, Summary::default());
        Ok(Self { report, zone, counters, upstream_queries: zone.queries().len(), summary })
    }

    pub(crate) fn summary(self) -> Summary {
        self.summary
    }

    pub(crate) fn run(&mut self, section: &Section) -> Result<(), Box<dyn Error>> {
        self.report.heading(section.title)?;
        section.lookups.iter().try_for_each(|lookup| self.look_up(lookup))
    }

    fn look_up(&mut self, lookup: &Lookup) -> Result<(), Box<dyn Error>> {
        let Lookup { pod, record_type, name, .. } = lookup;
        let stub = Stub { tcp: lookup.transport == Transport::Tcp, ..pod.stub() };
        let over = if stub.tcp { "TCP" } else { "UDP" };
        self.report.line(format_args!("{pod} looks up {name} {record_type} over {over}"))?;
        let mut expected = lookup.expected.iter();
        let mut result = Ok(());
        stub.search(name, *record_type, |candidate| {
            if result.is_ok() {
                result = self.check(&candidate, *record_type, expected.next());
            }
        });
        result?;
        let missing: Vec<_> = expected.map(|expected| expected.name).collect();
        let names = missing.join(" ");
        self.report.check(missing.is_empty(), format_args!("queries for {names} too"))?;
        Ok(())
    }

    /// Prints the response to one name and checks it.
    fn check(
        &mut self,
        candidate: &CandidateResult,
        record_type: RecordType,
        expected: Option<&Expected>,
    ) -> Result<(), Box<dyn Error>> {
        let CandidateResult { name, result } = candidate;
        let source = self.source()?;
        let origin = source.map_or("neither cache hit nor miss", Source::as_str);
        self.report.line(format_args!("  {name}: {origin}"))?;
        match result {
            Ok(response) => self.report.line(format_args!("    {response}"))?,
            Err(error) => self.report.line(format_args!("    {error}"))?,
        }
        let queries = self.zone.queries();
        let mut new = queries.iter().skip(self.upstream_queries);
        let forwarded = new.any(|query| query.is_for(name) && query.record_type == record_type);
        self.upstream_queries = queries.len();

        let Some(expected) = expected else {
            return Ok(self.report.check(false, "no further query")?);
        };
        self.report.check(*name == expected.name, format_args!("a query for {}", expected.name))?;
        let is_source = source == Some(expected.source);
        self.report.check(is_source, format_args!("a cache {}", expected.source.as_str()))?;
        let article = if forwarded { "no" } else { "an" };
        self.report.check(
            forwarded == (expected.source == Source::Miss),
            format_args!("{article} upstream query for it at {SERVICE}"),
        )?;
        if let Ok(response) = result {
            self.compare(response, expected)?;
            match source {
                Some(Source::Hit) => self.summary.hits.push(response.elapsed),
                _ => self.summary.misses.push(response.elapsed),
            }
        } else {
            self.report.check(false, "a response")?;
        }
        Ok(())
    }

    fn compare(&mut self, response: &Response, expected: &Expected) -> io::Result<()> {
        let message = &response.message;
        self.report.check(rcode_name(message) == expected.rcode, expected.rcode)?;
        let records = message.answers.iter();
        let mut received: Vec<String> =
            records.map(|record| format!("{} {}", record.record_type(), record.data)).collect();
        let mut wanted: Vec<String> = expected.answers.iter().map(|answer| (*answer).to_owned()).collect();
        // The order of records within an RRset has no meaning.
        received.sort();
        wanted.sort();
        self.report.check(received == wanted, format_args!("{wanted:?}"))?;
        if wanted.is_empty() {
            let mut authority = message.authorities.iter();
            let has_soa = authority.any(|record| record.record_type() == RecordType::SOA);
            self.report.check(has_soa, "an SOA")?;
        }
        Ok(())
    }

    /// The origin of the last response, by the counters. The daemon's own queries, such as its
    /// `loop` query, can add a miss, but not a hit.
    fn source(&mut self) -> io::Result<Option<Source>> {
        let started = now();
        loop {
            let counters = metrics::scrape()?;
            let increased = |name| counters.sum(name) > self.counters.sum(name);
            let source = match (increased(HITS), increased(MISSES)) {
                (true, _) => Some(Source::Hit),
                (false, true) => Some(Source::Miss),
                (false, false) => None,
            };
            if source.is_some() || started.elapsed() > COUNTER_TIMEOUT {
                self.counters = counters;
                return Ok(source);
            }
            thread::sleep(POLL_INTERVAL);
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let median = |times: &[Duration]| {
            let mut times = times.to_vec();
            times.sort();
            times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1e3)
        };
        write!(
            f,
            "{} misses, median {:.2} ms; {} hits, median {:.2} ms (upstream on the same machine)",
            self.misses.len(),
            median(&self.misses),
            self.hits.len(),
            median(&self.hits)
        )
    }
}
