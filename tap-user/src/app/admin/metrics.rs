//! The totals of a run as metrics (OpenMetrics 1.0). Label values come from closed sets and from the
//! names of the sinks that are configured: nothing that traffic says becomes a label.

use super::Board;
use crate::app::totals::{Bytes, Interface, Policy, Sink, Source, Totals};
use crate::export::SpoolTotals;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What all names begin with.
const PREFIX: &str = "gatetap";

/// The metrics of this moment.
///
/// # Errors
/// None in practice: text is written into memory.
pub(super) fn encode(board: &Board) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix(PREFIX);
    let (is_attached, totals) = (board.is_attached(), board.totals());
    registry.register_collector(Box::new(Snapshot { is_attached, totals }));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Snapshot {
    is_attached: bool,
    totals: Option<Arc<Totals>>,
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let own = [
            Family::gauge("build_info", "The version that runs")
                .labelled("version", [(env!("CARGO_PKG_VERSION"), 1)]),
            Family::gauge("attached", "1 while the source is attached")
                .value(self.is_attached.into()),
        ];
        let counted = self.totals.iter().flat_map(|totals| families(totals));
        own.into_iter().chain(counted).try_for_each(|family| family.encode(&mut encoder))
    }
}

/// Metrics of one name.
struct Family<'a> {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    /// Labels and value of each.
    metrics: Vec<(Vec<(&'static str, &'a str)>, u64)>,
}

impl<'a> Family<'a> {
    /// A number that only grows; `_total` is added to its name.
    fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: MetricType::Counter, metrics: Vec::new() }
    }

    /// A number that goes up and down.
    fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: MetricType::Gauge, metrics: Vec::new() }
    }

    fn value(mut self, value: u64) -> Self {
        self.metrics.push((Vec::new(), value));
        self
    }

    fn labelled(
        mut self,
        label: &'static str,
        values: impl IntoIterator<Item = (&'a str, u64)>,
    ) -> Self {
        let metrics = values.into_iter().map(|(name, value)| (vec![(label, name)], value));
        self.metrics.extend(metrics);
        self
    }

    /// Each set of labels once, as the format wants it: after a change of settings the old sink of a name
    /// counts on beside the new one until all it had is delivered.
    fn summed(&self) -> Vec<(Vec<(&'static str, &'a str)>, u64)> {
        let mut sums: Vec<(Vec<_>, u64)> = Vec::with_capacity(self.metrics.len());
        for (labels, value) in &self.metrics {
            match sums.iter_mut().find(|(known, _)| known == labels) {
                Some((_, sum)) => *sum = sum.saturating_add(*value),
                None => sums.push((labels.clone(), *value)),
            }
        }
        sums
    }

    fn encode(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let mut family = encoder.encode_descriptor(self.name, self.help, None, self.kind)?;
        for (labels, value) in &self.summed() {
            let metric = family.encode_family(labels)?;
            match self.kind {
                MetricType::Gauge => ConstGauge::new(*value).encode(metric)?,
                _ => ConstCounter::new(*value).encode(metric)?,
            }
        }
        Ok(())
    }
}

fn families(totals: &Totals) -> Vec<Family<'_>> {
    let mut families = exchanges(totals);
    match &totals.source {
        #[cfg(feature = "probes")]
        Source::Probes { bytes: seen, kernel } => {
            families.extend(bytes(seen));
            families.extend(events(kernel));
        }
        Source::Interface(interface) => families.extend(packets(interface)),
        // Reading files serves no metrics.
        Source::Packets(_) | Source::Records(_) => {}
    }
    families.extend(policy(&totals.policy));
    families.extend(sinks(&totals.sinks));
    families
}

fn exchanges(totals: &Totals) -> Vec<Family<'_>> {
    let exchanges = &totals.exchanges;
    let connections = totals.connections.iter().map(|(protocol, count)| (*protocol, *count));
    vec![
        Family::counter("exchanges", "Exchanges that ended, by the side of the gateway")
            .labelled("leg", [("client", exchanges.client), ("upstream", exchanges.upstream)]),
        Family::counter("exchanges_exported_early", "Exchanges exported before they ended")
            .value(exchanges.exported_early),
        Family::counter("connections_ended", "Connections that ended, by what they spoke")
            .labelled("protocol", connections),
    ]
}

