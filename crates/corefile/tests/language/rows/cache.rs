//! Rows of `cache`.

use corefile::Settings;
use resolver::policy::{CacheOptions, StoreOptions};

use super::{Rows, assert_rows, join, names, when};

fn show(settings: &Settings) -> String {
    settings.blocks[0].cache.as_ref().map(cache).unwrap_or_default()
}

/// Zones, each store with capacity, maximum and minimum TTL, the TTL of SERVFAIL, and options.
fn cache(cache: &CacheOptions) -> String {
    let store = |store: &StoreOptions| {
        let disabled = when(!store.disabled.is_empty(), &format!("[-{}]", names(&store.disabled)));
        format!("{}/{}/{}{disabled}", store.capacity, store.max_ttl, store.min_ttl)
    };
    let prefetch = cache.prefetch.map(|prefetch| {
        format!("prefetch {}/{:?}/{}%", prefetch.amount, prefetch.duration, prefetch.percent)
    });
    let stale = cache.serve_stale.map(|stale| {
        let policy = when(stale.prefer_positive, " prefer_positive");
        format!(
            "stale {:?}/{:?}/{}/{:?}{policy}",
            stale.duration, stale.mode, stale.ttl, stale.failure_recheck
        )
    });
    join(&[
        names(&cache.zones),
        store(&cache.success),
        store(&cache.denial),
        format!("{:?}", cache.servfail),
        when(cache.keep_ttl, "keepttl"),
        when(cache.authoritative, "authoritative"),
        when(!cache.nxdomain_cut.is_empty(), &format!("cut[{}]", names(&cache.nxdomain_cut))),
        prefetch.unwrap_or_default(),
        stale.unwrap_or_default(),
    ])
}

#[test]
fn rows_of_cache() {
    assert_rows("cache", CACHE, show);
}

