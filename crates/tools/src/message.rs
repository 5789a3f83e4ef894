//! Parser of DNS messages, independent of the code under test and without loss, so that every octet
//! is compared. Names are decompressed, as servers compress differently.

/// Maximum number of compression pointers in one name.
const MAX_POINTERS: usize = 127;
/// The type number of OPT.
pub const OPT: u16 = 41;
/// DO in the flags of OPT (RFC 3225 section 3).
pub const DNSSEC_OK: u16 = 0x8000;

/// A message.
#[derive(Debug)]
pub struct Message {
    /// Third and fourth octet of the header.
    pub flags: u16,
    /// Response code with the upper bits from OPT.
    pub rcode: u16,
    /// The question section as sent.
    pub question: Vec<u8>,
    /// Answer, authority and additional section, without OPT.
    pub sections: [Vec<Record>; 3],
    /// OPT.
    pub opt: Option<Opt>,
    /// Length of the message in octets.
    pub len: usize,
}

/// Bits of [`Message::flags`].
pub mod flag {
    /// Response.
    pub const QR: u16 = 0x8000;
    /// The operation code.
    pub const OPCODE: u16 = 0x7800;
    /// Authoritative answer.
    pub const AA: u16 = 0x0400;
    /// Truncated.
    pub const TC: u16 = 0x0200;
    /// Recursion desired.
    pub const RD: u16 = 0x0100;
    /// Recursion available.
    pub const RA: u16 = 0x0080;
    /// Reserved.
    pub const Z: u16 = 0x0040;
    /// Authentic data.
    pub const AD: u16 = 0x0020;
    /// Checking disabled.
    pub const CD: u16 = 0x0010;
    /// The lower bits of the response code.
    pub const RCODE: u16 = 0x000f;
}

/// A record; the TTL is compared separately.
#[derive(Clone, Debug)]
pub struct Record {
    /// In seconds.
    pub ttl: u32,
    /// The content with the case of names.
    pub exact: RecordContent,
    /// The content with all names in lower case.
    pub folded: RecordContent,
}

/// A record without its TTL, in the order of comparison.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordContent {
    /// Uncompressed, in wire form.
    pub owner: Vec<u8>,
    /// The type.
    pub rtype: u16,
    /// The class.
    pub class: u16,
    /// With uncompressed names.
    pub rdata: Vec<u8>,
}

/// OPT.
#[derive(Debug, PartialEq, Eq)]
pub struct Opt {
    /// In octets.
    pub udp_size: u16,
    /// The version of EDNS.
    pub version: u8,
    /// DO and 15 reserved flags.
    pub flags: u16,
    /// Code and data of each option.
    pub options: Vec<(u16, Vec<u8>)>,
}

impl Message {
    /// Parses a message.
    ///
    /// # Errors
    /// What is malformed.
    pub fn parse(packet: &[u8]) -> Result<Self, &'static str> {
        let mut reader = Reader { packet, at: 0 };
        let _id = reader.u16()?;
        let flags = reader.u16()?;
        let [questions, counts @ ..] = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
        let start = reader.at;
        for _ in 0..questions {
            reader.name()?;
            reader.take(4)?;
        }
        let question = packet.get(start..reader.at).unwrap_or_default().to_vec();
        let mut opt = None;
        let mut sections = [Vec::new(), Vec::new(), Vec::new()];
        for (section, count) in sections.iter_mut().zip(counts) {
            for _ in 0..count {
                let record = reader.record()?;
                if record.exact.rtype != OPT {
                    section.push(record);
                } else if opt.replace(Opt::parse(&record)?).is_some() {
                    return Err("two OPT records");
                }
            }
        }
        if reader.at != packet.len() {
            return Err("octets after the last record");
        }
        let upper = opt.as_ref().map_or(0, |(_, upper)| *upper);
        let rcode = upper << 4 | flags & flag::RCODE;
        Ok(Self { flags, rcode, question, sections, opt: opt.map(|(opt, _)| opt), len: packet.len() })
    }

    /// Whether one of `bits` is set.
    pub fn has(&self, bits: u16) -> bool {
        self.flags & bits != 0
    }

    /// The records of all sections.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.sections.iter().flatten()
    }
}

impl Record {
    /// Its length without compression, in octets.
    #[expect(clippy::len_without_is_empty, reason = "no record is empty")]
    pub fn len(&self) -> usize {
        self.exact.owner.len() + 10 + self.exact.rdata.len()
    }
}