/// What was seen is the sum of the four fates.
fn bytes(bytes: &Bytes) -> Vec<Family<'_>> {
    let fates = [
        ("captured", bytes.captured),
        ("skipped", bytes.skipped),
        ("lost", bytes.lost),
        ("ignored", bytes.ignored),
    ];
    let causes = bytes.lost_by_cause.iter().map(|(cause, bytes)| (*cause, *bytes));
    vec![
        Family::counter("seen_bytes", "Bytes that the watched connections carried")
            .value(bytes.seen),
        Family::counter("bytes", "The same by what became of them").labelled("fate", fates),
        Family::counter("lost_bytes", "Bytes that moved and were not seen, by cause")
            .labelled("cause", causes),
    ]
}

#[cfg(feature = "probes")]
fn events(kernel: &crate::app::totals::Kernel) -> Vec<Family<'_>> {
    vec![
        Family::counter("kernel_events", "Events that the kernel programs made")
            .value(kernel.events),
        Family::counter("kernel_events_refused", "Events that found no room in the ring")
            .value(kernel.reservation_failures),
        Family::counter("kernel_copied_bytes", "Bytes that the kernel programs copied")
            .value(kernel.bytes_copied),
        Family::counter(
            "kernel_shortfalls",
            "What the kernel programs could not do, by what it was",
        )
        .labelled("kind", kernel.shortfalls()),
    ]
}

fn packets(interface: &Interface) -> Vec<Family<'_>> {
    let packets = &interface.packets;
    let fates =
        [("passed", packets.passed), ("dropped", packets.dropped), ("copies", packets.copies)];
    let mut families = bytes(&interface.bytes);
    families.push(
        Family::counter("packets", "Packets that matched, dropped ones and copies among them")
            .labelled("fate", fates),
    );
    families.push(
        Family::counter("connections_without_process", "Connections whose process is not known")
            .value(packets.pid_unknown),
    );
    families
}

/// Rules are those of the settings: as many as are configured.
fn policy(policy: &Policy) -> Vec<Family<'_>> {
    let redacted = policy.redacted.iter().map(|(rule, count)| (rule.as_str(), *count));
    vec![
        Family::counter("exchanges_kept_back", "Exchanges that did not leave, by reason")
            .labelled("reason", counts(&policy.dropped)),
        Family::counter("redacted_values", "Values replaced, by rule").labelled("rule", redacted),
    ]
}

fn sinks(sinks: &[Sink]) -> Vec<Family<'_>> {
    let mut families: Vec<_> =
        SINK_NUMBERS.iter().map(|(family, number)| of_sinks(family(), sinks, *number)).collect();
    families.push(by_label(
        Family::counter("sink_records_dropped", "Records given up, by reason"),
        "reason",
        sinks.iter().map(|sink| (sink, sink.dropped_by_reason())),
    ));
    families.push(by_label(
        Family::counter("sink_rejections", "Records that the receiver will never take, by kind"),
        "kind",
        sinks.iter().map(|sink| (sink, counts(&sink.rejected_by_kind))),
    ));
    families.push(by_label(
        Family::counter("sink_failures", "Attempts that failed, by kind"),
        "kind",
        sinks.iter().map(|sink| (sink, counts(&sink.failures_by_kind))),
    ));
    families.extend(SPOOL_NUMBERS.iter().map(|(family, number)| {
        let spools = sinks.iter().filter_map(|sink| Some((sink, sink.spool.as_ref()?)));
        let metrics = spools.map(|(sink, spool)| (labels(sink), number(spool)));
        Family { metrics: metrics.collect(), ..family() }
    }));
    families
}

