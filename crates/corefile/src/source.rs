//! Which text is the Corefile, and what is put into it before it is read.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::builtin;
use crate::environment::Environment;
use crate::error::ConfigError;
use crate::host::Host;
use crate::lexer::Source;
use crate::options::{DEFAULT_BASE_COREFILE, DEFAULT_COREFILE, Options};

/// Where node-cache looks for the ConfigMap of kube-dns, and the keys of it that mean something.
const KUBE_DNS: &str = "/etc/kube-dns";
const KUBE_DNS_KEYS: [&str; 2] = ["stubDomains", "upstreamNameservers"];

/// The variable that stands for the address of `-upstreamsvc`.
const CLUSTER_DNS: &str = "__PILLAR__CLUSTER__DNS__";

/// Finds the Corefile: what is piped in for `-conf stdin`; else the file of `-basecorefile`, if there is one,
/// with its variables replaced; else the file of `-conf` as it is; without `-conf`, the built-in one.
pub(super) fn choose(
    options: &Options,
    env: &Environment,
    host: &dyn Host,
    warnings: &mut Vec<String>,
) -> Result<Source, ConfigError> {
    check_config_map(options, host, warnings)?;
    let conf = conf(options);
    if conf == Some("stdin") {
        let bytes = host
            .read_stdin()
            .map_err(|error| ConfigError::plain(format!("cannot read the Corefile from stdin: {error}")))?;
        return Ok(Source { name: "stdin".to_owned(), directory: directory_of("stdin"), text: text(&bytes) });
    }
    let base = options.base_corefile.as_str();
    if let Some(template) = read_if_there("-basecorefile", base, host)? {
        let text = render(&template, base, options, env)?;
        return Ok(Source { name: base.to_owned(), directory: directory_of(conf.unwrap_or(base)), text });
    }
    if base != DEFAULT_BASE_COREFILE {
        let reason = format!("the file of -basecorefile, {base}, is not there");
        match conf {
            None => return Err(ConfigError::plain(reason)),
            Some(conf) => warnings.push(format!("{reason}; {conf} is used as it is")),
        }
    }
    let Some(conf) = conf else {
        return builtin::corefile(options, env, warnings);
    };
    match read_if_there("-conf", conf, host)? {
        Some(text) => Ok(Source { name: conf.to_owned(), directory: directory_of(conf), text }),
        None => Err(ConfigError::plain(format!(
            "the Corefile {conf} (-conf) is not there, and neither is the template {base} (-basecorefile)"
        ))),
    }
}

/// `-conf`; node-cache lets it replace `-corefile`, which therefore counts only when it alone is given.
fn conf(options: &Options) -> Option<&str> {
    let corefile = Some(options.corefile.as_str()).filter(|path| *path != DEFAULT_COREFILE);
    Some(options.conf.as_str()).filter(|path| !path.is_empty()).or(corefile)
}

/// Puts the values in the place of the variables, as node-cache does.
fn render(template: &str, base: &str, options: &Options, env: &Environment) -> Result<String, ConfigError> {
    let mut text = pillars(template, options);
    if text.contains(CLUSTER_DNS) {
        let address = cluster_dns(options, env).map_err(|problem| {
            ConfigError::plain(format!(
                "{base} asks for {CLUSTER_DNS}, and {problem}; create the Service in our namespace and start \
                 the pod \
                 again, or name another with -upstreamsvc"
            ))
        })?;
        text = text.replace(CLUSTER_DNS, &address.to_string());
    }
    Ok(text)
}

/// Replaces the variables that always have a value.
pub(super) fn pillars(template: &str, options: &Options) -> String {
    let local: Vec<String> = options.local_ips.iter().map(IpAddr::to_string).collect();
    template
        .replace("__PILLAR__LOCAL__DNS__", &local.join(" "))
        .replace("__PILLAR__DNS__SERVER__", "")
        .replace("__PILLAR__UPSTREAM__SERVERS__", "/etc/resolv.conf")
        .replace("__PROMETHEUS__ENDPOINT__", &options.prometheus_listen_address)
}

/// The address of the Service of `-upstreamsvc`, or what is wrong with it.
pub(super) fn cluster_dns(options: &Options, env: &Environment) -> Result<IpAddr, String> {
    let service = &options.upstream_service;
    let variable = Environment::service_variable(service);
    match env.service_host(service) {
        None => Err(format!("the environment has no {variable}, the address of Service '{service}'")),
        Some(address) => {
            address.parse().map_err(|_| format!("{variable} is '{address}', which is not an IP address"))
        }
    }
}

/// node-cache makes server blocks from the ConfigMap of kube-dns, which we do not. Asked for it is an error;
/// lying about it is told.
fn check_config_map(
    options: &Options,
    host: &dyn Host,
    warnings: &mut Vec<String>,
) -> Result<(), ConfigError> {
    let asked = options.kube_dns_config_map.as_str();
    if !asked.is_empty() && host.is_directory(Path::new(asked)) {
        return Err(ConfigError::plain(format!(
            "-kubednscm {asked}: stub domains and upstreams from the ConfigMap of kube-dns are not \
             supported by nodelocaldns yet; write them as server blocks and leave the flag out"
        )));
    }
    let names = host.list_directory(Path::new(KUBE_DNS)).unwrap_or_default();
    for key in KUBE_DNS_KEYS {
        if names.iter().any(|name| name == key) {
            warnings.push(format!(
                "{KUBE_DNS}/{key} is not read, which node-cache does; write what it says as server blocks"
            ));
        }
    }
    Ok(())
}

fn read_if_there(flag: &str, path: &str, host: &dyn Host) -> Result<Option<String>, ConfigError> {
    match host.read_file(Path::new(path)) {
        Ok(bytes) => Ok(Some(text(&bytes))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ConfigError::plain(format!("cannot read {path} ({flag}): {error}"))),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The directory a file is in, absolute, so that imported files are named in full.
fn directory_of(file: &str) -> PathBuf {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| PathBuf::from(file));
    absolute.parent().map(Path::to_path_buf).unwrap_or_default()
}
