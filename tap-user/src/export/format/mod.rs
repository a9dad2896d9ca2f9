//! Record formats: an observation in, the bytes of one record out. One file per format; what
//! formats share stands in `body`, `connections`, `facts`, `joined`, `message`, `pairs`, `repeated`, `tap` and `url`.
//! `docs/record.md` tells every key.

mod body;
mod connections;
mod facts;
mod indented;
mod joined;
mod kong;
mod kong_headers;
mod line;
mod message;
mod native;
mod pairs;
mod repeated;
mod runscope;
mod tap;
mod tcp_body_log;
mod traceable;
mod url;

use super::json::Page;
use crate::gateway::Observation;
use crate::http::{Exchange, Outcome};
use crate::segment::Leg;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use traceable::Marks;

pub(super) use connections::{ConnectionText, Connections};

/// What a record looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Format {
    /// Everything that gatetap knows, both legs.
    Native,
    /// The record of Kong's `tcp-log` plugin with bodies.
    Kong,
    /// The record of the `tcp-body-log` plugin (that is Runscope's message), with its id and with
    /// what gatetap has to say of it.
    TcpBodyLog,
    /// The same with the plugin's own keys only.
    TcpBodyLogStrict,
    /// The message of Kong's former `runscope` plugin, with its id.
    Runscope,
    /// What Traceable's agents take.
    Traceable,
    /// The same, bodies marked that are not there as a whole.
    TraceableMarked,
    /// A line for people.
    Line,
    /// The same in colours.
    ColouredLine,
    /// The native record on many lines, for people.
    Indented,
}

impl Format {
    /// The formats for programs: one JSON object a record.
    pub const RECORDS: [Self; 7] = [
        Self::Native,
        Self::Kong,
        Self::TcpBodyLog,
        Self::TcpBodyLogStrict,
        Self::Runscope,
        Self::Traceable,
        Self::TraceableMarked,
    ];

    /// All formats.
    pub const ALL: [Self; 10] = [
        Self::Native,
        Self::Kong,
        Self::TcpBodyLog,
        Self::TcpBodyLogStrict,
        Self::Runscope,
        Self::Traceable,
        Self::TraceableMarked,
        Self::Line,
        Self::ColouredLine,
        Self::Indented,
    ];

    /// Its name in settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Kong => "kong",
            Self::TcpBodyLog => "tcp-body-log",
            Self::TcpBodyLogStrict => "tcp-body-log-strict",
            Self::Runscope => "runscope",
            Self::Traceable => "traceable",
            Self::TraceableMarked => "traceable-marked",
            Self::Line => "line",
            Self::ColouredLine => "coloured-line",
            Self::Indented => "indented",
        }
    }

    /// Whether exchanges of that leg are written in this format. The formats of others carry
    /// client legs only, so that their readers count no request twice.
    #[must_use]
    pub fn carries(self, leg: Leg) -> bool {
        match self {
            Self::Native | Self::Line | Self::ColouredLine | Self::Indented => true,
            Self::Kong
            | Self::TcpBodyLog
            | Self::TcpBodyLogStrict
            | Self::Runscope
            | Self::Traceable
            | Self::TraceableMarked => leg == Leg::Client,
        }
    }

    /// Whether there is a record of that exchange in this format.
    pub(super) fn room_for(self, exchange: &Exchange) -> Room {
        let can_say_so = matches!(
            self,
            Self::Native
                | Self::Kong
                | Self::TcpBodyLog
                | Self::Line
                | Self::ColouredLine
                | Self::Indented
        );
        let needs_request = matches!(self, Self::Traceable | Self::TraceableMarked);
        if exchange.outcome == Outcome::Ongoing && !can_say_so {
            Room::AtItsEnd
        } else if exchange.request.is_none() && needs_request {
            Room::Never
        } else {
            Room::Now
        }
    }

    /// What ends each record.
    #[must_use]
    pub fn terminator(self) -> &'static [u8] {
        match self {
            Self::TcpBodyLog | Self::TcpBodyLogStrict => b"\r\n",
            _ => b"\n",
        }
    }

    /// Appends one record and the terminator; the formats for programs are a JSON object on one
    /// line.
    pub fn write(self, observation: &Observation, out: &mut Vec<u8>) {
        let mut page = Page::default();
        self.write_on(&mut page, observation, &ConnectionText::of(&observation.connection));
        out.extend_from_slice(page.written());
    }

    /// The same on a page; `connection` is what is said of the observation's.
    pub(super) fn write_on(
        self,
        out: &mut Page,
        observation: &Observation,
        connection: &ConnectionText,
    ) {
        match self {
            Self::Native => native::write(observation, connection, out),
            Self::Kong => kong::write(observation, connection, out),
            Self::TcpBodyLog => tcp_body_log::write(observation, connection, out),
            Self::TcpBodyLogStrict => tcp_body_log::write_strict(observation, out),
            Self::Runscope => runscope::write(observation, out),
            Self::Traceable => traceable::write(observation, Marks::None, out),
            Self::TraceableMarked => {
                traceable::write(observation, Marks::Truncated, out);
            }
            Self::Line => line::write(observation, false, out),
            Self::ColouredLine => line::write(observation, true, out),
            Self::Indented => indented::write(observation, connection, out),
        }
        out.extend(self.terminator());
    }
}

/// Whether a format has room for an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// It has.
    Now,
    /// Only when it has ended: nothing in the record could say that it comes again.
    AtItsEnd,
    /// Its request was not seen, and a record is nothing without one.
    Never,
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The name of a format is none of those there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "format \"{0}\" is unknown: use native, kong, tcp-body-log, tcp-body-log-strict, runscope, \
     traceable, traceable-marked, line or indented"
)]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|format| format.name() == name)
            .ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}
