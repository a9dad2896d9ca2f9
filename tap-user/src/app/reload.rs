//! SIGHUP: settings are read again, and what can change while connections are watched is changed
//! between two polls of the source. What cannot is named, and stays as it is until a restart; and
//! so does everything if the new settings are wrong.

use super::Failure;
use super::pipeline::Pipeline;
use super::settings::{Settings, SettingsFile};
use super::source::Source;
use crate::document::Problem;
use crate::export::{SinkSpecification, Stamp};
use crate::segment::Legs;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Keys whose values can change; all others are part of what is attached, of the kernel's copy
/// of the settings, or of what connections under observation have taken over.
const CHANGEABLE: [&str; 3] = ["sinks", "correlation.generator", "correlation.header"];
/// Groups of keys that can change, and single ones. Their values are not told: they may name what
/// is secret.
const CHANGEABLE_POLICY: [&str; 4] = ["redaction", "filter", "sampling", "rate_limit"];

/// How often the source is asked for what happened before a change: under full load it always has more.
const POLLS_BEFORE: usize = 64;

/// Reads all settings as at the start.
pub(super) type ReadSettings = Box<dyn Fn() -> Result<Settings, Problem>>;

/// Reads settings again when asked.
pub(super) struct Reload {
    asked: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    read: ReadSettings,
    /// Settings as they are in force, by key.
    running: BTreeMap<String, Value>,
    /// Sinks as they run, with the state of what they depended on when they began.
    sinks: Vec<(SinkSpecification, Stamp)>,
    /// Sides of the gateway that were named at the start.
    legs: Option<Legs>,
    terminals: usize,
}

impl Reload {
    /// From here on SIGHUP asks for it.
    pub(super) fn on_signal(
        read: ReadSettings,
        settings: &Settings,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, Failure> {
        let asked = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::clone(&asked))?;
        let running = by_key(&settings.typed);
        let sinks = stamped(settings.records.sinks.clone());
        let legs = settings.records.legs;
        Ok(Self { asked, stop, read, running, sinks, legs, terminals: terminals() })
    }

    /// Does it if it was asked for.
    pub(super) fn apply_if_asked(&mut self, source: &mut dyn Source, pipeline: &mut Pipeline) {
        if !self.asked.swap(false, Ordering::Relaxed) {
            return;
        }
        if terminals() < self.terminals {
            // The terminal is gone: nobody asks for new settings, the tap is to end.
            self.stop.store(true, Ordering::Relaxed);
            return;
        }
        take_in(source, pipeline);
        if let Err(failure) = self.apply(source, pipeline) {
            eprintln!("gatetap: nothing is changed: {failure}");
        }
    }

    fn apply(&mut self, source: &mut dyn Source, pipeline: &mut Pipeline) -> Result<(), Failure> {
        let mut settings = (self.read)()?;
        settings.records.sinks = self.with_generations(settings.records.sinks);
        // Which legs are named stays as it was, but what sinks carry may be others.
        settings.records.legs = self.legs;
        pipeline.reconfigure(&settings.records)?;
        if let Err(failure) = source.want(settings.records.wanted_legs()) {
            // The sinks are changed by now.
            eprintln!("gatetap: warning: the kernel copies the same legs as before: {failure}");
        }
        let sinks = self.tell_sinks(&settings.records.sinks);
        self.sinks = stamped(settings.records.sinks);
        self.tell_keys(by_key(&settings.typed), sinks);
        Ok(())
    }

    /// A sink whose files with secrets or certificates have changed is to begin anew.
    fn with_generations(&self, sinks: Vec<SinkSpecification>) -> Vec<SinkSpecification> {
        let with_generation = |mut sink: SinkSpecification| {
            if let Some((running, stamp)) = self.sinks.iter().find(|it| it.0.name == sink.name) {
                let has_changed = *stamp != sink.stamp();
                sink.generation = running.generation.wrapping_add(u64::from(has_changed));
            }
            sink
        };
        sinks.into_iter().map(with_generation).collect()
    }

    /// What became of sinks, in words.
    fn tell_sinks(&self, sinks: &[SinkSpecification]) -> Vec<String> {
        let mut words = Vec::new();
        for sink in sinks {
            match self.sinks.iter().find(|(running, _)| running.name == sink.name) {
                None => words.push(format!("new sink {}", sink.name)),
                Some((running, _)) if running.generation != sink.generation => {
                    words.push(format!("sink {} with other secrets", sink.name));
                }
                Some((running, _)) if running != sink => {
                    words.push(format!("sink {} with other settings", sink.name));
                }
                Some(_) => {}
            }
        }
        let is_gone = |name: &str| sinks.iter().all(|sink| sink.name != name);
        let gone = self.sinks.iter().filter(|(running, _)| is_gone(&running.name));
        words.extend(gone.map(|(running, _)| format!("no sink {} any more", running.name)));
        words
    }

    /// Says what changed, and what would need a restart.
    fn tell_keys(&mut self, settings: BTreeMap<String, Value>, sinks: Vec<String>) {
        let mut changed = sinks;
        let mut fixed = Vec::new();
        for (key, value) in settings {
            if self.running.get(&key) == Some(&value) {
                continue;
            }
            let group = key.split('.').next().unwrap_or_default();
            if CHANGEABLE_POLICY.contains(&group) {
                changed.push(format!("{key} has changed"));
            } else if !CHANGEABLE.contains(&key.as_str()) {
                fixed.push(key);
                continue;
            } else if key != "sinks" {
                changed.push(format!("{key} is now {value}"));
            }
            self.running.insert(key, value);
        }
        let changed = if changed.is_empty() { "no change".to_owned() } else { changed.join("; ") };
        eprintln!("gatetap: settings read again: {changed}");
        if !fixed.is_empty() {
            let keys = fixed.join(", ");
            eprintln!("gatetap: warning: restart to apply what else has changed: {keys}");
        }
    }
}

/// What happened before goes by the settings of before.
fn take_in(source: &mut dyn Source, pipeline: &mut Pipeline) {
    for _ in 0..POLLS_BEFORE {
        if source.poll(pipeline) == 0 {
            return;
        }
    }
}

fn stamped(sinks: Vec<SinkSpecification>) -> Vec<(SinkSpecification, Stamp)> {
    let with_stamp = |sink: SinkSpecification| {
        let stamp = sink.stamp();
        (sink, stamp)
    };
    sinks.into_iter().map(with_stamp).collect()
}

/// Each key with its value, those of groups as `select.ports`.
fn by_key(settings: &SettingsFile) -> BTreeMap<String, Value> {
    let mut keys = BTreeMap::new();
    let Ok(Value::Object(groups)) = serde_json::to_value(settings) else { return keys };
    for (group, value) in groups {
        match value {
            Value::Object(below) => {
                keys.extend(
                    below.into_iter().map(|(key, value)| (format!("{group}.{key}"), value)),
                );
            }
            value => {
                keys.insert(group, value);
            }
        }
    }
    keys
}

/// How many of the standard streams are terminals.
fn terminals() -> usize {
    let (input, output, error) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    [input.is_terminal(), output.is_terminal(), error.is_terminal()]
        .into_iter()
        .filter(|&is_terminal| is_terminal)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_change_are_keys() {
        let keys = by_key(&SettingsFile::default());
        for key in CHANGEABLE {
            assert!(keys.contains_key(key), "{key}");
        }
        assert!(keys.contains_key("select.ports") && keys.contains_key("ring_size"));
    }
}
