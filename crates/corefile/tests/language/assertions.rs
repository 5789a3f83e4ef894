//! Assertions about accepted and rejected Corefiles.

use super::load::{COREFILE, first_line, load_lines};

/// The start of a reason for too few or too many arguments.
pub(crate) const ARGUMENT_COUNT: &str = "Wrong argument count or unexpected line ending after";

/// Each of these lines loads.
pub(crate) fn assert_all_load(lines: &[&str]) {
    for line in lines {
        load_lines(line).unwrap();
    }
}

/// Each of these lines is rejected, in the name of the directive, with an error that ends with the
/// reason.
pub(crate) fn assert_all_rejected(plugin: &str, rejected: &[(&str, &str)]) {
    for (lines, reason) in rejected {
        let line = first_line(load_lines(lines));
        assert!(line.starts_with(&format!("plugin/{plugin}: {COREFILE}:")), "{lines:?}: {line}");
        assert!(line.ends_with(reason), "{lines:?}: {line}");
    }
}

/// Each of these options of `forward` is rejected, at its line, with exactly this reason.
pub(crate) fn assert_forward_options_rejected(rejected: &[(&str, &str)]) {
    for (option, reason) in rejected {
        let reason = format!(":3 - Error during parsing: {reason}");
        assert_all_rejected("forward", &[(&format!("forward . 192.0.2.1 {{\n {option}\n}}"), &reason)]);
    }
}
