//! Checks of a scenario: the expected output compared with what the resolver did.

use hickory_proto::op::Message;
use resolver::action::Transport;

use super::connections::Freshness;
use super::counters;
use super::output::{OutQuery, Output, format, transport_name};
use super::runner::{Attempt, Runner};
use super::step::{Cause, ExpectedQuery, ExpectedResponse};
use crate::text::{self, TextError, error};

/// Size of a UDP response that every client accepts, in octets (RFC 1035 section 4.2.1).
const MIN_UDP_SIZE: u16 = 512;

impl Runner {
    pub(super) fn check_out_query(&mut self, expected: &ExpectedQuery) -> Result<(), TextError> {
        let what = format!("a query to {}", expected.upstream);
        let is_query = |output: &Output| matches!(output, Output::Query(_));
        let Output::Query(OutQuery { query, transport, freshness, octets }) = self.take(&what, is_query)?
        else {
            return error(what);
        };
        let sent = text::decode(&octets)?;
        let mut message = expected.message.clone();
        message.metadata.id = sent.metadata.id;
        let format = |upstream: &str, transport: Transport, fresh: bool, message: &Message| {
            let fresh = if fresh { ", fresh" } else { "" };
            let transport = transport_name(transport);
            format!("to {upstream} over {transport}{fresh}: {}", text::format(message))
        };
        let upstream = self.environment.upstream_name(query.connection.upstream);
        let message = round_trip(&message)?;
        let fresh = match freshness {
            Freshness::Used => false,
            Freshness::Only => expected.fresh,
            // A query over UDP may go to one of several sockets.
            Freshness::Further => expected.fresh || transport == Transport::Tcp,
        };
        compare(
            &format(&expected.upstream, expected.transport, expected.fresh, &message),
            &format(upstream, transport, fresh, &sent),
        )?;
        if let Some(name) = &expected.connection {
            self.connections.name(name, query.connection)?;
        }
        let attempt = Attempt { connection: query.connection, query: sent };
        self.attempts.insert(expected.attempt.clone(), attempt);
        Ok(())
    }

    pub(super) fn check_dial(
        &mut self,
        upstream: &str,
        connection: &str,
        transport: Transport,
    ) -> Result<(), TextError> {
        let what = format!("a dial of {upstream} over {}", transport_name(transport));
        let Output::Dial(dial) = self.take(&what, |output| matches!(output, Output::Dial(_)))? else {
            return error(what);
        };
        let dialled = self.environment.upstream_name(dial.connection.upstream);
        compare(&what, &format!("a dial of {dialled} over {}", transport_name(dial.transport)))?;
        self.connections.name(connection, dial.connection)
    }

    pub(super) fn check_close(&mut self, connection: &str) -> Result<(), TextError> {
        let id = self.connections.named(connection)?;
        let is_close = |output: &Output| matches!(output, Output::Close(closed) if *closed == id);
        self.take(&format!("close of {connection}, connection {}", id.number), is_close).map(drop)
    }

