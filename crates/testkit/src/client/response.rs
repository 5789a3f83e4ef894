//! Responses and their text, similar to the output of `host -v`.

use std::fmt;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType};
use wire::header::Rcode;

use super::error::ClientError;

/// A response.
#[derive(Clone, Debug)]
pub struct Response {
    /// The message.
    pub message: Message,
    /// Its octets.
    pub octets: Vec<u8>,
    /// From sending the query to receiving the response.
    pub elapsed: Duration,
}

impl Response {
    pub(super) fn decode(octets: Vec<u8>, sent: Instant) -> Result<Self, ClientError> {
        match Message::from_vec(&octets) {
            Ok(message) => Ok(Self { message, octets, elapsed: sent.elapsed() }),
            Err(_) => Err(ClientError::Malformed(octets)),
        }
    }
}

/// Mnemonic of the response code, e.g. `NXDOMAIN`; hickory-proto formats it as a sentence.
pub fn rcode_name(message: &Message) -> String {
    Rcode(message.metadata.response_code.into()).to_string()
}

impl fmt::Display for Response {
    /// One line with response code, flags, size and time; then one indented line per record.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = &self.message.metadata;
        write!(f, "{}  flags:", rcode_name(&self.message))?;
        let flags = [
            ("qr", header.message_type == MessageType::Response),
            ("aa", header.authoritative),
            ("tc", header.truncation),
            ("rd", header.recursion_desired),
            ("ra", header.recursion_available),
            ("ad", header.authentic_data),
            ("cd", header.checking_disabled),
        ];
        for (flag, _) in flags.iter().filter(|(_, set)| *set) {
            write!(f, " {flag}")?;
        }
        let milliseconds = self.elapsed.as_secs_f64() * 1e3;
        write!(f, "  {} octets in {milliseconds:.2} ms", self.octets.len())?;
        let sections = [
            ("", &self.message.answers),
            ("authority: ", &self.message.authorities),
            ("additional: ", &self.message.additionals),
        ];
        for (section, records) in sections {
            for record in records {
                write!(f, "\n      {section}{record}")?;
            }
        }
        Ok(())
    }
}
