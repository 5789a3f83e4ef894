//! What no honest server says.

use std::net::Ipv4Addr;

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::{CNAME, NS};
use hickory_proto::rr::{DNSClass, Name, RData, Record};

use super::{LabelScript, ScriptStep, Transport, encode};

/// The address that poisoned answers give to a name nobody asked for.
const POISON: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);

/// Where the number of answers stands in a header.
const ANSWER_COUNT: usize = 7;
/// What is behind the length of the last record when there is no OPT: an IPv4 address.
const ADDRESS_LEN: usize = 4;

/// The steps of a hostile behaviour; nothing for other words.
pub(super) fn steps(
    honest: &LabelScript,
    behaviour: &str,
    (query, transport): (&Message, Transport),
) -> Option<Vec<ScriptStep>> {
    if let Some(lie) = behaviour.strip_suffix("good") {
        let lie = message(honest, lie, (query, transport))?;
        return Some(vec![ScriptStep::Send(lie), ScriptStep::Send(ok(honest, query, transport))]);
    }
    let said = |lie| message(honest, lie, (query, transport)).map(ScriptStep::Send);
    match behaviour {
        "spoof" => {
            Some(vec![said("wrongid")?, said("wrongq")?, ScriptStep::Send(ok(honest, query, transport))])
        }
        "lenbig" => mislengthed(honest, (query, transport), 200),
        "lensmall" => mislengthed(honest, (query, transport), -8),
        _ => said(behaviour).map(|step| vec![step]),
    }
}

/// The one message of a behaviour.
fn message(
    honest: &LabelScript,
    behaviour: &str,
    (query, transport): (&Message, Transport),
) -> Option<Vec<u8>> {
    let reply = || honest.addresses(query, 1);
    Some(match behaviour {
        "garbage" => vec![0xff; 40],
        "wrongid" => {
            let mut reply = reply();
            reply.metadata.id = reply.metadata.id.wrapping_add(1);
            encode(&reply, transport)
        }
        "wrongq" => {
            let mut other = query.clone();
            for asked in &mut other.queries {
                asked.name = asked.name.base_name();
            }
            encode(&honest.addresses(&other, 1), transport)
        }
        "wrongclass" => {
            let mut reply = reply();
            for asked in &mut reply.queries {
                asked.query_class = DNSClass::CH;
            }
            encode(&reply, transport)
        }
        "cut" => {
            let mut octets = ok(honest, query, transport);
            octets.truncate(octets.len().saturating_sub(3));
            octets
        }
        "counts" => {
            let mut octets = ok(honest, query, transport);
            if let Some(count) = octets.get_mut(ANSWER_COUNT) {
                *count = 200;
            }
            octets
        }
        "rdlen" => long_record(honest, query, transport),
        "trunc" => encode(&reply().truncate(), transport),
        "huge" => match transport {
            Transport::Udp => honest.addresses(query, 300).to_vec().ok()?,
            Transport::Tcp => encode(&honest.addresses(query, 1000), transport),
        },
        "cnameloop" => encode(&circle(honest, query), transport),
        "poison" => encode(&poisoned(honest, query), transport),
        _ => return None,
    })
}

fn ok(honest: &LabelScript, query: &Message, transport: Transport) -> Vec<u8> {
    encode(&honest.addresses(query, 1), transport)
}

/// `ok` behind a length that is off by so much; on UDP, where there is none, that of the record is.
fn mislengthed(
    honest: &LabelScript,
    (query, transport): (&Message, Transport),
    off: i16,
) -> Option<Vec<ScriptStep>> {
    let octets = ok(honest, query, transport);
    if transport == Transport::Udp {
        return Some(vec![ScriptStep::Send(long_record(honest, query, transport))]);
    }
    let length = u16::try_from(octets.len()).ok()?.checked_add_signed(off)?;
    Some(vec![ScriptStep::Raw([&length.to_be_bytes(), octets.as_slice()].concat())])
}

/// `ok` without OPT, whose record claims more octets than there are.
fn long_record(honest: &LabelScript, query: &Message, transport: Transport) -> Vec<u8> {
    let mut reply = honest.addresses(query, 1);
    reply.edns = None;
    let mut octets = encode(&reply, transport);
    let length = octets.len().checked_sub(ADDRESS_LEN + 2);
    if let Some(high) = length.and_then(|at| octets.get_mut(at)) {
        *high = 0x7f;
    }
    octets
}

fn circle(honest: &LabelScript, query: &Message) -> Message {
    let mut reply = honest.addresses(query, 0);
    let Some(asked) = query.queries.first() else { return reply };
    let other = beside(&asked.name, "round");
    let ends = [(asked.name.clone(), other.clone()), (other, asked.name.clone())];
    reply.answers = ends
        .map(|(owner, target)| Record::from_rdata(owner, honest.ttl, RData::CNAME(CNAME(target))))
        .to_vec();
    reply
}

fn poisoned(honest: &LabelScript, query: &Message) -> Message {
    let mut reply = honest.addresses(query, 1);
    let Some(asked) = query.queries.first() else { return reply };
    let victim = beside(&asked.name, "ok-victim");
    let address = || Record::from_rdata(victim.clone(), 86_400, RData::from(POISON));
    let servers = Record::from_rdata(Name::root(), 86_400, RData::NS(NS(victim.clone())));
    reply.answers.push(address());
    reply.authorities = vec![servers, address()];
    reply.additionals.push(address());
    reply
}

/// The name with another first label.
fn beside(name: &Name, label: &str) -> Name {
    name.base_name().prepend_label(label).unwrap_or_else(|_| name.base_name())
}
