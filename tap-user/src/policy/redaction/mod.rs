//! Secrets out of exchanges: what a record would show is replaced before any format sees it.
//!
//! ```text
//! header fields ─┬─ names                    the whole value
//!                ├─ parameters               URLs inside a value: parameters, users
//! target ────────┘─ pattern ─ card           what looks like a secret
//! body ── decoded, in UTF-8 ─┬─ parameters, multipart     fields of forms
//!                            ├─ json                      values by path
//!                            └─ pattern
//! ```
//!
//! All sizes and offsets stay those of the wire. The header that carries the correlation id is kept as
//! it is. With nothing to replace, nothing is copied; without rules for bodies, none is looked at.

mod body;
mod card;
mod defaults;
mod edits;
pub mod fuzz;
mod json;
mod multipart;
mod names;
mod parameters;
mod pattern;
mod replacement;
mod settings;
#[cfg(test)]
mod tests;

pub use json::{InvalidPath, JsonPath, TooManySteps};
pub use pattern::{BuiltIn, InvalidPattern, NamedPattern, PatternSettings};
pub use replacement::{REDACTED, Replacement, ShortKey};
pub use settings::{HashKey, HashKeySettings, InvalidRedaction, NameSettings, RedactionSettings};

use crate::gateway::{Observation, Redacted};
use crate::http::{Exchange, Headers, Request};
use edits::{Edits, Rule};
use json::Paths;
use names::Names;
use parameters::{Parameters, Place, find_user, may_hold_any};
use pattern::Pattern;
use std::sync::Arc;

/// Headers whose whole value is a URL.
const URL_HEADERS: [&str; 8] = [
    "location",
    "content-location",
    "referer",
    "destination",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
    "x-forwarded-uri",
];

/// Takes secrets out of exchanges.
#[derive(Debug, Clone)]
pub struct Redaction {
    /// `None`: everything leaves as it is.
    rules: Option<Rules>,
}

/// All rules, ready for use.
#[derive(Debug, Clone)]
struct Rules {
    replacement: Replacement,
    /// The header that carries the correlation id.
    kept_header: String,
    headers: Names,
    query: Names,
    form: Names,
    paths: Paths,
    patterns: Vec<Pattern>,
    userinfo: Rule,
    too_deep: Rule,
    cut_word: Rule,
    withheld: Rule,
}

impl Redaction {
    /// Rules as settings have them; `key` is that for hashes, if they name one.
    ///
    /// # Errors
    /// The settings cannot be.
    pub fn new(
        settings: &RedactionSettings,
        key: Option<&[u8]>,
        correlation_header: &str,
    ) -> Result<Self, InvalidRedaction> {
        let rules = Rules::new(settings, key, correlation_header)?;
        Ok(Self { rules: settings.enabled.then_some(rules) })
    }

    /// Everything leaves as it is.
    #[must_use]
    pub fn none() -> Self {
        Self { rules: None }
    }

    /// For exchanges that may have been redacted before: what reads like a replacement stays as it
    /// is, and is not counted again.
    #[must_use]
    pub fn again(mut self) -> Self {
        if let Some(rules) = &mut self.rules {
            rules.replacement = rules.replacement.clone().again();
        }
        self
    }

    /// The names of all rules: what records and counters name.
    #[must_use]
    pub fn rules(&self) -> Vec<Arc<str>> {
        let Some(rules) = &self.rules else { return Vec::new() };
        let names = [&rules.headers, &rules.query, &rules.form].into_iter().flat_map(Names::rules);
        let patterns = rules.patterns.iter().map(|pattern| &pattern.rule);
        let others = [&rules.userinfo, &rules.too_deep, &rules.cut_word, &rules.withheld];
        names.chain(rules.paths.rules()).chain(patterns).chain(others).cloned().collect()
    }

