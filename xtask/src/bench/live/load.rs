//! The loads: what wrk sends through the gateway.

use std::fmt::Write;

/// One kind of traffic.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Its name in table and JSON.
    pub(super) name: &'static str,
    /// What the response is: a path that the upstream serves.
    pub(super) path: &'static str,
    /// Bytes of each request's body; 0: a GET.
    pub(super) request_body: usize,
    /// Connections that wrk keeps busy.
    pub(super) connections: u16,
    /// Whether each request has a connection of its own.
    pub(super) closes: bool,
    /// Connections that stay open beside them and do nothing.
    pub(super) idle_connections: usize,
    /// Further arguments of `gatetap run`.
    pub(super) tap: &'static [&'static str],
    /// Further keys of its sink.
    pub(super) sink: &'static str,
}

const DEFAULT: Load = Load {
    name: "",
    path: "/400",
    request_body: 0,
    connections: 128,
    closes: false,
    idle_connections: 0,
    tap: &[],
    sink: "",
};

/// All loads, in the order of the table.
pub(super) const LOADS: [Load; 8] = [
    Load { name: "400 B JSON", ..DEFAULT },
    Load { name: "4 KiB JSON", path: "/4k", ..DEFAULT },
    Load { name: "200 KiB bodies", path: "/200k", connections: 16, ..DEFAULT },
    Load {
        name: "200 KiB, cap 1 MiB",
        path: "/200k",
        connections: 16,
        tap: &["--body-cap", "1MiB", "--ring-size", "256MiB"],
        sink: ",queue=256MiB",
        ..DEFAULT
    },
    Load { name: "400 B, both legs", tap: &["--leg", "client", "--leg", "upstream"], ..DEFAULT },
    Load { name: "POST 16 KiB", request_body: 16 * 1024, ..DEFAULT },
    Load { name: "short connections", closes: true, ..DEFAULT },
    Load { name: "2,000 idle beside", idle_connections: 2_000, ..DEFAULT },
];

impl Load {
    /// The script that makes wrk send it and tell what it measured as one line of JSON.
    pub(super) fn script(&self) -> String {
        let mut script = String::new();
        if self.request_body > 0 {
            // Text, as most of what people post is.
            let _ = writeln!(
                script,
                "wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\n\
                 wrk.body = '\"' .. string.rep('x', {}) .. '\"'",
                self.request_body.saturating_sub(2)
            );
        }
        if self.closes {
            script.push_str("wrk.headers['Connection'] = 'close'\n");
        }
        script.push_str(REPORT);
        script
    }
}

/// Latencies and duration in microseconds.
const REPORT: &str = r#"
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"bytes":%d,"errors":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), summary.bytes,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"#;
