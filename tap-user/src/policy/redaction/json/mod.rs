//! Secrets in JSON, by path. A reader of its own, because bodies are cut anywhere, come several in a
//! row, and are not always what they say: it goes on behind every error, in one pass, without
//! recursion, and with a bounded stack.
//!
//! It is generous where the text is not JSON (RFC 8259): names without quotation marks and strings in
//! single ones are understood, a secret that the text cuts reaches to its end, and what stands deeper
//! than the stack is replaced as a whole if a path may lead there.

mod path;
mod strings;

pub(super) use path::Paths;
pub use path::{InvalidPath, JsonPath, TooManySteps};

use super::edits::{Edits, Rule};
use path::{Key, States};
use strings::{string_end, text_of};

/// Objects and arrays inside of each other that are followed.
const DEPTH_LIMIT: usize = 256;

/// Finds the values under all paths.
pub(super) fn find(text: &[u8], paths: &Paths, too_deep: &Rule, edits: &mut Edits<'_>) {
    let stack = Vec::new();
    let mut reader = Reader { text, place: 0, paths, too_deep, stack, named: None, last: b' ' };
    while let Some(byte) = reader.significant() {
        reader.read(byte, edits);
    }
}

/// Whether the text looks like JSON, whatever it says that it is.
pub(super) fn looks_like_json(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start();
    // The last one keeps scripts from reading the rest.
    matches!(text.first(), Some(b'{' | b'[')) || text.starts_with(b")]}'")
}

/// An object or array that has begun.
#[derive(Debug, Clone, Copy)]
struct Level {
    states: States,
    /// Elements so far; `None` in an object.
    elements: Option<u64>,
}

/// The value that comes next has a name.
#[derive(Debug)]
struct Named<'a> {
    states: States,
    rule: Option<&'a Rule>,
}

struct Reader<'a> {
    text: &'a [u8],
    place: usize,
    paths: &'a Paths,
    too_deep: &'a Rule,
    stack: Vec<Level>,
    named: Option<Named<'a>>,
    /// What the significant thing before began with.
    last: u8,
}

impl<'a> Reader<'a> {
    /// Goes to the next byte that is not white space.
    fn significant(&mut self) -> Option<u8> {
        let rest = self.text.get(self.place..)?;
        let space = rest.iter().position(|byte| !is_space(*byte))?;
        self.place = self.place.saturating_add(space);
        self.text.get(self.place).copied()
    }

    /// Reads what begins with `byte`.
    fn read(&mut self, byte: u8, edits: &mut Edits<'_>) {
        let last = std::mem::replace(&mut self.last, byte);
        match byte {
            b'}' | b']' => {
                self.stack.pop();
                self.named = None;
                self.place += 1;
            }
            b',' => {
                self.named = None;
                self.place += 1;
            }
            b'{' | b'[' => self.read_container(byte, edits),
            b'"' => self.read_string(edits),
            b'\'' if matches!(last, b':' | b',' | b'{' | b'[' | b'(') => self.read_string(edits),
            _ if is_word(byte) => self.read_word(edits),
            _ => self.place += 1,
        }
    }

    fn read_container(&mut self, byte: u8, edits: &mut Edits<'_>) {
        let Named { states, rule } = self.begin_value();
        let is_too_deep = self.stack.len() >= DEPTH_LIMIT;
        let too_deep = (is_too_deep && !states.is_empty()).then_some(self.too_deep);
        match rule.or(too_deep) {
            Some(rule) => self.replace(rule, edits),
            // Nothing inside is looked for.
            None if is_too_deep || states.is_empty() => {
                self.place = value_end(self.text, self.place)
            }
            None => {
                self.stack.push(Level { states, elements: (byte == b'[').then_some(0) });
                self.place += 1;
            }
        }
    }

    fn read_string(&mut self, edits: &mut Edits<'_>) {
        let end = string_end(self.text, self.place);
        self.read_token(end, edits);
    }

    fn read_word(&mut self, edits: &mut Edits<'_>) {
        let rest = self.text.get(self.place..).unwrap_or_default();
        let length = rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
        self.read_token(self.place.saturating_add(length), edits);
    }

    /// A string or word that ends at `end` is a name if a colon follows, else a value.
    fn read_token(&mut self, end: usize, edits: &mut Edits<'_>) {
        let start = self.place;
        self.place = end;
        if self.significant() == Some(b':') {
            let name = text_of(self.text.get(start..end).unwrap_or_default());
            let states = self.stack.last().map_or(self.paths.root(), |level| level.states);
            let (states, rule) = self.paths.step(states, Key::Name(&name));
            self.named = Some(Named { states, rule });
            self.place += 1;
            self.last = b':';
            self.read_secret_name(edits);
            return;
        }
        self.place = start;
        match self.begin_value().rule {
            Some(rule) => self.replace(rule, edits),
            None => self.place = end,
        }
    }

    /// Behind a name that is secret, whatever stands there is its value.
    fn read_secret_name(&mut self, edits: &mut Edits<'_>) {
        let Some(rule) = self.named.as_ref().and_then(|named| named.rule) else { return };
        if let Some(byte) = self.significant()
            && !matches!(byte, b',' | b'}' | b']')
        {
            self.named = None;
            self.replace(rule, edits);
        }
    }

    /// What is looked for in the value that begins here.
    fn begin_value(&mut self) -> Named<'a> {
        if let Some(named) = self.named.take() {
            return named;
        }
        let Some(level) = self.stack.last_mut() else {
            return Named { states: self.paths.root(), rule: None };
        };
        let Some(index) = level.elements else {
            // A value without name in an object: no JSON, so all is possible.
            return Named { states: level.states, rule: None };
        };
        level.elements = Some(index.saturating_add(1));
        let (states, rule) = self.paths.step(level.states, Key::Index(index));
        Named { states, rule }
    }

    /// Replaces the value that begins here.
    fn replace(&mut self, rule: &Rule, edits: &mut Edits<'_>) {
        let start = self.place;
        self.place = value_end(self.text, start).max(start.saturating_add(1));
        self.last = b'"';
        let value = self.text.get(start..self.place).unwrap_or_default();
        if !matches!(value, b"\"\"" | b"\"") {
            edits.replace_with_string(start..self.place, &text_of(value), rule);
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Bytes of numbers, literals, and names without quotation marks.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'-' | b'+' | b'.') || byte >= 0x80
}

/// Where the value that begins at `start` ends.
fn value_end(text: &[u8], start: usize) -> usize {
    match text.get(start) {
        Some(b'"' | b'\'') => string_end(text, start),
        Some(b'{' | b'[') => container_end(text, start),
        _ => {
            let rest = text.get(start..).unwrap_or_default();
            let is_end = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b'\n' | b'\r');
            let end = rest.iter().position(is_end).unwrap_or(rest.len());
            start.saturating_add(rest.get(..end).unwrap_or_default().trim_ascii_end().len())
        }
    }
}

fn container_end(text: &[u8], start: usize) -> usize {
    let (mut place, mut depth) = (start, 0_usize);
    while let Some(byte) = text.get(place) {
        match byte {
            b'"' => {
                place = string_end(text, place);
                continue;
            }
            b'{' | b'[' => depth = depth.saturating_add(1),
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        place = place.saturating_add(1);
        if depth == 0 {
            break;
        }
    }
    place
}

#[cfg(test)]
mod tests;