#[rustfmt::skip]
const CACHE: &Rows = &[
    ("cache", "= . 9984/3600/5 9984/1800/5 5s"),
    ("cache 30", "= . 9984/30/5 9984/30/5 5s"),
    ("cache 1", "= . 9984/1/1 9984/1/1 5s"),
    ("cache 0", "2: cache TTL can not be zero or negative: 0"),
    ("cache -1", "2: cache TTL can not be zero or negative: -1"),
    ("cache 30 a.test", "= a.test. 9984/30/5 9984/30/5 5s"),
    ("cache a.test b.test", "= a.test. b.test. 9984/3600/5 9984/1800/5 5s"),
    ("cache a.TEST 10.0.0.0/24", "= a.test. 0.0.10.in-addr.arpa. 9984/3600/5 9984/1800/5 5s"),
    ("cache 30 a..test", "2: zone is not a valid domain name: a..test (a label is empty)"),
    ("cache 2147483647", "= . 9984/2147483647/5 9984/2147483647/5 5s"),
    ("cache 2147483648", "2: a TTL of 2147483648 seconds does not fit in 31 bits"),
    ("cache 3.5", "= 3.5. 9984/3600/5 9984/1800/5 5s"),
    ("cache 30 {", "3: Unexpected token '}', expecting '}'"),
    ("cache / cache", "3: this plugin can only be used once per Server Block"),
    ("cache 10 {}", "2: missing space between '{' and '}'"),
    ("cache { / success / }", "3: Wrong argument count or unexpected line ending after 'success'"),
    ("cache { / success 100 / }", "= . 1024/3600/5 9984/1800/5 5s"),
    ("cache { / success 10000 / }", "= . 9984/3600/5 9984/1800/5 5s"),
    ("cache { / success 1024 / }", "= . 1024/3600/5 9984/1800/5 5s"),
    ("cache { / success 65536 30 / }", "= . 65536/30/5 9984/1800/5 5s"),
    ("cache { / success 9984 30 5 / }", "= . 9984/30/5 9984/1800/5 5s"),
    ("cache { / success 9984 30 30 / }", "= . 9984/30/30 9984/1800/5 5s"),
    ("cache { / success 9984 30 60 / }", "= . 9984/30/30 9984/1800/5 5s"),
    ("cache { / success 9984 0 / }", "3: cache TTL can not be zero or negative: 0"),
    ("cache { / success 9984 -1 / }", "3: cache TTL can not be zero or negative: -1"),
    ("cache { / success 9984 30 -1 / }", "3: cache min TTL can not be negative: -1"),
    ("cache { / success 9984 30 0 / }", "= . 9984/30/0 9984/1800/5 5s"),
    ("cache { / success x / }", "3: 'x' is not a whole number"),
    ("cache { / success 9984 x / }", "3: 'x' is not a whole number"),
    ("cache { / success 9984 30 x / }", "3: 'x' is not a whole number"),
    ("cache { / success 1 2 3 4 / }", "3: Wrong argument count or unexpected line ending after '4'"),
    ("cache { / success -1 / }", "= . 1024/3600/5 9984/1800/5 5s"),
    ("cache { / success 9984 30 / success 100 / }", "= . 1024/30/5 9984/1800/5 5s"),
    ("cache { / denial / }", "3: Wrong argument count or unexpected line ending after 'denial'"),
    ("cache { / denial 9984 5 / }", "= . 9984/3600/5 9984/5/5 5s"),
    ("cache { / denial 9984 5 0 / }", "= . 9984/3600/5 9984/5/0 5s"),
    ("cache { / denial 100 1 1 1 / }", "3: Wrong argument count or unexpected line ending after '1'"),
    ("cache { / denial x / }", "3: 'x' is not a whole number"),
    ("cache { / denial 9984 0 / }", "3: cache TTL can not be zero or negative: 0"),
    ("cache { / prefetch / }", "3: Wrong argument count or unexpected line ending after 'prefetch'"),
    ("cache { / prefetch 10 / }", "= . 9984/3600/5 9984/1800/5 5s prefetch 10/60s/10%"),
    ("cache { / prefetch 10 1m / }", "= . 9984/3600/5 9984/1800/5 5s prefetch 10/60s/10%"),
    ("cache { / prefetch 10 1m 20% / }", "= . 9984/3600/5 9984/1800/5 5s prefetch 10/60s/20%"),
    ("cache { / prefetch 0 / }", "= . 9984/3600/5 9984/1800/5 5s"),
    ("cache { / prefetch -1 / }", "3: prefetch amount should be positive: -1"),
    ("cache { / prefetch x / }", "3: 'x' is not a whole number"),
    ("cache { / prefetch 10 1 / }", "3: time: missing unit in duration \"1\" (a number and one of ns us ms s m h)"),
    ("cache { / prefetch 10 1m 9% / }", "3: percentage should fall in range [10, 90]: 9"),
    ("cache { / prefetch 10 1m 91% / }", "3: percentage should fall in range [10, 90]: 91"),
    ("cache { / prefetch 10 1m 10 / }", "3: last character of percentage should be `%`, but is: '0'"),
    ("cache { / prefetch 10 1m 10% x / }", "3: Wrong argument count or unexpected line ending after 'x'"),
    ("cache { / prefetch 10 0 90% / }", "= . 9984/3600/5 9984/1800/5 5s prefetch 10/0ns/90%"),
    ("cache { / serve_stale / }", "= . 9984/3600/5 9984/1800/5 5s stale 3600s/Immediate/0/0ns"),
    ("cache { / serve_stale 20m / }", "= . 9984/3600/5 9984/1800/5 5s stale 1200s/Immediate/0/0ns"),
    ("cache { / serve_stale 1h20m / }", "= . 9984/3600/5 9984/1800/5 5s stale 4800s/Immediate/0/0ns"),
    ("cache { / serve_stale 0 / }", "= . 9984/3600/5 9984/1800/5 5s"),
    ("cache { / serve_stale 20 / }", "3: time: missing unit in duration \"20\" (a number and one of ns us ms s m h)"),
    ("cache { / serve_stale -20m / }", "3: invalid negative duration for serve_stale"),
    ("cache { / serve_stale aa / }", "3: time: invalid duration \"aa\""),
    ("cache { / serve_stale 1h immediate / }", "= . 9984/3600/5 9984/1800/5 5s stale 3600s/Immediate/0/0ns"),
    ("cache { / serve_stale 1h IMMEDIATE / }", "= . 9984/3600/5 9984/1800/5 5s stale 3600s/Immediate/0/0ns"),
    ("cache { / serve_stale 1h verify / }", "= . 9984/3600/5 9984/1800/5 5s stale 3600s/Verify(0ns)/0/0ns"),
    ("cache { / serve_stale 1h Verify 500ms / }", "= . 9984/3600/5 9984/1800/5 5s stale 3600s/Verify(500ms)/0/0ns"),
    ("cache { / serve_stale 1h verify 500ms 30 / }", "3: invalid serve_stale response TTL: time: missing unit in duration \"30\" (a number and one of ns us ms s m h)"),
    ("cache { / serve_stale 1h verify 500ms 30 10s / }", "3: invalid serve_stale response TTL: time: missing unit in duration \"30\" (a number and one of ns us ms s m h)"),
    ("cache { / serve_stale 1h immediate 30 / }", "3: invalid serve_stale response TTL: time: missing unit in duration \"30\" (a number and one of ns us ms s m h)"),
    ("cache { / serve_stale 1h immediate 30 10s / }", "3: invalid serve_stale response TTL: time: missing unit in duration \"30\" (a number and one of ns us ms s m h)"),
    ("cache { / serve_stale 1h immediate 30s / }", "= . 9984/3600/5 9984/1800/5 5s stale 3600s/Immediate/30/0ns"),
    ("cache { / serve_stale 1h immediate -1 / }", "3: invalid serve_stale response TTL: time: missing unit in duration \"-1\" (a number and one of ns us ms s m h)"),
    ("cache { / serve_stale 1h immediate 30 6m / }", "3: invalid serve_stale response TTL: time: missing unit in duration \"30\" (a number and one of ns us ms s m h)"),
    ("cache { / serve_stale 1h later / }", "3: invalid value for serve_stale refresh mode: later"),
    ("cache { / serve_stale 1h verify -1s / }", "3: invalid negative timeout for serve_stale verify"),
    ("cache { / serve_stale 1h verify 1s 1 1s 1 / }", "3: Wrong argument count or unexpected line ending after '1'"),
    ("cache { / serve_stale 1h immediate 4294967295 / }", "3: invalid serve_stale response TTL: time: missing unit in duration \"4294967295\" (a number and one of ns us ms s m h)"),
    ("cache { / serve_stale 1h immediate 4294967296 / }", "3: invalid serve_stale response TTL: time: missing unit in duration \"4294967296\" (a number and one of ns us ms s m h)"),
    ("cache { / serve_stale / serve_stale_policy prefer_positive / }", "= . 9984/3600/5 9984/1800/5 5s stale 3600s/Immediate/0/0ns prefer_positive"),
    ("cache { / serve_stale_policy prefer_positive / }", "3: serve_stale_policy requires serve_stale"),
    ("cache { / serve_stale / serve_stale_policy / }", "4: Wrong argument count or unexpected line ending after 'serve_stale_policy'"),
    ("cache { / serve_stale / serve_stale_policy foo / }", "4: invalid serve_stale_policy: foo"),
    ("cache { / serve_stale / serve_stale_policy prefer_positive x / }", "4: Wrong argument count or unexpected line ending after 'x'"),
    ("cache { / servfail 1s / }", "= . 9984/3600/5 9984/1800/5 1s"),
    ("cache { / servfail 0 / }", "= . 9984/3600/5 9984/1800/5 0ns"),
    ("cache { / servfail 5m / }", "= . 9984/3600/5 9984/1800/5 300s"),
    ("cache { / servfail 6m / }", "3: caching SERVFAIL responses over 5 minutes is not permitted"),
    ("cache { / servfail -1s / }", "3: invalid negative ttl for servfail"),
    ("cache { / servfail 5 / }", "3: time: missing unit in duration \"5\" (a number and one of ns us ms s m h)"),
    ("cache { / servfail / }", "3: Wrong argument count or unexpected line ending after 'servfail'"),
    ("cache { / servfail 1s 1s / }", "3: Wrong argument count or unexpected line ending after '1s'"),
    ("cache { / disable success / }", "= . 9984/3600/5[-.] 9984/1800/5 5s"),
    ("cache { / disable denial / }", "= . 9984/3600/5 9984/1800/5[-.] 5s"),
    ("cache { / disable success a.test b.test / }", "= . 9984/3600/5[-a.test. b.test.] 9984/1800/5 5s"),
    ("cache { / disable / }", "3: Wrong argument count or unexpected line ending after 'disable'"),
    ("cache { / disable foo / }", "3: cache type for disable must be \"success\" or \"denial\""),
    ("cache { / disable success / disable denial / }", "= . 9984/3600/5[-.] 9984/1800/5[-.] 5s"),
    ("cache { / keepttl / }", "= . 9984/3600/5 9984/1800/5 5s keepttl"),
    ("cache { / keepttl 1 / }", "3: Wrong argument count or unexpected line ending after '1'"),
    ("cache { / authoritative / }", "= . 9984/3600/5 9984/1800/5 5s authoritative"),
    ("cache { / authoritative on / }", "3: Wrong argument count or unexpected line ending after 'on'"),
    ("cache a.test { / nxdomain_cut / }", "= a.test. 9984/3600/5 9984/1800/5 5s cut[a.test.]"),
    ("cache { / nxdomain_cut a.test b.test / }", "= . 9984/3600/5 9984/1800/5 5s cut[a.test. b.test.]"),
    ("cache a.test { / nxdomain_cut b.a.test / }", "= a.test. 9984/3600/5 9984/1800/5 5s cut[b.a.test.]"),
    ("cache a.test { / nxdomain_cut b.test / }", "3: nxdomain_cut for b.test., which is in no zone of cache; name zones that are cached, or none"),
    ("cache { / nxdomain_cut / }", "3: nxdomain_cut for the root zone, where many servers deny names below which others exist; name the zone of the cluster"),
    ("cache { / nxdomain_cut a..test / }", "3: zone is not a valid domain name: a..test (a label is empty)"),
    ("cache { / prefech 10 / }", "3: Wrong argument count or unexpected line ending after 'prefech'"),
    ("cache { / { x / }", "3: nested block not allowed: an option has no block of its own"),
    ("cache { / success 100 { / } / }", "3: nested block not allowed: an option has no block of its own"),
];
