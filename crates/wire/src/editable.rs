//! Editable responses: the records of a response with their names expanded, which can be changed and
//! encoded again. Off the path of a cache hit.
//!
//! RDATA of any type is kept as octets, so that a response that is changed in one name is relayed
//! like any other.

use std::net::Ipv6Addr;

use crate::header::{Class, Flags, HEADER_LEN, Header, Rcode, RecordType};
use crate::name::compressed::push_name;
use crate::record::{Record, visit_names};
use crate::response::{Response, ResponseType};

/// A record, its names uncompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditableRecord {
    /// The owner in wire form.
    pub owner: Vec<u8>,
    /// The type.
    pub rtype: RecordType,
    /// The class.
    pub class: Class,
    /// In seconds.
    pub ttl: u32,
    rdata: Vec<u8>,
    /// Start and end of the first name in RDATA.
    name: Option<(usize, usize)>,
}

/// A response whose parts can be changed.
#[derive(Clone, Debug)]
pub struct EditableResponse {
    /// The flags; the response code is [`Self::rcode`].
    pub flags: Flags,
    /// The response code, including the upper bits in OPT.
    pub rcode: Rcode,
    /// QNAME, QTYPE and QCLASS in wire form.
    pub question: Vec<u8>,
    /// The answer section.
    pub answers: Vec<EditableRecord>,
    /// The authority section.
    pub authorities: Vec<EditableRecord>,
    /// The additional section without OPT.
    pub additionals: Vec<EditableRecord>,
    /// The OPT record as received; empty without one.
    opt: Vec<u8>,
    /// Response code and type as received; the type is determined anew if the code is another, or
    /// without this.
    received: Option<(Rcode, ResponseType)>,
}

impl EditableRecord {
    fn read(packet: &[u8], record: &Record) -> Option<Self> {
        let (mut owner, mut rdata, mut name) = (Vec::new(), Vec::new(), None);
        push_name(packet, record.owner, &mut owner)?;
        let mut copied = record.rdata;
        visit_names(packet, record, |at| {
            rdata.extend_from_slice(packet.get(copied..at)?);
            let start = rdata.len();
            copied = push_name(packet, at, &mut rdata)?;
            name.get_or_insert((start, rdata.len()));
            Some(copied)
        })?;
        rdata.extend_from_slice(packet.get(copied..record.end)?);
        let Record { rtype, class, ttl, .. } = *record;
        Some(Self { owner, rtype, class, ttl, rdata, name })
    }

    /// An AAAA record of class IN.
    pub fn aaaa(owner: Vec<u8>, ttl: u32, address: Ipv6Addr) -> Self {
        let (rtype, class, rdata) = (RecordType::AAAA, Class::IN, address.octets().to_vec());
        Self { owner, rtype, class, ttl, rdata, name: None }
    }

    /// RDATA, its names uncompressed.
    pub fn rdata(&self) -> &[u8] {
        &self.rdata
    }

    /// The name that RDATA refers to, in wire form: the target of CNAME, DNAME and SRV, the exchange
    /// of MX, the server of NS and SOA, the name of PTR, the replacement of NAPTR.
    pub fn target(&self) -> Option<&[u8]> {
        let is_target = matches!(
            self.rtype,
            RecordType::CNAME
                | RecordType::DNAME
                | RecordType::MX
                | RecordType::NAPTR
                | RecordType::NS
                | RecordType::PTR
                | RecordType::SOA
                | RecordType::SRV
        );
        let (start, end) = self.name.filter(|_| is_target)?;
        self.rdata.get(start..end)
    }

    /// Replaces [`Self::target`], if there is one.
    pub fn set_target(&mut self, target: &[u8]) {
        let Some((start, end)) = self.name.filter(|_| self.target().is_some()) else { return };
        self.rdata.splice(start..end, target.iter().copied());
        self.name = Some((start, start + target.len()));
    }

