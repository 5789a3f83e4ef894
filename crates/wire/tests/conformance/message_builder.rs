//! Builds messages from parts, malformed ones included.

/// A header with `counts` of questions, answers, authority and additional records.
pub(crate) fn header(id: u16, flags: u16, counts: [u16; 4]) -> Vec<u8> {
    [id, flags].into_iter().chain(counts).flat_map(u16::to_be_bytes).collect()
}

/// A name in wire form; no escapes.
pub(crate) fn name(text: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        wire.push(u8::try_from(label.len()).unwrap());
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire
}

/// Name, type, class IN.
pub(crate) fn question(text: &str, qtype: u16) -> Vec<u8> {
    [name(text), qtype.to_be_bytes().to_vec(), vec![0, 1]].concat()
}

/// A record of class IN.
pub(crate) fn record(owner: &[u8], rtype: u16, ttl: u32, rdata: &[u8]) -> Vec<u8> {
    record_of_class(owner, rtype, 1, ttl, rdata)
}

/// A record of any class.
pub(crate) fn record_of_class(owner: &[u8], rtype: u16, class: u16, ttl: u32, rdata: &[u8]) -> Vec<u8> {
    let mut wire = owner.to_vec();
    wire.extend_from_slice(&rtype.to_be_bytes());
    wire.extend_from_slice(&class.to_be_bytes());
    wire.extend_from_slice(&ttl.to_be_bytes());
    wire.extend_from_slice(&u16::try_from(rdata.len()).unwrap().to_be_bytes());
    wire.extend_from_slice(rdata);
    wire
}

/// An OPT record; `ttl` holds extended response code, version and flags.
pub(crate) fn opt(udp_size: u16, ttl: u32, options: &[u8]) -> Vec<u8> {
    record_of_class(&[0], 41, udp_size, ttl, options)
}

/// A message with one question and the records of three sections.
pub(crate) fn message(flags: u16, question: &[u8], sections: [&[Vec<u8>]; 3]) -> Vec<u8> {
    let [an, ns, ar] = sections.map(|records| u16::try_from(records.len()).unwrap());
    let mut wire = header(0x1234, flags, [1, an, ns, ar]);
    wire.extend_from_slice(question);
    wire.extend(sections.concat().concat());
    wire
}
