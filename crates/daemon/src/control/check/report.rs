//! Report of a check, as text and as JSON.

use corefile::settings::{Block, Forward, Listener, Settings};
use corefile::{ConfigError, ConfigErrors};
use serde_json::{Value, json};

use crate::control::upstreams_log;

/// A checked configuration.
pub(super) struct FileReport {
    file: String,
    outcome: Result<Settings, ConfigErrors>,
}

impl FileReport {
    pub(super) fn new(file: &str, outcome: Result<Settings, ConfigErrors>) -> Self {
        // What is loaded without a file has a name of its own.
        let file = outcome.as_ref().map_or(file, |settings| &settings.source).to_owned();
        Self { file, outcome }
    }

    /// True if the daemon would load it.
    pub(super) fn is_ok(&self) -> bool {
        self.outcome.is_ok()
    }

    fn text(&self) -> String {
        let file = &self.file;
        match &self.outcome {
            Err(errors) => {
                let count = errors.errors().len().saturating_add(errors.omitted());
                format!("{file}: {count} problem(s)\n{errors}\n")
            }
            Ok(settings) => {
                let warnings = settings.warnings.iter().map(|warning| format!("warning: {warning}\n"));
                let listeners = settings.listeners.iter().map(listener_line);
                let upstreams = upstreams_log::lines(settings).into_iter().map(|line| line + "\n");
                let lines = warnings.chain(listeners).chain(upstreams);
                format!("{file}: ok\n{}", lines.collect::<String>())
            }
        }
    }

    fn json(&self) -> Value {
        let errors = self.outcome.as_ref().err();
        let settings = self.outcome.as_ref().ok();
        let problems = errors.map_or(&[][..], ConfigErrors::errors).iter().map(problem);
        let listeners = settings.map_or(&[][..], |settings| &settings.listeners).iter().map(listener);
        let forwards = settings.map_or(&[][..], |settings| &settings.blocks).iter().flat_map(forwards);
        json!({
            "file": self.file,
            "ok": self.is_ok(),
            "problems": problems.collect::<Vec<_>>(),
            "problems_omitted": errors.map_or(0, ConfigErrors::omitted),
            "warnings": settings.map_or(&[][..], |settings| &settings.warnings),
            "listeners": listeners.collect::<Vec<_>>(),
            "forwards": forwards.collect::<Vec<_>>(),
        })
    }
}

/// The report for people.
pub(super) fn text(reports: &[FileReport]) -> String {
    reports.iter().map(FileReport::text).collect()
}

/// The report for programs; README.md describes it.
pub(super) fn json(reports: &[FileReport]) -> String {
    let files: Vec<Value> = reports.iter().map(FileReport::json).collect();
    format!("{:#}\n", json!({ "files": files }))
}

fn zones(listener: &Listener) -> Vec<String> {
    listener.zones.iter().map(|(zone, _)| zone.to_string()).collect()
}

fn listener_line(listener: &Listener) -> String {
    format!("listener {}: {}\n", listener.label, zones(listener).join(" "))
}

fn listener(listener: &Listener) -> Value {
    json!({
        "server": listener.label,
        "addresses": listener.addresses,
        "zones": zones(listener),
        "location": listener.location,
    })
}

fn forwards(block: &Block) -> impl Iterator<Item = Value> {
    block.forwards.iter().map(|options| forward(block, options))
}

fn forward(block: &Block, forward: &Forward) -> Value {
    json!({
        "zones": block.keys.iter().map(|key| key.zone.to_string()).collect::<Vec<_>>(),
        "from": forward.options.from.to_string(),
        "upstreams": upstreams_log::upstreams(forward),
        "files": forward.files.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
        "location": block.location,
    })
}

fn problem(error: &ConfigError) -> Value {
    let shown = error.to_string();
    json!({
        "location": error.location(),
        "column": error.column(),
        "message": shown.lines().next().unwrap_or_default(),
        "suggestion": error.suggestion(),
    })
}
