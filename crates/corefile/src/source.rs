//! Which file is the Corefile: standard input, a template, `-conf` or the built-in one.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::error::ConfigError;
use crate::host::Host;
use crate::kube_dns::{self, KubeDns};
use crate::options::{DEFAULT_BASE_COREFILE, DEFAULT_COREFILE, Options, STDIN};
use crate::token::Source;
use crate::{builtin, template};

/// The text of a configuration.
pub(crate) struct ConfigSources {
    pub(crate) corefile: Source,
    /// Server blocks in addition to those of the Corefile.
    pub(crate) stub_domains: Option<Source>,
}

/// The Corefile: standard input for `-conf stdin`; else the template of `-basecorefile`, if it
/// exists, rendered with the ConfigMap of kube-dns; else the file of `-conf`; else the built-in
/// Corefile.
pub(crate) fn find(
    options: &Options,
    env: &Environment,
    host: &dyn Host,
    warnings: &mut Vec<String>,
) -> Result<ConfigSources, ConfigError> {
    let base = options.base_corefile.as_str();
    let is_stdin = conf(options) == Some(STDIN);
    let template = if is_stdin { None } else { read_if_exists("-basecorefile", base, host)? };
    if let Some(template) = template {
        let kube_dns = KubeDns::read(options, host)?;
        let text = template::render(&template, base, options, env, &kube_dns)?;
        let directory = directory_of(conf(options).unwrap_or(base), host);
        let corefile = Source::new(base.to_owned(), directory, text);
        return Ok(ConfigSources { corefile, stub_domains: kube_dns.server_blocks(options) });
    }
    for file in kube_dns::files(options, host) {
        warnings.push(format!(
            "{file} is not used: as with node-cache, the ConfigMap of kube-dns counts for a template \
             (-basecorefile) only"
        ));
    }
    let corefile = without_template(options, env, host, warnings)?;
    Ok(ConfigSources { corefile, stub_domains: None })
}

fn without_template(
    options: &Options,
    env: &Environment,
    host: &dyn Host,
    warnings: &mut Vec<String>,
) -> Result<Source, ConfigError> {
    let conf = conf(options);
    let source = |name: &str, text: String| Ok(Source::new(name.to_owned(), directory_of(name, host), text));
    if conf == Some(STDIN) {
        let bytes = host.read_stdin().map_err(|error| {
            ConfigError::without_location(format!("cannot read the Corefile from stdin: {error}"))
        })?;
        return source(STDIN, text(&bytes));
    }
    let base = options.base_corefile.as_str();
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
        Some(text) => source(conf, text),
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
