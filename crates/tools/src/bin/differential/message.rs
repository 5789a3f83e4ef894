//! A DNS message taken apart without loss and without the code under test: every octet of it is compared.
//! Compressed names are written out, as two servers compress differently.

/// Compression pointers that one name may follow: each must lead further to the front, so this is generous.
const MAX_POINTERS: usize = 127;
/// The type number of OPT.
pub(crate) const OPT: u16 = 41;
/// DO among the flags of OPT (RFC 3225 section 3).
pub(crate) const DNSSEC_OK: u16 = 0x8000;

/// A message.
#[derive(Debug)]
pub(crate) struct Message {
    /// The third and fourth octet of the header.
    pub(crate) flags: u16,
    /// The response code with the upper bits that OPT carries.
    pub(crate) rcode: u16,
    /// The question section as sent.
    pub(crate) question: Vec<u8>,
    /// Answer, authority and additional section, without OPT.
    pub(crate) sections: [Vec<Record>; 3],
    /// What OPT says.
    pub(crate) opt: Option<Opt>,
    /// Octets of the message.
    pub(crate) len: usize,
}

/// Bits of [`Message::flags`].
pub(crate) mod flag {
    pub(crate) const QR: u16 = 0x8000;
    pub(crate) const OPCODE: u16 = 0x7800;
    pub(crate) const AA: u16 = 0x0400;
    pub(crate) const TC: u16 = 0x0200;
    pub(crate) const RD: u16 = 0x0100;
    pub(crate) const RA: u16 = 0x0080;
    pub(crate) const Z: u16 = 0x0040;
    pub(crate) const AD: u16 = 0x0020;
    pub(crate) const CD: u16 = 0x0010;
    pub(crate) const RCODE: u16 = 0x000f;
}

/// A record. Two are equal when they say the same; the TTL is compared apart.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) ttl: u32,
    /// What it says, octet by octet.
    pub(crate) exact: Says,
    /// The same with all names in lower case.
    pub(crate) folded: Says,
}

/// All of a record but its TTL, in the order in which records are compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Says {
    /// In wire form, not compressed.
    pub(crate) owner: Vec<u8>,
    pub(crate) rtype: u16,
    pub(crate) class: u16,
    /// Names in it are not compressed.
    pub(crate) rdata: Vec<u8>,
}

/// OPT.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Opt {
    pub(crate) udp_size: u16,
    pub(crate) version: u8,
    /// DO and the fifteen flags that are reserved.
    pub(crate) flags: u16,
    /// Each option's code and octets.
    pub(crate) options: Vec<(u16, Vec<u8>)>,
}

impl Message {
    /// Takes a message apart; what is wrong with it otherwise.
    pub(crate) fn read(packet: &[u8]) -> Result<Self, &'static str> {
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
                } else if opt.replace(Opt::of(&record)?).is_some() {
                    return Err("two OPT records");
                }
            }
        }
        if reader.at != packet.len() {
            return Err("octets behind the last record");
        }
        let upper = opt.as_ref().map_or(0, |(_, upper)| *upper);
        let rcode = upper << 4 | flags & flag::RCODE;
        Ok(Self { flags, rcode, question, sections, opt: opt.map(|(opt, _)| opt), len: packet.len() })
    }

    pub(crate) fn has(&self, bits: u16) -> bool {
        self.flags & bits != 0
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.sections.iter().flatten()
    }
}

impl Record {
    /// Octets it takes in a message when nothing is compressed.
    pub(crate) fn len(&self) -> usize {
        self.exact.owner.len() + 10 + self.exact.rdata.len()
    }
}

impl Opt {
    /// Reads the record, and the upper bits of the response code.
    fn of(record: &Record) -> Result<(Self, u16), &'static str> {
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
        let octets = self.packet.get(self.at..self.at + count).ok_or("it ends too early")?;
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
            folded: Says { owner: owner.to_ascii_lowercase(), rtype, class, rdata: folded },
            exact: Says { owner, rtype, class, rdata: exact },
        })
    }

    /// RDATA up to `end` as it is, and with its names in lower case.
    fn rdata(&mut self, layout: &[Part], end: usize) -> Result<(Vec<u8>, Vec<u8>), &'static str> {
        let (mut exact, mut folded) = (Vec::new(), Vec::new());
        for part in layout {
            let octets = match part {
                Part::Octets(count) => self.take(*count)?.to_vec(),
                Part::Text => {
                    let length = self.packet.get(self.at).copied().unwrap_or_default();
                    self.take(usize::from(length) + 1)?.to_vec()
                }
                Part::Name => {
                    let name = self.name()?;
                    folded.extend(name.to_ascii_lowercase());
                    exact.extend(name);
                    continue;
                }
            };
            folded.extend(&octets);
            exact.extend(octets);
        }
        let rest = self.take(end.checked_sub(self.at).ok_or("a name leaves its RDATA")?)?;
        exact.extend(rest);
        folded.extend(rest);
        Ok((exact, folded))
    }

    /// A name in wire form. No length octet is a letter, so that folding the whole folds the labels.
    fn name(&mut self) -> Result<Vec<u8>, &'static str> {
        let mut name = Vec::new();
        let mut pointers = 0;
        let mut behind = None;
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
                    behind.get_or_insert(self.at);
                    self.at = usize::from(u16::from_be_bytes([high & 0x3f, low]));
                    pointers += 1;
                    if pointers > MAX_POINTERS {
                        return Err("a name that never ends");
                    }
                }
                _ => return Err("a label of unknown kind"),
            }
        }
        name.push(0);
        self.at = behind.unwrap_or(self.at);
        Ok(name)
    }
}

/// A part of RDATA that matters here.
enum Part {
    Octets(usize),
    /// A character string.
    Text,
    Name,
}

/// The beginning of a type's RDATA up to its last name. Types without one are compared as they are.
fn layout(rtype: u16) -> &'static [Part] {
    use Part::{Name, Octets, Text};
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
