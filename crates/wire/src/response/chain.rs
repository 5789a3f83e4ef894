//! The CNAME chain of an answer (RFC 1034 section 3.6.2).

use crate::header::{Class, HEADER_LEN, RecordType};
use crate::record::{Record, same_name, u16_at};

/// CNAMEs we follow. Resolvers give up between 8 and 16; a longer chain is relayed, but not called an answer.
const MAX_CHAIN: usize = 16;

/// True when the first `answers` records behind the question lead from its name to a record of its type, in
/// whatever order they stand. The packet was walked before.
pub(super) fn reaches_type(packet: &[u8], question_end: usize, answers: u16) -> bool {
    let (Some(qtype), Some(qclass)) = (u16_at(packet, question_end - 4), u16_at(packet, question_end - 2))
    else {
        return false;
    };
    let (qtype, qclass) = (RecordType(qtype), Class(qclass));
    let mut name = HEADER_LEN;
    let mut steps = 0;
    loop {
        let before = steps;
        let mut at = question_end;
        for _ in 0..answers {
            let Some(record) = Record::reread(packet, at) else {
                return false;
            };
            at = record.end;
            let wanted = record.rtype == qtype || qtype == RecordType::ANY;
            if !(wanted || record.rtype == RecordType::CNAME)
                || !(record.class == qclass || qclass == Class::ANY)
                || !same_name(packet, record.owner, name)
            {
                continue;
            }
            if wanted {
                return true;
            }
            name = record.rdata;
            steps += 1;
            if steps > MAX_CHAIN {
                return false;
            }
        }
        if steps == before {
            return false;
        }
    }
}
