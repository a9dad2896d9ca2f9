//! What can go wrong in delivering. The texts hold neither bodies nor secrets, so they may be
//! logged and stored; the kinds are a closed set, so they may be labels of metrics.

use std::io;
use std::time::Duration;

/// Why an attempt failed that may succeed later.
#[derive(Debug, thiserror::Error)]
pub(in crate::export) enum Failure {
    /// No connection, name resolution included.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// The peer took longer than it may.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The peer ended the connection.
    #[error("the receiver closed the connection")]
    Closed,
    /// The kernel takes no more bytes.
    #[error("cannot write: {0}")]
    Write(io::Error),
    /// A file that is due for rotation cannot be renamed.
    #[error("cannot rotate the file: {0}; records wait meanwhile")]
    Rotate(io::Error),
    /// The peer cannot be trusted, or does not speak TLS.
    #[error("TLS: {0}")]
    Tls(String),
    /// The exchange with an HTTP receiver broke off.
    #[error("the receiver did not answer in full: {0}")]
    Http(String),
    /// An HTTP status that is not a success.
    #[error("the receiver answered with status {0}")]
    Status(u16),
    /// An HTTP status that wrong settings lead to.
    #[error("the receiver refuses (status {status}): check {check}")]
    Refused {
        /// The status.
        status: u16,
        /// What to look at.
        check: &'static str,
    },
    /// The sink itself failed: a defect of gatetap.
    #[error("the attempt ended abnormally")]
    Aborted,
}

impl Failure {
    /// Its name in totals and metrics.
    pub(in crate::export) fn kind(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::Timeout(_) => "timeout",
            Self::Closed => "closed",
            Self::Write(_) => "write",
            Self::Rotate(_) => "rotate",
            Self::Tls(_) => "tls",
            Self::Http(_) => "reply",
            Self::Status(status) | Self::Refused { status, .. } => kind_of_status(*status),
            Self::Aborted => "aborted",
        }
    }
}

fn kind_of_status(status: u16) -> &'static str {
    match status {
        429 => "status_429",
        400..=499 => "status_4xx",
        500..=599 => "status_5xx",
        _ => "status_other",
    }
}

/// Why a receiver will never take a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::export) enum Rejection {
    /// An HTTP status that will not change.
    #[error("the receiver answered with status {0}")]
    Status(u16),
    /// The receiver took the request, and says that it did not take this record.
    #[error("the receiver does not take it (error code {0})")]
    Item(i64),
}

impl Rejection {
    /// Its name in totals and metrics.
    pub(in crate::export) fn kind(&self) -> &'static str {
        match self {
            Self::Status(status) => kind_of_status(*status),
            Self::Item(_) => "item",
        }
    }
}
