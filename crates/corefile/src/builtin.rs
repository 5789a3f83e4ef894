//! The built-in Corefile, used when none is configured; in the form that kubespray writes.

use crate::environment::Environment;
use crate::error::ConfigError;
use crate::options::Options;
use crate::template::{cluster_dns, render_flags};
use crate::token::Source;

/// Its name in messages.
pub(crate) const NAME: &str = "the built-in Corefile";

/// Server blocks for the cluster's names and the reverse zones.
const CLUSTER: &str = "\
cluster.local:53 {
    errors
    cache {
        success 9984 30
        denial 9984 5
    }
    loop
    bind __PILLAR__LOCAL__DNS__
    forward . __CLUSTER__DNS__ {
        force_tcp
    }
    prometheus __PROMETHEUS__ENDPOINT__
}
in-addr.arpa:53 {
    errors
    cache 30
    loop
    bind __PILLAR__LOCAL__DNS__
    forward . __CLUSTER__DNS__ {
        force_tcp
    }
    prometheus __PROMETHEUS__ENDPOINT__
}
ip6.arpa:53 {
    errors
    cache 30
    loop
    bind __PILLAR__LOCAL__DNS__
    forward . __CLUSTER__DNS__ {
        force_tcp
    }
    prometheus __PROMETHEUS__ENDPOINT__
}
";

/// The server block for all other names.
const ROOT: &str = "\
.:53 {
    errors
    cache 30
    loop
    bind __PILLAR__LOCAL__DNS__
    forward . /etc/resolv.conf
    prometheus __PROMETHEUS__ENDPOINT__
    health __LOCAL__HOST__:9254
    ready __LOCAL__HOST__:8181
}
";

/// The built-in Corefile for the flags; without the cluster's blocks if the cluster DNS address is
/// unknown.
pub(crate) fn corefile(
    options: &Options,
    env: &Environment,
    warnings: &mut Vec<String>,
) -> Result<Source, ConfigError> {
    let Some(first) = options.local_ips.first() else {
        return Err(ConfigError::without_location(format!(
            "{NAME} needs an address to listen on: give -localip"
        )));
    };
    let host = if first.is_ipv6() { format!("[{first}]") } else { first.to_string() };
    let cluster = match cluster_dns(options, env) {
        Ok(address) => CLUSTER.replace("__CLUSTER__DNS__", &address.to_string()),
        Err(problem) => {
            warnings
                .push(format!("{problem}; {NAME} therefore forwards cluster names to /etc/resolv.conf too"));
            String::new()
        }
    };
    let text = render_flags(&format!("{cluster}{ROOT}"), options).replace("__LOCAL__HOST__", &host);
    Ok(Source::new(NAME.to_owned(), "/".into(), text))
}