    pub(super) fn check_answer(&mut self, expected: &ExpectedResponse) -> Result<(), TextError> {
        let client = &expected.client;
        let Some(index) = self.open_query(expected) else {
            let outputs = self.format_outputs();
            return error(format!("{client} has no such open query; output: {outputs}"));
        };
        let open = self.open_queries.remove(index);
        let mut message = expected.message.clone();
        message.metadata.id = open.id;
        message.metadata.recursion_desired = open.recursion_desired;
        let query = open.message.as_ref();
        if !expected.header_only {
            message.queries = query.map(|query| query.queries.clone()).unwrap_or_default();
        }
        let text = text::format(&round_trip(&message)?);
        let to_client =
            |output: &Output| matches!(output, Output::Response { client, .. } if *client == open.client);
        let Output::Response { octets, upstream, length, .. } = self.take(&text, to_client)? else {
            return error(text);
        };
        compare(&text, &format(&octets))?;
        if let Some(expected) = &expected.upstream {
            let upstream = upstream.map_or("none", |addr| self.environment.upstream_at(addr));
            compare(&format!("upstream={expected}"), &format!("upstream={upstream}"))?;
        }
        if expected.length.is_some() {
            compare(&format!("length={:?}", expected.length), &format!("length={length:?}"))?;
        }
        let payload_size = |message: Option<&Message>| {
            let edns = message.and_then(|message| message.edns.as_ref());
            edns.map_or(MIN_UDP_SIZE, |edns| edns.max_payload())
        };
        // The response's own OPT has the size that the server keeps to.
        let limit = payload_size(query).min(payload_size(Some(&message))).max(MIN_UDP_SIZE);
        if open.client.transport() == Transport::Udp && octets.len() > usize::from(limit) {
            let length = octets.len();
            return error(format!("a response of {length} octets; the client accepts {limit}"));
        }
        Ok(())
    }

    /// The open query that a response is for: the one with the ID of the step, else with the ID of
    /// the client's next response, else the oldest.
    fn open_query(&self, expected: &ExpectedResponse) -> Option<usize> {
        let is_client = |client| self.environment.client_name(client) == expected.client;
        let next_id = self.outputs.iter().find_map(|output| match output {
            Output::Response { client, octets, .. } if is_client(*client) => {
                octets.first_chunk().copied().map(u16::from_be_bytes)
            }
            _ => None,
        });
        let open = self.open_queries.iter().enumerate();
        let mut open = open.filter(|(_, open)| is_client(open.client));
        let found = match expected.id {
            Some(id) => open.find(|(_, open)| open.id == id),
            None => {
                let by_id = open.clone().find(|(_, open)| Some(open.id) == next_id);
                by_id.or_else(|| open.next())
            }
        };
        found.map(|(index, _)| index)
    }

    pub(super) fn check_error(&mut self, query: &str, cause: &Cause) -> Result<(), TextError> {
        let is_error = |output: &Output| output.is_error(query, cause);
        self.take(&format!("error {query} {cause:?}"), is_error).map(drop)
    }

    pub(super) fn check_loop(&mut self) -> Result<(), TextError> {
        self.take("a detected loop", |output| matches!(output, Output::Loop)).map(drop)
    }

    pub(super) fn check_counter(
        &self,
        counter: &str,
        of: Option<&str>,
        expected: u64,
    ) -> Result<(), TextError> {
        let value = counters::value(&self.environment, counter, of)?;
        compare(&format!("{counter} {expected}"), &format!("{counter} {value}"))
    }

    pub(super) fn check_nothing(&self) -> Result<(), TextError> {
        if !self.has_unchecked() {
            return Ok(());
        }
        error(format!("no step checks the {}", self.format_outputs()))
    }

    /// All output that no step has checked yet.
    pub(super) fn format_outputs(&self) -> String {
        let outputs = self.outputs.iter().filter(|output| self.must_be_checked(output));
        let outputs: Vec<String> = outputs.map(|output| output.format(&self.environment)).collect();
        if outputs.is_empty() { "nothing".to_owned() } else { outputs.join("\nand ") }
    }

    /// Removes and returns the first output that is `wanted`.
    fn take(&mut self, what: &str, wanted: impl Fn(&Output) -> bool) -> Result<Output, TextError> {
        match self.outputs.iter().position(wanted) {
            Some(index) => Ok(self.outputs.remove(index)),
            None => error(format!("expected {what}\noutput: {}", self.format_outputs())),
        }
    }
}

/// The message encoded and decoded again, so that equal messages have equal text.
fn round_trip(message: &Message) -> Result<Message, TextError> {
    text::decode(&text::encode(message)?)
}

fn compare(expected: &str, received: &str) -> Result<(), TextError> {
    if expected == received {
        return Ok(());
    }
    error(format!("expected {expected}\nreceived {received}"))
}
