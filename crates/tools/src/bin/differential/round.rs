//! One question at a time: the upstream is asked in every way, then the daemon, twice.

use std::time::Instant;

use testkit::clock::now;
use testkit::text;

use crate::asking::{Asker, WAYS, Way, query};
use crate::compare::{Case, Ttls};
use crate::dice::Dice;
use crate::message::Message;
use crate::questions::Question;
use crate::stage::Course;
use crate::tally::Tally;

/// Over all ways there are; the second of each two is the same over TCP.
const COUNT: usize = WAYS.len();
/// Questions that each client asks again at the end.
const KEPT: usize = 25;

/// A client of one upstream and of the daemon in front of it.
pub(crate) struct Round<'a> {
    upstream: Asker,
    through: [(&'static str, Asker); 3],
    kept: Vec<Matter<'a>>,
    tally: Tally,
}

/// A message and its octets.
struct Heard {
    octets: Vec<u8>,
    message: Message,
}

impl Heard {
    fn from(asker: &mut Asker, query: &mut [u8], way: &Way) -> Result<Self, String> {
        let octets = asker.ask(query, way).map_err(|error| error.to_string())?;
        Self::read(octets)
    }

    fn read(octets: Vec<u8>) -> Result<Self, String> {
        let message = Message::read(&octets).map_err(str::to_owned)?;
        Ok(Self { octets, message })
    }
}

/// What has been asked so far.
struct Asked {
    /// What the upstream said, in the order of the ways.
    direct: Vec<Heard>,
    /// Its TTLs, apart for the four pairs of DO and CD, as answers are kept apart.
    ttls: [Ttls; 4],
    began: Instant,
}

/// A question with all that belongs to it.
struct Matter<'a> {
    question: &'a Question,
    asked: Asked,
    /// How the upstream has been asked, and thus what is kept; hits may be spelled in any way.
    spelling: Option<Dice>,
}

/// One time of asking the daemon.
#[derive(Clone, Copy)]
struct Turn {
    /// Which of the daemon's ways to the upstream.
    route: usize,
    /// Which of the client's ways.
    at: usize,
    time: &'static str,
}

impl<'a> Round<'a> {
    pub(crate) fn new(course: &Course) -> Self {
        let through = course.through.map(|(name, at)| (name, Asker::new(at)));
        let upstream = Asker::of_upstream(course.direct);
        Self { upstream, through, kept: Vec::new(), tally: Tally::default() }
    }

    /// Compares all ways of one question: by `force_tcp`, and by one of the other two transports in turn.
    pub(crate) fn compare(&mut self, question: &'a Question, number: usize, dice: Dice) {
        let spelling = (number % 4 == 3).then_some(dice);
        let matter = match self.ask_upstream(question, spelling.as_ref()) {
            Ok(asked) => Matter { question, asked, spelling },
            Err(error) => {
                let (name, rtype) = (&question.name, question.rtype);
                return self.tally.defect(format!("{name} TYPE{rtype}, the upstream itself: {error}"));
            }
        };
        let mut other = matter.spelling.clone();
        for route in [0, 1 + number % 2] {
            for time in ["first", "second"] {
                for step in 0..COUNT {
                    // Every way is the first, and thus the one that misses, for some questions.
                    let turn = Turn { route, at: (step + number) % COUNT, time };
                    if time == "second" {
                        self.judge(&matter, turn, other.as_mut());
                    } else {
                        self.judge(&matter, turn, matter.spelling.clone().as_mut());
                    }
                }
            }
        }
        if self.kept.len() < KEPT {
            self.kept.push(matter);
        }
    }

    /// Asks the first questions once more, whose answers have become old, and says what came of all.
    pub(crate) fn finish(mut self) -> Tally {
        for matter in std::mem::take(&mut self.kept) {
            for at in 0..COUNT {
                let turn = Turn { route: 0, at, time: "last" };
                self.judge(&matter, turn, matter.spelling.clone().as_mut());
            }
        }
        self.tally
    }

    fn ask_upstream(&mut self, question: &Question, spelling: Option<&Dice>) -> Result<Asked, String> {
        let mut asked = Asked { direct: Vec::new(), ttls: [Ttls::NONE; 4], began: now() };
        // What a resolver says while it still resolves may be another thing than what it then knows.
        for (way, first) in WAYS.iter().map(|way| (way, true)).chain(WAYS.iter().map(|way| (way, false))) {
            let mut query = query(question, way, spelling.cloned().as_mut()).ok_or("no name")?;
            let heard = Heard::from(&mut self.upstream, &mut query, way)?;
            if first {
                continue;
            }
            if !way.is_udp()
                && let Some(ttls) = asked.ttls.get_mut(kept_as(way))
            {
                *ttls = ttls.with(&heard.message);
            }
            asked.direct.push(heard);
        }
        Ok(asked)
    }

    fn judge(&mut self, matter: &Matter<'_>, turn: Turn, spelling: Option<&mut Dice>) {
        let Matter { question, asked, .. } = matter;
        let Some((transport, asker)) = self.through.get_mut(turn.route) else { return };
        let (Some(way), Some(direct)) = (WAYS.get(turn.at), asked.direct.get(turn.at)) else { return };
        // The same over TCP is never cut.
        let Some(whole) = asked.direct.get(turn.at | 1) else { return };
        let mut heard = None;
        let verdict = (|| {
            let mut octets = query(question, way, spelling).ok_or("no name")?;
            let ours = &*heard.insert(Heard::from(asker, &mut octets, way)?);
            let query = Heard::read(octets)?.message;
            let ttls = asked.ttls.get(kept_as(way)).copied().unwrap_or(Ttls::NONE);
            let (direct, whole) = (&direct.message, &whole.message);
            let in_capitals = matter.spelling.is_some() || question.name.contains(char::is_uppercase);
            let age = asked.began.elapsed();
            Case { way, query: &query, direct, whole, ours: &ours.message, in_capitals, ttls, age }.judge()
        })();
        match (verdict, &heard) {
            (Ok(deviations), Some(ours)) => self.tally.agreed(&ours.message, &deviations),
            (Ok(_), None) => {}
            (Err(rule), _) => {
                let head = format!(
                    "{} TYPE{}, {}, {transport}, {} time: {rule}",
                    question.name, question.rtype, way.name, turn.time
                );
                let ours = heard.map_or_else(|| "nothing".to_owned(), |heard| shown(&heard));
                let (direct, whole) = (shown(direct), shown(whole));
                self.tally.defect(format!(
                    "{head}\n--- upstream\n{direct}\n--- upstream by TCP\n{whole}\n--- ours\n{ours}"
                ));
            }
        }
    }
}

/// Answers to queries with other DO or CD are others.
fn kept_as(way: &Way) -> usize {
    2 * usize::from(way.options.dnssec_ok) + usize::from(way.options.checking_disabled)
}

fn shown(heard: &Heard) -> String {
    let text =
        text::decode(&heard.octets).map_or_else(|error| error.to_string(), |message| text::format(&message));
    format!("{} octets, {text}", heard.octets.len())
}