impl Opt {
    /// Parses the record; returns the upper bits of the response code too.
    fn parse(record: &Record) -> Result<(Self, u16), &'static str> {
        let [upper, version, high, low] = record.ttl.to_be_bytes();
        let mut reader = Reader { packet: &record.exact.rdata, at: 0 };
        let mut options = Vec::new();
        while reader.at < reader.packet.len() {
            let (code, length) = (reader.u16()?, reader.u16()?);
            options.push((code, reader.take(usize::from(length))?.to_vec()));
        }
        let flags = u16::from_be_bytes([high, low]);
        Ok((Self { udp_size: record.exact.class, version, flags, options }, u16::from(upper)))
    }
}

struct Reader<'a> {
    packet: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], &'static str> {
        let octets = self.packet.get(self.at..self.at + count).ok_or("unexpected end")?;
        self.at += count;
        Ok(octets)
    }

    fn u16(&mut self) -> Result<u16, &'static str> {
        Ok(self.take(2)?.iter().fold(0, |number, octet| number << 8 | u16::from(*octet)))
    }

    fn record(&mut self) -> Result<Record, &'static str> {
        let owner = self.name()?;
        let (rtype, class) = (self.u16()?, self.u16()?);
        let ttl = u32::from(self.u16()?) << 16 | u32::from(self.u16()?);
        let end = usize::from(self.u16()?) + self.at;
        let (exact, folded) = self.rdata(layout(rtype), end)?;
        Ok(Record {
            ttl,
            folded: RecordContent { owner: owner.to_ascii_lowercase(), rtype, class, rdata: folded },
            exact: RecordContent { owner, rtype, class, rdata: exact },
        })
    }

    /// RDATA up to `end`, with the case of its names and in lower case.
    fn rdata(&mut self, layout: &[Field], end: usize) -> Result<(Vec<u8>, Vec<u8>), &'static str> {
        let (mut exact, mut folded) = (Vec::new(), Vec::new());
        for field in layout {
            let octets = match field {
                Field::Octets(count) => self.take(*count)?.to_vec(),
                Field::Text => {
                    let length = self.packet.get(self.at).copied().unwrap_or_default();
                    self.take(usize::from(length) + 1)?.to_vec()
                }
                Field::Name => {
                    let name = self.name()?;
                    folded.extend(name.to_ascii_lowercase());
                    exact.extend(name);
                    continue;
                }
            };
            folded.extend(&octets);
            exact.extend(octets);
        }
        let rest = self.take(end.checked_sub(self.at).ok_or("a name exceeds its RDATA")?)?;
        exact.extend(rest);
        folded.extend(rest);
        Ok((exact, folded))
    }

    /// A name in wire form. No length octet is a letter, so the whole can be converted to lower
    /// case.
    fn name(&mut self) -> Result<Vec<u8>, &'static str> {
        let mut name = Vec::new();
        let mut pointers = 0;
        let mut end = None;
        loop {
            let octets = self.take(1)?;
            match octets.first().copied().unwrap_or_default() {
                0 => break,
                length @ 1..=63 => {
                    name.push(length);
                    name.extend(self.take(usize::from(length))?);
                }
                high @ 0xc0.. => {
                    let low = self.take(1)?.first().copied().unwrap_or_default();
                    end.get_or_insert(self.at);
                    self.at = usize::from(u16::from_be_bytes([high & 0x3f, low]));
                    pointers += 1;
                    if pointers > MAX_POINTERS {
                        return Err("too many compression pointers");
                    }
                }
                _ => return Err("an unknown label type"),
            }
        }
        name.push(0);
        self.at = end.unwrap_or(self.at);
        Ok(name)
    }
}

/// A field of RDATA.
enum Field {
    Octets(usize),
    /// A character string.
    Text,
    Name,
}

/// The fields of a type's RDATA up to its last name; empty for types without names.
fn layout(rtype: u16) -> &'static [Field] {
    use Field::{Name, Octets, Text};
    match rtype {
        2 | 5 | 12 | 39 | 47 => &[Name],            // NS, CNAME, PTR, DNAME, NSEC
        6 | 17 => &[Name, Name],                    // SOA, RP
        15 | 18 | 64 | 65 => &[Octets(2), Name],    // MX, AFSDB, SVCB, HTTPS
        33 => &[Octets(6), Name],                   // SRV
        35 => &[Octets(4), Text, Text, Text, Name], // NAPTR
        46 => &[Octets(18), Name],                  // RRSIG
        _ => &[],
    }
}
