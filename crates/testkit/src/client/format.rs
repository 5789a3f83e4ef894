//! An answer for eyes, in the manner of `host -v`, more compact.

use std::fmt;

use hickory_proto::op::{Message, MessageType};

use super::Response;

/// The response code as operators know it, e.g. `NXDOMAIN`; hickory-proto shows sentences.
pub fn status(message: &Message) -> String {
    let code = u16::from(message.metadata.response_code);
    match code {
        0 => "NOERROR".to_owned(),
        1 => "FORMERR".to_owned(),
        2 => "SERVFAIL".to_owned(),
        3 => "NXDOMAIN".to_owned(),
        4 => "NOTIMP".to_owned(),
        5 => "REFUSED".to_owned(),
        _ => format!("RCODE{code}"),
    }
}

impl fmt::Display for Response {
    /// Status, flags, octets and time in a line; then the records, each in a line, set in by six.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = &self.message.metadata;
        write!(f, "{}  flags:", status(&self.message))?;
        let flags = [
            ("qr", head.message_type == MessageType::Response),
            ("aa", head.authoritative),
            ("tc", head.truncation),
            ("rd", head.recursion_desired),
            ("ra", head.recursion_available),
            ("ad", head.authentic_data),
            ("cd", head.checking_disabled),
        ];
        for (flag, _) in flags.iter().filter(|(_, set)| *set) {
            write!(f, " {flag}")?;
        }
        write!(f, "  {} octets in {:.2} ms", self.octets.len(), self.elapsed.as_secs_f64() * 1e3)?;
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
