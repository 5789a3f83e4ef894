//! What is said of a Corefile: it loads, or it is refused with a reason.

use super::fake_host::{COREFILE, first_line, load_lines};

/// Each of these lines loads.
pub(crate) fn all_load(lines: &[&str]) {
    for line in lines {
        load_lines(line).unwrap();
    }
}

/// Each of these lines is refused, in the name of the directive, with a reason that ends so.
pub(crate) fn all_refused(plugin: &str, refused: &[(&str, &str)]) {
    for (lines, reason) in refused {
        let line = first_line(load_lines(lines));
        assert!(line.starts_with(&format!("plugin/{plugin}: {COREFILE}:")), "{lines:?}: {line}");
        assert!(line.ends_with(reason), "{lines:?}: {line}");
    }
}

pub(crate) const MISCOUNT: &str = "Wrong argument count or unexpected line ending after";
