//! `nodelocaldns dump`: everything that the other subcommands print, in one archive for a bug report.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use serde_json::Value;
use tar::{Builder, Header};

use super::hashed_names::HashedNames;
use super::output::{field, list};
use super::{config, failed, status};
use crate::control::doctor;
use crate::control::exit::print_error;
use crate::control_socket::{self, CacheNames, ClientError, Replies, Request};
use crate::flags::{self, DumpFlags};

/// Rows of each list of statistics.
const ROWS: u64 = 256;
/// The folder in the archive.
const FOLDER: &str = "nodelocaldns-dump";

/// Writes the archive.
pub(in crate::control) fn dump(flags: &DumpFlags) -> ExitCode {
    if flags.file.is_none() && io::stdout().is_terminal() {
        print_error(&"the archive is binary: name a file with -f, or redirect the output");
        return ExitCode::FAILURE;
    }
    let files = match collect(flags) {
        Ok(files) => files,
        Err(error) => return failed(&error),
    };
    let written = match &flags.file {
        Some(path) => File::create(path).and_then(|file| archive(file, &files)),
        None => archive(io::stdout(), &files),
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&format!("the archive cannot be written: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The name and content of each file.
fn collect(flags: &DumpFlags) -> Result<Vec<(&'static str, String)>, ClientError> {
    let ask = |request: &Request| control_socket::send(&flags.inspect.directory, request);
    let status = ask(&Request::Status).and_then(Replies::single)?;
    let config = ask(&Request::Config).and_then(Replies::single)?;
    let names = flags.hash_names.then(|| HashedNames::new(zones(&status)));
    let mut insight = ask(&Request::Insight(ROWS)).and_then(Replies::single)?;
    let metrics = ask(&Request::Metrics).and_then(Replies::single)?;
    let mut cache = String::new();
    for entry in ask(&Request::CacheList(CacheNames::All, flags.count))? {
        let mut entry = entry?;
        if let Some(names) = &names {
            names.replace_in(&mut entry);
        }
        cache += &format!("{entry}\n");
    }
    if let Some(names) = &names {
        names.replace_in(&mut insight);
    }
    Ok(vec![
        ("status.json", format!("{status:#}\n")),
        ("status.txt", status::text(&status)),
        ("config.json", format!("{config:#}\n")),
        ("Corefile", config::text(&config)),
        ("insight.json", format!("{insight:#}\n")),
        ("metrics.txt", field(&metrics, "/metrics")),
        ("cache.json", cache),
        ("doctor.json", doctor(&config)),
    ])
}

/// The zones of all listeners.
fn zones(status: &Value) -> Vec<String> {
    let listeners = list(status, "/listeners").iter();
    let zones = listeners.flat_map(|listener| list(listener, "/zones"));
    zones.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The diagnosis of the node with the flags of the instance.
fn doctor(config: &Value) -> String {
    let flags = config.pointer("/flags").and_then(Value::as_object).into_iter().flatten();
    let given = flags.filter_map(|(name, value)| {
        let value = value.as_str().filter(|value| !value.is_empty())?;
        Some(format!("-{name}={value}"))
    });
    let line = std::iter::once("nodelocaldns".to_owned()).chain(given).map(Into::into);
    match flags::parse(line) {
        Ok(flags) => doctor::json(&flags).unwrap_or_else(|error| error.to_string()),
        Err(usage) => usage.text,
    }
}

fn archive(out: impl Write, files: &[(&'static str, String)]) -> io::Result<()> {
    let mut archive = Builder::new(out);
    for (name, content) in files {
        let mut header = Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(crate::clock::unix_time());
        archive.append_data(&mut header, format!("{FOLDER}/{name}"), content.as_bytes())?;
    }
    archive.into_inner()?.flush()
}
