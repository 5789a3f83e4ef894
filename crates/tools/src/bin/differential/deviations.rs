//! The differences that are meant, each with its reason. A difference that is not in this table is a defect.

/// A difference between an answer of ours and the upstream's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deviation {
    RecursionAvailable,
    OwnOpt,
    UpstreamOptions,
    OwnError,
    UniformTtl,
    LeastTtl,
    GreatestTtl,
    FixedTtl,
    Age,
    DatagramLimit,
    FitsShortened,
    Fuller,
    Sparser,
    Case,
}

/// A line of the table.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) deviation: Deviation,
    /// What is different.
    pub(crate) what: &'static str,
    /// Why it is meant.
    pub(crate) why: &'static str,
}

const fn listed(deviation: Deviation, what: &'static str, why: &'static str) -> Listed {
    Listed { deviation, what, why }
}

/// The table, in the order in which a run reports it.
pub(crate) const LISTED: [Listed; 14] = [
    listed(
        Deviation::RecursionAvailable,
        "RA is set where the upstream left it clear",
        "we offer recursion whoever answers in the end (RFC 1035 section 4.1.1)",
    ),
    listed(
        Deviation::OwnOpt,
        "OPT says 1232 octets where the upstream says something else or has none",
        "OPT is hop by hop and ours says what we take (RFC 6891 sections 6.1.1 and 6.2.3, RFC 9715 section 3.1)",
    ),
    listed(
        Deviation::UpstreamOptions,
        "the upstream's options are not passed on",
        "options are hop by hop (RFC 6891 section 6.1.1)",
    ),
    listed(
        Deviation::OwnError,
        "SERVFAIL carries an extended error of ours",
        "who asks with OPT may know why (RFC 8914 section 2)",
    ),
    listed(
        Deviation::UniformTtl,
        "all records have the smallest TTL of the message",
        "CoreDNS's cache keeps messages, each as long as its shortest record",
    ),
    listed(Deviation::LeastTtl, "a TTL below 5 s is 5 s", "CoreDNS's cache: least TTL of both stores"),
    listed(
        Deviation::GreatestTtl,
        "a TTL above 3600 s, or 1800 s for a denial, is that",
        "CoreDNS's cache: greatest TTL of each store",
    ),
    listed(
        Deviation::FixedTtl,
        "a referral, or a failure that has records, has 5 s",
        "CoreDNS's cache: a fixed life for what has neither answer nor SOA, and `servfail`",
    ),
    listed(
        Deviation::Age,
        "TTLs are lower by the seconds the answer has been kept",
        "RFC 1034 section 4.3.1 step 4: a cache counts them down; an authoritative upstream does not",
    ),
    listed(
        Deviation::DatagramLimit,
        "cut at 1232 octets for a client that would take more",
        "no fragments on any link (RFC 9715 section 3.1)",
    ),
    listed(
        Deviation::FitsShortened,
        "whole where the upstream cut its datagram",
        "it compares letters when it compresses names, for us they are equal in either case (RFC 4343 section 3)",
    ),
    listed(
        Deviation::Fuller,
        "cut as the upstream's, with more records left",
        "clients that do not repeat over TCP get as many whole records as fit (RFC 2181 section 9)",
    ),
    listed(
        Deviation::Sparser,
        "cut where the upstream cut later or not at all, of answers with CNAME, NS, SOA, PTR or MX",
        "names in RDATA keep their letters, so none points into the question, whose letters are the client's",
    ),
    listed(
        Deviation::Case,
        "letters of a name in another case, if the question has capitals",
        "answers are kept as first asked for, and a name may point to an equal one (RFC 4343 section 4.1)",
    ),
];
