//! The Corefile for a start without one, in the shape kubespray gives it.

use crate::environment::Environment;
use crate::error::ConfigError;
use crate::lexer::Source;
use crate::options::Options;
use crate::source::{cluster_dns, pillars};

/// What messages call it.
pub(super) const NAME: &str = "the built-in Corefile";

/// Names of the cluster and of its addresses.
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

/// All other names.
const REST: &str = "\
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

/// The text with the values of the options; without the cluster's blocks when its DNS is not known.
pub(super) fn corefile(
    options: &Options,
    env: &Environment,
    warnings: &mut Vec<String>,
) -> Result<Source, ConfigError> {
    let Some(first) = options.local_ips.first() else {
        return Err(ConfigError::plain(format!("{NAME} needs an address to listen on: give -localip")));
    };
    let host = if first.is_ipv6() { format!("[{first}]") } else { first.to_string() };
    let cluster = match cluster_dns(options, env) {
        Ok(address) => CLUSTER.replace("__CLUSTER__DNS__", &address.to_string()),
        Err(problem) => {
            warnings.push(format!("{problem}; {NAME} therefore asks /etc/resolv.conf for cluster names too"));
            String::new()
        }
    };
    let text = pillars(&format!("{cluster}{REST}"), options).replace("__LOCAL__HOST__", &host);
    Ok(Source { name: NAME.to_owned(), directory: "/".into(), text })
}
