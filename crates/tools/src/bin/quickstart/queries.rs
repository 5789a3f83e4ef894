//! The queries of the demonstration and their expected responses.

use std::fmt;

use testkit::RecordType;
use testkit::client::Stub;
use testkit::upstream::Transport;

/// Queries under one heading.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) lookups: &'static [Lookup],
}

/// A lookup of a pod, with each name that its stub resolver queries.
#[derive(Clone, Copy)]
pub(crate) struct Lookup {
    pub(crate) pod: Pod,
    pub(crate) transport: Transport,
    pub(crate) record_type: RecordType,
    pub(crate) name: &'static str,
    pub(crate) expected: &'static [Expected],
}

/// The expected response to one name.
pub(crate) struct Expected {
    /// The absolute name.
    pub(crate) name: &'static str,
    /// Response code.
    pub(crate) rcode: &'static str,
    /// Type and data of the answer records; if empty, an SOA is expected.
    pub(crate) answers: &'static [&'static str],
    /// Cache hit or miss.
    pub(crate) source: Source,
}

/// Origin of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The cache.
    Hit,
    /// The upstream.
    Miss,
}

impl Source {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
        }
    }
}

/// A pod and its resolv.conf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pod {
    /// In namespace `default`.
    Default,
    /// In namespace `dev`, with `default` at the end of its search list.
    Dev,
}

impl Pod {
    pub(crate) fn stub(self) -> Stub {
        match self {
            Self::Default => Stub::pod("default"),
            Self::Dev => {
                let mut stub = Stub::pod("dev");
                stub.search.push("default.svc.cluster.local".to_owned());
                stub
            }
        }
    }
}

impl fmt::Display for Pod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "pod in namespace default",
            Self::Dev => "pod in namespace dev",
        })
    }
}

use Pod::{Default, Dev};
use RecordType::{A, AAAA, MX, PTR, SRV};
use Source::{Hit, Miss};

const MYWEB: &str = "myweb-svc.default.svc.cluster.local.";
const MYWEB_A: &[&str] = &["A 10.233.18.231"];

