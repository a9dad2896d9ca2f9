use super::super::replacement::Replacement;
use super::*;
use serde_json::Value;

fn paths(paths: &[&str]) -> Paths {
    let paths: Vec<JsonPath> = paths.iter().map(|path| path.parse().unwrap()).collect();
    Paths::new(&paths).unwrap()
}

fn redacted(text: &str, looked_for: &[&str]) -> String {
    let word = Replacement::word();
    let mut edits = Edits::new(&word);
    find(text.as_bytes(), &paths(looked_for), &"json:too_deep".into(), &mut edits);
    let altered = edits.apply(text.as_bytes(), |_| {});
    altered.map_or(text.to_owned(), |altered| String::from_utf8(altered).unwrap())
}

#[test]
fn values_by_path() {
    let text = r#"{"user": {"password": "p", "name": "n"}, "password": "q"}"#;
    let expected = r#"{"user": {"password": "REDACTED", "name": "n"}, "password": "q"}"#;
    assert_eq!(redacted(text, &["$.user.password"]), expected);
    let cards = r#"{"cards":[{"number":4111},{"number":"x","n":1}]}"#;
    let expected = r#"{"cards":[{"number":"REDACTED"},{"number":"REDACTED","n":1}]}"#;
    assert_eq!(redacted(cards, &["$.cards[*].number"]), expected);
    assert_eq!(redacted("[1,2,3]", &["$[1]"]), r#"[1,"REDACTED",3]"#);
    assert_eq!(redacted(r#"{"a b":1}"#, &["$['a b']"]), r#"{"a b":"REDACTED"}"#);
    assert_eq!(redacted(r#"{"a":{"b":1},"c":2}"#, &["$.a.*"]), r#"{"a":{"b":"REDACTED"},"c":2}"#);
}

#[test]
fn values_at_any_depth() {
    let text = r#"{"token":1,"a":[{"b":{"Token":[1,{"x":"]"}]}}],"c":{"token":null}}"#;
    let expected =
        r#"{"token":"REDACTED","a":[{"b":{"Token":"REDACTED"}}],"c":{"token":"REDACTED"}}"#;
    assert_eq!(redacted(text, &["$..token"]), expected);
    let expected = r#"{"token":1,"a":[{"b":{"Token":[1,{"x":"REDACTED"}]}}],"c":{"token":null}}"#;
    assert_eq!(redacted(text, &["$..b..x"]), expected);
}

/// A foreign parser reads the result, and everything else in it is as before.
#[test]
fn values_of_all_kinds_become_a_string() {
    for value in ["\"a\\\"b\"", "-1.5e3", "true", "null", "{\"a\":[1,\"}\"]}", "[[],{}]"] {
        let text = format!(r#"{{"x": [1, 2], "secret" : {value} , "y": {{"z": null}}}}"#);
        let parsed: Value = serde_json::from_str(&redacted(&text, &["$.secret"])).unwrap();
        let mut expected: Value = serde_json::from_str(&text).unwrap();
        expected["secret"] = "REDACTED".into();
        assert_eq!(parsed, expected);
    }
}

#[test]
fn names_in_other_spellings() {
    let text = r#"{"pass\u0077ord":"p"}"#;
    assert_eq!(redacted(text, &["$.password"]), r#"{"pass\u0077ord":"REDACTED"}"#);
    assert_eq!(
        redacted("{password: 'p', x: 1}", &["$.password"]),
        r#"{password: "REDACTED", x: 1}"#
    );
}

#[test]
fn a_secret_that_the_text_cuts_is_replaced() {
    for cut in [r#"{"a":1,"token":"abc"#, r#"{"a":1,"token":"abc\"#, r#"{"a":1,"token":{"b":"abc"#]
    {
        assert_eq!(redacted(cut, &["$..token"]), r#"{"a":1,"token":"REDACTED""#);
    }
    assert_eq!(redacted(r#"{"a":1,"token":12"#, &["$..token"]), r#"{"a":1,"token":"REDACTED""#);
    assert_eq!(redacted(r#"{"a":1,"token""#, &["$..token"]), r#"{"a":1,"token""#);
    assert_eq!(redacted(r#"{"a":1,"token":""#, &["$..token"]), r#"{"a":1,"token":""#);
}

#[test]
fn the_same_name_twice_is_replaced_twice() {
    let expected = r#"{"token":"REDACTED","token":"REDACTED"}"#;
    assert_eq!(redacted(r#"{"token":"a","token":"b"}"#, &["$.token"]), expected);
}

#[test]
fn what_is_no_json_is_read_all_the_same() {
    let lines = "{\"token\":\"a\"}\n{\"token\":\"b\"}\n";
    assert_eq!(redacted(lines, &["$.token"]).matches("REDACTED").count(), 2);
    for text in [
        ")]}',\n{\"token\":\"secret\"}",
        "call({\"token\":\"secret\"});",
        "{\"a\":1}} {\"token\":\"secret\"}",
        "{\"a\":[1,2}, \"token\":\"secret\"}",
        "{\"a\" 1 \"token\":\"secret\"}",
        "{\"a\":, \"token\":\"secret\"}",
        "{{\"token\":\"secret\"}}",
        "\"token\":\"secret\"",
        "// it's a comment\n{\"token\":\"secret\"}",
        "{\"token\": =secret}",
        "{\"token\": 'sec\"ret secret'}",
    ] {
        let altered = redacted(text, &["$..token"]);
        assert!(altered.contains("REDACTED") && !altered.contains("secret"), "{altered}");
    }
}

#[test]
fn what_is_deeper_than_the_stack_is_replaced_where_a_path_may_lead_there() {
    let deep = |inner: &str| format!("{}{inner}{}", "[".repeat(1_000), "]".repeat(1_000));
    let text = deep(r#"{"token":"secret"}"#);
    let altered = redacted(&text, &["$..token"]);
    assert!(altered.contains("REDACTED") && !altered.contains("secret"));
    assert_eq!(redacted(&text, &["$.a.token"]), text);
}

#[test]
fn a_megabyte_of_hostile_text_is_read_in_a_moment() {
    let begin = std::time::Instant::now();
    for unit in
        ["[", "{\"a\":", "\"", "\\", "{\"token\":", "'", ":", "a:", "]", "{\"token\":,", "a "]
    {
        redacted(&unit.repeat((1 << 20) / unit.len()), &["$..token", "$.a.a.a"]);
    }
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
}
