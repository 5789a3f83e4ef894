//! Name patterns: which names a rule applies to, and what it makes of them. Names are in presentation
//! format with the trailing dot, as in CoreDNS, which compares texts, not labels.

use regex::Regex;

/// A pattern of `name`, `ttl`, `rcode` and `cname` rules. Texts other than regular expressions are in
/// lower case and end with a dot.
#[derive(Clone, Debug)]
pub enum NamePattern {
    /// The whole name.
    Exact(String),
    /// Its beginning.
    Prefix(String),
    /// Its end.
    Suffix(String),
    /// Any part of it.
    Substring(String),
    /// A match anywhere in it.
    Regex(Regex),
}

impl NamePattern {
    /// True when it matches a name.
    pub(crate) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => name == exact,
            Self::Prefix(prefix) => name.starts_with(prefix),
            Self::Suffix(suffix) => name.ends_with(suffix),
            Self::Substring(substring) => name.contains(substring),
            Self::Regex(regex) => regex.is_match(name),
        }
    }

    /// The name with the matching part replaced by `to`: for a regular expression, the whole name is
    /// replaced. `None` when it does not match.
    pub(crate) fn replace(&self, name: &str, to: &str) -> Option<String> {
        match self {
            Self::Exact(exact) => (name == exact).then(|| to.to_owned()),
            Self::Prefix(prefix) => name.strip_prefix(prefix.as_str()).map(|rest| format!("{to}{rest}")),
            Self::Suffix(suffix) => name.strip_suffix(suffix.as_str()).map(|rest| format!("{rest}{to}")),
            Self::Substring(part) => name.contains(part.as_str()).then(|| name.replace(part.as_str(), to)),
            Self::Regex(regex) => substitute(regex, name, to),
        }
    }
}

/// `to` with `{0}`, `{1}` … replaced by the groups of the first match of `regex`; `None` when it does
/// not match. A group that did not take part in the match is empty.
pub(super) fn substitute(regex: &Regex, name: &str, to: &str) -> Option<String> {
    let groups = regex.captures(name)?;
    let mut result = to.to_owned();
    for (index, group) in groups.iter().enumerate() {
        let group = group.map_or("", |group| group.as_str());
        result = result.replace(&format!("{{{index}}}"), group);
    }
    Some(result)
}