    /// Replaces all secrets, and notes in the observation what was replaced.
    pub fn redact(&self, observation: &mut Observation) {
        let Some(rules) = &self.rules else { return };
        let mut redacted = observation.redacted.take().map_or_else(Redacted::default, |it| *it);
        // First, because headers tell how a body is to be read.
        if rules.has_rules_for_bodies() {
            rules.bodies(observation, &mut redacted);
        }
        rules.heads(observation, &mut redacted);
        if redacted != Redacted::default() {
            observation.redacted = Some(Box::new(redacted));
        }
    }
}

impl Default for Redaction {
    /// Credentials in headers and URLs are replaced by a word.
    fn default() -> Self {
        let settings = RedactionSettings::default();
        // The defaults are valid: a test sees to it.
        Self::new(&settings, None, crate::gateway::DEFAULT_HEADER).unwrap_or_else(|_| Self::none())
    }
}

impl Rules {
    fn new(
        settings: &RedactionSettings,
        key: Option<&[u8]>,
        correlation_header: &str,
    ) -> Result<Self, InvalidRedaction> {
        let added = settings.headers.add.iter();
        if let Some(name) = added.clone().find(|name| name.eq_ignore_ascii_case(correlation_header))
        {
            return Err(InvalidRedaction::CorrelationHeader(name.clone()));
        }
        settings::check_names("form", &settings.form)?;
        let headers = settings.headers.resolve("headers", defaults::HEADERS)?;
        let query = settings.query.resolve("query", defaults::QUERY)?;
        Ok(Self {
            replacement: key.map_or(Ok(Replacement::word()), Replacement::keyed)?,
            kept_header: correlation_header.to_owned(),
            headers: Names::new("header", headers),
            query: Names::new("query", query),
            form: Names::new("form", settings.form.iter().map(String::as_str)),
            paths: Paths::new(&settings.json)?,
            patterns: patterns(&settings.patterns)?,
            userinfo: "userinfo".into(),
            too_deep: "too_deep".into(),
            cut_word: "cut_word".into(),
            withheld: "withheld".into(),
        })
    }

    fn has_rules_for_bodies(&self) -> bool {
        !self.form.is_empty() || !self.paths.is_empty() || !self.patterns.is_empty()
    }

    fn heads(&self, observation: &mut Observation, redacted: &mut Redacted) {
        let exchange = &mut observation.exchange;
        if let Some(request) = &mut exchange.request {
            self.target(request, redacted);
            self.fields(&mut request.headers, redacted);
            self.fields(&mut request.body.trailers, redacted);
        }
        for interim in &mut exchange.interim {
            self.fields(&mut interim.headers, redacted);
        }
        if let Some(response) = &mut exchange.response {
            self.fields(&mut response.headers, redacted);
            self.fields(&mut response.body.trailers, redacted);
        }
    }

    fn target(&self, request: &mut Request, redacted: &mut Redacted) {
        let mut edits = Edits::new(&self.replacement);
        let is_connect = request.method.eq_ignore_ascii_case("CONNECT");
        if !is_connect && !self.may_hold_any(&request.target) {
            return;
        }
        if is_connect {
            let end = request.target.len();
            find_user(&request.target, 0, end, &self.userinfo, &mut edits);
        }
        if let Some(altered) = self.text(&request.target, Place::Url, edits, redacted) {
            request.target = altered;
        }
    }

    fn fields(&self, headers: &mut Headers, redacted: &mut Redacted) {
        let mut values = Vec::new();
        // Of most heads no value needs a look: one at all of them together tells.
        let look_inside = self.may_hold_any(headers.raw());
        for (number, (name, value)) in headers.iter().enumerate() {
            if !look_inside && !self.headers.may_hold(name) {
                continue;
            }
            if let Some(value) = self.field(name, value, look_inside, redacted) {
                values.push((number, value));
            }
        }
        if !values.is_empty() {
            *headers = headers.with_values(&values);
        }
    }

