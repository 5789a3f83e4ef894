//! What the pods ask, and what they should be told.

use std::fmt;

use testkit::RecordType;
use testkit::client::Stub;
use testkit::upstream::Transport;

/// Some questions under one title.
pub(crate) struct Scene {
    pub(crate) title: &'static str,
    pub(crate) asks: &'static [Ask],
}

/// A question of a pod, and each name that is tried for it.
#[derive(Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) pod: Pod,
    pub(crate) transport: Transport,
    pub(crate) record_type: RecordType,
    pub(crate) name: &'static str,
    pub(crate) tries: &'static [Expected],
}

/// What a try should bring.
pub(crate) struct Expected {
    /// The name that is tried, absolute.
    pub(crate) name: &'static str,
    /// The response code.
    pub(crate) status: &'static str,
    /// Type and data of the answers; with none, there is an SOA.
    pub(crate) answers: &'static [&'static str],
    /// Where the answer comes from.
    pub(crate) source: Source,
}

/// Where an answer comes from.
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

/// A pod, by its resolv.conf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pod {
    /// In the namespace default.
    Default,
    /// In the namespace dev, with the namespace default at the end of its search list.
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
            Self::Default => "a pod in default",
            Self::Dev => "a pod in dev",
        })
    }
}

use Pod::{Default, Dev};
use RecordType::{A, AAAA, MX, PTR, SRV};
use Source::{Hit, Miss};

const MYWEB: &str = "myweb-svc.default.svc.cluster.local.";
const MYWEB_A: &[&str] = &["A 10.233.18.231"];

/// The dialogue.
pub(crate) const SCENES: &[Scene] = &[
    Scene {
        title: "A Service by its bare name, which the search list completes",
        asks: &[
            ask(Default, A, "myweb-svc", &[found(MYWEB, MYWEB_A, Miss)]),
            ask(Default, AAAA, "myweb-svc.default.svc.cluster.local.", &[no_data(MYWEB, Miss)]),
            ask(Default, MX, "myweb-svc.default.svc.cluster.local.", &[no_data(MYWEB, Miss)]),
        ],
    },
    Scene {
        title: "The same again comes from the cache, what is not there included, over UDP and TCP",
        asks: &[
            ask(Default, A, "myweb-svc", &[found(MYWEB, MYWEB_A, Hit)]),
            ask(Default, AAAA, "myweb-svc.default.svc.cluster.local.", &[no_data(MYWEB, Hit)]),
            ask(Default, MX, "myweb-svc.default.svc.cluster.local.", &[no_data(MYWEB, Hit)]),
            tcp(ask(Default, A, "myweb-svc", &[found(MYWEB, MYWEB_A, Hit)])),
        ],
    },
    Scene {
        title: "Longer names of the same Service",
        asks: &[
            ask(
                Default,
                A,
                "myweb-svc.default",
                &[no_name("myweb-svc.default.default.svc.cluster.local.", Miss), found(MYWEB, MYWEB_A, Hit)],
            ),
            ask(
                Default,
                A,
                "myweb-svc.default.svc",
                &[
                    no_name("myweb-svc.default.svc.default.svc.cluster.local.", Miss),
                    no_name("myweb-svc.default.svc.svc.cluster.local.", Miss),
                    found(MYWEB, MYWEB_A, Hit),
                ],
            ),
            ask(Default, A, MYWEB, &[found(MYWEB, MYWEB_A, Hit)]),
        ],
    },
    Scene {
        title: "From another namespace; the second time every step is a hit",
        asks: &[
            ask(
                Dev,
                A,
                "myweb-svc",
                &[
                    no_name("myweb-svc.dev.svc.cluster.local.", Miss),
                    no_name("myweb-svc.svc.cluster.local.", Miss),
                    no_name("myweb-svc.cluster.local.", Miss),
                    found(MYWEB, MYWEB_A, Hit),
                ],
            ),
            ask(
                Dev,
                A,
                "myweb-svc",
                &[
                    no_name("myweb-svc.dev.svc.cluster.local.", Hit),
                    no_name("myweb-svc.svc.cluster.local.", Hit),
                    no_name("myweb-svc.cluster.local.", Hit),
                    found(MYWEB, MYWEB_A, Hit),
                ],
            ),
        ],
    },
    Scene {
        title: "Other Services, and the name behind an address",
        asks: &[
            ask(
                Default,
                A,
                "kubernetes",
                &[found("kubernetes.default.svc.cluster.local.", &["A 10.233.0.1"], Miss)],
            ),
            ask(
                Default,
                A,
                "alpaca-prod",
                &[found("alpaca-prod.default.svc.cluster.local.", &["A 10.96.78.232"], Miss)],
            ),
            ask(
                Default,
                A,
                "bandicoot-prod",
                &[found("bandicoot-prod.default.svc.cluster.local.", &["A 10.96.191.162"], Miss)],
            ),
            ask(
                Default,
                PTR,
                "10.0.96.10.in-addr.arpa.",
                &[found("10.0.96.10.in-addr.arpa.", &["PTR kube-dns.kube-system.svc.cluster.local."], Miss)],
            ),
        ],
    },
    Scene {
        title: "A headless Service: its pods, one of them, their port",
        asks: &[
            ask(
                Default,
                A,
                "myweb-headless",
                &[found(
                    "myweb-headless.default.svc.cluster.local.",
                    &["A 10.233.90.11", "A 10.233.92.12", "A 10.233.96.13"],
                    Miss,
                )],
            ),
            ask(
                Default,
                A,
                "myweb-1.myweb-headless",
                &[found("myweb-1.myweb-headless.default.svc.cluster.local.", &["A 10.233.92.12"], Miss)],
            ),
            ask(
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
    Scene {
        title: "An ExternalName, and the same name asked for directly",
        asks: &[
            ask(
                Default,
                A,
                "google",
                &[found(
                    "google.default.svc.cluster.local.",
                    &["CNAME www.google.com.", "A 198.51.100.104"],
                    Miss,
                )],
            ),
            ask(
                Default,
                A,
                "www.google.com",
                &[
                    no_name("www.google.com.default.svc.cluster.local.", Miss),
                    no_name("www.google.com.svc.cluster.local.", Miss),
                    no_name("www.google.com.cluster.local.", Miss),
                    found("www.google.com.", &["A 198.51.100.104"], Miss),
                ],
            ),
            ask(Default, A, "www.google.com.", &[found("www.google.com.", &["A 198.51.100.104"], Hit)]),
        ],
    },
    Scene {
        title: "A name that nobody has",
        asks: &[ask(
            Default,
            A,
            "nobody",
            &[
                no_name("nobody.default.svc.cluster.local.", Miss),
                no_name("nobody.svc.cluster.local.", Miss),
                no_name("nobody.cluster.local.", Miss),
                no_name("nobody.", Miss),
            ],
        )],
    },
];

const fn ask(pod: Pod, record_type: RecordType, name: &'static str, tries: &'static [Expected]) -> Ask {
    Ask { pod, transport: Transport::Udp, record_type, name, tries }
}

const fn tcp(ask: Ask) -> Ask {
    Ask { transport: Transport::Tcp, ..ask }
}

const fn found(name: &'static str, answers: &'static [&'static str], source: Source) -> Expected {
    Expected { name, status: "NOERROR", answers, source }
}

const fn no_data(name: &'static str, source: Source) -> Expected {
    Expected { name, status: "NOERROR", answers: &[], source }
}

const fn no_name(name: &'static str, source: Source) -> Expected {
    Expected { name, status: "NXDOMAIN", answers: &[], source }
}
