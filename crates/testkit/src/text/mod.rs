//! Text form of DNS messages, both ways, through hickory-proto: independent of what `wire` parses
//! and writes.
//!
//! ```text
//! NXDOMAIN aa ra edns=1232,do,ede=22 www.example.test 30 A 192.0.2.7 x3 / … authority: example.test 25 SOA …
//! ```
//!
//! First response code, flags (`aa=0` clears one that is set by default), `opcode=4` and OPT
//! (`edns` is short for `edns=1232`, `do` for `edns=1232,do`; `edns=none` removes it). Then
//! records, separated by ` / `, in the answer section until `authority:` or `additional:`. `x40`
//! after an address record repeats it with 40 consecutive addresses. RDATA without a presentation
//! form is written as in RFC 3597 section 5: `\# 4 0a000001`. Tokens are separated by single
//! spaces, within character strings too.

mod error;
mod format;
mod message;
mod opt;
mod record;
mod token;

pub use error::TextError;
pub use format::format;
pub use message::{decode, encode, parse, parse_question, plain_opt};
pub use token::parse_hex;

pub(crate) use error::error;
pub(crate) use token::{class, rcode};
