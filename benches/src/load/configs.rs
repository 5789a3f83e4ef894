//! Configurations of the servers: one thread, one upstream for all names, a cache for two million
//! entries and an hour, and no limit that a few clients reach.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::servers::{self, NODE_FLAGS, free_port};

/// How a server queries its upstream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp,
}

/// Where a server listens, what it forwards to, and its directory.
pub(super) struct Settings<'a> {
    pub(super) port: u16,
    pub(super) upstream: SocketAddr,
    pub(super) transport: Transport,
    pub(super) dir: &'a Path,
}

/// The configuration and command line of a program.
pub(super) struct Syntax {
    /// The text of the configuration file; `None` when the program cannot use the transport.
    pub(super) text: fn(&Settings<'_>) -> Option<String>,
    /// Adds the arguments; the path of the configuration file is `file`.
    pub(super) arguments: fn(&mut Command, file: &Path),
    /// The argument that prints the version.
    pub(super) version: &'static str,
}

/// The name of the configuration file; the recursor has no choice.
pub(super) const FILE: &str = "recursor.conf";

pub(super) const COREFILE: Syntax = Syntax {
    text: |settings| {
        let transport = match settings.transport {
            Transport::Udp => "prefer_udp",
            Transport::Tcp => "force_tcp",
        };
        let cache = "cache 3600 {\n        success 2000000\n        denial 2000000\n    }";
        let forward = format!("forward . {} {{\n        {transport}\n    }}", settings.upstream);
        let text = servers::corefile(cache, &forward).replace("PORT", &settings.port.to_string());
        Some(text.replace("METRICS", &format!("127.0.0.1:{}", free_port().ok()?)))
    },
    arguments: |command, file| {
        let metrics = format!("127.0.0.1:{}", free_port().unwrap_or(0));
        command.args(NODE_FLAGS).arg(file).args(["-metrics-listen-address", &metrics]);
    },
    version: "-version",
};

/// Flags of the daemon beside those of node-cache.
pub(super) const DAEMON_FLAGS: [&str; 4] = ["-workers", "1", "-cache-bytes", "1073741824"];

pub(super) const UNBOUND: Syntax = Syntax {
    text: |settings| {
        let Settings { port, upstream, transport, dir } = settings;
        let tcp = if matches!(transport, Transport::Tcp) { "yes" } else { "no" };
        let dir = dir.display();
        Some(format!(
            "server:\n interface: 127.0.0.1@{port}\n directory: \"{dir}\"\n chroot: \"\"\n username: \"\"\n \
             pidfile: \"\"\n do-daemonize: no\n use-syslog: no\n verbosity: 0\n num-threads: 1\n \
             module-config: \"iterator\"\n do-not-query-localhost: no\n tcp-upstream: {tcp}\n \
             msg-cache-size: 2g\n rrset-cache-size: 2g\n cache-max-negative-ttl: 3600\n \
             outgoing-range: 4096\n num-queries-per-thread: 2048\n incoming-num-tcp: 200\n \
             outgoing-num-tcp: 200\nremote-control:\n control-enable: no\n\
             forward-zone:\n name: \".\"\n forward-addr: {}@{}\n",
            upstream.ip(),
            upstream.port()
        ))
    },
    arguments: |command, file| {
        command.args(["-d", "-c"]).arg(file);
    },
    version: "-V",
};

pub(super) const DNSDIST: Syntax = Syntax {
    text: |settings| {
        let Settings { port, upstream, transport, .. } = settings;
        let tcp = matches!(transport, Transport::Tcp);
        Some(format!(
            "setLocal('127.0.0.1:{port}', {{ maxInFlight = 100 }})\nsetSecurityPollSuffix('')\n\
             setMaxTCPClientThreads(1)\nnewServer({{ address = '{upstream}', tcpOnly = {tcp} }}):setUp()\n\
             getPool(''):setCache(newPacketCache(2000000, {{ maxTTL = 3600, maxNegativeTTL = 3600 }}))\n"
        ))
    },
    arguments: |command, file| {
        command.args(["--supervised", "--disable-syslog", "-C"]).arg(file);
    },
    version: "--version",
};

/// It has no option to query over TCP first.
pub(super) const RECURSOR: Syntax = Syntax {
    text: |settings| {
        let Settings { port, upstream, transport, dir } = settings;
        let dir = dir.display();
        matches!(transport, Transport::Udp).then(|| {
            format!(
                "daemon=no\nwrite-pid=no\ndisable-syslog=yes\nquiet=yes\nloglevel=3\nthreads=1\n\
                 local-address=127.0.0.1\nlocal-port={port}\nforward-zones-recurse=.={upstream}\n\
                 dnssec=off\ndont-query=\nsecurity-poll-suffix=\nroot-nx-trust=no\nsocket-dir={dir}\n\
                 max-cache-entries=2000000\nmax-packetcache-entries=2000000\npacketcache-ttl=3600\n\
                 max-negative-ttl=3600\nmax-tcp-clients=200\nmax-concurrent-requests-per-tcp-connection=100\n"
            )
        })
    },
    arguments: |command, file| {
        let dir = file.parent().unwrap_or(file);
        command.arg(format!("--config-dir={}", dir.display()));
    },
    version: "--version",
};

/// It has no option to query over TCP first, other than with TLS.
pub(super) const KNOT_RESOLVER: Syntax = Syntax {
    text: |settings| {
        let Settings { port, upstream, transport, dir } = settings;
        let dir = dir.display();
        matches!(transport, Transport::Udp).then(|| {
            format!(
                "net.ipv6 = false\nnet.listen('127.0.0.1', {port}, {{ kind = 'dns' }})\n\
                 trust_anchors.remove('.')\ncache.open(2 * GB, 'lmdb://{dir}')\ncache.max_ttl(3600)\n\
                 policy.add(policy.all(policy.FORWARD('{}@{}')))\n",
                upstream.ip(),
                upstream.port()
            )
        })
    },
    arguments: |command, file| {
        let dir = file.parent().unwrap_or(file);
        command.args(["-n", "-c"]).arg(file).arg(dir);
    },
    version: "--version",
};
