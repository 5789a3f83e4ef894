//! The question of a message, as far as a report needs it.

use wire::header::{HEADER_LEN, Header, RecordType};

/// ID and question of a query or a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MessageQuestion<'a> {
    pub(super) header: Header,
    /// QNAME in wire form, in the case of the message.
    pub(super) name: &'a [u8],
    pub(super) qtype: RecordType,
}

impl<'a> MessageQuestion<'a> {
    /// `None` for octets without a question, or with a compressed name in it.
    pub(super) fn read(message: &'a [u8]) -> Option<Self> {
        let header = Header::read(message)?;
        let question = message.get(HEADER_LEN..)?;
        let mut end = 0;
        loop {
            let len = usize::from(*question.get(end)?);
            if len > 63 {
                return None;
            }
            end += 1 + len;
            if len == 0 {
                break;
            }
        }
        let (name, rest) = question.split_at_checked(end)?;
        let qtype = RecordType(u16::from_be_bytes(*rest.first_chunk()?));
        (header.qdcount == 1 && name.len() <= wire::name::MAX_NAME_LEN).then_some(Self {
            header,
            name,
            qtype,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_from_whole_messages_only() {
        let message = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01A\x04test\0\0\x1c\0\x01";
        let question = MessageQuestion::read(message).unwrap();
        assert_eq!(
            (question.header.id, question.name, question.qtype),
            (0x1234, &b"\x01A\x04test\0"[..], RecordType::AAAA)
        );
        for len in 0..message.len() - 2 {
            assert_eq!(MessageQuestion::read(&message[..len]), None, "{len}");
        }
        let mut compressed = message.to_vec();
        compressed[12] = 0xc0;
        assert_eq!(MessageQuestion::read(&compressed), None);
    }
}
