//! Command line of `nodelocaldns check`: files to check, the form of the report, and the flags of the
//! daemon on which a configuration depends.

use std::ffi::OsString;

use corefile::Options;
use corefile::options::DEFAULT_BASE_COREFILE;

use super::command_line;
use super::error::UsageError;
use super::subcommand::OwnFlags;

const OWN: OwnFlags = OwnFlags {
    help: "\
Checks Corefiles without touching the node: no socket is opened and no address looked up.

Usage: nodelocaldns check [-conf FILE]... [-basecorefile FILE]... [-o text|json] [FLAGS]

  -conf FILE           Corefile; stdin for standard input. May be given several times
  -basecorefile FILE   template of a Corefile; likewise. Without files: what the daemon would load
  -o FORMAT            text (the default) or json
  FLAGS                those of the daemon, as for example -localip for templates

Exit code: 0 if all files load, 1 if one does not, 2 for a wrong command line.
",
    valued: &["conf", "basecorefile"],
    ..OwnFlags::NONE
};

/// The validated command line of `nodelocaldns check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckFlags {
    /// Each configuration to check, at least one: the options by which the daemon would load it.
    pub configurations: Vec<Options>,
    /// `-interfacename`: the link that has the addresses of `-localip`.
    pub interface_name: String,
    /// `-o json`.
    pub json: bool,
}

/// Parses the command line of `nodelocaldns check`.
///
/// # Errors
/// It is wrong, or requests the help.
pub(crate) fn parse(args: Vec<OsString>) -> Result<CheckFlags, UsageError> {
    let words = OWN.parse(args)?;
    let flags = command_line::parse_without_local_ips(words.others)?;
    let files = words.own.into_iter().map(|(flag, file)| match flag.as_str() {
        "conf" => File::Corefile(file),
        _ => File::Template(file),
    });
    let mut configurations: Vec<_> = files.map(|file| file.options(&flags.options)).collect();
    if configurations.is_empty() {
        configurations.push(flags.options);
    }
    Ok(CheckFlags { configurations, interface_name: flags.interface_name, json: words.json })
}

enum File {
    Corefile(String),
    Template(String),
}

impl File {
    fn options(self, others: &Options) -> Options {
        match self {
            Self::Corefile(conf) => {
                Options { conf, base_corefile: DEFAULT_BASE_COREFILE.to_owned(), ..others.clone() }
            }
            Self::Template(base_corefile) => Options { conf: String::new(), base_corefile, ..others.clone() },
        }
    }
}
