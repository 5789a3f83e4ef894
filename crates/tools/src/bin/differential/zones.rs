//! Zone files: a root, a top-level domain and zones of many shapes. unbound resolves from this
//! root; CoreDNS serves the same zones as the cluster's upstream.

use tools::rng::Rng;

/// Server of the zones.
pub(crate) const AUTHORITATIVE: &str = "127.0.1.1";
/// Server of zones with error responses.
pub(crate) const FAILING: &str = "127.0.1.2";
/// Server without any of these zones.
pub(crate) const WITHOUT_ZONES: &str = "127.0.1.9";

/// TTLs in seconds: 0, below and above CoreDNS's minimum and maximum, and in between.
const TTLS: [u32; 8] = [0, 3, 60, 300, 300, 900, 7200, 86400];

/// RDATA of a host besides addresses; `@` stands for another host.
const RDATA: [(&str, &str); 20] = [
    ("MX", "10 @"),
    ("MX", "20 mail.other.example."),
    ("TXT", r#""v=spf1 -all""#),
    ("TXT", r#""a b" "" "\000\255\"\\""#),
    ("SRV", "0 100 443 @"),
    ("CAA", r#"0 issue "ca.example""#),
    ("CAA", r#"128 tbs "unknown""#),
    ("HTTPS", "1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.1"),
    ("HTTPS", "0 @"),
    ("SVCB", r#"2 @ key65333="\001x""#),
    ("NAPTR", r#"10 100 "S" "SIP+D2U" "" _sip._udp.other.example."#),
    ("NAPTR", r#"20 50 "u" "E2U+sip" "!^.*$!sip:x@example.!" ."#),
    ("LOC", "51 30 12.748 N 0 7 39.612 W 0.00m 0.00m 0.00m 0.00m"),
    ("SSHFP", "4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789"),
    ("TLSA", "3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971"),
    ("HINFO", r#""RISC" "Linux""#),
    ("RP", "admin.shop.example. @"),
    ("AFSDB", "1 @"),
    ("TYPE65280", r"\# 5 0a00c00c01"),
    ("TYPE64999", r"\# 0"),
];

/// A zone file.
#[derive(Debug)]
pub(crate) struct Zone {
    /// Its apex, absolute.
    pub(crate) apex: &'static str,
    /// Its contents.
    pub(crate) text: String,
    /// Absolute owner names with their types.
    pub(crate) owners: Vec<(String, Vec<&'static str>)>,
}

impl Zone {
    fn new(apex: &'static str) -> Self {
        let text = format!(
            "$ORIGIN {apex}\n$TTL 300\n@ 900 IN SOA ns1 hostmaster 2026010100 7200 1800 86400 60\n\
             @ IN NS ns1\nns1 IN A {AUTHORITATIVE}\n"
        );
        let owners = vec![(apex.to_owned(), vec!["SOA", "NS", "A", "MX", "DNSKEY", "DS"])];
        Self { apex, text, owners }
    }

    /// Adds records of one owner and type; `label` is relative to the apex.
    fn add(&mut self, label: &str, ttl: u32, rtype: &'static str, rdata: &[String]) {
        for data in rdata {
            self.text.push_str(&format!("{label} {ttl} IN {rtype} {data}\n"));
        }
        let owner = format!("{label}.{}", self.apex.trim_start_matches('.'));
        match self.owners.iter_mut().find(|(known, _)| *known == owner) {
            Some((_, types)) => types.push(rtype),
            None => self.owners.push((owner, vec![rtype])),
        }
    }

    fn one(&mut self, label: &str, rtype: &'static str, rdata: &str) {
        self.add(label, 300, rtype, &[rdata.to_owned()]);
    }

    fn delegate(&mut self, child: &str, server: &str) {
        self.text.push_str(&format!("{child} 3600 IN NS ns1.{child}\nns1.{child} 3600 IN A {server}\n"));
    }

    /// Adds an RRSIG to every RRset.
    fn sign(&mut self) {
        for (owner, types) in &self.owners {
            for rtype in types {
                self.text.push_str(&format!("{owner} 300 IN RRSIG {rtype} {SIGNATURE}\n"));
            }
        }
    }

    /// `count` hosts named `stem` and a number, with random addresses and other records.
    fn hosts(&mut self, stem: &str, count: usize, rng: &mut Rng) {
        for number in 0..count {
            let label = format!("{stem}{number}");
            let ttl = rng.choose(&TTLS).copied().unwrap_or_default();
            let addresses = (0..rng.below(4)).map(|last| format!("192.0.2.{}", number % 200 + last));
            self.add(&label, ttl, "A", &addresses.collect::<Vec<_>>());
            let ttl = rng.choose(&TTLS).copied().unwrap_or_default();
            let addresses = (0..rng.below(3)).map(|last| format!("2001:db8::{number:x}:{last:x}"));
            self.add(&label, ttl, "AAAA", &addresses.collect::<Vec<_>>());
            for _ in 0..rng.below(6) {
                let ttl = rng.choose(&TTLS).copied().unwrap_or_default();
                let Some((rtype, rdata)) = rng.choose(&RDATA) else { continue };
                // An RRset has one TTL (RFC 2181 section 5.2).
                if !self
                    .owners
                    .iter()
                    .any(|(owner, types)| owner.starts_with(&format!("{label}.")) && types.contains(rtype))
                {
                    let other = format!("{stem}{}", rng.below(count));
                    self.add(&label, ttl, rtype, &[rdata.replace('@', &other)]);
                }
            }
        }
    }
}

/// RDATA of an invalid RRSIG after the covered type: algorithm, labels, TTL, expiration, inception,
/// key tag, signer, signature.
const SIGNATURE: &str = "15 3 300 20361231235959 20260101000000 3613 other.example. AAECAwQFBgcICQoLDA0ODw==";

/// All zones, the root first.
pub(crate) fn zones(rng: &mut Rng) -> Vec<Zone> {
    let mut signed = Zone::new("signed.example.");
    varied(&mut signed, 30, rng);
    let mut bogus = Zone::new("bogus.example.");
    bogus.hosts("host-", 5, rng);
    let mut other = Zone::new("other.example.");
    other.hosts("host-", 40, rng);
    other.sign();
    other.one("mail", "A", "192.0.2.25");
    other.one("back", "CNAME", "host-1.shop.example.");
    let mut new = Zone::new("new.example.");
    new.hosts("host-", 10, rng);
    vec![root(), top(), shop(rng), signed, bogus, other, new]
}

fn root() -> Zone {
    let text = format!(
        ". 86400 IN SOA a.root. hostmaster.root. 2026010100 7200 1800 86400 300\n. 86400 IN NS a.root.\n\
         a.root. 86400 IN A {AUTHORITATIVE}\n"
    );
    let mut zone = Zone { apex: ".", text, owners: vec![(".".to_owned(), vec!["SOA", "NS"])] };
    zone.delegate("example.", AUTHORITATIVE);
    zone
}

fn top() -> Zone {
    let mut zone = Zone::new("example.");
    for child in ["shop", "signed", "bogus", "other", "new"] {
        zone.delegate(&format!("{child}.example."), AUTHORITATIVE);
    }
    for child in ["fails", "refuses", "knows-not", "empty", "no-soa"] {
        zone.delegate(&format!("{child}.example."), FAILING);
    }
    zone.delegate("nobody.example.", WITHOUT_ZONES);
    zone
}

fn shop(rng: &mut Rng) -> Zone {
    let mut zone = Zone::new("shop.example.");
    varied(&mut zone, 150, rng);
    zone.delegate("lame.shop.example.", WITHOUT_ZONES);
    zone.one("old", "DNAME", "new.example.");
    zone.one("olds-alias", "CNAME", "host-1.old.shop.example.");
    for label in [
        "MiXeD",
        "under_score",
        r"sp\032ace",
        r"do\.t",
        r"high\255",
        r"ctl\001\007",
        r"at\@",
        r#"q\"q"#,
        "a.*.b",
    ] {
        zone.one(label, "A", "192.0.2.77");
        zone.one(label, "TXT", r#""odd label""#);
    }
    let long = "l".repeat(63);
    zone.one(&format!("{long}.{long}.{long}"), "A", "192.0.2.63");
    zone.one(&format!("{long}.{long}.{long}"), "MX", &format!("10 {long}.{long}.other.example."));
    zone
}

/// Hosts, CNAME chains, wildcards, empty non-terminals and RRsets of all sizes.
fn varied(zone: &mut Zone, hosts: usize, rng: &mut Rng) {
    zone.hosts("host-", hosts, rng);
    for step in 0..8 {
        zone.one(&format!("chain-{step}"), "CNAME", &format!("chain-{}", step + 1));
    }
    zone.one("chain-8", "CNAME", "host-2.other.example.");
    zone.one("away", "CNAME", "back.other.example.");
    zone.one("dangling", "CNAME", "no-such-host");
    zone.one("outside", "CNAME", "www.no-such-domain.");
    zone.one("to-nobody", "CNAME", "www.nobody.example.");
    zone.one("loop-a", "CNAME", "loop-b");
    zone.one("loop-b", "CNAME", "loop-a");
    for (number, ttl) in TTLS.into_iter().enumerate() {
        zone.add(&format!("alias-{number}"), ttl, "CNAME", &[format!("host-{}", 2 * number)]);
    }
    zone.one("*.wild", "A", "192.0.2.42");
    zone.one("*.wild", "TXT", r#""wild""#);
    zone.one("known.wild", "AAAA", "2001:db8::42");
    zone.one("*.to-host", "CNAME", "host-3");
    zone.one("a.b.c.empty", "A", "192.0.2.43");
    for (number, count) in [20_u8, 28, 29, 30, 31, 60, 72, 73, 74, 75, 120, 250].into_iter().enumerate() {
        let addresses: Vec<String> = (0..count).map(|last| format!("198.51.100.{last}")).collect();
        zone.add(&format!("big-{number}"), 300, "A", &addresses);
        let targets: Vec<String> = (0..count).map(|port| format!("0 1 {port} host-{port}")).collect();
        zone.add(&format!("big-{number}"), 300, "SRV", &targets);
        let text = "x".repeat(usize::from(count));
        let texts: Vec<String> = (0..count / 5).map(|which| format!("\"{which}{text}\"")).collect();
        zone.add(&format!("big-{number}"), 300, "TXT", &texts);
    }
    for (ttl, label) in [(5, "five"), (3600, "hour"), (3601, "longer"), (2_147_483_647, "ever")] {
        zone.add(label, ttl, "A", &["192.0.2.99".to_owned()]);
    }
}
