//! Control protocol: requests as JSON.

use std::net::{IpAddr, SocketAddr};

use serde_json::{Value, json};
use wire::header::RecordType;
use wire::name::Name;

/// Octets of a request, newline included. The longest has a name of 1,004 characters: each octet of
/// 250 escaped, and the escapes of it in JSON.
pub(super) const MAX_REQUEST_LEN: usize = 4096;

/// A request to the active instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// For the state of the instance.
    Status,
    /// For the Corefile and flags in effect.
    Config,
    /// For cache entries, without their records.
    CacheList(CacheNames, EntryLimit),
    /// For cache entries with their records.
    CacheGet(CacheNames),
    /// To remove cache entries.
    CacheFlush(CacheNames),
    /// For the page of `/metrics`.
    Metrics,
    /// For statistics of names and clients, the first so many of each list.
    Insight(u64),
    /// To send a query to a listener of the instance, the first unless one is named.
    Query(Name, RecordType, Option<SocketAddr>),
    /// For queries and responses as they pass, of one client or of all, below a name or all.
    Trace(Option<IpAddr>, Option<Name>),
}

/// Cache entries by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CacheNames {
    /// All.
    All,
    /// A name.
    Name(Name),
    /// A name and those below it.
    Zone(Name),
}

/// The most entries that are listed; 0 is no limit.
pub(crate) type EntryLimit = u64;

impl CacheNames {
    /// True for a name in wire form and lower case.
    pub(crate) fn include(&self, name: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Name(wanted) => wanted.as_wire() == name,
            Self::Zone(zone) => zone.covers(name),
        }
    }

    fn parse(value: &Value) -> Result<Self, String> {
        match (name(value, "name")?, name(value, "zone")?) {
            (Some(name), None) => Ok(Self::Name(name)),
            (None, Some(zone)) => Ok(Self::Zone(zone)),
            (None, None) => Ok(Self::All),
            (Some(_), Some(_)) => Err("both \"name\" and \"zone\"".to_owned()),
        }
    }

    fn value(&self, command: &str) -> Value {
        match self {
            Self::All => json!({ "command": command }),
            Self::Name(name) => json!({ "command": command, "name": name.to_string() }),
            Self::Zone(zone) => json!({ "command": command, "zone": zone.to_string() }),
        }
    }
}

impl Request {
    /// Parses a line.
    ///
    /// # Errors
    /// The reason, for the client.
    pub(super) fn parse(line: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(line).map_err(|error| format!("not JSON: {error}"))?;
        match value.get("command").and_then(Value::as_str) {
            Some("status") => Ok(Self::Status),
            Some("config") => Ok(Self::Config),
            Some("cache-list") => {
                let limit = value.get("limit").and_then(Value::as_u64).unwrap_or_default();
                Ok(Self::CacheList(CacheNames::parse(&value)?, limit))
            }
            Some("cache-get") => Ok(Self::CacheGet(CacheNames::parse(&value)?)),
            Some("cache-flush") => Ok(Self::CacheFlush(CacheNames::parse(&value)?)),
            Some("metrics") => Ok(Self::Metrics),
            Some("insight") => {
                Ok(Self::Insight(value.get("limit").and_then(Value::as_u64).unwrap_or_default()))
            }
            Some("query") => Self::parse_query(&value),
            Some("trace") => {
                let client = text(&value, "client").map(|text| text.parse()).transpose();
                Ok(Self::Trace(client.map_err(|_| "\"client\" is no address")?, name(&value, "zone")?))
            }
            Some(_) => Err("this version does not have the command".to_owned()),
            None => Err("without \"command\"".to_owned()),
        }
    }

    fn parse_query(value: &Value) -> Result<Self, String> {
        let name = name(value, "name")?.ok_or("without \"name\"")?;
        let qtype = text(value, "type").map_or(Some(RecordType::A), RecordType::parse);
        let server = text(value, "server").map(|text| text.parse()).transpose();
        let server = server.map_err(|_| "\"server\" is no address with port")?;
        Ok(Self::Query(name, qtype.ok_or("\"type\" is no record type")?, server))
    }

