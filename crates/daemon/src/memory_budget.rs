//! Memory budget: the capacity of the cache from `-cache-bytes` or the cgroup limit.

use std::fs;

/// Without a limit. A full cache of CoreDNS's default size, 10,000 entries per zone, fits.
const UNLIMITED: u64 = 64 << 20;
/// The cache gets this fraction of the limit; connections, in-flight queries and the program need
/// the rest.
const LIMIT_DIVISOR: u64 = 3;
/// A cache below this size is of no use.
const MIN_CACHE: u64 = 1 << 20;

/// The memory limit of cgroup v2 or v1, as seen from inside a container.
const LIMIT_FILES: [&str; 2] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// Octets for the cache: as configured, else a third of the cgroup limit, at most 64 MiB.
pub(crate) fn cache_bytes(configured: Option<u64>) -> u64 {
    configured.unwrap_or_else(|| share_of(LIMIT_FILES.iter().find_map(|path| read_limit(path))))
}

fn read_limit(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn share_of(limit: Option<u64>) -> u64 {
    limit.map_or(UNLIMITED, |limit| (limit / LIMIT_DIVISOR).clamp(MIN_CACHE, UNLIMITED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_gets_a_third_of_a_small_limit() {
        assert_eq!(share_of(Some(30 << 20)), 10 << 20);
    }

    #[test]
    fn the_cache_gets_at_most_64_mib() {
        assert_eq!(share_of(Some(u64::MAX)), UNLIMITED);
        assert_eq!(share_of(None), UNLIMITED);
    }
}
