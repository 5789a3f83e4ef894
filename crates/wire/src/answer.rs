//! A response as it is kept, and how it is told to one client: aged, addressed and cut to size.

use crate::header::Rcode;
use crate::query::Echo;
use crate::response::Response;

/// An upstream's response without its OPT: the octets as they came and where their TTLs are.
#[derive(Clone, Debug)]
pub struct Answer {
    packet: Box<[u8]>,
    ttls: Box<[u16]>,
    question_len: u16,
}

/// The TTLs a client sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// As the upstream sent them.
    AsReceived,
    /// This many seconds on every record.
    Uniform(u32),
}

impl Answer {
    /// Keeps `response`. Its OPT is left out; so are records behind OPT, where only TSIG and SIG(0) belong
    /// (RFC 6891 section 6.1.1), which are hop by hop too.
    pub fn keep(response: &Response<'_>) -> Self {
        todo!("{response:?}")
    }

    /// Appends the answer for one client to `out`, not above `limit` octets: the client's ID and question,
    /// RD and CD; AD only for who set AD or DO (RFC 6840 section 5.7); RA set; AA and response code as kept;
    /// an OPT of our own if the client sent one. What does not fit is left out in whole records from the end,
    /// and TC says so.
    ///
    /// The caller vouches that `echo.question` equals the kept question but for case.
    pub fn write(&self, echo: &Echo<'_>, ttl: Ttl, limit: usize, out: &mut Vec<u8>) {
        todo!("{echo:?} {ttl:?} {limit} {out:?}")
    }

    /// The response code (low four bits).
    pub fn rcode(&self) -> Rcode {
        todo!()
    }

    /// Octets of the whole message, before OPT and cutting.
    pub fn message_len(&self) -> usize {
        self.packet.len()
    }

    /// Octets this keeps in memory beside the struct itself.
    pub fn heap_len(&self) -> usize {
        self.packet.len() + 2 * self.ttls.len()
    }
}
