use super::*;
use crate::document::{parse_yaml, read};
use crate::export::{FileSettings, StdoutSettings};

fn tcp(host: &str, port: &str, seconds: u64) -> Destination {
    let yaml = format!("{{host: '{host}', port: {port}, timeout: {seconds}s}}");
    Destination::Tcp(read(&parse_yaml(&yaml).unwrap()).unwrap())
}

fn sink(name: &str, destination: Destination, format: Format, queue: u64) -> SinkSpecification {
    SinkSpecification {
        name: name.into(),
        destination,
        format,
        log_body: true,
        filter: FilterSettings::default(),
        queue_bytes: queue,
        retry: Retry::default(),
        spool: None,
        dead_letter: None,
        generation: 0,
    }
}

fn from_yaml(yaml: &str) -> Result<SinkSpecification, Problem> {
    read::<SinkSettings>(&parse_yaml(yaml)?)?.resolve()
}

#[test]
fn command_line() {
    let stdout = Destination::Stdout(StdoutSettings {});
    let file = Destination::File(FileSettings { path: "/a:b".into(), rotate: None });
    for (text, expected) in [
        ("stdout", sink("stdout", stdout.clone(), Format::Native, 67_108_864)),
        ("stdout,format=kong", sink("stdout", stdout, Format::Kong, 67_108_864)),
        ("file:/a:b,queue=1GiB", sink("file:/a:b", file, Format::Native, 1_073_741_824)),
        ("tcp:h:9563", sink("tcp:h:9563", tcp("h", "9563", 10), Format::Kong, 67_108_864)),
        (
            "tcp:[::1]:1,timeout=1m,format=tcp-body-log,queue_bytes=65536,name=collector",
            sink("collector", tcp("::1", "1", 60), Format::TcpBodyLog, 65_536),
        ),
    ] {
        assert_eq!(text.parse(), Ok(expected), "{text}");
    }
}

#[test]
fn yaml_says_the_same() {
    for (yaml, text) in [
        ("stdout: {}", "stdout"),
        ("stdout:", "stdout"),
        ("{file: {path: /x}, format: kong}", "file:/x,format=kong"),
        (
            "{tcp: {host: '::1', port: 7, timeout: 2s}, queue_bytes: 1048576, name: 7}",
            "tcp:[::1]:7,timeout=2s,queue=1MiB,name=7",
        ),
        (
            "{stdout: , retry: {first_wait: 1s, longest_wait: 1m}}",
            "stdout,retry.longest_wait=60s,retry.first_wait=1000ms",
        ),
        ("{tcp: {host: h, port: 7}, queue_bytes: 2MiB}", "tcp:h:7,queue=2097152"),
    ] {
        assert_eq!(from_yaml(yaml), text.parse(), "{yaml}");
    }
}

#[test]
fn names_read_as_they_are_written() {
    for text in ["stdout", "file:/x", "tcp:h:1", "tcp:[::1]:2"] {
        let read: SinkSpecification = text.parse().unwrap();
        assert_eq!(read.name, text);
    }
}

/// Which keys there are is not what these tables are about.
fn without_keys(problem: &Problem) -> String {
    let text = problem.to_string();
    text.split("known here: ").next().unwrap_or_default().trim_end().to_owned()
}

#[test]
fn problems_of_the_command_line_name_the_key_and_what_is_allowed() {
    let problems: Vec<String> = [
        "kafka:x",
        "stdout:x",
        "file:",
        "tcp::1",
        "tcp:h",
        "tcp:h:0",
        "tcp:::1:5",
        "tcp:[[::1]]:5",
        "stdout,timeout=1s",
        "stdout,colour=red",
        "tcp:h:1,timout=1s",
        "stdout,format=xml",
        "stdout,format=kong,format=kong",
        "stdout,format.x=kong",
        "stdout,kong",
        "tcp:h:1,timeout=0s",
        "stdout,queue=12MB",
        "stdout,queue=12",
        "stdout,queue=99999999999GiB",
        "stdout,tcp.host=x",
        "stdout,retry.first_wait=1h",
        "stdout,retry=1h",
    ]
    .map(|text| {
        format!("{text}\n  {}", without_keys(&text.parse::<SinkSpecification>().unwrap_err()))
    })
    .to_vec();
    insta::assert_snapshot!(problems.join("\n"));
}

#[test]
fn problems_of_yaml_name_line_and_key() {
    let problems: Vec<String> = [
        "{}",
        "{format: kong}",
        "stdout: {}\nfile: {path: /x}",
        "type: stdout",
        "stdout: {colour: red}",
        "tcp:\n  host: h",
        "tcp:\n  host: h\n  port: 99999",
        "tcp:\n  host: ''\n  port: 1",
        "tcp: h",
        "file: {path: ''}",
        "stdout: {}\nformat: xml",
        "stdout: {}\nqueue_bytes: 1",
        "kafka: {}",
    ]
    .map(|yaml| {
        let node = parse_yaml(yaml).unwrap();
        let settings = read::<SinkSettings>(&node);
        let problem = settings.and_then(|settings| settings.resolve()).unwrap_err();
        let line = node.line_of(problem.key());
        format!("{yaml}\n  {}", without_keys(&problem.or_at(line)))
    })
    .to_vec();
    insta::assert_snapshot!(problems.join("\n"));
}
