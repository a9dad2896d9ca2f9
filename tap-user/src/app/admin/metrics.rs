//! The totals of a run as metrics (OpenMetrics 1.0). Label values come from closed sets and from the
//! names of the sinks that are configured: nothing that traffic says becomes a label.

use super::Board;
use crate::app::totals::{Bytes, Interface, Sink, Source, Totals};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
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

    fn encode(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let mut family = encoder.encode_descriptor(self.name, self.help, None, self.kind)?;
        for (labels, value) in &self.metrics {
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
        Source::Packets(_) => {}
    }
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

fn sinks(sinks: &[Sink]) -> Vec<Family<'_>> {
    let of = |family: Family<'static>, number: fn(&Sink) -> u64| {
        let Family { name, help, kind, .. } = family;
        let metrics = sinks.iter().map(|sink| (vec![("sink", sink.name.as_str())], number(sink)));
        Family { name, help, kind, metrics: metrics.collect() }
    };
    vec![
        of(Family::counter("sink_records_delivered", "Records delivered"), |sink| sink.delivered),
        of(Family::counter("sink_bytes_delivered", "Bytes of these"), |sink| sink.delivered_bytes),
        of(Family::counter("sink_reconnects", "Connections after the first"), |sink| {
            sink.reconnects
        }),
        of(Family::counter("sink_failures", "Attempts that failed"), |sink| sink.failures),
        dropped(sinks),
    ]
}

fn dropped(sinks: &[Sink]) -> Family<'_> {
    let mut family = Family::counter("sink_records_dropped", "Records given up, by reason");
    for sink in sinks {
        let reasons =
            [("queue_full", sink.dropped_queue_full), ("shutdown", sink.dropped_at_shutdown)];
        family.metrics.extend(reasons.map(|(reason, count)| {
            (vec![("sink", sink.name.as_str()), ("reason", reason)], count)
        }));
    }
    family
}
