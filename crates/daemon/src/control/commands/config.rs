//! `nodelocaldns config`: the Corefile and the flags in effect.

use serde_json::Value;

use super::output::{field, list};

/// For people: flags and comments as comment lines of the Corefile that follows, so that the output can
/// be loaded again.
pub(super) fn text(config: &Value) -> String {
    let mut text =
        format!("# Corefile: {}\n# SHA512 {}\n", field(config, "/source"), field(config, "/sha512"));
    for (name, value) in config.pointer("/flags").and_then(Value::as_object).into_iter().flatten() {
        if let Some(value) = value.as_str().filter(|value| !value.is_empty()) {
            text += &format!("# -{name}={value}\n");
        }
    }
    for warning in list(config, "/warnings").iter().filter_map(Value::as_str) {
        text += &format!("# warning: {}\n", warning.replace('\n', " "));
    }
    text += &field(config, "/corefile");
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