    /// Appends the record; `None` if its RDATA is too long.
    fn push(&self, out: &mut Vec<u8>) -> Option<()> {
        let length = u16::try_from(self.rdata.len()).ok()?;
        out.extend_from_slice(&self.owner);
        out.extend_from_slice(&self.rtype.0.to_be_bytes());
        out.extend_from_slice(&self.class.0.to_be_bytes());
        out.extend_from_slice(&self.ttl.to_be_bytes());
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&self.rdata);
        Some(())
    }
}

impl EditableResponse {
    /// The parts of a response; `None` for none that [`Response::parse`] returns.
    pub fn new(response: &Response<'_>) -> Option<Self> {
        let packet = &*response.packet;
        let question_end = HEADER_LEN + usize::from(response.question_len);
        let mut at = question_end;
        let mut section = |count: u16| -> Option<Vec<EditableRecord>> {
            let mut records = Vec::with_capacity(usize::from(count));
            for _ in 0..count {
                let record = Record::read_validated(packet, at)?;
                at = record.end;
                if record.rtype != RecordType::OPT {
                    records.push(EditableRecord::read(packet, &record)?);
                }
            }
            Some(records)
        };
        let Header { flags, ancount, nscount, arcount, .. } = response.header;
        Some(Self {
            answers: section(ancount)?,
            authorities: section(nscount)?,
            additionals: section(arcount)?,
            flags,
            rcode: response.rcode,
            question: packet.get(HEADER_LEN..question_end)?.to_vec(),
            opt: response
                .opt
                .map_or(Some(&[][..]), |(start, end)| packet.get(start.into()..end.into()))?
                .to_vec(),
            received: Some((response.rcode, response.response_type)),
        })
    }

    /// Replaces the answer section from `keep` on, and the response code. The response type is
    /// determined anew.
    pub fn replace_answers(&mut self, keep: usize, answers: Vec<EditableRecord>, rcode: Rcode) {
        self.answers.truncate(keep);
        self.answers.extend(answers);
        self.rcode = rcode;
        self.received = None;
    }

    /// All records.
    pub fn records_mut(&mut self) -> impl Iterator<Item = &mut EditableRecord> {
        self.answers.iter_mut().chain(&mut self.authorities).chain(&mut self.additionals)
    }

    /// The encoded response, names uncompressed. If it exceeds 65,535 octets, its last records are
    /// missing, and TC is set. Its response type is that of the response as received, whose records
    /// were checked against the question that was sent, unless the response code was changed.
    pub fn into_response(mut self) -> Option<Response<'static>> {
        self.set_extended_rcode();
        let max_len = usize::from(u16::MAX).checked_sub(self.opt.len())?;
        let mut is_cut = false;
        let mut out = vec![0; HEADER_LEN];
        out.extend_from_slice(&self.question);
        let mut counts = [0_u16; 3];
        for (count, records) in counts.iter_mut().zip([&self.answers, &self.authorities, &self.additionals]) {
            for record in records {
                let start = out.len();
                is_cut = is_cut || record.push(&mut out).is_none() || out.len() > max_len;
                if is_cut {
                    out.truncate(start);
                } else {
                    *count = count.checked_add(1)?;
                }
            }
        }
        let truncated = if is_cut { Flags::TC } else { Flags::default() };
        let flags = self.flags.with(truncated).with_rcode(self.rcode);
        let [ancount, nscount, arcount] = counts;
        let arcount = arcount + u16::from(!self.opt.is_empty());
        let header = Header { id: 0, flags, qdcount: 1, ancount, nscount, arcount };
        out.extend_from_slice(&self.opt);
        out.get_mut(..HEADER_LEN)?.copy_from_slice(&header.to_bytes());
        let mut response = Response::read_written(out, HEADER_LEN + self.question.len())?;
        if let Some((_, response_type)) = self.received.filter(|(rcode, _)| *rcode == response.rcode) {
            response.response_type = response_type;
        }
        Some(response)
    }

    /// Sets the upper bits of the response code in OPT.
    fn set_extended_rcode(&mut self) {
        /// Root name, type and size before the TTL, whose first octet it is.
        const AT: usize = 5;
        let [_, extended] = (self.rcode.0 >> 4).to_be_bytes();
        if let Some(octet) = self.opt.get_mut(AT) {
            *octet = extended;
        }
    }
}