    /// The line, with its newline.
    pub(super) fn to_line(&self) -> String {
        let value = match self {
            Self::Status => json!({ "command": "status" }),
            Self::Config => json!({ "command": "config" }),
            Self::CacheList(names, limit) => with(names.value("cache-list"), "limit", Some(*limit)),
            Self::CacheGet(names) => names.value("cache-get"),
            Self::CacheFlush(names) => names.value("cache-flush"),
            Self::Metrics => json!({ "command": "metrics" }),
            Self::Insight(limit) => json!({ "command": "insight", "limit": limit }),
            Self::Query(name, qtype, server) => {
                let query =
                    json!({ "command": "query", "name": name.to_string(), "type": qtype.to_string() });
                with(query, "server", server.map(|server| server.to_string()))
            }
            Self::Trace(client, zone) => {
                let trace = json!({ "command": "trace" });
                let trace = with(trace, "client", client.map(|client| client.to_string()));
                with(trace, "zone", zone.as_ref().map(ToString::to_string))
            }
        };
        format!("{value}\n")
    }
}

fn with(mut value: Value, field: &str, content: Option<impl Into<Value>>) -> Value {
    if let (Value::Object(fields), Some(content)) = (&mut value, content) {
        fields.insert(field.to_owned(), content.into());
    }
    value
}

fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field).and_then(Value::as_str)
}

fn name(value: &Value, field: &str) -> Result<Option<Name>, String> {
    let parsed = text(value, field).map(Name::parse).transpose();
    parsed.map_err(|error| format!("\"{field}\" is no domain name: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn longest_name() -> Name {
        let label = "\\000".repeat(63);
        Name::parse(&[&*label, &*label, &*label, &"\\000".repeat(61)].join(".")).unwrap()
    }

    #[test]
    fn a_request_survives_its_encoding() {
        let name = longest_name();
        let names = [CacheNames::All, CacheNames::Name(name.clone()), CacheNames::Zone(name.clone())];
        let cache = names.into_iter().flat_map(|names| {
            [
                Request::CacheList(names.clone(), 7),
                Request::CacheGet(names.clone()),
                Request::CacheFlush(names),
            ]
        });
        let server: SocketAddr = "[fd00::10]:53".parse().unwrap();
        let others = [
            Request::Status,
            Request::Config,
            Request::Insight(8),
            Request::Metrics,
            Request::Query(name.clone(), RecordType::AAAA, Some(server)),
            Request::Query(Name::root(), RecordType(65_280), None),
            Request::Trace(Some(server.ip()), Some(name)),
            Request::Trace(None, None),
        ];
        for request in cache.chain(others) {
            let line = request.to_line();
            assert!(line.len() < MAX_REQUEST_LEN && line.ends_with('\n'), "{}", line.len());
            assert_eq!(Request::parse(line.as_bytes()), Ok(request));
        }
    }

    #[test]
    fn other_lines_are_rejected_with_a_reason() {
        for line in [
            "",
            "status",
            "{}",
            "[]",
            "{\"command\":1}",
            "{\"command\":\"reboot\"}",
            "\u{0}",
            "{\"command\":\"query\"}",
            "{\"command\":\"query\",\"name\":\"a..b\"}",
            "{\"command\":\"query\",\"name\":\"a\",\"type\":\"B\"}",
            "{\"command\":\"query\",\"name\":\"a\",\"server\":\"b\"}",
            "{\"command\":\"trace\",\"client\":\"ten\"}",
            "{\"command\":\"cache-flush\",\"name\":\"a\",\"zone\":\"b\"}",
        ] {
            assert!(Request::parse(line.as_bytes()).is_err(), "{line:?}");
        }
    }
}
