//! Which exchanges are of interest: conditions on what was seen of them.

mod settings;
#[cfg(test)]
mod tests;

pub use settings::{ConditionSettings, FilterSettings, Glob, LegName, SizeRange};

use super::status::Statuses;
use crate::gateway::Observation;
use crate::http::{Headers, Outcome, Request, Response, urlencoded};
use globset::GlobSet;
use std::borrow::Cow;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Lets exchanges pass or not.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    include: Vec<Condition>,
    exclude: Vec<Condition>,
}

/// Settings of a filter that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFilter {
    /// An entry would match everything.
    #[error(
        "filter.{0}: an entry without any key would match every exchange: give it hosts, paths, \
         methods, statuses, ports, content_types, request_content_types, request_size, \
         response_size or legs"
    )]
    Everything(&'static str),
    /// A list without values can never match.
    #[error("filter.{0}: an empty list matches nothing: leave the key out or name a value")]
    Nothing(&'static str),
    /// A range whose smallest size is above its largest.
    #[error("filter.{0}: `min` is above `max`, so no size matches")]
    Size(&'static str),
    /// Too large a pattern.
    #[error("filter.{key}: {error}")]
    Glob {
        /// Where it stands.
        key: &'static str,
        /// What is wrong.
        error: globset::Error,
    },
}

/// What must hold of an exchange: all that is given.
#[derive(Debug, Clone)]
struct Condition {
    hosts: Option<GlobSet>,
    paths: Option<GlobSet>,
    content_types: Option<GlobSet>,
    request_content_types: Option<GlobSet>,
    others: ConditionSettings,
}

impl Filter {
    /// A filter as settings have it.
    ///
    /// # Errors
    /// The settings cannot be.
    pub fn new(settings: &FilterSettings) -> Result<Self, InvalidFilter> {
        let conditions = |key, settings: &[ConditionSettings]| {
            settings
                .iter()
                .map(|condition| Condition::new(key, condition))
                .collect::<Result<_, _>>()
        };
        Ok(Self {
            include: conditions("include", &settings.include)?,
            exclude: conditions("exclude", &settings.exclude)?,
        })
    }

    /// Whether the exchange passes, by what is seen of it now.
    #[must_use]
    pub fn passes(&self, observation: &Observation) -> bool {
        let matches = |condition: &Condition| condition.matches(observation);
        (self.include.is_empty() || self.include.iter().any(matches))
            && !self.exclude.iter().any(matches)
    }
}

impl Condition {
    fn new(key: &'static str, settings: &ConditionSettings) -> Result<Self, InvalidFilter> {
        check(key, settings)?;
        let set = |globs: &Option<Vec<Glob>>, lower_case: bool| {
            let Some(globs) = globs else { return Ok(None) };
            let globs: Result<Vec<_>, _> = globs
                .iter()
                .map(|glob| if lower_case { glob.lower_case() } else { Ok(glob.clone()) })
                .collect();
            let set = globs.and_then(|globs| Glob::set(&globs));
            set.map(Some).map_err(|error| InvalidFilter::Glob { key, error })
        };
        Ok(Self {
            hosts: set(&settings.hosts, true)?,
            paths: set(&settings.paths, false)?,
            content_types: set(&settings.content_types, true)?,
            request_content_types: set(&settings.request_content_types, true)?,
            others: settings.clone(),
        })
    }

    fn matches(&self, observation: &Observation) -> bool {
        let connection = &observation.connection;
        let has_leg = |legs: &Vec<LegName>| legs.contains(&connection.leg.into());
        holds(&self.others.legs, has_leg)
            && holds(&self.others.ports, |ports| ports.contains(&connection.server.port()))
            && self.matches_request(observation.exchange.request.as_ref())
            && self.matches_response(observation.exchange.response.as_ref())
    }

    fn matches_request(&self, request: Option<&Request>) -> bool {
        let asked = &self.others;
        let seen = |test: &dyn Fn(&Request) -> bool| request.is_some_and(test);
        holds(&asked.methods, |methods| {
            seen(&|it| methods.iter().any(|method| *method == it.method))
        }) && holds(&self.hosts, |globs| seen(&|it| host(it).is_some_and(|it| is_like(globs, &it))))
            && holds(&self.paths, |globs| seen(&|it| is_like(globs, &path(&it.target))))
            && holds(&self.request_content_types, |globs| seen(&|it| has_type(globs, &it.headers)))
            && holds(&asked.request_size, |sizes| {
                seen(&|it| sizes.contains(it.head_length.saturating_add(it.body.wire_length)))
            })
    }

    fn matches_response(&self, response: Option<&Response>) -> bool {
        let asked = &self.others;
        let status = response.map(|response| response.status);
        let seen = |test: &dyn Fn(&Response) -> bool| response.is_some_and(test);
        holds(&asked.statuses, |all: &Vec<Statuses>| all.iter().any(|it| it.contain(status)))
            && holds(&self.content_types, |globs| seen(&|it| has_type(globs, &it.headers)))
            && holds(&asked.response_size, |sizes| {
                seen(&|it| sizes.contains(it.head_length.saturating_add(it.body.wire_length)))
            })
    }
}

fn check(key: &'static str, settings: &ConditionSettings) -> Result<(), InvalidFilter> {
    let ConditionSettings { hosts, paths, methods, statuses, ports, legs, .. } = settings;
    let ConditionSettings { content_types, request_content_types, .. } = settings;
    let sizes = [settings.request_size, settings.response_size];
    let lengths = [
        hosts.as_ref().map(Vec::len),
        paths.as_ref().map(Vec::len),
        methods.as_ref().map(Vec::len),
        statuses.as_ref().map(Vec::len),
        ports.as_ref().map(Vec::len),
        legs.as_ref().map(Vec::len),
        content_types.as_ref().map(Vec::len),
        request_content_types.as_ref().map(Vec::len),
    ];
    if lengths.contains(&Some(0)) {
        return Err(InvalidFilter::Nothing(key));
    }
    if sizes.into_iter().flatten().any(|sizes| !sizes.is_possible()) {
        return Err(InvalidFilter::Size(key));
    }
    let is_empty = lengths.iter().all(Option::is_none) && sizes == [None, None];
    if is_empty { Err(InvalidFilter::Everything(key)) } else { Ok(()) }
}

/// What is not asked holds.
fn holds<T>(asked: &Option<T>, test: impl FnOnce(&T) -> bool) -> bool {
    asked.as_ref().is_none_or(test)
}

fn is_like(globs: &GlobSet, text: &[u8]) -> bool {
    globs.is_match(OsStr::from_bytes(text))
}

fn has_type(globs: &GlobSet, headers: &Headers) -> bool {
    let value = headers.get("content-type").unwrap_or_default();
    let media_type = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    !media_type.is_empty() && is_like(globs, &media_type.to_ascii_lowercase())
}

/// The host that a request asks for, in lower case, without port and without the dot of a rooted name: of
/// an absolute target, else of `Host` (RFC 9112, section 3.3).
fn host(request: &Request) -> Option<Vec<u8>> {
    let absolute = split_absolute(&request.target).map(|(authority, _)| authority);
    let is_connect = request.method == "CONNECT";
    let connect = is_connect.then_some(request.target.as_slice());
    let authority = absolute.or(connect).or_else(|| request.headers.get("host"))?;
    let host_and_port = authority.rsplit(|byte| *byte == b'@').next()?;
    let end = match host_and_port.iter().position(|byte| *byte == b']') {
        Some(bracket) => bracket.saturating_add(1),
        None => host_and_port.iter().position(|it| *it == b':').unwrap_or(host_and_port.len()),
    };
    let host = host_and_port.get(..end)?;
    Some(host.strip_suffix(b".").unwrap_or(host).to_ascii_lowercase())
}

/// Authority and the rest of a target in absolute form (RFC 9112, section 3.2.2).
fn split_absolute(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = target.iter().position(|&byte| matches!(byte, b':' | b'/' | b'?'))?;
    let after_scheme = target.get(colon..)?.strip_prefix(b"://")?;
    let end = after_scheme.iter().position(|&byte| matches!(byte, b'/' | b'?'));
    after_scheme.split_at_checked(end.unwrap_or(after_scheme.len()))
}

/// The path of a target, its percent signs undone once, but for `%2F`, which is no separator.
fn path(target: &[u8]) -> Cow<'_, [u8]> {
    let target = split_absolute(target).map_or(target, |(_, rest)| rest);
    let path = target.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    let path = if path.is_empty() { b"/" } else { path };
    if !path.contains(&b'%') {
        return path.into();
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&first, behind)) = rest.split_first() {
        let escaped = if first == b'%' { escaped_byte(behind) } else { None };
        rest = escaped.and_then(|_| behind.get(2..)).unwrap_or(behind);
        decoded.push(escaped.unwrap_or(first));
    }
    decoded.into()
}

/// The byte that two hexadecimal digits name, unless it is a slash.
fn escaped_byte(digits: &[u8]) -> Option<u8> {
    urlencoded::escaped_byte(digits).filter(|byte| *byte != b'/')
}

/// Exchanges that were let through before their end: whatever is known of them then, their last record
/// must follow, so that nobody keeps an unfinished one. As many as there are open connections.
#[derive(Debug, Default)]
pub struct LetThrough {
    unfinished: HashSet<(u64, u64)>,
}

impl LetThrough {
    /// Whether the exchange passes: as `decide` says, unless it was let through before.
    pub fn passes(
        &mut self,
        observation: &Observation,
        decide: impl FnOnce(&Observation) -> bool,
    ) -> bool {
        let key = (observation.connection.serial, observation.exchange.ordinal);
        let is_ongoing = observation.exchange.outcome == Outcome::Ongoing;
        let was_let_through = !self.unfinished.is_empty() && self.unfinished.remove(&key);
        let passes = was_let_through || decide(observation);
        if passes && is_ongoing {
            self.unfinished.insert(key);
        }
        passes
    }
}
