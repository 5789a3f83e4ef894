//! What a step says should have been sent, held against what was.

use hickory_proto::op::Message;
use resolver::action::Transport;

use super::runner::{Attempt, Runner};
use super::sent::{Sent, show, transport};
use super::step::{Addressed, Cause, Expected};
use crate::text::{self, TextError, error};

/// Octets of a UDP answer that every client takes (RFC 1035 section 4.2.1).
const LEAST_UDP_SIZE: u16 = 512;

impl Runner {
    pub(super) fn expect_ask(&mut self, expected: &Expected) -> Result<(), TextError> {
        let what = format!("a question to {}", expected.upstream);
        let Sent::Ask { ask, octets } = self.take(&what, |sent| matches!(sent, Sent::Ask { .. }))? else {
            return error(what);
        };
        let asked = text::decode(&octets)?;
        let mut message = expected.message.clone();
        message.metadata.id = asked.metadata.id;
        let told = |upstream: &str, by: Transport, fresh: bool, message: &Message| {
            let fresh = if fresh { ", fresh" } else { "" };
            format!("to {upstream} by {}{fresh}: {}", transport(by), text::format(message))
        };
        let upstream = self.environment.upstream_name(ask.upstream);
        compare(
            &told(&expected.upstream, expected.transport, expected.fresh, &settled(&message)?),
            &told(upstream, ask.transport, ask.fresh, &asked),
        )?;
        self.attempts.insert(expected.attempt.clone(), Attempt { id: ask.attempt, asked });
        Ok(())
    }

    pub(super) fn expect_answer(&mut self, addressed: &Addressed) -> Result<(), TextError> {
        let Some(place) = self.place_of_question(addressed) else {
            return error(format!(
                "{} has no such question\nand was sent {}",
                addressed.client,
                self.show_sent()
            ));
        };
        let open = self.open.remove(place);
        let mut message = addressed.message.clone();
        message.metadata.id = open.id;
        message.metadata.recursion_desired = open.recursion_desired;
        let asked = open.message.as_ref();
        if !addressed.bare {
            message.queries = asked.map(|asked| asked.queries.clone()).unwrap_or_default();
        }
        let expected = text::format(&settled(&message)?);
        let mine = |sent: &Sent| matches!(sent, Sent::Answer { client, .. } if *client == open.client);
        let Sent::Answer { octets, .. } = self.take(&expected, mine)? else { return error(expected) };
        compare(&expected, &show(&octets))?;
        let size_in = |message: Option<&Message>| {
            message
                .and_then(|message| message.edns.as_ref())
                .map_or(LEAST_UDP_SIZE, |edns| edns.max_payload())
        };
        // The size in our own OPT is what we keep to.
        let limit = usize::from(size_in(asked).min(size_in(Some(&message))).max(LEAST_UDP_SIZE));
        if open.client.transport() == Transport::Udp && octets.len() > limit {
            return error(format!("{} octets, and the client takes {limit}", octets.len()));
        }
        Ok(())
    }

    /// Which open question an answer is for: the one with the ID of the step, else of the next answer that came
    /// to this client, else the oldest.
    fn place_of_question(&self, addressed: &Addressed) -> Option<usize> {
        let named = |client| self.environment.client_name(client) == addressed.client;
        let came = self.sent.iter().find_map(|sent| match sent {
            Sent::Answer { client, octets } if named(*client) => {
                octets.first_chunk().copied().map(u16::from_be_bytes)
            }
            _ => None,
        });
        let mut mine = self.open.iter().enumerate().filter(|(_, open)| named(open.client));
        match addressed.id {
            Some(id) => mine.find(|(_, open)| open.id == id),
            None => mine.clone().find(|(_, open)| Some(open.id) == came).or_else(|| mine.next()),
        }
        .map(|(place, _)| place)
    }

    pub(super) fn expect_forget(&mut self, attempt: &str) -> Result<(), TextError> {
        let id = self.attempt(attempt)?.id;
        let forgotten = |sent: &Sent| matches!(sent, Sent::Forget(sent) if *sent == id);
        self.take(&format!("forget {attempt}, attempt {}", id.0), forgotten).map(drop)
    }

    pub(super) fn expect_distrust(&mut self, attempt: &str) -> Result<(), TextError> {
        let id = self.attempt(attempt)?.id;
        let distrusted = |sent: &Sent| matches!(sent, Sent::Distrust(sent) if *sent == id);
        self.take(&format!("distrust {attempt}, attempt {}", id.0), distrusted).map(drop)
    }

    pub(super) fn expect_trouble(&mut self, query: &str, cause: &Cause) -> Result<(), TextError> {
        self.take(&format!("trouble {query} {cause:?}"), |sent| sent.is_trouble(query, cause)).map(drop)
    }

    pub(super) fn expect_loop(&mut self) -> Result<(), TextError> {
        self.take("a loop", |sent| matches!(sent, Sent::Loop)).map(drop)
    }

    pub(super) fn expect_count(
        &self,
        counter: &str,
        of: Option<&str>,
        expected: u64,
    ) -> Result<(), TextError> {
        let counted = self.environment.counter(counter, of)?;
        compare(&format!("{counter} {expected}"), &format!("{counter} {counted}"))
    }

    pub(super) fn expect_nothing(&self) -> Result<(), TextError> {
        if self.sent.is_empty() { Ok(()) } else { error(format!("nobody asked for {}", self.show_sent())) }
    }

    /// All that was sent and not yet looked at.
    pub(super) fn show_sent(&self) -> String {
        let shown: Vec<String> = self.sent.iter().map(|sent| sent.show(&self.environment)).collect();
        if shown.is_empty() { "nothing".to_owned() } else { shown.join("\nand ") }
    }

    /// Takes out the first that is `wanted`.
    fn take(&mut self, what: &str, wanted: impl Fn(&Sent) -> bool) -> Result<Sent, TextError> {
        match self.sent.iter().position(wanted) {
            Some(place) => Ok(self.sent.remove(place)),
            None => error(format!("expected {what}\nand was sent {}", self.show_sent())),
        }
    }
}

/// The message as it is after being written and read: the same names, the same text.
fn settled(message: &Message) -> Result<Message, TextError> {
    text::decode(&text::encode(message)?)
}

fn compare(expected: &str, received: &str) -> Result<(), TextError> {
    if expected == received {
        return Ok(());
    }
    error(format!("expected {expected}\nreceived {received}"))
}
