//! Memory limit of this process's cgroup, version 2 or 1.

use std::fs;
use std::path::{Path, PathBuf};

/// Version 1 without a limit shows the maximum of a signed integer, rounded down to pages.
const NO_LIMIT: u64 = 1 << 62;

/// What a line of `/proc/self/cgroup` says: where the limit is, and in which files. `memory.high`
/// throttles a process, which delays responses.
struct Hierarchy<'a> {
    root: &'static str,
    /// Of the process, below the root.
    path: &'a str,
    limits: &'static [&'static str],
}

/// The lowest limit of the cgroup and those above it. In a container the root is usually the
/// container's own.
pub(super) fn memory_limit() -> Option<u64> {
    let membership = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    limit_files(&membership).iter().filter_map(|path| read_limit(path)).min()
}

fn limit_files(membership: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for Hierarchy { root, path, limits } in membership.lines().filter_map(hierarchy) {
        for cgroup in Path::new(path.trim_start_matches('/')).ancestors() {
            files.extend(limits.iter().map(|limit| Path::new(root).join(cgroup).join(limit)));
        }
    }
    files
}

/// `0::PATH` for version 2, `NUMBER:CONTROLLERS:PATH` for version 1.
fn hierarchy(line: &str) -> Option<Hierarchy<'_>> {
    let mut fields = line.splitn(3, ':');
    let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    if (number, controllers) == ("0", "") {
        return Some(Hierarchy { root: "/sys/fs/cgroup", path, limits: &["memory.max", "memory.high"] });
    }
    let is_memory = controllers.split(',').any(|controller| controller == "memory");
    let root = "/sys/fs/cgroup/memory";
    is_memory.then_some(Hierarchy { root, path, limits: &["memory.limit_in_bytes"] })
}

/// None without a limit, and for a file that does not exist.
fn read_limit(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok().filter(|limit| *limit < NO_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_2_has_its_limits_in_the_cgroup_and_above() {
        let files = limit_files("0::/kubepods/pod1\n");
        let expected = [
            "/sys/fs/cgroup/kubepods/pod1/memory.max",
            "/sys/fs/cgroup/kubepods/pod1/memory.high",
            "/sys/fs/cgroup/kubepods/memory.max",
            "/sys/fs/cgroup/kubepods/memory.high",
            "/sys/fs/cgroup/memory.max",
            "/sys/fs/cgroup/memory.high",
        ];
        assert_eq!(files, expected.map(PathBuf::from));
    }

    #[test]
    fn version_1_has_its_limit_in_the_memory_hierarchy() {
        let files = limit_files("5:cpu,cpuacct:/a\n4:memory:/a\n0::/\n");
        let expected = [
            "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory.max",
            "/sys/fs/cgroup/memory.high",
        ];
        assert_eq!(files, expected.map(PathBuf::from));
    }

    #[test]
    fn other_lines_are_ignored() {
        assert_eq!(limit_files("\nnonsense\n7:name=systemd:/\n"), Vec::<PathBuf>::new());
    }

    #[test]
    fn no_limit_is_none() {
        let path = std::env::temp_dir().join(format!("nodelocaldns-limit-{}", std::process::id()));
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            read_limit(&path)
        };
        assert_eq!((read("134217728\n"), read("max\n")), (Some(128 << 20), None));
        assert_eq!(read("9223372036854771712\n"), None);
        fs::remove_file(&path).unwrap();
        assert_eq!(read_limit(&path), None);
    }
}
