//! Corefile: text to validated [`Settings`].
//!
//! The configuration language of CoreDNS as node-cache uses it. This crate has no process state:
//! flags ([`Options`]), environment variables ([`Environment`]), files and interface addresses
//! ([`host::Host`]) are passed in, so that the same inputs always give the same settings or the
//! same [`ConfigErrors`].
//!
//! Path of a Corefile, and reading order:
//!
//! | step | module |
//! |---|---|
//! | parse, then build settings: the whole path | `corefile` |
//! | find the file; render node-cache's template variables; stub domains | `source`, `template`, `kube_dns`, `builtin` |
//! | text to tokens; environment variables | `lexer`, `token`, [`environment`] |
//! | expand imports and snippets | `import` |
//! | tokens to server blocks | `parser`, `tree` |
//! | validate each directive; which are supported | `directives` (one file each), `support` |
//! | argument values: durations, integers, addresses, zones | `values`, `zones` |
//! | assemble the settings of all blocks | `settings_builder`, `listeners`, `fingerprint` |
//! | the result | [`settings`] |
//! | errors with `FILE:LINE`, caret, reason and the right word | `error`, `error_list`, `suggestion` |
//! | files that list upstreams, hosts or weights; detecting an edit | [`upstream_files`], `hosts_files`, `weight_files`, `known_files`, `token_hash` |
//!
//! To add a directive: a file in `directives` with its syntax as the module's documentation, a
//! field and a `match` arm in `directives::BlockDirectives`, a field in [`settings::Block`], its
//! name in `support`.

#![forbid(unsafe_code)]

mod builtin;
mod corefile;
mod directives;
pub mod environment;
mod error;
mod error_list;
mod fingerprint;
pub mod host;
mod hosts_files;
mod import;
mod known_files;
mod kube_dns;
mod lexer;
mod listeners;
pub mod options;
mod parser;
pub mod settings;
mod settings_builder;
mod source;
mod suggestion;
mod support;
mod template;
mod token;
mod token_hash;
mod tree;
pub mod upstream_files;
mod values;
mod weight_files;
mod zones;

pub use corefile::{Corefile, load};
pub use environment::Environment;
pub use error::ConfigError;
pub use error_list::ConfigErrors;
pub use known_files::{FileContents, KnownFiles};
pub use options::Options;
pub use settings::Settings;
pub use support::{SUPPORTED as SUPPORTED_DIRECTIVES, handles_queries};
pub use values::address::parse_listen_address;
pub use values::duration;
