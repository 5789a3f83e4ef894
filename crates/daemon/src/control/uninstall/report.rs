//! Report of what was removed: text, or JSON (`-o json`).

use std::fmt;

use serde_json::{Value, json};

pub(super) struct Report {
    /// Why nothing was removed.
    refused: Option<String>,
    items: Vec<Item>,
}

/// One thing that may have been left behind.
pub(super) struct Item {
    pub(super) subject: String,
    pub(super) outcome: Outcome,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// With details.
    Removed(Option<String>),
    Absent,
    /// It is in use by others, or not ours; why.
    Kept(String),
    Failed {
        reason: String,
        /// The shell command that does it on the node.
        command: Option<String>,
    },
}

impl Outcome {
    pub(super) fn failed(reason: &dyn fmt::Display) -> Self {
        Self::Failed { reason: reason.to_string(), command: None }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Removed(_) => "removed",
            Self::Absent => "absent",
            Self::Kept(_) => "kept",
            Self::Failed { .. } => "failed",
        }
    }

    fn detail(&self) -> Option<&str> {
        match self {
            Self::Removed(detail) => detail.as_deref(),
            Self::Absent => None,
            Self::Kept(reason) | Self::Failed { reason, .. } => Some(reason),
        }
    }

    fn command(&self) -> Option<&str> {
        match self {
            Self::Failed { command, .. } => command.as_deref(),
            _ => None,
        }
    }
}

impl Report {
    pub(super) fn new(items: Vec<Item>) -> Self {
        Self { refused: None, items }
    }

    pub(super) fn refused(reason: String) -> Self {
        Self { refused: Some(reason), items: Vec::new() }
    }

    /// Whether nothing is left that should have been removed.
    pub(super) fn is_ok(&self) -> bool {
        self.refused.is_none()
            && !self.items.iter().any(|item| matches!(item.outcome, Outcome::Failed { .. }))
    }

    /// The report for people.
    pub(super) fn text(&self) -> String {
        let refused = self.refused.iter().map(|reason| format!("nothing is removed: {reason}\n"));
        refused.chain(self.items.iter().map(|item| format!("{item}\n"))).collect()
    }

    /// The report for programs; README.md describes it.
    pub(super) fn json(&self) -> String {
        let items: Vec<Value> = self
            .items
            .iter()
            .map(|Item { subject, outcome }| {
                json!({
                    "subject": subject,
                    "outcome": outcome.name(),
                    "detail": outcome.detail(),
                    "command": outcome.command(),
                })
            })
            .collect();
        format!("{:#}\n", json!({ "ok": self.is_ok(), "refused": self.refused, "items": items }))
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = &self.subject;
        match &self.outcome {
            Outcome::Removed(None) => write!(f, "{subject}: removed"),
            Outcome::Removed(Some(detail)) => write!(f, "{subject}: removed ({detail})"),
            Outcome::Absent => write!(f, "{subject}: not there"),
            Outcome::Kept(reason) => write!(f, "{subject}: kept, {reason}"),
            Outcome::Failed { reason, command: None } => write!(f, "{subject}: not removed, {reason}"),
            Outcome::Failed { reason, command: Some(command) } => {
                write!(f, "{subject}: not removed, {reason}; or run on the node: {command}")
            }
        }
    }
}
