//! Comparison of one question: every variant to the upstream, then twice to the daemon.

use std::time::Instant;

use testkit::clock::now;
use testkit::text;

use crate::report::Report;
use crate::rules::{Case, Ttls};
use crate::servers::Target;
use tools::message::Message;
use tools::question::Question;
use tools::rng::Rng;
use tools::variants::{ServerClient, VARIANTS, Variant, query};

/// Number of variants; of each pair, the second is the first over TCP.
const COUNT: usize = VARIANTS.len();
/// Questions that each client repeats at the end.
const REPEATED: usize = 25;

/// A client of one upstream and of the daemon in front of it.
pub(crate) struct Comparison<'a> {
    upstream: ServerClient,
    through: [(&'static str, ServerClient); 3],
    repeated: Vec<Subject<'a>>,
    report: Report,
}

/// A message and its octets.
struct Received {
    octets: Vec<u8>,
    message: Message,
}

impl Received {
    fn query(client: &mut ServerClient, query: &mut [u8], variant: &Variant) -> Result<Self, String> {
        let octets = client.query(query, variant).map_err(|error| error.to_string())?;
        Self::parse(octets)
    }

    fn parse(octets: Vec<u8>) -> Result<Self, String> {
        let message = Message::parse(&octets).map_err(str::to_owned)?;
        Ok(Self { octets, message })
    }
}

/// The upstream's own responses.
struct UpstreamResponses {
    /// In the order of the variants.
    direct: Vec<Received>,
    /// Their TTLs, for each combination of DO and CD, which are part of the cache key.
    ttls: [Ttls; 4],
    started: Instant,
}

/// A question and the upstream's responses.
struct Subject<'a> {
    question: &'a Question,
    upstream: UpstreamResponses,
    /// Case of QNAME in the queries to the upstream, and thus in the cache; cache hits may have
    /// another.
    spelling: Option<Rng>,
}

/// One query to the daemon.
#[derive(Clone, Copy)]
struct Step {
    /// Index of the daemon's address.
    route: usize,
    /// Index of the variant.
    variant: usize,
    time: &'static str,
}

impl<'a> Comparison<'a> {
    pub(crate) fn new(target: &Target) -> Self {
        let through = target.through.map(|(name, addr)| (name, ServerClient::new(addr)));
        let upstream = ServerClient::of_upstream(target.direct);
        Self { upstream, through, repeated: Vec::new(), report: Report::default() }
    }

    /// Compares all variants of one question: with `force_tcp`, and with one of the other two
    /// transports in turn.
    pub(crate) fn compare(&mut self, question: &'a Question, number: usize, rng: Rng) {
        let spelling = (number % 4 == 3).then_some(rng);
        let subject = match self.query_upstream(question, spelling.as_ref()) {
            Ok(upstream) => Subject { question, upstream, spelling },
            Err(error) => {
                let (name, rtype) = (&question.name, question.rtype);
                let defect = format!("{name} TYPE{rtype}, the upstream itself: {error}");
                return self.report.defect(defect);
            }
        };
        let mut other = subject.spelling.clone();
        for route in [0, 1 + number % 2] {
            for time in ["first", "second"] {
                for index in 0..COUNT {
                    // Each variant is the first, hence the cache miss, for some questions.
                    let step = Step { route, variant: (index + number) % COUNT, time };
                    if time == "second" {
                        self.check(&subject, step, other.as_mut());
                    } else {
                        self.check(&subject, step, subject.spelling.clone().as_mut());
                    }
                }
            }
        }
        if self.repeated.len() < REPEATED {
            self.repeated.push(subject);
        }
    }

    /// Repeats the first questions, whose cache entries have aged, and returns the report.
    pub(crate) fn finish(mut self) -> Report {
        for subject in std::mem::take(&mut self.repeated) {
            for variant in 0..COUNT {
                let step = Step { route: 0, variant, time: "last" };
                self.check(&subject, step, subject.spelling.clone().as_mut());
            }
        }
        self.report
    }

    fn query_upstream(
        &mut self,
        question: &Question,
        spelling: Option<&Rng>,
    ) -> Result<UpstreamResponses, String> {
        let mut upstream = UpstreamResponses { direct: Vec::new(), ttls: [Ttls::NONE; 4], started: now() };
        // A resolver's first response can differ from its later ones, from its cache.
        let first = VARIANTS.iter().map(|variant| (variant, true));
        for (variant, first) in first.chain(VARIANTS.iter().map(|variant| (variant, false))) {
            let mut query = query(question, variant, spelling.cloned().as_mut()).ok_or("invalid name")?;
            let received = Received::query(&mut self.upstream, &mut query, variant)?;
            if first {
                continue;
            }
            if !variant.is_udp()
                && let Some(ttls) = upstream.ttls.get_mut(cache_key(variant))
            {
                *ttls = ttls.with(&received.message);
            }
            upstream.direct.push(received);
        }
        Ok(upstream)
    }

    fn check(&mut self, subject: &Subject<'_>, step: Step, spelling: Option<&mut Rng>) {
        let Subject { question, upstream, .. } = subject;
        let Some((transport, client)) = self.through.get_mut(step.route) else { return };
        let Some(variant) = VARIANTS.get(step.variant) else { return };
        let Some(direct) = upstream.direct.get(step.variant) else { return };
        // The same variant over TCP is never truncated.
        let Some(whole) = upstream.direct.get(step.variant | 1) else { return };
        let mut received = None;
        let result = (|| {
            let mut octets = query(question, variant, spelling).ok_or("invalid name")?;
            let ours = &*received.insert(Received::query(client, &mut octets, variant)?);
            let query = Received::parse(octets)?.message;
            let ttls = upstream.ttls.get(cache_key(variant)).copied().unwrap_or(Ttls::NONE);
            Case {
                variant,
                query: &query,
                direct: &direct.message,
                whole: &whole.message,
                ours: &ours.message,
                has_capitals: subject.spelling.is_some() || question.name.contains(char::is_uppercase),
                ttls,
                age: upstream.started.elapsed(),
            }
            .check()
        })();
        match (result, &received) {
            (Ok(deviations), Some(ours)) => self.report.agreed(&ours.message, &deviations),
            (Ok(_), None) => {}
            (Err(rule), _) => {
                let Question { name, rtype, .. } = question;
                let head =
                    format!("{name} TYPE{rtype}, {}, {transport}, {} time: {rule}", variant.name, step.time);
                let ours = received.map_or_else(|| "none".to_owned(), |ours| format(&ours));
                let (direct, whole) = (format(direct), format(whole));
                self.report.defect(format!(
                    "{head}\n--- upstream\n{direct}\n--- upstream over TCP\n{whole}\n--- ours\n{ours}"
                ));
            }
        }
    }
}

/// Index of the combination of DO and CD.
fn cache_key(variant: &Variant) -> usize {
    2 * usize::from(variant.options.dnssec_ok) + usize::from(variant.options.checking_disabled)
}

fn format(received: &Received) -> String {
    let text = match text::decode(&received.octets) {
        Ok(message) => text::format(&message),
        Err(error) => error.to_string(),
    };
    format!("{} octets, {text}", received.octets.len())
}
