//! What the tests share: DNS messages as text, and scenarios told as DNS conversations.
//!
//! Reading order: [`text`] (messages as words), [`scenario`] (a conversation in a file, and what plays it).
#![forbid(unsafe_code)]

pub mod scenario;
pub mod text;
