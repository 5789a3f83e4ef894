//! Findings about a node.

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    Ok,
    /// Something may not work, or is worth knowing.
    Warning,
    /// Something does not work.
    Problem,
}

/// One thing that was examined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(super) group: &'static str,
    pub(super) status: Status,
    pub(super) message: String,
    /// What to do about it.
    pub(super) remedy: Option<String>,
}

impl Finding {
    pub(super) fn ok(group: &'static str, message: impl Into<String>) -> Self {
        Self { group, status: Status::Ok, message: message.into(), remedy: None }
    }

    pub(super) fn warning(
        group: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { group, status: Status::Warning, message: message.into(), remedy: Some(remedy.into()) }
    }

    pub(super) fn problem(
        group: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { status: Status::Problem, ..Self::warning(group, message, remedy) }
    }
}
