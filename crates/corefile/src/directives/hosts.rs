//! ```text
//! hosts [FILE [ZONES...]] {
//!     IP NAMES...
//!     ttl SECONDS
//!     no_reverse
//!     reload DURATION
//!     fallthrough [ZONES...]
//!     fallthrough_unsupported
//! }
//! ```
//!
//! Answers A, AAAA and PTR from the entries of FILE, `/etc/hosts` by default, and those in the
//! Corefile. Names outside ZONES (by default the block's zones) are left out. `ttl`, 3600 by default,
//! is 1 to 65535. With `no_reverse`, there are no PTR records. FILE is checked for changes at each
//! DURATION, 5s by default; never with 0. A name that the table lacks gets SERVFAIL, unless
//! `fallthrough` leaves it to the next directive, for names in its ZONES (all by default);
//! `fallthrough_unsupported` does so for other types of names that the table has. Entries come
//! before `fallthrough`.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use resolver::policy::{Hosts, HostsTable};
use sha2::{Digest, Sha256};
use wire::name::Name;

use super::context::DirectiveContext;
use crate::error::ConfigError;
use crate::hosts_files::{self, HostsEntry, parse_address};
use crate::settings::HostsFile;
use crate::suggestion;
use crate::token::Token;
use crate::tree::{Directive, Line};
use crate::values::duration_named;
use crate::zones::fallthrough;

const DEFAULT_FILE: &str = "/etc/hosts";
const DEFAULT_TTL: u32 = 3600;
const DEFAULT_RELOAD: Duration = Duration::from_secs(5);

const OPTIONS: [&str; 5] = ["ttl", "no_reverse", "reload", "fallthrough", "fallthrough_unsupported"];

/// A `hosts` directive.
pub(crate) struct HostsDirective {
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) file: HostsFile,
    /// SHA-256 over the entries of the table in their order, with or without PTR.
    pub(crate) digest: String,
}

/// Options and inline entries.
struct HostsOptions {
    ttl: u32,
    has_reverse: bool,
    reload: Duration,
    fallthrough: Option<Vec<Name>>,
    passes_other_types: bool,
    entries: Vec<HostsEntry>,
}

pub(super) fn parse(
    directive: &Directive,
    context: &mut DirectiveContext<'_>,
) -> Result<HostsDirective, ConfigError> {
    let (file, zones) = match directive.line.args.split_first() {
        Some((file, zones)) => (Some(file), zones),
        None => (None, [].as_slice()),
    };
    if let Some(glued) = file.filter(|file| file.text.starts_with('{')) {
        let reason =
            format!("missing space after '{{' in '{}'; options are on lines of their own", glued.text);
        return Err(ConfigError::at(glued, reason));
    }
    let covered = context.zones(zones)?;
    let HostsOptions { ttl, has_reverse, reload, fallthrough, passes_other_types, entries } =
        options(&directive.options, context)?;
    let mut table = TableBuilder::new(&covered, has_reverse);
    let label = file.map_or(DEFAULT_FILE, |file| &file.text).to_owned();
    let path = context.host.absolute_path(Path::new(&label));
    read_file(&path, (directive, file), context, &mut table);
    entries.into_iter().for_each(|entry| table.add(entry));
    let (table, digest) = table.finish();
    let file = HostsFile { path, label, entries: table.entries(), reload };
    let (zones, fallthrough) = (covered, fallthrough.unwrap_or_default());
    Ok(HostsDirective {
        hosts: Arc::new(Hosts { zones, ttl, fallthrough, passes_other_types, table }),
        file,
        digest,
    })
}

fn options(options: &[Line], context: &mut DirectiveContext<'_>) -> Result<HostsOptions, ConfigError> {
    let mut parsed = HostsOptions {
        ttl: DEFAULT_TTL,
        has_reverse: true,
        reload: DEFAULT_RELOAD,
        fallthrough: None,
        passes_other_types: false,
        entries: Vec::new(),
    };
    let mut unsupported = None;
    for option in options {
        match &*option.name.text {
            "ttl" => parsed.ttl = ttl(option)?,
            "no_reverse" => {
                option.no_arguments()?;
                parsed.has_reverse = false;
            }
            "reload" => {
                let token = option.single_argument()?;
                let negative = format!("invalid negative duration for reload '{}'", token.text);
                parsed.reload = duration_named(token, "duration for reload", &negative)?;
            }
            "fallthrough" => parsed.fallthrough = Some(fallthrough(option)?),
            "fallthrough_unsupported" => {
                option.no_arguments()?;
                (parsed.passes_other_types, unsupported) = (true, Some(&option.name));
            }
            _ => inline(option, &mut parsed, context)?,
        }
    }
    match unsupported.filter(|_| parsed.fallthrough.is_none()) {
        Some(option) => {
            Err(ConfigError::at(option, "fallthrough_unsupported requires fallthrough").of_combination())
        }
        None => Ok(parsed),
    }
}

