//! Names of queries in a report, each label replaced by a hash.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Hexadecimal digits of a label.
const DIGITS: usize = 8;

/// Replaces labels by a hash with a salt that is not stored: equal labels remain equal within one report,
/// and cannot be looked up in a list of hashes.
pub(super) struct HashedNames {
    salt: [u8; 16],
    /// Zones whose labels are kept: those of the Corefile, in lower case and with the final dot.
    zones: Vec<String>,
}

impl HashedNames {
    pub(super) fn new(zones: Vec<String>) -> Self {
        Self { salt: rand::random(), zones }
    }

    /// Replaces every field `name` that holds a text.
    pub(super) fn replace_in(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (field, content) in fields {
                    match content {
                        Value::String(name) if field == "name" => *name = self.hashed(name),
                        content => self.replace_in(content),
                    }
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.replace_in(value)),
            _ => {}
        }
    }

    fn hashed(&self, name: &str) -> String {
        if name == "." {
            return name.to_owned();
        }
        let is_below = |zone: &&String| {
            let rest = name.strip_suffix(zone.as_str());
            **zone != "." && rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let zone = self.zones.iter().filter(is_below).max_by_key(|zone| zone.len());
        let zone = zone.map_or("", String::as_str);
        let rest = name.strip_suffix(zone).unwrap_or(name);
        let labels = rest.split_terminator('.').map(|label| self.label(label) + ".");
        labels.collect::<String>() + zone
    }

    fn label(&self, label: &str) -> String {
        let digest = Sha256::new().chain_update(self.salt).chain_update(label).finalize();
        digest.iter().take(DIGITS / 2).map(|octet| format!("{octet:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_outside_of_the_zones_are_hashed_and_equal_ones_stay_equal() {
        let names = HashedNames::new(vec!["cluster.local.".to_owned(), ".".to_owned()]);
        let mut report = json!({ "names": [
            { "name": "shop.prod.svc.cluster.local.", "type": "A" },
            { "name": "shop.example.", "type": "AAAA" },
            { "name": "cluster.local." },
            { "name": "." },
        ] });
        names.replace_in(&mut report);
        let name = |at: usize| report["names"][at]["name"].as_str().unwrap();
        assert!(name(0).ends_with(".cluster.local.") && !report.to_string().contains("shop"), "{report}");
        assert_eq!(name(0)[..DIGITS], name(1)[..DIGITS]);
        assert_eq!(name(1).split_terminator('.').map(str::len).collect::<Vec<_>>(), [DIGITS, DIGITS]);
        assert_eq!((name(2), name(3), &report["names"][1]["type"]), ("cluster.local.", ".", &json!("AAAA")));
    }
}
