//! Asks what a scene asks and compares what comes back with what the scene expects.

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
use crate::scenes::{Ask, Expected, Scene, Source};
use crate::{SERVICE, Stage};

/// How long the counters may take to show a query.
const COUNTED_WITHIN: Duration = Duration::from_secs(2);
/// Between two readings of the counters.
const GLANCE: Duration = Duration::from_millis(5);
/// The counters that tell where an answer came from.
const HITS: &str = "coredns_cache_hits_total";
const MISSES: &str = "coredns_cache_misses_total";

/// The dialogue so far.
pub(crate) struct Dialogue<'a> {
    stage: &'a mut Stage,
    zone: &'a Upstream,
    /// The counters after the last answer.
    counters: Metrics,
    /// How many questions the upstream had seen then.
    seen: usize,
    summary: Summary,
}

/// How long answers took.
#[derive(Default)]
pub(crate) struct Summary {
    hits: Vec<Duration>,
    misses: Vec<Duration>,
}

impl<'a> Dialogue<'a> {
    pub(crate) fn new(stage: &'a mut Stage, zone: &'a Upstream) -> io::Result<Self> {
        let counters = metrics::scrape()?;
        Ok(Self { stage, zone, counters, seen: zone.queries().len(), summary: Summary::default() })
    }

    pub(crate) fn summary(self) -> Summary {
        self.summary
    }

    pub(crate) fn play(&mut self, scene: &Scene) -> Result<(), Box<dyn Error>> {
        self.stage.head(scene.title)?;
        scene.asks.iter().try_for_each(|ask| self.ask(ask))
    }

    fn ask(&mut self, ask: &Ask) -> Result<(), Box<dyn Error>> {
        let pod = Stub { tcp: ask.transport == Transport::Tcp, ..ask.pod.stub() };
        let over = if pod.tcp { "TCP" } else { "UDP" };
        self.stage.say(format_args!("{} asks for {} {} over {over}", ask.pod, ask.name, ask.record_type))?;
        let mut expected = ask.tries.iter();
        let mut judged = Ok(());
        pod.search(ask.name, ask.record_type, |tried| {
            if judged.is_ok() {
                judged = self.judge(&tried, ask.record_type, expected.next());
            }
        });
        judged?;
        let left: Vec<_> = expected.map(|expected| expected.name).collect();
        self.stage.check(left.is_empty(), format_args!("{} to be tried too", left.join(" ")))?;
        Ok(())
    }

    /// Shows one try and compares it.
    fn judge(
        &mut self,
        tried: &CandidateResult,
        record_type: RecordType,
        expected: Option<&Expected>,
    ) -> Result<(), Box<dyn Error>> {
        let source = self.source()?;
        let from = source.map_or("neither hit nor miss", Source::as_str);
        self.stage.say(format_args!("  trying {}: {from}", tried.name))?;
        match &tried.result {
            Ok(reply) => self.stage.say(format_args!("    {reply}"))?,
            Err(error) => self.stage.say(format_args!("    {error}"))?,
        }
        let questions = self.zone.queries();
        let forwarded = questions
            .iter()
            .skip(self.seen)
            .any(|question| question.is_for(&tried.name) && question.record_type == record_type);
        self.seen = questions.len();

        let Some(expected) = expected else {
            return Ok(self.stage.check(false, "the search to have ended before")?);
        };
        self.stage.check(tried.name == expected.name, format_args!("{} to be tried", expected.name))?;
        self.stage.check(source == Some(expected.source), format_args!("a {}", expected.source.as_str()))?;
        let asked = if forwarded { "no" } else { "a" };
        self.stage.check(
            forwarded == (expected.source == Source::Miss),
            format_args!("{asked} question for it at {SERVICE}"),
        )?;
        if let Ok(reply) = &tried.result {
            self.compare(reply, expected)?;
            match source {
                Some(Source::Hit) => self.summary.hits.push(reply.elapsed),
                _ => self.summary.misses.push(reply.elapsed),
            }
        } else {
            self.stage.check(false, "an answer")?;
        }
        Ok(())
    }

    fn compare(&mut self, reply: &Response, expected: &Expected) -> io::Result<()> {
        self.stage.check(rcode_name(&reply.message) == expected.status, expected.status)?;
        let mut got: Vec<String> = reply
            .message
            .answers
            .iter()
            .map(|record| format!("{} {}", record.record_type(), record.data))
            .collect();
        let mut wanted: Vec<String> = expected.answers.iter().map(|answer| (*answer).to_owned()).collect();
        // The order of addresses means nothing.
        got.sort();
        wanted.sort();
        self.stage.check(got == wanted, format_args!("{wanted:?}"))?;
        if wanted.is_empty() {
            let soa = reply.message.authorities.iter().any(|record| record.record_type() == RecordType::SOA);
            self.stage.check(soa, "an SOA")?;
        }
        Ok(())
    }

    /// Where the last answer came from, by the counters. A miss of the daemon's own, such as its loop check, may come
    /// between; a hit cannot.
    fn source(&mut self) -> io::Result<Option<Source>> {
        let began = now();
        loop {
            let counters = metrics::scrape()?;
            let moved = |name| counters.sum(name) > self.counters.sum(name);
            let source = match (moved(HITS), moved(MISSES)) {
                (true, _) => Some(Source::Hit),
                (false, true) => Some(Source::Miss),
                (false, false) => None,
            };
            if source.is_some() || began.elapsed() > COUNTED_WITHIN {
                self.counters = counters;
                return Ok(source);
            }
            thread::sleep(GLANCE);
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
            "{} misses, median {:.2} ms; {} hits, median {:.2} ms (with the upstream on the same machine)",
            self.misses.len(),
            median(&self.misses),
            self.hits.len(),
            median(&self.hits)
        )
    }
}