fn ttl(option: &Line) -> Result<u32, ConfigError> {
    let token = option.single_argument()?;
    let seconds: i64 = token.text.parse().map_err(|_| {
        ConfigError::at(token, format!("ttl needs a number of seconds, without a unit: '{}'", token.text))
    })?;
    let valid = u32::try_from(seconds).ok().filter(|ttl| (1..=65535).contains(ttl));
    valid.ok_or_else(|| {
        ConfigError::at(token, format!("ttl provided is invalid: {seconds} is not 1 to 65535"))
    })
}

/// A line that is no option: an inline entry. One that is none either is left out, as in CoreDNS.
fn inline(
    line: &Line,
    parsed: &mut HostsOptions,
    context: &mut DirectiveContext<'_>,
) -> Result<(), ConfigError> {
    let word = &*line.name.text;
    let address = parse_address(word);
    if parsed.fallthrough.is_some() {
        return Err(match address {
            Some(_) => ConfigError::unknown_property(&line.name, &[])
                .with_remedy("write entries before 'fallthrough'"),
            None => ConfigError::unknown_property(&line.name, &OPTIONS),
        });
    }
    if address.is_none() && suggestion::closest(word, &OPTIONS).is_some() {
        return Err(ConfigError::unknown_property(&line.name, &OPTIONS));
    }
    let fields = || std::iter::once(&line.name).chain(&line.args).map(|token| &*token.text);
    match hosts_files::entry(fields()) {
        Some(entry) => parsed.entries.push(entry),
        None => {
            let problem = problem(line, address);
            context
                .warnings
                .push(format!("{} - hosts: the line is ignored: {problem}", line.name.location()));
        }
    }
    Ok(())
}

/// Why a line is no entry.
fn problem(line: &Line, address: Option<IpAddr>) -> String {
    let word = &line.name.text;
    let is_swapped = line.args.iter().any(|argument| parse_address(&argument.text).is_some());
    match address {
        Some(_) if line.args.is_empty() => format!("no name follows the address {word}"),
        Some(_) => format!("what follows the address {word} is not a domain name"),
        None if is_swapped => format!("'{word}' is not an IP address; the address comes before its names"),
        None => format!("'{word}' is neither an IP address nor an option"),
    }
}

/// Adds the entries of FILE, which is read once for all blocks.
fn read_file(
    path: &Path,
    (directive, file): (&Directive, Option<&Token>),
    context: &mut DirectiveContext<'_>,
    table: &mut TableBuilder<'_>,
) {
    let location = file.unwrap_or_else(|| directive.name()).location();
    let content = match context.files.contents.get(path) {
        Some(known) => known.clone(),
        None => {
            let content = context.host.read_file(path).map(Arc::from);
            // Few images have the default file, and entries in the Corefile need none.
            if let (Err(error), Some(file)) = (&content, file) {
                let hint = match parse_address(&file.text) {
                    Some(_) => "; an entry is written on a line between { and }",
                    None => "; it is read when it can be",
                };
                let path = path.display();
                context
                    .warnings
                    .push(format!("{location} - cannot read the hosts file {path}: {error}{hint}"));
            }
            context.files.contents.entry(path.to_path_buf()).or_insert_with(|| content.ok()).clone()
        }
    };
    let too_long = hosts_files::read(content.as_deref().unwrap_or_default(), |entry| table.add(entry));
    for number in too_long {
        context.warnings.push(format!(
            "{}:{number} has a field of more than 1024 octets, which is ignored",
            path.display()
        ));
    }
}

/// The table of a directive.
struct TableBuilder<'a> {
    zones: &'a [Name],
    has_reverse: bool,
    table: HostsTable,
    digest: Sha256,
}

impl<'a> TableBuilder<'a> {
    fn new(zones: &'a [Name], has_reverse: bool) -> Self {
        let digest = Sha256::new_with_prefix([u8::from(has_reverse)]);
        Self { zones, has_reverse, table: HostsTable::default(), digest }
    }

    fn add(&mut self, HostsEntry { address, names }: HostsEntry) {
        for name in names.iter().filter(|name| self.zones.iter().any(|zone| zone.covers(name.as_wire()))) {
            self.digest.update(address.to_string());
            self.digest.update([0]);
            self.digest.update(name.as_wire());
            self.table.add(name, address);
            if self.has_reverse {
                self.table.add_reverse(address, name);
            }
        }
    }

    fn finish(self) -> (HostsTable, String) {
        let digest = self.digest.finalize();
        (self.table, digest.iter().map(|octet| format!("{octet:02x}")).collect())
    }
}
