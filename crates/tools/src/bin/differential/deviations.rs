//! The intended differences, each with its reason. Any other difference is a defect.

/// A difference between our response and the upstream's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deviation {
    RecursionAvailable,
    OwnOpt,
    UpstreamOptions,
    OwnExtendedError,
    FailureRecords,
    UniformTtl,
    SoaMinimum,
    MinTtl,
    MaxTtl,
    FixedTtl,
    Age,
    DatagramLimit,
    FitsCompressed,
    Fuller,
    Sparser,
    Case,
}

/// A line of the table.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) deviation: Deviation,
    /// The difference.
    pub(crate) difference: &'static str,
    /// Its reason.
    pub(crate) reason: &'static str,
}

const fn listed(deviation: Deviation, difference: &'static str, reason: &'static str) -> Listed {
    Listed { deviation, difference, reason }
}

/// The table, in the order of the report.
pub(crate) const LISTED: [Listed; 16] = [
    listed(
        Deviation::RecursionAvailable,
        "RA is set, the upstream has it clear",
        "recursion is available from us, whichever upstream responds (RFC 1035 section 4.1.1)",
    ),
    listed(
        Deviation::OwnOpt,
        "OPT has 1232 octets, the upstream another size or no OPT",
        "OPT is hop by hop, and ours has our payload size (RFC 6891 sections 6.1.1 and 6.2.3, RFC 9715 section 3.1)",
    ),
    listed(
        Deviation::UpstreamOptions,
        "the upstream's options are not relayed",
        "options are hop by hop (RFC 6891 section 6.1.1)",
    ),
    listed(
        Deviation::OwnExtendedError,
        "SERVFAIL has an EDE of ours",
        "clients with OPT learn the reason (RFC 8914 section 2)",
    ),
    listed(
        Deviation::FailureRecords,
        "SERVFAIL and NOTIMP have no records",
        "a failure says nothing about its records (RFC 2308 section 7.1)",
    ),
    listed(
        Deviation::UniformTtl,
        "all records have the minimum TTL of the message",
        "CoreDNS's cache stores messages, each for the minimum TTL of its records",
    ),
    listed(
        Deviation::SoaMinimum,
        "the TTL of a denial is at most MINIMUM of its SOA",
        "the TTL of negative responses (RFC 2308 section 5)",
    ),
    listed(Deviation::MinTtl, "a TTL below 5 s is 5 s", "CoreDNS's cache: minimum TTL of both stores"),
    listed(
        Deviation::MaxTtl,
        "a TTL above 3600 s, or 1800 s for a denial, is capped",
        "CoreDNS's cache: maximum TTL of each store",
    ),
    listed(
        Deviation::FixedTtl,
        "the TTL of a referral, or of what is not cached, is 5 s",
        "CoreDNS's cache: a fixed TTL without answer and SOA",
    ),
    listed(
        Deviation::Age,
        "TTLs are reduced by the age of the entry",
        "RFC 1034 section 4.3.1 step 4: a cache reduces TTLs; an authoritative upstream does not",
    ),
    listed(
        Deviation::DatagramLimit,
        "truncated at 1232 octets for a client with a larger payload size",
        "no fragmentation on any link (RFC 9715 section 3.1)",
    ),
    listed(
        Deviation::FitsCompressed,
        "whole, the upstream's datagram is truncated",
        "name compression of the upstream is case-sensitive, ours is not (RFC 4343 section 3)",
    ),
    listed(
        Deviation::Fuller,
        "truncated as the upstream's, with more records",
        "clients that do not retry over TCP get as many whole records as fit (RFC 2181 section 9)",
    ),
    listed(
        Deviation::Sparser,
        "truncated earlier than the upstream's, with CNAME, NS, SOA, PTR or MX records",
        "names in RDATA keep their case, so none is a pointer to QNAME, which has the client's case",
    ),
    listed(
        Deviation::Case,
        "a name has another case, if QNAME has capitals",
        "entries have the case of the first query, and a name may be a pointer to an equal one (RFC 4343 section 4.1)",
    ),
];
