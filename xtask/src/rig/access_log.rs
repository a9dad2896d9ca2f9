//! nginx's access log as an oracle: one JSON object a line, every value as text.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

/// Directives for the http block: logs each request as JSON into `access.log` of nginx's folder.
///
/// Every value is quoted, because nginx prints `$status` as `000` where there is none, which is
/// not a JSON number.
pub const ACCESS_LOG: &str = concat!(
    "log_format exchanges escape=json '{",
    r#""request_method":"$request_method","#,
    r#""request_uri":"$request_uri","#,
    r#""request":"$request","#,
    r#""status":"$status","#,
    r#""request_length":"$request_length","#,
    r#""bytes_sent":"$bytes_sent","#,
    r#""body_bytes_sent":"$body_bytes_sent","#,
    r#""request_time":"$request_time","#,
    r#""msec":"$msec","#,
    r#""pid":"$pid","#,
    r#""connection":"$connection","#,
    r#""connection_requests":"$connection_requests","#,
    r#""upstream_addr":"$upstream_addr","#,
    r#""upstream_bytes_sent":"$upstream_bytes_sent","#,
    r#""upstream_status":"$upstream_status","#,
    r#""upstream_response_time":"$upstream_response_time","#,
    r#""remote_addr":"$remote_addr","#,
    r#""remote_port":"$remote_port","#,
    r#""server_addr":"$server_addr","#,
    r#""server_port":"$server_port","#,
    r#""http_x_test_id":"$http_x_test_id""#,
    "}';\n",
    "access_log access.log exchanges;\n",
);

/// One line of nginx's access log; the names are nginx's variables without the dollar sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry(BTreeMap<String, String>);

impl LogEntry {
    /// The value of a variable as nginx printed it; empty when nginx had none or does not log it.
    pub fn text(&self, variable: &str) -> &str {
        self.0.get(variable).map_or("", String::as_str)
    }

    /// The value of a variable that counts something.
    pub fn number(&self, variable: &str) -> Option<u64> {
        self.text(variable).parse().ok()
    }
}

/// Reads a log written with [`ACCESS_LOG`]. A last line that nginx is still writing is left out.
pub(super) fn read(path: &Path) -> io::Result<Vec<LogEntry>> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other?,
    };
    // nginx leaves bytes above 0x7f as they are, so a line need not be UTF-8.
    let text = String::from_utf8_lossy(&bytes);
    text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(parse).collect()
}

fn parse(line: &str) -> io::Result<LogEntry> {
    serde_json::from_str(line).map(LogEntry).map_err(io::Error::other)
}
