//! What can be wrong with the settings of a sink: each error names the option and what is allowed.

/// What is wrong with a sink's settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSink {
    /// No such sink.
    #[error("sink \"{0}\" is unknown: use stdout, file:PATH or tcp:HOST:PORT")]
    Type(String),
    /// A sink lacks what it needs.
    #[error("a {sink} sink needs a {option}: write {example}")]
    Missing {
        /// The sink.
        sink: &'static str,
        /// What it lacks.
        option: &'static str,
        /// What it looks like with it.
        example: &'static str,
    },
    /// An option that no sink has.
    #[error("option \"{0}\" is unknown: use format=, timeout= or queue=")]
    Option(String),
    /// Settings of a TCP collector.
    #[error("{0}")]
    Tcp(String),
    /// An option given twice.
    #[error("option \"{0}\" is given twice")]
    Repeated(String),
    /// An option that this sink does not have.
    #[error("a {sink} sink has no {option}")]
    Inapplicable {
        /// The sink.
        sink: &'static str,
        /// The option.
        option: &'static str,
    },
    /// An option with a value that it cannot have.
    #[error("{option} cannot be \"{value}\": {allowed}")]
    Value {
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
        /// What it can be.
        allowed: &'static str,
    },
}

impl InvalidSink {
    pub(super) fn value(option: &'static str, value: &str, allowed: &'static str) -> Self {
        Self::Value { option, value: value.to_owned(), allowed }
    }
}

pub(super) const MISSING_PATH: InvalidSink =
    InvalidSink::Missing { sink: "file", option: "path", example: "file:/var/log/gatetap.ndjson" };
pub(super) const MISSING_HOST: InvalidSink =
    InvalidSink::Missing { sink: "tcp", option: "host", example: "tcp:collector.example:9563" };
pub(super) const MISSING_PORT: InvalidSink = InvalidSink::Missing {
    sink: "tcp",
    option: "port (1 to 65535)",
    example: "tcp:collector.example:9563 or tcp:[::1]:9563",
};
