//! Records of a message as text, for people. Off the path of a cache hit.

use hickory_proto::op::Message;
use hickory_proto::rr::Record;

/// A record in presentation format. What is not printable ASCII is escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordText {
    /// `answer`, `authority` or `additional`.
    pub section: &'static str,
    /// Owner name.
    pub name: String,
    /// TTL in seconds.
    pub ttl: u32,
    /// Mnemonic of the type.
    pub rtype: String,
    /// RDATA.
    pub data: String,
}

/// The records of a message but OPT; none if it cannot be read.
pub fn records(message: &[u8]) -> Vec<RecordText> {
    let Ok(message) = Message::from_vec(message) else { return Vec::new() };
    let sections = [
        ("answer", &message.answers),
        ("authority", &message.authorities),
        ("additional", &message.additionals),
    ];
    let records =
        sections.into_iter().flat_map(|(section, records)| records.iter().map(move |one| (section, one)));
    records.map(|(section, record)| text(section, record)).collect()
}

fn text(section: &'static str, record: &Record) -> RecordText {
    RecordText {
        section,
        name: record.name.to_ascii(),
        ttl: record.ttl,
        rtype: record.record_type().to_string(),
        data: printable(&record.data.to_string()),
    }
}

/// With control characters and those beyond ASCII escaped: they come from the network.
fn printable(text: &str) -> String {
    let is_plain = |character: &char| character.is_ascii_graphic() || *character == ' ';
    text.chars()
        .flat_map(|character| {
            let plain = Some(character).filter(is_plain);
            let escaped = plain.is_none().then(|| character.escape_default());
            plain.into_iter().chain(escaped.into_iter().flatten())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_those_of_the_sections_as_text() {
        let mut message = b"\0\x07\x81\x80\0\x01\0\x02\0\0\0\0\x01a\x04test\0\0\x01\0\x01".to_vec();
        message.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x1e\0\x04\xc0\0\x02\x01");
        message.extend(b"\xc0\x0c\0\x10\0\x01\0\0\0\x05\0\x04\x03\x1b[m");
        let texts: Vec<String> = records(&message)
            .into_iter()
            .map(|RecordText { section, name, ttl, rtype, data }| {
                format!("{section} {name} {ttl} {rtype} {data}")
            })
            .collect();
        assert_eq!(texts[0], "answer a.test. 30 A 192.0.2.1");
        assert!(texts[1].starts_with("answer a.test. 5 TXT") && !texts[1].contains('\u{1b}'), "{texts:?}");
        assert_eq!(records(b"\0"), []);
    }
}