/// Names and numbers that every sink has.
type SinkNumber = (fn() -> Family<'static>, fn(&Sink) -> u64);

const SINK_NUMBERS: [SinkNumber; 12] = [
    (|| Family::counter("sink_records_given", "Records for the sink"), |sink| sink.given),
    (
        || Family::counter("sink_exchanges_filtered", "Kept back by its filter"),
        |sink| sink.filtered,
    ),
    (
        || Family::counter("sink_exchanges_left_out", "The format has nothing to show of them"),
        |sink| sink.left_out,
    ),
    (|| Family::gauge("sink_records_waiting", "Records in memory"), |sink| sink.waiting),
    (|| Family::counter("sink_records_delivered", "Records delivered"), |sink| sink.delivered),
    (|| Family::counter("sink_bytes_delivered", "Bytes of these"), |sink| sink.delivered_bytes),
    (|| Family::counter("sink_records_warned", "Of these, with a warning"), |sink| sink.warned),
    (
        || Family::counter("sink_dead_letters_kept", "Kept, as rejected"),
        |sink| sink.dead_letters_kept,
    ),
    (
        || Family::counter("sink_dead_letters_lost", "Rejected, and not kept"),
        |sink| sink.dead_letters_lost,
    ),
    (|| Family::counter("sink_records_replayed", "Sent once more"), |sink| sink.replayed),
    (|| Family::counter("sink_reconnects", "Connections after the first"), |sink| sink.reconnects),
    (
        || Family::counter("sink_retries", "Attempts with records of an earlier one"),
        |sink| sink.retries,
    ),
];

/// Names and numbers that every spool has.
type SpoolNumber = (fn() -> Family<'static>, fn(&SpoolTotals) -> u64);

const SPOOL_NUMBERS: [SpoolNumber; 6] = [
    (
        || Family::gauge("spool_records_waiting", "Records not acknowledged"),
        |spool| spool.waiting_records,
    ),
    (
        || Family::gauge("spool_bytes_waiting", "Bytes of these on disk"),
        |spool| spool.waiting_bytes,
    ),
    (
        || Family::counter("spool_records_written", "Records appended"),
        |spool| spool.written_records,
    ),
    (
        || Family::counter("spool_bytes_damaged", "Bytes that were no record"),
        |spool| spool.damaged_bytes,
    ),
    (
        || Family::counter("spool_write_failures", "Writes that failed"),
        |spool| spool.write_failures,
    ),
    (|| Family::counter("spool_read_failures", "Reads that failed"), |spool| spool.read_failures),
];

fn of_sinks<'a>(family: Family<'a>, sinks: &'a [Sink], number: fn(&Sink) -> u64) -> Family<'a> {
    let metrics = sinks.iter().map(|sink| (labels(sink), number(sink))).collect();
    Family { metrics, ..family }
}

fn by_label<'a>(
    mut family: Family<'a>,
    label: &'static str,
    sinks: impl Iterator<Item = (&'a Sink, Vec<(&'static str, u64)>)>,
) -> Family<'a> {
    for (sink, counts) in sinks {
        let with_label = |(name, count)| ([labels(sink), vec![(label, name)]].concat(), count);
        family.metrics.extend(counts.into_iter().map(with_label));
    }
    family
}

fn labels(sink: &Sink) -> Vec<(&'static str, &str)> {
    vec![("sink", sink.name.as_str())]
}

fn counts(map: &BTreeMap<&'static str, u64>) -> Vec<(&'static str, u64)> {
    map.iter().map(|(name, count)| (*name, *count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sinks_of_one_name_are_one_metric() {
        let sink = |given| Sink { name: "collector".into(), given, ..Sink::default() };
        let text = text(&sinks(&[sink(5), sink(2)]));
        let given: Vec<_> = text.lines().filter(|line| line.contains("_given")).collect();
        assert_eq!(given, [r#"sink_records_given [("sink", "collector")] 7"#]);
    }

    fn text(families: &[Family<'_>]) -> String {
        let lines = families.iter().flat_map(|family| {
            let metrics = family.summed().into_iter();
            metrics.map(|(labels, value)| format!("{} {labels:?} {value}\n", family.name))
        });
        lines.collect()
    }

    #[test]
    fn each_sink_has_each_number() {
        let sink =
            Sink { name: "collector".into(), given: 5, dropped_queue_full: 2, ..Sink::default() };
        let sinks = [sink];
        let text = text(&super::sinks(&sinks));
        let named = r#"("sink", "collector")"#;
        for line in [
            format!("sink_records_given [{named}] 5"),
            format!(r#"sink_records_dropped [{named}, ("reason", "queue_full")] 2"#),
            format!("sink_retries [{named}] 0"),
        ] {
            assert!(text.lines().any(|told| told == line), "{line}\n{text}");
        }
    }
}
