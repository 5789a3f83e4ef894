//! Response types and classes of the `log` directive, with the names that CoreDNS gives them.

use corefile::settings::LogClasses;
use wire::header::Rcode;
use wire::response::{Response, ResponseType};

/// The type of a logged response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoggedType {
    NoError,
    NameError,
    ServerError,
    NoData,
    Delegation,
    OtherError,
}

impl LoggedType {
    /// The type of a response; `None` for one that could not be parsed. NXDOMAIN is a denial even
    /// without an SOA.
    pub(super) fn of(response: Option<&Response<'_>>) -> Self {
        let Some(response) = response else { return Self::OtherError };
        match response.response_type {
            _ if response.rcode == Rcode::NXDOMAIN => Self::NameError,
            ResponseType::NameError => Self::NameError,
            ResponseType::NoData => Self::NoData,
            ResponseType::Delegation => Self::Delegation,
            ResponseType::Positive | ResponseType::Empty | ResponseType::IncompleteChain => Self::NoError,
            ResponseType::ServerFailure => Self::ServerError,
            ResponseType::Other => Self::OtherError,
        }
    }

    /// The value of `{/log/type}`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NoError => "NOERROR",
            Self::NameError => "NXDOMAIN",
            Self::ServerError => "SERVERERROR",
            Self::NoData => "NODATA",
            Self::Delegation => "DELEGATION",
            Self::OtherError => "OTHERERROR",
        }
    }

    /// The value of `{/log/class}`.
    pub(super) fn class_name(self) -> &'static str {
        match self {
            Self::NoError | Self::Delegation => "success",
            Self::NameError | Self::NoData => "denial",
            Self::ServerError | Self::OtherError => "error",
        }
    }

    /// Whether responses of its class are logged.
    pub(super) fn is_in(self, classes: LogClasses) -> bool {
        match self {
            Self::NoError | Self::Delegation => classes.success,
            Self::NameError | Self::NoData => classes.denial,
            Self::ServerError | Self::OtherError => classes.error,
        }
    }
}
