//! Which file is the Corefile: standard input, a template, `-conf` or the built-in one.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::error::ConfigError;
use crate::host::Host;
use crate::options::{DEFAULT_BASE_COREFILE, DEFAULT_COREFILE, Options};
use crate::token::Source;
use crate::{builtin, template};

/// Where node-cache reads the ConfigMap of kube-dns, and the keys it reads.
const KUBE_DNS: &str = "/etc/kube-dns";
const KUBE_DNS_KEYS: [&str; 2] = ["stubDomains", "upstreamNameservers"];

/// The Corefile: standard input for `-conf stdin`; else the template of `-basecorefile`, if it
/// exists, rendered; else the file of `-conf`; else the built-in Corefile.
pub(crate) fn find(
    options: &Options,
    env: &Environment,
    host: &dyn Host,
    warnings: &mut Vec<String>,
) -> Result<Source, ConfigError> {
    check_config_map(options, host, warnings)?;
    let conf = conf(options);
    let source = |name: &str, base: &str, text: String| {
        Ok(Source { name: name.to_owned(), directory: directory_of(base, host), text })
    };
    if conf == Some("stdin") {
        let bytes = host.read_stdin().map_err(|error| {
            ConfigError::without_location(format!("cannot read the Corefile from stdin: {error}"))
        })?;
        return source("stdin", "stdin", text(&bytes));
    }
    let base = options.base_corefile.as_str();
    if let Some(template) = read_if_exists("-basecorefile", base, host)? {
        let text = template::render(&template, base, options, env)?;
        return source(base, conf.unwrap_or(base), text);
    }
    if base != DEFAULT_BASE_COREFILE {
        let reason = format!("the file of -basecorefile, {base}, does not exist");
        match conf {
            None => return Err(ConfigError::without_location(reason)),
            Some(conf) => warnings.push(format!("{reason}; {conf} is used as it is")),
        }
    }
    let Some(conf) = conf else {
        return builtin::corefile(options, env, warnings);
    };
    match read_if_exists("-conf", conf, host)? {
        Some(text) => source(conf, conf, text),
        None => Err(ConfigError::without_location(format!(
            "the Corefile {conf} (-conf) does not exist, and neither does the template {base} (-basecorefile)"
        ))),
    }
}

/// `-conf`, or else `-corefile`: node-cache overwrites the latter with the former.
fn conf(options: &Options) -> Option<&str> {
    let corefile = Some(options.corefile.as_str()).filter(|path| *path != DEFAULT_COREFILE);
    Some(options.conf.as_str()).filter(|path| !path.is_empty()).or(corefile)
}

/// node-cache makes server blocks from the ConfigMap of kube-dns; nodelocaldns does not:
/// `-kubednscm` with an existing directory is an error, a ConfigMap at the default path a warning.
fn check_config_map(
    options: &Options,
    host: &dyn Host,
    warnings: &mut Vec<String>,
) -> Result<(), ConfigError> {
    let directory = options.kube_dns_config_map.as_str();
    if !directory.is_empty() && host.is_directory(Path::new(directory)) {
        return Err(ConfigError::without_location(format!(
            "-kubednscm {directory}: stub domains and upstreams from the ConfigMap of kube-dns are not \
             supported by nodelocaldns yet; write them as server blocks and remove the flag"
        )));
    }
    let names = host.list_directory(Path::new(KUBE_DNS)).unwrap_or_default();
    for key in KUBE_DNS_KEYS {
        if names.iter().any(|name| name == key) {
            warnings.push(format!(
                "{KUBE_DNS}/{key} is not read, unlike by node-cache; write its entries as server blocks"
            ));
        }
    }
    Ok(())
}

fn read_if_exists(flag: &str, path: &str, host: &dyn Host) -> Result<Option<String>, ConfigError> {
    match host.read_file(Path::new(path)) {
        Ok(bytes) => Ok(Some(text(&bytes))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ConfigError::without_location(format!("cannot read {path} ({flag}): {error}"))),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The absolute directory of a file, so that messages show the full path of imported files.
fn directory_of(file: &str, host: &dyn Host) -> PathBuf {
    host.absolute_path(Path::new(file)).parent().map(Path::to_path_buf).unwrap_or_default()
}
