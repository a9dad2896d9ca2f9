//! The command line put over the file: what is named there replaces what the file says.

use super::load::Loaded;
use crate::app::arguments::{
    CommonArguments, RecordArguments, SelectionArguments, SourceArguments,
};
use crate::document::Problem;

impl Loaded {
    /// The settings of `run` and `watch`.
    pub(crate) fn for_tap(arguments: &CommonArguments) -> Result<Self, Problem> {
        let mut loaded = Self::for_records(&arguments.records)?;
        loaded.put_selection(&arguments.selection);
        loaded.put_source(&arguments.source);
        loaded.put("age_limit", "--age-limit", arguments.age_limit, |file| &mut file.age_limit);
        loaded.put("ring_size", "--ring-size", arguments.ring_size, |file| &mut file.ring_size);
        loaded.put("nice", "--nice", arguments.nice, |file| &mut file.nice);
        let admin = arguments.admin.map(Some);
        loaded.put("admin.listen", "--admin", admin, |file| &mut file.admin.listen);
        Ok(loaded)
    }

    /// The settings of `read`, and what `run` and `watch` share with it.
    pub(crate) fn for_records(given: &RecordArguments) -> Result<Self, Problem> {
        let mut loaded = Self::read(given.config.as_deref())?;
        loaded.put("body_cap", "--body-cap", given.body_cap, |file| &mut file.body_cap);
        loaded.put("memory_limit", "--memory-limit", given.memory_limit, |file| {
            &mut file.memory_limit
        });
        let generator = given.correlation_generator;
        loaded.put("correlation.generator", "--correlation-generator", generator, |file| {
            &mut file.correlation.generator
        });
        let header = given.correlation_header.clone();
        loaded.put("correlation.header", "--correlation-header", header, |file| {
            &mut file.correlation.header
        });
        let redact = given.no_redact.then_some(false);
        loaded.put("redaction.enabled", "--no-redact", redact, |file| &mut file.redaction.enabled);
        let sinks = some(&given.sink);
        loaded.put("sinks", "--sink", sinks, |file| &mut file.sinks);
        Ok(loaded)
    }

    /// Who is watched.
    pub(super) fn put_selection(&mut self, given: &SelectionArguments) {
        self.put("select.ports", "--port", some(&given.port), |file| &mut file.select.ports);
        self.put("select.processes", "--process", some(&given.process), |file| {
            &mut file.select.processes
        });
        self.put("select.pids", "--pid", some(&given.pid), |file| &mut file.select.pids);
        let namespace = given.netns.clone().map(Some);
        self.put("select.network_namespace", "--netns", namespace, |file| {
            &mut file.select.network_namespace
        });
        let group = given.cgroup.clone().map(Some);
        self.put("select.control_group", "--cgroup", group, |file| &mut file.select.control_group);
        self.put("select.legs", "--leg", some(&given.leg), |file| &mut file.select.legs);
    }

    fn put_source(&mut self, given: &SourceArguments) {
        self.put("source", "--source", given.source, |file| &mut file.source);
        let interface = given.interface.clone();
        self.put("interface", "--interface", interface, |file| &mut file.interface);
        let filter = given.filter.clone().map(Some);
        self.put("capture_filter", "--filter", filter, |file| &mut file.capture_filter);
        self.put("snap_length", "--snap-length", given.snap_length, |file| &mut file.snap_length);
    }

    fn put<T>(
        &mut self,
        key: &'static str,
        flag: &'static str,
        given: Option<T>,
        place: impl FnOnce(&mut super::SettingsFile) -> &mut T,
    ) {
        if let Some(value) = given {
            *place(&mut self.settings) = value;
            self.overridden.push((key, flag));
        }
    }
}

fn some<T: Clone>(given: &[T]) -> Option<Vec<T>> {
    (!given.is_empty()).then(|| given.to_vec())
}
