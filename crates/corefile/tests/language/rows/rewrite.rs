//! Rows of `rewrite`.

use corefile::Settings;

use super::{Rows, assert_rows, when};

/// Each rule: its field, and `continue`.
fn rules(settings: &Settings) -> String {
    let rules = settings.blocks[0].rewrites.iter().map(|rule| {
        let field = format!("{:?}", rule.field);
        let field = field.split([' ', '(', '{']).next().unwrap_or_default().to_owned();
        format!("{field}{}", when(rule.continues, " continue"))
    });
    rules.collect::<Vec<_>>().join(" | ")
}

#[test]
fn rows_of_rewrite() {
    assert_rows("rewrite", REWRITE, rules);
}

#[rustfmt::skip]
const REWRITE: &Rows = &[
    ("rewrite", "2: no rule type specified for rewrite"),
    ("rewrite name", "2: too few arguments for a name rule"),
    ("rewrite name a.test", "2: too few arguments for a name rule"),
    ("rewrite name a.test b.test", "= Name"),
    ("rewrite stop name a.test b.test", "= Name"),
    ("rewrite continue name a.test b.test", "= Name continue"),
    ("rewrite name exact a.test b.test", "= Name"),
    ("rewrite name prefix a b", "= Name"),
    ("rewrite name suffix .a.test .b.test", "= Name"),
    ("rewrite name substring a b", "= Name"),
    ("rewrite name regex (.*)[.]a[.]test {1}.b.test", "= Name"),
    ("rewrite name regex (.*)[.]a {2}.b", "= Name"),
    ("rewrite name regex ( b", "2: invalid regex matching pattern: regex parse error:"),
    ("rewrite name foo a b", "2: name rule supports only exact, prefix, suffix, substring, and regex name matching, received: foo"),
    ("rewrite name a b c", "2: name rule supports only exact, prefix, suffix, substring, and regex name matching, received: a"),
    ("rewrite name regex (.*)a {1}b answer auto", "= Name"),
    ("rewrite name regex (.*)a {1}b answer name (.*)b {1}a", "= Name"),
    ("rewrite name regex (.*)a {1}b answer name (.*)b {1}a answer value (.*)b {1}a", "= Name"),
    ("rewrite name suffix a b answer auto", "= Name"),
    ("rewrite name regex a b answer foo", "2: invalid type \"foo\" for answer rule for regex rule"),
    ("rewrite name regex a b answer", "2: invalid arguments for regex rule"),
    ("rewrite type A AAAA", "= Type"),
    ("rewrite type a aaaa", "= Type"),
    ("rewrite type A", "2: type rules must have exactly two arguments"),
    ("rewrite type FOO A", "2: invalid type \"FOO\""),
    ("rewrite type A AAAA MX", "2: type rules must have exactly two arguments"),
    ("rewrite class CH IN", "= Class"),
    ("rewrite class FOO IN", "2: invalid class \"FOO\""),
    ("rewrite class CH", "2: class rules must have exactly two arguments"),
    ("rewrite ttl a.test 30", "= Ttl"),
    ("rewrite ttl exact a.test 30-300", "= Ttl"),
    ("rewrite ttl suffix a.test -300", "= Ttl"),
    ("rewrite ttl regex a 30-", "= Ttl"),
    ("rewrite ttl a.test", "2: too few (1) arguments for a ttl rule"),
    ("rewrite ttl a.test x", "2: invalid TTL 'x' for a ttl rule"),
    ("rewrite ttl a.test 300-30", "2: invalid TTL '300-30' for a ttl rule"),
    ("rewrite ttl a.test -", "2: invalid TTL '-' for a ttl rule"),
    ("rewrite rcode a.test NXDOMAIN NOERROR", "= Rcode"),
    ("rewrite rcode exact a.test NXDOMAIN NOERROR", "= Rcode"),
    ("rewrite rcode a.test FOO NOERROR", "2: invalid matching RCODE 'FOO' for a rcode rule"),
    ("rewrite rcode a.test NXDOMAIN", "2: too few (2) arguments for a rcode rule"),
    ("rewrite cname exact a.test b.test", "= CnameTarget"),
    ("rewrite cname a.test b.test", "= CnameTarget"),
    ("rewrite cname a.test", "2: too few (1) arguments for a cname rule"),
    ("rewrite edns0", "2: too few arguments for an EDNS0 rule"),
    ("rewrite edns0 local set 0xffee 0x61", "= Option"),
    ("rewrite edns0 local set 65000 abc", "= Option"),
    ("rewrite edns0 local append 0xffee abc", "= Option"),
    ("rewrite edns0 local replace 0xffee abc", "= Option"),
    ("rewrite edns0 local unset 0xffee", "= Option"),
    ("rewrite edns0 local foo 0xffee abc", "2: invalid action: \"foo\""),
    ("rewrite edns0 local set x abc", "2: 'x' is not a number from 0 to 65535"),
    ("rewrite edns0 local set 0xffee 0xzz", "2: '0xzz' is not a whole number of octets"),
    ("rewrite edns0 local set 0xffee", "2: EDNS0 local rules require exactly three args"),
    ("rewrite edns0 local set 0xffee {client_ip}", "= Option"),
    ("rewrite edns0 local set 0xffee {foo}", "2: unsupported variable name \"{foo}\""),
    ("rewrite edns0 local set 0xffee abc revert", "= Option"),
    ("rewrite edns0 nsid set", "= Option"),
    ("rewrite edns0 nsid unset", "= Option"),
    ("rewrite edns0 nsid", "2: too few arguments for an EDNS0 rule"),
    ("rewrite edns0 subnet set 24 56", "= Option"),
    ("rewrite edns0 subnet set 33 56", "2: invalid IPv4 bit mask length 33"),
    ("rewrite edns0 subnet set 24 129", "2: invalid IPv6 bit mask length 129"),
    ("rewrite edns0 subnet set 24", "2: EDNS0 subnet rules require exactly three args"),
    ("rewrite edns0 foo set", "2: invalid rule type \"foo\""),
    ("rewrite foo a b", "2: invalid rule type \"foo\""),
    ("rewrite stop", "2: no rule type specified for rewrite"),
    ("rewrite { / name a b / }", "= Name"),
    ("rewrite continue { / name a b / }", "= Name continue"),
    ("rewrite stop { / type A AAAA / }", "= Type"),
    ("rewrite / rewrite name a b", "2: no rule type specified for rewrite"),
];
