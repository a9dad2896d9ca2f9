//! Why there is no connection, or no longer.

use super::address::Address;
use super::tls::{TlsSetupError, explain};
use std::io;
use std::time::Duration;

/// Why a collector cannot be reached.
#[derive(Debug, thiserror::Error)]
pub(in crate::export) enum ConnectError {
    /// Its name does not resolve.
    #[error("cannot resolve {address}: {source}")]
    Resolve { address: Address, source: io::Error },
    /// There is no address to try.
    #[error("there is no address to connect to")]
    NoAddress,
    /// No connection.
    #[error("cannot connect to {address}: {source}")]
    Refused { address: Address, source: io::Error },
    /// No answer.
    #[error("no connection to {address} within {limit:?}")]
    Timeout { address: Address, limit: Duration },
    /// No TLS.
    #[error("no TLS with {address}: {problem}")]
    Tls { address: Address, problem: String },
    /// The files that TLS needs.
    #[error(transparent)]
    Setup(#[from] TlsSetupError),
}

/// How a connection ended.
#[derive(Debug, thiserror::Error)]
pub(in crate::export) enum Ended {
    /// The peer sent its end of the stream.
    #[error("the collector closed the connection")]
    Closed,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    /// TLS failed.
    #[error("{0}")]
    Tls(String),
    /// No byte was taken or acknowledged for too long.
    #[error("the collector took nothing for {0:?}")]
    Stalled(Duration),
}

impl Ended {
    /// Reads what the stream says. A peer that closes TCP without a word of TLS has closed.
    pub(super) fn of(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(error) => Self::Tls(explain(error)),
            None if error.kind() == io::ErrorKind::UnexpectedEof => Self::Closed,
            None => Self::Broken(error),
        }
    }
}

/// Why records of an attempt are not delivered.
#[derive(Debug, thiserror::Error)]
pub(in crate::export) enum TcpFailure {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection ended before they were acknowledged.
    #[error("{address}: {ended}")]
    Ended {
        /// The collector.
        address: Address,
        /// How.
        ended: Ended,
    },
    /// An attempt before this one failed.
    #[error("an earlier attempt on the same connection failed")]
    Behind,
}

impl TcpFailure {
    pub(in crate::export) fn kind(&self) -> &'static str {
        match self {
            Self::Connect(ConnectError::Timeout { .. }) => "timeout",
            Self::Connect(ConnectError::Tls { .. } | ConnectError::Setup(_)) => "tls",
            Self::Connect(_) => "connect",
            Self::Ended { ended, .. } => ended.kind(),
            Self::Behind => "closed",
        }
    }
}

impl Ended {
    fn kind(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Broken(_) => "write",
            Self::Tls(_) => "tls",
            Self::Stalled(_) => "timeout",
        }
    }
}