/// All queries.
pub(crate) const SECTIONS: &[Section] = &[
    Section {
        title: "A Service by its short name, completed by the search list",
        lookups: &[
            lookup(Default, A, "myweb-svc", &[found(MYWEB, MYWEB_A, Miss)]),
            lookup(Default, AAAA, "myweb-svc.default.svc.cluster.local.", &[no_data(MYWEB, Miss)]),
            lookup(Default, MX, "myweb-svc.default.svc.cluster.local.", &[no_data(MYWEB, Miss)]),
        ],
    },
    Section {
        title: "The same queries again: cache hits, for negative answers too, over UDP and TCP",
        lookups: &[
            lookup(Default, A, "myweb-svc", &[found(MYWEB, MYWEB_A, Hit)]),
            lookup(Default, AAAA, "myweb-svc.default.svc.cluster.local.", &[no_data(MYWEB, Hit)]),
            lookup(Default, MX, "myweb-svc.default.svc.cluster.local.", &[no_data(MYWEB, Hit)]),
            tcp(lookup(Default, A, "myweb-svc", &[found(MYWEB, MYWEB_A, Hit)])),
        ],
    },
    Section {
        title: "Longer names of the same Service",
        lookups: &[
            lookup(
                Default,
                A,
                "myweb-svc.default",
                &[nxdomain("myweb-svc.default.default.svc.cluster.local.", Miss), found(MYWEB, MYWEB_A, Hit)],
            ),
            lookup(
                Default,
                A,
                "myweb-svc.default.svc",
                &[
                    nxdomain("myweb-svc.default.svc.default.svc.cluster.local.", Miss),
                    nxdomain("myweb-svc.default.svc.svc.cluster.local.", Miss),
                    found(MYWEB, MYWEB_A, Hit),
                ],
            ),
            lookup(Default, A, MYWEB, &[found(MYWEB, MYWEB_A, Hit)]),
        ],
    },
    Section {
        title: "From another namespace; the second time every query is a cache hit",
        lookups: &[
            lookup(
                Dev,
                A,
                "myweb-svc",
                &[
                    nxdomain("myweb-svc.dev.svc.cluster.local.", Miss),
                    nxdomain("myweb-svc.svc.cluster.local.", Miss),
                    nxdomain("myweb-svc.cluster.local.", Miss),
                    found(MYWEB, MYWEB_A, Hit),
                ],
            ),
            lookup(
                Dev,
                A,
                "myweb-svc",
                &[
                    nxdomain("myweb-svc.dev.svc.cluster.local.", Hit),
                    nxdomain("myweb-svc.svc.cluster.local.", Hit),
                    nxdomain("myweb-svc.cluster.local.", Hit),
                    found(MYWEB, MYWEB_A, Hit),
                ],
            ),
        ],
    },
    Section {
        title: "Other Services, and a reverse lookup",
        lookups: &[
            lookup(
                Default,
                A,
                "kubernetes",
                &[found("kubernetes.default.svc.cluster.local.", &["A 10.233.0.1"], Miss)],
            ),
            lookup(
                Default,
                A,
                "alpaca-prod",
                &[found("alpaca-prod.default.svc.cluster.local.", &["A 10.96.78.232"], Miss)],
            ),
            lookup(
                Default,
                A,
                "bandicoot-prod",
                &[found("bandicoot-prod.default.svc.cluster.local.", &["A 10.96.191.162"], Miss)],
            ),
            lookup(
                Default,
                PTR,
                "10.0.96.10.in-addr.arpa.",
                &[found("10.0.96.10.in-addr.arpa.", &["PTR kube-dns.kube-system.svc.cluster.local."], Miss)],
            ),
        ],
    },
    Section {
        title: "A headless Service: its pods, one of the pods, their SRV records",
        lookups: &[
            lookup(
                Default,
                A,
                "myweb-headless",
                &[found(
                    "myweb-headless.default.svc.cluster.local.",
                    &["A 10.233.90.11", "A 10.233.92.12", "A 10.233.96.13"],
                    Miss,
                )],
            ),
            lookup(
                Default,
                A,
                "myweb-1.myweb-headless",
                &[found("myweb-1.myweb-headless.default.svc.cluster.local.", &["A 10.233.92.12"], Miss)],
            ),
            lookup(
                Default,
                SRV,
                "_http._tcp.myweb-headless",
                &[found(
                    "_http._tcp.myweb-headless.default.svc.cluster.local.",
                    &[
                        "SRV 0 33 8080 myweb-0.myweb-headless.default.svc.cluster.local.",
                        "SRV 0 33 8080 myweb-1.myweb-headless.default.svc.cluster.local.",
                        "SRV 0 33 8080 myweb-2.myweb-headless.default.svc.cluster.local.",
                    ],
                    Miss,
                )],
            ),
        ],
    },
    Section {
        title: "An ExternalName Service, and its target queried directly",
        lookups: &[
            lookup(
                Default,
                A,
                "google",
                &[found(
                    "google.default.svc.cluster.local.",
                    &["CNAME www.google.com.", "A 198.51.100.104"],
                    Miss,
                )],
            ),
            lookup(
                Default,
                A,
                "www.google.com",
                &[
                    nxdomain("www.google.com.default.svc.cluster.local.", Miss),
                    nxdomain("www.google.com.svc.cluster.local.", Miss),
                    nxdomain("www.google.com.cluster.local.", Miss),
                    found("www.google.com.", &["A 198.51.100.104"], Miss),
                ],
            ),
            lookup(Default, A, "www.google.com.", &[found("www.google.com.", &["A 198.51.100.104"], Hit)]),
        ],
    },
    Section {
        title: "A name that does not exist",
        lookups: &[lookup(
            Default,
            A,
            "no-such-service",
            &[
                nxdomain("no-such-service.default.svc.cluster.local.", Miss),
                nxdomain("no-such-service.svc.cluster.local.", Miss),
                nxdomain("no-such-service.cluster.local.", Miss),
                nxdomain("no-such-service.", Miss),
            ],
        )],
    },
];

const fn lookup(
    pod: Pod,
    record_type: RecordType,
    name: &'static str,
    expected: &'static [Expected],
) -> Lookup {
    Lookup { pod, transport: Transport::Udp, record_type, name, expected }
}

const fn tcp(lookup: Lookup) -> Lookup {
    Lookup { transport: Transport::Tcp, ..lookup }
}

const fn found(name: &'static str, answers: &'static [&'static str], source: Source) -> Expected {
    Expected { name, rcode: "NOERROR", answers, source }
}

const fn no_data(name: &'static str, source: Source) -> Expected {
    Expected { name, rcode: "NOERROR", answers: &[], source }
}

const fn nxdomain(name: &'static str, source: Source) -> Expected {
    Expected { name, rcode: "NXDOMAIN", answers: &[], source }
}
