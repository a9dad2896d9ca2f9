//! What peers may read differently in a message: where two of them disagree, a request can be
//! smuggled past one of them (RFC 9112, sections 2.2, 3, 5, 6.3, 7.1 and 11.2).
//!
//! A message with anomalies is still read, the way nginx reads it wherever nginx does; what nginx
//! refuses is read as far as it makes sense, because other gateways do so.

use std::fmt;

macro_rules! anomalies {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// Something about a message that not all peers read alike.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Anomaly {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Anomaly {
            /// All of them, in the order in which records list them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Stable name, as records carry it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

anomalies! {
    /// Empty lines before the start line.
    LeadingEmptyLine = "leading_empty_line",
    /// Not exactly one space between the parts of the start line, or white space within or behind them.
    StartLineWhitespace = "start_line_whitespace",
    /// A minor version above 1.
    UnknownVersion = "unknown_version",
    /// A line ends with LF alone.
    BareLineFeed = "bare_line_feed",
    /// CR that no LF follows.
    BareCarriageReturn = "bare_carriage_return",
    /// NUL in the head or in trailers.
    NulByte = "nul_byte",
    /// Another control character there.
    ControlCharacter = "control_character",
    /// The first field line begins with white space.
    WhitespaceAfterStartLine = "whitespace_after_start_line",
    /// A field line goes on in the next one.
    LineFolding = "obs_fold",
    /// White space between a field's name and its colon.
    WhitespaceBeforeColon = "whitespace_before_colon",
    /// A field line without colon.
    MissingColon = "missing_colon",
    /// A field name that is no token.
    InvalidHeaderName = "invalid_header_name",
    /// Both Content-Length and Transfer-Encoding.
    ContentLengthWithTransferEncoding = "content_length_with_transfer_encoding",
    /// Several lengths that agree.
    RepeatedContentLength = "repeated_content_length",
    /// Several lengths that do not agree.
    DifferingContentLength = "differing_content_length",
    /// A length that is no decimal number.
    InvalidContentLength = "invalid_content_length",
    /// Several Transfer-Encoding fields, or chunked twice.
    RepeatedTransferEncoding = "repeated_transfer_encoding",
    /// A transfer coding stands behind chunked, or a request has one without chunked.
    ChunkedNotLast = "chunked_not_last",
    /// A transfer coding that is not registered.
    UnknownTransferEncoding = "unknown_transfer_encoding",
    /// Transfer-Encoding in HTTP/1.0, which has none.
    TransferEncodingInHttp10 = "transfer_encoding_in_http_1_0",
    /// An HTTP/1.1 request without Host.
    MissingHost = "missing_host",
    /// Several Host fields.
    RepeatedHost = "repeated_host",
    /// A chunk size that is none; what follows cannot be read.
    InvalidChunkSize = "invalid_chunk_size",
    /// White space behind a chunk size.
    ChunkSizeWhitespace = "chunk_size_whitespace",
    /// A chunk extension: rare, and a place to hide line ends in.
    ChunkExtension = "chunk_extension",
    /// No line end behind a chunk's content; what follows cannot be read.
    InvalidChunkEnd = "invalid_chunk_end",
    /// The connection carried different bytes for the same place of this direction, so the receiver
    /// may have read something else. Said of all messages that end after that was seen.
    ConflictingRetransmission = "conflicting_retransmission",
}

// One bit each.
const _: () = assert!(Anomaly::ALL.len() <= 32);

/// A set of anomalies.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Anomalies(u32);

impl Anomalies {
    /// No anomaly.
    pub const NONE: Self = Self(0);

    /// Adds one.
    pub fn insert(&mut self, anomaly: Anomaly) {
        self.0 |= bit(anomaly);
    }

    /// Adds one if it is there.
    pub(super) fn note(&mut self, anomaly: Anomaly, is_there: bool) {
        if is_there {
            self.insert(anomaly);
        }
    }

    /// Adds all of `others`.
    pub fn extend(&mut self, others: Self) {
        self.0 |= others.0;
    }

    /// Whether it is there.
    #[must_use]
    pub fn contains(self, anomaly: Anomaly) -> bool {
        self.0 & bit(anomaly) != 0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that are there.
    pub fn iter(self) -> impl Iterator<Item = Anomaly> {
        Anomaly::ALL.iter().copied().filter(move |anomaly| self.contains(*anomaly))
    }
}

impl From<Anomaly> for Anomalies {
    fn from(anomaly: Anomaly) -> Self {
        Self(bit(anomaly))
    }
}

impl fmt::Debug for Anomalies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.iter()).finish()
    }
}

fn bit(anomaly: Anomaly) -> u32 {
    1 << anomaly as u32
}
