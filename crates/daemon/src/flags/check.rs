//! Command line of `nodelocaldns check`: files to check, the form of the report, and the flags of the
//! daemon on which a configuration depends.

use std::ffi::{OsStr, OsString};

use corefile::Options;
use corefile::options::DEFAULT_BASE_COREFILE;

use super::command_line;
use super::error::UsageError;

const HELP: &str = "\
Checks Corefiles without touching the node: no socket is opened and no address looked up.

Usage: nodelocaldns check [-conf FILE]... [-basecorefile FILE]... [-o text|json] [FLAGS]

  -conf FILE           Corefile; stdin for standard input. May be given several times
  -basecorefile FILE   template of a Corefile; likewise. Without files: what the daemon would load
  -o FORMAT            text (the default) or json
  FLAGS                those of the daemon, as for example -localip for templates

Exit code: 0 if all files load, 1 if one does not, 2 for a wrong command line.
";

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

/// True for the command line of `nodelocaldns check`.
pub(crate) fn is_check(args: &[OsString]) -> bool {
    args.get(1).is_some_and(|word| word == "check")
}

/// Parses the command line of `nodelocaldns check`.
///
/// # Errors
/// It is wrong, or requests the help.
pub(crate) fn parse(mut args: Vec<OsString>) -> Result<CheckFlags, UsageError> {
    args.remove(1);
    let (mut others, mut files, mut json) = (Vec::new(), Vec::new(), false);
    for word in command_line::to_gnu(args) {
        let flag = word.to_str().and_then(|text| text.split_once('='));
        match flag {
            _ if word == OsStr::new("--help") => {
                return Err(UsageError { text: HELP.to_owned(), code: 0 });
            }
            Some(("--conf", file)) => files.push(File::Corefile(file.to_owned())),
            Some(("--basecorefile", file)) => files.push(File::Template(file.to_owned())),
            Some(("--o", "json")) => json = true,
            Some(("--o", "text")) => json = false,
            Some(("--o", other)) => {
                return Err(UsageError::wrong(&format!(
                    "invalid value \"{other}\" for -o: neither text nor json"
                )));
            }
            _ => others.push(word),
        }
    }
    let flags = command_line::parse_without_local_ips(others)?;
    let configurations = match files.is_empty() {
        true => vec![flags.options],
        false => files.into_iter().map(|file| file.options(&flags.options)).collect(),
    };
    Ok(CheckFlags { configurations, interface_name: flags.interface_name, json })
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
