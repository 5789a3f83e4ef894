//! Queries that we send ourselves: to upstreams, for health checks and loop detection. Their OPT is
//! our own; a client's options, such as ECS (RFC 7871), are not forwarded.

use crate::edns::{DEFAULT_UDP_SIZE, OPT_LEN, OptRecord, push_opt, push_options};
use crate::header::{Flags, HEADER_LEN, Header, Rcode};

/// A query to an upstream, before it is encoded.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingQuery<'a> {
    /// Random, so that an off-path attacker cannot forge a response (RFC 5452 section 9.2).
    pub id: u16,
    /// QNAME, QTYPE, QCLASS in wire form.
    pub question: &'a [u8],
    /// RD of the client.
    pub recursion_desired: bool,
    /// CD of the client.
    pub checking_disabled: bool,
    /// Adds OPT; DO and options need it.
    pub edns: bool,
    /// DO of the client.
    pub dnssec_ok: bool,
    /// The UDP payload size in OPT.
    pub udp_size: u16,
    /// The options in OPT, encoded.
    pub options: &'a [u8],
}

impl<'a> OutgoingQuery<'a> {
    /// A query of our own: with RD and an OPT without DO and options.
    #[must_use]
    pub const fn new(id: u16, question: &'a [u8]) -> Self {
        Self {
            id,
            question,
            recursion_desired: true,
            checking_disabled: false,
            edns: true,
            dnssec_ok: false,
            udp_size: DEFAULT_UDP_SIZE,
            options: &[],
        }
    }

    /// Appends the encoded query. AD is set to request the AD bit of the response (RFC 6840 section
    /// 5.7).
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut flags = Flags::AD;
        if self.recursion_desired {
            flags = flags.with(Flags::RD);
        }
        if self.checking_disabled {
            flags = flags.with(Flags::CD);
        }
        let arcount = u16::from(self.edns);
        let header = Header { id: self.id, flags, qdcount: 1, ancount: 0, nscount: 0, arcount };
        out.reserve(HEADER_LEN + self.question.len() + OPT_LEN + self.options.len());
        out.extend_from_slice(&header.to_bytes());
        out.extend_from_slice(self.question);
        if self.edns {
            push_opt(
                out,
                OptRecord { udp_size: self.udp_size, ..OptRecord::DEFAULT },
                self.dnssec_ok,
                Rcode::NOERROR,
            );
            push_options(out, self.options);
        }
    }
}
