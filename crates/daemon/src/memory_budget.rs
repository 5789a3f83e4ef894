//! How much memory the cache may have.

use std::fs;

/// When nothing limits the process. A full cache of CoreDNS's default size, 10,000 answers per zone, fits.
const UNLIMITED: u64 = 64 << 20;
/// The cache's part of the memory the process may use; connections, questions and the program are the rest.
const PART: u64 = 3;
/// Below this a cache is not worth having.
const LEAST: u64 = 1 << 20;

/// The limit of the control group, of version 2 or 1, as a container sees it.
const LIMIT_FILES: [&str; 2] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// Octets for the cache: what the operator says, else a third of the control group's limit, at most 64 MiB.
pub(crate) fn cache_bytes(wanted: Option<u64>) -> u64 {
    wanted.unwrap_or_else(|| of_limit(LIMIT_FILES.iter().find_map(|path| limit_in(path))))
}

fn limit_in(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn of_limit(limit: Option<u64>) -> u64 {
    limit.map_or(UNLIMITED, |limit| (limit / PART).clamp(LEAST, UNLIMITED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_takes_a_third_of_a_small_container() {
        assert_eq!(of_limit(Some(30 << 20)), 10 << 20);
    }

    #[test]
    fn a_huge_limit_is_no_reason_for_a_huge_cache() {
        assert_eq!(of_limit(Some(u64::MAX)), UNLIMITED);
        assert_eq!(of_limit(None), UNLIMITED);
    }
}
