//! Report of findings: text, or JSON (`-o json`).

use serde_json::{Value, json};

use super::finding::{Finding, Status};

impl Status {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }

    const fn mark(self) -> char {
        match self {
            Self::Ok => '✓',
            Self::Warning => '!',
            Self::Problem => '✗',
        }
    }
}

/// The worst status.
pub(super) fn worst(findings: &[Finding]) -> Status {
    findings.iter().map(|finding| finding.status).max().unwrap_or(Status::Ok)
}

/// The report for people, by group.
pub(super) fn text(findings: &[Finding]) -> String {
    let (mut text, mut group) = (String::new(), "");
    for finding in findings {
        if finding.group != group {
            group = finding.group;
            text += &format!("{group}\n");
        }
        text += &format!("  {} {}\n", finding.status.mark(), finding.message);
        if let Some(remedy) = &finding.remedy {
            text += &format!("      {remedy}\n");
        }
    }
    text
}

/// The report for programs; README.md describes it.
pub(super) fn json(findings: &[Finding]) -> String {
    let list: Vec<Value> = findings
        .iter()
        .map(|Finding { group, status, message, remedy }| {
            json!({ "group": group, "status": status.name(), "message": message, "remedy": remedy })
        })
        .collect();
    format!("{:#}\n", json!({ "worst": worst(findings).name(), "findings": list }))
}

/// A line of the log.
pub(super) fn line(finding: &Finding) -> String {
    match &finding.remedy {
        Some(remedy) => format!("doctor: {}: {remedy}", finding.message),
        None => format!("doctor: {}", finding.message),
    }
}
