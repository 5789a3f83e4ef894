//! Validity of link names.

/// Maximum octets of a link's name (IFNAMSIZ - 1).
pub(super) const MAX_OCTETS: usize = 15;

/// The kernel's rule (`dev_valid_name`), checked here because the kernel's error has no reason.
pub(super) fn is_valid(name: &str) -> bool {
    (1..=MAX_OCTETS).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c == '\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_kernels_rule() {
        for good in ["nodelocaldns", "a", "fifteen-octets-", "..."] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["", "sixteen-octets--", ".", "..", "a/b", "a:b", "a b", "a\0b"] {
            assert!(!is_valid(bad), "{bad:?}");
        }
    }
}
