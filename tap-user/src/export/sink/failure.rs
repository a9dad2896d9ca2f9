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

/// Kinds of [`Failure`], the names that counters have for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::export) enum FailureKind {
    Connect,
    Timeout,
    Closed,
    Write,
    Tls,
    Reply,
    TooManyRequests,
    ClientError,
    ServerError,
    OtherStatus,
    Aborted,
}

impl FailureKind {
    pub(in crate::export) const ALL: [Self; 11] = [
        Self::Connect,
        Self::Timeout,
        Self::Closed,
        Self::Write,
        Self::Tls,
        Self::Reply,
        Self::TooManyRequests,
        Self::ClientError,
        Self::ServerError,
        Self::OtherStatus,
        Self::Aborted,
    ];

    fn of_status(status: u16) -> Self {
        match status {
            429 => Self::TooManyRequests,
            400..=499 => Self::ClientError,
            500..=599 => Self::ServerError,
            _ => Self::OtherStatus,
        }
    }

    /// Its name in totals and metrics.
    pub(in crate::export) fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Write => "write",
            Self::Tls => "tls",
            Self::Reply => "reply",
            Self::TooManyRequests => "status_429",
            Self::ClientError => "status_4xx",
            Self::ServerError => "status_5xx",
            Self::OtherStatus => "status_other",
            Self::Aborted => "aborted",
        }
    }
}

impl Failure {
    pub(in crate::export) fn kind(&self) -> FailureKind {
        match self {
            Self::Connect(_) => FailureKind::Connect,
            Self::Timeout(_) => FailureKind::Timeout,
            Self::Closed => FailureKind::Closed,
            Self::Write(_) => FailureKind::Write,
            Self::Tls(_) => FailureKind::Tls,
            Self::Http(_) => FailureKind::Reply,
            Self::Status(status) | Self::Refused { status, .. } => FailureKind::of_status(*status),
            Self::Aborted => FailureKind::Aborted,
        }
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
    #[allow(dead_code, reason = "for receivers that answer")]
    pub(in crate::export) fn kind(&self) -> &'static str {
        match self {
            Self::Status(status) => FailureKind::of_status(*status).name(),
            Self::Item(_) => "item",
        }
    }
}