    /// What is to stand in the place of a field's value; `None`: the value itself.
    fn field(
        &self,
        name: &[u8],
        value: &[u8],
        look_inside: bool,
        redacted: &mut Redacted,
    ) -> Option<Vec<u8>> {
        if value.is_empty() || name.eq_ignore_ascii_case(self.kept_header.as_bytes()) {
            return None;
        }
        if let Some(rule) = self.headers.find(name) {
            if self.replacement.keeps(value) {
                return None;
            }
            redacted.count(rule, 1);
            return Some(self.replacement.of(value).into_owned());
        }
        if !look_inside || !self.may_hold_any(value) {
            return None;
        }
        let is_url = URL_HEADERS.iter().any(|url| url.as_bytes().eq_ignore_ascii_case(name));
        let place = if is_url { Place::Url } else { Place::Prose };
        self.text(value, place, Edits::new(&self.replacement), redacted)
    }

    /// Whether [`Self::text`] may find anything in such a text.
    fn may_hold_any(&self, text: &[u8]) -> bool {
        !self.patterns.is_empty() || may_hold_any(text)
    }

    /// `text` with all secrets replaced; `None` if there are none.
    fn text(
        &self,
        text: &[u8],
        place: Place,
        mut edits: Edits<'_>,
        redacted: &mut Redacted,
    ) -> Option<Vec<u8>> {
        let user = Some(&self.userinfo);
        Parameters { names: &self.query, user }.find(text, place, &mut edits);
        let altered = edits.apply(text, |rule| redacted.count(rule, 1));
        let text = altered.as_deref().unwrap_or(text);
        let with_patterns = self.find_patterns(text).apply(text, |rule| redacted.count(rule, 1));
        with_patterns.or(altered)
    }

    fn find_patterns(&self, text: &[u8]) -> Edits<'_> {
        let mut edits = Edits::new(&self.replacement);
        self.patterns.iter().for_each(|pattern| pattern.find(text, &mut edits));
        edits
    }

    /// Replaces secrets in what stands in the place of bodies.
    fn replaced_bodies(&self, exchange: &Exchange, redacted: &mut Redacted) {
        if let (Some(request), Some(mut replaced)) =
            (&exchange.request, redacted.request_body.take())
        {
            self.replaced_body(&request.headers, &mut replaced, redacted);
            redacted.request_body = Some(replaced);
        }
        if let (Some(response), Some(mut replaced)) =
            (&exchange.response, redacted.response_body.take())
        {
            self.replaced_body(&response.headers, &mut replaced, redacted);
            redacted.response_body = Some(replaced);
        }
    }

    /// Replaces secrets in bodies. Nothing of a body that is replaced stays in the observation.
    fn bodies(&self, observation: &mut Observation, redacted: &mut Redacted) {
        let Observation { exchange, contents, .. } = observation;
        self.replaced_bodies(exchange, redacted);
        if let Some(request) = exchange.request.as_mut().filter(|it| !it.body.bytes.is_empty()) {
            let content = contents.request(request);
            redacted.request_body = self.body(&request.headers, &request.body, content, redacted);
            if redacted.request_body.is_some() {
                request.body.bytes = Vec::new();
                contents.forget_request();
            }
        }
        if let Some(response) = exchange.response.as_mut().filter(|it| !it.body.bytes.is_empty()) {
            let content = contents.response(response);
            redacted.response_body =
                self.body(&response.headers, &response.body, content, redacted);
            if redacted.response_body.is_some() {
                response.body.bytes = Vec::new();
                contents.forget_response();
            }
        }
    }
}

fn patterns(settings: &[PatternSettings]) -> Result<Vec<Pattern>, InvalidRedaction> {
    let mut patterns: Vec<Pattern> = Vec::with_capacity(settings.len());
    for settings in settings {
        let pattern = Pattern::new(settings)?;
        if patterns.iter().any(|other| other.rule == pattern.rule) {
            return Err(InvalidRedaction::PatternTwice(pattern.rule.to_string()));
        }
        patterns.push(pattern);
    }
    Ok(patterns)
}
