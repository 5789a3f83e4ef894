//! Reference parser: a message as the `domain` crate parses it.

use domain::base::iana::Rtype;
use domain::base::name::{ParsedName, ToName};
use domain::base::opt::Opt;
use domain::base::{Message, ParsedRecord};
use domain::rdata::AllRecordData;

/// Types whose RDATA `wire` validates as strictly as `domain` does in class IN.
const VALIDATED_BY_BOTH: [u16; 11] = [1, 2, 5, 6, 12, 14, 15, 28, 33, 35, 39];

/// A record as `domain` parses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReferenceRecord {
    /// Answer, authority, additional.
    pub(crate) section: usize,
    /// Lower case, in wire form.
    pub(crate) owner: Vec<u8>,
    pub(crate) rtype: u16,
    pub(crate) class: u16,
    pub(crate) ttl: u32,
    /// RDATA is valid for the type.
    pub(crate) readable: bool,
}

/// A message as `domain` parses it, names and lengths included.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    /// Lower case, in wire form.
    pub(crate) qname: Vec<u8>,
    pub(crate) qname_has_pointers: bool,
    pub(crate) qtype: u16,
    pub(crate) qclass: u16,
    pub(crate) records: Vec<ReferenceRecord>,
    /// UDP size, version, DO and response code of the OPT in the additional section.
    pub(crate) opt: Option<(u16, u8, bool, u16)>,
}

impl Reference {
    /// Parses a message; nothing when `domain` fails or there is not exactly one question.
    pub(crate) fn parse(packet: &[u8]) -> Option<Self> {
        let message = Message::from_octets(packet).ok()?;
        let question = message.sole_question().ok()?;
        let (_, answer, authority, additional) = message.sections().ok()?;
        let mut records = Vec::new();
        for (number, section) in [answer, authority, additional].into_iter().enumerate() {
            for record in section {
                records.push(ReferenceRecord::new(number, &record.ok()?));
            }
        }
        let opt = message.opt().map(|opt| {
            (opt.udp_payload_size(), opt.version(), opt.dnssec_ok(), opt.rcode(message.header()).to_int())
        });
        Some(Self {
            qname: lower(question.qname()),
            qname_has_pointers: question.qname().is_compressed(),
            qtype: question.qtype().to_int(),
            qclass: question.qclass().to_int(),
            records,
            opt,
        })
    }

    /// All RDATA is valid.
    pub(crate) fn is_readable(&self) -> bool {
        self.records.iter().all(|record| record.readable)
    }

    /// RDATA of the types that `wire` validates is valid.
    pub(crate) fn names_are_readable(&self) -> bool {
        self.records
            .iter()
            .all(|record| record.readable || record.class != 1 || !VALIDATED_BY_BOTH.contains(&record.rtype))
    }

    /// The records that are not OPT.
    pub(crate) fn real_records(&self) -> impl Iterator<Item = &ReferenceRecord> {
        self.records.iter().filter(|record| record.rtype != Rtype::OPT.to_int())
    }

    /// The OPT records.
    pub(crate) fn opts(&self) -> impl Iterator<Item = &ReferenceRecord> {
        self.records.iter().filter(|record| record.rtype == Rtype::OPT.to_int())
    }
}

impl ReferenceRecord {
    fn new(section: usize, record: &ParsedRecord<'_, &[u8]>) -> Self {
        let readable = match record.rtype() {
            Rtype::OPT => record.to_record::<Opt<_>>().is_ok_and(|opt| opt.is_some()),
            _ => record.to_any_record::<AllRecordData<_, ParsedName<_>>>().is_ok(),
        };
        Self {
            section,
            owner: lower(&record.owner()),
            rtype: record.rtype().to_int(),
            class: record.class().to_int(),
            ttl: record.ttl().as_secs(),
            readable,
        }
    }
}

fn lower(name: &impl ToName) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.iter_labels() {
        wire.push(u8::try_from(label.len()).unwrap());
        wire.extend(label.iter().map(|octet| octet.to_ascii_lowercase()));
    }
    wire
}
