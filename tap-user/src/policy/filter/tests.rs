use super::*;
use crate::policy::examples::{self, example};

fn filter(yaml: &str) -> Filter {
    Filter::new(&serde_saphyr::from_str(yaml).unwrap()).unwrap()
}

fn matches(condition: &str, observation: &Observation) -> bool {
    filter(&format!("include: [{condition}]")).passes(observation)
}

#[test]
fn include_and_exclude() {
    let health = example("GET", "/health", 200);
    let api = example("GET", "/api/v1/a?x=/health", 200);
    let both =
        filter("include: [{paths: ['/api/**']}, {statuses: [5xx]}]\nexclude: [{methods: [POST]}]");
    assert!(!both.passes(&health) && both.passes(&api));
    assert!(both.passes(&example("GET", "/health", 503)));
    assert!(!both.passes(&example("POST", "/api/v1/a", 200)));
    assert!(Filter::default().passes(&health));
    assert!(!filter("exclude: [{paths: [/health], statuses: [200]}]").passes(&health));
    assert!(filter("exclude: [{paths: [/health], statuses: [500]}]").passes(&health));
}

#[test]
fn paths() {
    let path = |glob: &str, target: &str| {
        matches(&format!("{{paths: ['{glob}']}}"), &example("GET", target, 200))
    };
    assert!(path("/api/*", "/api/a") && !path("/api/*", "/api/a/b") && !path("/api/*", "/API/a"));
    assert!(path("/api/**", "/api/a/b") && path("**/health", "/a/health"));
    assert!(path("/a", "/a?b") && path("/a", "http://h/a?b") && path("/", "http://h"));
    assert!(path("/health", "/h%65alth") && path("/a%2Fb", "/a%2Fb") && !path("/a/b", "/a%2Fb"));
    assert!(path("/{a,b}/[0-9]", "/b/7"));
}

#[test]
fn hosts() {
    let host = |glob: &str, target: &str, field: &str| {
        let mut asked = example("GET", target, 200);
        examples::set_header(&mut asked, "Host", field);
        matches(&format!("{{hosts: ['{glob}']}}"), &asked)
    };
    assert!(host("*.example.com", "/", "API.Example.com:8000"));
    assert!(
        host("*.Example.com", "/", "a.b.example.com.")
            && !host("*.example.com", "/", "example.com")
    );
    assert!(host("h", "http://u@h:1/", "other") && !host("other", "http://h/", "other"));
    assert!(host("\\[::1\\]", "/", "[::1]:80"));
}

#[test]
fn everything_else() {
    let mut observation = example("PUT", "/", 404);
    examples::set_header(&mut observation, "Content-Type", "Application/JSON; charset=utf-8");
    for condition in [
        "{methods: [PUT]}",
        "{statuses: [404]}",
        "{statuses: ['400-410']}",
        "{ports: [8000]}",
        "{legs: [client]}",
        "{content_types: [text/*]}",
        "{request_content_types: [application/json]}",
        "{request_size: {min: 1, max: 1KiB}}",
        "{response_size: {max: 1MiB}}",
    ] {
        assert!(matches(condition, &observation), "{condition}");
    }
    for condition in [
        "{methods: [put]}",
        "{statuses: [none]}",
        "{ports: [80]}",
        "{legs: [upstream]}",
        "{content_types: [text]}",
        "{request_size: {min: 1KiB}}",
        "{methods: [PUT], statuses: [200]}",
    ] {
        assert!(!matches(condition, &observation), "{condition}");
    }
}

#[test]
fn what_was_not_seen_does_not_match() {
    let mut lost = example("GET", "/", 200);
    lost.exchange.request = None;
    lost.exchange.response = None;
    for condition in ["{paths: ['**']}", "{methods: [GET]}", "{hosts: ['*']}", "{statuses: [2xx]}"]
    {
        assert!(!matches(condition, &lost), "{condition}");
    }
    assert!(matches("{statuses: [none]}", &lost));
}

#[test]
fn what_cannot_be_is_refused() {
    for (yaml, named) in [
        ("include: [{}]", "filter.include"),
        ("exclude: [{methods: []}]", "filter.exclude"),
        ("include: [{request_size: {min: 2, max: 1}}]", "min"),
    ] {
        let error = Filter::new(&serde_saphyr::from_str(yaml).unwrap()).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
    for (yaml, named) in [
        ("include:\n  - {statuses: [6000]}", "5xx"),
        ("include:\n  - {paths: ['[']}", "/api/**"),
        ("include:\n  - {legs: [left]}", "upstream"),
        ("include:\n  - {path: ['/']}", "paths"),
    ] {
        let error = serde_saphyr::from_str::<FilterSettings>(yaml).unwrap_err().to_string();
        assert!(error.contains(named) && error.contains("line 2"), "{error}");
    }
}
